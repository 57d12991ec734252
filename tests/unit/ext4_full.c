/*
 * ext4_full.c - a full device: a write succeeds, succeeds in part, or changes
 * nothing; what was freed can be used again.
 *
 * A server takes back an op that failed after change(). Here a forked copy
 * tries each op first, over a private copy of the device, and only what
 * succeeds there is done.
 */
#include <sys/mman.h>
#include "ext4_host.h"

static char *disk;

static int mem_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct image *im = ctx;

	if (off > im->size || len > im->size - off)
		return -EIO;
	memcpy(buf, disk + off, len);
	return 0;
}

static int mem_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct image *im = ctx;

	if (off > im->size || len > im->size - off)
		return -EIO;
	memcpy(disk + off, buf, len);
	return 0;
}

static void begin(struct image *im, const char *mkfs, unsigned mib)
{
	image_create(im, mkfs, (uint64_t)mib << 20);
	disk = mmap(NULL, im->size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		    im->fd, 0);
	cr_assert(disk != MAP_FAILED);
	im->host.read = mem_read;
	im->host.write = im->host.write_new = mem_write;
	cr_assert_eq(image_mount(im, false), 0, "%s", im->said);
}

static void check(struct image *im)
{
	cr_assert_eq(im->d->sync(im->fs), 0);
	cr_assert_eq(pwrite(im->fd, disk, im->size, 0), im->size);
	image_check(im);
}

/* What the op would answer; only its copy is changed by an error. */
static bool allowed(struct image *im, int64_t (*op)(struct image *, void *),
		    void *arg, int64_t *rc)
{
	int fd[2], status;
	pid_t child;

	cr_assert_eq(pipe(fd), 0);
	child = fork();
	cr_assert(child >= 0);
	if (child == 0) {
		*rc = op(im, arg);
		_exit(write(fd[1], rc, sizeof(*rc)) != sizeof(*rc));
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && !WEXITSTATUS(status));
	cr_assert_eq(read(fd[0], rc, sizeof(*rc)), sizeof(*rc));
	close(fd[0]);
	close(fd[1]);
	return *rc >= 0;
}

struct put {
	uint64_t ino, off;
	size_t len;
};

static int64_t do_put(struct image *im, void *arg)
{
	static char data[1 << 16];
	struct put *p = arg;

	return im->d->write(im->fs, p->ino, data, p->len, p->off);
}

struct name {
	char text[16];
	uint32_t mode;
	uint64_t ino;
};

static int64_t do_make(struct image *im, void *arg)
{
	struct name *n = arg;

	return create(im, im->root, n->text, n->mode, NULL, &n->ino);
}

static int64_t try(struct image *im, int64_t (*op)(struct image *, void *),
		   void *arg)
{
	int64_t rc, again;

	if (!allowed(im, op, arg, &rc))
		return rc;
	again = op(im, arg);
	cr_assert_eq(rc, again);
	return rc;
}

static uint64_t space(struct image *im)
{
	struct rk_statfs st;

	cr_assert_eq(im->d->statfs(im->fs, &st), 0);
	return st.bfree;
}

static void fill(const char *mkfs, unsigned mib, unsigned step)
{
	struct name f[2] = { { "one", S_IFREG | 0600, 0 },
			     { "two", S_IFREG | 0600, 0 } };
	struct name d = { "", S_IFDIR | 0700, 0 };
	struct put p = { 0 };
	struct image im;
	uint64_t before;
	unsigned round, i;
	int64_t rc;

	begin(&im, mkfs, mib);
	for (round = 0; round < 3; round++) {
		cr_assert_eq(try(&im, do_make, &f[0]), 0);
		cr_assert_eq(try(&im, do_make, &f[1]), 0);
		before = space(&im);
		/* By turns and with gaps, so that the maps are large. */
		for (i = 0; ; i++) {
			p = (struct put){ f[i & 1].ino, (uint64_t)i * step * 2,
					  step };
			rc = space(&im) > 700 ? do_put(&im, &p)
					      : try(&im, do_put, &p);
			if (rc < (int64_t)step)
				break;
		}
		cr_assert(rc == -ENOSPC || rc > 0, "%d", (int)rc);
		p.len = 1;
		p.off += 1ull << 24;
		cr_assert_eq(try(&im, do_put, &p), -ENOSPC);
		for (i = 0; i < 3000; i++) {
			sprintf(d.text, "dir%u-%u", round, i);
			rc = try(&im, do_make, &d);
			if (rc)
				break;
		}
		cr_assert_eq(rc, -ENOSPC);
		check(&im);
		cr_assert_eq(gone(&im, im.root, "one", false), 0);
		check(&im);
		cr_assert_eq(gone(&im, im.root, "two", false), 0);
		while (i--) {
			sprintf(d.text, "dir%u-%u", round, i);
			cr_assert_eq(gone(&im, im.root, d.text, true), 0);
		}
		check(&im);
		cr_assert(space(&im) + 60 >= before, "%u of %u blocks back",
			  (unsigned)space(&im), (unsigned)before);
	}
	image_unmount(&im);
	munmap(disk, im.size);
	image_destroy(&im);
}

Test(ext4_full, extents_1k)
{
	fill("-t ext4 -b 1024 -N 4000 -O ^has_journal", 6, 3000);
}

Test(ext4_full, extents_4k)
{
	fill("-t ext4 -b 4096 -N 4000 -O ^has_journal", 16, 4096);
}

Test(ext4_full, pointers)
{
	fill("-t ext2 -b 1024 -N 4000", 6, 5000);
}

Test(ext4_full, preallocated_space_takes_writes)
{
	struct name f = { "f", S_IFREG | 0600, 0 };
	struct name g = { "g", S_IFREG | 0600, 0 };
	struct put p;
	struct image im;
	unsigned i;

	begin(&im, "-t ext4 -b 1024 -N 4000 -O ^has_journal", 6);
	cr_assert_eq(try(&im, do_make, &f), 0);
	cr_assert_eq(try(&im, do_make, &g), 0);
	cr_assert_eq(im.d->fallocate(im.fs, f.ino, 0, 0, 1 << 20), 0);
	cr_assert_eq(im.d->fallocate(im.fs, f.ino, 0, 0, 1 << 30), -ENOSPC);
	p = (struct put){ g.ino, 0, 65536 };
	while (try(&im, do_put, &p) > 0)
		p.off += p.len;
	/* Each a new piece of the map. */
	for (i = 0; i < 512; i++) {
		p = (struct put){ f.ino, (i * 331 % 512) * 2048, 1024 };
		cr_assert_eq(try(&im, do_put, &p), 1024);
	}
	check(&im);
	image_unmount(&im);
	munmap(disk, im.size);
	image_destroy(&im);
}
