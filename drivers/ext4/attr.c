/*
 * attr.c - getattr and setattr.
 */
#include "ext4.h"

int rk__ext4_getattr(void *fs, uint64_t ino, struct rk_stat *ret)
{
	struct ext4 *e = fs;
	struct node n;
	int err = rk__ext4_node_read(e, ino, &n);

	if (err)
		return err;
	rk__ext4_stat(e, &n, ret);
	return 0;
}

/* What lsattr shows and chattr changes; the rest is the file system's own. */
#define SETTABLE (FLAGS_MODIFIABLE & ~EXT4_CASEFOLD_FL)
#define ONLY_DIRS (EXT2_DIRSYNC_FL | EXT2_TOPDIR_FL | EXT4_PROJINHERIT_FL)
#define OF_OTHERS (EXT2_NODUMP_FL | EXT2_NOATIME_FL)

static void apply(struct ext4 *e, struct node *n,
		  const struct rk_setattr *set)
{
	struct ext2_inode_large *i = &n->i;

	if (set->valid & RK_SET_MODE)
		i->i_mode = (i->i_mode & S_IFMT) | (set->mode & 07777);
	if (set->valid & RK_SET_UID) {
		i->i_uid = set->uid;
		ext2fs_set_i_uid_high(*i, set->uid >> 16);
	}
	if (set->valid & RK_SET_GID) {
		i->i_gid = set->gid;
		ext2fs_set_i_gid_high(*i, set->gid >> 16);
	}
	if (set->valid & RK_SET_FLAGS)
		i->i_flags = (i->i_flags & ~SETTABLE) | (set->flags & SETTABLE);
	if (set->valid & RK_SET_ATIME)
		rk__ext4_set_time(e, n, T_ATIME, &set->atime);
	if (set->valid & RK_SET_MTIME)
		rk__ext4_set_time(e, n, T_MTIME, &set->mtime);
	else if (set->valid & RK_SET_SIZE)
		rk__ext4_touch(e, n, T_MTIME);
	if (set->valid & RK_SET_CTIME)
		rk__ext4_set_time(e, n, T_CTIME, &set->ctime);
	else
		rk__ext4_touch(e, n, T_CTIME);
}

static int check_flags(const struct node *n, uint32_t flags)
{
	uint32_t kind = S_ISDIR(n->i.i_mode) ? ~0u :
			S_ISREG(n->i.i_mode) ? ~ONLY_DIRS : OF_OTHERS;

	if (flags & ~FLAGS_VISIBLE || flags & EXT4_CASEFOLD_FL)
		return -EOPNOTSUPP;
	if (flags & SETTABLE & ~kind)
		return -EOPNOTSUPP;
	/* Another kind of map: the tools for that work on unmounted images. */
	return (flags ^ n->i.i_flags) & EXT4_EXTENTS_FL ? -EOPNOTSUPP : 0;
}

static int check_guards(const struct node *n, const struct rk_setattr *set)
{
	uint32_t owners = RK_SET_MODE | RK_SET_UID | RK_SET_GID | RK_SET_SIZE;

	if (set->valid & (RK_SET_FORCE | RK_SET_FLAGS))
		return 0;
	if (!(set->valid & RK_SET_TOUCH))
		owners |= RK_SET_ATIME | RK_SET_MTIME | RK_SET_CTIME;
	return guarded(n, set->valid & owners ? FROZEN : IMMUTABLE);
}

static int check(struct ext4 *e, const struct node *n,
		 const struct rk_setattr *set)
{
	int err = check_guards(n, set);

	if (!err && (set->valid & RK_SET_FLAGS))
		err = check_flags(n, set->flags);
	if (err || !(set->valid & RK_SET_SIZE))
		return err;
	if (S_ISDIR(n->i.i_mode))
		return -EISDIR;
	if (!S_ISREG(n->i.i_mode))
		return -EINVAL;
	if (set->size > rk__ext4_max_blocks(e, n) << e->block_bits)
		return -EFBIG;
	return 0;
}

int rk__ext4_setattr(void *fs, uint64_t ino, const struct rk_setattr *set,
		     struct rk_stat *ret)
{
	struct ext4 *e = fs;
	struct node n;
	int rc = e->read_only ? -EROFS : rk__ext4_node_read(e, ino, &n);

	if (!rc)
		rc = check(e, &n, set);
	if (rc)
		return rc;
	e->host.change(e->host.ctx);
	if (set->valid & RK_SET_SIZE)
		rc = rk__ext4_resize(e, &n, set->size);
	if (rc < 0)
		return rc;
	apply(e, &n, set);
	if (rk__ext4_node_write(e, &n))
		return -EIO;
	rk__ext4_stat(e, &n, ret);
	return rc;
}
