/*
 * inode.c - inodes: fourteen shapes on disk, one here.
 */
#include <endian.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "squashfs.h"

union shape {
	struct squashfs_ipc_inode ipc;
	struct squashfs_lipc_inode lipc;
	struct squashfs_dev_inode dev;
	struct squashfs_ldev_inode ldev;
	struct squashfs_symlink_inode symlink;
	struct squashfs_reg_inode reg;
	struct squashfs_lreg_inode lreg;
	struct squashfs_dir_inode dir;
	struct squashfs_ldir_inode ldir;
};

static const struct {
	uint32_t mode;
	size_t size;
} shape[] = {
	[SQUASHFS_DIR_TYPE] = { S_IFDIR, sizeof(struct squashfs_dir_inode) },
	[SQUASHFS_REG_TYPE] = { S_IFREG, sizeof(struct squashfs_reg_inode) },
	[SQUASHFS_SYMLINK_TYPE] =
		{ S_IFLNK, sizeof(struct squashfs_symlink_inode) },
	[SQUASHFS_BLKDEV_TYPE] = { S_IFBLK, sizeof(struct squashfs_dev_inode) },
	[SQUASHFS_CHRDEV_TYPE] = { S_IFCHR, sizeof(struct squashfs_dev_inode) },
	[SQUASHFS_FIFO_TYPE] = { S_IFIFO, sizeof(struct squashfs_ipc_inode) },
	[SQUASHFS_SOCKET_TYPE] = { S_IFSOCK, sizeof(struct squashfs_ipc_inode) },
	[SQUASHFS_LDIR_TYPE] = { S_IFDIR, sizeof(struct squashfs_ldir_inode) },
	[SQUASHFS_LREG_TYPE] = { S_IFREG, sizeof(struct squashfs_lreg_inode) },
	[SQUASHFS_LSYMLINK_TYPE] =
		{ S_IFLNK, sizeof(struct squashfs_symlink_inode) },
	[SQUASHFS_LBLKDEV_TYPE] =
		{ S_IFBLK, sizeof(struct squashfs_ldev_inode) },
	[SQUASHFS_LCHRDEV_TYPE] =
		{ S_IFCHR, sizeof(struct squashfs_ldev_inode) },
	[SQUASHFS_LFIFO_TYPE] = { S_IFIFO, sizeof(struct squashfs_lipc_inode) },
	[SQUASHFS_LSOCKET_TYPE] =
		{ S_IFSOCK, sizeof(struct squashfs_lipc_inode) },
};

static void take_file(struct inode *n, const union shape *u, bool large)
{
	if (large) {
		n->nlink = le32toh(u->lreg.nlink);
		n->size = le64toh(u->lreg.file_size);
		n->holes = le64toh(u->lreg.sparse);
		n->start = le64toh(u->lreg.start_block);
		n->fragment = le32toh(u->lreg.fragment);
		n->offset = le32toh(u->lreg.offset);
		n->xattr = le32toh(u->lreg.xattr);
		return;
	}
	n->nlink = 1;
	n->size = le32toh(u->reg.file_size);
	n->start = le32toh(u->reg.start_block);
	n->fragment = le32toh(u->reg.fragment);
	n->offset = le32toh(u->reg.offset);
}

static void take_dir(struct inode *n, const union shape *u, bool large)
{
	if (large) {
		n->nlink = le32toh(u->ldir.nlink);
		n->size = le32toh(u->ldir.file_size);
		n->start = le32toh(u->ldir.start_block);
		n->offset = le16toh(u->ldir.offset);
		n->parent = le32toh(u->ldir.parent_inode);
		n->n_index = le16toh(u->ldir.i_count);
		n->xattr = le32toh(u->ldir.xattr);
		return;
	}
	n->nlink = le32toh(u->dir.nlink);
	n->size = le16toh(u->dir.file_size);
	n->start = le32toh(u->dir.start_block);
	n->offset = le16toh(u->dir.offset);
	n->parent = le32toh(u->dir.parent_inode);
}

static int take_symlink(struct squash *s, struct inode *n,
			const union shape *u, bool large)
{
	sqfs_md_cursor cur = n->rest;
	uint32_t xattr;
	int r = 0;

	n->nlink = le32toh(u->symlink.nlink);
	n->size = le32toh(u->symlink.symlink_size);
	if (n->size == 0 || n->size > 65535)
		return -EUCLEAN;
	if (!large)
		return 0;
	r = rk__squash_md_read(s, &cur, NULL, n->size);
	if (r == 0)
		r = rk__squash_md_read(s, &cur, &xattr, sizeof xattr);
	if (r == 0)
		n->xattr = le32toh(xattr);
	return r;
}

