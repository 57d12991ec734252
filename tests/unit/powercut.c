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
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "keeper/journal.h"
#include "keeper/store.h"

enum {
	BLOCKS = 24,
	IMAGE_SIZE = BLOCKS * RK_PAGE - 1024,	/* the last block is short */
	JOURNAL_SIZE = 4 << 20,
	SECTOR = 512,
	IMAGE_FD = 1000, JOURNAL_FD = 1001,	/* no descriptors: names */
	FLUSHES = 24,
	IDENTITY = 7,
};

struct rk__board *rk__crash_board;

void rk__crash(enum rk__crashpoint point)
{
	(void)point;
}

/* --- the recorder ---------------------------------------------------------- */

struct event {
	enum { SECTOR_WRITE, SYNC, REPORT } kind;
	int fd;
	uint64_t off;			/* REPORT: number of the flush point */
	uint8_t data[SECTOR];
};

static struct event *event;
static size_t n_events, max_events;
static uint8_t disk[2][JOURNAL_SIZE];
static uint8_t point[FLUSHES + 1][IMAGE_SIZE];	/* what each flush point is */

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

int rk__device_write(int fd, const void *buf, size_t len, uint64_t off)
{
	const uint8_t *p = buf;

	cr_assert(fd == IMAGE_FD || fd == JOURNAL_FD);
	cr_assert(off + len <= size_of(fd), "a write outside of the device");
	memcpy(disk[fd - IMAGE_FD] + off, buf, len);
	for (size_t i = 0; i < len; i += SECTOR)
		memcpy(add_event(SECTOR_WRITE, fd, off + i)->data, p + i,
		       SECTOR);
	return 0;
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
	add_event(SYNC, fd, 0);
	return 0;
}

/* --- the load -------------------------------------------------------------- */

static int memory_file(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

/* rk__store_open without an identity of a real file. */
static void open_store(struct rk__store *s, struct rk__device *d)
{
	*d = (struct rk__device){
		.fd = IMAGE_FD,
		.journal_fd = JOURNAL_FD,
		.overlay_fd = memory_file(BLOCKS * RK_PAGE),
		.bitmap_fd = memory_file(RK_PAGE),
		.size = IMAGE_SIZE,
	};
	*s = (struct rk__store){ .device = d, .blocks = BLOCKS };
	s->overlay = mmap(NULL, BLOCKS * RK_PAGE, PROT_READ | PROT_WRITE,
			  MAP_SHARED, d->overlay_fd, 0);
	s->bitmap = mmap(NULL, RK_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 d->bitmap_fd, 0);
	s->fresh_bit = calloc(1, 8);
	cr_assert_eq(rk__journal_open(&s->journal, JOURNAL_FD, IDENTITY,
				      IMAGE_SIZE, NULL, NULL), 0);
}

static void put_some(struct rk__store *s, uint8_t *model)
{
	uint8_t data[RK_PAGE];

	for (unsigned n = (unsigned)rand() % 6 + 1; n > 0; n--) {
		unsigned b = (unsigned)rand() % BLOCKS;
		size_t at = b * RK_PAGE, len = RK_PAGE;

		for (unsigned i = 0; i < RK_PAGE; i++)
			data[i] = (uint8_t)rand();
		cr_assert_eq(rk__store_put(s, b, data), 0);
		len = IMAGE_SIZE - at < len ? IMAGE_SIZE - at : len;
		memcpy(model + at, data, len);
	}
}

static void make_load(void)
{
	static uint8_t model[IMAGE_SIZE];
	struct rk__device d;
	struct rk__store s;

	srand(11);
	open_store(&s, &d);
	add_event(REPORT, 0, 0);
	for (unsigned f = 1; f <= FLUSHES; f++) {
		put_some(&s, model);
		memcpy(point[f], model, IMAGE_SIZE);
		cr_assert_eq(rk__store_flush(&s), 0);
		add_event(REPORT, 0, f);
		/* What comes after the flush must not get to the image. */
		if (rand() % 2)
			put_some(&s, model);
		if (rand() % 3 == 0)
			cr_assert_eq(rk__store_checkpoint(&s), 0);
	}
}

/* --- the cut --------------------------------------------------------------- */

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
		memcpy(disk[n] + e->off, e->data, SECTOR);
	}
	return reported;
}

