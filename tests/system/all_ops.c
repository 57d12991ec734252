/*
 * all_ops.c - uses every op of the table on the server that $RUMP_SOCKET names
 * and compares with what ext4 gives. One line per failure; exit status 1 if
 * there was any, or if an op of the table was not used.
 *
 *	system-all_ops [SUPERVISOR]
 *
 * With the number of the supervisor the server dies in each op: when it has
 * taken the request, within the commit, and after the commit. Every answer must
 * still be that of one call; an op that was not hit so is a failure.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include "../harness/attach.h"
#include "all_ops.h"
#include "rump/client.h"

static struct rk_client *c;
static const char *mount;		/* in this process; NULL: a server */
static bool no_pages;
static unsigned failures;
static unsigned used[RK_OP_END];
static char dir[64];

#define CALL(op, ...) ({						\
	int64_t result_;						\
									\
	before(RK_OP_##op);						\
	result_ = rk_##op(c, ##__VA_ARGS__);				\
	after(RK_OP_##op);						\
	result_;							\
})

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
	IS(CALL(pwrite, fd, "HE", 2, 0), 2);
	IS(CALL(fdatasync, fd), 0);
	IS(CALL(pwrite, fd, "HE", 2, 0), 2);
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

/* In the directory of a fifo. */
static void waiting(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "d/fifo", O_RDWR, 0);
	struct rk_poll_fd in = { .fd = fd, .events = POLLIN }, out;
	char byte;

	IS(CALL(poll_fds, &in, sizeof in, &out, sizeof out, 0), 0);
	IS(CALL(write, fd, "x", 1), 1);
	IS(CALL(poll_fds, &in, sizeof in, &out, sizeof out, 1), 1);
	IS(out.revents, POLLIN);
	IS(CALL(read, fd, &byte, 1), 1);
	IS(byte, 'x');
	IS(CALL(close, fd), 0);
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
	waiting();
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

#include "all_ops_others.h"

/* pages: the client can be given pages. */
static void mapping(bool pages)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "m", O_RDWR | O_CREAT,
				   0600), pin;
	struct rk_hot hot;
	uint64_t from;
	int memfd;
	char *at;

	IS(CALL(write, fd, "0123456789", 10), 10);
	IS(CALL(look, RK_AT_FDCWD, "m", 0, 0, 0, 0, &hot),
	   no_pages ? -EOPNOTSUPP : 0);
	OK(no_pages || hot.st.size == 10);
	IS(CALL(pin_sync, 0, 0, 0, 1), -EINVAL);
	IS(CALL(unpin, 0), -EINVAL);
	if (!pages) {
		IS(CALL(pin, fd, PROT_READ, MAP_PRIVATE, &hot), 0);
		IS(CALL(pin, fd, PROT_WRITE, MAP_SHARED, &hot), -ENODEV);
	} else {
		pin = (int32_t)rk_map(c, fd, 0, 10, PROT_READ | PROT_WRITE,
				      MAP_SHARED, &memfd, &from);
		OK(pin > 0);
		at = mmap(NULL, 10, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
			  (off_t)from);
		close(memfd);
		at[1] = 'x';
		IS(CALL(pin_sync, (uint32_t)pin, 0, 10, 1), 0);
		at[2] = 'y';
		IS(CALL(unpin, (uint32_t)pin), 0);
		IS(CALL(unpin, (uint32_t)pin), -EINVAL);
		munmap(at, 10);
		pin = (int32_t)CALL(pin, fd, PROT_READ, MAP_SHARED, &hot);
		IS(CALL(unpin, (uint32_t)pin), 0);
		at = (char[10]){ 0 };
		IS(CALL(pread, fd, at, 10, 0), 10);
		OK(!memcmp(at, "0xy3456789", 10));
	}
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "m", 0), 0);
}

