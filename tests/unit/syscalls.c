/*
 * syscalls.c - descriptors, names and attributes as clients ask for them.
 */
#include <sys/file.h>
#include <sys/resource.h>
#include "../harness/syscall_fake.h"

/* The kernel's O_LARGEFILE, which F_GETFL shows. */
#define LARGE	0100000

TestSuite(syscalls, .init = setup, .fini = teardown);

/* --- the dispatcher ----------------------------------------------------------- */

Test(syscalls, what_is_no_request)
{
	memset(&req, 0, sizeof req);
	cr_expect_eq(run(99), -ENOTCONN);
	cr_expect_eq(run(0), -ENOSYS);
	req.op = RK_OP_END;
	cr_expect_eq(run(0), -ENOSYS);
	req.op = UINT16_MAX;
	cr_expect_eq(run(0), -ENOSYS);
	cr_expect_eq(CALL(0, null), 0);
	cr_expect_eq(run(RK_CHANNELS_MAX), -ENOTCONN);
	req.op = RK_OP_openat;
	cr_expect_eq(run(0), -EBADMSG);
}

/* Any words at all: an answer, and no change that was not noted. */
Test(syscalls, random_requests)
{
	for (int i = 0; i < 200000; i++) {
		memset(&req, 0, sizeof req);
		req.op = (uint16_t)fake_random(RK_OP_END + 2);
		req.in_len = fake_random(64);
		req.out_len = fake_random(3) ? 0 : fake_random(300);
		for (int j = 0; j < 8; j++) {
			req.arg[j] = fake_random(3) ? fake_random(8) : 0;
			if (fake_random(4) == 0)
				req.arg[j] = (uint64_t)fake_random(60) << 32 |
					     fake_random(10);
			if (fake_random(30) == 0)
				req.arg[j] = UINT64_MAX >> fake_random(64);
		}
		for (uint32_t j = 0; j < req.in_len; j++)
			in[j] = (uint8_t)"a/.b\0"[fake_random(5)];
		run(fake_random(2));
		if (fake_random(50) == 0)
			detach(fake_random(2));
		attach(0, 1, 0, 10);
		attach(1, 2, 0, 0);
	}
}

/* --- descriptors ---------------------------------------------------------------- */

Test(syscalls, open_flags)
{
	static const struct {
		const char *path;
		uint32_t flags;
		int error;
	} table[] = {
		{ "none", O_RDONLY, -ENOENT },
		{ "f", O_CREAT | O_EXCL, -EEXIST },
		{ "f", O_DIRECTORY, -ENOTDIR },
		{ "d", O_WRONLY, -EISDIR },
		{ "d", O_CREAT, -EISDIR },
		{ "d", O_TRUNC, -EISDIR },
		{ "new/", O_CREAT, -EISDIR },
		{ "f/", O_RDONLY, -ENOTDIR },
		{ "l", O_NOFOLLOW, -ELOOP },
		{ "l", O_CREAT | O_EXCL, -EEXIST },
		{ "socket", O_RDONLY, -ENXIO },
		{ "d", O_TMPFILE | O_RDWR, -EOPNOTSUPP },
		{ "d", O_CREAT | O_DIRECTORY, -EINVAL },
		{ "/etc", O_RDONLY, -EXDEV },
		{ "secret", O_RDONLY, -EACCES },
		{ "readable", O_RDWR, -EACCES },
		{ "readable", O_RDONLY | O_TRUNC, -EACCES },
		{ "readable", O_RDONLY | O_NOATIME, -EPERM },
	};

	cr_assert_eq(OPEN(1, "secret", O_CREAT, 0600), 0);
	cr_assert_eq(OPEN(1, "readable", O_CREAT, 0644), 1);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(CALL(0, close, 0), 0);
	cr_assert_eq(CALL(0, mkdirat, AT, "d", 0777), 0);
	cr_assert_eq(CALL(0, symlinkat, "f", AT, "l"), 0);
	cr_assert_eq(CALL(0, mknodat, AT, "socket", S_IFSOCK | 0666), 0);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		cr_expect_eq(OPEN(0, table[i].path, table[i].flags, 0666),
			     table[i].error, "%s %o", table[i].path,
			     table[i].flags);
	cr_expect_eq(OPEN(0, "l", O_RDONLY), 0);
	cr_expect_eq(OPEN(0, "socket", O_PATH), 1);
	cr_expect_eq(OPEN(0, "l", O_PATH | O_NOFOLLOW), 2);
	cr_expect_eq(OPEN(0, "secret", O_PATH), 3);
	cr_expect_eq(CALL(0, pread, 3, NULL, 10, 0), -EBADF);
	cr_expect_eq(CALL(0, fstat, 3), 0);
	cr_expect_eq(CALL(0, fchmod, 3, 0777), -EBADF);
	cr_expect_eq(CALL(0, readlinkat, 2, "", NULL, 100), 1);
	cr_expect_eq(OPEN(0, "mine", O_CREAT | O_RDWR, 0400), 4,
		     "the mode counts from the next open on");
	cr_expect_eq(CALL(0, write, 4, "x", 1), 1);
}

