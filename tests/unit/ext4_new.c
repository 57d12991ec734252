/*
 * ext4_new.c - what write_new() sends to the device ahead of its flush point
 * is used by nothing that the flush point holds: whenever all stops, the device
 * is as it was at the last sync, for e2fsck and in each byte of each file.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>
#include "ext4_host.h"

enum { FILES = 12, PAGE = 4096, BIG = 600 << 10 };

/* The state now; the image file is what a crash would leave. */
static uint8_t *now;
static bool *pending;			/* pages that differ until the next sync */
static unsigned early;			/* pages that went ahead */

struct file {
	uint64_t ino;			/* 0: none of this name */
	uint64_t size;
	uint8_t data[BIG];
};
static struct file *live, *synced;

static int now_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct image *im = ctx;

	if (off > im->size || len > im->size - off)
		return -EIO;
	memcpy(buf, now + off, len);
	return 0;
}

static int now_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct image *im = ctx;

	if (off > im->size || len > im->size - off)
		return -EIO;
	memcpy(now + off, buf, len);
	for (uint64_t p = off / PAGE; p <= (off + len - 1) / PAGE; p++)
		pending[p] = true;
	return 0;
}

/* Whole pages at once go ahead, as the keeper does it. */
static int now_write_new(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct image *im = ctx;

	if (off > im->size || len > im->size - off)
		return -EIO;
	memcpy(now + off, buf, len);
	for (uint64_t p = off / PAGE; p <= (off + len - 1) / PAGE; p++) {
		if (p * PAGE < off || (p + 1) * PAGE > off + len || pending[p])
			pending[p] = true;
		else
			early += pwrite(im->fd, now + p * PAGE, PAGE,
					(off_t)(p * PAGE)) == PAGE;
	}
	return 0;
}

static void sync_all(struct image *im)
{
	cr_assert_eq(im->d->sync(im->fs), 0);
	for (uint64_t p = 0; p < im->size / PAGE; p++)
		if (pending[p])
			cr_assert_eq(pwrite(im->fd, now + p * PAGE, PAGE,
					    (off_t)(p * PAGE)), PAGE);
	memset(pending, 0, im->size / PAGE);
	memcpy(synced, live, FILES * sizeof *live);
}

static void name_of(unsigned i, char *ret)
{
	snprintf(ret, 8, "f%u", i);
}

/* In a process of its own: another instance of the driver, on what is left. */
static void look_after_crash(struct image *im)
{
	static uint8_t got[BIG];
	struct image left = *im;
	char name[8];
	struct rk_stat st;

	left.host.ctx = &left;
	left.host.read = image_read;
	cr_assert_eq(image_mount(&left, true), 0, "%s", left.said);
	for (unsigned i = 0; i < FILES; i++) {
		int r;

		name_of(i, name);
		r = left.d->lookup(left.fs, left.root, name, strlen(name), &st);
		cr_assert_eq(r, synced[i].ino ? 0 : -ENOENT);
		if (!synced[i].ino)
			continue;
		cr_assert_eq(st.size, synced[i].size);
		cr_assert_eq(left.d->read(left.fs, st.ino, got, BIG, 0),
			     (int64_t)synced[i].size);
		cr_assert_eq(memcmp(got, synced[i].data, synced[i].size), 0,
			     "%s holds what was written after the sync", name);
	}
}

static void crash(struct image *im)
{
	int status;
	pid_t child = fork();

	cr_assert(child >= 0);
	if (child == 0) {
		look_after_crash(im);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	image_check(im);
}

/* --- random ops ------------------------------------------------------------- */

static uint32_t rnd(uint32_t below)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (uint32_t)(x >> 16) % below;
}

