/*
 * ext4_damage.c - damaged images. Bytes are changed at random, with fixed
 * seeds, in what describes the file system; then everything is walked and some
 * of it changed. The driver answers or refuses, within bounds: it neither
 * crashes, nor loops, nor writes outside of the device. RK_SEED=n: other seeds.
 */
#include <sys/mman.h>
#include "ext4_host.h"

#define LIMIT 3000000		/* device calls; more is a loop */

static unsigned char *disk;
static unsigned calls;

static int mem_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	struct image *im = ctx;

	cr_assert(++calls < LIMIT, "a loop");
	if (off > im->size || len > im->size - off)
		return -EIO;
	memcpy(buf, disk + off, len);
	return 0;
}

static int mem_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	struct image *im = ctx;

	cr_assert(++calls < LIMIT, "a loop");
	cr_assert(off <= im->size && len <= im->size - off, "outside");
	memcpy(disk + off, buf, len);
	return 0;
}

static unsigned dice(unsigned *seed, unsigned n)
{
	*seed = *seed * 1664525 + 1013904223;
	return (*seed >> 8) % n;
}

struct walk {
	struct image *im;
	uint64_t ino[512];
	unsigned n, of[512];
	char name[512][64];
	unsigned dir;
};

static int note(void *arg, const char *name, size_t len, uint64_t ino,
		uint8_t type, uint64_t cookie)
{
	struct walk *w = arg;

	if (w->n == 512)
		return 1;
	if (len > 63 || (len <= 2 && name[0] == '.'))
		return 0;
	memcpy(w->name[w->n], name, len);
	w->name[w->n][len] = 0;
	w->of[w->n] = w->dir;
	w->ino[w->n++] = ino;
	return 0;
}

/* Anything but success is one of these. */
static void ok(int64_t rc)
{
	switch (rc) {
	case -EIO:
	case -EUCLEAN:
	case -ESTALE:
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR:
	case -EINVAL:
	case -ENODATA:
	case -ENXIO:
	case -ENOSPC:
	case -EEXIST:
	case -ENOTEMPTY:
	case -ERANGE:
	case -EOPNOTSUPP:
	case -EFBIG:
	case -EMLINK:
	case -EPERM:
	case -EBUSY:
	case -ENODEV:
	case -ENOMEM:
		return;
	}
	cr_assert(rc >= 0, "%d", (int)rc);
}

static void look(struct walk *w, uint64_t ino)
{
	static char buf[1 << 16];
	struct image *im = w->im;
	struct rk_stat st;
	uint64_t at;

	ok(im->d->getattr(im->fs, ino, &st));
	ok(im->d->read(im->fs, ino, buf, sizeof(buf), 0));
	ok(im->d->read(im->fs, ino, buf, sizeof(buf), 1 << 20));
	ok(im->d->readlink(im->fs, ino, buf, sizeof(buf)));
	ok(im->d->listxattr(im->fs, ino, buf, sizeof(buf)));
	ok(im->d->getxattr(im->fs, ino, "user.big", buf, sizeof(buf)));
	ok(im->d->getxattr(im->fs, ino, "system.posix_acl_access", buf, 100));
	ok(im->d->seek(im->fs, ino, 0, true, &at));
	ok(im->d->readdir(im->fs, ino, 0, note, w));
}

static void change(struct walk *w, unsigned i, unsigned *seed)
{
	struct rk_setattr set = { .valid = RK_SET_SIZE };
	struct image *im = w->im;
	uint64_t ino = w->ino[i], dir = w->ino[w->of[i]];
	struct rk_new what = { .mode = S_IFREG | 0600 };
	const char *name = w->name[i];
	struct rk_stat st;
	int rc, n = 0;

	switch (dice(seed, 8)) {
	case 0:
		ok(im->d->write(im->fs, ino, "data", 4, dice(seed, 99999)));
		break;
	case 1:
		set.size = dice(seed, 99999);
		while ((rc = im->d->setattr(im->fs, ino, &set, &st)) == 1)
			cr_assert(++n < 1000);
		ok(rc);
		break;
	case 2:
		ok(im->d->setxattr(im->fs, ino, "user.big", name,
				   strlen(name), 0));
		break;
	case 3:
		ok(im->d->create(im->fs, ino, "new", 3, &what, &st));
		break;
	case 4:
		ok(im->d->rename(im->fs, dir, name, strlen(name), im->root,
				 "moved", 5, 0, &st));
		break;
	case 5:
		ok(im->d->fallocate(im->fs, ino, 3, 5000, 50000));
		break;
	case 6:
		ok(im->d->link(im->fs, ino, dir, "link", 4, &st));
		break;
	default:
		memset(&st, 0, sizeof(st));
		rc = im->d->unlink(im->fs, dir, name, strlen(name),
				   dice(seed, 3) == 0, &st);
		ok(rc);
		while (rc >= 0 && !st.nlink &&
		       (rc = im->d->reclaim(im->fs, st.ino)) == 1)
			cr_assert(++n < 1000);
	}
}