Test(syscalls, descriptors_are_the_lowest)
{
	int fd;

	for (fd = 0; fd < 5; fd++)
		cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), fd);
	cr_expect_eq(CALL(0, close, 2), 0);
	cr_expect_eq(CALL(0, close, 2), -EBADF);
	cr_expect_eq(CALL(0, close, -1), -EBADF);
	cr_expect_eq(CALL(0, close, RK_FDS_MAX), -EBADF);
	cr_expect_eq(CALL(0, dup, 0, 3), 5);
	cr_expect_eq(CALL(0, dup, 0, 0), 2);
	cr_expect_eq(CALL(0, dup, 0, -1), -EINVAL);
	cr_expect_eq(CALL(0, dup, 0, RK_FDS_MAX), -EINVAL);
	cr_expect_eq(CALL(0, dup, 100, 0), -EBADF);
	cr_expect_eq(CALL(0, dup3, 0, 0, 0), -EINVAL);
	cr_expect_eq(CALL(0, dup3, 0, 4, O_APPEND), -EINVAL);
	cr_expect_eq(CALL(0, dup3, 0, RK_FDS_MAX, 0), -EBADF);
	cr_expect_eq(CALL(0, dup3, 0, 4, O_CLOEXEC), 4);
	cr_expect_eq(CALL(0, dup3, 0, RK_FDS_MAX - 1, 0), RK_FDS_MAX - 1);
	for (fd = 6; fd < RK_FDS_MAX - 1; fd++)
		cr_assert_eq(CALL(0, dup, 0, 0), fd);
	cr_expect_eq(CALL(0, dup, 0, 0), -EMFILE);
	cr_expect_eq(OPEN(0, "g", O_CREAT | O_RDWR, 0666), -EMFILE);
	cr_expect_null(mem_entry(MEM_ROOT, "g", 1));
}

Test(syscalls, offsets_are_shared_by_dup_and_fork)
{
	char *text = (char *)out;

	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_expect_eq(CALL(0, write, 0, "0123456789", 10), 10);
	cr_expect_eq(CALL(0, dup, 0, 0), 1);
	attach(2, 3, 1, 10);
	cr_expect_eq(CALL(0, lseek, 1, 2, SEEK_SET), 2);
	cr_expect_eq(CALL(2, read, 0, NULL, 3), 3);
	cr_expect(!memcmp(text, "234", 3));
	cr_expect_eq(CALL(0, lseek, 0, 0, SEEK_CUR), 5);
	cr_expect_eq(CALL(0, lseek, 0, -1, SEEK_END), 9);
	cr_expect_eq(CALL(0, lseek, 0, -11, SEEK_END), -EINVAL);
	cr_expect_eq(CALL(0, lseek, 0, INT64_MAX, SEEK_CUR), -EOVERFLOW);
	cr_expect_eq(CALL(0, lseek, 0, 0, SEEK_HOLE), 10);
	cr_expect_eq(CALL(0, lseek, 0, 10, SEEK_DATA), -ENXIO);
	cr_expect_eq(CALL(0, seek_data, 0, 4, SEEK_DATA), 4);
	cr_expect_eq(CALL(0, lseek, 0, 0, 9), -EINVAL);
	cr_expect_eq(CALL(2, read, 1, NULL, 3), 0);
	cr_expect_eq(CALL(2, pread, 1, NULL, 3, -1), -EINVAL);
	cr_expect_eq(CALL(2, close, 0), 0);
	cr_expect_eq(CALL(0, pread, 0, NULL, 3, 8), 2);
	/* The child goes on without its parent. */
	detach(0);
	cr_expect_eq(CALL(2, pread, 1, NULL, 3, 8), 2);
}