static void put(struct image *im, struct file *f)
{
	static uint8_t buf[BIG];
	uint32_t off = rnd(2) ? (uint32_t)f->size : rnd((uint32_t)f->size + 1);
	uint32_t len = 1 + rnd(rnd(3) ? 200 << 10 : 5000);
	int64_t n;

	if (rnd(2))
		off &= ~4095u, len = (len + 4095) & ~4095u;
	if (off + len > BIG)
		return;
	memset(buf, 1 + (int)rnd(255), len);
	n = im->d->write(im->fs, f->ino, buf, len, off);
	if (n == -ENOSPC)
		return;
	cr_assert_gt(n, 0, "write: %ld", (long)n);
	memcpy(f->data + off, buf, (size_t)n);
	if (off + n > f->size)
		f->size = off + (uint64_t)n;
}

static void cut(struct image *im, struct file *f)
{
	struct rk_setattr set = { .valid = RK_SET_SIZE,
				  .size = rnd((uint32_t)f->size + 1) };
	struct rk_stat st;

	while (im->d->setattr(im->fs, f->ino, &set, &st) == 1)
		;
	memset(f->data + set.size, 0, BIG - set.size);
	f->size = set.size;
}

static void make_hole(struct image *im, struct file *f, uint32_t mode)
{
	uint32_t off = rnd((uint32_t)f->size + 1);
	uint32_t len = 1 + rnd(100 << 10);
	int r;

	if (off + len > BIG)
		return;
	do
		r = im->d->fallocate(im->fs, f->ino,
				     mode | FALLOC_FL_KEEP_SIZE, off, len);
	while (r == 1);
	if (r == 0)
		memset(f->data + off, 0, len);
	else
		cr_assert(r == -EOPNOTSUPP || r == -ENOSPC);
}

static void toggle(struct image *im, unsigned i)
{
	const struct rk_new what = { .mode = S_IFREG | 0644 };
	struct rk_stat st;
	char name[8];
	int r;

	name_of(i, name);
	if (!live[i].ino) {
		r = im->d->create(im->fs, im->root, name, strlen(name), &what,
				  &st);
		cr_assert_eq(r, 0);
		live[i].ino = st.ino;
		return;
	}
	cr_assert_eq(im->d->unlink(im->fs, im->root, name, strlen(name), false,
				   &st), 0);
	while ((r = im->d->reclaim(im->fs, live[i].ino)) == 1)
		;
	cr_assert_eq(r, 0);
	memset(&live[i], 0, sizeof live[i]);
}

static void random_op(struct image *im)
{
	unsigned i = rnd(FILES);

	im->changed = true;
	if (!live[i].ino || rnd(12) == 0)
		toggle(im, i);
	else if (rnd(10) == 0)
		cut(im, &live[i]);
	else if (rnd(10) == 0)
		make_hole(im, &live[i], rnd(2) ? FALLOC_FL_PUNCH_HOLE :
			  FALLOC_FL_ZERO_RANGE);
	else
		put(im, &live[i]);
}

static void run_on(const char *mkfs)
{
	struct image im;

	image_create(&im, mkfs, 16 << 20);
	now = mmap(NULL, im.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, im.fd, 0);
	pending = calloc(im.size / PAGE, sizeof *pending);
	live = calloc(FILES, sizeof *live);
	synced = calloc(FILES, sizeof *synced);
	cr_assert(now != MAP_FAILED && pending && live && synced);
	/* A crash must not show through the mapping of the state now. */
	for (uint64_t at = 0; at < im.size; at += PAGE)
		((volatile uint8_t *)now)[at] = now[at];
	im.host.read = now_read;
	im.host.write = now_write;
	im.host.write_new = now_write_new;
	cr_assert_eq(image_mount(&im, false), 0, "%s", im.said);
	sync_all(&im);
	for (unsigned round = 0; round < 60; round++) {
		for (unsigned n = rnd(60); n > 0; n--)
			random_op(&im);
		crash(&im);
		if (rnd(2))
			sync_all(&im);
	}
	cr_assert_gt(early, 1000, "only %u pages went ahead", early);
	sync_all(&im);
	crash(&im);
	image_destroy(&im);
}

Test(ext4_new, blocks_of_four_kilobytes)
{
	run_on("-b 4096");
}

Test(ext4_new, blocks_of_one_kilobyte)
{
	run_on("-b 1024");
}

Test(ext4_new, block_maps)
{
	run_on("-b 4096 -O ^extent,^64bit");
}
