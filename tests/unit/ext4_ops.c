/*
 * ext4_ops.c - the ext4 driver's ops one by one: what they answer, what they
 * refuse, and that e2fsck agrees afterwards.
 */
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include "ext4_host.h"

static struct image im;

static void begin(const char *mkfs, unsigned mib)
{
	image_create(&im, mkfs, (uint64_t)mib << 20);
	cr_assert_eq(image_mount(&im, false), 0, "%s", im.said);
}

static void end(void)
{
	image_unmount(&im);
	image_check(&im);
	image_destroy(&im);
}

static void again(void)
{
	image_sync(&im);
	image_unmount(&im);
	cr_assert_eq(image_mount(&im, false), 0, "%s", im.said);
}

static uint64_t make(uint64_t dir, const char *name, uint32_t mode)
{
	uint64_t ino = 0;
	int rc = create(&im, dir, name, mode, S_ISLNK(mode) ? "t" : NULL,
			&ino);

	cr_assert_eq(rc, 0, "create %s: %d", name, rc);
	return ino;
}

static struct rk_stat stat_of(uint64_t ino)
{
	struct rk_stat st;

	memset(&st, 0, sizeof(st));
	cr_assert_eq(im.d->getattr(im.fs, ino, &st), 0);
	return st;
}

static int set_size(uint64_t ino, uint64_t size)
{
	struct rk_setattr set = { .valid = RK_SET_SIZE, .size = size };
	struct rk_stat st;

	return im.d->setattr(im.fs, ino, &set, &st);
}

static int rename_to(uint64_t a, const char *x, uint64_t b, const char *y,
		     uint32_t flags, struct rk_stat *victim)
{
	return im.d->rename(im.fs, a, x, strlen(x), b, y, strlen(y), flags,
			    victim);
}

static int lookup(uint64_t dir, const char *name, struct rk_stat *st)
{
	return im.d->lookup(im.fs, dir, name, strlen(name), st);
}

/* --- attributes --------------------------------------------------------- */

static int set(uint64_t ino, const char *name, const char *value, size_t len,
	       uint32_t flags)
{
	return im.d->setxattr(im.fs, ino, name, value, len, flags);
}

static void has(uint64_t ino, const char *name, const char *value, size_t len)
{
	char buf[4096];

	cr_assert_eq(im.d->getxattr(im.fs, ino, name, NULL, 0), len);
	cr_assert_eq(im.d->getxattr(im.fs, ino, name, buf, sizeof(buf)), len);
	cr_assert(!memcmp(buf, value, len));
}

static void xattrs(const char *mkfs)
{
	char big[3000], list[256];
	uint64_t f;

	begin(mkfs, 32);
	f = make(im.root, "f", S_IFREG | 0644);
	memset(big, 'b', sizeof(big));
	cr_assert_eq(im.d->getxattr(im.fs, f, "user.a", NULL, 0), -ENODATA);
	cr_assert_eq(im.d->listxattr(im.fs, f, NULL, 0), 0);
	cr_assert_eq(set(f, "user.a", "1", 1, XATTR_REPLACE), -ENODATA);
	cr_assert_eq(set(f, "user.a", "1", 1, XATTR_CREATE), 0);
	cr_assert_eq(set(f, "user.a", "2", 1, XATTR_CREATE), -EEXIST);
	cr_assert_eq(set(f, "user.a", "22", 2, XATTR_REPLACE), 0);
	cr_assert_eq(set(f, "user.empty", "", 0, 0), 0);
	cr_assert_eq(set(f, "trusted.t", "x", 1, 0), 0);
	cr_assert_eq(set(f, "security.s", "y", 1, 0), 0);
	cr_assert_eq(set(f, "user.big", big, 700, 0), 0);
	image_sync(&im);
	has(f, "user.a", "22", 2);
	has(f, "user.empty", "", 0);
	has(f, "user.big", big, 700);
	cr_assert_eq(im.d->getxattr(im.fs, f, "user.big", list, 5), -ERANGE);
	cr_assert_eq(im.d->listxattr(im.fs, f, NULL, 0), 48);
	cr_assert_eq(im.d->listxattr(im.fs, f, list, 47), -ERANGE);
	cr_assert_eq(im.d->listxattr(im.fs, f, list, 256), 48);
	cr_assert_eq(set(f, "user.", "x", 1, 0), -EINVAL);
	cr_assert_eq(set(f, "other.x", "x", 1, 0), -EOPNOTSUPP);
	cr_assert_eq(set(f, "system.data", "x", 1, 0), -EOPNOTSUPP);
	cr_assert_eq(set(f, "user.huge", list, 65537, 0), -E2BIG);
	cr_assert_eq(im.d->write(im.fs, f, big, 3000, 100), 3000);
	again();
	has(f, "user.big", big, 700);
	cr_assert_eq(im.d->removexattr(im.fs, f, "user.big"), 0);
	cr_assert_eq(im.d->removexattr(im.fs, f, "user.big"), -ENODATA);
	has(f, "user.a", "22", 2);
	image_sync(&im);
	cr_assert_eq(set(f, "user.big", big, 500, 0), 0);
	cr_assert_eq(gone(&im, im.root, "f", false), 0);
	end();
}

