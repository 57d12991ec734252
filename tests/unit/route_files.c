/*
 * route_files.c - what is pure of the calls on descriptors: entries of
 * directories, vectors, structs as the kernel has them.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include "route/files_int.h"

/* --- directories ------------------------------------------------------------------ */

struct listing {
	_Alignas(8) uint8_t buf[4096];
	size_t n;
};

static void add(struct listing *l, const char *name, uint64_t ino,
		uint64_t cookie)
{
	struct rk_dirent *e = (void *)(l->buf + l->n);
	size_t len = strlen(name);

	*e = (struct rk_dirent){
		.ino = ino, .cookie = cookie, .type = DT_REG,
		.namelen = (uint8_t)len,
		.reclen = (uint16_t)((sizeof *e + len + 1 + 7) & ~7ul),
	};
	memcpy(e->name, name, len + 1);
	l->n += e->reclen;
}

/* As getdents64's and getdents' layouts have it. */
static void expect_entry(const uint8_t *p, bool old, const char *name,
			 uint64_t ino, uint64_t cookie)
{
	const struct dirent *d = (const void *)p;

	cr_expect_eq(d->d_ino, ino);
	cr_expect_eq((uint64_t)d->d_off, cookie);
	cr_expect_eq(d->d_reclen % 8, 0);
	if (old) {
		cr_expect_str_eq((const char *)p + 18, name);
		cr_expect_eq(p[d->d_reclen - 1], DT_REG);
		return;
	}
	cr_expect_str_eq(d->d_name, name);
	cr_expect_eq(d->d_type, DT_REG);
}

static void list_names(bool old)
{
	static const char *const names[] = {
		"a", "bcdef", "ghijkl", "mnopqrs", "a-name-of-twenty-two-b",
	};
	struct listing l = { .n = 0 };
	uint64_t next;
	size_t at = 0;
	int64_t n;
	bool all;

	for (unsigned i = 0; i < 5; i++)
		add(&l, names[i], 100 + i, 7 * i);
	n = rk__dirents(l.buf, l.n, sizeof l.buf, old, &next, &all);
	cr_expect(all);
	cr_expect_eq(next, 28u);
	for (unsigned i = 0; i < 5; i++) {
		expect_entry(l.buf + at, old, names[i], 100 + i, 7 * i);
		at += ((const struct dirent *)(const void *)(l.buf + at))
			->d_reclen;
	}
	cr_expect_eq((size_t)n, at);
}

Test(route_files, entries_are_getdents64s)
{
	list_names(false);
}

Test(route_files, entries_are_getdents)
{
	list_names(true);
}

Test(route_files, all_lengths_of_names_fit_where_they_were)
{
	char name[256];

	for (size_t len = 1; len <= 255; len++) {
		struct listing l = { .n = 0 };
		uint64_t next;
		bool all;

		memset(name, 'x', len);
		name[len] = 0;
		add(&l, name, 1, 2);
		add(&l, name, 3, 4);
		for (int old = 0; old < 2; old++) {
			struct listing copy = l;
			int64_t n = rk__dirents(copy.buf, copy.n, copy.n, old,
						&next, &all);

			cr_expect(all && n > 0 && (size_t)n <= copy.n);
			expect_entry(copy.buf, old, name, 1, 2);
			expect_entry(copy.buf + n / 2, old, name, 3, 4);
		}
	}
}

Test(route_files, what_does_not_fit_is_left)
{
	struct listing l = { .n = 0 };
	uint64_t next;
	bool all;

	add(&l, "one", 1, 10);
	add(&l, "two", 2, 20);
	cr_expect_eq(rk__dirents(l.buf, l.n, 24, false, &next, &all), 24);
	cr_expect(!all);
	cr_expect_eq(next, 10u);
}

Test(route_files, nonsense_of_a_server_is_refused)
{
	uint64_t next;
	bool all;

	for (int what = 0; what < 4; what++) {
		struct listing l = { .n = 0 };
		struct rk_dirent *e = (void *)l.buf;

		add(&l, "name", 1, 2);
		if (what == 0)
			e->reclen = 0;
		else if (what == 1)
			e->reclen += 8;
		else if (what == 2)
			e->namelen = 255;
		else
			l.n -= 9;
		cr_expect_eq(rk__dirents(l.buf, l.n, sizeof l.buf, false,
					 &next, &all), -EPROTO, "%d", what);
	}
}

