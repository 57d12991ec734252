/*
 * dir.c - a directory of any kind: inline, one block, linear, indexed.
 *
 * Inline directories are read where they are and become a block when they
 * change. A directory of one block becomes indexed when it overflows, if the
 * file system has dir_index.
 */
#include "ext4.h"

unsigned rk__ext4_file_type(struct ext4 *e, unsigned mode)
{
	if (!ext2fs_has_feature_filetype(e->fs->super))
		return EXT2_FT_UNKNOWN;
	switch (mode & S_IFMT) {
	case S_IFREG:
		return EXT2_FT_REG_FILE;
	case S_IFDIR:
		return EXT2_FT_DIR;
	case S_IFCHR:
		return EXT2_FT_CHRDEV;
	case S_IFBLK:
		return EXT2_FT_BLKDEV;
	case S_IFIFO:
		return EXT2_FT_FIFO;
	case S_IFSOCK:
		return EXT2_FT_SOCK;
	case S_IFLNK:
		return EXT2_FT_SYMLINK;
	}
	return EXT2_FT_UNKNOWN;
}

bool rk__ext4_dir_indexed(struct ext4 *e, const struct node *dir)
{
	return ext2fs_has_feature_dir_index(e->fs->super) &&
	       (dir->i.i_flags & EXT2_INDEX_FL) && !has_inline(dir);
}

uint64_t rk__ext4_dir_blocks(struct ext4 *e, const struct node *dir)
{
	return rk__ext4_size(dir) >> e->block_bits;
}

/* Rebuilds an inline directory as the block that it would be, in buf: parent,
 * then two runs of entries, one in i_block, one in the system.data attribute.
 */
int rk__ext4_dir_inline(struct ext4 *e, struct node *dir, char *buf)
{
	char data[4096];
	size_t size = 0, off = 4, area = EXT4_MIN_INLINE_DATA_SIZE;
	struct ext2_dir_entry *d;
	uint32_t parent;
	unsigned len;
	errcode_t err;

	lib_enter(e);
	err = ext2fs_inline_data_size(e->fs, dir->ino, &size);
	if (!err && (size < 4 || size > sizeof(data)))
		return -EUCLEAN;
	if (!err)
		err = ext2fs_inline_data_get(e->fs, dir->ino, small(dir), data,
					     &size);
	if (err)
		return rk__ext4_errno(err);
	memcpy(&parent, data, 4);
	rk__ext4_leaf_init(e, buf);
	if (rk__ext4_leaf_add(e, buf, ".", 1, dir->ino, EXT2_FT_DIR) != 1 ||
	    rk__ext4_leaf_add(e, buf, "..", 2, parent, EXT2_FT_DIR) != 1)
		return -EUCLEAN;
	for (; off + 8 <= size; off += len) {
		if (off >= area)
			area = size;
		d = (void *)(data + off);
		len = d->rec_len;
		if (len < 8 || len % 4 || len > area - off)
			return -EUCLEAN;
		if (!d->inode)
			continue;
		if (dirent_size(d->name_len & 0xff) > len ||
		    rk__ext4_leaf_add(e, buf, d->name, d->name_len & 0xff,
				      d->inode, d->name_len >> 8) != 1)
			return -EUCLEAN;
	}
	return 0;
}

static int find_linear(struct ext4 *e, struct node *dir, const char *name,
		       size_t len, struct slot *ret)
{
	uint64_t lblk, count = rk__ext4_dir_blocks(e, dir);

	for (lblk = 0; lblk < count; lblk++) {
		int rc = rk__ext4_dir_read(e, dir, lblk, e->block[B_DIR],
					   &ret->pblk);

		if (rc)
			return rc;
		ret->lblk = lblk;
		rc = rk__ext4_leaf_find(e, e->block[B_DIR], name, len, ret);
		if (rc)
			return rc < 0 ? rc : 0;
	}
	return -ENOENT;
}

int rk__ext4_dir_find(struct ext4 *e, struct node *dir, const char *name,
		      size_t len, struct slot *ret)
{
	bool dots = name[0] == '.' && (len == 1 ||
				       (len == 2 && name[1] == '.'));
	int rc;

	if (has_inline(dir)) {
		rc = rk__ext4_dir_inline(e, dir, e->block[B_DIR]);
		if (!rc)
			rc = rk__ext4_leaf_find(e, e->block[B_DIR], name, len,
						ret);
		return rc < 0 ? rc : rc ? 0 : -ENOENT;
	}
	if (!dots && rk__ext4_dir_indexed(e, dir))
		return rk__ext4_htree_find(e, dir, name, len, ret);
	return find_linear(e, dir, name, len, ret);
}

/* Writes the block that B_DIR holds. */
static int write_back(struct ext4 *e, struct node *dir, uint64_t pblk)
{
	return rk__ext4_dir_write(e, dir, pblk, e->block[B_DIR]);
}