Test(ext4_ops, xattrs)
{
	xattrs("-t ext4 -b 4096");
}

Test(ext4_ops, xattrs_1k)
{
	xattrs("-t ext4 -b 1024");
}

Test(ext4_ops, xattrs_small_inodes)
{
	xattrs("-t ext4 -b 1024 -I 128");
}

/* version 2; user::rw- user:5:r-- group::r-- mask::r-- other::--- */
static const unsigned char acl[] = {
	2, 0, 0, 0,
	1, 0, 6, 0, 255, 255, 255, 255,
	2, 0, 4, 0, 5, 0, 0, 0,
	4, 0, 4, 0, 255, 255, 255, 255,
	16, 0, 4, 0, 255, 255, 255, 255,
	32, 0, 0, 0, 255, 255, 255, 255,
};

Test(ext4_ops, acls)
{
	const char *name = "system.posix_acl_access";
	const char *value = (const char *)acl;
	uint64_t d;

	begin("-t ext4", 32);
	d = make(im.root, "d", S_IFDIR | 0755);
	cr_assert_eq(set(d, name, value, sizeof(acl), 0), 0);
	cr_assert_eq(set(d, "system.posix_acl_default", value, sizeof(acl),
			 0), 0);
	cr_assert_eq(set(d, name, value, 5, 0), -EINVAL);
	cr_assert_eq(set(d, name, "\3\0\0\0", 4, 0), -EOPNOTSUPP);
	has(d, name, value, sizeof(acl));
	image_sync(&im);
	run("debugfs -R 'ea_list d' %s 2>/dev/null >%s/log", im.path, im.dir);
	cr_assert_eq(run("grep -q 'posix_acl_access (28)' %s/log", im.dir, ""),
		     0);
	again();
	has(d, "system.posix_acl_default", value, sizeof(acl));
	cr_assert_eq(im.d->removexattr(im.fs, d, name), 0);
	end();
}

Test(ext4_ops, setattr)
{
	struct rk_setattr s = { .valid = 0x7f & ~RK_SET_SIZE, .mode = 06751,
		.uid = 0x12345678, .gid = 0x87654321,
		.atime = { -5, 1, 0 }, .mtime = { 1ll << 33, 999999999, 0 },
		.ctime = { 7, 8, 0 } };
	struct rk_stat st;
	uint64_t f;

	begin("-t ext4", 32);
	f = make(im.root, "f", S_IFREG | 0644);
	cr_assert_eq(im.d->setattr(im.fs, f, &s, &st), 0);
	again();
	st = stat_of(f);
	cr_assert_eq(st.mode, S_IFREG | 06751);
	cr_assert_eq(st.uid, s.uid);
	cr_assert_eq(st.gid, s.gid);
	cr_assert_eq(st.atime.sec, -5);
	cr_assert_eq(st.atime.nsec, 1);
	cr_assert_eq(st.mtime.sec, 1ll << 33);
	cr_assert_eq(st.mtime.nsec, 999999999);
	cr_assert_eq(st.ctime.sec, 7);
	cr_assert(st.btime.sec > 1600000000);
	cr_assert_eq(set_size(im.root, 0), -EISDIR);
	cr_assert_eq(set_size(f, 1ull << 62), -EFBIG);
	cr_assert_eq(im.d->setattr(im.fs, 11111, &s, &st), -ESTALE);
	end();
}

