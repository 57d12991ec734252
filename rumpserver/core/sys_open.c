/*
 * sys_open.c - descriptors: open in all its forms, close, dup, their flags; the
 * working directory and the umask.
 */
#include <linux/openat2.h>
#include <string.h>
#include <unistd.h>
#include "sys.h"

/* What fcntl(F_SETFL) may change, and what open keeps. */
#define SETTABLE	(O_APPEND | O_NONBLOCK | O_NOATIME | O_DIRECT)
#define KEPT		(O_ACCMODE | SETTABLE | O_SYNC | O_DSYNC | O_PATH | \
	O_NOFOLLOW)

/* The kernel's, which F_GETFL shows; the C library has 0 for it. */
#define LARGEFILE	0100000u
/* O_DIRECTORY of an ofd says that it is one; this, that it was asked for. */
#define ASKED_DIRECTORY	(1u << 31)

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
	if (S_ISFIFO(w->st.mode))
		return (flags & O_ACCMODE) == O_ACCMODE ? -EINVAL : 0;
	/* Sockets and devices are names here: what is behind them belongs to
	 * the kernel of whoever looks at them through a mount. */
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

	r = rk__vfs_create(&c->cred, w->dir, w->name, w->len, &what, &w->st);
	if (r == 0)
		w->node = rk__node(w->dir.mount, w->st.ino);
	return r;
}

static int truncate_file(const struct rk__call *c, struct rk__walked *w)
{
	const struct rk_setattr set = {.valid = RK_SET_SIZE};

	if (S_ISFIFO(w->st.mode))
		return 0;
	return rk__vfs_setattr(&c->cred, w->node, &set, &w->st);
}

/* What openat and openat2 ask for. */
struct opening {
	int32_t dirfd;
	const char *path;
	uint32_t flags, mode;
	unsigned walk;			/* RK_WALK_* of RESOLVE_* */
};

/* An absolute path begins at dirfd only for RESOLVE_IN_ROOT. */
static int find(const struct rk__call *c, const struct opening *a,
		unsigned walk, struct rk__walked *w)
{
	struct rk__node start;
	const char *relative = a->walk & RK_WALK_IN_ROOT ? "." : a->path;
	int r = rk__call_start(c, a->dirfd, relative, &start);

	return r < 0 ? r : rk__walk(&c->cred, start, a->path, walk | a->walk,
				    w);
}

/* A file without a name, for as long as it is open or until it is linked. */
static int create_nameless(const struct rk__call *c, struct rk__walked *w,
			   const struct opening *a)
{
	const struct rk_new what = {.mode = S_IFREG | (a->mode & 07777)};
	int r = find(c, a, a->flags & O_NOFOLLOW ? 0 : RK_WALK_FOLLOW, w);

	if (r < 0)
		return r;
	if (!S_ISDIR(w->st.mode))
		return S_ISLNK(w->st.mode) ? -ELOOP : -ENOTDIR;
	r = rk__vfs_tmpfile(&c->cred, w->node, &what, !(a->flags & O_EXCL),
			    &w->st);
	if (r == 0)
		w->node = rk__node(w->node.mount, w->st.ino);
	return r;
}

static int find_or_create(const struct rk__call *c, struct rk__walked *w,
			  const struct opening *a)
{
	const uint32_t flags = a->flags;
	unsigned walk = 0;
	int r;

	if (flags & O_CREAT)
		walk |= RK_WALK_PARENT;
	if (!(flags & O_NOFOLLOW) &&
	    (flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL))
		walk |= RK_WALK_FOLLOW;
	r = find(c, a, walk, w);
	if (r < 0)
		return r;
	if ((flags & O_CREAT) && w->slash)
		return -EISDIR;
	if (!w->found)
		return create_file(c, w, a->mode);
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	r = may_open(c, w, flags);
	if (r == 0 && (flags & O_TRUNC))
		r = truncate_file(c, w);
	return r;
}

static int64_t open_node(struct rk__call *c, int fd, struct rk__node n,
			 const struct rk_stat *st, uint32_t flags)
{
	uint32_t keep = flags & (KEPT | O_CLOEXEC);

	if (flags & O_DIRECTORY)
		keep |= ASKED_DIRECTORY;
	if (!(flags & O_PATH))
		keep |= LARGEFILE;
	if (S_ISDIR(st->mode))
		keep |= O_DIRECTORY;
	fd = rk__fd_open(c->proc, fd, n, keep);
	return fd < 0 || !S_ISFIFO(st->mode) || (flags & O_PATH) ? fd :
	       rk__fifo_open(c, fd);
}

static int64_t do_open(struct rk__call *c, struct opening a)
{
	struct rk__walked w;
	int fd, r = check_flags(&a.flags);
	int64_t stage;

	if (r < 0)
		return r;
	if (rk__fifo_goes_on(c, &stage))
		return rk__fifo_go_on(c, stage);
	fd = rk__fd_lowest(c->proc, 0);
	if (fd < 0)
		return fd;
	r = (a.flags & O_TMPFILE) == O_TMPFILE ? create_nameless(c, &w, &a) :
						 find_or_create(c, &w, &a);
	if (r != 0)
		return rk__call_stage(c, r);
	/* Others may have taken it while a driver slept. */
	fd = rk__fd_lowest(c->proc, 0);
	if (fd < 0)
		return fd;
	return open_node(c, fd, w.node, &w.st, a.flags);
}

int64_t rk__sys_openat(struct rk__call *c, struct op_openat *a)
{
	return do_open(c, (struct opening){
		.dirfd = a->dirfd, .path = a->path,
		.flags = a->flags, .mode = a->mode,
	});
}

/* --- openat2 -------------------------------------------------------------------- */

