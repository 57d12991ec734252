/*
 * powercut.h - a recorder of what reaches an image, its journal and the file of its
 * checkpoints, and a load of flush points to be cut short at any instant.
 *
 * It takes the place of the keeper's device.c: it keeps all three in memory and
 * records every write, torn into sectors, and every sync.
 */
#ifndef RK_POWERCUT_H
#define RK_POWERCUT_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "keeper/keeper.h"
#include "keeper/store.h"
#include "keeper/undo.h"

enum {
	BLOCKS = 24,
	IMAGE_SIZE = BLOCKS * RK_PAGE - 1024,	/* the last block is short */
	JOURNAL_SIZE = 1 << 20,
	UNDO_SIZE = 1 << 20,
	IMAGE_FD = 1000, JOURNAL_FD, UNDO_FD,	/* no descriptors: names */
	DISKS = 3,
	FLUSHES = 24,
	POOL = 14, POOL_END = 22,	/* blocks that come into use and go */
};

struct rk__board *rk__crash_board;

void rk__crash(enum rk__crashpoint point)
{
	(void)point;
}

/* --- the recorder ------------------------------------------------------- */

struct event {
	enum { SECTOR_WRITE, SYNC, REPORT } kind;
	int fd;
	uint64_t off;			/* REPORT: number of the flush point */
	uint8_t data[RK_SECTOR];
};

static struct event *event;
static size_t n_events, max_events;
static uint8_t disk[DISKS][JOURNAL_SIZE];
static uint8_t point[FLUSHES + 1][IMAGE_SIZE];	/* what each flush point is */
static bool used[FLUSHES + 1][BLOCKS];		/* of the pool, by then */
static long fail_in = -1;		/* writes and syncs until one fails */
static int failure;
static int undo_fd = -1;		/* of the store, or UNDO_FD */
static long fail_undo_in = -1;		/* the same, of that file alone */
static unsigned n_undo_failures;	/* how many in a row then */

static struct event *add_event(int kind, int fd, uint64_t off)
{
	if (n_events == max_events) {
		max_events = max_events ? max_events * 2 : 4096;
		event = realloc(event, max_events * sizeof *event);
		cr_assert(event);
	}
	event[n_events].kind = kind;
	event[n_events].fd = fd;
	event[n_events].off = off;
	return &event[n_events++];
}

static size_t size_of(int fd)
{
	return fd == IMAGE_FD ? IMAGE_SIZE :
	       fd == UNDO_FD ? UNDO_SIZE : JOURNAL_SIZE;
}

/* From then on: a device that failed once is not to be asked again; the file of
 * checkpoints may. */
static bool fails(int fd)
{
	if (fd == UNDO_FD && fail_undo_in > 0 && --fail_undo_in == 0) {
		fail_undo_in = n_undo_failures-- > 1 ? 1 : 0;
		return true;
	}
	if (fd == UNDO_FD)
		return false;
	cr_assert_neq(fail_in, 0, "a device was used after it failed");
	return fail_in > 0 && --fail_in == 0;
}

int rk__device_write(int fd, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;
	bool fail = fails(fd);

	cr_assert(fd >= IMAGE_FD && fd < IMAGE_FD + DISKS);
	cr_assert(off + len <= size_of(fd), "a write outside of the device");
	if (fail)
		len = len / 2 / RK_SECTOR * RK_SECTOR;
	memcpy(disk[fd - IMAGE_FD] + off, buf, len);
	for (size_t i = 0; i < len; i += RK_SECTOR)
		memcpy(add_event(SECTOR_WRITE, fd, off + i)->data, p + i,
		       RK_SECTOR);
	return fail ? failure : 0;
}

int rk__device_read(int fd, void *buf, size_t len, uint64_t off)
{
	size_t size = size_of(fd), there = off < size ? size - off : 0;

	there = there < len ? there : len;
	memcpy(buf, disk[fd - IMAGE_FD] + off, there);
	memset((uint8_t *)buf + there, 0, len - there);
	return 0;
}

int rk__device_sync(int fd)
{
	if (fails(fd))
		return failure;
	add_event(SYNC, fd, 0);
	return 0;
}

