/*
 * keeper_host.h - for tests of the keeper as a process: a family without a
 * server. The test plays the server: it writes records by hand, publishes
 * them, and looks at what comes of them.
 */
#ifndef RK_KEEPER_HOST_H
#define RK_KEEPER_HOST_H

#include <criterion/criterion.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "keeper/keeper.h"
#include "recovery/calls.h"
#include "recovery/recovery.h"

enum {
	BLOCKS = 40,
	SIZE = BLOCKS * RK_PAGE - 1536,	/* the last block is short */
	DEVICES = 3,			/* the last is read-only */
	RECORD_BLOCKS = 8,
};

static struct rk__family family;
static struct rk__log log_;
static uint8_t *core, *driver;
static pid_t keeper;

/* --- the family --------------------------------------------------------- */

static inline int memory_file(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	cr_assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static inline void *map(int fd, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	cr_assert(p != MAP_FAILED);
	return p;
}

static inline void make_family(void)
{
	family.board = mmap(NULL, sizeof *family.board, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	family.core_fd = memory_file(RK_CORE_SIZE);
	family.driver_fd = memory_file(RK_DRIVER_SIZE);
	family.log_fd = memory_file(RK_LOG_RING_AT + RK_LOG_SIZE);
	family.calls_fd = memory_file(RK_CALLS_AT + RK_CALLS_MAX);
	family.keeper_event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	family.n_mounts = DEVICES;
	for (unsigned i = 0; i < DEVICES; i++)
		family.device[i] = (struct rk__device){
			.fd = memory_file(SIZE),
			.journal_fd = i < DEVICES - 1 ? memory_file(0) : -1,
			.undo_fd = i < DEVICES - 1 ? memory_file(0) : -1,
			.overlay_fd = memory_file(BLOCKS * RK_PAGE),
			.bitmap_fd = memory_file(RK_PAGE),
			.size = SIZE,
		};
	cr_assert_eq(rk__log_map(family.log_fd, RK_LOG_SERVER, &log_), 0);
	core = map(family.core_fd, RK_CORE_SIZE);
	driver = map(family.driver_fd, RK_DRIVER_SIZE);
}

static inline void start_keeper(bool replay)
{
	int ready[2];
	char byte = 'x';

	cr_assert_eq(pipe(ready), 0);
	keeper = fork();
	if (keeper == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		rk__keeper_run(&family, replay, ready[1]);
	}
	close(ready[1]);
	/* It may be killed before it is ready. */
	if (read(ready[0], &byte, 1) == 1)
		cr_assert_eq(byte, 0);
	close(ready[0]);
}

static inline int end_keeper(int sig)
{
	int status;

	if (sig)
		kill(keeper, sig);
	waitpid(keeper, &status, 0);
	keeper = 0;
	return status;
}

/* --- records ------------------------------------------------------------ */

struct draft {
	struct rk__record head;
	uint64_t block[RECORD_BLOCKS], page[2];
	uint8_t fill[RECORD_BLOCKS], page_fill[2];
	struct rk__note_head note;
	uint64_t word;
	uint64_t length;		/* 0: what is right */
};

static uint64_t seq;

static inline uint8_t *put(uint8_t *to, const void *from, size_t n)
{
	memcpy(to, from, n);
	return to + n;
}

/* Writes it behind what is published; returns its end. */
static inline uint64_t lay_down(const struct draft *d)
{
	uint64_t pos = atomic_load(&log_.server->published);
	uint8_t *rec = rk__log_at(&log_, pos), *p = rec + sizeof d->head;
	struct rk__record h = d->head;

	for (unsigned i = 0; i < h.n_blocks; i++, p += RK_PAGE)
		memset(p, d->fill[i], RK_PAGE);
	for (unsigned i = 0; i < h.n_pages; i++, p += RK_PAGE)
		memset(p, d->page_fill[i], RK_PAGE);
	p = put(p, d->block, h.n_blocks * 8);
	p = put(p, d->page, h.n_pages * 8);
	if (h.n_notes) {
		p = put(p, &d->note, 8);
		p = put(p, &d->word, 8);
		h.notes_len = 16;
	}
	while ((p - rec) % 64)
		*p++ = 0;
	h.magic = RK_RECORD_MAGIC;
	h.length = d->length ? d->length : (uint64_t)(p - rec);
	h.check = rk__record_hash(&h, rec + sizeof h,
				  (size_t)(p - rec) - sizeof h);
	memcpy(rec, &h, sizeof h);
	return pos + (uint64_t)(p - rec);
}

static inline void call_keeper(void)
{
	atomic_fetch_add(&log_.server->wake, 1);
	syscall(SYS_futex, &log_.server->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static inline void publish(struct draft *d)
{
	uint64_t end;

	d->head.seq = ++seq;
	end = lay_down(d);
	atomic_store(&log_.server->published_seq, seq);
	atomic_store(&log_.server->published, end);
	call_keeper();
}

static inline bool wait_word(const _Atomic uint64_t *word, uint64_t at_least,
		      unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		if (atomic_load(word) >= at_least)
			return true;
		usleep(1000);
	}
	return atomic_load(word) >= at_least;
}

static inline void wait_applied(void)
{
	cr_assert(wait_word(&log_.keeper->applied,
			    atomic_load(&log_.server->published), 60000));
}

static inline void wait_flushed(void)
{
	cr_assert(wait_word(&log_.keeper->flushed_seq, seq, 60000));
}

static inline void publish_flush(uint32_t flags)
{
	struct draft d = { .head.flags = RK_RECORD_FLUSH | flags };

	publish(&d);
}

/* --- looking ------------------------------------------------------------ */

static inline uint8_t byte_of(int fd, uint64_t off)
{
	uint8_t b = 0;

	cr_assert_eq(pread(fd, &b, 1, (off_t)off), 1);
	return b;
}

static inline bool in_overlay(unsigned dev, unsigned block)
{
	return byte_of(family.device[dev].bitmap_fd, block / 8) >>
	       (block % 8) & 1;
}

/* What a server reads of a block. */
static inline uint8_t block_byte(unsigned dev, unsigned block)
{
	const struct rk__device *d = &family.device[dev];

	return byte_of(in_overlay(dev, block) ? d->overlay_fd : d->fd,
		       block * (uint64_t)RK_PAGE + 7);
}

static inline off_t memory_of(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_blocks;
}

#endif
