/*
 * sys_name.c - names: make, link, remove, rename.
 */
#include <linux/fs.h>
#include <string.h>
#include "sys.h"

static int64_t make(struct rk__call *c, int32_t dirfd, const char *path,
		    const struct rk_new *what)
{
	struct rk__walked w;
	int r = rk__call_walk(c, dirfd, path, RK_WALK_PARENT, &w);

	if (r < 0)
		return r;
	if (w.found)
		return -EEXIST;
	/* What is not a directory can't have a name that says it is one. */
	if (w.slash && !S_ISDIR(what->mode))
		return -ENOENT;
	return rk__vfs_create(&c->cred, w.dir, w.name, w.len, what, &w.st);
}

int64_t rk__sys_mkdirat(struct rk__call *c, struct op_mkdirat *a)
{
	return make(c, a->dirfd, a->path, &(struct rk_new){
		.mode = S_IFDIR | (a->mode & 01777),
	});
}

int64_t rk__sys_mknodat(struct rk__call *c, struct op_mknodat *a)
{
	uint32_t type = a->mode & S_IFMT;

	if (type == 0)
		type = S_IFREG;
	if (type == S_IFDIR)
		return -EPERM;
	if (type != S_IFREG && type != S_IFIFO && type != S_IFSOCK &&
	    type != S_IFCHR && type != S_IFBLK)
		return -EINVAL;
	return make(c, a->dirfd, a->path, &(struct rk_new){
		.mode = type | (a->mode & 07777),
		.rdev = type == S_IFCHR || type == S_IFBLK ? a->dev : 0,
	});
}

int64_t rk__sys_symlinkat(struct rk__call *c, struct op_symlinkat *a)
{
	if (!a->target[0])
		return -ENOENT;
	return make(c, a->dirfd, a->path, &(struct rk_new){
		.mode = S_IFLNK | 0777,
		.target = a->target,
	});
}

/* What can't be removed because no name in a directory leads to it. */
static int nameless(const struct rk__walked *w, bool directory)
{
	if (!directory)
		return -EISDIR;
	switch (w->last) {
	case RK_LAST_DOT:
		return -EINVAL;
	case RK_LAST_DOTDOT:
		return -ENOTEMPTY;
	default:
		return -EBUSY;
	}
}

int64_t rk__sys_unlinkat(struct rk__call *c, struct op_unlinkat *a)
{
	bool directory = a->flags & AT_REMOVEDIR;
	struct rk__walked w;
	int r;

	if (a->flags & ~(uint32_t)AT_REMOVEDIR)
		return -EINVAL;
	r = rk__call_walk(c, a->dirfd, a->path, RK_WALK_PARENT, &w);
	if (r < 0)
		return r;
	if (w.last != RK_LAST_NAME)
		return nameless(&w, directory);
	if (!w.found)
		return -ENOENT;
	if (w.slash && !directory)
		return S_ISDIR(w.st.mode) ? -EISDIR : -ENOTDIR;
	if (rk__walked_covered(&w))
		return directory ? -EBUSY : -EISDIR;
	return rk__vfs_unlink(&c->cred, w.dir, w.name, w.len, directory);
}

