/*
 * namei.c - names: look up, make, link, remove.
 */
#include "mem.h"

int rk__mem_lookup(void *fs, uint64_t ino, const char *name, size_t len,
		   struct rk_stat *ret)
{
	struct mem *m = fs;
	struct inode *dir;
	struct entry *e;
	int r = rk__mem_name_check(name, len);

	if (!r)
		r = rk__mem_dir(m, ino, &dir);
	if (r < 0)
		return r;
	if (len == 2 && memcmp(name, "..", 2) == 0) {
		rk__mem_stat(dir->dir.parent, ret);
		return 0;
	}
	e = rk__mem_find(m, dir, name, len);
	if (!e)
		return -ENOENT;
	rk__mem_stat(e->inode, ret);
	return 0;
}

/* The directory, and that the name is free in it, and that there is room. */
static int open_for_new(struct mem *m, uint64_t ino, const char *name,
			size_t len, struct inode **ret)
{
	int r = m->read_only ? -EROFS : rk__mem_name_check(name, len);

	if (!r)
		r = rk__mem_dir(m, ino, ret);
	if (r < 0)
		return r;
	if ((*ret)->nlink == 0)
		return -ENOENT;
	return rk__mem_find(m, *ret, name, len) ? -EEXIST :
	       guarded(*ret, FS_IMMUTABLE_FL);
}

static int check_new(const struct mem *m, const struct inode *dir,
		     const struct rk_new *what)
{
	if (S_ISLNK(what->mode)) {
		if (!what->target || !what->target[0])
			return -ENOENT;
		if (strlen(what->target) > SYMLINK_LIMIT)
			return -ENAMETOOLONG;
	}
	if (S_ISDIR(what->mode) && dir->nlink >= UINT32_MAX)
		return -EMLINK;
	return m->inodes_used < m->inodes_limit ? 0 : -ENOSPC;
}

int rk__mem_create(void *fs, uint64_t dir, const char *name, size_t len,
		   const struct rk_new *what, struct rk_stat *ret)
{
	struct inode *d, *i;
	struct mem *m = fs;
	int r = open_for_new(m, dir, name, len, &d);

	if (!r)
		r = check_new(m, d, what);
	if (r < 0)
		return r;
	change(m);
	r = rk__mem_inode_new(m, d, what, &i);
	if (!r)
		r = rk__mem_enter(m, d, name, len, i);
	if (r < 0)
		return r;
	m->inodes_used++;
	i->nlink = 1;
	if (S_ISDIR(i->mode)) {
		i->nlink = 2;
		i->dir.parent = d;
		d->nlink++;
	}
	rk__mem_stat(i, ret);
	return 0;
}

int rk__mem_tmpfile(void *fs, uint64_t dir, const struct rk_new *what,
		    struct rk_stat *ret)
{
	struct inode *d, *i;
	struct mem *m = fs;
	int r = m->read_only ? -EROFS : rk__mem_dir(m, dir, &d);

	if (!r)
		r = guarded(d, FS_IMMUTABLE_FL);
	if (!r)
		r = S_ISREG(what->mode) ? check_new(m, d, what) : -EINVAL;
	if (r < 0)
		return r;
	change(m);
	r = rk__mem_inode_new(m, d, what, &i);
	if (r < 0)
		return r;
	m->inodes_used++;
	rk__mem_stat(i, ret);
	return 0;
}

int rk__mem_link(void *fs, uint64_t ino, uint64_t dir, const char *name,
		 size_t len, struct rk_stat *ret)
{
	struct mem *m = fs;
	struct inode *d, *i = rk__mem_inode(m, ino);
	int r = open_for_new(m, dir, name, len, &d);

	if (r < 0)
		return r;
	if (!i)
		return -ESTALE;
	if (S_ISDIR(i->mode) || guarded(i, FROZEN))
		return -EPERM;
	if (i->nlink >= LINK_LIMIT)
		return -EMLINK;
	if (i->nlink && m->inodes_used >= m->inodes_limit)
		return -ENOSPC;
	change(m);
	r = rk__mem_enter(m, d, name, len, i);
	if (r < 0)
		return r;
	if (i->nlink++)
		m->inodes_used++;
	rk__mem_touch(m, i, T_CTIME);
	rk__mem_stat(i, ret);
	return 0;
}

static int check_unlink(const struct inode *i, bool directory)
{
	if (S_ISDIR(i->mode) != directory)
		return directory ? -ENOTDIR : -EISDIR;
	if (!directory)
		return 0;
	if (i->ino == ROOT)
		return -EBUSY;
	return i->dir.entries ? -ENOTEMPTY : 0;
}

int rk__mem_unlink(void *fs, uint64_t dir, const char *name, size_t len,
		   bool directory, struct rk_stat *ret)
{
	struct entry *e = NULL;
	struct mem *m = fs;
	struct inode *d, *i;
	int r = m->read_only ? -EROFS : rk__mem_name_check(name, len);

	if (!r)
		r = rk__mem_dir(m, dir, &d);
	if (!r)
		e = rk__mem_find(m, d, name, len);
	if (!r && !e)
		r = -ENOENT;
	if (!r)
		r = guarded(d, FROZEN) ?: guarded(e->inode, FROZEN);
	if (!r)
		r = check_unlink(e->inode, directory);
	if (r < 0)
		return r;
	change(m);
	i = e->inode;
	rk__mem_leave(m, d, e);
	if (directory)
		d->nlink--;
	rk__mem_drop_link(m, i);
	rk__mem_stat(i, ret);
	return 0;
}
