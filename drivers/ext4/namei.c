/*
 * namei.c - names: look up, make, link, remove.
 *
 * What can be refused is refused before rk_host.change(); after it an error
 * means that the server takes everything back.
 */
#include "ext4.h"

int rk__ext4_name_check(const char *name, size_t len)
{
	if (len == 0)
		return -ENOENT;
	if (len > NAME_LIMIT)
		return -ENAMETOOLONG;
	return memchr(name, '/', len) || memchr(name, 0, len) ? -EINVAL : 0;
}

int rk__ext4_dir_node(struct ext4 *e, uint64_t ino, struct node *ret)
{
	int err = rk__ext4_node_read(e, ino, ret);

	if (err)
		return err;
	return S_ISDIR(ret->i.i_mode) ? 0 : -ENOTDIR;
}

int rk__ext4_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		    struct rk_stat *ret)
{
	struct ext4 *e = fs;
	struct slot s;
	struct node n;
	int err = rk__ext4_name_check(name, len);

	if (!err)
		err = rk__ext4_dir_node(e, dir, &n);
	if (!err)
		err = rk__ext4_dir_find(e, &n, name, len, &s);
	if (!err)
		err = rk__ext4_node_read(e, s.ino, &n);
	if (err)
		return err == -ESTALE ? -EUCLEAN : err;
	rk__ext4_stat(e, &n, ret);
	return 0;
}

/* The directory, and that the name is free in it. */
static int open_for_new(struct ext4 *e, uint64_t dir, const char *name,
			size_t len, struct node *ret)
{
	struct slot s;
	int err;

	if (e->read_only)
		return -EROFS;
	err = rk__ext4_name_check(name, len);
	if (!err)
		err = rk__ext4_dir_node(e, dir, ret);
	if (err)
		return err;
	if (ret->i.i_links_count == 0)
		return -ENOENT;
	err = rk__ext4_dir_find(e, ret, name, len, &s);
	return err == -ENOENT ? guarded(ret, IMMUTABLE) : err ? err : -EEXIST;
}

static int make_symlink(struct ext4 *e, struct node *n, const char *target)
{
	size_t len = strlen(target);
	int64_t done;

	n->i.i_size = len;
	if (len < sizeof(n->i.i_block)) {
		n->i.i_flags &= ~EXT4_EXTENTS_FL;
		memset(n->i.i_block, 0, sizeof(n->i.i_block));
		memcpy(n->i.i_block, target, len);
		return 0;
	}
	done = rk__ext4_put(e, n, target, len, 0);
	return done < 0 ? done : (size_t)done == len ? 0 : -ENOSPC;
}

static int fill(struct ext4 *e, struct node *dir, const struct rk_new *what,
		struct node *n)
{
	int err = 0;

	if (S_ISDIR(what->mode))
		err = rk__ext4_dir_make(e, n, dir->ino);
	else if (S_ISLNK(what->mode))
		err = make_symlink(e, n, what->target);
	else
		return 0;
	return err ? err : rk__ext4_node_write(e, n);
}

static int check_new(struct ext4 *e, const struct node *dir,
		     const struct rk_new *what)
{
	struct ext2_super_block *sb = e->fs->super;

	if (S_ISLNK(what->mode)) {
		if (!what->target || !what->target[0])
			return -ENOENT;
		if (strlen(what->target) >= e->block_size)
			return -ENAMETOOLONG;
	}
	if (S_ISDIR(what->mode) && dir->i.i_links_count >= EXT2_LINK_MAX &&
	    !ext2fs_has_feature_dir_nlink(sb))
		return -EMLINK;
	if (!sb->s_free_inodes_count)
		return -ENOSPC;
	if (S_ISDIR(what->mode) && !ext2fs_free_blocks_count(sb))
		return -ENOSPC;
	return 0;
}

static int enter(struct ext4 *e, struct node *dir, const char *name,
		 size_t len, const struct node *n)
{
	int err = rk__ext4_dir_add(e, dir, name, len, n->ino,
				   rk__ext4_file_type(e, n->i.i_mode));

	if (err)
		return err;
	rk__ext4_touch(e, dir, T_MTIME | T_CTIME);
	return rk__ext4_node_write(e, dir);
}

int rk__ext4_create(void *fs, uint64_t dir, const char *name, size_t len,
		    const struct rk_new *what, struct rk_stat *ret)
{
	struct ext4 *e = fs;
	struct node d, n;
	int err = open_for_new(e, dir, name, len, &d);

	if (!err)
		err = check_new(e, &d, what);
	if (err)
		return err;
	e->host.change(e->host.ctx);
	err = rk__ext4_new_node(e, &d, what, &n);
	if (!err)
		err = fill(e, &d, what, &n);
	if (!err && S_ISDIR(what->mode))
		err = rk__ext4_nlink_add(e, &d, 1);
	if (!err)
		err = enter(e, &d, name, len, &n);
	if (err)
		return err;
	rk__ext4_stat(e, &n, ret);
	return 0;
}

