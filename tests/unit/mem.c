/*
 * mem.c - the driver of files in memory, called as the server calls it: data
 * against a copy in an array, names against a list, and every limit.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include "driver.h"

static const struct rk_driver *d;
static void *fs;
static uint64_t root;
static char sentence[256];

static void host_change(void *ctx)
{
}

static struct rk_time host_now(void *ctx)
{
	static int64_t ticks;

	return (struct rk_time){ .sec = ++ticks };
}

static void host_complain(void *ctx, const char *text)
{
	snprintf(sentence, sizeof sentence, "%s", text);
}

static const struct rk_host host = {
	.change = host_change, .now = host_now, .complain = host_complain,
	.dirfd = -1,
};

static int mount_with(const char *const *option, size_t n)
{
	struct rk_mount_options o = { .option = option, .n_options = n };
	bool needs_recovery;

	return d->mount(&host, &o, &fs, &root, &needs_recovery);
}

static void setup(void)
{
	static const char *const option[] = { "size=32m", "nr_inodes=30k" };
	void *lib = dlopen(RK_DRIVER_DIR "/rump-driver-mem.so", RTLD_NOW);

	cr_assert(lib, "%s", dlerror());
	d = dlsym(lib, "rk_driver");
	cr_assert(d && d->abi == RK_DRIVER_ABI);
	cr_assert_eq(mount_with(option, 2), 0);
}

TestSuite(mem, .init = setup);

static uint64_t make(uint64_t dir, const char *name, uint32_t mode)
{
	struct rk_new what = { .mode = mode, .target = "to" };
	struct rk_stat st;

	cr_assert_eq(d->create(fs, dir, name, strlen(name), &what, &st), 0);
	return st.ino;
}

static int drop(uint64_t dir, const char *name, bool directory)
{
	struct rk_stat st;
	int r = d->unlink(fs, dir, name, strlen(name), directory, &st);

	while (r == 0 && st.nlink == 0 && d->reclaim(fs, st.ino) == 1)
		;
	return r;
}

static struct rk_stat look(uint64_t ino)
{
	struct rk_stat st;

	cr_assert_eq(d->getattr(fs, ino, &st), 0);
	return st;
}

static int resize(uint64_t ino, uint64_t size)
{
	struct rk_setattr set = { .valid = RK_SET_SIZE, .size = size };
	struct rk_stat st;
	int r;

	while ((r = d->setattr(fs, ino, &set, &st)) == 1)
		;
	return r;
}

static uint64_t free_blocks(void)
{
	struct rk_statfs s;

	cr_assert_eq(d->statfs(fs, &s), 0);
	return s.bfree;
}

/* --- data ------------------------------------------------------------------------ */

enum { ROOM = 3 << 20 };
static uint8_t model[ROOM], got[ROOM], bytes[ROOM];

static void check_file(uint64_t ino, uint64_t size)
{
	cr_assert_eq(look(ino).size, size);
	cr_assert_eq(d->read(fs, ino, got, ROOM, 0), (int64_t)size);
	cr_assert_eq(memcmp(got, model, size), 0);
}

/* No byte that is not zero lies in a hole, and no hole in data. */
static void check_holes(uint64_t ino, uint64_t size)
{
	uint64_t at = 0, next;

	while (at < size) {
		int r = d->seek(fs, ino, at, false, &next);

		if (r == -ENXIO)
			next = size;
		else
			cr_assert(r == 0 && next >= at && next < size);
		for (uint64_t i = at; i < next; i++)
			cr_assert_eq(model[i], 0, "%lu is in a hole", i);
		if (next == size)
			break;
		cr_assert_eq(d->seek(fs, ino, next, true, &at), 0);
		cr_assert(at > next && at <= size);
	}
}

Test(mem, data)
{
	uint64_t ino = make(root, "f", S_IFREG | 0644), size = 0;
	uint64_t before = free_blocks();

	srandom(7);
	for (size_t i = 0; i < ROOM; i++)
		bytes[i] = (uint8_t)(random() | 1);
	for (int n = 0; n < 4000; n++) {
		uint64_t off = random() % (ROOM / 2), len = random() % 20000;
		uint64_t end = off + len;

		switch (random() % 6) {
		case 0: case 1:
			cr_assert_eq(d->write(fs, ino, bytes + n, len, off),
				     (int64_t)len);
			memcpy(model + off, bytes + n, len);
			size = len && end > size ? end : size;
			break;
		case 2:
			cr_assert_eq(resize(ino, off), 0);
			if (off < size)
				memset(model + off, 0, size - off);
			size = off;
			break;
		case 3:
			cr_assert_eq(d->fallocate(fs, ino, FALLOC_FL_PUNCH_HOLE |
				     FALLOC_FL_KEEP_SIZE, off, len + 1), 0);
			memset(model + off, 0, len + 1);
			break;
		case 4:
			cr_assert_eq(d->fallocate(fs, ino, FALLOC_FL_ZERO_RANGE,
						  off, len + 1), 0);
			memset(model + off, 0, len + 1);
			size = end + 1 > size ? end + 1 : size;
			break;
		case 5:
			cr_assert_eq(d->fallocate(fs, ino, random() & 1 ?
				     FALLOC_FL_KEEP_SIZE : 0, off, len + 1), 0);
			if (look(ino).size > size)
				size = end + 1;
			break;
		}
		check_file(ino, size);
		if (n % 16 == 0)
			check_holes(ino, size);
		cr_assert_eq(before - free_blocks(), look(ino).blocks / 8);
	}
	cr_assert_eq(drop(root, "f", false), 0);
	cr_assert_eq(free_blocks(), before);
}