/* What is particular to a type; n->rest is behind it. */
static int take_shape(struct squash *s, struct inode *n, const union shape *u,
		      bool large)
{
	switch (n->type) {
	case SQUASHFS_REG_TYPE:
		take_file(n, u, large);
		return n->size > INT64_MAX ? -EUCLEAN : 0;
	case SQUASHFS_DIR_TYPE:
		take_dir(n, u, large);
		/* the size counts three bytes that are not there */
		return n->size < 3 ? -EUCLEAN : 0;
	case SQUASHFS_SYMLINK_TYPE:
		return take_symlink(s, n, u, large);
	case SQUASHFS_BLKDEV_TYPE:
	case SQUASHFS_CHRDEV_TYPE:
		n->nlink = le32toh(u->dev.nlink);
		n->rdev = le32toh(u->dev.rdev);
		if (large)
			n->xattr = le32toh(u->ldev.xattr);
		return 0;
	default:
		n->nlink = le32toh(u->ipc.nlink);
		if (large)
			n->xattr = le32toh(u->lipc.xattr);
		return 0;
	}
}

static int take_owner(struct squash *s, const struct squashfs_base_inode *base,
		      struct inode *n)
{
	const sqfs_table *t = &s->lib.id_table;
	uint32_t uid = 0, gid = 0;
	int r = rk__squash_table_get(s, t, s->lib.sb.no_ids,
				     le16toh(base->uid), &uid);

	if (r == 0)
		r = rk__squash_table_get(s, t, s->lib.sb.no_ids,
					 le16toh(base->guid), &gid);
	n->uid = le32toh(uid);
	n->gid = le32toh(gid);
	return r;
}

static int read_inode(struct squash *s, uint64_t ino, struct inode *n)
{
	struct squashfs_base_inode base;
	union shape u;
	uint16_t type;
	int r;

	memset(n, 0, sizeof *n);
	if (ino == 0 || ino - 1 >= 1ull << 48)
		return -ESTALE;
	sqfs_md_cursor_inode(&n->rest, ino - 1,
			     (sqfs_off_t)s->lib.sb.inode_table_start);
	{
		sqfs_md_cursor cur = n->rest;

		r = rk__squash_md_read(s, &cur, &base, sizeof base);
	}
	if (r < 0)
		return r;
	type = le16toh(base.inode_type);
	if (type == 0 || type > SQUASHFS_LSOCKET_TYPE)
		return -EUCLEAN;
	r = rk__squash_md_read(s, &n->rest, &u, shape[type].size);
	if (r < 0)
		return r;
	n->type = type > 7 ? type - 7 : type;
	n->mode = shape[type].mode | (le16toh(base.mode) & 07777);
	n->mtime = le32toh(base.mtime);
	n->number = le32toh(base.inode_number);
	n->xattr = SQUASHFS_INVALID_XATTR;
	r = take_owner(s, &base, n);
	if (r == 0)
		r = take_shape(s, n, &u, type > 7);
	if (r == 0)
		n->ino = ino;
	return r;
}

int rk__squash_inode(struct squash *s, uint64_t ino, struct inode **ret)
{
	struct inode *at = &s->inode[(ino * 0x9e3779b97f4a7c15ull) >> 55];
	struct inode n;
	int r;

	_Static_assert(INODES == 1 << 9, "the hash above");
	if (ino == 0 || at->ino != ino) {
		r = read_inode(s, ino, &n);
		if (r < 0)
			return r;
		*at = n;
	}
	*ret = at;
	return 0;
}

/* As the kernel of Linux encodes it: 20 bits of minor around 12 of major. */
static uint64_t device(uint32_t d)
{
	return makedev((d >> 8) & 0xfff, (d & 0xff) | ((d >> 12) & 0xfff00));
}

int rk__squash_getattr(void *fs, uint64_t ino, struct rk_stat *ret)
{
	struct squash *s = fs;
	struct inode *n;
	int r = rk__squash_inode(s, ino, &n);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof *ret);
	ret->ino = ino;
	ret->mode = n->mode;
	ret->nlink = n->nlink;
	ret->uid = n->uid;
	ret->gid = n->gid;
	ret->size = n->size;
	if (n->type == SQUASHFS_REG_TYPE && n->holes <= n->size)
		ret->blocks = (n->size - n->holes + 511) / 512;
	ret->blksize = s->lib.sb.block_size;
	ret->mtime.sec = n->mtime;
	ret->atime = ret->ctime = ret->btime = ret->mtime;
	if (n->type == SQUASHFS_BLKDEV_TYPE || n->type == SQUASHFS_CHRDEV_TYPE)
		ret->rdev = device(n->rdev);
	return 0;
}

int rk__squash_readlink(void *fs, uint64_t ino, char *buf, size_t size)
{
	struct squash *s = fs;
	sqfs_md_cursor cur;
	struct inode *n;
	int r = rk__squash_inode(s, ino, &n);

	if (r < 0)
		return r;
	if (n->type != SQUASHFS_SYMLINK_TYPE)
		return -EINVAL;
	if (size > n->size)
		size = n->size;
	cur = n->rest;
	r = rk__squash_md_read(s, &cur, buf, size);
	return r < 0 ? r : (int)size;
}