static void resolving(void)
{
	int32_t dirfd, fd;

	IS(CALL(mkdirat, RK_AT_FDCWD, "r", 0755), 0);
	IS(CALL(mkdirat, RK_AT_FDCWD, "r/in", 0755), 0);
	IS(CALL(symlinkat, "../..", RK_AT_FDCWD, "r/in/up"), 0);
	IS(CALL(symlinkat, "/in", RK_AT_FDCWD, "r/root"), 0);
	dirfd = (int32_t)CALL(openat, RK_AT_FDCWD, "r", O_PATH, 0);
	OK(dirfd >= 0);
	IS(CALL(openat2, dirfd, "in/up", O_RDONLY, 0, RESOLVE_BENEATH), -EXDEV);
	IS(CALL(openat2, dirfd, "root", O_RDONLY, 0, RESOLVE_BENEATH), -EXDEV);
	IS(CALL(openat2, dirfd, "..", O_RDONLY, 0, RESOLVE_BENEATH), -EXDEV);
	IS(CALL(openat2, dirfd, "in/up", O_RDONLY, 0, RESOLVE_NO_SYMLINKS),
	   -ELOOP);
	IS(CALL(openat2, dirfd, "in", O_RDONLY, 0600, 0), -EINVAL);
	IS(CALL(openat2, dirfd, "in", 1ull << 40, 0, 0), -EINVAL);
	IS(CALL(openat2, dirfd, "in", O_RDONLY, 0, 1ull << 40), -EINVAL);
	IS(CALL(openat2, dirfd, "n", O_CREAT, 0600, RESOLVE_CACHED), -EAGAIN);
	fd = (int32_t)CALL(openat2, dirfd, "/root/up/../in/f",
			   O_CREAT | O_EXCL | O_RDWR, 0600, RESOLVE_IN_ROOT);
	OK(fd >= 0);
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, dirfd, "in/f", 0), 0);
	fd = (int32_t)CALL(openat2, dirfd, "in/../in/.", O_RDONLY, 0,
			   RESOLVE_BENEATH | RESOLVE_NO_XDEV);
	OK(fd >= 0);
	IS(CALL(close, fd), 0);
	/* A descriptor of a place, and nothing more. */
	IS(CALL(fsync, dirfd), -EBADF);
	IS(CALL(fchmod, dirfd, 0700), -EBADF);
	IS(CALL(ioctl, dirfd, FIONREAD, NULL, 0, NULL, 0), -EBADF);
	IS(CALL(close, dirfd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "r/in/up", 0), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "r/root", 0), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "r/in", AT_REMOVEDIR), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "r", AT_REMOVEDIR), 0);
}

static void pieces(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "p", O_RDWR | O_CREAT,
				   0600);
	char one[3], two[8] = "";
	struct iovec iov[] = { { one, 3 }, { NULL, 0 }, { two, 7 } };
	struct statx sx;

	IS(CALL(pwrite2, fd, "0123456789", 10, -1, RWF_DSYNC), 10);
	IS(CALL(pwrite2, fd, "ab", 2, 0, RWF_APPEND), 2);
	IS(CALL(pread2, fd, two, 4, 8, RWF_HIPRI), 4);
	OK(!memcmp(two, "89ab", 4));
	IS(CALL(pread2, fd, two, 4, -1, 0), 2);
	IS(CALL(pread2, fd, two, 4, 0, 1 << 30), -EOPNOTSUPP);
	IS(rk_preadv2(c, fd, iov, 3, 1, 0), 10);
	OK(!memcmp(one, "123", 3) && !memcmp(two, "456789a", 7));
	IS(rk_pwritev2(c, fd, iov, 3, 0, 0), 10);
	IS(CALL(lseek, fd, 0, SEEK_SET), 0);
	IS(rk_readv(c, fd, iov, 3), 10);
	OK(!memcmp(one, "123", 3) && !memcmp(two, "456789a", 7));
	IS(rk_writev(c, fd, iov, 3), 10);
	IS(rk_statx(c, fd, "", AT_EMPTY_PATH, STATX_ALL, &sx), 0);
	OK(sx.stx_size == 20 && (sx.stx_mask & STATX_BTIME));
	OK(sx.stx_attributes_mask & STATX_ATTR_IMMUTABLE);
	IS(CALL(setfl, fd, O_DIRECT), 0);
	IS(CALL(pread, fd, two, 7, 0), -EINVAL);
	IS(CALL(pwrite, fd, two, 7, 512), -EINVAL);
	IS(CALL(setfl, fd, 0), 0);
	IS(CALL(syncfs, fd), 0);
	IS(CALL(pwrite, fd, two, 7, 512), 7);
	IS(CALL(sync_file_range, fd, 0, 0, SYNC_FILE_RANGE_WAIT_AFTER), 0);
	IS(CALL(sync_file_range, fd, -1, 0, 0), -EINVAL);
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "p", 0), 0);
}