/* --- kinds of objects --------------------------------------------------- */

static void link_of(const char *name, size_t len)
{
	char target[4096], buf[4096];
	uint64_t ino = 0;

	memset(target, 'l', len);
	target[len] = 0;
	cr_assert_eq(create(&im, im.root, name, S_IFLNK | 0777, target, &ino),
		     0);
	cr_assert_eq(stat_of(ino).size, len);
	cr_assert_eq(im.d->readlink(im.fs, ino, buf, sizeof(buf)), len);
	cr_assert(!memcmp(buf, target, len));
	cr_assert_eq(im.d->readlink(im.fs, ino, buf, 3), len < 3 ? len : 3);
}

Test(ext4_ops, symlinks)
{
	char target[5000];

	begin("-t ext4 -b 4096", 32);
	link_of("one", 1);
	link_of("fast", 59);
	link_of("slow", 60);
	link_of("long", 4095);
	memset(target, 'x', 4096);
	target[4096] = 0;
	cr_assert_eq(create(&im, im.root, "no", S_IFLNK | 0777, target, NULL),
		     -ENAMETOOLONG);
	cr_assert_eq(create(&im, im.root, "no", S_IFLNK | 0777, "", NULL),
		     -ENOENT);
	image_sync(&im);
	cr_assert_eq(gone(&im, im.root, "fast", false), 0);
	cr_assert_eq(gone(&im, im.root, "long", false), 0);
	end();
}

Test(ext4_ops, devices)
{
	static const uint32_t kinds[] = { S_IFCHR, S_IFBLK, S_IFIFO,
					  S_IFSOCK };
	const uint64_t devs[] = { makedev(1, 3), makedev(300, 70000),
					 makedev(4095, 0xfffff) };
	struct rk_stat st;
	char name[16];
	size_t i, j;

	begin("-t ext4", 32);
	for (i = 0; i < 4; i++)
		for (j = 0; j < 3; j++) {
			struct rk_new what = { .mode = kinds[i] | 0600,
					       .rdev = devs[j] };

			sprintf(name, "n%zu%zu", i, j);
			cr_assert_eq(im.d->create(im.fs, im.root, name, 3,
						  &what, &st), 0);
			st = stat_of(st.ino);
			cr_assert_eq(st.mode, kinds[i] | 0600);
			cr_assert_eq(st.rdev, i < 2 ? devs[j] : 0);
			cr_assert_eq(im.d->read(im.fs, st.ino, name, 1, 0),
				     -EINVAL);
			cr_assert_eq(im.d->write(im.fs, st.ino, name, 1, 0),
				     -EINVAL);
		}
	cr_assert_eq(gone(&im, im.root, "n10", false), 0);
	end();
}

Test(ext4_ops, link_limit)
{
	char name[16];
	struct rk_stat st;
	uint64_t f, d;
	int i;

	begin("-t ext4 -b 1024 -O ^dir_nlink -N 70000 -I 128", 128);
	f = make(im.root, "f", S_IFREG | 0644);
	d = make(im.root, "d", S_IFDIR | 0755);
	for (i = 1; i < 65000; i++) {
		sprintf(name, "l%d", i);
		cr_assert_eq(im.d->link(im.fs, f, d, name, strlen(name), &st),
			     0);
	}
	cr_assert_eq(im.d->link(im.fs, f, d, "x", 1, &st), -EMLINK);
	cr_assert_eq(im.d->link(im.fs, d, d, "x", 1, &st), -EPERM);
	cr_assert_eq(stat_of(f).nlink, 65000);
	for (i = 1; i < 65000; i++) {
		sprintf(name, "l%d", i);
		cr_assert_eq(gone(&im, d, name, false), 0);
	}
	for (i = 2; i < 65000; i++) {
		sprintf(name, "s%d", i);
		cr_assert_eq(create(&im, d, name, S_IFDIR | 0700, NULL, NULL),
			     0);
	}
	cr_assert_eq(create(&im, d, "x", S_IFDIR | 0700, NULL, NULL),
		     -EMLINK);
	make(im.root, "e", S_IFDIR | 0700);
	cr_assert_eq(rename_to(im.root, "e", d, "e", 0, &st), -EMLINK);
	end();
}