/* --- vectors ------------------------------------------------------------------------ */

Test(route_files, vectors_are_cut_where_the_kernel_cuts)
{
	struct iovec v[3] = { { NULL, 1 }, { NULL, 0x7fffffff }, { NULL, 5 } };

	cr_expect_eq(rk__vector_check(v, 3), RK__COUNT_MAX);
	cr_expect_eq(v[1].iov_len, RK__COUNT_MAX - 1u);
	cr_expect_eq(v[2].iov_len, 0u);
	v[1].iov_len = (size_t)-1;
	cr_expect_eq(rk__vector_check(v, 3), -EINVAL);
	cr_expect_eq(rk__vector_check(v, 0), 0);
}

/* --- structs ------------------------------------------------------------------------ */

static int give(struct rk__task *t, uint64_t at, const void *p, size_t n)
{
	memcpy((void *)(uintptr_t)at, p, n);
	return 0;
}

static const struct rk__host host = { .copy_out = give };
static struct rk__task task = { .host = &host };

Test(route_files, stat_is_the_kernels)
{
	const struct rk_stat from = {
		.ino = 12, .size = 1ull << 40, .blocks = 8, .mode = 0100644,
		.nlink = 3, .uid = 1000, .gid = 1001, .dev = 2,
		.rdev = makedev(8, 1), .blksize = 4096,
		.atime = { 1, 2, 0 }, .mtime = { -3, 4, 0 },
		.ctime = { 5, 6, 0 },
	};
	struct stat st;

	cr_assert_eq(rk__put_stat(&task, (uintptr_t)&st, 1, &from), 0);
	cr_expect_eq(st.st_ino, 12u);
	cr_expect_eq(st.st_size, 1ll << 40);
	cr_expect_eq(st.st_blocks, 8);
	cr_expect_eq(st.st_mode, 0100644u);
	cr_expect_eq(st.st_nlink, 3u);
	cr_expect_eq(st.st_uid, 1000u);
	cr_expect_eq(st.st_gid, 1001u);
	cr_expect_eq(st.st_rdev, makedev(8, 1));
	cr_expect_eq(st.st_blksize, 4096);
	cr_expect(st.st_atim.tv_sec == 1 && st.st_atim.tv_nsec == 2);
	cr_expect(st.st_mtim.tv_sec == -3 && st.st_mtim.tv_nsec == 4);
	cr_expect(st.st_ctim.tv_sec == 5 && st.st_ctim.tv_nsec == 6);
}

Test(route_files, mounts_of_two_servers_are_two_devices)
{
	cr_expect_neq(rk__dev(0, 1), rk__dev(1, 1));
	cr_expect_neq(rk__dev(0, 1), rk__dev(0, 2));
	cr_expect_neq(major(rk__dev(0, 1)), 0u);
}

Test(route_files, statfs_is_the_kernels)
{
	const struct rk_statfs from = {
		.type = 0xef53, .blocks = 100, .bfree = 50, .bavail = 40,
		.files = 9, .ffree = 8, .fsid = 0x100000002, .bsize = 1024,
		.namelen = 255, .flags = 1,
	};
	struct statfs st;

	cr_assert_eq(rk__put_statfs(&task, (uintptr_t)&st, &from), 0);
	cr_expect_eq(st.f_type, 0xef53);
	cr_expect_eq(st.f_bsize, 1024);
	cr_expect_eq(st.f_frsize, 1024);
	cr_expect(st.f_blocks == 100 && st.f_bfree == 50 && st.f_bavail == 40);
	cr_expect(st.f_files == 9 && st.f_ffree == 8);
	cr_expect(st.f_fsid.__val[0] == 2 && st.f_fsid.__val[1] == 1);
	cr_expect_eq(st.f_namelen, 255);
	cr_expect_eq(st.f_flags, 0x21);
}