static void border(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "b", O_RDWR | O_CREAT,
				   0600);
	char buf[16] = "";
	int64_t at = 3;
	int host[2];

	OK(pipe(host) == 0);
	IS(write(host[1], "0123456789", 10), 10);
	IS(rk_receive_from_host(c, fd, NULL, host[0], 10), 10);
	IS(CALL(lseek, fd, 0, SEEK_CUR), 10);
	IS(rk_send_to_host(c, host[1], fd, &at, 4), 4);
	IS(at, 7);
	IS(rk_send_to_host(c, host[1], fd, &at, 100), 3);
	IS(read(host[0], buf, sizeof buf), 7);
	OK(!memcmp(buf, "3456789", 7));
	IS(rk_send_to_host(c, -1, fd, &at, 100), 0);
	at = 0;
	IS(rk_send_to_host(c, -1, fd, &at, 100), -EBADF);
	close(host[0]);
	close(host[1]);
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "b", 0), 0);
}

static void handles(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "h", O_RDWR | O_CREAT,
				   0600), again;
	int64_t refused = geteuid() == 0 ? -ESTALE : -EPERM;
	struct rk_file_handle h;
	struct rk_stat one, two;

	IS(CALL(name_to_handle_at, RK_AT_FDCWD, "h", &h, 0), 0);
	IS(CALL(name_to_handle_at, RK_AT_FDCWD, "none", &h, 0), -ENOENT);
	IS(CALL(open_by_handle_at, fd, h.ino, h.generation + 1, O_RDONLY),
	   refused);
	again = (int32_t)CALL(open_by_handle_at, fd, h.ino, h.generation,
			      O_RDONLY);
	if (geteuid() != 0) {
		IS(again, -EPERM);
	} else {
		IS(CALL(fstat, fd, &one), 0);
		IS(CALL(fstat, again, &two), 0);
		IS(one.ino, two.ino);
		IS(CALL(close, again), 0);
	}
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "h", 0), 0);
}

static void controls(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "c", O_RDWR | O_CREAT,
				   0600), high;
	_Alignas(struct fiemap) uint8_t room[sizeof(struct fiemap) +
					     4 * sizeof(struct fiemap_extent)];
	struct fiemap *map = (void *)room;
	int n = 0, flags = 0;
	char block[4096] = "x";

	*map = (struct fiemap){
		.fm_length = UINT64_MAX, .fm_extent_count = 4,
	};
	IS(CALL(write, fd, block, sizeof block), sizeof block);
	IS(CALL(pwrite, fd, block, sizeof block, 1 << 20), sizeof block);
	IS(CALL(lseek, fd, 96, SEEK_SET), 96);
	IS(CALL(ioctl, fd, FIONREAD, NULL, 0, &n, sizeof n), 0);
	IS(n, (1 << 20) + 4096 - 96);
	IS(CALL(ioctl, fd, FS_IOC_GETFLAGS, NULL, 0, &flags, sizeof flags), 0);
	flags |= FS_NODUMP_FL;
	IS(CALL(ioctl, fd, FS_IOC_SETFLAGS, &flags, sizeof flags, NULL, 0), 0);
	IS(CALL(ioctl, fd, FS_IOC_GETFLAGS, NULL, 0, &n, sizeof n), 0);
	OK(n & FS_NODUMP_FL);
	IS(CALL(ioctl, fd, FS_IOC_FIEMAP, map, sizeof *map, map,
		sizeof room), 0);
	IS(map->fm_mapped_extents, 2);
	IS(map->fm_extents[1].fe_logical, 1 << 20);
	OK(map->fm_extents[0].fe_physical &&
	   !(map->fm_extents[0].fe_flags & FIEMAP_EXTENT_LAST));
	OK(map->fm_extents[1].fe_flags & FIEMAP_EXTENT_LAST);
	IS(CALL(ioctl, fd, 1, NULL, 0, NULL, 0), -ENOTTY);
	high = (int32_t)CALL(fcntl, fd, F_DUPFD_CLOEXEC, 100);
	IS(high, 100);
	IS(CALL(fcntl, high, F_GETFD, 0), FD_CLOEXEC);
	IS(CALL(fcntl, high, F_SETFD, 0), 0);
	IS(CALL(fcntl, high, F_GETFD, 0), 0);
	IS(CALL(fcntl, fd, F_SETLEASE, F_RDLCK), -EINVAL);
	IS(CALL(close_range, 90, UINT32_MAX, 0), 0);
	IS(CALL(close, high), -EBADF);
	IS(CALL(close_range, 5, 4, 0), -EINVAL);
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "c", 0), 0);
}