Test(syscalls, threads_join_their_process)
{
	attach(3, 1, 0, 10);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_expect_eq(CALL(3, write, 0, "abc", 3), 3);
	detach(0);
	cr_expect_eq(CALL(3, pread, 0, NULL, 9, 0), 3);
	attach(3, 77, 0, 0);		/* known already: left as it is */
	cr_expect_eq(CALL(3, pread, 0, NULL, 9, 0), 3);
	detach(3);
	attach(3, 77, 0, 0);
	cr_expect_eq(CALL(3, pread, 0, NULL, 9, 0), -EBADF);
}

Test(syscalls, access_modes)
{
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_WRONLY, 0666), 0);
	cr_assert_eq(OPEN(0, "f", O_RDONLY), 1);
	cr_assert_eq(OPEN(0, "f", O_WRONLY | O_APPEND), 2);
	cr_expect_eq(CALL(0, read, 0, NULL, 1), -EBADF);
	cr_expect_eq(CALL(0, write, 1, "a", 1), -EBADF);
	cr_expect_eq(CALL(0, ftruncate, 1, 0), -EINVAL);
	cr_expect_eq(CALL(0, ftruncate, 0, -1), -EINVAL);
	cr_expect_eq(CALL(0, fallocate, 1, 0, 0, 1), -EBADF);
	cr_expect_eq(CALL(0, pwrite, 0, "abcdef", 6, 0), 6);
	cr_expect_eq(CALL(0, write, 2, "gh", 2), 2);
	cr_expect_eq(CALL(0, lseek, 2, 0, SEEK_CUR), 8);
	cr_expect_eq(CALL(0, pwrite, 2, "ij", 2, 0), 2, "append wins");
	cr_expect_eq(CALL(0, read, 1, NULL, 100), 10);
	cr_expect(!memcmp(out, "abcdefghij", 10));
	cr_expect_eq(CALL(0, copy_file_range, 1, 2, 2, -1, 3, 0), -EBADF);
	cr_expect_eq(CALL(0, copy_file_range, 1, 5, 0, -1, 3, 0), 3);
	cr_expect_eq(CALL(0, lseek, 0, 0, SEEK_CUR), 3);
	cr_expect_eq(CALL(0, pread, 1, NULL, 3, 0), 3);
	cr_expect(!memcmp(out, "fgh", 3));
	cr_expect_eq(CALL(0, getfl, 2), O_WRONLY | O_APPEND | LARGE);
	cr_expect_eq(CALL(0, setfl, 2, 0), 0);
	cr_expect_eq(CALL(0, getfl, 2), O_WRONLY | LARGE);
	cr_expect_eq(OPEN(0, "/vol", O_RDONLY), 3);
	cr_expect_eq(CALL(0, read, 3, NULL, 1), -EISDIR);
	cr_expect_eq(CALL(0, fsync, 3), 0);
	cr_expect_eq(CALL(0, fsync, 4), -EBADF);
	cr_expect_eq(CALL(0, sync), 0);
}