void rk__device_punch(int fd, uint64_t off, uint64_t len)
{
	cr_assert_eq(fd, UNDO_FD);
	cr_assert(off + len <= UNDO_SIZE);
	memset(disk[fd - IMAGE_FD] + off, 0, len);
	for (uint64_t i = 0; i < len; i += RK_SECTOR)
		memset(add_event(SECTOR_WRITE, fd, off + i)->data, 0,
		       RK_SECTOR);
}

uint64_t rk__device_size(int fd)
{
	return size_of(fd);
}

/* --- the load ----------------------------------------------------------- */

static struct rk__device device;
static struct rk__store store;

static int memory_file(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static void open_store(void)
{
	device = (struct rk__device){
		.fd = IMAGE_FD,
		.journal_fd = JOURNAL_FD,
		.undo_fd = undo_fd,
		.overlay_fd = memory_file(BLOCKS * RK_PAGE),
		.bitmap_fd = memory_file(RK_PAGE),
		.size = IMAGE_SIZE,
	};
	cr_assert_eq(rk__store_open(&store, &device), 0);
}

static inline void close_store(void)
{
	rk__store_close(&store);
	close(device.overlay_fd);
	close(device.bitmap_fd);
}

/* A block that flush point `last` does not use goes the short way; nobody
 * minds what those hold that are given up. */
static int put_some(uint8_t *model, unsigned last, bool *in_use)
{
	uint8_t data[RK_PAGE];
	int failed = 0;

	for (unsigned n = (unsigned)rand() % 6 + 1; n > 0 && !failed; n--) {
		unsigned b = (unsigned)rand() % BLOCKS;
		size_t at = b * RK_PAGE, len = RK_PAGE;
		bool pool = b >= POOL && b < POOL_END;

		if (pool && in_use[b] && rand() % 2) {
			in_use[b] = false;
			continue;
		}
		for (unsigned i = 0; i < RK_PAGE; i++)
			data[i] = (uint8_t)rand();
		if (pool && !in_use[b] && !used[last][b])
			cr_assert_eq(rk__store_put_new(&store, b, 1, data,
						       &failed), 0);
		else
			cr_assert_eq(rk__store_put(&store, b, data), 0);
		in_use[b] |= pool;
		len = IMAGE_SIZE - at < len ? IMAGE_SIZE - at : len;
		memcpy(model + at, data, len);
	}
	return failed;
}

/* Every other keeper dies somewhere, and one takes over that knows nothing. */
static inline void change_keeper(void)
{
	rk__store_close(&store);
	cr_assert_eq(rk__store_open(&store, &device), 0);
}

/* --- the cut ------------------------------------------------------------ */

/*
 * Lays out what the devices hold if the power fails before event `cut`, and
 * each write that is not synced by then got there or not. lose: out of 256.
 */
static unsigned lay_out(size_t cut, unsigned lose)
{
	size_t synced[DISKS] = { 0 };
	unsigned reported = 0;

	memset(disk, 0, sizeof disk);
	for (size_t i = 0; i < cut; i++) {
		if (event[i].kind == SYNC)
			synced[event[i].fd - IMAGE_FD] = i;
		if (event[i].kind == REPORT)
			reported = (unsigned)event[i].off;
	}
	for (size_t i = 0; i < cut; i++) {
		const struct event *e = &event[i];
		unsigned n;

		if (e->kind != SECTOR_WRITE)
			continue;
		n = (unsigned)(e->fd - IMAGE_FD);
		if (i > synced[n] && (unsigned)rand() % 256 < lose)
			continue;
		memcpy(disk[n] + e->off, e->data, RK_SECTOR);
	}
	return reported;
}

static bool is_point(int f)
{
	for (size_t b = 0; b < BLOCKS; b++) {
		size_t at = b * RK_PAGE, left = IMAGE_SIZE - at;

		if (b >= POOL && b < POOL_END && !used[f][b])
			continue;
		if (memcmp(disk[0] + at, point[f] + at,
			   left < RK_PAGE ? left : RK_PAGE) != 0)
			return false;
	}
	return true;
}

static int which_point(unsigned from)
{
	for (int f = FLUSHES; f >= (int)from; f--)
		if (is_point(f))
			return f;
	return -1;
}

#endif