/* --- renaming directories ----------------------------------------------- */

Test(ext4_ops, rename_directories)
{
	uint64_t a, b, x, y;
	struct rk_stat st;

	begin("-t ext4", 32);
	a = make(im.root, "a", S_IFDIR | 0755);
	b = make(im.root, "b", S_IFDIR | 0755);
	x = make(a, "x", S_IFDIR | 0755);
	y = make(b, "y", S_IFDIR | 0755);
	make(x, "f", S_IFREG | 0644);
	cr_assert_eq(rename_to(a, "x", b, "y", 2, &st), 0);
	cr_assert_eq(lookup(x, "..", &st), 0);
	cr_assert_eq(st.ino, b);
	cr_assert_eq(lookup(y, "..", &st), 0);
	cr_assert_eq(st.ino, a);
	image_sync(&im);
	cr_assert_eq(rename_to(b, "y", a, "x", 1, &st), -EEXIST);
	cr_assert_eq(rename_to(a, "x", b, "y", 0, &st), -ENOTEMPTY);
	cr_assert_eq(rename_to(b, "y", a, "x", 0, &st), 0);
	cr_assert_eq(st.ino, y);
	cr_assert_eq(st.nlink, 0);
	cr_assert_eq(im.d->reclaim(im.fs, y), 0);
	cr_assert_eq(stat_of(a).nlink, 3);
	cr_assert_eq(stat_of(b).nlink, 2);
	image_sync(&im);
	make(b, "file", S_IFREG | 0644);
	cr_assert_eq(rename_to(a, "x", b, "file", 0, &st), -ENOTDIR);
	cr_assert_eq(rename_to(b, "file", a, "x", 0, &st), -EISDIR);
	cr_assert_eq(rename_to(a, "x", b, "file", 2, &st), 0);
	cr_assert_eq(rename_to(a, "x", a, "x", 0, &st), 0);
	cr_assert_eq(rename_to(a, "q", a, "x", 0, &st), -ENOENT);
	image_sync(&im);
	cr_assert_eq(gone(&im, b, "file", true), -ENOTEMPTY);
	cr_assert_eq(gone(&im, b, "file", false), -EISDIR);
	cr_assert_eq(gone(&im, a, "x", true), -ENOTDIR);
	cr_assert_eq(gone(&im, im.root, "b", true), -ENOTEMPTY);
	cr_assert_eq(gone(&im, a, "x", false), 0);
	cr_assert_eq(gone(&im, im.root, "a", true), 0);
	cr_assert_eq(create(&im, a, "f", S_IFREG, NULL, NULL), -ESTALE);
	end();
}

/* --- large files, holes, stages, orphans -------------------------------- */

static uint64_t seek(uint64_t ino, uint64_t off, bool hole)
{
	uint64_t at = ~0ull;
	int rc = im.d->seek(im.fs, ino, off, hole, &at);

	return rc ? (uint64_t)rc : at;
}

Test(ext4_ops, holes_beyond_4g)
{
	uint64_t far = 5ull << 30, f;
	char buf[8192];

	begin("-t ext4 -b 4096", 32);
	f = make(im.root, "f", S_IFREG | 0644);
	cr_assert_eq(im.d->write(im.fs, f, "abc", 3, far + 5), 3);
	cr_assert_eq(im.d->write(im.fs, f, "x", 1, 8192), 1);
	cr_assert_eq(stat_of(f).size, far + 8);
	cr_assert_eq(im.d->read(im.fs, f, buf, 8192, far - 1), 9);
	cr_assert(!memcmp(buf, "\0\0\0\0\0\0abc", 9));
	cr_assert_eq(seek(f, 0, false), 8192);
	cr_assert_eq(seek(f, 0, true), 0);
	cr_assert_eq(seek(f, 8200, false), 8200);
	cr_assert_eq(seek(f, 8200, true), 12288);
	cr_assert_eq(seek(f, 12288, false), far);
	cr_assert_eq(seek(f, far, true), far + 8);
	cr_assert_eq(seek(f, far + 8, false), -ENXIO);
	cr_assert_eq(im.d->write(im.fs, f, buf, 1, 1ull << 62), -EFBIG);
	image_sync(&im);
	cr_assert_eq(set_size(f, far + 6), 0);
	cr_assert_eq(set_size(f, far + 100), 0);
	cr_assert_eq(im.d->read(im.fs, f, buf, 8192, far + 5), 95);
	cr_assert(buf[0] == 'a' && !buf[1] && !buf[2]);
	cr_assert_eq(im.d->fallocate(im.fs, f, 0, far, 1 << 20), 0);
	cr_assert_eq(seek(f, far + 4096, false), -ENXIO);
	cr_assert_eq(im.d->fallocate(im.fs, f, 3, 8192, 4096), 0);
	cr_assert_eq(seek(f, 0, false), far);
	end();
}

