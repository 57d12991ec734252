/*
 * vfs_acl.c - access lists of files: kept, followed, inherited, obeyed.
 *
 * A driver only stores them, as extended attributes. One is read into
 * memory that is used for the length of one call.
 */
#include <errno.h>
#include <string.h>
#include "acl.h"
#include "task.h"
#include "vfs_call.h"
#include "vfs_int.h"

#define ACCESS	"system.posix_acl_access"
#define DEFAULT	"system.posix_acl_default"

/* Of the file in question. */
static struct rk__acl *list(void)
{
	return rk__room(RK_ROOM_LIST);
}

/* Between default and give. */
static struct rk__acl *inherited(void)
{
	return rk__room(RK_ROOM_INHERITED);
}

/* 1: it has one, 0: none. */
static int read_list(struct rk__node n, const char *name, struct rk__acl *ret)
{
	uint8_t *value = rk__room(RK_ROOM_VALUE);
	const struct rk_driver *d = rk__ops(n.mount);
	int r = d->getxattr ? d->getxattr(rk__fs(n.mount), n.ino, name, value,
					  RK_XATTR_SIZE_MAX) : -ENODATA;

	if (r == -ENODATA || r == -EOPNOTSUPP)
		return 0;
	if (r < 0)
		return r;
	/* What the device says need not make sense. */
	if (rk__acl_read(value, (size_t)r, ret) < 0)
		return -EUCLEAN;
	return ret->n != 0;
}

static int write_list(struct rk__node n, const char *name,
		      const struct rk__acl *a)
{
	/* The kernel of a mount keeps lists in memory as it keeps pages. */
	rk__data_changed(n, 0, 0);
	return rk__do_setxattr(n, name, a, rk__acl_size(a), 0);
}

static int remove_list(struct rk__node n, const char *name)
{
	int r;

	rk__data_changed(n, 0, 0);
	r = rk__do_removexattr(n, name);
	return r == -ENODATA ? 0 : r;
}

int rk__acl_access(const struct rk__cred *c, const struct rk_stat *st,
		   unsigned mask)
{
	struct rk__node n = rk__node((uint32_t)st->dev - 1, st->ino);
	int r = read_list(n, ACCESS, list());

	if (r <= 0)
		return r < 0 ? r : 1;
	return rk__acl_permits(list(), c, st, mask);
}

/* The mode says what the list says; a list that says no more goes. */
static int set_access(const struct rk__cred *c, struct rk__node n,
		      const struct rk_stat *st)
{
	struct rk_setattr set = { .valid = RK_SET_MODE };
	struct rk_stat after;
	bool equal;
	int r;

	set.mode = rk__acl_mode(list(), st->mode, &equal) & 07777;
	if (!c->checked && c->uid != 0 && !rk__in_group(c, st->gid))
		set.mode &= ~(uint32_t)S_ISGID;
	if (set.mode == (st->mode & 07777))
		r = rk__writable(n.mount);
	else
		r = rk__do_setattr(n, &set, &after);
	if (r < 0)
		return r;
	return equal ? remove_list(n, ACCESS) : write_list(n, ACCESS, list());
}

int rk__acl_set(const struct rk__cred *c, struct rk__node n, const char *name,
		const void *value, size_t size)
{
	struct rk_stat st;
	int r = rk__vfs_getattr(n, &st);

	if (r == 0 && S_ISLNK(st.mode))
		r = -EOPNOTSUPP;
	if (r == 0)
		r = rk__acl_read(value, size, list());
	if (r < 0)
		return r;
	if (!list()->n)
		return remove_list(n, name);
	if (!strcmp(name, ACCESS))
		return set_access(c, n, &st);
	return S_ISDIR(st.mode) ? write_list(n, name, list()) : -EACCES;
}

int rk__acl_follow(struct rk__node n, const struct rk_stat *st)
{
	int r;

	if (!(st->hints & RK_STAT_ACL))
		return 0;
	r = read_list(n, ACCESS, list());
	if (r <= 0)
		return r;
	rk__acl_chmod(list(), st->mode);
	return write_list(n, ACCESS, list());
}

int rk__acl_default(struct rk__node dir, const struct rk_stat *dir_st,
		    uint32_t *mode)
{
	int r;

	if (!(dir_st->hints & RK_STAT_ACL) || S_ISLNK(*mode))
		return 0;
	r = read_list(dir, DEFAULT, inherited());
	if (r <= 0)
		return r;
	*list() = *inherited();
	*mode = rk__acl_inherit(list(), *mode);
	return 1;
}

int rk__acl_give(struct rk__node n, uint32_t mode)
{
	bool equal;
	int r = 0;

	rk__acl_mode(list(), mode, &equal);
	if (!equal)
		r = write_list(n, ACCESS, list());
	if (r == 0 && S_ISDIR(mode))
		r = write_list(n, DEFAULT, inherited());
	return r;
}