/* In the order in which Linux finds things out. */
static int may_be_renamed(const struct rk__walked *from,
			  const struct rk__walked *to, uint32_t flags)
{
	if (!from->found)
		return -ENOENT;
	if (to->found && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!to->found && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if ((flags & RENAME_EXCHANGE) && to->slash && !S_ISDIR(to->st.mode))
		return -ENOTDIR;
	if (!S_ISDIR(from->st.mode) &&
	    (from->slash || (to->slash && !(flags & RENAME_EXCHANGE))))
		return -ENOTDIR;
	return 0;
}

static bool last_is_long(const char *path)
{
	const char *last = strrchr(path, '/');

	return strlen(last ? last + 1 : path) > RK_NAME_LEN_MAX;
}

int64_t rk__sys_renameat2(struct rk__call *c, struct op_renameat2 *a)
{
	struct rk__walked from, to;
	int r = rk__rename_flags(a->flags);

	if (r == 0)
		r = rk__call_walk(c, a->olddirfd, a->oldpath, RK_WALK_PARENT,
				  &from);
	if (r < 0)
		return r;
	r = rk__call_walk(c, a->newdirfd, a->newpath, RK_WALK_PARENT, &to);
	/* The last name alone is looked at after the old one. */
	if (r == -ENAMETOOLONG && from.last == RK_LAST_NAME && !from.found &&
	    last_is_long(a->newpath))
		return -ENOENT;
	if (r < 0)
		return r;
	if (rk__walked_home(&from) != rk__walked_home(&to))
		return -EXDEV;
	if (from.last != RK_LAST_NAME)
		return -EBUSY;
	if (to.last != RK_LAST_NAME)
		return a->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	r = may_be_renamed(&from, &to, a->flags);
	if (r == 0 && (rk__walked_covered(&from) || rk__walked_covered(&to)))
		r = -EBUSY;
	if (r < 0)
		return r;
	return rk__vfs_rename(&c->cred, from.dir, from.name, from.len, to.dir,
			      to.name, to.len, a->flags);
}

int64_t rk__sys_linkat(struct rk__call *c, struct op_linkat *a)
{
	struct rk__walked from, to;
	unsigned walk = 0;
	int r;

	if (a->flags & ~(uint32_t)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	if (a->flags & AT_SYMLINK_FOLLOW)
		walk |= RK_WALK_FOLLOW;
	/* A descriptor alone gives no right to a name, as on Linux; but its name
	 * in /proc does, which both flags stand for. */
	if ((a->flags & AT_EMPTY_PATH) &&
	    (c->cred.uid == 0 || (a->flags & AT_SYMLINK_FOLLOW)))
		walk |= RK_WALK_EMPTY;
	r = rk__call_walk(c, a->olddirfd, a->oldpath, walk, &from);
	if (r == 0)
		r = rk__call_walk(c, a->newdirfd, a->newpath, RK_WALK_PARENT,
				  &to);
	if (r < 0)
		return r;
	if (to.found)
		return -EEXIST;
	if (to.slash)
		return -ENOENT;
	r = rk__writable(to.dir.mount);
	if (r == 0)
		r = rk__may_link(&c->cred, &from.st);
	if (r < 0)
		return r;
	return rk__vfs_link(&c->cred, from.node, to.dir, to.name, to.len,
			    &to.st);
}

/* The path of what a walk within the mounts came to. Its length, no NUL. */
static int path_of(const struct rk__walked *w, char *buf, size_t size)
{
	bool named = w->last == RK_LAST_NAME;
	int n;

	if (w->found && S_ISDIR(w->st.mode))
		n = rk__walk_path(w->node, buf, size);
	else
		n = named ? rk__walk_path(w->dir, buf, size) : -ENOENT;
	if (n < 0)
		return n;
	n--;
	if (!(w->found && S_ISDIR(w->st.mode))) {
		if (n + 1 + w->len > size)
			return -ENAMETOOLONG;
		if (buf[n - 1] != '/')
			buf[n++] = '/';
		memcpy(buf + n, w->name, w->len);
		n += (int)w->len;
	}
	if (w->slash && buf[n - 1] != '/' && (size_t)n < size)
		buf[n++] = '/';
	return n;
}

int64_t rk__sys_resolve(struct rk__call *c, struct op_resolve *a)
{
	static const uint32_t own = RK_RESOLVE_PARENT | RK_RESOLVE_WHOLE;
	int walk = rk__call_flags(a->flags & ~own,
				  AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);
	struct rk__walked w = {.outside = false};
	char path[RK_PATH_LEN_MAX];
	int r;

	if (walk < 0)
		return walk;
	r = rk__call_walk(c, a->dirfd, a->path, (unsigned)walk |
			  (a->flags & RK_RESOLVE_PARENT ? RK_WALK_PARENT : 0),
			  &w);
	if (w.outside) {
		strcpy(path, w.path);
		r = (int)strlen(path);
	} else if (r == 0 && (a->flags & RK_RESOLVE_WHOLE)) {
		r = path_of(&w, path, sizeof path);
	}
	if (r < 0)
		return r;
	if ((size_t)r > a->size)
		return -ERANGE;
	memcpy(a->buf, path, (size_t)r);
	c->out_len = (uint32_t)r;
	return r;
}

int64_t rk__sys_readlinkat(struct rk__call *c, struct op_readlinkat *a)
{
	struct rk__walked w;
	int r;

	if (a->size == 0)
		return -EINVAL;
	r = rk__call_walk(c, a->dirfd, a->path, RK_WALK_EMPTY, &w);
	if (r < 0)
		return r;
	if (!S_ISLNK(w.st.mode))
		return a->path[0] ? -EINVAL : -ENOENT;
	r = rk__vfs_readlink(w.node, a->buf, a->size);
	c->out_len = r < 0 ? 0 : (uint32_t)r;
	return r;
}
