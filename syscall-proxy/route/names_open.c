/*
 * names_open.c - open in all its forms.
 */
#include <errno.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "named.h"

/* What openat lets through and forgets, and openat2 complains about. */
#define KNOWN	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC |	\
	O_APPEND | O_NONBLOCK | O_DSYNC | O_ASYNC | O_DIRECT |		\
	0100000 | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC |	\
	O_SYNC | O_PATH | O_TMPFILE)

int64_t rk__reopen(const struct rk__place *p, uint32_t flags)
{
	return p->dirfd == RK_AT_FDCWD ?
		       rk_openat(p->client, p->dirfd, ".", flags, 0) :
		       rk_reopen(p->client, p->dirfd, flags);
}

int64_t rk__open_program(const struct rk__place *p, bool follow)
{
	/* Who would wait for the other end of a fifo is told what it is. */
	uint32_t flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK |
			 (follow ? 0 : O_NOFOLLOW);
	int64_t r, fd = p->itself ? rk__reopen(p, flags) :
			    rk_openat(p->client, p->dirfd, p->path, flags, 0);
	struct rk_stat st;

	if (fd < 0)
		return fd == -ENXIO ? -EACCES : fd;
	r = rk_fstat(p->client, (int32_t)fd, &st);
	if (r == 0 && (!S_ISREG(st.mode) || !(st.mode & 0111)))
		r = -EACCES;
	if (r == 0)
		r = rk_faccessat(p->client, (int32_t)fd, "", X_OK,
				 AT_EACCESS | AT_EMPTY_PATH);
	if (r == 0)
		return fd;
	(void)rk_close(p->client, (int32_t)fd);
	return r;
}

/* A server has the names of devices and sockets alone. As a mount with nodev
 * says it of the former. */
static int64_t no_device(const struct rk__place *p)
{
	struct rk_stat st;
	int64_t r = rk_fstatat(p->client, p->dirfd, p->path, &st,
			       rk__at_flags(p, 0));

	return r == 0 && (S_ISCHR(st.mode) || S_ISBLK(st.mode)) ? -EACCES :
								   -ENXIO;
}

static int64_t install(struct rk__task *t, const struct rk__place *p,
		       int64_t fd, uint64_t flags)
{
	return t->host->install(t, &(struct rk__target){
		.server = p->server, .client = p->client, .fd = (int32_t)fd,
	}, (uint32_t)flags & O_CLOEXEC);
}

static int64_t do_open(struct rk__task *t, const struct rk__named *n,
		       struct rk__place *p)
{
	uint32_t flags = (uint32_t)n->arg[2] & KNOWN;
	int64_t fd;

	if (p->itself)
		fd = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL) ?
			     -EEXIST : rk__reopen(p, flags & ~(uint32_t)O_CREAT);
	else
		fd = rk_openat(p->client, p->dirfd, p->path, flags,
			       (uint32_t)n->arg[3] & 07777);
	if (fd == -ENXIO)
		fd = no_device(p);
	return fd < 0 ? fd : install(t, p, fd, flags);
}

/* How open looks at the last component. */
static uint8_t how_of(uint64_t flags)
{
	bool excl = (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);

	return (flags & O_CREAT ? RK__PARENT : 0) |
	       (excl || (flags & O_NOFOLLOW) ? 0 : RK__FOLLOW);
}

static enum rk__routed open_at(struct rk__task *t, uint64_t dirfd,
			       uint64_t path, uint64_t flags, uint64_t mode,
			       int64_t *ret)
{
	flags = (uint32_t)flags;
	return rk__named(t, &(struct rk__named){
		.nr = SYS_openat, .arg = { dirfd, path, flags, mode },
		.path = 1, .how = how_of(flags), .opens = true, .no_mount = true,
		.creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE,
		.cloexec = flags & O_CLOEXEC, .inside = do_open,
	}, ret);
}

