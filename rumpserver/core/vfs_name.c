/*
 * vfs_name.c - names: looking up, creating, linking, removing, renaming. Keeps
 * the name cache right and passes objects that lost their last name on to be
 * reclaimed.
 */
#include <string.h>
#include <unistd.h>
#include <linux/fs.h>
#include "acl.h"
#include "core/pages.h"
#include "task.h"
#include "vfs_call.h"
#include "vfs_int.h"

/* A chain of ".." longer than this is a damaged file system. */
enum { DEPTH_MAX = 1 << 16 };

int rk__name_check(const char *name, size_t len)
{
	if (len == 0)
		return -ENOENT;
	if (len > RK_NAME_LEN_MAX)
		return -ENAMETOOLONG;
	if (memchr(name, '/', len) || memchr(name, 0, len))
		return -EINVAL;
	return 0;
}

/* A directory that was removed while somebody held it takes no names. */
static bool removed(struct rk__node dir)
{
	uint32_t i = rk__vnode_find(dir);

	return i && rk__core->vnode[i].orphan;
}

static int parent(struct rk__node dir, struct rk_stat *ret)
{
	const struct rk_driver *d = rk__ops(dir.mount);
	int r;

	if (dir.ino == rk__core->mount[dir.mount].root)
		return rk__vfs_getattr(dir, ret);
	if (!d->lookup)
		return -ENOENT;
	r = d->lookup(rk__fs(dir.mount), dir.ino, "..", 2, ret);
	ret->dev = rk__mount_dev(dir.mount);
	return r;
}

static int find(struct rk__node dir, const char *name, size_t len,
		struct rk_stat *ret)
{
	const struct rk_driver *d = rk__ops(dir.mount);
	uint64_t ino;
	int r;

	if (removed(dir))
		return -ENOENT;
	switch (rk__name_find(dir, name, len, &ino)) {
	case RK_NAME_NEGATIVE:
		return -ENOENT;
	case RK_NAME_POSITIVE:
		return rk__vfs_getattr(rk__node(dir.mount, ino), ret);
	case RK_NAME_UNKNOWN:
		break;
	}
	r = d->lookup ? d->lookup(rk__fs(dir.mount), dir.ino, name, len, ret) :
			-ENOENT;
	ret->dev = rk__mount_dev(dir.mount);
	if (r == 0 || r == -ENOENT)
		rk__name_enter(dir, name, len, r ? 0 : ret->ino);
	return r;
}

/* What a name stands for, to be claimed; nothing (inode 0) if nobody sleeps
 * here at all. */
static struct rk__node entry(struct rk__node dir, const char *name, size_t len)
{
	struct rk__node none = {0};
	struct rk_stat st;

	if (!rk__work_now || rk__name_check(name, len) < 0 ||
	    rk__is_dots(name, len) || find(dir, name, len, &st) < 0)
		return none;
	return rk__node(dir.mount, st.ino);
}

/* Attributes of a directory in which `c` may do `mask`. */
static int get_dir(const struct rk__cred *c, struct rk__node dir,
		   unsigned mask, struct rk_stat *ret)
{
	int r = rk__vfs_getattr(dir, ret);

	if (r < 0)
		return r;
	if (!S_ISDIR(ret->mode))
		return -ENOTDIR;
	return rk__vfs_access(c, ret, mask);
}

int rk__vfs_lookup(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, struct rk_stat *ret)
{
	RK_CLAIM(dir, RK_READS);
	struct rk_stat st;
	int r = rk__name_check(name, len);

	if (r == 0 && !c->checked)
		r = get_dir(c, dir, X_OK, &st);
	if (r < 0)
		return r;
	if (!rk__is_dots(name, len))
		r = find(dir, name, len, ret);
	else if (len == 1)
		r = rk__vfs_getattr(dir, ret);
	else
		r = parent(dir, ret);
	ret->dev = rk__mount_dev(dir.mount);
	return r;
}

/* What every operation that makes an entry checks first. */
static int may_add(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, struct rk_stat *ret_dir)
{
	int r = rk__name_check(name, len);

	if (r == 0)
		r = rk__writable(dir.mount);
	if (r == 0)
		r = get_dir(c, dir, W_OK | X_OK, ret_dir);
	if (r < 0)
		return r;
	if (rk__is_dots(name, len))
		return -EEXIST;
	return removed(dir) ? -ENOENT : 0;
}

