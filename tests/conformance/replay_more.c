/*
 * replay_more.c - the rarer calls: openat2, vectors, sendfile, mappings and
 * their faults, limits, notices.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "replay.h"

/* --- names ------------------------------------------------------------------ */

/* Goes there, and back at once. */
static long c_chdir(char **a)
{
	long r = chdir(a[0]);
	int error = errno;

	if (r == 0 && go_home() < 0)
		abort();
	errno = error;
	return r;
}

static long c_fchdir(char **a)
{
	long r = fchdir(descriptor(a[0]));
	int error = errno;

	if (r == 0 && go_home() < 0)
		abort();
	errno = error;
	return r;
}

static long c_openat2(char **a)		/* FD PATH FLAGS MODE RESOLVE */
{
	struct open_how how = {
		.flags = (uint64_t)number(a[2]) | O_CLOEXEC,
		.mode = (uint64_t)number(a[3]),
		.resolve = (uint64_t)number(a[4]),
	};
	int fd, tries = 0;

	/* EAGAIN: something was renamed meanwhile, anywhere on the machine. */
	do
		fd = (int)openat2(at_fd, a[1], &how, sizeof how);
	while (fd < 0 && errno == EAGAIN && tries++ < 1000);
	return keep_descriptor(a[0], fd);
}

static long c_links(char **a)		/* FILE PREFIX COUNT */
{
	long n = number(a[2]), i;
	char path[4096];

	for (i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s%ld", a[1], i);
		if (link(a[0], path) < 0) {
			tell(" after %ld", i);
			return -1;
		}
	}
	return i;
}

/* --- descriptors ------------------------------------------------------------ */

static long c_getfl(char **a)
{
	long r = fcntl(descriptor(a[0]), F_GETFL);

	return r < 0 ? r : r & ~O_CLOEXEC;
}

static long c_setfl(char **a)
{
	return fcntl(descriptor(a[0]), F_SETFL, (int)number(a[1]));
}

static long c_lease(char **a)
{
	return fcntl(descriptor(a[0]), F_SETLEASE, (int)number(a[1]));
}

static long c_dup(char **a)		/* NEW OLD */
{
	return keep_descriptor(a[0], fcntl(descriptor(a[1]), F_DUPFD_CLOEXEC, 3));
}

static long c_writev(char **a)		/* FD COUNT CHARACTER: in three pieces */
{
	size_t n = (size_t)number(a[1]), third = n / 3;
	char *b = malloc(n + 1);
	struct iovec v[3] = {
		{ b, third }, { b + third, third },
		{ b + 2 * third, n - 2 * third },
	};
	long r;

	memset(b, *a[2], n);
	r = a[3] ? pwritev2(descriptor(a[0]), v, 3, number(a[3]),
			    a[4] ? (int)number(a[4]) : 0) :
		   writev(descriptor(a[0]), v, 3);
	free(b);
	return r;
}

static long c_readv(char **a)		/* FD COUNT OFFSET [FLAGS] */
{
	size_t n = (size_t)number(a[1]), third = n / 3;
	char *b = calloc(1, n + 1);
	struct iovec v[3] = {
		{ b, third }, { b + third, third },
		{ b + 2 * third, n - 2 * third },
	};
	long r = preadv2(descriptor(a[0]), v, 3, number(a[2]),
			 a[3] ? (int)number(a[3]) : 0);

	tell(" %016lx", hash(b, r));
	free(b);
	return r;
}

static long c_sendfile(char **a)	/* TO FROM OFFSET COUNT */
{
	off_t at = number(a[2]);
	long r = sendfile(descriptor(a[0]), descriptor(a[1]), &at,
			  (size_t)number(a[3]));

	tell(" at %ld", (long)at);
	return r;
}

static long c_splice(char **a)		/* TO FROM COUNT: through a pipe */
{
	int p[2];
	long n, m = -1;

	if (pipe(p) < 0)
		return -1;
	n = splice(descriptor(a[1]), NULL, p[1], NULL, (size_t)number(a[2]), 0);
	if (n > 0)
		m = splice(p[0], NULL, descriptor(a[0]), NULL, (size_t)n, 0);
	tell(" took %ld", n);
	n = errno;
	close(p[0]);
	close(p[1]);
	errno = (int)n;
	return m;
}

static long c_advise(char **a)
{
	errno = posix_fadvise(descriptor(a[0]), number(a[1]), number(a[2]),
			      (int)number(a[3]));
	return errno ? -1 : 0;
}

static long c_syncrange(char **a)
{
	return sync_file_range(descriptor(a[0]), number(a[1]), number(a[2]),
			       (unsigned)number(a[3]));
}