#define MAX (0xffffffffull << 12)

Test(mem, sparse)
{
	static const uint64_t at[] = {
		0, 4095, 1 << 20, (1ull << 32) - 1, 1ull << 40, MAX - 9,
	};
	uint64_t ino = make(root, "f", S_IFREG | 0644), where;
	uint64_t before = free_blocks();

	for (int i = 0; i < 6; i++)
		cr_assert_eq(d->write(fs, ino, "x", 1, at[i]), 1);
	cr_assert_eq(look(ino).size, MAX - 8);
	cr_assert_eq(d->write(fs, ino, "xyz", 3, MAX - 2), 2);
	cr_assert_eq(resize(ino, MAX + 1), -EFBIG);
	cr_assert_eq(before - free_blocks(), 5);
	for (int i = 1; i < 6; i++) {
		cr_assert_eq(d->read(fs, ino, got, 2, at[i] - 1), 2);
		cr_assert(got[0] == 0 && got[1] == 'x');
		cr_assert_eq(d->seek(fs, ino, at[i - 1] / 4096 * 4096 + 4096 +
				     (i == 1 ? -4096 : 0), false, &where), 0);
		cr_assert_eq(where, i == 1 ? 0 : at[i] / 4096 * 4096);
	}
	cr_assert_eq(resize(ino, (1ull << 40) + 1), 0);
	cr_assert_eq(resize(ino, 1), 0);
	cr_assert_eq(before - free_blocks(), 1);
	cr_assert_eq(d->write(fs, ino, "x", 1, MAX), -EFBIG);
	cr_assert_eq(drop(root, "f", false), 0);
}

Test(mem, a_cut_in_stages_never_shows_again)
{
	struct rk_setattr set = { .valid = RK_SET_SIZE, .size = 1 };
	uint64_t ino;
	struct rk_stat st;

	static const char *const option[] = { "size=200m" };

	cr_assert_eq(mount_with(option, 1), 0);
	ino = make(root, "f", S_IFREG | 0644);
	memset(bytes, 'x', ROOM);
	for (uint64_t off = 0; off < 120 << 20; off += ROOM)
		cr_assert_eq(d->write(fs, ino, bytes, ROOM, off), ROOM);
	cr_assert_eq(d->setattr(fs, ino, &set, &st), 1, "one stage is enough");
	cr_assert_eq(st.size, 1);
	/* somebody else comes in between */
	cr_assert_eq(d->write(fs, ino, "y", 1, 119 << 20), 1);
	cr_assert_eq(d->read(fs, ino, got, ROOM, 100 << 20), ROOM);
	for (int i = 0; i < ROOM; i++)
		cr_assert_eq(got[i], 0);
	cr_assert_eq(resize(ino, 0), 0);
	cr_assert_eq(look(ino).blocks, 0);
}

/* --- names ------------------------------------------------------------------------- */

enum { NAMES = 5000 };
static bool seen[2 * NAMES];
static unsigned count, stop_after;
static uint64_t last_cookie;

static int emit(void *arg, const char *name, size_t len, uint64_t ino,
		uint8_t type, uint64_t cookie)
{
	char text[256];
	unsigned n;

	if (count == stop_after)
		return 1;
	count++;
	last_cookie = cookie;
	snprintf(text, sizeof text, "%.*s", (int)len, name);
	if (sscanf(text, "name-%u", &n) == 1) {
		cr_assert_not(seen[n], "%s comes twice", text);
		seen[n] = true;
		cr_assert_eq(type, 8);
	}
	return 0;
}