/* From now on the name stands for this, or for nothing (0). */
static void change_name(struct rk__node dir, const char *name, size_t len,
			uint64_t ino)
{
	rk__name_enter(dir, name, len, ino);
	rk__pages_names();
	if (rk__watcher)
		rk__watcher->names_changed(dir);
}

static uint32_t group_of_new(const struct rk__cred *c,
			     const struct rk_stat *dir, struct rk_new *n)
{
	if (!(dir->mode & S_ISGID))
		return c->gid;
	if (S_ISDIR(n->mode))
		n->mode |= S_ISGID;
	else if ((n->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		 c->uid != 0 && !rk__in_group(c, dir->gid))
		n->mode &= ~S_ISGID;
	return dir->gid;
}

/* Owner, group and mode that a new object gets in a directory; 1 if it gets an
 * access list too (rk__acl_give). */
static int new_in(const struct rk__cred *c, struct rk__node dir,
		  const struct rk_stat *dir_st, const struct rk_new *what,
		  struct rk_new *ret)
{
	int r;

	*ret = *what;
	ret->uid = c->uid;
	if (S_ISLNK(ret->mode))
		ret->mode = S_IFLNK | 0777;
	ret->gid = group_of_new(c, dir_st, ret);
	r = rk__acl_default(dir, dir_st, &ret->mode);
	if (r == 0 && !S_ISLNK(ret->mode))
		ret->mode &= ~(c->umask & 0777);
	return r;
}

int rk__vfs_create(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, const struct rk_new *what,
		   struct rk_stat *ret)
{
	RK_CLAIM(dir, RK_WRITES);
	struct rk_stat dir_st;
	struct rk_new n;
	uint64_t ino;
	int acl, r = may_add(c, dir, name, len, &dir_st);

	if (r < 0)
		return r;
	if ((S_ISCHR(what->mode) || S_ISBLK(what->mode)) && !c->checked &&
	    c->uid != 0)
		return -EPERM;
	if (rk__name_find(dir, name, len, &ino) == RK_NAME_POSITIVE)
		return -EEXIST;
	acl = new_in(c, dir, &dir_st, what, &n);
	if (acl < 0)
		return acl;
	r = rk__do_create(dir, name, len, &n, ret);
	if (r == 0 && acl)
		r = rk__acl_give(rk__node(dir.mount, ret->ino), n.mode);
	if (r < 0)
		return r;
	ret->dev = rk__mount_dev(dir.mount);
	rk__pages_drop(rk__node(dir.mount, ret->ino));
	change_name(dir, name, len, ret->ino);
	return 0;
}

int rk__vfs_tmpfile(const struct rk__cred *c, struct rk__node dir,
		    const struct rk_new *what, bool linkable,
		    struct rk_stat *ret)
{
	RK_CLAIM(dir, RK_WRITES);
	struct rk_stat dir_st;
	struct rk_new n;
	uint32_t v;
	int acl = 0, r = rk__writable(dir.mount);

	if (r == 0)
		r = get_dir(c, dir, W_OK | X_OK, &dir_st);
	/* What Linux says of it, no more helpful than that. */
	if (r == 0 && removed(dir))
		r = -EPERM;
	if (r == 0)
		r = acl = new_in(c, dir, &dir_st, what, &n);
	if (r < 0)
		return r;
	r = rk__do_tmpfile(dir, &n, ret);
	if (r == 0 && acl)
		r = rk__acl_give(rk__node(dir.mount, ret->ino), n.mode);
	if (r < 0)
		return r;
	ret->dev = rk__mount_dev(dir.mount);
	v = rk__vnode_get(rk__node(dir.mount, ret->ino));
	if (!v)
		return -ENFILE;
	RK_NOTE(&rk__core->vnode[v]);
	rk__core->vnode[v].orphan = true;
	rk__core->vnode[v].linkable = linkable;
	return 0;
}

static bool is_linkable(struct rk__node n)
{
	uint32_t v = rk__vnode_find(n);

	return v && rk__core->vnode[v].linkable;
}

static void has_name_now(struct rk__node n)
{
	struct rk__vnode *v = &rk__core->vnode[rk__vnode_find(n)];

	RK_NOTE(v);
	v->orphan = false;
	v->linkable = false;
}

int rk__vfs_link(const struct rk__cred *c, struct rk__node n,
		 struct rk__node dir, const char *name, size_t len,
		 struct rk_stat *ret)
{
	RK_CLAIM(dir, RK_WRITES);
	RK_CLAIM(n, RK_WRITES);
	struct rk_stat dir_st, st;
	int r;

	if (n.mount != dir.mount)
		return -EXDEV;
	r = may_add(c, dir, name, len, &dir_st);
	if (r == 0)
		r = rk__vfs_getattr(n, &st);
	if (r < 0)
		return r;
	if (S_ISDIR(st.mode))
		return -EPERM;
	if (st.nlink == 0 && !is_linkable(n))
		return -ENOENT;
	r = rk__do_link(n, dir, name, len, ret);
	if (r < 0)
		return r;
	if (st.nlink == 0)
		has_name_now(n);
	ret->dev = rk__mount_dev(dir.mount);
	change_name(dir, name, len, n.ino);
	return 0;
}

/* A name of `victim` was removed; its attributes are those after it. */
static int lost_name(uint32_t mount, const struct rk_stat *victim)
{
	struct rk__node n = rk__node(mount, victim->ino);

	rk__pages_touch(n);
	if (victim->nlink)
		return 0;
	if (S_ISDIR(victim->mode))
		rk__name_purge_dir(n);
	return rk__vnode_gone(n);
}

static int may_unlink(const struct rk__cred *c, struct rk__node dir,
		      const char *name, size_t len, bool directory)
{
	struct rk_stat dir_st, st;
	int r;

	if (c->checked)
		return removed(dir) ? -ENOENT : 0;
	r = get_dir(c, dir, X_OK, &dir_st);
	if (r == 0)
		r = find(dir, name, len, &st);
	if (r == 0)
		r = rk__may_remove(c, &dir_st, &st);
	if (r < 0)
		return r;
	if (directory != S_ISDIR(st.mode))
		return directory ? -ENOTDIR : -EISDIR;
	return 0;
}

int rk__vfs_unlink(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, bool directory)
{
	RK_CLAIM(dir, RK_WRITES);
	RK_CLAIM(entry(dir, name, len), RK_WRITES);
	struct rk_stat st;
	int r = rk__name_check(name, len);

	if (r == 0)
		r = rk__writable(dir.mount);
	if (r < 0)
		return r;
	if (rk__is_dots(name, len))
		return !directory ? -EISDIR : len == 1 ? -EINVAL : -ENOTEMPTY;
	r = may_unlink(c, dir, name, len, directory);
	if (r < 0)
		return r;
	r = rk__do_unlink(dir, name, len, directory, &st);
	if (r < 0)
		return r;
	change_name(dir, name, len, 0);
	return lost_name(dir.mount, &st);
}

/* --- rename ----------------------------------------------------------------- */

int rk__rename_flags(uint32_t flags)
{
	if ((flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) ||
	    ((flags & RENAME_EXCHANGE) && flags != RENAME_EXCHANGE))
		return -EINVAL;
	return 0;
}

/* -EINVAL if `dir` is `top` or lies below it. */
static int not_below(struct rk__node dir, uint64_t top)
{
	uint64_t root = rk__core->mount[dir.mount].root;
	struct rk_stat st;
	int i, r;

	for (i = 0; i < DEPTH_MAX; i++) {
		if (dir.ino == top)
			return -EINVAL;
		if (dir.ino == root)
			return 0;
		r = parent(dir, &st);
		if (r < 0)
			return r;
		dir.ino = st.ino;
	}
	return -EUCLEAN;
}

struct rename {
	const struct rk__cred *c;
	struct rk__node dir, newdir;
	struct rk_stat dir_st, newdir_st, from, to;
	uint32_t flags;
	bool replaces;			/* `to` is there */
	uint64_t whiteout;		/* what stays behind, 0: nothing */
};

static int find_both(struct rename *m, const char *name, size_t len,
		     const char *newname, size_t newlen)
{
	int r = get_dir(m->c, m->dir, X_OK, &m->dir_st);

	if (r == 0)
		r = get_dir(m->c, m->newdir, X_OK, &m->newdir_st);
	if (r == 0)
		r = find(m->dir, name, len, &m->from);
	if (r < 0)
		return r;
	if (removed(m->newdir))
		return -ENOENT;
	r = find(m->newdir, newname, newlen, &m->to);
	if (r < 0 && r != -ENOENT)
		return r;
	m->replaces = r == 0;
	if (m->replaces && (m->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!m->replaces && (m->flags & RENAME_EXCHANGE))
		return -ENOENT;
	return 0;
}

/* Moving a directory changes its "..", so it must be writable itself. */
static int may_move(const struct rename *m, const struct rk_stat *from_dir,
		    const struct rk_stat *st)
{
	int r = rk__may_remove(m->c, from_dir, st);

	if (r == 0 && S_ISDIR(st->mode) && m->dir.ino != m->newdir.ino)
		r = rk__vfs_access(m->c, st, W_OK);
	return r;
}

static int may_rename(const struct rename *m)
{
	int r = may_move(m, &m->dir_st, &m->from);

	if (r < 0)
		return r;
	if (!m->replaces)
		return rk__vfs_access(m->c, &m->newdir_st, W_OK | X_OK);
	if (m->flags & RENAME_EXCHANGE)
		return may_move(m, &m->newdir_st, &m->to);
	r = rk__may_remove(m->c, &m->newdir_st, &m->to);
	if (r < 0)
		return r;
	if (S_ISDIR(m->from.mode) != S_ISDIR(m->to.mode))
		return S_ISDIR(m->to.mode) ? -EISDIR : -ENOTDIR;
	return 0;
}

static int keeps_a_tree(const struct rename *m)
{
	int r = 0;

	if (m->dir.ino == m->newdir.ino)
		return 0;
	if (S_ISDIR(m->from.mode))
		r = not_below(m->newdir, m->from.ino);
	if (r == 0 && m->replaces && S_ISDIR(m->to.mode))
		r = not_below(m->dir, m->to.ino);
	else
		return r;
	return r == -EINVAL && !(m->flags & RENAME_EXCHANGE) ? -ENOTEMPTY : r;
}

static int rename_check(const struct rename *m, const char *name, size_t len,
			const char *newname, size_t newlen)
{
	int r = rk__rename_flags(m->flags);

	if (r < 0)
		return r;
	if (m->dir.mount != m->newdir.mount)
		return -EXDEV;
	r = rk__name_check(name, len);
	if (r == 0)
		r = rk__name_check(newname, newlen);
	if (r == 0)
		r = rk__writable(m->dir.mount);
	if (r < 0)
		return r;
	return rk__is_dots(name, len) || rk__is_dots(newname, newlen) ?
		       -EBUSY : 0;
}

/* The driver has left it where the name was; it belongs to who asked. */
static int own_whiteout(struct rename *m, const char *name, size_t len)
{
	const struct rk_driver *d = rk__ops(m->dir.mount);
	struct rk_setattr set = {
		.valid = RK_SET_UID | RK_SET_GID | RK_SET_FORCE,
		.uid = m->c->uid,
		.gid = m->dir_st.mode & S_ISGID ? m->dir_st.gid : m->c->gid,
	};
	struct rk_stat st;
	int r = d->lookup(rk__fs(m->dir.mount), m->dir.ino, name, len, &st);

	if (r < 0)
		return r;
	m->whiteout = st.ino;
	return rk__do_setattr(rk__node(m->dir.mount, st.ino), &set, &st);
}

int rk__vfs_rename(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, struct rk__node newdir,
		   const char *newname, size_t newlen, uint32_t flags)
{
	RK_CLAIM(dir.ino < newdir.ino ? dir : newdir, RK_WRITES);
	RK_CLAIM(dir.ino < newdir.ino ? newdir : dir, RK_WRITES);
	RK_CLAIM(entry(dir, name, len), RK_WRITES);
	RK_CLAIM(entry(newdir, newname, newlen), RK_WRITES);
	struct rename m = {
		.c = c, .dir = dir, .newdir = newdir, .flags = flags,
	};
	struct rk_stat victim = {0};
	int r = rename_check(&m, name, len, newname, newlen);

	if (r == 0)
		r = find_both(&m, name, len, newname, newlen);
	if (r < 0)
		return r;
	if (m.replaces && m.from.ino == m.to.ino)
		return 0;
	r = keeps_a_tree(&m);
	if (r == 0)
		r = may_rename(&m);
	if (r < 0)
		return r;
	r = rk__do_rename(dir, name, len, newdir, newname, newlen, flags,
			    &victim);
	if (r < 0)
		return r;
	if (flags & RENAME_WHITEOUT)
		r = own_whiteout(&m, name, len);
	if (r < 0)
		return r;
	change_name(dir, name, len,
		    flags & RENAME_EXCHANGE ? m.to.ino : m.whiteout);
	change_name(newdir, newname, newlen, m.from.ino);
	rk__pages_touch(rk__node(dir.mount, m.from.ino));
	if (flags & RENAME_EXCHANGE)
		rk__pages_touch(rk__node(dir.mount, m.to.ino));
	if (flags & RENAME_EXCHANGE || !victim.ino)
		return 0;
	return lost_name(dir.mount, &victim);
}