#define OPEN_KNOWN	(KEPT | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC |	\
	O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_TMPFILE | FASYNC_)
#define FASYNC_		020000		/* taken and without a meaning here */
#define RESOLVE_KNOWN	(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS |	\
	RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | RESOLVE_IN_ROOT | RESOLVE_CACHED)

/* Unlike openat it takes nothing that it does not know. */
static int check_how(const struct op_openat2 *a)
{
	const uint64_t with_path = O_PATH | O_DIRECTORY | O_NOFOLLOW |
				   O_CLOEXEC;
	bool makes = (a->flags & O_CREAT) ||
		     (a->flags & O_TMPFILE) == O_TMPFILE;

	if ((a->flags & ~(uint64_t)OPEN_KNOWN) ||
	    (a->resolve & ~(uint64_t)RESOLVE_KNOWN) ||
	    (a->mode & ~07777ull) || (a->mode && !makes))
		return -EINVAL;
	if ((a->flags & O_PATH) && (a->flags & ~with_path))
		return -EINVAL;
	if ((a->resolve & RESOLVE_BENEATH) && (a->resolve & RESOLVE_IN_ROOT))
		return -EINVAL;
	/* Nothing has to be waited for here, but these change something. */
	if ((a->resolve & RESOLVE_CACHED) && (makes || (a->flags & O_TRUNC)))
		return -EAGAIN;
	return 0;
}

/* There are no magic links here. */
static unsigned walk_of(uint64_t resolve)
{
	return (resolve & RESOLVE_NO_XDEV ? RK_WALK_NO_XDEV : 0) |
	       (resolve & RESOLVE_NO_SYMLINKS ? RK_WALK_NO_SYMLINKS : 0) |
	       (resolve & RESOLVE_BENEATH ? RK_WALK_BENEATH : 0) |
	       (resolve & RESOLVE_IN_ROOT ? RK_WALK_IN_ROOT : 0);
}

int64_t rk__sys_openat2(struct rk__call *c, struct op_openat2 *a)
{
	int r = check_how(a);

	return r < 0 ? r : do_open(c, (struct opening){
		.dirfd = a->dirfd, .path = a->path,
		.flags = (uint32_t)a->flags, .mode = (uint32_t)a->mode,
		.walk = walk_of(a->resolve),
	});
}

/* --- handles ---------------------------------------------------------------------- */

int64_t rk__sys_name_to_handle_at(struct rk__call *c,
				  struct op_name_to_handle_at *a)
{
	struct rk__walked w;
	unsigned walk = (a->flags & AT_SYMLINK_FOLLOW ? RK_WALK_FOLLOW : 0) |
			(a->flags & AT_EMPTY_PATH ? RK_WALK_EMPTY : 0);
	int r;

	if (a->flags & ~(uint32_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	r = rk__call_walk(c, a->dirfd, a->path, walk, &w);
	if (r == 0)
		*a->handle = (struct rk_file_handle){
			.ino = w.st.ino,
			.generation = w.st.generation,
		};
	return r;
}

/* Opens a file that no path led to. w->node says which, w->st how it is. */
static int64_t open_known(struct rk__call *c, struct rk__walked *w,
			  uint32_t flags)
{
	int fd = rk__fd_lowest(c->proc, 0), r;

	if (fd < 0)
		return fd;
	r = may_open(c, w, flags);
	if (r == 0 && (flags & O_TRUNC))
		r = truncate_file(c, w);
	if (r != 0)
		return rk__call_stage(c, r);
	fd = rk__fd_lowest(c->proc, 0);
	return fd < 0 ? fd : open_node(c, fd, w->node, &w->st, flags);
}

/* No directory on the way is asked, so it is root's alone. */
int64_t rk__sys_open_by_handle_at(struct rk__call *c,
				  struct op_open_by_handle_at *a)
{
	struct rk__node start;
	struct rk__walked w = {.found = true};
	uint32_t flags = a->flags;
	int r = rk__call_start(c, a->mountfd, "", &start);
	int64_t stage;

	if (rk__fifo_goes_on(c, &stage))
		return rk__fifo_go_on(c, stage);
	if (r == 0 && c->cred.uid != 0)
		r = -EPERM;
	if (r == 0 && (flags & O_CREAT))
		r = -EINVAL;
	if (r == 0)
		r = check_flags(&flags);
	if (r < 0)
		return r;
	w.node = rk__node(start.mount, a->ino);
	r = rk__vfs_getattr(w.node, &w.st);
	if (r < 0 || w.st.generation != a->generation || !w.st.nlink)
		return -ESTALE;
	return open_known(c, &w, flags);
}

int64_t rk__sys_reopen(struct rk__call *c, struct op_reopen *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);
	struct rk__walked w = {.found = true};
	uint32_t flags = a->flags;
	int64_t stage;
	int r;

	if (rk__fifo_goes_on(c, &stage))
		return rk__fifo_go_on(c, stage);
	if (!o)
		return -EBADF;
	r = flags & O_CREAT ? -EINVAL : check_flags(&flags);
	if (r < 0)
		return r;
	w.node = rk__ofd_node(o);
	r = rk__vfs_getattr(w.node, &w.st);
	return r < 0 ? r : open_known(c, &w, flags);
}

/* --- descriptors -------------------------------------------------------------------- */

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
	if (a->minimum < 0 || (uint32_t)a->minimum >= c->proc->nofile)
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
	if (a->newfd < 0 || (uint32_t)a->newfd >= c->proc->nofile ||
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

	if (!o)
		return -EBADF;
	return (o->flags & ~(ASKED_DIRECTORY | O_DIRECTORY)) |
	       (o->flags & ASKED_DIRECTORY ? O_DIRECTORY : 0);
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