/* Every second block, so that the tree is deep, then 128 MiB in a row. */
static uint64_t large_file(void)
{
	static char buf[1 << 20];
	uint64_t f = make(im.root, "large", S_IFREG | 0644), at;

	memset(buf, 'L', sizeof(buf));
	for (at = 0; at < 3000; at++)
		cr_assert_eq(im.d->write(im.fs, f, buf, 4096, at * 8192),
			     4096);
	for (at = 32; at < 160; at++)
		cr_assert_eq(im.d->write(im.fs, f, buf, sizeof(buf),
					 at << 20), sizeof(buf));
	return f;
}

static uint64_t free_blocks(void)
{
	struct rk_statfs st;

	cr_assert_eq(im.d->statfs(im.fs, &st), 0);
	cr_assert(st.bavail <= st.bfree && st.bfree <= st.blocks);
	cr_assert(st.ffree <= st.files && st.namelen == 255);
	return st.bfree;
}

/* The server is killed, and so is everything: the device stays as it was at
 * the last sync. */
static void crash(void)
{
	cr_assert_eq(im.d->sync(im.fs), 0);
	im.lost[im.n_lost++ % 8] = im.fs;
	cr_assert_eq(image_mount(&im, false), 0, "%s", im.said);
}

Test(ext4_ops, orphans_survive)
{
	struct rk_stat st;
	uint64_t before, f, d, tail;
	char name[8];
	int i;

	begin("-t ext4 -b 4096", 256);
	before = free_blocks();
	f = large_file();
	d = make(im.root, "d", S_IFDIR | 0700);
	for (i = 0; i < 9; i++) {
		sprintf(name, "o%d", i);
		make(im.root, name, S_IFREG | 0600);
		cr_assert_eq(im.d->unlink(im.fs, im.root, name, 2, false,
					  &st), 0);
		tail = st.ino;
	}
	cr_assert_eq(im.d->unlink(im.fs, im.root, "large", 5, false, &st), 0);
	cr_assert_eq(im.d->unlink(im.fs, im.root, "d", 1, true, &st), 0);
	cr_assert_eq(im.d->write(im.fs, f, "still", 5, 0), 5);
	cr_assert_eq(im.d->reclaim(im.fs, tail), 0);
	cr_assert_eq(im.d->reclaim(im.fs, f), 1);
	cr_assert_eq(stat_of(f).nlink, 0);
	crash();
	image_sync(&im);
	cr_assert_eq(free_blocks(), before);
	cr_assert_eq(im.d->getattr(im.fs, f, &st), -ESTALE);
	cr_assert_eq(im.d->getattr(im.fs, d, &st), -ESTALE);
	end();
}

