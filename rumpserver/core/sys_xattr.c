/*
 * sys_xattr.c - extended attributes, by path and by descriptor.
 */
#include <string.h>
#include "sys.h"

/* The file of a path, or of a descriptor. */
static int node_at(const struct rk__call *c, const char *path, uint32_t flags,
		   struct rk__node *ret)
{
	struct rk__walked w;
	int r = rk__call_flags(flags, AT_SYMLINK_NOFOLLOW);

	if (r >= 0)
		r = rk__call_walk(c, RK_AT_FDCWD, path, (unsigned)r, &w);
	if (r == 0)
		*ret = w.node;
	return r;
}

static int node_of(const struct rk__call *c, int32_t fd, struct rk__node *ret)
{
	const struct rk__ofd *o = rk__call_ofd(c, fd);

	if (!o)
		return -EBADF;
	*ret = rk__ofd_node(o);
	return 0;
}

/* Size 0 asks for the length only. */
static int64_t answer(struct rk__call *c, int r, uint64_t size)
{
	c->out_len = r > 0 && size > 0 ? (uint32_t)r : 0;
	return r;
}

static int64_t get(struct rk__call *c, int r, struct rk__node n,
		   const char *name, void *value, uint64_t size)
{
	if (r == 0)
		r = rk__vfs_getxattr(&c->cred, n, name, value, size);
	return answer(c, r, size);
}

static int64_t list(struct rk__call *c, int r, struct rk__node n, void *buf,
		    uint64_t size)
{
	if (r == 0)
		r = rk__vfs_listxattr(&c->cred, n, buf, size);
	return answer(c, r, size);
}

static int64_t set(struct rk__call *c, int r, struct rk__node n,
		   const char *name, const void *value, uint64_t size,
		   uint32_t flags)
{
	static uint8_t copy[RK_XATTR_SIZE_MAX];

	if (r == 0 && size > sizeof copy)
		r = -E2BIG;
	if (r < 0)
		return r;
	/* The client may change its bytes while the driver hashes them. */
	if (size)
		memcpy(copy, value, size);
	return rk__vfs_setxattr(&c->cred, n, name, copy, size, flags);
}

int64_t rk__sys_getxattr(struct rk__call *c, struct op_getxattr *a)
{
	struct rk__node n;
	int r = node_at(c, a->path, a->flags, &n);

	return get(c, r, n, a->name, a->value, a->size);
}

int64_t rk__sys_fgetxattr(struct rk__call *c, struct op_fgetxattr *a)
{
	struct rk__node n;
	int r = node_of(c, a->fd, &n);

	return get(c, r, n, a->name, a->value, a->size);
}

int64_t rk__sys_listxattr(struct rk__call *c, struct op_listxattr *a)
{
	struct rk__node n;
	int r = node_at(c, a->path, a->flags, &n);

	return list(c, r, n, a->list, a->size);
}

int64_t rk__sys_flistxattr(struct rk__call *c, struct op_flistxattr *a)
{
	struct rk__node n;
	int r = node_of(c, a->fd, &n);

	return list(c, r, n, a->list, a->size);
}

int64_t rk__sys_setxattr(struct rk__call *c, struct op_setxattr *a)
{
	struct rk__node n;
	int r = node_at(c, a->path, a->flags, &n);

	return set(c, r, n, a->name, a->value, a->size, a->xflags);
}

int64_t rk__sys_fsetxattr(struct rk__call *c, struct op_fsetxattr *a)
{
	struct rk__node n;
	int r = node_of(c, a->fd, &n);

	return set(c, r, n, a->name, a->value, a->size, a->xflags);
}

int64_t rk__sys_removexattr(struct rk__call *c, struct op_removexattr *a)
{
	struct rk__node n;
	int r = node_at(c, a->path, a->flags, &n);

	return r < 0 ? r : rk__vfs_removexattr(&c->cred, n, a->name);
}

int64_t rk__sys_fremovexattr(struct rk__call *c, struct op_fremovexattr *a)
{
	struct rk__node n;
	int r = node_of(c, a->fd, &n);

	return r < 0 ? r : rk__vfs_removexattr(&c->cred, n, a->name);
}