Test(mem, listing_while_entries_come_and_go)
{
	char name[32];

	for (unsigned i = 0; i < NAMES; i++) {
		snprintf(name, sizeof name, "name-%u", i);
		make(root, name, S_IFREG | 0644);
	}
	for (unsigned n = 0, old; ; n++) {
		old = count;
		stop_after = count + 7;
		cr_assert_eq(d->readdir(fs, root, last_cookie, emit, NULL), 0);
		if (old == count)
			break;
		if (n * 5 >= NAMES)
			continue;
		/* the one at the cookie itself goes too */
		snprintf(name, sizeof name, "name-%u", n * 5);
		cr_assert_eq(drop(root, name, false), 0);
		snprintf(name, sizeof name, "name-%u", NAMES + n);
		make(root, name, S_IFREG | 0644);
	}
	for (unsigned i = 0; i < NAMES; i++)
		if (i % 5)
			cr_assert(seen[i], "name-%u was left out", i);
	for (unsigned i = 0; i < NAMES; i++) {
		struct rk_stat st;

		snprintf(name, sizeof name, "name-%u", i);
		cr_assert_eq(d->lookup(fs, root, name, strlen(name), &st),
			     i % 5 ? 0 : -ENOENT);
		if (i % 5)
			cr_assert_eq(drop(root, name, false), 0);
	}
}

Test(mem, links_and_renames)
{
	uint64_t a = make(root, "a", S_IFDIR | 0755), b;
	uint64_t f = make(a, "f", S_IFREG | 0644);
	struct rk_stat st;

	b = make(root, "b", S_IFDIR | 0755);
	cr_assert_eq(look(root).nlink, 4);
	cr_assert_eq(d->link(fs, f, b, "g", 1, &st), 0);
	cr_assert_eq(st.nlink, 2);
	cr_assert_eq(d->link(fs, a, b, "h", 1, &st), -EPERM);
	cr_assert_eq(d->rename(fs, root, "a", 1, b, "a", 1, 0, &st), 0);
	cr_assert_eq(st.ino, 0);
	cr_assert(look(root).nlink == 3 && look(b).nlink == 3);
	cr_assert_eq(d->lookup(fs, a, "..", 2, &st), 0);
	cr_assert_eq(st.ino, b);
	cr_assert_eq(d->rename(fs, b, "a", 1, b, "g", 1, 0, &st), -ENOTDIR);
	cr_assert_eq(d->rename(fs, b, "g", 1, b, "a", 1, 0, &st), -EISDIR);
	cr_assert_eq(d->rename(fs, b, "a", 1, b, "g", 1, RENAME_EXCHANGE, &st),
		     0);
	cr_assert_eq(d->lookup(fs, b, "g", 1, &st), 0);
	cr_assert_eq(st.ino, a);
	cr_assert_eq(d->rename(fs, b, "a", 1, root, "x", 1, RENAME_WHITEOUT,
			       &st), 0);
	cr_assert_eq(d->lookup(fs, b, "a", 1, &st), 0);
	cr_assert_eq(st.mode & S_IFMT, S_IFCHR);
	cr_assert_eq(drop(b, "g", true), -ENOTEMPTY);
	cr_assert_eq(drop(a, "f", false), 0);
	cr_assert_eq(drop(b, "g", true), 0);
	cr_assert_eq(look(b).nlink, 2);
	cr_assert_eq(look(f).nlink, 1);
}

/* --- limits and options --------------------------------------------------------------- */

Test(mem, nothing_is_left_of_what_was_removed)
{
	struct rk_statfs before, after;
	char name[32];
	uint64_t ino;

	cr_assert_eq(d->statfs(fs, &before), 0);
	for (int round = 0; round < 3; round++) {
		int n = 0, r = 0;

		for (; r == 0; n++) {
			struct rk_new what = { .mode = S_IFREG | 0644 };
			struct rk_stat st;

			snprintf(name, sizeof name, "%d", n);
			r = d->create(fs, root, name, strlen(name), &what, &st);
			if (r < 0)
				break;
			r = d->setxattr(fs, st.ino, "user.x", bytes, 100, 0);
			if (!r && n % 2)
				r = d->write(fs, st.ino, bytes, 6000, 0) == 6000
				    ? 0 : -ENOSPC;
		}
		cr_assert_eq(r, -ENOSPC);
		cr_assert_gt(n, 6000);
		for (int i = 0; i <= n; i++) {
			snprintf(name, sizeof name, "%d", i);
			drop(root, name, false);
		}
		cr_assert_eq(d->statfs(fs, &after), 0);
		cr_assert_eq(after.bfree, before.bfree);
		cr_assert_eq(after.ffree, before.ffree);
	}
	ino = make(root, "f", S_IFREG | 0644);
	for (uint64_t off = 0; off < 33 << 20; off += ROOM) {
		int64_t r = d->write(fs, ino, bytes, ROOM, off);

		cr_assert(r == ROOM || (off > 29 << 20 && r == (32 << 20) -
					(int64_t)off), "%ld at %lu", r, off);
	}
	cr_assert_eq(d->write(fs, ino, "x", 1, 32 << 20), -ENOSPC);
	cr_assert_eq(d->write(fs, ino, "x", 1, 0), 1);
	cr_assert_eq(d->fallocate(fs, ino, 0, 32 << 20, 1), -ENOSPC);
}

