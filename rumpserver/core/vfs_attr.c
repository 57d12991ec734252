/*
 * vfs_attr.c - attributes and extended attributes.
 */
#include <linux/limits.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "acl.h"
#include "task.h"
#include "vfs_call.h"
#include "vfs_int.h"

int rk__vfs_getattr(struct rk__node n, struct rk_stat *ret)
{
	const struct rk_driver *d = rk__ops(n.mount);
	RK_CLAIM(n, RK_LOOKS);
	int r = d->getattr ? d->getattr(rk__fs(n.mount), n.ino, ret) : -EIO;

	ret->dev = rk__mount_dev(n.mount);
	return r;
}

/* Adds to a change what follows from it: set-id bits that go. */
static struct rk_setattr complete(const struct rk__cred *c,
				  const struct rk_stat *st,
				  const struct rk_setattr *set)
{
	struct rk_setattr s = *set;
	uint32_t mode = st->mode;

	if (s.valid & RK_SET_MODE) {
		if (!c->checked && c->uid != 0 && !rk__in_group(c, st->gid))
			s.mode &= ~S_ISGID;
		return s;
	}
	if (s.valid & (RK_SET_UID | RK_SET_GID))
		mode = rk__mode_chowned(c, st);
	if (s.valid & RK_SET_SIZE)
		mode &= rk__mode_written(c, st);
	if (mode != st->mode) {
		s.valid |= RK_SET_MODE;
		s.mode = mode & 07777;
	}
	return s;
}

static int check_size(const struct rk_stat *st, uint64_t size)
{
	if (S_ISDIR(st->mode))
		return -EISDIR;
	if (!S_ISREG(st->mode))
		return -EINVAL;
	return size > INT64_MAX ? -EFBIG : 0;
}

int rk__vfs_setattr(const struct rk__cred *c, struct rk__node n,
		    const struct rk_setattr *set, struct rk_stat *ret)
{
	RK_CLAIM(n, RK_WRITES);
	struct rk_setattr s;
	struct rk_stat st;
	int r = rk__writable(n.mount);

	if (r == 0)
		r = rk__vfs_getattr(n, &st);
	if (r == 0 && (set->valid & RK_SET_SIZE))
		r = check_size(&st, set->size);
	if (r == 0)
		r = rk__may_setattr(c, &st, set);
	if (r < 0)
		return r;
	s = complete(c, &st, set);
	r = rk__do_setattr(n, &s, ret);
	ret->dev = rk__mount_dev(n.mount);
	if (r >= 0 && (set->valid & RK_SET_SIZE)) {
		rk__data_changed(n, 0, 0);
		rk__pages_change(n, st.size < set->size ? st.size : set->size,
				 0);
	}
	if (S_ISDIR(st.mode) &&
	    (s.valid & (RK_SET_MODE | RK_SET_UID | RK_SET_GID)))
		rk__pages_names();
	if (r >= 0 && (s.valid & RK_SET_MODE) && (st.mode ^ s.mode) & 0777)
		r = rk__acl_follow(n, ret) ?: r;
	return r;
}

/* --- extended attributes ---------------------------------------------------- */

static int xattr_check(const struct rk__cred *c, struct rk__node n,
		       const char *name, bool change)
{
	size_t len = strlen(name);
	struct rk_stat st;
	int r;

	if (len == 0 || len > XATTR_NAME_MAX)
		return -ERANGE;
	r = change ? rk__writable(n.mount) : 0;
	if (r == 0)
		r = rk__vfs_getattr(n, &st);
	return r < 0 ? r : rk__may_xattr(c, &st, name, change);
}

int rk__vfs_getxattr(const struct rk__cred *c, struct rk__node n,
		     const char *name, void *buf, size_t size)
{
	const struct rk_driver *d = rk__ops(n.mount);
	RK_CLAIM(n, RK_LOOKS);
	int r = xattr_check(c, n, name, false);

	if (r < 0)
		return r;
	return d->getxattr ? d->getxattr(rk__fs(n.mount), n.ino, name, buf,
					 size) : -EOPNOTSUPP;
}

int rk__vfs_setxattr(const struct rk__cred *c, struct rk__node n,
		     const char *name, const void *value, size_t size,
		     uint32_t flags)
{
	RK_CLAIM(n, RK_WRITES);
	int r;

	if (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (size > RK_XATTR_SIZE_MAX)
		return -E2BIG;
	r = xattr_check(c, n, name, true);
	if (r < 0)
		return r;
	if (rk__acl_is_name(name)) {
		rk__pages_names();
		return rk__acl_set(c, n, name, value, size);
	}
	return rk__do_setxattr(n, name, value, size, flags);
}

int rk__vfs_removexattr(const struct rk__cred *c, struct rk__node n,
			const char *name)
{
	RK_CLAIM(n, RK_WRITES);
	int r = xattr_check(c, n, name, true);

	if (r < 0)
		return r;
	if (rk__acl_is_name(name)) {
		rk__pages_names();
		return rk__acl_set(c, n, name, NULL, 0);
	}
	return rk__do_removexattr(n, name);
}

/* Drops the names that only root may know of; returns the new length. */
static int drop_trusted(char *list, int len)
{
	int from, to = 0, n;

	for (from = 0; from < len; from += n) {
		n = (int)strnlen(list + from, (size_t)(len - from)) + 1;
		if (n > len - from)
			break;
		if (!strncmp(list + from, "trusted.", 8))
			continue;
		memmove(list + to, list + from, (size_t)n);
		to += n;
	}
	return to;
}

int rk__vfs_listxattr(const struct rk__cred *c, struct rk__node n, char *list,
		      size_t size)
{
	char *all = rk__room(RK_ROOM_NAMES);
	const struct rk_driver *d = rk__ops(n.mount);
	RK_CLAIM(n, RK_LOOKS);
	int r;

	if (!d->listxattr)
		return -EOPNOTSUPP;
	r = d->listxattr(rk__fs(n.mount), n.ino, all, RK_XATTR_SIZE_MAX);
	if (r < 0)
		return r == -ERANGE ? -E2BIG : r;
	if (c->uid != 0)
		r = drop_trusted(all, r);
	if (size == 0)
		return r;
	if ((size_t)r > size)
		return -ERANGE;
	memcpy(list, all, (size_t)r);
	return r;
}