Test(syscalls, long_work_goes_in_stages)
{
	static char big[4000];
	struct rk_stat *st = (struct rk_stat *)out;

	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_expect_eq(CALL(0, write, 0, big, sizeof big), (int)sizeof big);
	cr_expect_eq(CALL(0, ftruncate, 0, 10), 0);
	cr_expect_eq(CALL(0, fstat, 0), 0);
	cr_expect_eq(st->size, 10u);
	cr_expect_eq(CALL(0, pwrite, 0, big, sizeof big, 0), (int)sizeof big);
	cr_expect_eq(CALL(0, truncate, "f", 5), 0);
	cr_expect_eq(CALL(0, pwrite, 0, big, sizeof big, 0), (int)sizeof big);
	cr_expect_eq(OPEN(0, "f", O_RDWR | O_TRUNC), 1);
	cr_expect_eq(CALL(0, fstat, 0), 0);
	cr_expect_eq(st->size, 0u);
	cr_expect_eq(CALL(0, truncate, "/vol", 0), -EISDIR);
	cr_expect_eq(CALL(0, ftruncate, 0, INT64_MAX), -EFBIG);
}

Test(syscalls, removed_files_live_while_open)
{
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_expect_eq(CALL(0, write, 0, "abc", 3), 3);
	cr_expect_eq(CALL(0, unlinkat, AT, "f", 0), 0);
	cr_expect_eq(CALL(0, pread, 0, NULL, 9, 0), 3);
	cr_expect_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 1);
	cr_expect_eq(CALL(0, pread, 1, NULL, 9, 0), 0);
	cr_expect_eq(CALL(0, linkat, 0, "", AT, "g", AT_EMPTY_PATH), -ENOENT);
}

/* --- names ---------------------------------------------------------------------- */

Test(syscalls, slashes_and_dots)
{
	cr_assert_eq(CALL(0, mkdirat, AT, "d/", 0777), 0);
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(CALL(0, symlinkat, "d", AT, "l"), 0);
	cr_expect_eq(CALL(0, mkdirat, AT, "d", 0777), -EEXIST);
	cr_expect_eq(CALL(0, mkdirat, AT, ".", 0777), -EEXIST);
	cr_expect_eq(CALL(0, mkdirat, AT, "/vol", 0777), -EEXIST);
	cr_expect_eq(CALL(0, mkdirat, AT, "no/x", 0777), -ENOENT);
	cr_expect_eq(CALL(0, mknodat, AT, "x/", S_IFREG), -ENOENT);
	cr_expect_eq(CALL(0, mknodat, AT, "x", S_IFDIR), -EPERM);
	cr_expect_eq(CALL(0, mknodat, AT, "x", S_IFCHR), -EPERM);
	cr_expect_eq(CALL(1, mknodat, AT, "x", S_IFCHR, 0x103), 0);
	cr_expect_eq(CALL(0, symlinkat, "", AT, "y"), -ENOENT);
	cr_expect_eq(CALL(0, unlinkat, AT, "f/", 0), -ENOTDIR);
	cr_expect_eq(CALL(0, unlinkat, AT, "d", 0), -EISDIR);
	cr_expect_eq(CALL(0, unlinkat, AT, "l/", AT_REMOVEDIR), -ENOTDIR);
	cr_expect_eq(CALL(0, unlinkat, AT, "f", AT_REMOVEDIR), -ENOTDIR);
	cr_expect_eq(CALL(0, unlinkat, AT, "d/.", AT_REMOVEDIR), -EINVAL);
	cr_expect_eq(CALL(0, unlinkat, AT, "d/..", AT_REMOVEDIR), -ENOTEMPTY);
	cr_expect_eq(CALL(0, unlinkat, AT, "/vol", AT_REMOVEDIR), -EBUSY);
	cr_expect_eq(CALL(0, unlinkat, AT, "f", 1), -EINVAL);
	cr_expect_eq(CALL(0, renameat2, AT, "f/", AT, "g", 0), -ENOTDIR);
	cr_expect_eq(CALL(0, renameat2, AT, "f", AT, "g/", 0), -ENOTDIR);
	cr_expect_eq(CALL(0, renameat2, AT, "d/", AT, "e/", 0), 0);
	cr_expect_eq(CALL(0, renameat2, AT, "e/.", AT, "g", 0), -EBUSY);
	cr_expect_eq(CALL(0, renameat2, AT, "e", AT, "e/x", 0), -EINVAL);
	cr_expect_eq(CALL(0, linkat, AT, "f", AT, "e/", 0), -EEXIST);
	cr_expect_eq(CALL(0, linkat, AT, "f", AT, "n/", 0), -ENOENT);
	cr_expect_eq(CALL(0, linkat, AT, "f", AT, "n", 0), 0);
	cr_expect_eq(CALL(0, linkat, AT, "e", AT, "m", 0), -EPERM);
	cr_expect_eq(CALL(0, readlinkat, AT, "l", NULL, 100), 1);
	cr_expect_eq(CALL(0, readlinkat, AT, "f", NULL, 100), -EINVAL);
	cr_expect_eq(CALL(0, unlinkat, AT, "e/", AT_REMOVEDIR), 0);
	cr_expect_eq(CALL(1, linkat, 0, "", AT, "m", AT_EMPTY_PATH), -EBADF);
}

