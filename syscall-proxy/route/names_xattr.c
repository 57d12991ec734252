/*
 * names_xattr.c - extended attributes by name.
 */
#include <errno.h>
#include <linux/limits.h>
#include "named.h"

enum { LINE = RK_NAME_LEN_MAX + 2 };

/*
 * What they are about: by its path, or, when that begins at a descriptor, by one
 * of its own, which is closed afterwards.
 */
static int64_t pinned(const struct rk__place *p)
{
	if (p->dirfd == RK_AT_FDCWD || p->itself)
		return p->itself ? p->dirfd : -1;
	return rk_openat(p->client, p->dirfd, p->path, O_RDONLY | O_NONBLOCK, 0);
}

static uint32_t flags_of(const struct rk__named *n)
{
	return n->how & RK__FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;
}

static int name_in(struct rk__task *t, const struct rk__named *n,
		   char name[LINE])
{
	int r = t->host->string(t, n->arg[1], name, LINE);

	/* As the kernel says it of a name that is too long, or none. */
	if (r == -ENAMETOOLONG || r == 0 || r > RK_NAME_LEN_MAX)
		return -ERANGE;
	return r < 0 ? r : 0;
}

/* The caller's room for what comes back, no more than can come. */
static int64_t give(struct rk__task *t, const struct rk__named *n,
		    struct rk__place *p, unsigned word, const char *name)
{
	uint64_t size = n->arg[word + 1];
	void *room = NULL;
	int64_t fd = pinned(p), r;

	size = size < RK_XATTR_SIZE_MAX ? size : RK_XATTR_SIZE_MAX;
	if (size) {
		room = t->host->out(t, n->arg[word], size);
		if (!room)
			r = -EFAULT;
	}
	if (size && !room)
		r = -EFAULT;
	else if (fd < -1)
		r = fd;
	else if (fd >= 0)
		r = name ? rk_fgetxattr(p->client, (int32_t)fd, name, room, size) :
			   rk_flistxattr(p->client, (int32_t)fd, room, size);
	else
		r = name ? rk_getxattr(p->client, p->path, name, room, size,
				       flags_of(n)) :
			   rk_listxattr(p->client, p->path, room, size,
					flags_of(n));
	if (room) {
		int e = t->host->out_done(t, n->arg[word], room,
					  r > 0 ? (size_t)r : 0);

		r = e < 0 ? e : r;
	}
	if (fd >= 0 && !p->itself)
		(void)rk_close(p->client, (int32_t)fd);
	return r;
}

static int64_t do_get(struct rk__task *t, const struct rk__named *n,
		      struct rk__place *p)
{
	char name[LINE];
	int r = name_in(t, n, name);

	return r < 0 ? r : give(t, n, p, 2, name);
}

static int64_t do_list(struct rk__task *t, const struct rk__named *n,
		       struct rk__place *p)
{
	return give(t, n, p, 1, NULL);
}

static int64_t do_set(struct rk__task *t, const struct rk__named *n,
		      struct rk__place *p)
{
	uint64_t size = n->arg[3];
	const void *value = "";
	char name[LINE];
	int64_t fd, r;

	if ((uint32_t)n->arg[4] & ~3u)
		return -EINVAL;
	r = name_in(t, n, name);
	if (r == 0 && size > RK_XATTR_SIZE_MAX)
		r = -E2BIG;
	if (r == 0 && size && !(value = t->host->in(t, n->arg[2], size)))
		r = -EFAULT;
	if (r < 0)
		return r;
	fd = pinned(p);
	if (fd < -1)
		return fd;
	r = fd < 0 ? rk_setxattr(p->client, p->path, name, value, size,
				 (uint32_t)n->arg[4], flags_of(n)) :
		     rk_fsetxattr(p->client, (int32_t)fd, name, value, size,
				  (uint32_t)n->arg[4]);
	if (fd >= 0 && !p->itself)
		(void)rk_close(p->client, (int32_t)fd);
	return r;
}

static int64_t do_remove(struct rk__task *t, const struct rk__named *n,
			 struct rk__place *p)
{
	char name[LINE];
	int64_t r = name_in(t, n, name), fd;

	if (r < 0)
		return r;
	fd = pinned(p);
	if (fd < -1)
		return fd;
	r = fd < 0 ? rk_removexattr(p->client, p->path, name, flags_of(n)) :
		     rk_fremovexattr(p->client, (int32_t)fd, name);
	if (fd >= 0 && !p->itself)
		(void)rk_close(p->client, (int32_t)fd);
	return r;
}

#define CALL(name, how_, inside_, ...)					\
enum rk__routed rk__call_##name(struct rk__task *t, long nr,		\
				const uint64_t arg[6], int64_t *ret)	\
{									\
	return rk__named(t, &(struct rk__named){			\
		.nr = nr,						\
		.arg = { arg[0], arg[1], arg[2], arg[3], arg[4] },	\
		.dirfd = RK__NO_WORD, .how = how_, .inside = inside_,	\
		.memory = __VA_ARGS__,					\
	}, ret);							\
}

#define GET { { RK__STRING, 1, 0 }, { RK__OUT_BY, 2, 3 } }
#define SET { { RK__STRING, 1, 0 }, { RK__IN_BY, 2, 3 } }
#define LIST { { RK__OUT_BY, 1, 2 } }
#define REMOVE { { RK__STRING, 1, 0 } }

CALL(getxattr, RK__FOLLOW, do_get, GET)
CALL(lgetxattr, 0, do_get, GET)
CALL(setxattr, RK__FOLLOW, do_set, SET)
CALL(lsetxattr, 0, do_set, SET)
CALL(listxattr, RK__FOLLOW, do_list, LIST)
CALL(llistxattr, 0, do_list, LIST)
CALL(removexattr, RK__FOLLOW, do_remove, REMOVE)
CALL(lremovexattr, 0, do_remove, REMOVE)
