/*
 * sys_attr.c - attributes: stat, access, mode, owner, times, statfs.
 */
#include <linux/fs.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "sys.h"

#define AT_STATX (AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)

int64_t rk__sys_fstat(struct rk__call *c, struct op_fstat *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);

	return o ? rk__vfs_getattr(rk__ofd_node(o), a->st) : -EBADF;
}

int64_t rk__sys_fstatat(struct rk__call *c, struct op_fstatat *a)
{
	struct rk__walked w;
	int r = rk__call_flags(a->flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH |
			       AT_STATX);

	if (r >= 0)
		r = rk__call_walk(c, a->dirfd, a->path, (unsigned)r, &w);
	if (r < 0)
		return r;
	w.st.dev = rk__mount_dev(w.node.mount);
	*a->st = w.st;
	return 0;
}

/* There is one set of ids here, so AT_EACCESS asks nothing else. */
int64_t rk__sys_faccessat(struct rk__call *c, struct op_faccessat *a)
{
	struct rk__walked w;
	int r = rk__call_flags(a->flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH |
			       AT_EACCESS);

	if (a->mode & ~7u)
		return -EINVAL;
	if (r >= 0)
		r = rk__call_walk(c, a->dirfd, a->path, (unsigned)r, &w);
	if (r == 0)
		r = rk__vfs_access(&c->cred, &w.st, a->mode);
	if (r == 0 && (a->mode & W_OK) &&
	    (S_ISREG(w.st.mode) || S_ISDIR(w.st.mode)))
		r = rk__writable(w.node.mount);
	if (r == 0 && (a->mode & W_OK) && (w.st.flags & FS_IMMUTABLE_FL))
		r = -EPERM;
	return r;
}

static int set(const struct rk__call *c, struct rk__node n,
	       const struct rk_setattr *s)
{
	struct rk_stat st;

	return rk__vfs_setattr(&c->cred, n, s, &st);
}

/* Walks to a file and changes its attributes. */
static int64_t set_at(struct rk__call *c, int32_t dirfd, const char *path,
		      uint32_t flags, const struct rk_setattr *s)
{
	struct rk__walked w;
	int r = rk__call_flags(flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);

	if (r >= 0)
		r = rk__call_walk(c, dirfd, path, (unsigned)r, &w);
	if (r < 0)
		return r;
	/* The mode of a symlink means nothing. */
	if ((s->valid & RK_SET_MODE) && S_ISLNK(w.st.mode))
		return -EOPNOTSUPP;
	return set(c, w.node, s);
}

static int64_t set_fd(struct rk__call *c, int32_t fd,
		      const struct rk_setattr *s)
{
	const struct rk__ofd *o = rk__call_ofd(c, fd);

	return o ? set(c, rk__ofd_node(o), s) : -EBADF;
}

static struct rk_setattr new_mode(uint32_t mode)
{
	return (struct rk_setattr){
		.valid = RK_SET_MODE,
		.mode = mode & 07777,
	};
}

/* Id -1 leaves what is. */
static struct rk_setattr new_owner(uint32_t uid, uint32_t gid)
{
	return (struct rk_setattr){
		.valid = (uid == UINT32_MAX ? 0 : RK_SET_UID) |
			 (gid == UINT32_MAX ? 0 : RK_SET_GID),
		.uid = uid,
		.gid = gid,
	};
}

int64_t rk__sys_fchmod(struct rk__call *c, struct op_fchmod *a)
{
	struct rk_setattr s = new_mode(a->mode);

	return set_fd(c, a->fd, &s);
}

int64_t rk__sys_fchmodat(struct rk__call *c, struct op_fchmodat *a)
{
	struct rk_setattr s = new_mode(a->mode);

	return set_at(c, a->dirfd, a->path, a->flags, &s);
}

/* Ids of -1 alone change the ctime, and take set-id bits away: the first may
 * everybody, the second may the owner. */
static int64_t touch_owner(const struct rk__call *c, struct rk__node n,
			   const struct rk_stat *st)
{
	const struct rk_setattr s = { .valid = RK_SET_UID, .uid = st->uid };
	struct rk__cred judged = c->cred;
	struct rk_stat after;

	if (rk__mode_chowned(&c->cred, st) != st->mode &&
	    rk__may_own(&c->cred, st) < 0)
		return -EPERM;
	judged.checked = true;
	return rk__vfs_setattr(&judged, n, &s, &after);
}