Test(syscalls, relative_to_directories)
{
	struct rk_stat *st = (struct rk_stat *)out;

	cr_assert_eq(CALL(0, mkdirat, AT, "d", 0777), 0);
	cr_assert_eq(OPEN(0, "d", O_RDONLY), 0);
	cr_assert_eq((int)CALL(0, openat, 0, "f", O_CREAT | O_RDWR, 0666), 1);
	cr_expect_eq(CALL(0, fstatat, AT, "d/f"), 0);
	cr_expect_eq(st->mode, (uint32_t)S_IFREG | 0644, "the umask");
	cr_expect_eq(CALL(0, fstatat, 1, "f"), -ENOTDIR);
	cr_expect_eq(CALL(0, fstatat, 9, "f"), -EBADF);
	cr_expect_eq(CALL(0, fstatat, 9, "/vol/d/f"), 0);
	cr_expect_eq(CALL(0, fstatat, 1, "", NULL, AT_EMPTY_PATH), 0);
	cr_expect_eq(CALL(0, fstatat, 1, "", NULL, 0), -ENOENT);
	cr_expect_eq(CALL(0, fstatat, AT, "f", NULL, 0x80000000), -EINVAL);
	cr_expect_eq(CALL(0, getcwd, NULL, 100), 5);
	cr_expect_eq(CALL(0, chdir, "d"), 0);
	cr_expect_eq(CALL(0, getcwd, NULL, 100), 7);
	cr_expect_str_eq((char *)out, "/vol/d");
	cr_expect_eq(CALL(0, getcwd, NULL, 3), -ERANGE);
	cr_expect_eq(CALL(0, fstatat, AT, "f"), 0);
	cr_expect_eq(CALL(0, fstatat, AT, "../d/f"), 0);
	cr_expect_eq(CALL(0, chdir, "f"), -ENOTDIR);
	cr_expect_eq(CALL(0, fchdir, 1), -ENOTDIR);
	cr_expect_eq(CALL(0, renameat2, AT, "/vol/d", AT, "/vol/e", 0), 0);
	cr_expect_eq(CALL(0, getcwd, NULL, 100), 7);
	cr_expect_str_eq((char *)out, "/vol/e");
	cr_expect_eq(CALL(0, unlinkat, 0, "f", 0), 0);
	cr_expect_eq(CALL(0, unlinkat, AT, "/vol/e", AT_REMOVEDIR), 0);
	cr_expect_eq(CALL(0, getcwd, NULL, 100), -ENOENT);
	cr_expect_eq(OPEN(0, "f", O_CREAT, 0666), -ENOENT);
	cr_expect_eq(CALL(0, getdents, 0, NULL, 1000), 0);
	cr_expect_eq(CALL(0, umask, 077), 022);
	cr_expect_eq(CALL(0, umask, 07777), 077);
	attach(2, 3, 1, 10);		/* a child has the cwd of its parent */
	cr_expect_eq(CALL(2, getcwd, NULL, 100), -ENOENT);
}

