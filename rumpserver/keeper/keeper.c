/*
 * keeper.c - the keeper's life: applies records in order, flushes when one
 * says so, checkpoints when a journal is long or nobody asks for anything.
 *
 * `applied` moves on only when all that a record asks for is done: a successor
 * does a record again that its predecessor was in the middle of, and every
 * part of it may be done twice.
 */
#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "keeper/keeper.h"
#include "keeper/store.h"
#include "recovery/recovery.h"

enum {
	JOURNAL_MAX = 64 << 20,		/* bytes at which it is checkpointed */
	IDLE_MS = 1000,			/* quiet time before a checkpoint */
};

static struct {
	const struct rk__family *family;
	struct rk__log log;
	uint8_t *core, *driver;		/* the images of the regions */
	struct rk__store store[RK_MOUNTS_MAX];
	uint64_t flushed_seq;		/* what is durable, once published */
} keeper;

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

static void fail(int error)
{
	int32_t none = 0;

	atomic_compare_exchange_strong(&keeper.log.keeper->error, &none, error);
}

/* --- one record ------------------------------------------------------------ */

static int apply_pages(const struct rk__record_view *v)
{
	for (uint32_t i = 0; i < v->n_pages; i++) {
		uint64_t page = v->pages[i];

		if (page >= RK_DRIVER_SIZE / RK_PAGE)
			return -EBADMSG;
		memcpy(keeper.driver + page * RK_PAGE,
		       v->page_data + (size_t)i * RK_PAGE, RK_PAGE);
		if (i == v->n_pages / 2)
			RK_CRASHPOINT(apply_half_done);
	}
	return 0;
}

static int apply_notes(const struct rk__record_view *v)
{
	struct rk__note_head note;
	const uint8_t *bytes;
	uint32_t at = 0;
	int r;

	while ((r = rk__note_next(v, &at, &note, &bytes)) == 1)
		memcpy(keeper.core + note.offset, bytes, note.length);
	return r;
}

static int apply_blocks(const struct rk__record_view *v)
{
	for (uint32_t i = 0; i < v->n_blocks; i++) {
		uint64_t id = v->blocks[i];
		int r;

		if (RK_BLOCK_DEV(id) >= keeper.family->n_mounts)
			return -EBADMSG;
		r = rk__store_put(&keeper.store[RK_BLOCK_DEV(id)],
				  RK_BLOCK_NO(id),
				  v->block_data + (size_t)i * RK_PAGE);
		if (r < 0)
			return r;
	}
	return 0;
}

static uint64_t fresh_blocks(void)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < keeper.family->n_mounts; i++)
		n += keeper.store[i].n_fresh;
	return n;
}

static int checkpoint(uint64_t longer_than)
{
	int r = 0;

	for (uint32_t i = 0; i < keeper.family->n_mounts && r == 0; i++)
		if (keeper.store[i].journal.end > longer_than)
			r = rk__store_checkpoint(&keeper.store[i]);
	return r;
}

static void flush(const struct rk__record_view *v)
{
	bool last = v->flags & RK_RECORD_CHECKPOINT;
	const uint64_t one = 1;
	int r = atomic_load(&keeper.log.keeper->error);

	for (uint32_t i = 0; i < keeper.family->n_mounts && r == 0; i++)
		r = rk__store_flush(&keeper.store[i]);
	/* Who asked for a checkpoint will remove the journals. */
	if (r == 0 && last)
		r = checkpoint(0);
	/* Durable before anybody hears of it; a checkpoint that nobody asked
	 * for may take its time after that. */
	if (r == 0)
		atomic_store(&keeper.log.keeper->flushed_seq, v->seq);
	else
		fail(r);
	(void)!write(keeper.family->keeper_event, &one, sizeof one);
	if (r == 0 && !last)
		r = checkpoint(JOURNAL_MAX);
	if (r < 0)
		fail(r);
}

static int apply(const struct rk__record_view *v)
{
	int r = apply_pages(v);

	if (r == 0)
		r = apply_notes(v);
	if (r == 0)
		r = apply_blocks(v);
	if (r == 0 && v->flags & RK_RECORD_FLUSH)
		flush(v);
	return r;
}

static void tell_server(void)
{
	struct rk__log_keeper *k = keeper.log.keeper;

	atomic_fetch_add(&k->moved, 1);
	if (atomic_load(&keeper.log.server->waiting))
		syscall(SYS_futex, &k->moved, FUTEX_WAKE, INT32_MAX, NULL,
			NULL, 0);
}