static int add_linear(struct ext4 *e, struct node *dir, const char *name,
		      size_t len, ext2_ino_t ino, unsigned type)
{
	uint64_t lblk, pblk, count = rk__ext4_dir_blocks(e, dir);
	char *buf = e->block[B_DIR];
	int rc;

	for (lblk = 0; lblk < count; lblk++) {
		rc = rk__ext4_dir_read(e, dir, lblk, buf, &pblk);
		if (!rc)
			rc = rk__ext4_leaf_add(e, buf, name, len, ino, type);
		if (rc < 0)
			return rc;
		if (rc)
			return write_back(e, dir, pblk);
	}
	if (count == 1 && ext2fs_has_feature_dir_index(e->fs->super)) {
		rc = rk__ext4_htree_make(e, dir);
		return rc ? rc : rk__ext4_htree_add(e, dir, name, len, ino,
						    type);
	}
	rc = rk__ext4_dir_grow(e, dir, &lblk, &pblk);
	if (rc)
		return rc;
	rk__ext4_leaf_init(e, buf);
	rc = rk__ext4_leaf_add(e, buf, name, len, ino, type);
	return rc == 1 ? write_back(e, dir, pblk) : rc ? rc : -EUCLEAN;
}

int rk__ext4_dir_add(struct ext4 *e, struct node *dir, const char *name,
		     size_t len, ext2_ino_t ino, unsigned type)
{
	int err = 0;

	if (has_inline(dir))
		err = rk__ext4_expand_inline(e, dir);
	if (err)
		return err;
	if (rk__ext4_dir_indexed(e, dir))
		return rk__ext4_htree_add(e, dir, name, len, ino, type);
	return add_linear(e, dir, name, len, ino, type);
}

/* Makes B_DIR hold the slot's block; *s is found anew if that moved. */
static int load(struct ext4 *e, struct node *dir, struct slot *s)
{
	char name[NAME_LIMIT];
	struct ext2_dir_entry *d;
	size_t len;
	int err;

	if (!has_inline(dir))
		return rk__ext4_dir_read(e, dir, s->lblk, e->block[B_DIR],
					 &s->pblk);
	err = rk__ext4_dir_inline(e, dir, e->block[B_DIR]);
	if (err)
		return err;
	d = rk__ext4_dirent(e->block[B_DIR], s->off);
	len = d->name_len & 0xff;
	memcpy(name, d->name, len);
	err = rk__ext4_expand_inline(e, dir);
	return err ? err : find_linear(e, dir, name, len, s);
}

int rk__ext4_dir_remove(struct ext4 *e, struct node *dir,
			const struct slot *slot)
{
	struct ext2_dir_entry *d, *prev;
	struct slot s = *slot;
	unsigned len;
	int err = load(e, dir, &s);

	if (err)
		return err;
	d = rk__ext4_dirent(e->block[B_DIR], s.off);
	len = rk__ext4_rec_len(e, d);
	d->inode = 0;
	if (s.prev != s.off) {
		prev = rk__ext4_dirent(e->block[B_DIR], s.prev);
		rk__ext4_set_rec_len(e, prev,
				     rk__ext4_rec_len(e, prev) + len);
	}
	return write_back(e, dir, s.pblk);
}

int rk__ext4_dir_set(struct ext4 *e, struct node *dir,
		     const struct slot *slot, ext2_ino_t ino, unsigned type)
{
	struct ext2_dir_entry *d;
	struct slot s = *slot;
	int err = load(e, dir, &s);

	if (err)
		return err;
	d = rk__ext4_dirent(e->block[B_DIR], s.off);
	d->inode = ino;
	d->name_len = (d->name_len & 0xff) | type << 8;
	return write_back(e, dir, s.pblk);
}

/* 1: nothing in it but "." and "..". */
static int leaf_empty(struct ext4 *e, char *buf)
{
	unsigned off, len;

	for (off = 0; off < e->block_size; off += len) {
		struct ext2_dir_entry *d = rk__ext4_dirent(buf, off);
		unsigned n = d->name_len & 0xff;

		if (rk__ext4_dirent_check(e, buf, off, &len))
			return -EUCLEAN;
		if (d->inode && !(n <= 2 && d->name[0] == '.' &&
				  (n == 1 || d->name[1] == '.')))
			return 0;
	}
	return 1;
}

int rk__ext4_dir_empty(struct ext4 *e, struct node *dir)
{
	uint64_t lblk, count = rk__ext4_dir_blocks(e, dir);
	char *buf = e->block[B_DIR];
	int rc;

	if (has_inline(dir)) {
		rc = rk__ext4_dir_inline(e, dir, buf);
		return rc ? rc : leaf_empty(e, buf);
	}
	for (lblk = 0; lblk < count; lblk++) {
		rc = rk__ext4_dir_read(e, dir, lblk, buf, NULL);
		if (!rc)
			rc = leaf_empty(e, buf);
		if (rc <= 0)
			return rc;
	}
	return 1;
}

int rk__ext4_dir_make(struct ext4 *e, struct node *dir, ext2_ino_t parent)
{
	unsigned type = rk__ext4_file_type(e, S_IFDIR);
	char *buf = e->block[B_DIR];
	uint64_t lblk, pblk;
	int err = rk__ext4_dir_grow(e, dir, &lblk, &pblk);

	if (err)
		return err;
	rk__ext4_leaf_init(e, buf);
	rk__ext4_leaf_add(e, buf, ".", 1, dir->ino, type);
	rk__ext4_leaf_add(e, buf, "..", 2, parent, type);
	return write_back(e, dir, pblk);
}
