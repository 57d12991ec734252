/*
 * sys_open.c - descriptors: open, close, dup, their flags; the working
 * directory and the umask.
 */
#include <string.h>
#include <unistd.h>
#include "sys.h"

/* What fcntl(F_SETFL) may change, and what open keeps. */
#define SETTABLE	(O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT)
#define KEPT		(O_ACCMODE | SETTABLE | O_SYNC | O_DSYNC | O_PATH | \
	O_LARGEFILE)

int64_t rk__sys_null(struct rk__call *c, struct op_null *a)
{
	return 0;
}

static unsigned wanted(uint32_t flags)
{
	static const unsigned mask[] = {R_OK, W_OK, R_OK | W_OK, R_OK | W_OK};

	return mask[flags & O_ACCMODE] | (flags & O_TRUNC ? W_OK : 0);
}

static int check_flags(uint32_t *flags)
{
	if (*flags & O_PATH)
		*flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if ((*flags & O_TMPFILE) == O_TMPFILE)
		return (*flags & O_ACCMODE) == O_RDONLY || (*flags & O_CREAT) ?
			       -EINVAL : 0;
	if ((*flags & O_CREAT) && (*flags & O_DIRECTORY))
		return -EINVAL;
	return 0;
}

/* A file that is there: may it be opened like this? */
static int may_open(const struct rk__call *c, const struct rk__walked *w,
		    uint32_t flags)
{
	unsigned mask = wanted(flags);
	int r;

	if ((flags & O_DIRECTORY) && !S_ISDIR(w->st.mode))
		return -ENOTDIR;
	if (flags & O_PATH)
		return 0;
	if (S_ISLNK(w->st.mode))
		return -ELOOP;
	if (S_ISDIR(w->st.mode) && ((mask & W_OK) || (flags & O_CREAT)))
		return -EISDIR;
	r = rk__vfs_access(&c->cred, &w->st, mask);
	if (r == 0 && (flags & O_NOATIME))
		r = rk__may_own(&c->cred, &w->st);
	if (r < 0)
		return r;
	/* Fifos, sockets and devices are names here: what is behind them
	 * belongs to the kernel of whoever looks at them through a mount. */
	if (!S_ISREG(w->st.mode) && !S_ISDIR(w->st.mode))
		return -ENXIO;
	r = mask & W_OK ? rk__writable(w->node.mount) : 0;
	return r < 0 ? r : rk__may_open(&w->st, flags);
}

static int create_file(const struct rk__call *c, struct rk__walked *w,
		       uint32_t mode)
{
	const struct rk_new what = {.mode = S_IFREG | (mode & 07777)};
	int r;

	if (w->slash)
		return -EISDIR;
	r = rk__vfs_create(&c->cred, w->dir, w->name, w->len, &what, &w->st);
	if (r == 0)
		w->node = rk__node(w->dir.mount, w->st.ino);
	return r;
}

static int truncate_file(const struct rk__call *c, struct rk__walked *w)
{
	const struct rk_setattr set = {.valid = RK_SET_SIZE};

	return rk__vfs_setattr(&c->cred, w->node, &set, &w->st);
}

/* A file without a name, for as long as it is open or until it is linked. */
static int create_nameless(const struct rk__call *c, struct rk__walked *w,
			   const struct op_openat *a, uint32_t flags)
{
	const struct rk_new what = {.mode = S_IFREG | (a->mode & 07777)};
	int r = rk__call_walk(c, a->dirfd, a->path,
			      flags & O_NOFOLLOW ? 0 : RK_WALK_FOLLOW, w);

	if (r < 0)
		return r;
	if (!S_ISDIR(w->st.mode))
		return S_ISLNK(w->st.mode) ? -ELOOP : -ENOTDIR;
	r = rk__vfs_tmpfile(&c->cred, w->node, &what, !(flags & O_EXCL), &w->st);
	if (r == 0)
		w->node = rk__node(w->node.mount, w->st.ino);
	return r;
}

