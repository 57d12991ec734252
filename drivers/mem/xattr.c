/*
 * xattr.c - extended attributes: a list, since there are few. Their bytes count
 * like data.
 */
#include <linux/limits.h>
#include <sys/xattr.h>
#include "mem.h"

static uint64_t cost(const char *name, size_t size)
{
	return sizeof(struct xattr) + strlen(name) + size;
}

static int check_name(const char *name)
{
	static const char *const prefix[] = { "user.", "trusted.",
					      "security." };

	if (strlen(name) > XATTR_NAME_MAX)
		return -ERANGE;
	if (!strcmp(name, "system.posix_acl_access") ||
	    !strcmp(name, "system.posix_acl_default"))
		return 0;
	for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++)
		if (!strncmp(name, prefix[i], strlen(prefix[i])))
			return name[strlen(prefix[i])] ? 0 : -EINVAL;
	return -EOPNOTSUPP;
}

/* The link that points to it, or the last one. */
static struct xattr **find(struct inode *i, const char *name)
{
	struct xattr **at = &i->xattrs;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void drop(struct mem *m, struct xattr **at)
{
	struct xattr *x = *at;

	*at = x->next;
	m->used -= cost(x->name, x->size);
	free(x->value);
	free(x);
}

void rk__mem_xattrs_free(struct mem *m, struct inode *i)
{
	while (i->xattrs)
		drop(m, &i->xattrs);
}

int rk__mem_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
		     size_t size)
{
	struct inode *i = rk__mem_inode(fs, ino);
	int r = i ? check_name(name) : -ESTALE;
	const struct xattr *x;

	if (r < 0)
		return r;
	x = *find(i, name);
	if (!x)
		return -ENODATA;
	if (size && size < x->size)
		return -ERANGE;
	if (size)
		memcpy(buf, x->value, x->size);
	return (int)x->size;
}

int rk__mem_listxattr(void *fs, uint64_t ino, char *list, size_t size)
{
	const struct inode *i = rk__mem_inode(fs, ino);
	size_t used = 0, n;

	if (!i)
		return -ESTALE;
	for (const struct xattr *x = i->xattrs; x; x = x->next) {
		n = strlen(x->name) + 1;
		if (used + n <= size)
			memcpy(list + used, x->name, n);
		used += n;
	}
	return size && used > size ? -ERANGE : (int)used;
}

static int open_to_change(struct mem *m, struct inode *i, const char *name)
{
	int r = m->read_only ? -EROFS : i ? check_name(name) : -ESTALE;

	return r < 0 ? r : guarded(i, FROZEN);
}

static struct xattr *make(const char *name, const void *value, size_t size)
{
	struct xattr *x = malloc(sizeof *x + strlen(name) + 1);

	if (!x)
		return NULL;
	x->value = malloc(size ? size : 1);
	if (!x->value) {
		free(x);
		return NULL;
	}
	strcpy(x->name, name);
	memcpy(x->value, value, size);
	x->size = size;
	return x;
}

int rk__mem_setxattr(void *fs, uint64_t ino, const char *name,
		     const void *value, size_t size, uint32_t flags)
{
	struct mem *m = fs;
	struct inode *i = rk__mem_inode(m, ino);
	int r = open_to_change(m, i, name);
	struct xattr **at, *x;

	if (r < 0)
		return r;
	if (size > XATTR_SIZE_MAX)
		return -E2BIG;
	at = find(i, name);
	if (*at ? flags & XATTR_CREATE : flags & XATTR_REPLACE)
		return *at ? -EEXIST : -ENODATA;
	if (!has_room(m, cost(name, size)))
		return -ENOSPC;
	change(m);
	x = make(name, value, size);
	if (!x)
		return -ENOSPC;
	if (*at)
		drop(m, at);
	x->next = *at;
	*at = x;
	m->used += cost(name, size);
	rk__mem_touch(m, i, T_CTIME);
	return 0;
}

int rk__mem_removexattr(void *fs, uint64_t ino, const char *name)
{
	struct mem *m = fs;
	struct inode *i = rk__mem_inode(m, ino);
	int r = open_to_change(m, i, name);
	struct xattr **at;

	if (r < 0)
		return r;
	at = find(i, name);
	if (!*at)
		return -ENODATA;
	change(m);
	drop(m, at);
	rk__mem_touch(m, i, T_CTIME);
	return 0;
}