static long c_nread(char **a)
{
	int n = -1;
	long r = ioctl(descriptor(a[0]), FIONREAD, &n);

	tell(" %d", n);
	return r;
}

/* The limit is in force only while a call is done: what replay prints goes to
 * a file too. */
static long file_size = -1;

void limit_file_size(long n)
{
	file_size = n;
}

void limit_now(bool on)
{
	long n = on ? file_size : -1;
	static long last = -1;

	if (n == last)
		return;
	last = n;
#ifdef REPLAY_LIBRARY
	door_limit((uint64_t)n);
#else
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = n < 0 ? l.rlim_max : (rlim_t)n;
	setrlimit(RLIMIT_FSIZE, &l);
#endif
}

static long c_fsize(char **a)
{
	limit_file_size(number(a[0]));
	return 0;
}

static long c_nofile(char **a)		/* PATH: opened until no more may be */
{
	struct rlimit l, low;
	int fd, last = -1, error;

	getrlimit(RLIMIT_NOFILE, &l);
	low = l;
	low.rlim_cur = 100;
	setrlimit(RLIMIT_NOFILE, &low);
	while ((fd = open(a[0], O_RDONLY | O_CLOEXEC)) >= 0)
		last = fd;
	error = errno;
	for (fd = last; fd >= 60; fd--)
		close(fd);
	setrlimit(RLIMIT_NOFILE, &l);
	errno = error;
	return -1;
}

/* --- mappings --------------------------------------------------------------- */

static long c_mmap(char **a)		/* FD OFFSET COUNT PROT FLAGS */
{
	size_t n = (size_t)number(a[2]);
	void *p = mmap(NULL, n, (int)number(a[3]), (int)number(a[4]),
		       descriptor(a[0]), number(a[1]));

	return p == MAP_FAILED ? -1 : munmap(p, n);
}

/* In a process of its own: which signal, if any, the access gives. */
static long c_touch(char **a)		/* FD OFFSET r|w */
{
	long off = number(a[1]), at = off & ~4095l;
	volatile char *p = mmap(NULL, 8192, *a[2] == 'w' ?
				PROT_READ | PROT_WRITE : PROT_READ, MAP_SHARED,
				descriptor(a[0]), at);
	int status;
	pid_t pid;

	if (p == MAP_FAILED)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		struct rlimit none = { 0, 0 };

		setrlimit(RLIMIT_CORE, &none);
		if (*a[2] == 'w')
			p[off - at] = 'T';
		_exit(p[off - at] == 1);
	}
	waitpid(pid, &status, 0);
	munmap((void *)p, 8192);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* A private mapping sees the file, the file nothing of it. */
static long c_private(char **a)		/* FD OFFSET COUNT CHARACTER */
{
	long off = number(a[1]), at = off & ~4095l, n = number(a[2]);
	size_t size = (size_t)(off - at + n);
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE,
		       descriptor(a[0]), at);

	if (p == MAP_FAILED)
		return -1;
	tell(" %016lx", hash(p + off - at, n));
	memset(p + off - at, *a[3], (size_t)n);
	tell(" %016lx", hash(p + off - at, n));
	return munmap(p, size);
}

/* --- inotify ---------------------------------------------------------------- */

static int watcher = -1;

static long c_watch(char **a)
{
	if (watcher >= 0)
		close(watcher);
	watcher = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	return inotify_add_watch(watcher, a[0], IN_ALL_EVENTS) < 0 ? -1 : 0;
}

static long c_events(char **a)
{
	static _Alignas(8) char buf[1 << 16];
	long n = read(watcher, buf, sizeof buf), count = 0;

	for (long at = 0; at < n; count++) {
		struct inotify_event *e = (void *)(buf + at);

		tell(" %x:%s", e->mask, e->len ? e->name : "");
		at += (long)(sizeof *e + e->len);
	}
	return count;
}

const struct call more_calls[] = {
	{ "chdir", "p", c_chdir }, { "fchdir", "-", c_fchdir },
	{ "openat2", "-----", c_openat2 }, { "links", "pp-", c_links },
	{ "getfl", "-", c_getfl }, { "setfl", "--", c_setfl },
	{ "dup", "--", c_dup }, { "lease", "--", c_lease },
	{ "writev", "---", c_writev }, { "readv", "---", c_readv },
	{ "sendfile", "----", c_sendfile }, { "splice", "---", c_splice },
	{ "advise", "----", c_advise }, { "syncrange", "----", c_syncrange },
	{ "nread", "-", c_nread }, { "fsize", "-", c_fsize },
	{ "nofile", "p", c_nofile }, { "mmap", "-----", c_mmap },
	{ "touch", "---", c_touch }, { "private", "----", c_private },
	{ "watch", "p", c_watch }, { "events", "", c_events },
	{ NULL, NULL, NULL },
};
