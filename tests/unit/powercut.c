/*
 * powercut.c - an image and its journal as they are after any prefix of the
 * device writes, and after losing any of those that were not synced yet,
 * recover to exactly a flush point that is not older than the last one that
 * was reported durable.
 *
 * This file takes the place of the keeper's device.c: it keeps images and
 * journal in memory and records every write, torn into sectors, and every
 * sync.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "keeper/keeper.h"
#include "keeper/store.h"

enum {
	BLOCKS = 24,
	IMAGE_SIZE = BLOCKS * RK_PAGE - 1024,	/* the last block is short */
	JOURNAL_SIZE = 1 << 20,
	IMAGE_FD = 1000, JOURNAL_FD = 1001,	/* no descriptors: names */
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
static uint8_t disk[2][JOURNAL_SIZE];
static uint8_t point[FLUSHES + 1][IMAGE_SIZE];	/* what each flush point is */
static bool used[FLUSHES + 1][BLOCKS];		/* of the pool, by then */
static long fail_in = -1;		/* writes and syncs until one fails */
static int failure;

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
	return fd == IMAGE_FD ? IMAGE_SIZE : JOURNAL_SIZE;
}

/* From then on: a device that failed once is not to be asked again. */
static bool fails(void)
{
	cr_assert_neq(fail_in, 0, "a device was used after it failed");
	return fail_in > 0 && --fail_in == 0;
}

int rk__device_write(int fd, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;
	bool fail = fails();

	cr_assert(fd == IMAGE_FD || fd == JOURNAL_FD);
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
	if (fails())
		return failure;
	add_event(SYNC, fd, 0);
	return 0;
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
		.overlay_fd = memory_file(BLOCKS * RK_PAGE),
		.bitmap_fd = memory_file(RK_PAGE),
		.size = IMAGE_SIZE,
	};
	cr_assert_eq(rk__store_open(&store, &device), 0);
}

static void close_store(void)
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
static void change_keeper(void)
{
	rk__store_close(&store);
	cr_assert_eq(rk__store_open(&store, &device), 0);
}

/* Ends early, and says so, when a device fails. */
static int make_load(unsigned seed, bool successors)
{
	static uint8_t model[IMAGE_SIZE];
	bool in_use[BLOCKS] = { 0 };
	int r = 0;

	srand(seed);
	memset(disk, 0, sizeof disk);
	memset(model, 0, sizeof model);
	n_events = 0;
	open_store();
	add_event(REPORT, 0, 0);
	for (unsigned f = 1; f <= FLUSHES && r == 0; f++) {
		r = put_some(model, f - 1, in_use);
		if (r < 0)
			break;
		if (successors && rand() % 3 == 0)
			change_keeper();
		memcpy(point[f], model, IMAGE_SIZE);
		memcpy(used[f], in_use, sizeof in_use);
		r = rk__store_flush(&store);
		if (r == 0)
			add_event(REPORT, 0, f);
		/* What comes after the flush must not get to the image. */
		if (r == 0 && rand() % 2)
			r = put_some(model, f, in_use);
		if (r == 0 && rand() % 3 == 0)
			r = rk__store_checkpoint(&store);
	}
	close_store();
	return r;
}

/* --- the cut ------------------------------------------------------------ */

/*
 * Lays out what the devices hold if the power fails before event `cut`, and
 * each write that is not synced by then got there or not. lose: out of 256.
 */
static unsigned lay_out(size_t cut, unsigned lose)
{
	size_t synced[2] = { 0, 0 };
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

static unsigned replay(void)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	unsigned replayed = 0;

	cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, &replayed, error),
		     0, "%s", error);
	return replayed;
}

static void check_cut(size_t cut, unsigned lose)
{
	size_t had = n_events;
	unsigned reported = lay_out(cut, lose);
	int got;

	replay();
	got = which_point(reported);
	cr_assert(got >= 0, "cut at %zu, losing %u/256: no flush point from "
		  "%u on", cut, lose, reported);
	/* Once more changes nothing. */
	cr_assert_eq(replay(), 0);
	cr_assert_eq(which_point(reported), got);
	n_events = had;
}

Test(powercut, every_prefix_of_the_writes)
{
	cr_assert_eq(make_load(11, false), 0);
	for (size_t cut = 0; cut <= n_events; cut++)
		check_cut(cut, 0);
}

Test(powercut, every_prefix_with_keepers_that_take_over)
{
	cr_assert_eq(make_load(12, true), 0);
	for (size_t cut = 0; cut <= n_events; cut++)
		check_cut(cut, 0);
}

Test(powercut, unsynced_writes_are_lost_at_random)
{
	for (unsigned seed = 20; seed < 24; seed++) {
		cr_assert_eq(make_load(seed, seed % 2), 0);
		for (unsigned i = 0; i < 1500; i++)
			check_cut((size_t)rand() % (n_events + 1), 1 + i % 255);
	}
}

/* All processes are killed at `kill`, what they wrote is in the page cache; a
 * replay reads it from there, and then the power fails. */
static void check_kill_then_cut(size_t kill, unsigned lose)
{
	static struct event *rest;
	size_t had = n_events, replayed_from = kill;

	rest = realloc(rest, (had - kill) * sizeof *rest + 1);
	memcpy(rest, &event[kill], (had - kill) * sizeof *rest);
	lay_out(kill, 0);
	n_events = kill;
	replay();
	check_cut(replayed_from + (size_t)rand() %
		  (n_events - replayed_from + 1), lose);
	while (max_events < had)
		add_event(SYNC, IMAGE_FD, 0);
	memcpy(&event[kill], rest, (had - kill) * sizeof *rest);
	n_events = had;
}

