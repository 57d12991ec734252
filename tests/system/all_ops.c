/*
 * all_ops.c - uses every op of the table on the server that $RUMP_SOCKET names
 * and compares with what ext4 gives. One line per failure; exit status 1 if
 * there was any, or if an op of the table was not used.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rump/client.h"

static struct rk_client *c;
static unsigned failures;
static unsigned used[RK_OP_END];
static char dir[64];

#define CALL(op, ...) (used[RK_OP_##op]++, rk_##op(c, ##__VA_ARGS__))

#define IS(call, expected) do {						\
	int64_t got_ = (call), want_ = (expected);			\
									\
	if (got_ != want_) {						\
		printf("line %d: %s is %lld, not %lld\n", __LINE__, #call, \
		       (long long)got_, (long long)want_);		\
		failures++;						\
	}								\
} while (0)
#define OK(condition) IS(!!(condition), 1)

/* Each byte once, however often the server that waits for the device ends. */
static void durable(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "sync",
				   O_WRONLY | O_CREAT | O_APPEND | O_SYNC, 0600);
	struct rk_stat st;

	for (int i = 0; i < 20; i++)
		IS(CALL(write, fd, "0123456789", 10), 10);
	IS(CALL(pwrite, fd, "0123456789", 10, 0), 10);
	IS(CALL(fstat, fd, &st), 0);
	IS(st.size, 210);
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "sync", 0), 0);
}

static void nameless(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, ".",
				   O_RDWR | O_TMPFILE, 0600);
	struct rk_stat st;

	IS(CALL(write, fd, "x", 1), 1);
	IS(CALL(fstat, fd, &st), 0);
	IS(st.nlink, 0);
	IS(CALL(linkat, fd, "", RK_AT_FDCWD, "named", AT_EMPTY_PATH), 0);
	IS(CALL(fstatat, RK_AT_FDCWD, "named", &st, 0), 0);
	OK(st.nlink == 1 && st.size == 1);
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "named", 0), 0);
	IS(CALL(openat, RK_AT_FDCWD, ".", O_RDONLY | O_TMPFILE, 0600), -EINVAL);
}

static void files(void)
{
	char buf[64] = "";
	struct rk_stat st;
	int32_t fd, copy;

	IS(CALL(openat, RK_AT_FDCWD, "none", O_RDONLY, 0), -ENOENT);
	fd = (int32_t)CALL(openat, RK_AT_FDCWD, "f", O_RDWR | O_CREAT | O_EXCL,
			   0666);
	OK(fd >= 0);
	IS(CALL(openat, RK_AT_FDCWD, "f", O_RDWR | O_CREAT | O_EXCL, 0666),
	   -EEXIST);
	IS(CALL(write, fd, "hello world", 11), 11);
	IS(CALL(lseek, fd, 6, SEEK_SET), 6);
	IS(CALL(read, fd, buf, 64), 5);
	OK(!memcmp(buf, "world", 5));
	IS(CALL(read, fd, buf, 64), 0);
	IS(CALL(pwrite, fd, "HE", 2, 0), 2);
	IS(CALL(pread, fd, buf, 5, 0), 5);
	OK(!memcmp(buf, "HEllo", 5));
	IS(CALL(fstat, fd, &st), 0);
	OK(S_ISREG(st.mode) && st.size == 11 && st.nlink == 1);
	IS(CALL(ftruncate, fd, 100000), 0);
	IS(CALL(truncate, "f", 5), 0);
	IS(CALL(fstatat, RK_AT_FDCWD, "f", &st, 0), 0);
	IS(st.size, 5);
	IS(CALL(fallocate, fd, 0, 0, 8192), 0);
	IS(CALL(fstat, fd, &st), 0);
	IS(st.size, 8192);
	IS(CALL(ftruncate, fd, 5), 0);
	copy = (int32_t)CALL(openat, RK_AT_FDCWD, "copy", O_RDWR | O_CREAT,
			     0600);
	IS(CALL(copy_file_range, fd, 0, copy, 0, 5, 0), 5);
	IS(CALL(pread, copy, buf, 64, 0), 5);
	OK(!memcmp(buf, "HEllo", 5));
	IS(CALL(seek_data, fd, 0, SEEK_HOLE), 5);
	IS(CALL(seek_data, fd, 5, SEEK_DATA), -ENXIO);
	IS(CALL(fsync, fd), 0);
	IS(CALL(fdatasync, fd), 0);
	IS(CALL(sync), 0);
	IS(CALL(close, copy), 0);
	IS(CALL(close, fd), 0);
	IS(CALL(close, fd), -EBADF);
}

