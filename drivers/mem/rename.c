/*
 * rename.c - rename, with and without a victim, exchange, and with a whiteout
 * left behind.
 */
#include "mem.h"

struct end {
	struct inode *dir;
	const char *name;
	size_t len;
	struct entry *entry;		/* NULL: nothing has that name */
	struct inode *i;
};

static int find_end(struct mem *m, uint64_t dir, struct end *x)
{
	int r = rk__mem_name_check(x->name, x->len);

	if (!r)
		r = rk__mem_dir(m, dir, &x->dir);
	if (r < 0)
		return r;
	x->entry = rk__mem_find(m, x->dir, x->name, x->len);
	x->i = x->entry ? x->entry->inode : NULL;
	return 0;
}

static void reparent(struct inode *i, struct inode *from, struct inode *to)
{
	if (!S_ISDIR(i->mode) || from == to)
		return;
	i->dir.parent = to;
	from->nlink--;
	to->nlink++;
}

static int check_replace(const struct inode *a, const struct inode *b)
{
	bool dir = S_ISDIR(a->mode), over = S_ISDIR(b->mode);

	if (dir != over)
		return dir ? -ENOTDIR : -EISDIR;
	if (!over)
		return 0;
	if (b->ino == ROOT)
		return -EBUSY;
	return b->dir.entries ? -ENOTEMPTY : 0;
}

static bool is_guarded(const struct end *a, const struct end *b)
{
	return guarded(a->dir, FROZEN) || guarded(a->i, FROZEN) ||
	       guarded(b->dir, b->i ? FROZEN : FS_IMMUTABLE_FL) ||
	       (b->i && guarded(b->i, FROZEN));
}

static int check(const struct mem *m, const struct end *a,
		 const struct end *b, uint32_t flags)
{
	if (!a->i)
		return -ENOENT;
	if (a->i == b->dir || b->i == a->dir)
		return flags & RENAME_EXCHANGE || a->i == b->dir ? -EINVAL :
		       -ENOTEMPTY;
	if (b->i && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!b->i && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if (b->dir->nlink == 0)
		return -ENOENT;
	if (is_guarded(a, b))
		return -EPERM;
	if ((flags & RENAME_WHITEOUT) && m->inodes_used >= m->inodes_limit)
		return -ENOSPC;
	if (b->i && b->i != a->i && !(flags & RENAME_EXCHANGE))
		return check_replace(a->i, b->i);
	return 0;
}

static int exchange(struct mem *m, struct end *a, struct end *b)
{
	a->entry->inode = b->i;
	b->entry->inode = a->i;
	reparent(a->i, a->dir, b->dir);
	reparent(b->i, b->dir, a->dir);
	rk__mem_touch(m, a->i, T_CTIME);
	rk__mem_touch(m, b->i, T_CTIME);
	rk__mem_touch(m, a->dir, T_MTIME | T_CTIME);
	rk__mem_touch(m, b->dir, T_MTIME | T_CTIME);
	return 0;
}

/* A character device 0,0 stays where the name was. */
static int leave_whiteout(struct mem *m, struct end *a)
{
	const struct rk_new what = { .mode = S_IFCHR };
	struct inode *i;
	int r = rk__mem_inode_new(m, a->dir, &what, &i);

	if (r < 0)
		return r;
	m->inodes_used++;
	i->nlink = 1;
	a->entry->inode = i;
	rk__mem_touch(m, a->dir, T_MTIME | T_CTIME);
	return 0;
}

static int move(struct mem *m, struct end *a, struct end *b, uint32_t flags,
		struct rk_stat *victim)
{
	int r = 0;

	if (b->entry) {
		b->entry->inode = a->i;
		rk__mem_touch(m, b->dir, T_MTIME | T_CTIME);
	} else {
		r = rk__mem_enter(m, b->dir, b->name, b->len, a->i);
	}
	if (!r && (flags & RENAME_WHITEOUT))
		r = leave_whiteout(m, a);
	else if (!r)
		rk__mem_leave(m, a->dir, a->entry);
	if (r < 0)
		return r;
	if (b->i && S_ISDIR(b->i->mode))
		b->dir->nlink--;
	reparent(a->i, a->dir, b->dir);
	rk__mem_touch(m, a->i, T_CTIME);
	if (b->i) {
		rk__mem_drop_link(m, b->i);
		rk__mem_stat(b->i, victim);
	}
	return 0;
}

int rk__mem_rename(void *fs, uint64_t dir, const char *name, size_t len,
		   uint64_t newdir, const char *newname, size_t newlen,
		   uint32_t flags, struct rk_stat *victim)
{
	struct mem *m = fs;
	struct end a = { .name = name, .len = len };
	struct end b = { .name = newname, .len = newlen };
	int r = m->read_only ? -EROFS : find_end(m, dir, &a);

	memset(victim, 0, sizeof *victim);
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) ||
	    ((flags & RENAME_EXCHANGE) && flags != RENAME_EXCHANGE))
		return -EINVAL;
	if (!r)
		r = find_end(m, newdir, &b);
	if (!r)
		r = check(m, &a, &b, flags);
	if (r < 0 || a.i == b.i)
		return r;
	change(m);
	return flags & RENAME_EXCHANGE ? exchange(m, &a, &b) :
	       move(m, &a, &b, flags, victim);
}