static int find_or_create(const struct rk__call *c, struct rk__walked *w,
			  const struct op_openat *a, uint32_t flags)
{
	unsigned walk = 0;
	int r;

	if (flags & O_CREAT)
		walk |= RK_WALK_PARENT;
	if (!(flags & O_NOFOLLOW) &&
	    (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
		walk |= RK_WALK_FOLLOW;
	r = rk__call_walk(c, a->dirfd, a->path, walk, w);
	if (r < 0)
		return r;
	if (!w->found)
		return create_file(c, w, a->mode);
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if ((flags & O_CREAT) && w->slash)
		return -EISDIR;
	r = may_open(c, w, flags);
	if (r == 0 && (flags & O_TRUNC))
		r = truncate_file(c, w);
	return r;
}

int64_t rk__sys_openat(struct rk__call *c, struct op_openat *a)
{
	uint32_t flags = a->flags, keep;
	struct rk__walked w;
	int fd, r = check_flags(&flags);

	if (r < 0)
		return r;
	fd = rk__fd_lowest(c->proc, 0);
	if (fd < 0)
		return fd;
	r = (flags & O_TMPFILE) == O_TMPFILE ?
		    create_nameless(c, &w, a, flags) :
		    find_or_create(c, &w, a, flags);
	if (r != 0)
		return rk__call_stage(c, r);
	keep = flags & (KEPT | O_CLOEXEC);
	if (S_ISDIR(w.st.mode))
		keep |= O_DIRECTORY;
	return rk__fd_open(c->proc, fd, w.node, keep);
}

int64_t rk__sys_close(struct rk__call *c, struct op_close *a)
{
	if (!rk__fd(c->proc, a->fd))
		return -EBADF;
	rk__fd_close(c->proc, a->fd);
	return 0;
}

int64_t rk__sys_dup(struct rk__call *c, struct op_dup *a)
{
	int fd;

	if (!rk__fd(c->proc, a->fd))
		return -EBADF;
	if (a->minimum < 0 || a->minimum >= RK_FDS_MAX)
		return -EINVAL;
	fd = rk__fd_lowest(c->proc, (uint32_t)a->minimum);
	if (fd >= 0)
		rk__fd_share(c->proc, a->fd, fd, 0);
	return fd;
}

int64_t rk__sys_dup3(struct rk__call *c, struct op_dup3 *a)
{
	if ((a->flags & ~(uint32_t)O_CLOEXEC) || a->oldfd == a->newfd)
		return -EINVAL;
	if (a->newfd < 0 || a->newfd >= RK_FDS_MAX ||
	    !rk__fd(c->proc, a->oldfd))
		return -EBADF;
	if (rk__fd(c->proc, a->newfd))
		rk__fd_close(c->proc, a->newfd);
	rk__fd_share(c->proc, a->oldfd, a->newfd, a->flags);
	return a->newfd;
}

int64_t rk__sys_getfl(struct rk__call *c, struct op_getfl *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);

	return o ? (int64_t)o->flags : -EBADF;
}

int64_t rk__sys_setfl(struct rk__call *c, struct op_setfl *a)
{
	struct rk__ofd *o = rk__call_ofd(c, a->fd);
	uint32_t flags;
	struct rk_stat st;
	int r;

	if (!o)
		return -EBADF;
	flags = (o->flags & ~(uint32_t)SETTABLE) | (a->flags & SETTABLE);
	if (flags & ~o->flags & O_NOATIME) {
		r = rk__vfs_getattr(rk__ofd_node(o), &st);
		if (r == 0)
			r = rk__may_own(&c->cred, &st);
		if (r < 0)
			return r;
	}
	if (flags != o->flags) {
		RK_NOTE(&o->flags);
		o->flags = flags;
	}
	return 0;
}

/* --- what paths and modes begin with ---------------------------------------- */

static int change_dir(struct rk__call *c, struct rk__node n,
		      const struct rk_stat *st)
{
	int r;

	if (!S_ISDIR(st->mode))
		return -ENOTDIR;
	r = rk__vfs_access(&c->cred, st, X_OK);
	return r < 0 ? r : rk__proc_set_cwd(c->proc, n);
}

int64_t rk__sys_chdir(struct rk__call *c, struct op_chdir *a)
{
	struct rk__walked w;
	int r = rk__call_walk(c, RK_AT_FDCWD, a->path, RK_WALK_FOLLOW, &w);

	return r < 0 ? r : change_dir(c, w.node, &w.st);
}

int64_t rk__sys_fchdir(struct rk__call *c, struct op_fchdir *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);
	struct rk_stat st;
	int r;

	if (!o)
		return -EBADF;
	r = rk__vfs_getattr(rk__ofd_node(o), &st);
	return r < 0 ? r : change_dir(c, rk__ofd_node(o), &st);
}

int64_t rk__sys_getcwd(struct rk__call *c, struct op_getcwd *a)
{
	int r = rk__walk_path(rk__proc_cwd(c->proc), a->buf, a->size);

	c->out_len = r < 0 ? 0 : (uint32_t)r;
	return r;
}

int64_t rk__sys_umask(struct rk__call *c, struct op_umask *a)
{
	uint32_t old = c->proc->umask;

	if (old != (a->mask & 0777)) {
		RK_NOTE(&c->proc->umask);
		c->proc->umask = a->mask & 0777;
	}
	return old;
}