int64_t rk__sys_fchown(struct rk__call *c, struct op_fchown *a)
{
	struct rk_setattr s = new_owner(a->uid, a->gid);
	const struct rk__ofd *o = rk__call_ofd(c, a->fd);
	struct rk_stat st;
	int r;

	if (!o || s.valid)
		return set_fd(c, a->fd, &s);
	r = rk__vfs_getattr(rk__ofd_node(o), &st);
	return r < 0 ? r : touch_owner(c, rk__ofd_node(o), &st);
}

int64_t rk__sys_fchownat(struct rk__call *c, struct op_fchownat *a)
{
	struct rk_setattr s = new_owner(a->uid, a->gid);
	struct rk__walked w;
	int r = rk__call_flags(a->flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);

	if (r < 0 || s.valid)
		return set_at(c, a->dirfd, a->path, a->flags, &s);
	r = rk__call_walk(c, a->dirfd, a->path, (unsigned)r, &w);
	return r < 0 ? r : touch_owner(c, w.node, &w.st);
}

/* --- times -------------------------------------------------------------------- */

/* 0, or -EINVAL. Adds `flag` to *valid unless the time stays as it is. */
static int new_time(int64_t sec, uint32_t nsec, uint32_t flag,
		    uint32_t *valid, struct rk_time *ret)
{
	struct timespec now;

	if (nsec == UTIME_OMIT)
		return 0;
	if (nsec == UTIME_NOW) {
		clock_gettime(CLOCK_REALTIME, &now);
		sec = now.tv_sec;
		nsec = (uint32_t)now.tv_nsec;
	} else if (nsec >= 1000000000u) {
		return -EINVAL;
	}
	*valid |= flag;
	*ret = (struct rk_time){.sec = sec, .nsec = nsec};
	return 0;
}

/* "Now" may be set by whoever may write, other times by the owner. */
static int may_set_times(const struct rk__call *c, const struct rk_stat *st,
			 bool now)
{
	int r = rk__may_own(&c->cred, st);

	if (r < 0 && now)
		return rk__vfs_access(&c->cred, st, W_OK);
	return r;
}

int64_t rk__sys_utimensat(struct rk__call *c, struct op_utimensat *a)
{
	bool now = a->atime_nsec == UTIME_NOW && a->mtime_nsec == UTIME_NOW;
	struct rk__cred judged = c->cred;
	struct rk_setattr s = {0};
	struct rk__walked w;
	int walk = rk__call_flags(a->flags,
				  AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);
	int r = walk;

	/* Linux does not even look for the file. */
	if (a->atime_nsec == UTIME_OMIT && a->mtime_nsec == UTIME_OMIT)
		return 0;
	if (r >= 0)
		r = new_time(a->atime_sec, a->atime_nsec, RK_SET_ATIME,
			     &s.valid, &s.atime);
	if (r == 0)
		r = new_time(a->mtime_sec, a->mtime_nsec, RK_SET_MTIME,
			     &s.valid, &s.mtime);
	if (r == 0)
		r = rk__call_walk(c, a->dirfd, a->path, (unsigned)walk, &w);
	if (r < 0 || !s.valid)
		return r;
	r = may_set_times(c, &w.st, now);
	if (r < 0)
		return r;
	judged.checked = true;
	if (now)
		s.valid |= RK_SET_TOUCH;
	return rk__vfs_setattr(&judged, w.node, &s, &w.st);
}

/* --- file systems --------------------------------------------------------------- */

int64_t rk__sys_statfs(struct rk__call *c, struct op_statfs *a)
{
	struct rk__walked w;
	int r = rk__call_walk(c, RK_AT_FDCWD, a->path, RK_WALK_FOLLOW, &w);

	return r < 0 ? r : rk__vfs_statfs(w.node.mount, a->st);
}

int64_t rk__sys_fstatfs(struct rk__call *c, struct op_fstatfs *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);

	return o ? rk__vfs_statfs(rk__ofd_node(o).mount, a->st) : -EBADF;
}