/* Applies all that is published. false: a record is not to be believed, and
 * nothing after it is. */
static bool apply_published(void)
{
	struct rk__log_keeper *k = keeper.log.keeper;
	uint64_t pos = load(&k->applied);

	while (pos < load(&keeper.log.server->published)) {
		struct rk__record_view v;
		int r = rk__record_check(&keeper.log, pos,
				load(&keeper.log.server->published), &v);

		if (r == 0)
			r = apply(&v);
		if (r < 0) {
			fail(r);
			return false;
		}
		pos += v.length;
		atomic_store(&k->dirty_blocks, fresh_blocks());
		atomic_store(&k->applied_seq, v.seq);
		atomic_store_explicit(&k->applied, pos, memory_order_release);
		tell_server();
	}
	return true;
}

/* --- the loop -------------------------------------------------------------- */

/* true: nobody called for a while. */
static bool sleep_until_called(void)
{
	struct timespec t = { .tv_sec = IDLE_MS / 1000 };
	struct rk__log_keeper *k = keeper.log.keeper;
	struct rk__log_server *s = keeper.log.server;
	uint32_t wake = atomic_load(&s->wake);
	long r = 0;

	atomic_store(&k->sleeping, 1);
	if (load(&s->published) == load(&k->applied))
		r = syscall(SYS_futex, &s->wake, FUTEX_WAIT, wake, &t, NULL, 0);
	atomic_store(&k->sleeping, 0);
	return r < 0 && errno == ETIMEDOUT;
}

_Noreturn static void run(void)
{
	for (;;) {
		if (!apply_published())
			for (;;)
				pause();
		if (sleep_until_called() && checkpoint(RK_PAGE) < 0)
			fail(-EIO);
	}
}

static const int allowed[] = {
	SCMP_SYS(futex), SCMP_SYS(pread64), SCMP_SYS(pwrite64),
	SCMP_SYS(fdatasync), SCMP_SYS(fallocate), SCMP_SYS(write),
	SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(brk),
	SCMP_SYS(madvise), SCMP_SYS(sysinfo), SCMP_SYS(pause),
	SCMP_SYS(kill), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(tgkill),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall), SCMP_SYS(clock_gettime),
};

/* It parses what a hostile server wrote: what it may do is bounded too. */
static int enter_sandbox(void)
{
	scmp_filter_ctx ctx;
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (RK_SANITIZED)	/* their run-time opens files as it likes */
		return 0;
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return -ENOMEM;
	for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0] && !r; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

static void *map_image(int fd, size_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_NORESERVE, fd, 0);
}

static int open_all(const struct rk__family *f, bool replay, char *error)
{
	int r = rk__log_map(f->log_fd, RK_LOG_KEEPER, &keeper.log);
	unsigned n;

	keeper.core = map_image(f->core_fd, RK_CORE_SIZE);
	keeper.driver = map_image(f->driver_fd, RK_DRIVER_SIZE);
	if (r < 0 || keeper.core == MAP_FAILED || keeper.driver == MAP_FAILED) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "cannot map the log and the images of memory");
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < f->n_mounts; i++) {
		const struct rk__device *d = &f->device[i];

		if (replay && d->journal_fd >= 0)
			r = rk__journal_replay(d->fd, d->journal_fd, &n, error);
		if (r < 0)
			return r;
		r = rk__store_open(&keeper.store[i], d);
		if (r < 0) {
			snprintf(error, RK_SERVER_ERROR_LEN,
				 "cannot open the journal of %.128s: %s",
				 f->mount[i].source, strerror(-r));
			return r;
		}
	}
	return 0;
}

_Noreturn void rk__keeper_run(const struct rk__family *f, bool replay,
			      int ready_fd)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	int r;

	keeper.family = f;
	rk__crash_board = f->board;
	r = open_all(f, replay, error);
	if (r == 0) {
		r = enter_sandbox();
		if (r < 0)
			snprintf(error, sizeof error, "cannot enter the "
				 "keeper's sandbox: %s", strerror(-r));
	}
	if (r < 0) {
		(void)!write(ready_fd, error, strlen(error));
		_exit(1);
	}
	(void)!write(ready_fd, "", 1);
	run();
}
