/*
 * rename.c - rename, with and without a victim, and exchange.
 *
 * The two directories may be one: then both pointers are to the same node.
 * Slots are found again before each change, since the one before may have
 * moved entries.
 */
#include <stdio.h>
#include "ext4.h"

struct end {
	struct node *dir;
	const char *name;
	size_t len;
	struct node n;			/* what the name means; ino 0: nothing */
};

static int find_end(struct ext4 *e, struct end *x)
{
	struct slot s;
	int err = rk__ext4_dir_find(e, x->dir, x->name, x->len, &s);

	x->n.ino = 0;
	return err ? err : rk__ext4_node_read(e, s.ino, &x->n);
}

static int point_to(struct ext4 *e, struct end *x, const struct node *n)
{
	struct slot s;
	int err = rk__ext4_dir_find(e, x->dir, x->name, x->len, &s);

	return err ? err : rk__ext4_dir_set(e, x->dir, &s, n->ino,
				rk__ext4_file_type(e, n->i.i_mode));
}

/* n, a directory, has moved from one parent to another. */
static int reparent(struct ext4 *e, struct node *n, struct node *from,
		    struct node *to)
{
	struct slot s;
	int err;

	if (!S_ISDIR(n->i.i_mode) || from->ino == to->ino)
		return 0;
	err = rk__ext4_dir_find(e, n, "..", 2, &s);
	if (!err)
		err = rk__ext4_dir_set(e, n, &s, to->ino,
				       rk__ext4_file_type(e, S_IFDIR));
	if (!err)
		err = rk__ext4_nlink_add(e, from, -1);
	return err ? err : rk__ext4_nlink_add(e, to, 1);
}

static int write_dirs(struct ext4 *e, struct end *a, struct end *b)
{
	int err;

	rk__ext4_touch(e, a->dir, T_MTIME | T_CTIME);
	err = rk__ext4_node_write(e, a->dir);
	if (err || a->dir == b->dir)
		return err;
	rk__ext4_touch(e, b->dir, T_MTIME | T_CTIME);
	return rk__ext4_node_write(e, b->dir);
}

static int write_moved(struct ext4 *e, struct node *n)
{
	rk__ext4_touch(e, n, T_CTIME);
	return rk__ext4_node_write(e, n);
}

static int exchange(struct ext4 *e, struct end *a, struct end *b)
{
	int err = point_to(e, a, &b->n);

	if (!err)
		err = point_to(e, b, &a->n);
	if (!err)
		err = reparent(e, &a->n, a->dir, b->dir);
	if (!err)
		err = reparent(e, &b->n, b->dir, a->dir);
	if (!err)
		err = write_moved(e, &a->n);
	if (!err)
		err = write_moved(e, &b->n);
	return err ? err : write_dirs(e, a, b);
}

static int remove_source(struct ext4 *e, struct end *a)
{
	struct slot s;
	int err = rk__ext4_dir_find(e, a->dir, a->name, a->len, &s);

	return err ? err : rk__ext4_dir_remove(e, a->dir, &s);
}

/* A character device 0,0 stays where the name was. */
static int leave_whiteout(struct ext4 *e, struct end *a)
{
	const struct rk_new what = { .mode = S_IFCHR };
	struct node n;
	int err = rk__ext4_new_node(e, a->dir, &what, &n);

	return err ? err : point_to(e, a, &n);
}

static int move(struct ext4 *e, struct end *a, struct end *b, uint32_t flags)
{
	int err;

	if (b->n.ino)
		err = point_to(e, b, &a->n);
	else
		err = rk__ext4_dir_add(e, b->dir, b->name, b->len, a->n.ino,
				rk__ext4_file_type(e, a->n.i.i_mode));
	if (!err)
		err = flags & RENAME_WHITEOUT ? leave_whiteout(e, a)
			: remove_source(e, a);
	if (!err && b->n.ino && S_ISDIR(b->n.i.i_mode))
		err = rk__ext4_nlink_add(e, b->dir, -1);
	if (!err)
		err = reparent(e, &a->n, a->dir, b->dir);
	if (!err)
		err = write_moved(e, &a->n);
	if (!err)
		err = write_dirs(e, a, b);
	if (!err && b->n.ino)
		err = rk__ext4_drop_link(e, &b->n);
	return err;
}