Test(mem, attributes)
{
	uint64_t ino = make(root, "f", S_IFREG | 0644);
	struct rk_setattr set = {
		.valid = RK_SET_FLAGS, .flags = FS_IMMUTABLE_FL,
	};
	char list[64];
	struct rk_stat st;

	cr_assert_eq(d->setxattr(fs, ino, "user.a", "1", 1, 0), 0);
	cr_assert_eq(d->setxattr(fs, ino, "user.b", "22", 2, XATTR_CREATE), 0);
	cr_assert_eq(d->setxattr(fs, ino, "user.a", "3", 1, XATTR_CREATE),
		     -EEXIST);
	cr_assert_eq(d->setxattr(fs, ino, "user.c", "3", 1, XATTR_REPLACE),
		     -ENODATA);
	cr_assert_eq(d->setxattr(fs, ino, "other.c", "3", 1, 0), -EOPNOTSUPP);
	cr_assert_eq(d->listxattr(fs, ino, NULL, 0), 14);
	cr_assert_eq(d->listxattr(fs, ino, list, 13), -ERANGE);
	cr_assert_eq(d->listxattr(fs, ino, list, 14), 14);
	cr_assert_eq(d->getxattr(fs, ino, "user.b", list, 1), -ERANGE);
	cr_assert_eq(d->getxattr(fs, ino, "user.b", list, 2), 2);
	cr_assert_eq(d->removexattr(fs, ino, "user.a"), 0);
	cr_assert_eq(d->getxattr(fs, ino, "user.a", list, 2), -ENODATA);
	cr_assert_eq(d->setattr(fs, ino, &set, &st), 0);
	cr_assert_eq(d->write(fs, ino, "x", 1, 0), -EPERM);
	cr_assert_eq(drop(root, "f", false), -EPERM);
	cr_assert_eq(d->link(fs, ino, root, "g", 1, &st), -EPERM);
	set.flags = FS_EXTENT_FL;
	cr_assert_eq(d->setattr(fs, ino, &set, &st), -EOPNOTSUPP);
}

Test(mem, options)
{
	static const struct {
		const char *option, *says;
		uint64_t blocks;
	} table[] = {
		{ "size=1m", NULL, 256 }, { "size=8192k", NULL, 2048 },
		{ "size=1G", NULL, 262144 }, { "size=4096", NULL, 1 },
		{ "size=", "no size", 0 }, { "size=1x", "no size", 0 },
		{ "size=-1", "no size", 0 }, { "size=101%", "no size", 0 },
		{ "size=99999999999999999999", "no size", 0 },
		{ "size=4g", "at most", 0 }, { "mode=9", "no mode", 0 },
		{ "mode=10000", "no mode", 0 }, { "uid=x", "no uid", 0 },
		{ "nr_inodes=5%", "no nr_inodes", 0 },
		{ "huge=always", "unknown option 'huge=always'", 0 },
	};
	static const char *const all[] = {
		"mode=0750", "uid=1000", "gid=2000", "size=50%", "nr_inodes=2",
	};
	struct rk_new what = { .mode = S_IFREG };
	struct rk_statfs s;
	struct rk_stat st;

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		int r = mount_with(&table[i].option, 1);

		cr_assert_eq(r, table[i].says ? -EINVAL : 0, "%s",
			     table[i].option);
		if (r < 0)
			cr_assert(strstr(sentence, table[i].says), "%s: %s",
				  table[i].option, sentence);
		if (r < 0)
			continue;
		cr_assert_eq(d->statfs(fs, &s), 0);
		cr_assert_eq(s.blocks, table[i].blocks, "%s", table[i].option);
	}
	if (mount_with(all, 5) < 0)	/* half of it may be too much */
		cr_assert_eq(mount_with(all, 3), 0, "%s", sentence);
	st = look(root);
	cr_assert(st.mode == (S_IFDIR | 0750) && st.uid == 1000 &&
		  st.gid == 2000);
	cr_assert_eq(mount_with(all + 4, 1), 0);
	make(root, "f", S_IFREG);
	cr_assert_eq(d->create(fs, root, "g", 1, &what, &st), -ENOSPC);
	cr_assert_eq(d->link(fs, root + 1, root, "g", 1, &st), -ENOSPC);
	cr_assert_eq(drop(root, "f", false), 0);
	make(root, "g", S_IFREG);
}