static void attributes(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "f", O_RDWR, 0);
	uint32_t uid = getuid(), gid = getgid();
	struct rk_statfs fs;
	struct rk_stat st;

	IS(CALL(fchmod, fd, 0640), 0);
	IS(CALL(fstat, fd, &st), 0);
	IS(st.mode & 07777, 0640);
	IS(CALL(fchmodat, RK_AT_FDCWD, "f", 0600, 0), 0);
	IS(CALL(fchown, fd, uid, gid), 0);
	IS(CALL(fchownat, RK_AT_FDCWD, "f", uid, gid, 0), 0);
	IS(CALL(utimensat, RK_AT_FDCWD, "f", 1000, 1, 2000, 999999999, 0), 0);
	IS(CALL(fstatat, RK_AT_FDCWD, "f", &st, 0), 0);
	OK(st.atime.sec == 1000 && st.atime.nsec == 1);
	OK(st.mtime.sec == 2000 && st.mtime.nsec == 999999999);
	OK(st.uid == uid && st.gid == gid && (st.mode & 07777) == 0600);
	IS(CALL(faccessat, RK_AT_FDCWD, "f", R_OK | W_OK, 0), 0);
	IS(CALL(faccessat, RK_AT_FDCWD, "none", F_OK, 0), -ENOENT);
	IS(CALL(statfs, ".", &fs), 0);
	OK(fs.type == 0xef53 && fs.namelen == 255);
	IS(CALL(fstatfs, fd, &fs), 0);
	OK(fs.bsize >= 1024 && fs.bfree <= fs.blocks);
	IS(CALL(close, fd), 0);
}

static void xattrs(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "f", O_RDWR, 0);
	char buf[64];

	IS(CALL(setxattr, "f", "user.a", "one", 3, 0, 0), 0);
	IS(CALL(setxattr, "f", "user.a", "x", 1, 1, 0), -EEXIST);
	IS(CALL(getxattr, "f", "user.a", buf, sizeof buf, 0), 3);
	OK(!memcmp(buf, "one", 3));
	IS(CALL(getxattr, "f", "user.a", NULL, 0, 0), 3);
	IS(CALL(getxattr, "f", "user.a", buf, 2, 0), -ERANGE);
	IS(CALL(fsetxattr, fd, "user.b", "two", 3, 0), 0);
	IS(CALL(fgetxattr, fd, "user.b", buf, sizeof buf), 3);
	IS(CALL(listxattr, "f", buf, sizeof buf, 0), 14);
	IS(CALL(flistxattr, fd, buf, sizeof buf), 14);
	IS(CALL(removexattr, "f", "user.a", 0), 0);
	IS(CALL(fremovexattr, fd, "user.b"), 0);
	IS(CALL(fremovexattr, fd, "user.b"), -ENODATA);
	IS(CALL(close, fd), 0);
}

static unsigned count_entries(int32_t fd)
{
	char buf[4096];
	unsigned n = 0;
	int64_t len;

	while ((len = CALL(getdents, fd, buf, sizeof buf)) > 0)
		for (int64_t at = 0; at < len; n++) {
			struct rk_dirent *d = (struct rk_dirent *)(buf + at);

			if (d->reclen < sizeof *d || d->reclen > len - at)
				return 0;
			at += d->reclen;
		}
	return len < 0 ? 0 : n;
}