static int check_replace(struct ext4 *e, struct end *a, struct end *b)
{
	bool dir = S_ISDIR(a->n.i.i_mode), over = S_ISDIR(b->n.i.i_mode);
	int rc;

	if (dir && !over)
		return -ENOTDIR;
	if (!dir && over)
		return -EISDIR;
	if (!over)
		return b->n.i.i_links_count ? 0 : -EUCLEAN;
	if (b->n.ino == EXT2_ROOT_INO)
		return -EBUSY;
	rc = rk__ext4_dir_empty(e, &b->n);
	return rc < 0 ? rc : rc ? 0 : -ENOTEMPTY;
}

static bool is_guarded(const struct end *a, const struct end *b)
{
	bool full = b->n.ino;

	return guarded(a->dir, FROZEN) || guarded(&a->n, FROZEN) ||
	       guarded(b->dir, full ? FROZEN : IMMUTABLE) ||
	       (full && guarded(&b->n, FROZEN));
}

static int check(struct ext4 *e, struct end *a, struct end *b, uint32_t flags)
{
	bool full = b->dir->i.i_links_count >= EXT2_LINK_MAX &&
		    !ext2fs_has_feature_dir_nlink(e->fs->super);

	if (a->n.ino == b->dir->ino || b->n.ino == a->dir->ino)
		return flags & RENAME_EXCHANGE ? -EINVAL
			: a->n.ino == b->dir->ino ? -EINVAL : -ENOTEMPTY;
	if (b->n.ino && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!b->n.ino && (flags & RENAME_EXCHANGE))
		return -ENOENT;
	if (b->dir->i.i_links_count == 0)
		return -ENOENT;
	if (is_guarded(a, b))
		return -EPERM;
	if ((flags & RENAME_WHITEOUT) && !e->fs->super->s_free_inodes_count)
		return -ENOSPC;
	if (S_ISDIR(a->n.i.i_mode) && a->dir != b->dir && full)
		return -EMLINK;
	if (b->n.ino && b->n.ino != a->n.ino && !(flags & RENAME_EXCHANGE))
		return check_replace(e, a, b);
	return 0;
}

static int open_ends(struct ext4 *e, struct end *a, struct end *b)
{
	int err = rk__ext4_name_check(a->name, a->len);

	if (!err)
		err = rk__ext4_name_check(b->name, b->len);
	if (!err)
		err = find_end(e, a);
	if (!err)
		err = find_end(e, b);
	return err == -ENOENT && a->n.ino ? 0 : err;
}

int rk__ext4_rename(void *fs, uint64_t dir, const char *name, size_t len,
		    uint64_t newdir, const char *newname, size_t newlen,
		    uint32_t flags, struct rk_stat *victim)
{
	struct ext4 *e = fs;
	struct node d[2];
	struct end a = { .dir = &d[0], .name = name, .len = len };
	struct end b = { .dir = &d[newdir != dir], .name = newname,
			 .len = newlen };
	int err = e->read_only ? -EROFS : 0;

	memset(victim, 0, sizeof(*victim));
	if (flags & ~(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) ||
	    ((flags & RENAME_EXCHANGE) && flags != RENAME_EXCHANGE))
		return -EINVAL;
	if (!err)
		err = rk__ext4_dir_node(e, dir, &d[0]);
	if (!err && newdir != dir)
		err = rk__ext4_dir_node(e, newdir, &d[1]);
	if (!err)
		err = open_ends(e, &a, &b);
	if (!err)
		err = check(e, &a, &b, flags);
	if (err || a.n.ino == b.n.ino)
		return err;
	e->host.change(e->host.ctx);
	if (flags & RENAME_EXCHANGE)
		return exchange(e, &a, &b);
	err = move(e, &a, &b, flags);
	if (!err && b.n.ino)
		rk__ext4_stat(e, &b.n, victim);
	return err;
}
