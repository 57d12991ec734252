/*
 * interpose.c - libc's symbols for files, sent to the proxy. See interpose.h.
 *
 * Most have the arguments of their system call in its order, and no prototype
 * is seen here: all words are handed on as they come, which is what the
 * psABI lets a caller rely on.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include "interpose.h"
#include "interpose_calls.h"

#define EXPORT __attribute__((visibility("default")))

enum { O_CREAT_ = 0100, O_TMPFILE_ = 020000000, AT_EMPTY = 0x1000,
       CWD = -100, AT_FLAGS = 0x100 | 0x200, PATH_SIZE = 4096,
       STAT_VERSION = 1, SIGSET = 8 };

extern char **environ;
void *dlsym(void *handle, const char *name);
void *malloc(size_t n);
void free(void *p);
char *getenv(const char *name);
size_t strlen(const char *s);
void *memcpy(void *to, const void *from, size_t n);
char *strchr(const char *s, int c);

long rk__interposed_raw(long nr, long a, long b, long c, long d, long e,
			long f)
{
	uint64_t arg[6] = {(uint64_t)a, (uint64_t)b, (uint64_t)c,
			   (uint64_t)d, (uint64_t)e, (uint64_t)f};

	return (long)rk__preload_call(nr, arg, 0, 0);
}

static long result(long r)
{
	if (r < 0 && r > -4096) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

long rk__interposed(long nr, long a, long b, long c, long d, long e, long f)
{
	return result(rk__interposed_raw(nr, a, b, c, d, e, f));
}

#define CALL(symbol, call)						\
	EXPORT long symbol(long a, long b, long c, long d, long e, long f)	\
	{								\
		return rk__interposed(SYS_##call, a, b, c, d, e, f);	\
	}
RK__INTERPOSED(CALL)

/* --- with a mode only if a file may be made ---------------------------------------- */

static long open_at(long dir, const char *path, int flags, va_list ap)
{
	int mode = flags & (O_CREAT_ | O_TMPFILE_) ? va_arg(ap, int) : 0;

	return rk__interposed(SYS_openat, dir, (long)path, flags, mode, 0, 0);
}

#define OPEN(symbol)							\
	EXPORT int symbol(const char *path, int flags, ...)		\
	{								\
		va_list ap;						\
		long r;							\
									\
		va_start(ap, flags);					\
		r = open_at(CWD, path, flags, ap);			\
		va_end(ap);						\
		return (int)r;						\
	}
#define OPENAT(symbol)							\
	EXPORT int symbol(int dir, const char *path, int flags, ...)	\
	{								\
		va_list ap;						\
		long r;							\
									\
		va_start(ap, flags);					\
		r = open_at(dir, path, flags, ap);			\
		va_end(ap);						\
		return (int)r;						\
	}
OPEN(open) OPEN(open64) OPEN(__open_2) OPEN(__open64_2)
OPENAT(openat) OPENAT(openat64) OPENAT(__openat_2) OPENAT(__openat64_2)

#define CREAT(symbol)							\
	EXPORT int symbol(const char *path, unsigned mode)		\
	{								\
		return (int)rk__interposed(SYS_creat, (long)path, mode,	\
					   0, 0, 0, 0);			\
	}
CREAT(creat) CREAT(creat64)

/* --- what libc does a little more for ---------------------------------------------- */

