/*
 * access.c - who may do what: the permission rules of Linux for mode bits,
 * owners, sticky directories and extended attributes. Functions of a credential
 * and attributes, and of the access list of a file that has one. Where the
 * kernel has checked already (c->checked), they say yes.
 */
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>
#include "acl.h"
#include "vfs_int.h"

bool rk__in_group(const struct rk__cred *c, uint32_t gid)
{
	uint32_t i;

	if (c->gid == gid)
		return true;
	for (i = 0; i < c->n_groups; i++)
		if (c->group[i] == gid)
			return true;
	return false;
}

int rk__vfs_access(const struct rk__cred *c, const struct rk_stat *st,
		   unsigned mask)
{
	unsigned granted;

	int r;

	if (c->checked || !(mask & (R_OK | W_OK | X_OK)))
		return 0;
	/* As on Linux, a list without a group's bit in the mode is not asked. */
	if ((st->hints & RK_STAT_ACL) && (st->mode & S_IRWXG) && c->uid != 0 &&
	    c->uid != st->uid) {
		r = rk__acl_access(c, st, mask);
		if (r <= 0)
			return r;
	}
	if (c->uid == 0)
		granted = R_OK | W_OK |
			  (S_ISDIR(st->mode) || (st->mode & 0111) ? X_OK : 0);
	else if (c->uid == st->uid)
		granted = st->mode >> 6;
	else if (rk__in_group(c, st->gid))
		granted = st->mode >> 3;
	else
		granted = st->mode;
	return mask & ~granted & 7 ? -EACCES : 0;
}

int rk__may_open(const struct rk_stat *st, uint32_t open_flags)
{
	bool write = (open_flags & O_ACCMODE) != O_RDONLY ||
		     (open_flags & O_TRUNC);

	if (!write || !(st->flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return 0;
	if (st->flags & FS_IMMUTABLE_FL)
		return -EPERM;
	return (open_flags & O_APPEND) && !(open_flags & O_TRUNC) ? 0 : -EPERM;
}

int rk__may_remove(const struct rk__cred *c, const struct rk_stat *dir,
		   const struct rk_stat *victim)
{
	int r = rk__vfs_access(c, dir, W_OK | X_OK);

	if (r || c->checked || !(dir->mode & S_ISVTX) || c->uid == 0)
		return r;
	return c->uid == victim->uid || c->uid == dir->uid ? 0 : -EPERM;
}

int rk__may_own(const struct rk__cred *c, const struct rk_stat *st)
{
	return c->checked || c->uid == 0 || c->uid == st->uid ? 0 : -EPERM;
}

/* RK_SET_SIZE is not judged here: what counts for it is how the file was
 * opened, which only the caller knows. */
int rk__may_setattr(const struct rk__cred *c, const struct rk_stat *st,
		    const struct rk_setattr *set)
{
	const uint32_t owners =
		RK_SET_MODE | RK_SET_ATIME | RK_SET_MTIME | RK_SET_CTIME;

	if (c->checked || c->uid == 0)
		return 0;
	if ((set->valid & owners) && c->uid != st->uid)
		return -EPERM;
	if ((set->valid & RK_SET_UID) &&
	    (c->uid != st->uid || set->uid != st->uid))
		return -EPERM;
	if ((set->valid & RK_SET_GID) &&
	    (c->uid != st->uid ||
	     (set->gid != st->gid && !rk__in_group(c, set->gid))))
		return -EPERM;
	return 0;
}

static bool has_prefix(const char *name, const char *prefix)
{
	return !strncmp(name, prefix, strlen(prefix));
}

static int may_user_xattr(const struct rk__cred *c, const struct rk_stat *st,
			  bool change)
{
	if (!S_ISREG(st->mode) && !S_ISDIR(st->mode))
		return change ? -EPERM : -ENODATA;
	if (change && S_ISDIR(st->mode) && (st->mode & S_ISVTX) &&
	    rk__may_own(c, st))
		return -EPERM;
	return rk__vfs_access(c, st, change ? W_OK : R_OK);
}

int rk__may_xattr(const struct rk__cred *c, const struct rk_stat *st,
		  const char *name, bool change)
{
	bool root = c->checked || c->uid == 0;

	if (has_prefix(name, "user."))
		return may_user_xattr(c, st, change);
	if (has_prefix(name, "trusted."))
		return root ? 0 : change ? -EPERM : -ENODATA;
	if (has_prefix(name, "security."))
		return root || !change ? 0 : -EPERM;
	/* That only directories have one is found out before whose it is. */
	if (change && !S_ISDIR(st->mode) &&
	    has_prefix(name, "system.posix_acl_default"))
		return rk__may_own(c, st) < 0 ? -EACCES : 0;
	if (has_prefix(name, "system.posix_acl_"))
		return change ? rk__may_own(c, st) : 0;
	if (has_prefix(name, "system."))
		return -EOPNOTSUPP;
	/* Nobody knows the name, but who may not has no right to hear that. */
	return rk__vfs_access(c, st, change ? W_OK : R_OK) ?: -EOPNOTSUPP;
}

/* What fs.protected_hardlinks = 1 says, which is what distributions set: no
 * links to what one could not have written, or to programs with set-id bits. */
int rk__may_link(const struct rk__cred *c, const struct rk_stat *st)
{
	if (rk__may_own(c, st) == 0)
		return 0;
	if (!S_ISREG(st->mode) || (st->mode & S_ISUID) ||
	    (st->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) ||
	    rk__vfs_access(c, st, R_OK | W_OK) < 0)
		return -EPERM;
	return 0;
}

static uint32_t without_sgid(const struct rk__cred *c, const struct rk_stat *st)
{
	/* Without group execution it is the mark of mandatory locking, which
	 * members of the group may leave in place. (Of a mount's callers one
	 * group is known.) */
	if ((st->mode & S_IXGRP) ||
	    (c->uid != 0 && !rk__in_group(c, st->gid)))
		return S_ISGID;
	return 0;
}

uint32_t rk__mode_written(const struct rk__cred *c, const struct rk_stat *st)
{
	uint32_t drop = S_ISUID | without_sgid(c, st);

	if (c->uid == 0 || !S_ISREG(st->mode))
		drop = 0;
	return st->mode & ~drop;
}

uint32_t rk__mode_chowned(const struct rk__cred *c, const struct rk_stat *st)
{
	uint32_t drop = S_ISUID | without_sgid(c, st);

	if (S_ISDIR(st->mode))
		drop = 0;
	return st->mode & ~drop;
}