static int which_point(unsigned from)
{
	for (int f = FLUSHES; f >= (int)from; f--)
		if (!memcmp(disk[0], point[f], IMAGE_SIZE))
			return f;
	return -1;
}

static void check_cut(size_t cut, unsigned lose)
{
	size_t had = n_events;
	unsigned reported = lay_out(cut, lose), replayed;
	int got;

	cr_assert_eq(rk__journal_replay_as(IMAGE_FD, JOURNAL_FD, IDENTITY,
					   IMAGE_SIZE, &replayed), 0);
	got = which_point(reported);
	cr_assert(got >= 0, "cut at %zu, losing %u/256: no flush point from "
		  "%u on", cut, lose, reported);
	/* A replay that was itself cut is done again. */
	cr_assert_eq(rk__journal_replay_as(IMAGE_FD, JOURNAL_FD, IDENTITY,
					   IMAGE_SIZE, &replayed), 0);
	cr_assert_eq(replayed, 0);
	cr_assert_eq(which_point(reported), got);
	n_events = had;
}

Test(powercut, every_prefix_of_the_writes)
{
	make_load();
	for (size_t cut = 0; cut <= n_events; cut++)
		check_cut(cut, 0);
}

Test(powercut, unsynced_writes_are_lost_at_random)
{
	make_load();
	for (unsigned i = 0; i < 4000; i++)
		check_cut((size_t)rand() % (n_events + 1), 1 + i % 255);
}

Test(powercut, power_fails_again_while_it_recovers)
{
	make_load();
	for (unsigned i = 0; i < 2000; i++) {
		size_t cut = (size_t)rand() % (n_events + 1), had = n_events;
		unsigned reported = lay_out(cut, (unsigned)rand() % 200);
		static uint8_t before[2][JOURNAL_SIZE];
		unsigned replayed;
		size_t more;

		memcpy(before, disk, sizeof disk);
		rk__journal_replay_as(IMAGE_FD, JOURNAL_FD, IDENTITY,
				      IMAGE_SIZE, &replayed);
		more = n_events - had;
		/* Some of what the replay wrote got there. */
		memcpy(disk, before, sizeof disk);
		for (size_t k = had; k < had + (more ? (size_t)rand() % more
						: 0); k++)
			if (event[k].kind == SECTOR_WRITE)
				memcpy(disk[event[k].fd - IMAGE_FD] +
				       event[k].off, event[k].data, SECTOR);
		n_events = had;
		cr_assert_eq(rk__journal_replay_as(IMAGE_FD, JOURNAL_FD,
				IDENTITY, IMAGE_SIZE, &replayed), 0);
		cr_assert(which_point(reported) >= 0);
		n_events = had;
	}
}

Test(powercut, the_journal_of_another_image_is_refused)
{
	unsigned replayed;

	make_load();
	cr_assert_eq(rk__journal_replay_as(IMAGE_FD, JOURNAL_FD, IDENTITY + 1,
				IMAGE_SIZE, &replayed), -EMEDIUMTYPE);
	cr_assert_eq(rk__journal_replay_as(IMAGE_FD, JOURNAL_FD, IDENTITY,
				IMAGE_SIZE - RK_PAGE, &replayed), -EMEDIUMTYPE);
}

Test(powercut, random_damage_never_crashes)
{
	unsigned replayed;

	make_load();
	for (unsigned i = 0; i < 3000; i++) {
		size_t had = n_events;

		lay_out((size_t)rand() % (n_events + 1), 0);
		for (unsigned k = 0; k < 20; k++)
			disk[1][RK_PAGE + (unsigned)rand() % (200 * RK_PAGE)] =
				(uint8_t)rand();
		rk__journal_replay_as(IMAGE_FD, JOURNAL_FD, IDENTITY,
				      IMAGE_SIZE, &replayed);
		n_events = had;
	}
}