Test(powercut, power_fails_while_it_recovers_from_a_kill)
{
	cr_assert_eq(make_load(31, true), 0);
	for (unsigned i = 0; i < 4000; i++)
		check_kill_then_cut((size_t)rand() % (n_events + 1), i % 256);
}

Test(powercut, power_fails_again_while_it_recovers)
{
	static uint8_t before[2][JOURNAL_SIZE];

	cr_assert_eq(make_load(41, false), 0);
	for (unsigned i = 0; i < 2000; i++) {
		size_t cut = (size_t)rand() % (n_events + 1), had = n_events;
		unsigned reported = lay_out(cut, (unsigned)rand() % 200);
		size_t more;

		memcpy(before, disk, sizeof disk);
		replay();
		more = (size_t)rand() % (n_events - had + 1);
		/* Some of what the replay wrote got there. */
		memcpy(disk, before, sizeof disk);
		for (size_t k = had; k < had + more; k++)
			if (event[k].kind == SECTOR_WRITE)
				memcpy(disk[event[k].fd - IMAGE_FD] +
				       event[k].off, event[k].data, RK_SECTOR);
		replay();
		cr_assert(which_point(reported) >= 0);
		n_events = had;
	}
}

/* Each write and each sync fails once, and the power with it. */
Test(powercut, a_device_that_fails)
{
	for (long n = 1;; n++) {
		int r;

		failure = n % 2 ? -EIO : -ENOSPC;
		fail_in = n;
		r = make_load(51, false);
		if (fail_in > 0) {
			cr_assert_eq(r, 0);
			break;
		}
		cr_assert_eq(r, failure);
		fail_in = -1;
		check_cut(n_events, 0);
		for (unsigned i = 0; i < 20; i++)
			check_cut(n_events, (unsigned)rand() % 256);
	}
}

/* --- what must not be replayed ------------------------------------------ */

/* The last instant at which there was something to replay. */
static size_t last_full(void)
{
	size_t cut = n_events;

	for (;; cut--) {
		size_t had = n_events;
		unsigned n;

		lay_out(cut, 0);
		n = replay();
		n_events = had;
		if (n > 2)
			return cut;
	}
}

Test(powercut, the_journal_of_another_image_is_refused)
{
	static uint8_t before[2][JOURNAL_SIZE];
	char error[RK_SERVER_ERROR_LEN] = "";
	unsigned n;

	cr_assert_eq(make_load(61, false), 0);
	for (unsigned i = 0; i < RK_PROBES; i++) {
		/* One foreign sector is enough. */
		lay_out(last_full(), 0);
		disk[0][i * RK_SECTOR + 17] ^= 1;
		memcpy(before, disk, sizeof disk);
		cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, &n,
						error), -EMEDIUMTYPE);
		cr_assert(strstr(error, "another image"));
		cr_assert(!memcmp(before, disk, sizeof disk));
	}
}

Test(powercut, a_damaged_head_is_refused)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	unsigned n;

	cr_assert_eq(make_load(61, false), 0);
	lay_out(last_full(), 0);
	disk[1][40] ^= 1;
	disk[1][RK_PAGE + 40] ^= 1;
	cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, &n, error),
		     -EUCLEAN);
	cr_assert(strstr(error, "damaged"));
}

/* What an earlier epoch left behind the end is never taken for new. */
Test(powercut, stale_transactions_do_not_count)
{
	uint8_t data[RK_PAGE] = { 1 };
	struct rk__journal j;

	memset(disk, 0, sizeof disk);
	open_store();
	for (unsigned i = 0; i < 10; i++) {
		data[1] = (uint8_t)i;
		cr_assert_eq(rk__store_put(&store, i, data), 0);
		cr_assert_eq(rk__store_flush(&store), 0);
	}
	cr_assert_eq(rk__store_checkpoint(&store), 0);
	for (unsigned i = 1; i < 10; i++) {
		cr_assert_eq(rk__store_put(&store, 20, data), 0);
		cr_assert_eq(rk__store_flush(&store), 0);
		cr_assert_eq(rk__journal_open(&j, JOURNAL_FD, IMAGE_FD,
					      IMAGE_SIZE), 0);
		cr_assert_eq(j.number, i);
		rk__journal_close(&j);
	}
	close_store();
}

/* Somebody who can foretell the epoch could write a transaction into a file. */
Test(powercut, epochs_cannot_be_foretold)
{
	uint64_t epoch[8];

	memset(disk, 0, sizeof disk);
	open_store();
	for (unsigned i = 0; i < 8; i++) {
		cr_assert_eq(rk__journal_reset(&store.journal), 0);
		epoch[i] = store.journal.epoch;
		for (unsigned k = 0; k < i; k++)
			cr_assert(epoch[k] != epoch[i] &&
				  epoch[k] + 1 != epoch[i]);
	}
	close_store();
}

Test(powercut, random_damage_never_crashes)
{
	char error[RK_SERVER_ERROR_LEN];
	unsigned n;

	cr_assert_eq(make_load(71, false), 0);
	for (unsigned i = 0; i < 3000; i++) {
		size_t had = n_events;

		lay_out((size_t)rand() % (n_events + 1), 0);
		for (unsigned k = 0; k < 20; k++)
			disk[1][(unsigned)rand() % (200 * RK_PAGE)] =
				(uint8_t)rand();
		rk__journal_replay(IMAGE_FD, JOURNAL_FD, &n, error);
		n_events = had;
	}
}
