/*
 * dirblock.c - one directory block: its entries and its checksum.
 *
 * A leaf is a chain of entries that fills the block, but for a 12-byte tail
 * with a checksum where the file system has them. An entry with inode 0 is
 * room; room behind an entry belongs to it. Nothing read is trusted: lengths
 * are checked before they are followed.
 */
#include "ext4.h"

struct ext2_dir_entry *rk__ext4_dirent(char *buf, unsigned off)
{
	return (struct ext2_dir_entry *)(buf + off);
}

unsigned rk__ext4_rec_len(struct ext4 *e, const struct ext2_dir_entry *d)
{
	unsigned len = d->rec_len;

	if (e->block_size < 65536)
		return len;
	if (len == 65535 || len == 0)
		return e->block_size;
	return (len & 65532) | (len & 3) << 16;
}

void rk__ext4_set_rec_len(struct ext4 *e, struct ext2_dir_entry *d,
			  unsigned len)
{
	(void)ext2fs_set_rec_len(e->fs, len, d);
}

unsigned rk__ext4_dir_usable(struct ext4 *e)
{
	if (ext2fs_has_feature_metadata_csum(e->fs->super))
		return e->block_size - sizeof(struct ext2_dir_entry_tail);
	return e->block_size;
}

int rk__ext4_dirent_check(struct ext4 *e, char *buf, unsigned off,
			  unsigned *ret_len)
{
	struct ext2_dir_entry *d = rk__ext4_dirent(buf, off);
	unsigned len = rk__ext4_rec_len(e, d), room = e->block_size - off;

	if (len < 8 || len % 4 || len > room ||
	    (d->inode && dirent_size(d->name_len & 0xff) > len) ||
	    d->inode > e->fs->super->s_inodes_count)
		return -EUCLEAN;
	*ret_len = len;
	return 0;
}

int rk__ext4_dir_read(struct ext4 *e, struct node *dir, uint64_t lblk,
		      char *buf, uint64_t *ret_pblk)
{
	uint32_t *known;
	struct run r;
	int err = rk__ext4_map(e, dir, lblk, &r);

	if (err)
		return err;
	if (!r.pblk || r.unwritten)
		return -EUCLEAN;
	err = rk__ext4_read_at(e, buf, e->block_size,
			       r.pblk << e->block_bits);
	if (err)
		return err;
	known = &e->dir_verified[r.pblk % DIR_VERIFIED];
	if (*known != r.pblk) {
		if (!rk__ext4_dir_sum_ok(e, dir, buf))
			return -EUCLEAN;
		if (r.pblk <= UINT32_MAX)
			*known = r.pblk;
	}
	if (ret_pblk)
		*ret_pblk = r.pblk;
	return 0;
}

int rk__ext4_dir_write(struct ext4 *e, struct node *dir, uint64_t pblk,
		       char *buf)
{
	if (!rk__ext4_dir_sum(e, dir, buf))
		return -EUCLEAN;
	return rk__ext4_write_at(e, buf, e->block_size, pblk << e->block_bits);
}

int rk__ext4_leaf_find(struct ext4 *e, char *buf, const char *name, size_t len,
		       struct slot *ret)
{
	unsigned off, prev = 0, size;

	for (off = 0; off < e->block_size; prev = off, off += size) {
		struct ext2_dir_entry *d = rk__ext4_dirent(buf, off);

		if (rk__ext4_dirent_check(e, buf, off, &size))
			return -EUCLEAN;
		if (!d->inode || (d->name_len & 0xff) != len ||
		    memcmp(d->name, name, len))
			continue;
		ret->off = off;
		ret->prev = prev;
		ret->ino = d->inode;
		ret->type = d->name_len >> 8;
		return 1;
	}
	return 0;
}

static void put_entry(struct ext4 *e, char *buf, unsigned off, unsigned size,
		      const char *name, size_t len, ext2_ino_t ino,
		      unsigned type)
{
	struct ext2_dir_entry *d = rk__ext4_dirent(buf, off);

	d->inode = ino;
	rk__ext4_set_rec_len(e, d, size);
	d->name_len = len | type << 8;
	memcpy(d->name, name, len);
	memset(d->name + len, 0, dirent_size(len) - 8 - len);
}

int rk__ext4_leaf_add(struct ext4 *e, char *buf, const char *name, size_t len,
		      ext2_ino_t ino, unsigned type)
{
	unsigned end = rk__ext4_dir_usable(e), need = dirent_size(len);
	unsigned off, size, used;

	for (off = 0; off < end; off += size) {
		struct ext2_dir_entry *d = rk__ext4_dirent(buf, off);

		if (rk__ext4_dirent_check(e, buf, off, &size) ||
		    off + size > end)
			return -EUCLEAN;
		used = d->inode ? dirent_size(d->name_len & 0xff) : 0;
		if (size - used < need)
			continue;
		if (used)
			rk__ext4_set_rec_len(e, d, used);
		put_entry(e, buf, off + used, size - used, name, len, ino,
			  type);
		return 1;
	}
	return 0;
}

void rk__ext4_leaf_init(struct ext4 *e, char *buf)
{
	unsigned end = rk__ext4_dir_usable(e);

	memset(buf, 0, e->block_size);
	rk__ext4_set_rec_len(e, rk__ext4_dirent(buf, 0), end);
	if (end < e->block_size)
		ext2fs_initialize_dirent_tail(e->fs,
				EXT2_DIRENT_TAIL(buf, e->block_size));
}

int rk__ext4_dir_grow(struct ext4 *e, struct node *dir, uint64_t *ret_lblk,
		      uint64_t *ret_pblk)
{
	struct run r = { .lblk = rk__ext4_size(dir) >> e->block_bits };
	uint64_t size = (r.lblk + 1) << e->block_bits;
	int err;

	if (size > UINT32_MAX && !ext2fs_has_feature_largedir(e->fs->super))
		return -ENOSPC;
	err = rk__ext4_alloc(e, rk__ext4_goal(e, dir, r.lblk), 1, &r.pblk,
			     &r.len);
	if (!err)
		err = rk__ext4_map_insert(e, dir, &r);
	if (err)
		return err;
	rk__ext4_size_set(e, dir, size);
	*ret_lblk = r.lblk;
	*ret_pblk = r.pblk;
	return 0;
}