enum rk__routed rk__call_open(struct rk__task *t, long nr,
			      const uint64_t arg[6], int64_t *ret)
{
	return open_at(t, (uint64_t)AT_FDCWD, arg[0], arg[1], arg[2], ret);
}

enum rk__routed rk__call_creat(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return open_at(t, (uint64_t)AT_FDCWD, arg[0],
		       O_CREAT | O_WRONLY | O_TRUNC, arg[1], ret);
}

enum rk__routed rk__call_openat(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	return open_at(t, arg[0], arg[1], arg[2], arg[3], ret);
}

/* --- openat2 ---------------------------------------------------------------------- */

/* What the caller said was read once, and hangs on arg[4]. */
static int64_t do_open2(struct rk__task *t, const struct rk__named *n,
			struct rk__place *p)
{
	const struct open_how *how = (const void *)(uintptr_t)n->arg[4];
	int64_t fd;

	if (p->itself)
		return -ELOOP;
	/* It began at the root, which is another mount. */
	if (n->bound && p->path[0] == '/')
		return -EXDEV;
	fd = rk_openat2(p->client, p->dirfd, p->path, how->flags, how->mode,
			how->resolve);
	if (fd == -ENXIO)
		fd = no_device(p);
	return fd < 0 ? fd : install(t, p, fd, how->flags);
}

/* Of a larger struct than is known here the rest must be zero: the kernel's
 * words. 0, or a negative errno. */
static int read_how(struct rk__task *t, uint64_t at, uint64_t size,
		    struct open_how *ret)
{
	uint8_t rest[64];
	uint64_t done = sizeof *ret, n;
	int r;

	if (size < sizeof *ret)
		return -EINVAL;
	if (size > 4096)
		return -E2BIG;
	r = t->host->copy_in(t, ret, at, sizeof *ret);
	for (; r == 0 && done < size; done += n) {
		n = size - done < sizeof rest ? size - done : sizeof rest;
		r = t->host->copy_in(t, rest, at + done, n);
		for (uint64_t i = 0; r == 0 && i < n; i++)
			if (rest[i])
				return -E2BIG;
	}
	return r;
}

/* It never leaves the directory where it starts, so that alone says whose it
 * is. */
static enum rk__routed open_within(struct rk__task *t,
				   const struct rk__named *n, int64_t *ret)
{
	int dirfd = (int)n->arg[0];
	struct rk__target target = { .server = t->cwd.server,
				     .fd = t->cwd.fd };
	struct rk__place *p;
	int64_t r;

	if (dirfd == AT_FDCWD ? !t->cwd.inside :
				!t->host->find(t, dirfd, &target))
		return RK__NATIVE;
	p = malloc(sizeof *p);
	r = p ? t->host->string(t, n->arg[1], p->path, sizeof p->path) : -ENOMEM;
	if (r >= 0)
		r = t->host->client(t, target.server, &p->client);
	if (r >= 0) {
		p->server = target.server;
		p->dirfd = target.fd;
		p->itself = false;
		r = do_open2(t, n, p);
	}
	free(p);
	return rk__done(ret, r);
}

enum rk__routed rk__call_openat2(struct rk__task *t, long nr,
				 const uint64_t arg[6], int64_t *ret)
{
	struct open_how how;
	int r = read_how(t, arg[2], arg[3], &how);
	struct rk__named n = {
		.nr = nr, .path = 1,
		.arg = { arg[0], arg[1], arg[2], arg[3], (uintptr_t)&how },
		.opens = true, .no_mount = true, .inside = do_open2,
		.memory = { { RK__IN_BY, 2, 3 } },
	};

	if (t->config->over_mount)
		return RK__NATIVE;
	if (r < 0)
		return rk__done(ret, r);
	n.how = how_of(how.flags);
	n.creates = how.flags & O_CREAT;
	n.cloexec = how.flags & O_CLOEXEC;
	n.bound = how.resolve & RESOLVE_NO_XDEV;
	return how.resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT) ?
		       open_within(t, &n, ret) : rk__named(t, &n, ret);
}
