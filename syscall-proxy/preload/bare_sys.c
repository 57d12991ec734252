/*
 * bare_sys.c - system calls by their usual names. Those that make descriptors
 * make them out of the program's sight.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "bare.h"

static _Thread_local int own_errno;

int *__errno_location(void)
{
	return &own_errno;
}

long rk__result(long r)
{
	if (r >= 0 || r < -4095)
		return r;
	own_errno = (int)-r;
	return -1;
}

static int owned(long r)
{
	return r < 0 ? (int)rk__result(r) : rk__own((int)r);
}

long syscall(long nr, ...)
{
	long a[6];
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return rk__result(RK__R6(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
}

#define CALL0(type, name, nr)						\
	type name(void) { return (type)rk__result(RK__R0(nr)); }
#define CALL1(type, name, nr, A)					\
	type name(A a) { return (type)rk__result(RK__R1(nr, a)); }
#define CALL2(type, name, nr, A, B)					\
	type name(A a, B b) { return (type)rk__result(RK__R2(nr, a, b)); }
#define CALL3(type, name, nr, A, B, C)					\
	type name(A a, B b, C c)					\
	{ return (type)rk__result(RK__R3(nr, a, b, c)); }
#define CALL4(type, name, nr, A, B, C, D)				\
	type name(A a, B b, C c, D d)					\
	{ return (type)rk__result(RK__R4(nr, a, b, c, d)); }
#define CALL5(type, name, nr, A, B, C, D, E)				\
	type name(A a, B b, C c, D d, E e)				\
	{ return (type)rk__result(RK__R5(nr, a, b, c, d, e)); }
#define CALL6(type, name, nr, A, B, C, D, E, F)				\
	type name(A a, B b, C c, D d, E e, F f)				\
	{ return (type)rk__result(RK__R6(nr, a, b, c, d, e, f)); }

CALL3(ssize_t, read, SYS_read, int, void *, size_t)
CALL3(ssize_t, write, SYS_write, int, const void *, size_t)
CALL4(ssize_t, pread, SYS_pread64, int, void *, size_t, off_t)
CALL4(ssize_t, pwrite, SYS_pwrite64, int, const void *, size_t, off_t)
CALL3(ssize_t, readv, SYS_readv, int, const struct iovec *, int)
CALL3(ssize_t, writev, SYS_writev, int, const struct iovec *, int)
CALL3(off_t, lseek, SYS_lseek, int, off_t, int)
CALL2(int, fstat, SYS_fstat, int, struct stat *)
CALL2(int, stat, SYS_stat, const char *restrict, struct stat *restrict)
CALL2(int, lstat, SYS_lstat, const char *restrict, struct stat *restrict)
CALL4(int, fstatat, SYS_newfstatat, int, const char *restrict,
      struct stat *restrict, int)
CALL5(int, statx, SYS_statx, int, const char *restrict, int, unsigned,
      struct statx *restrict)
CALL2(int, fstatfs, SYS_fstatfs, int, struct statfs *)
CALL2(int, statfs, SYS_statfs, const char *, struct statfs *)
CALL2(int, ftruncate, SYS_ftruncate, int, off_t)
CALL2(int, access, SYS_access, const char *, int)
CALL3(ssize_t, readlink, SYS_readlink, const char *restrict, char *restrict,
      size_t)
CALL4(ssize_t, readlinkat, SYS_readlinkat, int, const char *restrict,
      char *restrict, size_t)
CALL3(ssize_t, getdents64, SYS_getdents64, int, void *, size_t)
CALL1(int, unlink, SYS_unlink, const char *)
CALL1(int, fchdir, SYS_fchdir, int)
CALL3(int, poll, SYS_poll, struct pollfd *, nfds_t, int)
CALL4(int, epoll_ctl, SYS_epoll_ctl, int, int, int, struct epoll_event *)
CALL4(int, epoll_wait, SYS_epoll_wait, int, struct epoll_event *, int, int)
CALL6(void *, mmap, SYS_mmap, void *, size_t, int, int, int, off_t)
CALL2(int, munmap, SYS_munmap, void *, size_t)
CALL3(int, mprotect, SYS_mprotect, void *, size_t, int)
CALL3(int, madvise, SYS_madvise, void *, size_t, int)
CALL3(int, msync, SYS_msync, void *, size_t, int)
CALL3(int, connect, SYS_connect, int, const struct sockaddr *, socklen_t)
CALL3(int, bind, SYS_bind, int, const struct sockaddr *, socklen_t)
CALL2(int, listen, SYS_listen, int, int)
CALL2(int, shutdown, SYS_shutdown, int, int)
CALL5(int, setsockopt, SYS_setsockopt, int, int, int, const void *, socklen_t)
CALL5(int, getsockopt, SYS_getsockopt, int, int, int, void *restrict,
      socklen_t *restrict)
CALL3(ssize_t, sendmsg, SYS_sendmsg, int, const struct msghdr *, int)
CALL2(int, getrlimit, SYS_getrlimit, __rlimit_resource_t, struct rlimit *)
CALL0(pid_t, getpid, SYS_getpid)
CALL0(pid_t, getppid, SYS_getppid)
CALL0(pid_t, gettid, SYS_gettid)
CALL0(uid_t, getuid, SYS_getuid)
CALL0(uid_t, geteuid, SYS_geteuid)
CALL0(gid_t, getegid, SYS_getegid)
CALL2(int, kill, SYS_kill, pid_t, int)
CALL3(ssize_t, getrandom, SYS_getrandom, void *, size_t, unsigned)
CALL0(int, sched_yield, SYS_sched_yield)
CALL2(int, flock, SYS_flock, int, int)
CALL2(int, nanosleep, SYS_nanosleep, const struct timespec *,
      struct timespec *)

ssize_t send(int fd, const void *p, size_t n, int flags)
{
	return rk__result(RK__R6(SYS_sendto, fd, p, n, flags, 0, 0));
}

ssize_t recv(int fd, void *p, size_t n, int flags)
{
	return rk__result(RK__R6(SYS_recvfrom, fd, p, n, flags, 0, 0));
}

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	long r = RK__R3(SYS_sched_getaffinity, pid, size, set);

	if (r < 0)
		return (int)rk__result(r);
	memset((uint8_t *)set + r, 0, size - (size_t)r);
	return 0;
}

int __sched_cpucount(size_t size, const cpu_set_t *set)
{
	const uint8_t *p = (const uint8_t *)set;
	int n = 0;

	for (size_t i = 0; i < size; i++)
		for (uint8_t bits = p[i]; bits; bits &= (uint8_t)(bits - 1))
			n++;
	return n;
}

/* --- what makes and ends descriptors ---------------------------------------------- */