/* Programs of before glibc 2.33: the version of struct stat goes first. */
#define XSTAT(symbol, call)						\
	EXPORT int symbol(int version, long a, long b)			\
	{								\
		if (version != STAT_VERSION)				\
			return (int)result(-EINVAL);			\
		return (int)rk__interposed(SYS_##call, a, b, 0, 0, 0, 0);	\
	}
XSTAT(__xstat, stat) XSTAT(__xstat64, stat)
XSTAT(__lxstat, lstat) XSTAT(__lxstat64, lstat)
XSTAT(__fxstat, fstat) XSTAT(__fxstat64, fstat)

EXPORT int __fxstatat(int version, long dir, long path, long st, long flags)
{
	if (version != STAT_VERSION)
		return (int)result(-EINVAL);
	return (int)rk__interposed(SYS_newfstatat, dir, path, st, flags, 0, 0);
}

EXPORT int __fxstatat64(int version, long dir, long path, long st, long flags)
{
	return __fxstatat(version, dir, path, st, flags);
}

/* The offset is two words for the kernel, of which the second counts not. */
#define VECTOR(symbol, call)						\
	EXPORT long symbol(long fd, long iov, long n, long offset)	\
	{								\
		return rk__interposed(SYS_##call, fd, iov, n, offset, 0, 0);	\
	}
#define VECTOR2(symbol, call)						\
	EXPORT long symbol(long fd, long iov, long n, long offset,	\
			   long flags)					\
	{								\
		return rk__interposed(SYS_##call, fd, iov, n, offset, 0,	\
				      flags);				\
	}
VECTOR(preadv, preadv) VECTOR(preadv64, preadv)
VECTOR(pwritev, pwritev) VECTOR(pwritev64, pwritev)
VECTOR2(preadv2, preadv2) VECTOR2(preadv64v2, preadv2)
VECTOR2(pwritev2, pwritev2) VECTOR2(pwritev64v2, pwritev2)

EXPORT int faccessat(int dir, const char *path, int mode, int flags)
{
	if (!flags)
		return (int)rk__interposed(SYS_faccessat, dir, (long)path,
					   mode, 0, 0, 0);
	return (int)rk__interposed(SYS_faccessat2, dir, (long)path, mode,
				   flags, 0, 0);
}

EXPORT int fchmodat(int dir, const char *path, unsigned mode, int flags)
{
	if (flags)
		return (int)result(-EOPNOTSUPP);
	return (int)rk__interposed(SYS_fchmodat, dir, (long)path, mode, 0, 0,
				   0);
}

EXPORT int futimens(int fd, const void *times)
{
	return (int)rk__interposed(SYS_utimensat, fd, 0, (long)times, 0, 0, 0);
}

/* These give an error number, and leave errno. */
static int positive(long r)
{
	return r < 0 ? (int)-r : 0;
}

#define ADVISE(symbol)							\
	EXPORT int symbol(int fd, long offset, long n, int advice)	\
	{								\
		return positive(rk__interposed_raw(SYS_fadvise64, fd,	\
						   offset, n, advice, 0, 0));	\
	}
#define ALLOCATE(symbol)						\
	EXPORT int symbol(int fd, long offset, long n)			\
	{								\
		return positive(rk__interposed_raw(SYS_fallocate, fd, 0,	\
						   offset, n, 0, 0));	\
	}
ADVISE(posix_fadvise) ADVISE(posix_fadvise64)
ALLOCATE(posix_fallocate) ALLOCATE(posix_fallocate64)

EXPORT int ppoll(void *fds, long n, const long *timeout, const void *mask)
{
	long t[2];

	/* The kernel writes what is left of it, libc does not. */
	if (timeout)
		memcpy(t, timeout, sizeof(t));
	return (int)rk__interposed(SYS_ppoll, (long)fds, n,
				   timeout ? (long)t : 0, (long)mask, SIGSET,
				   0);
}

EXPORT int pselect(int n, void *r, void *w, void *x, const long *timeout,
		   const void *mask)
{
	long t[2], set[2] = {(long)mask, SIGSET};

	if (timeout)
		memcpy(t, timeout, sizeof(t));
	return (int)rk__interposed(SYS_pselect6, n, (long)r, (long)w, (long)x,
				   timeout ? (long)t : 0, (long)set);
}

EXPORT int epoll_pwait(int fd, void *events, int n, int timeout,
		       const void *mask)
{
	return (int)rk__interposed(SYS_epoll_pwait, fd, (long)events, n,
				   timeout, (long)mask, SIGSET);
}

EXPORT char *getcwd(char *buf, size_t size)
{
	char *p = buf;
	long n;

	if (buf && !size)
		return (char *)(result(-EINVAL), NULL);
	if (!buf)
		size = size ? size : PATH_SIZE;
	if (!buf && !(p = malloc(size)))
		return NULL;
	n = rk__interposed(SYS_getcwd, (long)p, (long)size, 0, 0, 0, 0);
	if (n >= 0)
		return p;
	if (!buf)
		free(p);
	return NULL;
}

EXPORT char *__getcwd_chk(char *buf, size_t size, size_t room)
{
	return getcwd(buf, size < room ? size : room);
}

EXPORT char *get_current_dir_name(void)
{
	return getcwd(NULL, 0);
}

/* --- programs ---------------------------------------------------------------------- */

/* libc's own. */
static void *next_symbol(const char *name)
{
	return dlsym((void *)-1l, name);	/* RTLD_NEXT */
}

static int real_fork(void)
{
	int (*f)(void);

	*(void **)&f = next_symbol("fork");
	return f ? f() : -1;
}

EXPORT int fork(void)
{
	return rk__preload_fork(real_fork);
}

/* The parent may go on before its child execs: programs see a fork. */
EXPORT int vfork(void)
{
	return rk__preload_fork(real_fork);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return (int)rk__interposed(SYS_execve, (long)path, (long)argv,
				   (long)environ, 0, 0, 0);
}

/* One directory of $PATH after another; what may not be run counts as a reason if
 * nothing else is found. */
EXPORT int execvpe(const char *file, char *const argv[], char *const env[])
{
	const char *path = getenv("PATH");
	char name[PATH_SIZE];
	size_t n = strlen(file);
	int error = ENOENT;

	if (strchr(file, '/'))
		return (int)rk__interposed(SYS_execve, (long)file, (long)argv,
					   (long)env, 0, 0, 0);
	for (path = path ? path : "/bin:/usr/bin"; *file && path;) {
		const char *end = strchr(path, ':');
		size_t k = end ? (size_t)(end - path) : strlen(path);

		if (k + n + 2 <= sizeof(name)) {
			memcpy(name, path, k);
			name[k] = '/';
			memcpy(name + k + !!k, file, n + 1);
			rk__interposed(SYS_execve, (long)name, (long)argv,
				       (long)env, 0, 0, 0);
			if (errno == EACCES)
				error = EACCES;
			else if (errno != ENOENT && errno != ENOTDIR)
				return -1;
		}
		path = end ? end + 1 : NULL;
	}
	errno = error;
	return -1;
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execvpe(file, argv, environ);
}

/* What libc runs by itself gets its descriptors and its directory as all do who
 * are executed: from the broker. */
#define SPAWN(symbol)							\
	EXPORT int symbol(long a, long b, long c, long d, long e, long f)	\
	{								\
		int (*real)(long, long, long, long, long, long);	\
		int error = rk__preload_publish();			\
									\
		*(void **)&real = next_symbol(#symbol);			\
		return error ? -error :					\
		       real ? real(a, b, c, d, e, f) : ENOSYS;		\
	}
SPAWN(posix_spawn) SPAWN(posix_spawnp)

EXPORT int system(const char *command)
{
	int (*real)(const char *);

	*(void **)&real = next_symbol("system");
	if (result(rk__preload_publish()) < 0)
		return -1;
	return real ? real(command) : -1;
}

EXPORT void *popen(const char *command, const char *mode)
{
	void *(*real)(const char *, const char *);

	*(void **)&real = next_symbol("popen");
	if (result(rk__preload_publish()) < 0)
		return NULL;
	return real ? real(command, mode) : NULL;
}