static void names(void)
{
	char buf[64];
	struct rk_stat st;
	int32_t fd;

	IS(CALL(mkdirat, RK_AT_FDCWD, "d", 0777), 0);
	IS(CALL(mkdirat, RK_AT_FDCWD, "d", 0777), -EEXIST);
	IS(CALL(fstatat, RK_AT_FDCWD, "d", &st, 0), 0);
	OK(S_ISDIR(st.mode) && st.nlink == 2);
	IS(CALL(mknodat, RK_AT_FDCWD, "d/fifo", S_IFIFO | 0600, 0), 0);
	IS(CALL(linkat, RK_AT_FDCWD, "f", RK_AT_FDCWD, "d/l", 0), 0);
	IS(CALL(symlinkat, "../f", RK_AT_FDCWD, "d/s"), 0);
	IS(CALL(readlinkat, RK_AT_FDCWD, "d/s", buf, sizeof buf), 4);
	OK(!memcmp(buf, "../f", 4));
	IS(CALL(fstatat, RK_AT_FDCWD, "d/s", &st, 0), 0);
	IS(st.nlink, 2);
	IS(CALL(renameat2, RK_AT_FDCWD, "d/l", RK_AT_FDCWD, "d/m", 0), 0);
	IS(CALL(renameat2, RK_AT_FDCWD, "d/m", RK_AT_FDCWD, "d/s", 1), -EEXIST);
	fd = (int32_t)CALL(openat, RK_AT_FDCWD, "d", O_RDONLY | O_DIRECTORY, 0);
	IS(count_entries(fd), 5);
	IS(CALL(fchdir, fd), 0);
	IS(CALL(faccessat, RK_AT_FDCWD, "m", F_OK, 0), 0);
	OK(CALL(getcwd, buf, sizeof buf) > 0);
	OK(strstr(buf, dir) != NULL);
	IS(CALL(chdir, ".."), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "d", AT_REMOVEDIR), -ENOTEMPTY);
	IS(CALL(unlinkat, fd, "fifo", 0), 0);
	IS(CALL(unlinkat, fd, "m", 0), 0);
	IS(CALL(unlinkat, fd, "s", 0), 0);
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "d", AT_REMOVEDIR), 0);
}

static void descriptors(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "f", O_RDWR, 0), two;
	struct rk_flock lock;

	two = (int32_t)CALL(dup, fd, 10);
	OK(two >= 10);
	IS(CALL(dup3, fd, 20, 0), 20);
	IS(CALL(dup3, fd, fd, 0), -EINVAL);
	IS(CALL(lseek, fd, 3, SEEK_SET), 3);
	IS(CALL(lseek, two, 0, SEEK_CUR), 3);
	IS(CALL(getfl, fd) & O_ACCMODE, O_RDWR);
	IS(CALL(setfl, fd, O_APPEND), 0);
	OK(CALL(getfl, two) & O_APPEND);
	IS(CALL(flock, fd, LOCK_EX), 0);
	IS(CALL(flock, fd, LOCK_UN), 0);
	IS(CALL(setlk, fd, F_WRLCK, 0, 10, SEEK_SET, 0), 0);
	IS(CALL(setlkw, fd, F_RDLCK, 5, 5, SEEK_SET, 0), 0);
	IS(CALL(getlk, fd, &lock, F_WRLCK, 0, 0, SEEK_SET, 0), 0);
	IS(lock.type, F_UNLCK);
	IS(CALL(close, 20), 0);
	IS(CALL(close, two), 0);
	IS(CALL(close, fd), 0);
	IS(CALL(umask, 027), 022);
	IS(CALL(umask, 022), 027);
	IS(CALL(null), 0);
}

static void check_coverage(void)
{
	for (unsigned op = 1; op < RK_OP_END; op++) {
		if (used[op])
			continue;
		printf("op %s is not used\n", rk_op_info(op)->name);
		failures++;
	}
}

static void run(unsigned flags)
{
	char path[108];
	int r = rk_socket_path(NULL, path, sizeof path);

	if (r == 0)
		r = rk_attach(path, flags, &c);
	if (r < 0) {
		printf("cannot attach: %s\n", strerror(-r));
		exit(1);
	}
	CALL(umask, 022);
	snprintf(dir, sizeof dir, "all_ops-%d-%u", (int)getpid(), flags);
	IS(CALL(mkdirat, RK_AT_FDCWD, dir, 0755), 0);
	IS(CALL(chdir, dir), 0);
	files();
	durable();
	nameless();
	attributes();
	xattrs();
	names();
	descriptors();
	IS(CALL(unlinkat, RK_AT_FDCWD, "f", 0), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "copy", 0), 0);
	IS(CALL(chdir, ".."), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, dir, AT_REMOVEDIR), 0);
	rk_detach(c);
}

int main(void)
{
	run(0);
	run(RK_ATTACH_SOCKET);
	check_coverage();
	return failures ? 1 : 0;
}
