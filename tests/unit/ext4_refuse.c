/*
 * ext4_refuse.c - what the ext4 driver does not mount: one clear sentence,
 * and not a byte of the image is written.
 */
#include "ext4_host.h"

static uint64_t sum_of(struct image *im)
{
	static uint64_t buf[8192];
	uint64_t sum = 0, at;
	size_t i;

	for (at = 0; at < im->size; at += sizeof(buf)) {
		memset(buf, 0, sizeof(buf));
		cr_assert(pread(im->fd, buf, sizeof(buf), at) >= 0);
		for (i = 0; i < sizeof(buf) / sizeof(*buf); i++)
			sum = (sum << 7 | sum >> 57) ^ buf[i];
	}
	return sum;
}

static void refused(struct image *im, int rc, bool read_only,
		    const char *sentence)
{
	uint64_t before = sum_of(im);
	int got = image_mount(im, read_only);

	cr_expect_eq(got, rc, "%s: %d", sentence, got);
	cr_expect(strstr(im->said, sentence), "it said: %s", im->said);
	cr_expect(!strchr(im->said, '\n'));
	cr_expect_eq(im->writes, 0);
	cr_expect_eq(sum_of(im), before);
}

static void poke(struct image *im, uint64_t off, const void *bytes, size_t n)
{
	cr_assert_eq(pwrite(im->fd, bytes, n, off), (ssize_t)n);
}

static void begin(struct image *im, const char *mkfs)
{
	image_create(im, mkfs, 16 << 20);
}

Test(ext4_refuse, not_ext4)
{
	struct image im;
	char zeros[4096] = { 0 };

	begin(&im, "-t ext4");
	poke(&im, 0, zeros, sizeof(zeros));
	refused(&im, -EINVAL, false, "not an ext2, ext3 or ext4 file system");
	im.size = 100;
	refused(&im, -EINVAL, false, "not an ext2, ext3 or ext4 file system");
	image_destroy(&im);
}

Test(ext4_refuse, truncated)
{
	struct image im;

	begin(&im, "-t ext4");
	im.size -= 4096;
	refused(&im, -EINVAL, false, "the image is truncated");
	image_destroy(&im);
}

Test(ext4_refuse, damaged_superblock)
{
	struct image im;

	begin(&im, "-t ext4");
	poke(&im, 1024 + 40, "\7\7\7\7", 4);
	refused(&im, -EUCLEAN, false, "damaged");
	poke(&im, 1024 + 24, "\77\77\77\77", 4);
	refused(&im, -EUCLEAN, false, "damaged (block size)");
	image_destroy(&im);
}

Test(ext4_refuse, damaged_descriptors)
{
	struct image im;

	begin(&im, "-t ext4 -b 4096");
	poke(&im, 4096 + 8, "\377\377\377", 3);
	refused(&im, -EUCLEAN, false, "group descriptors are damaged");
	refused(&im, -EUCLEAN, true, "group descriptors are damaged");
	image_destroy(&im);
}

Test(ext4_refuse, damaged_descriptors_no_sum)
{
	struct image im;

	begin(&im, "-t ext4 -b 4096 -O ^metadata_csum,^uninit_bg");
	poke(&im, 4096 + 8, "\377\377\377", 3);
	refused(&im, -EUCLEAN, false, "group descriptors are damaged");
	image_destroy(&im);
}

Test(ext4_refuse, damaged_bitmap)
{
	struct image im;

	begin(&im, "-t ext4 -b 4096");
	run("dumpe2fs %s 2>/dev/null | sed -n 's/.*Block bitmap at "
	    "\\([0-9]*\\).*/\\1/p' | head -1 | "
	    "xargs -I{} dd if=/dev/urandom of=%s bs=4096 seek={} count=1 "
	    "conv=notrunc status=none", im.path, im.path);
	refused(&im, -EUCLEAN, false, "bitmaps are damaged");
	image_destroy(&im);
}

Test(ext4_refuse, damaged_root)
{
	struct image im;

	begin(&im, "-t ext4 -b 4096");
	run("debugfs -w -R 'set_inode_field <2> mode 0' %s >%s/log 2>&1",
	    im.path, im.dir);
	refused(&im, -EUCLEAN, false, "root directory is damaged");
	image_destroy(&im);
}

Test(ext4_refuse, unknown_option)
{
	const char *const option[] = { "wings=2" };
	struct rk_mount_options opt = { .option = option, .n_options = 1 };
	struct image im;
	bool recovery;

	begin(&im, "-t ext4");
	cr_assert_eq(im.d->mount(&im.host, &opt, &im.fs, &im.root, &recovery),
		     -EINVAL);
	cr_assert(strstr(im.said, "unknown option 'wings=2'"));
	image_destroy(&im);
}

Test(ext4_refuse, features)
{
	struct image im;

	begin(&im, "-t ext4 -O bigalloc");
	refused(&im, -EINVAL, false, "feature 'bigalloc' is not supported");
	image_destroy(&im);
	begin(&im, "-t ext4 -O ea_inode");
	refused(&im, -EINVAL, false, "feature 'ea_inode' is not supported");
	image_destroy(&im);
	begin(&im, "-t ext4 -O encrypt");
	refused(&im, -EINVAL, true, "feature 'encrypt' is not supported");
	image_destroy(&im);
	begin(&im, "-t ext4 -O quota");
	refused(&im, -EINVAL, false, "feature 'quota' is not supported for "
		"writing; mount it read-only");
	cr_assert_eq(image_mount(&im, true), 0);
	image_unmount(&im);
	cr_assert_eq(im.writes, 0);
	image_destroy(&im);
}

Test(ext4_refuse, needs_recovery)
{
	struct rk_mount_options opt = { .read_only = false };
	struct image im;
	bool recovery = false;

	begin(&im, "-t ext4");
	run("debugfs -w -R 'feature needs_recovery' %s >%s/log 2>&1", im.path,
	    im.dir);
	refused(&im, -EUCLEAN, false, "the journal needs recovery");
	cr_assert_eq(im.d->mount(&im.host, &opt, &im.fs, &im.root, &recovery),
		     -EUCLEAN);
	cr_assert(recovery);
	refused(&im, -EUCLEAN, true, "needs recovery, which needs a writable");
	image_destroy(&im);
}