int rk__ext4_tmpfile(void *fs, uint64_t dir, const struct rk_new *what,
		     struct rk_stat *ret)
{
	struct ext4 *e = fs;
	struct node d, n;
	int err = e->read_only ? -EROFS : rk__ext4_dir_node(e, dir, &d);

	if (!err)
		err = guarded(&d, IMMUTABLE);
	if (!err)
		err = S_ISREG(what->mode) ? check_new(e, &d, what) : -EINVAL;
	if (err)
		return err;
	e->host.change(e->host.ctx);
	err = rk__ext4_new_node(e, &d, what, &n);
	if (err)
		return err;
	n.i.i_links_count = 0;
	err = rk__ext4_orphan_add(e, &n);
	if (!err)
		rk__ext4_stat(e, &n, ret);
	return err;
}

int rk__ext4_link(void *fs, uint64_t ino, uint64_t dir, const char *name,
		  size_t len, struct rk_stat *ret)
{
	struct ext4 *e = fs;
	struct node d, n;
	int err = open_for_new(e, dir, name, len, &d);

	if (!err)
		err = rk__ext4_node_read(e, ino, &n);
	if (err)
		return err;
	if (S_ISDIR(n.i.i_mode) || guarded(&n, FROZEN))
		return -EPERM;
	if (n.i.i_links_count >= EXT2_LINK_MAX)
		return -EMLINK;
	e->host.change(e->host.ctx);
	if (n.i.i_links_count == 0)
		err = rk__ext4_orphan_back(e, &n);
	if (err)
		return err;
	n.i.i_links_count++;
	rk__ext4_touch(e, &n, T_CTIME);
	err = rk__ext4_node_write(e, &n);
	if (!err)
		err = enter(e, &d, name, len, &n);
	if (err)
		return err;
	rk__ext4_stat(e, &n, ret);
	return 0;
}

int rk__ext4_drop_link(struct ext4 *e, struct node *n)
{
	int err;

	if (S_ISDIR(n->i.i_mode)) {
		n->i.i_links_count = 0;
		rk__ext4_size_set(e, n, rk__ext4_size(n));
	} else {
		err = rk__ext4_nlink_add(e, n, -1);
		if (err)
			return err;
	}
	rk__ext4_touch(e, n, T_CTIME);
	if (n->i.i_links_count == 0)
		return rk__ext4_orphan_add(e, n);
	return rk__ext4_node_write(e, n);
}

static int check_unlink(struct ext4 *e, struct node *n, bool directory)
{
	int rc;

	if (S_ISDIR(n->i.i_mode) != directory)
		return directory ? -ENOTDIR : -EISDIR;
	if (!directory)
		return n->i.i_links_count ? 0 : -EUCLEAN;
	if (n->ino == EXT2_ROOT_INO)
		return -EBUSY;
	rc = rk__ext4_dir_empty(e, n);
	return rc < 0 ? rc : rc ? 0 : -ENOTEMPTY;
}

int rk__ext4_unlink(void *fs, uint64_t dir, const char *name, size_t len,
		    bool directory, struct rk_stat *ret)
{
	struct ext4 *e = fs;
	struct node d, n;
	struct slot s;
	int err = e->read_only ? -EROFS : rk__ext4_name_check(name, len);

	if (!err)
		err = rk__ext4_dir_node(e, dir, &d);
	if (!err)
		err = rk__ext4_dir_find(e, &d, name, len, &s);
	if (!err)
		err = rk__ext4_node_read(e, s.ino, &n);
	if (!err)
		err = n.ino == d.ino ? -EINVAL : guarded(&d, FROZEN);
	if (!err)
		err = guarded(&n, FROZEN);
	if (!err)
		err = check_unlink(e, &n, directory);
	if (err)
		return err;
	e->host.change(e->host.ctx);
	err = rk__ext4_dir_remove(e, &d, &s);
	if (!err && directory)
		err = rk__ext4_nlink_add(e, &d, -1);
	rk__ext4_touch(e, &d, T_MTIME | T_CTIME);
	if (!err)
		err = rk__ext4_node_write(e, &d);
	if (!err)
		err = rk__ext4_drop_link(e, &n);
	if (err)
		return err;
	rk__ext4_stat(e, &n, ret);
	return 0;
}