static volatile sig_atomic_t too_large;

static void on_limit(int signal)
{
	(void)signal;
	too_large++;
}

static void limits(void)
{
	struct rlimit old, small = { .rlim_cur = 1000 };
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "l", O_RDWR | O_CREAT,
				   0600);
	char block[800] = "";

	getrlimit(RLIMIT_FSIZE, &old);
	small.rlim_max = old.rlim_max;
	signal(SIGXFSZ, on_limit);
	too_large = 0;
	setrlimit(RLIMIT_FSIZE, &small);
	IS(rk_refresh(c), 0);
	IS(CALL(write, fd, block, sizeof block), 800);
	IS(CALL(write, fd, block, sizeof block), 200);
	IS(too_large, 0);
	IS(CALL(write, fd, block, sizeof block), -EFBIG);
	IS(too_large, 1);
	IS(CALL(ftruncate, fd, 1001), -EFBIG);
	IS(too_large, 2);
	setrlimit(RLIMIT_FSIZE, &old);
	IS(rk_refresh(c), 0);
	IS(CALL(write, fd, block, sizeof block), 800);
	IS(CALL(rlimit, RLIMIT_NOFILE, 2), 1024);
	IS(CALL(dup, fd, 0), 1);
	IS(CALL(dup, fd, 0), -EMFILE);
	IS(CALL(rlimit, RLIMIT_NOFILE, 1024), 2);
	IS(CALL(rlimit, 99, 0), -EINVAL);
	IS(CALL(close_range, 0, UINT32_MAX, 0), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "l", 0), 0);
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
	c = attach_any(mount, flags);
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
	resolving();
	leaving();
	handing_on();
	for_others();
	checkpoints();
	mapping(!no_pages && (flags & RK_ATTACH_PAGES));
	pieces();
	border();
	handles();
	controls();
	limits();
	IS(CALL(unlinkat, RK_AT_FDCWD, "f", 0), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "copy", 0), 0);
	IS(CALL(chdir, ".."), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, dir, AT_REMOVEDIR), 0);
	rk_detach(c);
}

/* [BOARD | PATH=DRIVER:SOURCE (in this process) | process (ops may sleep)] */
int main(int argc, char **argv)
{
	mount = argc > 1 && strchr(argv[1], '=') ? argv[1] : NULL;
	no_pages = mount || (argc > 1 && !strcmp(argv[1], "process"));
	if (argc == 1 || no_pages) {
		run(0);
		run(RK_ATTACH_SOCKET);
		run(RK_ATTACH_PAGES);
	} else if (board_find(argv[1], &board) < 0) {
		printf("no board of %s\n", argv[1]);
		return 1;
	} else {
		for (point = 0; point < POINTS; point++)
			run(RK_ATTACH_PAGES);
		check_hits();
	}
	check_coverage();
	return failures ? 1 : 0;
}