static void use(struct image *im, unsigned seed)
{
	static struct walk w;
	struct rk_statfs sf;
	unsigned i;
	int rc;

	calls = 0;
	rc = image_mount(im, false);
	if (rc) {
		ok(rc);
		return;
	}
	w.im = im;
	w.ino[0] = im->root;
	w.n = 1;
	for (i = 0; i < w.n; i++) {
		w.dir = i;
		look(&w, w.ino[i]);
	}
	for (i = 1; i < w.n; i++)
		change(&w, i, &seed);
	for (i = 0; i < w.n && i < 50; i++)
		look(&w, w.ino[i]);
	ok(im->d->statfs(im->fs, &sf));
	ok(im->d->sync(im->fs));
	ok(im->d->unmount(im->fs));
}

/* A bit of everything, with orphans that nobody reclaimed. */
static void furnish(struct image *im)
{
	static char data[5000];
	struct rk_stat st;
	uint64_t dir = 0, ino = 0;
	char name[40];
	unsigned i, j;

	for (i = 0; i < 90; i++) {
		sprintf(name, "a-name-of-some-length-%u", i);
		cr_assert_eq(create(im, dir ? dir : im->root, name,
				    i % 10 ? S_IFREG | 0600 : S_IFDIR | 0700,
				    NULL, &ino), 0);
		if (i == 0)
			dir = ino;
		for (j = 0; i % 10 && j < i / 4; j++)
			im->d->write(im->fs, ino, data, 1000, j * 9000);
		im->d->setxattr(im->fs, ino, "user.big", data, 300 + i * 5, 0);
		if (i % 15 == 4)
			im->d->unlink(im->fs, dir, name, strlen(name), false,
				      &st);
	}
	memset(data, 'x', 200);
	cr_assert_eq(create(im, im->root, "link", S_IFLNK, data, NULL), 0);
	cr_assert_eq(im->d->sync(im->fs), 0);
}

/* Blocks that hold no file data: all that are not plain zeros or large. */
static unsigned interesting(const unsigned char *image, uint64_t size,
			    unsigned block, uint32_t *ret, unsigned max)
{
	unsigned n = 0, b, i;

	for (b = 0; b < size / block && n < max; b++) {
		const unsigned char *p = image + (uint64_t)b * block;

		for (i = 0; i < block && !p[i]; i++)
			;
		if (i < block)
			ret[n++] = b;
	}
	return n;
}

static void damage(const char *mkfs, unsigned block, unsigned rounds)
{
	static const char uuid[] = "6a0c1b7e-1111-2222-3333-444455556666";
	static uint32_t list[4096];
	char line[200];
	unsigned char *good;
	static struct image im;
	const char *more = getenv("RK_SEED");
	unsigned n, r, k, seed, from = more ? atoi(more) : 0;

	setenv("E2FSPROGS_FAKE_TIME", "1700000000", 1);
	snprintf(line, sizeof(line), "%s -U %s -E hash_seed=%s", mkfs, uuid,
		 uuid);
	image_create(&im, line, 8 << 20);
	disk = mmap(NULL, im.size, PROT_READ | PROT_WRITE, MAP_PRIVATE, im.fd,
		    0);
	cr_assert(disk != MAP_FAILED);
	im.host.read = mem_read;
	im.host.write = im.host.write_new = mem_write;
	cr_assert_eq(image_mount(&im, false), 0, "%s", im.said);
	furnish(&im);
	im.lost[0] = im.fs;
	good = malloc(im.size);
	memcpy(good, disk, im.size);
	n = interesting(good, im.size, block, list, 4096);
	for (r = 0; r < rounds; r++) {
		seed = (r + from) * 7919 + 1;
		memcpy(disk, good, im.size);
		for (k = 1 + dice(&seed, 12); k; k--) {
			uint64_t b = list[dice(&seed, n)];
			unsigned char *p = disk + b * block +
					   dice(&seed, block);

			*p = dice(&seed, 3) ? dice(&seed, 256)
					    : *p ^ 1u << dice(&seed, 8);
		}
		use(&im, seed);
	}
	free(good);
	munmap(disk, im.size);
	image_destroy(&im);
}

/* Without checksums, so that the damage gets through. */
#define PLAIN "^metadata_csum,^uninit_bg,^has_journal"

Test(ext4_damage, extents_1k)
{
	damage("-t ext4 -b 1024 -N 256 -O " PLAIN, 1024, 900);
}

Test(ext4_damage, extents_4k)
{
	damage("-t ext4 -b 4096 -N 256 -O " PLAIN, 4096, 400);
}

Test(ext4_damage, pointers)
{
	damage("-t ext2 -b 1024 -N 256", 1024, 500);
}

Test(ext4_damage, inline_data)
{
	damage("-t ext4 -b 1024 -N 256 -O inline_data," PLAIN, 1024, 500);
}

Test(ext4_damage, checksums)
{
	damage("-t ext4 -b 1024 -N 256", 1024, 300);
}
