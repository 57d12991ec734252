/*
 * door.c - the system calls of replay through librumpclient: see door.h. A
 * number below DOOR is a descriptor of this process, and goes to the kernel.
 */
#define DOOR_ITSELF
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <grp.h>
#include <sys/resource.h>
#include <linux/openat2.h>
#include <rump/client.h>
#include "door_int.h"

enum { PER_CLIENT = 1 << 12, USERS = 64, PATH = 4096 };

struct user {
	char who[64];
	struct rk_client *client;
};

static struct user users[USERS];
static struct user *now;
static mode_t mask = 022;
static uint64_t limit = UINT64_MAX;
static char home[PATH];

long door_answer(int64_t r)
{
	if (r >= 0)
		return (long)r;
	errno = (int)-r;
	return -1;
}

long door_none(void)
{
	return door_answer(-ENOSYS);
}

bool door_lacks(const char *call)
{
	static const char *const lacks[] = {
		"exec", "connect", "mmap", "touch", "private", "mread",
		"mwrite", "watch", "events", "splice", "sendfile", "advise",
		"lease", "nofile",
	};

	for (unsigned i = 0; i < sizeof lacks / sizeof lacks[0]; i++)
		if (!strcmp(lacks[i], call))
			return true;
	return false;
}

/* --- who ---------------------------------------------------------------------- */

static void attach(struct user *u)
{
	char path[PATH];
	int r = rk_socket_path(NULL, path, sizeof path);

	if (r == 0)
		r = rk_attach(path, getenv("PAGES") ?
			      RK_ATTACH_PAGES : 0, &u->client);
	if (r < 0) {
		fprintf(stderr, "replay: no server: %s\n", strerror(-r));
		exit(2);
	}
	rk_umask(u->client, mask);
	rk_rlimit(u->client, RLIMIT_FSIZE, limit);
	if (home[0])
		rk_chdir(u->client, home);
}

/* Called with the user's ids in effect. */
void door_user(const char *who)
{
	struct user *u = users;

	while (u->client && strcmp(u->who, who))
		u++;
	if (u == users + USERS - 1)
		abort();
	if (!u->client) {
		snprintf(u->who, sizeof u->who, "%s", who);
		attach(u);
	}
	now = u;
}

struct rk_client *door_me(void)
{
	if (!now)
		door_user("");
	return now->client;
}

/* Whose descriptor it is, and what the server calls it. */
struct rk_client *door_of(int fd, int32_t *ret)
{
	if (fd < DOOR) {
		*ret = -1;
		return door_me();
	}
	*ret = (fd - DOOR) % PER_CLIENT;
	return users[(fd - DOOR) / PER_CLIENT].client;
}

static int number_of(const struct rk_client *c, int64_t fd)
{
	int i = 0;

	while (users[i].client != c)
		i++;
	return fd < 0 ? (int)door_answer(fd) : DOOR + i * PER_CLIENT + (int)fd;
}

struct rk_client *door_at(int dir, int32_t *ret)
{
	if (dir != AT_FDCWD)
		return door_of(dir, ret);
	*ret = RK_AT_FDCWD;
	return door_me();
}

mode_t door_umask(mode_t m)
{
	mode_t old = mask;

	mask = m;
	for (struct user *u = users; u->client; u++)
		rk_umask(u->client, m);
	return old;
}

int door_limit(uint64_t size)
{
	limit = size;
	for (struct user *u = users; u->client; u++)
		rk_rlimit(u->client, RLIMIT_FSIZE, size);
	return 0;
}

/* DIR is where everybody is. */
int door_chdir(const char *path)
{
	long r = door_answer(rk_chdir(door_me(), path));

	if (r == 0 && !home[0])
		snprintf(home, sizeof home, "%s", path);
	return (int)r;
}

int door_fchdir(int fd)
{
	int32_t n;
	struct rk_client *c = door_of(fd, &n);
	long r = door_answer(rk_fchdir(c, n));

	/* That of another: it was tried, and DIR it is. */
	if (c != door_me()) {
		rk_chdir(c, home);
		rk_chdir(door_me(), home);
	}
	return (int)r;
}

/* --- opening ------------------------------------------------------------------ */

