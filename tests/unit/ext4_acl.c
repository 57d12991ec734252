/*
 * ext4_acl.c - access lists between the form of system calls and the one that
 * ext4 keeps on the device, and where the blocks of a file lie.
 */
#include <linux/fiemap.h>
#include "ext4_host.h"

#define ACCESS "system.posix_acl_access"

struct list {
	uint32_t version;
	struct {
		uint16_t tag, perm;
		uint32_t id;
	} entry[6];
};

static const struct list full = { 2, {
	{ 0x01, 7, UINT32_MAX }, { 0x02, 6, 1000 }, { 0x04, 5, UINT32_MAX },
	{ 0x08, 4, 2000 }, { 0x10, 7, UINT32_MAX }, { 0x20, 0, UINT32_MAX },
} };

static struct image im;
static uint64_t ino;

static void start(void)
{
	image_create(&im, "-t ext4", 8 << 20);
	cr_assert_eq(image_mount(&im, false), 0);
	cr_assert_eq(create(&im, im.root, "f", S_IFREG | 0644, NULL, &ino),
		     0);
}

static void finish(void)
{
	image_sync(&im);
	image_check(&im);
	image_unmount(&im);
	image_destroy(&im);
}

TestSuite(ext4_acl, .init = start, .fini = finish);

static int set(const struct list *l, size_t size)
{
	return im.d->setxattr(im.fs, ino, ACCESS, l, size, 0);
}

Test(ext4_acl, comes_back_as_it_was)
{
	struct list back = { 0 };
	char names[64];

	cr_assert_eq(set(&full, sizeof full), 0);
	cr_expect_eq(im.d->getxattr(im.fs, ino, ACCESS, NULL, 0),
		     (int)sizeof full);
	cr_expect_eq(im.d->getxattr(im.fs, ino, ACCESS, &back, sizeof back),
		     (int)sizeof full);
	cr_expect(!memcmp(&back, &full, sizeof full));
	cr_expect_eq(im.d->getxattr(im.fs, ino, ACCESS, &back, 11), -ERANGE);
	cr_expect_eq(im.d->listxattr(im.fs, ino, names, sizeof names),
		     (int)sizeof ACCESS);
	cr_expect_str_eq(names, ACCESS);
	/* And from the device, by a driver that remembers nothing. */
	image_sync(&im);
	image_unmount(&im);
	cr_assert_eq(image_mount(&im, false), 0);
	memset(&back, 0, sizeof back);
	cr_expect_eq(im.d->getxattr(im.fs, ino, ACCESS, &back, sizeof back),
		     (int)sizeof full);
	cr_expect(!memcmp(&back, &full, sizeof full));
	cr_expect_eq(im.d->removexattr(im.fs, ino, ACCESS), 0);
	cr_expect_eq(im.d->getxattr(im.fs, ino, ACCESS, NULL, 0), -ENODATA);
}

Test(ext4_acl, what_is_no_list_is_not_kept)
{
	struct list bad = full;

	cr_expect_eq(set(&full, 3), -EINVAL);
	cr_expect_eq(set(&full, sizeof full - 1), -EINVAL);
	bad.version = 1;
	cr_expect_eq(set(&bad, sizeof bad), -EOPNOTSUPP);
	bad = full;
	bad.entry[2].tag = 3;
	cr_expect_eq(set(&bad, sizeof bad), -EINVAL);
	bad = full;
	bad.entry[5].perm = 8;
	cr_expect_eq(set(&bad, sizeof bad), -EINVAL);
	cr_expect_eq(im.d->getxattr(im.fs, ino, ACCESS, NULL, 0), -ENODATA);
}

/* --- where its blocks lie ------------------------------------------------------- */

static struct {
	unsigned n;
	uint64_t logical[8], physical[8], len[8];
	uint32_t flags[8];
} found;

static int note(void *arg, uint64_t logical, uint64_t physical, uint64_t len,
		uint32_t flags)
{
	cr_assert_lt(found.n, 8u);
	found.logical[found.n] = logical;
	found.physical[found.n] = physical;
	found.len[found.n] = len;
	found.flags[found.n++] = flags;
	return 0;
}

Test(ext4_acl, extents_hold_what_was_written)
{
	static uint8_t data[64 << 10], back[64 << 10];

	memset(data, 'd', sizeof data);
	cr_assert_eq(im.d->write(im.fs, ino, data, sizeof data, 0),
		     (int64_t)sizeof data);
	cr_assert_eq(im.d->write(im.fs, ino, data, 4096, 1 << 20), 4096);
	cr_assert_eq(im.d->fallocate(im.fs, ino, 0, 2 << 20, 8192), 0);
	image_sync(&im);
	cr_assert_eq(im.d->fiemap(im.fs, ino, 0, UINT64_MAX, note, NULL), 0);
	cr_expect_eq(found.n, 3u);
	cr_expect_eq(found.logical[0], 0u);
	cr_expect_eq(found.len[0], sizeof data);
	cr_expect_eq(found.logical[1], 1u << 20);
	cr_expect_eq(found.logical[2], 2u << 20);
	cr_expect_eq(found.flags[2], FIEMAP_EXTENT_UNWRITTEN);
	cr_expect_eq(image_read(&im, back, found.len[0], found.physical[0]), 0);
	cr_expect(!memcmp(back, data, sizeof data), "it lies there");
	found.n = 0;
	cr_assert_eq(im.d->fiemap(im.fs, ino, 1 << 20, 2 << 20, note, NULL), 0);
	cr_expect_eq(found.n, 1u);
}