static unsigned list(uint32_t channel, int fd, uint64_t size, bool *seen)
{
	unsigned n = 0;
	int64_t got;

	while ((got = CALL(channel, getdents, fd, NULL, size)) > 0) {
		for (int64_t at = 0; at < got; n++) {
			const struct rk_dirent *d = (void *)(out + at);

			cr_assert_eq(d->reclen % 8, 0);
			cr_assert_eq(strlen(d->name), d->namelen);
			if (d->name[0] == 'f')
				seen[atoi(d->name + 1)] = true;
			at += d->reclen;
		}
	}
	cr_assert_eq(got, 0);
	return n;
}

Test(syscalls, listing_in_small_pieces)
{
	bool seen[100] = { false };
	char name[8];

	for (int i = 0; i < 100; i++) {
		sprintf(name, "f%d", i);
		cr_assert_eq(CALL(0, mknodat, AT, name, S_IFREG), 0);
	}
	cr_assert_eq(OPEN(0, ".", O_RDONLY), 0);
	cr_expect_eq(CALL(0, getdents, 0, NULL, 8), -EINVAL);
	cr_expect_eq(list(0, 0, 100, seen), 102u);
	for (int i = 0; i < 100; i++)
		cr_expect(seen[i]);
	cr_expect_eq(CALL(0, lseek, 0, 0, SEEK_SET), 0);
	cr_expect_eq(list(0, 0, 4096, seen), 102u);
	cr_expect_eq(CALL(0, getdents, 1, NULL, 100), -EBADF);
}

/* --- attributes ------------------------------------------------------------------- */

Test(syscalls, attributes)
{
	struct rk_stat *st = (struct rk_stat *)out;

	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(CALL(0, symlinkat, "f", AT, "l"), 0);
	cr_expect_eq(CALL(0, fchmod, 0, 0600), 0);
	cr_expect_eq(CALL(0, fchmodat, AT, "l", 0640, 0), 0);
	cr_expect_eq(CALL(0, fchmodat, AT, "l", 0640, AT_SYMLINK_NOFOLLOW),
		     -EOPNOTSUPP);
	cr_expect_eq(CALL(0, fstatat, AT, "l"), 0);
	cr_expect_eq(st->mode, (uint32_t)S_IFREG | 0640);
	cr_expect_eq(CALL(0, fchown, 0, UINT32_MAX, 500), 0);
	cr_expect_eq(CALL(0, fchown, 0, 11, UINT32_MAX), -EPERM);
	cr_expect_eq(CALL(1, fchownat, AT, "l", 11, 11, AT_SYMLINK_NOFOLLOW),
		     0);
	cr_expect_eq(CALL(0, fstatat, AT, "l"), 0);
	cr_expect_eq(st->uid, 10u);
	cr_expect_eq(st->gid, 500u);
	cr_expect_eq(CALL(0, faccessat, AT, "f", R_OK | W_OK), 0);
	cr_expect_eq(CALL(0, faccessat, AT, "f", X_OK), -EACCES);
	cr_expect_eq(CALL(0, faccessat, AT, "g", F_OK), -ENOENT);
	cr_expect_eq(CALL(0, faccessat, AT, "f", 8), -EINVAL);
	cr_expect_eq(CALL(0, statfs, "/vol"), 0);
	cr_expect_eq(CALL(0, fstatfs, 0), 0);
	cr_expect_eq(CALL(0, fsetxattr, 0, "user.a", "value", 5), 0);
	cr_expect_eq(CALL(0, getxattr, "l", "user.a", NULL, 0), 5);
	cr_expect_eq(CALL(0, getxattr, "l", "user.a", NULL, 4), -ERANGE);
	cr_expect_eq(CALL(0, fgetxattr, 0, "user.a", NULL, 9), 5);
	cr_expect(!memcmp(out, "value", 5));
	cr_expect_eq(CALL(0, listxattr, "f", NULL, 99), 7);
	cr_expect_eq(CALL(0, flistxattr, 0, NULL, 0), 7);
	cr_expect_eq(CALL(0, fremovexattr, 0, "user.a"), 0);
	cr_expect_eq(CALL(0, removexattr, "f", "user.a"), -ENODATA);
}