int door_openat(int dir, const char *path, int flags, ...)
{
	struct rk_client *c;
	mode_t mode;
	int32_t d;
	va_list ap;

	va_start(ap, flags);
	mode = va_arg(ap, mode_t);
	va_end(ap);
	/* What is the kernel's stays the kernel's. */
	if (!strncmp(path, "/proc/", 6))
		return openat(dir, path, flags, mode);
	c = door_at(dir, &d);
	return number_of(c, rk_openat(c, d, path, (uint32_t)flags, mode));
}

int door_openat2(int dir, const char *path, const void *arg, size_t size)
{
	const struct open_how *how = arg;
	int32_t d;
	struct rk_client *c = door_at(dir, &d);

	return number_of(c, rk_openat2(c, d, path, how->flags, how->mode,
				       how->resolve));
}

int door_close(int fd)
{
	int32_t n;
	struct rk_client *c = door_of(fd, &n);

	return fd < DOOR ? close(fd) : (int)door_answer(rk_close(c, n));
}

int door_handle(int dir, const char *path, struct file_handle *h, int *mount,
		int flags)
{
	int32_t d;
	struct rk_client *c = door_at(dir, &d);

	h->handle_bytes = sizeof(struct rk_file_handle);
	*mount = 0;
	return (int)door_answer(rk_name_to_handle_at(c, d, path,
		(struct rk_file_handle *)h->f_handle, (uint32_t)flags));
}

int door_openhandle(int dir, struct file_handle *h, int flags)
{
	const struct rk_file_handle *f = (const void *)h->f_handle;
	int32_t d;
	struct rk_client *c = door_at(dir, &d);

	/* The caller's rights, not those of whose directory it is. */
	if (c != door_me()) {
		c = door_me();
		d = RK_AT_FDCWD;
	}
	return number_of(c, rk_open_by_handle_at(c, d, f->ino, f->generation,
						 (uint32_t)flags));
}

/* --- names -------------------------------------------------------------------- */

int door_mkdirat(int dir, const char *path, mode_t mode)
{
	return AT(mkdirat, dir, path, mode);
}

int door_mknodat(int dir, const char *path, mode_t mode, dev_t dev)
{
	return AT(mknodat, dir, path, mode, dev);
}

int door_bind(const char *path)
{
	char sun[108];
	long r;

	snprintf(sun, sizeof sun, "%s", path);
	r = *sun ? door_mknodat(AT_FDCWD, sun, S_IFSOCK | (0777 & ~mask), 0) :
		0;

	return r < 0 && errno == EEXIST ? (int)door_answer(-EADDRINUSE) : (int)r;
}

int door_unlinkat(int dir, const char *path, int flags)
{
	return AT(unlinkat, dir, path, (uint32_t)flags);
}

int door_linkat(int dir, const char *from, int dir2, const char *to, int flags)
{
	int32_t d2;

	door_at(dir2, &d2);
	return AT(linkat, dir, from, d2, to, (uint32_t)flags);
}

int door_linkfd(int fd, const char *to)
{
	int32_t n;
	struct rk_client *c = door_of(fd, &n);

	/* As it would be if the way were through /proc. */
	if (fd < DOOR)
		return (int)door_answer(-ENOENT);
	return (int)door_answer(rk_linkat(c, n, "", RK_AT_FDCWD, to, AT_EMPTY_PATH));
}

int door_symlinkat(const char *target, int dir, const char *path)
{
	int32_t d;
	struct rk_client *c = door_at(dir, &d);

	return (int)door_answer(rk_symlinkat(c, target, d, path));
}

ssize_t door_readlinkat(int dir, const char *path, char *buf, size_t size)
{
	return AT(readlinkat, dir, path, buf, (uint32_t)size);
}

int door_renameat2(int dir, const char *from, int dir2, const char *to,
		   unsigned flags)
{
	int32_t d2;

	door_at(dir2, &d2);
	return AT(renameat2, dir, from, d2, to, flags);
}

int door_faccessat(int dir, const char *path, int mode, int flags)
{
	return AT(faccessat, dir, path, (uint32_t)mode, (uint32_t)flags);
}

/* --- data --------------------------------------------------------------------- */

int door_truncate(const char *path, off_t size)
{
	return (int)door_answer(rk_truncate(door_me(), path, size));
}

int door_ftruncate(int fd, off_t size)
{
	return (int)FD(ftruncate, fd, size);
}

int door_fallocate(int fd, int mode, off_t off, off_t len)
{
	return (int)FD(fallocate, fd, (uint32_t)mode, off, len);
}

