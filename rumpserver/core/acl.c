/*
 * acl.c - what POSIX access lists mean. Pure functions.
 */
#include <errno.h>
#include <string.h>
#include "acl.h"
#include "vfs_int.h"

enum {
	VERSION = 2,
	USER_OBJ = 0x01,
	USER = 0x02,
	GROUP_OBJ = 0x04,
	GROUP = 0x08,
	MASK = 0x10,
	OTHER = 0x20,
};

bool rk__acl_is_name(const char *name)
{
	return !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

/* The tags come in order, the single ones once; named ones need a mask. */
static bool is_valid(const struct rk__acl *a)
{
	uint16_t last = 0, seen = 0;

	for (uint32_t i = 0; i < a->n; i++) {
		const struct rk__acl_entry *e = &a->entry[i];
		bool named = e->tag == USER || e->tag == GROUP;

		if (!e->tag || (e->tag & (e->tag - 1)) || e->tag > OTHER ||
		    e->perm & ~7)
			return false;
		if (e->tag < last || (e->tag == last && !named))
			return false;
		if (named && e->id == UINT32_MAX)
			return false;
		seen |= e->tag;
		last = e->tag;
	}
	if ((seen & (USER | GROUP)) && !(seen & MASK))
		return false;
	return (seen & (USER_OBJ | GROUP_OBJ | OTHER)) ==
	       (USER_OBJ | GROUP_OBJ | OTHER);
}

int rk__acl_read(const void *value, size_t size, struct rk__acl *ret)
{
	ret->n = 0;
	if (size == 0)
		return 0;
	if (size < 4)
		return -EINVAL;
	memcpy(&ret->version, value, 4);
	if (ret->version != VERSION)
		return -EOPNOTSUPP;
	size -= 4;
	if (size % sizeof ret->entry[0] || size > sizeof ret->entry)
		return -EINVAL;
	memcpy(ret->entry, (const uint8_t *)value + 4, size);
	ret->n = (uint32_t)(size / sizeof ret->entry[0]);
	return ret->n == 0 || is_valid(ret) ? 0 : -EINVAL;
}

static struct rk__acl_entry *find(const struct rk__acl *a, uint16_t tag)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->entry[i].tag == tag)
			return (struct rk__acl_entry *)&a->entry[i];
	return NULL;
}

/* The entry that the group's bits of the mode are. */
static struct rk__acl_entry *group_class(const struct rk__acl *a)
{
	struct rk__acl_entry *mask = find(a, MASK);

	return mask ? mask : find(a, GROUP_OBJ);
}

uint32_t rk__acl_mode(const struct rk__acl *a, uint32_t mode, bool *ret_equal)
{
	*ret_equal = a->n == 3;
	return (mode & ~0777u) | (uint32_t)find(a, USER_OBJ)->perm << 6 |
	       (uint32_t)group_class(a)->perm << 3 | find(a, OTHER)->perm;
}

void rk__acl_chmod(struct rk__acl *a, uint32_t mode)
{
	find(a, USER_OBJ)->perm = mode >> 6 & 7;
	group_class(a)->perm = mode >> 3 & 7;
	find(a, OTHER)->perm = mode & 7;
}

uint32_t rk__acl_inherit(struct rk__acl *a, uint32_t mode)
{
	bool equal;

	find(a, USER_OBJ)->perm &= mode >> 6;
	group_class(a)->perm &= mode >> 3;
	find(a, OTHER)->perm &= mode;
	return rk__acl_mode(a, mode, &equal);
}

static bool is_of(const struct rk__acl_entry *e, const struct rk__cred *c,
		  const struct rk_stat *st)
{
	return e->tag == GROUP_OBJ ? rk__in_group(c, st->gid) :
	       e->tag == GROUP && rk__in_group(c, e->id);
}

static int judge(const struct rk__acl *a, unsigned perm, unsigned mask)
{
	const struct rk__acl_entry *limit = find(a, MASK);

	if (limit)
		perm &= limit->perm;
	return mask & ~perm & 7 ? -EACCES : 0;
}

int rk__acl_permits(const struct rk__acl *a, const struct rk__cred *c,
		    const struct rk_stat *st, unsigned mask)
{
	bool member = false;

	for (uint32_t i = 0; i < a->n; i++) {
		const struct rk__acl_entry *e = &a->entry[i];

		if (e->tag == USER && e->id == c->uid)
			return judge(a, e->perm, mask);
		if (!is_of(e, c, st))
			continue;
		member = true;
		if (!(mask & ~(unsigned)e->perm & 7))
			return judge(a, e->perm, mask);
	}
	if (member)
		return -EACCES;
	return mask & ~(unsigned)find(a, OTHER)->perm & 7 ? -EACCES : 0;
}