Test(ext4_ops, truncation_in_stages)
{
	struct rk_stat st;
	uint64_t before, f;
	char buf[4096];
	int rc;

	begin("-t ext4 -b 4096", 256);
	before = free_blocks();
	f = large_file();
	cr_assert_eq(set_size(f, 5000), 1);
	cr_assert_eq(stat_of(f).size, 5000);
	crash();
	image_sync(&im);
	cr_assert_eq(stat_of(f).size, 5000);
	cr_assert(free_blocks() >= before - 4);
	cr_assert_eq(im.d->read(im.fs, f, buf, 4096, 0), 4096);
	cr_assert_eq(buf[4095], 'L');
	cr_assert_eq(gone(&im, im.root, "large", false), 0);
	image_sync(&im);
	f = large_file();
	cr_assert_eq(set_size(f, 5000), 1);
	/* What is behind the end must not come back. */
	cr_assert_eq(im.d->write(im.fs, f, "x", 1, 150 << 20), 1);
	cr_assert_eq(im.d->read(im.fs, f, buf, 4096, 120 << 20), 4096);
	cr_assert(buf[0] == 0 && !memcmp(buf, buf + 1, 4095));
	image_sync(&im);
	cr_assert_eq(gone(&im, im.root, "large", false), 0);
	f = large_file();
	rc = set_size(f, 0);
	cr_assert_eq(rc, 1, "%d", rc);
	cr_assert_eq(im.d->unlink(im.fs, im.root, "large", 5, false, &st), 0);
	crash();
	image_sync(&im);
	cr_assert_eq(free_blocks(), before);
	end();
}

/* --- inline data made by others ----------------------------------------- */

static void other_tool(const char *command)
{
	char line[300];

	snprintf(line, sizeof(line), "debugfs -w -R '%s' %%s >%%s/log 2>&1",
		 command);
	cr_assert_eq(run(line, im.path, im.dir), 0);
}

static int sum(void *arg, const char *name, size_t len, uint64_t ino,
	       uint8_t type, uint64_t cookie)
{
	*(unsigned *)arg += name[0] != '.';
	return 0;
}

Test(ext4_ops, inline_data)
{
	char path[128], line[300], buf[4096], text[100];
	struct rk_stat st;
	unsigned n = 0, i;
	FILE *f;

	begin("-t ext4 -b 4096 -I 256 -O inline_data", 32);
	image_unmount(&im);
	snprintf(path, sizeof(path), "%s/small", im.dir);
	f = fopen(path, "w");
	cr_assert(f && fputs("inline text", f) >= 0 && !fclose(f));
	snprintf(line, sizeof(line), "write %s small", path);
	other_tool(line);
	f = fopen(path, "w");
	memset(text, 'i', sizeof(text));
	cr_assert(f && fwrite(text, 100, 1, f) == 1 && !fclose(f));
	snprintf(line, sizeof(line), "write %s middle", path);
	other_tool(line);
	other_tool("mkdir idir");
	for (i = 0; i < 4; i++) {
		snprintf(line, sizeof(line), "write %s idir/e%u", path, i);
		other_tool(line);
	}
	image_check(&im);
	cr_assert_eq(image_mount(&im, false), 0, "%s", im.said);
	cr_assert_eq(lookup(im.root, "small", &st), 0);
	cr_assert_eq(im.d->read(im.fs, st.ino, buf, 99, 0), 11);
	cr_assert(!memcmp(buf, "inline text", 11));
	cr_assert_eq(im.d->write(im.fs, st.ino, "TEXT", 4, 7), 4);
	cr_assert_eq(im.d->read(im.fs, st.ino, buf, 99, 0), 11);
	cr_assert(!memcmp(buf, "inline TEXT", 11));
	image_sync(&im);
	cr_assert_eq(lookup(im.root, "middle", &st), 0);
	cr_assert_eq(im.d->read(im.fs, st.ino, buf, 200, 0), 100);
	cr_assert(!memcmp(buf, text, 100));
	cr_assert_eq(set_size(st.ino, 50), 0);
	cr_assert_eq(set_size(st.ino, 60), 0);
	cr_assert_eq(im.d->read(im.fs, st.ino, buf, 200, 0), 60);
	cr_assert(buf[49] == 'i' && buf[50] == 0 && buf[59] == 0);
	image_sync(&im);
	cr_assert_eq(lookup(im.root, "idir", &st), 0);
	cr_assert_eq(im.d->readdir(im.fs, st.ino, 0, sum, &n), 0);
	cr_assert_eq(n, 4);
	cr_assert_eq(gone(&im, st.ino, "e1", false), 0);
	make(st.ino, "new", S_IFREG | 0644);
	n = 0;
	cr_assert_eq(im.d->readdir(im.fs, st.ino, 0, sum, &n), 0);
	cr_assert_eq(n, 4);
	cr_assert_eq(gone(&im, im.root, "middle", false), 0);
	end();
}