int door_posix_fallocate(int fd, off_t off, off_t len)
{
	return FD(fallocate, fd, 0, off, len) < 0 ? errno : 0;
}

ssize_t door_read(int fd, void *buf, size_t n)
{
	return fd < DOOR && fd >= 0 ? read(fd, buf, n) : FD(read, fd, buf, n);
}

ssize_t door_write(int fd, const void *buf, size_t n)
{
	return fd < DOOR && fd >= 0 ? write(fd, buf, n) : FD(write, fd, buf, n);
}

ssize_t door_pread(int fd, void *buf, size_t n, off_t off)
{
	return FD(pread, fd, buf, n, off);
}

ssize_t door_pwrite(int fd, const void *buf, size_t n, off_t off)
{
	return FD(pwrite, fd, buf, n, off);
}

ssize_t door_writev(int fd, const struct iovec *v, int n)
{
	return FD(writev, fd, v, n);
}

ssize_t door_preadv2(int fd, const struct iovec *v, int n, off_t off, int flags)
{
	return FD(preadv2, fd, v, n, off, (uint32_t)flags);
}

ssize_t door_pwritev2(int fd, const struct iovec *v, int n, off_t off,
		      int flags)
{
	return FD(pwritev2, fd, v, n, off, (uint32_t)flags);
}

off_t door_lseek(int fd, off_t off, int whence)
{
	return FD(lseek, fd, off, (uint32_t)whence);
}

ssize_t door_copy(int in, off_t *from, int out, off_t *to, size_t n,
		  unsigned flags)
{
	int32_t o;

	/* Between descriptors of two clients there is no such call. */
	if (door_of(out, &o) != door_of(in, &(int32_t){ 0 }))
		return door_answer(-EXDEV);
	return FD(copy_file_range, in, *from, o, *to, n, flags);
}

int door_fsync(int fd)
{
	return (int)FD(fsync, fd);
}

int door_syncfs(int fd)
{
	return (int)FD(syncfs, fd);
}

int door_sync_file_range(int fd, off_t off, off_t n, unsigned flags)
{
	return (int)FD(sync_file_range, fd, off, n, flags);
}

int door_flock(int fd, int operation)
{
	return (int)FD(flock, fd, (uint32_t)operation);
}

static int lock(int fd, int cmd, struct flock *l)
{
	bool ofd = cmd == F_OFD_SETLK || cmd == F_OFD_SETLKW ||
		   cmd == F_OFD_GETLK;
	struct rk_flock found;
	long r;

	if (cmd == F_GETLK || cmd == F_OFD_GETLK) {
		r = FD(getlk, fd, &found, (uint32_t)l->l_type, l->l_start,
		       l->l_len, (uint32_t)l->l_whence, ofd);
		if (r == 0 && found.type == F_UNLCK)
			l->l_type = F_UNLCK;
		else if (r == 0)
			*l = (struct flock){
				.l_type = (short)found.type,
				.l_start = found.start, .l_len = found.length,
			};
		return (int)r;
	}
	if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
		return (int)FD(setlkw, fd, (uint32_t)l->l_type, l->l_start,
			       l->l_len, (uint32_t)l->l_whence, ofd);
	return (int)FD(setlk, fd, (uint32_t)l->l_type, l->l_start, l->l_len,
		       (uint32_t)l->l_whence, ofd);
}

int door_fcntl(int fd, int cmd, ...)
{
	struct rk_client *c;
	int32_t n;
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	c = door_of(fd, &n);
	switch (cmd) {
	case F_GETFL:
		return (int)door_answer(rk_getfl(c, n));
	case F_SETFL:
		return (int)door_answer(rk_setfl(c, n, (uint32_t)(uintptr_t)arg));
	case F_DUPFD_CLOEXEC:
		return number_of(c, rk_dup(c, n, 0));
	default:
		return lock(fd, cmd, arg);
	}
}

int door_ioctl(int fd, unsigned long cmd, void *arg)
{
	bool in = _IOC_DIR(cmd) & _IOC_WRITE, out = _IOC_DIR(cmd) & _IOC_READ;
	uint32_t size = _IOC_SIZE(cmd);

	if (cmd == FIONREAD) {
		in = false;
		out = true;
		size = sizeof(int);
	}
	return (int)FD(ioctl, fd, (uint32_t)cmd, arg, in ? size : 0, arg,
		       out ? size : 0);
}