int close(int fd)
{
	return (int)rk__result(rk__own_close(fd));
}

int openat(int dirfd, const char *path, int flags, ...)
{
	va_list ap;
	unsigned mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	return owned(RK__R4(SYS_openat, dirfd, path, flags, mode));
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	unsigned mode;

	va_start(ap, flags);
	mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, unsigned) : 0;
	va_end(ap);
	return openat(AT_FDCWD, path, flags, mode);
}

int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg, r;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	r = RK__R3(SYS_fcntl, fd, cmd, arg);
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC ? owned(r) :
	       (int)rk__result(r);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	long arg;

	va_start(ap, request);
	arg = va_arg(ap, long);
	va_end(ap);
	return (int)rk__result(RK__R3(SYS_ioctl, fd, request, arg));
}

int dup(int fd)
{
	return owned(RK__R1(SYS_dup, fd));
}

int socket(int domain, int type, int protocol)
{
	return owned(RK__R3(SYS_socket, domain, type | SOCK_CLOEXEC, protocol));
}

static int own_pair(long r, int fd[2])
{
	if (r < 0)
		return (int)rk__result(r);
	fd[0] = rk__own(fd[0]);
	fd[1] = rk__own(fd[1]);
	return 0;
}

int socketpair(int domain, int type, int protocol, int fd[2])
{
	return own_pair(RK__R4(SYS_socketpair, domain, type | SOCK_CLOEXEC,
			       protocol, fd), fd);
}

int pipe2(int fd[2], int flags)
{
	return own_pair(RK__R2(SYS_pipe2, fd, flags | O_CLOEXEC), fd);
}

int memfd_create(const char *name, unsigned flags)
{
	return owned(RK__R2(SYS_memfd_create, name, flags | MFD_CLOEXEC));
}

int eventfd(unsigned count, int flags)
{
	return owned(RK__R2(SYS_eventfd2, count, flags | EFD_CLOEXEC));
}

int epoll_create1(int flags)
{
	return owned(RK__R1(SYS_epoll_create1, flags | EPOLL_CLOEXEC));
}

ssize_t recvmsg(int sock, struct msghdr *msg, int flags)
{
	long n = RK__R3(SYS_recvmsg, sock, msg, flags | MSG_CMSG_CLOEXEC);

	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR(msg, c)) {
		size_t fds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		int *fd = (int *)(void *)CMSG_DATA(c);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < fds; i++)
			fd[i] = rk__own(fd[i]);
	}
	return rk__result(n);
}

struct cmsghdr *__cmsg_nxthdr(struct msghdr *msg, struct cmsghdr *c)
{
	size_t step = CMSG_ALIGN(c->cmsg_len);
	uint8_t *end = (uint8_t *)msg->msg_control + msg->msg_controllen;
	uint8_t *next = (uint8_t *)c + step;

	if (c->cmsg_len < sizeof *c || next + sizeof *c > end)
		return NULL;
	c = (struct cmsghdr *)(void *)next;
	return next + CMSG_ALIGN(c->cmsg_len) > end ? NULL : c;
}