Test(syscalls, times)
{
	const uint32_t now = UTIME_NOW, omit = UTIME_OMIT;
	struct rk_stat *st = (struct rk_stat *)out;

	cr_assert_eq(OPEN(1, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(CALL(1, fchmod, 0, 0666), 0);
	cr_expect_eq(CALL(1, utimensat, AT, "f", 5, 6, 7, 8), 0);
	cr_expect_eq(CALL(0, utimensat, AT, "f", 1, 1, 1, 1), -EPERM);
	cr_expect_eq(CALL(0, utimensat, AT, "f", 0, now, 0, omit), -EPERM);
	cr_expect_eq(CALL(0, utimensat, AT, "f", 0, omit, 0, omit), 0);
	cr_expect_eq(CALL(0, fstatat, AT, "f"), 0);
	cr_expect(st->atime.sec == 5 && st->atime.nsec == 6);
	cr_expect(st->mtime.sec == 7 && st->mtime.nsec == 8);
	cr_expect_eq(CALL(0, utimensat, AT, "f", 0, now, 0, now), 0);
	cr_expect_eq(CALL(0, fstatat, AT, "f"), 0);
	cr_expect_gt(st->mtime.sec, 1000000000);
	cr_assert_eq(CALL(1, fchmod, 0, 0644), 0);
	cr_expect_eq(CALL(0, utimensat, AT, "f", 0, now, 0, now), -EACCES);
	cr_expect_eq(CALL(1, utimensat, AT, "f", 0, 1000000000), -EINVAL);
	cr_expect_eq(CALL(1, utimensat, 0, "", 1, 0, 2, 0, AT_EMPTY_PATH), 0);
}

/* --- from one client to another ------------------------------------------------- */

static const struct rk_ticket *const ticket = (const void *)out;

static int64_t offer(uint32_t channel, int fd, struct rk_ticket *ret)
{
	int64_t r = CALL(channel, offer, fd);

	if (r == 0)
		*ret = *ticket;
	return r;
}

#define TAKE(channel, t, ...) \
	CALL(channel, take, (t)->word[0], (t)->word[1], ##__VA_ARGS__)

Test(syscalls, tickets)
{
	struct rk_ticket t, u;

	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_expect_eq(CALL(0, write, 0, "0123456789", 10), 10);
	cr_expect_eq(offer(0, 1, &t), -EBADF);
	cr_assert_eq(offer(0, 0, &t), 0);
	cr_assert_eq(offer(0, 0, &u), 0);
	/* It holds the file, and what belongs to the open file. */
	cr_expect_eq(CALL(0, flock, 0, LOCK_EX), 0);
	cr_expect_eq(CALL(0, close, 0), 0);
	cr_expect_eq(CALL(0, unlinkat, AT, "f", 0), 0);
	cr_expect_eq(CALL(1, rlimit, RLIMIT_NOFILE, 0), RK_FDS_MAX);
	cr_expect_eq(TAKE(1, &t), -EMFILE);
	cr_expect_eq(CALL(1, rlimit, RLIMIT_NOFILE, RK_FDS_MAX), 0);
	cr_expect_eq(TAKE(1, &t, O_RDWR), -EINVAL);
	cr_expect_eq(TAKE(1, &t), 0);
	cr_expect_eq(TAKE(1, &t), -ENOENT);
	cr_expect_eq(CALL(1, lseek, 0, 0, SEEK_CUR), 10);
	cr_expect_eq(TAKE(0, &u, O_CLOEXEC), 0);
	cr_expect_eq(CALL(0, flock, 0, LOCK_EX | LOCK_NB), 0);
	cr_expect_eq(CALL(0, lseek, 0, 3, SEEK_SET), 3);
	cr_expect_eq(CALL(1, lseek, 0, 0, SEEK_CUR), 3);
	u.word[1]++;
	cr_expect_eq(TAKE(0, &u), -ENOENT);
	/* A place, and nothing more, too. */
	cr_assert_eq(OPEN(0, ".", O_PATH), 1);
	cr_assert_eq(offer(0, 1, &t), 0);
	cr_expect_eq(TAKE(1, &t), 1);
	cr_expect_eq(CALL(1, fstatat, 1, "."), 0);
	cr_expect_eq(CALL(1, getdents, 1, NULL, 100), -EBADF);
}

Test(syscalls, tickets_end)
{
	struct rk_ticket t[RK_TICKETS_OF_PROC + 2], other;

	cr_assert_eq(OPEN(0, ".", O_RDONLY), 0);
	cr_assert_eq(OPEN(1, ".", O_RDONLY), 0);
	cr_assert_eq(offer(1, 0, &other), 0);
	for (unsigned i = 0; i < RK_TICKETS_OF_PROC + 2; i++)
		cr_assert_eq(offer(0, 0, &t[i]), 0);
	cr_expect_eq(TAKE(1, &t[0]), -ENOENT);
	cr_expect_eq(TAKE(1, &t[1]), -ENOENT);
	cr_expect_eq(TAKE(1, &t[2]), 1);
	detach(0);
	cr_expect_eq(TAKE(1, &t[3]), -ENOENT);
	cr_expect_eq(TAKE(1, &other), 2);
}

/* --- where a path leads ----------------------------------------------------------- */

static const char *resolved(const char *path, uint32_t flags)
{
	static char text[64];
	int64_t n = CALL(0, resolve, AT, path, NULL, sizeof text - 1, flags);

	if (n < 0)
		return strerrorname_np((int)-n);
	memcpy(text, out, (size_t)n);
	text[n] = 0;
	return text;
}

Test(syscalls, resolve)
{
	cr_assert_eq(CALL(0, mkdirat, AT, "d", 0777), 0);
	cr_assert_eq(OPEN(0, "d/f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(CALL(0, symlinkat, "../../etc/passwd", AT, "d/out"), 0);
	cr_assert_eq(CALL(0, symlinkat, "../d/./f", AT, "d/in"), 0);
	cr_expect_str_eq(resolved("d/out", 0), "/etc/passwd");
	cr_expect_str_eq(resolved("d/../../x/", RK_RESOLVE_PARENT), "/x/");
	cr_expect_str_eq(resolved("d/in", 0), "");
	cr_expect_str_eq(resolved("d/none", 0), "ENOENT");
	cr_expect_str_eq(resolved("d/none", RK_RESOLVE_PARENT), "");
	cr_expect_str_eq(resolved("d/in", RK_RESOLVE_WHOLE), "/vol/d/f");
	cr_expect_str_eq(resolved("d/in", RK_RESOLVE_WHOLE |
				  AT_SYMLINK_NOFOLLOW), "/vol/d/in");
	cr_expect_str_eq(resolved("d/../d/no/", RK_RESOLVE_WHOLE |
				  RK_RESOLVE_PARENT), "/vol/d/no/");
	cr_expect_str_eq(resolved("d//", RK_RESOLVE_WHOLE), "/vol/d/");
	cr_expect_str_eq(resolved("d/..", RK_RESOLVE_WHOLE), "/vol");
	cr_expect_str_eq(resolved("/vol", RK_RESOLVE_WHOLE), "/vol");
	cr_expect_str_eq(resolved("/etc", RK_RESOLVE_WHOLE), "/etc");
	cr_expect_str_eq(resolved("", RK_RESOLVE_WHOLE), "ENOENT");
	cr_expect_str_eq(resolved("", RK_RESOLVE_WHOLE | AT_EMPTY_PATH), "/vol");
	cr_expect_str_eq(resolved("d", 1u << 31), "EINVAL");
}
