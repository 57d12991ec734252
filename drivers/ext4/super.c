/*
 * super.c - mount, unmount and sync.
 *
 * Bitmaps, group descriptors and the superblock are in memory while mounted;
 * sync() writes those that changed, so that the device alone is then a
 * consistent file system.
 */
#include <stdlib.h>
#include <sys/statvfs.h>
#include "ext4.h"

/* What is behind the last bit of a bitmap reads as used. */
static void pad(struct ext4 *e, char *buf, unsigned n)
{
	for (; n % 8; n++)
		ext2fs_set_bit(n, buf);
	memset(buf + n / 8, 0xff, e->block_size - n / 8);
}

static int write_block_bitmap(struct ext4 *e, dgrp_t g)
{
	ext2_filsys fs = e->fs;
	unsigned per = EXT2_BLOCKS_PER_GROUP(fs->super);
	uint64_t first = ext2fs_group_first_block2(fs, g);
	unsigned n = ext2fs_group_blocks_count(fs, g);
	char *buf = e->block[B_META];
	errcode_t err;

	if (ext2fs_bg_flags_test(fs, g, EXT2_BG_BLOCK_UNINIT))
		return 0;
	memset(buf, 0, e->block_size);
	err = ext2fs_get_block_bitmap_range2(fs->block_map, first, n, buf);
	if (err)
		return rk__ext4_errno(err);
	pad(e, buf, n);
	ext2fs_block_bitmap_csum_set(fs, g, buf, per / 8);
	return rk__ext4_write_at(e, buf, e->block_size,
			ext2fs_block_bitmap_loc(fs, g) << e->block_bits);
}

static int write_inode_bitmap(struct ext4 *e, dgrp_t g)
{
	ext2_filsys fs = e->fs;
	unsigned per = EXT2_INODES_PER_GROUP(fs->super);
	char *buf = e->block[B_META];
	errcode_t err;

	if (ext2fs_bg_flags_test(fs, g, EXT2_BG_INODE_UNINIT))
		return 0;
	memset(buf, 0, e->block_size);
	err = ext2fs_get_inode_bitmap_range2(fs->inode_map,
					     (uint64_t)g * per + 1, per, buf);
	if (err)
		return rk__ext4_errno(err);
	pad(e, buf, per);
	ext2fs_inode_bitmap_csum_set(fs, g, buf, per / 8);
	return rk__ext4_write_at(e, buf, e->block_size,
			ext2fs_inode_bitmap_loc(fs, g) << e->block_bits);
}

static int write_bitmaps(struct ext4 *e)
{
	dgrp_t g;
	int err = 0;

	for (g = 0; !err && g < e->fs->group_desc_count; g++) {
		if (e->dirty_groups[g] & DIRTY_BLOCKS)
			err = write_block_bitmap(e, g);
		if (!err && (e->dirty_groups[g] & DIRTY_INODES))
			err = write_inode_bitmap(e, g);
		if (!err && e->dirty_groups[g])
			ext2fs_group_desc_csum_set(e->fs, g);
	}
	return err;
}

static int write_descriptors(struct ext4 *e)
{
	ext2_filsys fs = e->fs;
	unsigned per = EXT2_DESC_PER_BLOCK(fs->super);
	blk64_t super = fs->super->s_first_data_block;
	dgrp_t g, b;
	int err = 0;

	for (b = 0; !err && b < fs->desc_blocks; b++) {
		bool dirty = false;

		for (g = b * per; g < (b + 1) * per &&
		     g < fs->group_desc_count; g++)
			dirty |= e->dirty_groups[g] != 0;
		if (dirty)
			err = rk__ext4_write_at(e, (char *)fs->group_desc +
				(size_t)b * e->block_size, e->block_size,
				ext2fs_descriptor_block_loc2(fs, super, b)
				<< e->block_bits);
	}
	return err;
}

static int write_super(struct ext4 *e)
{
	struct ext2_super_block *sb = e->fs->super;

	sb->s_wtime = e->host.now(e->host.ctx).sec;
	ext2fs_superblock_csum_set(e->fs, sb);
	return rk__ext4_write_at(e, sb, sizeof(*sb), SUPERBLOCK_OFFSET);
}

int rk__ext4_sync(void *fs)
{
	struct ext4 *e = fs;
	int err;

	if (!e->dirty_super || e->read_only)
		return 0;
	e->host.change(e->host.ctx);
	err = write_bitmaps(e);
	if (!err)
		err = write_descriptors(e);
	if (!err)
		err = write_super(e);
	if (err)
		return err;
	memset(e->dirty_groups, 0, e->fs->group_desc_count);
	if (e->keeps)
		ext2fs_clear_block_bitmap(e->kept);
	e->keeps = false;
	e->dirty_super = false;
	return 0;
}

int rk__ext4_statfs(void *fs, struct rk_statfs *ret)
{
	struct ext4 *e = fs;
	struct ext2_super_block *sb = e->fs->super;
	uint64_t reserved = ext2fs_r_blocks_count(sb) + rk__ext4_reserve(e);
	uint64_t id[2];

	memset(ret, 0, sizeof(*ret));
	memcpy(id, sb->s_uuid, sizeof(id));
	ret->type = EXT2_SUPER_MAGIC;
	ret->bsize = e->block_size;
	ret->blocks = ext2fs_blocks_count(sb) - sb->s_overhead_clusters;
	ret->bfree = ext2fs_free_blocks_count(sb);
	ret->bavail = ret->bfree > reserved ? ret->bfree - reserved : 0;
	ret->files = sb->s_inodes_count;
	ret->ffree = sb->s_free_inodes_count;
	ret->fsid = id[0] ^ id[1];
	ret->namelen = NAME_LIMIT;
	ret->flags = e->read_only ? ST_RDONLY : 0;
	return 0;
}

static void destroy(struct ext4 *e, ext2_filsys fs)
{
	if (e && e->super_home)
		fs->super = e->super_home;
	if (e && e->kept)
		ext2fs_free_block_bitmap(e->kept);
	if (fs)
		ext2fs_free(fs);
	free(e);
}

/* What can be told from the superblock alone. */
static int check_super(const struct rk_host *host, bool read_only,
		       bool *needs_recovery)
{
	struct ext2_super_block sb;
	uint64_t size = host->size(host->ctx), blocks;
	int err;

	if (size < SUPERBLOCK_OFFSET + sizeof(sb) ||
	    host->read(host->ctx, &sb, sizeof(sb), SUPERBLOCK_OFFSET) ||
	    sb.s_magic != EXT2_SUPER_MAGIC) {
		rk__ext4_complain(host, "ext4: this is not an ext2, ext3 or "
				  "ext4 file system");
		return -EINVAL;
	}
	if (sb.s_log_block_size > 6) {
		rk__ext4_complain(host, "ext4: the superblock is damaged "
				  "(block size)");
		return -EUCLEAN;
	}
	err = rk__ext4_features(host, &sb, read_only, needs_recovery);
	if (err)
		return err;
	blocks = sb.s_blocks_count;
	if (ext2fs_has_feature_64bit(&sb))
		blocks |= (uint64_t)sb.s_blocks_count_hi << 32;
	if (blocks > size >> (10 + sb.s_log_block_size)) {
		rk__ext4_complain(host, "ext4: the image is truncated: %llu "
				  "bytes, but the file system has %llu blocks "
				  "of %u", (unsigned long long)size,
				  (unsigned long long)blocks,
				  1024u << sb.s_log_block_size);
		return -EINVAL;
	}
	return 0;
}

static int check_options(const struct rk_host *host,
			 const struct rk_mount_options *opt)
{
	if (!opt->n_options)
		return 0;
	rk__ext4_complain(host, "ext4: unknown option '%s'", opt->option[0]);
	return -EINVAL;
}

static int check_groups(ext2_filsys fs)
{
	dgrp_t g;

	for (g = 0; g < fs->group_desc_count; g++)
		if (!ext2fs_group_desc_csum_verify(fs, g))
			return -EUCLEAN;
	return ext2fs_check_desc(fs) ? -EUCLEAN : 0;
}

static int read_bitmaps(const struct rk_host *host, ext2_filsys fs)
{
	errcode_t err;

	/* Flat ones change in one place; but they are as large as the
	 * device, and so is the first commit. */
	if (ext2fs_blocks_count(fs->super) <= FLAT_BLOCKS)
		fs->default_bitmap_type = EXT2FS_BMAP64_BITARRAY;
	err = ext2fs_read_bitmaps(fs);
	if (err)
		rk__ext4_complain(host, "ext4: the bitmaps are damaged");
	return rk__ext4_errno(err);
}

static int open_fs(const struct rk_host *host, bool read_only,
		   ext2_filsys *ret)
{
	int flags = EXT2_FLAG_64BITS | EXT2_FLAG_SKIP_MMP |
		    (read_only ? 0 : EXT2_FLAG_RW);
	errcode_t err;

	rk__ext4_io_bind(host);
	err = ext2fs_open("", flags, 0, 0, &rk__ext4_io, ret);
	if (err) {
		*ret = NULL;
		rk__ext4_complain(host, "ext4: the superblock or the group "
				  "descriptors are damaged");
		return err == EXT2_ET_NO_MEMORY ? -ENOMEM : -EUCLEAN;
	}
	if (check_groups(*ret)) {
		rk__ext4_complain(host, "ext4: the group descriptors are "
				  "damaged");
		return -EUCLEAN;
	}
	err = ext2fs_create_inode_cache(*ret, 1);
	return err ? rk__ext4_errno(err) : read_bitmaps(host, *ret);
}

static int get_state(const struct rk_host *host, bool read_only,
		     ext2_filsys fs, struct ext4 **ret)
{
	size_t size = sizeof(struct ext4) + fs->group_desc_count;
	struct ext4 *e = aligned_alloc(4096, (size + 4095) & ~(size_t)4095);

	if (!e)
		return -ENOMEM;
	memset(e, 0, size);
	e->host = *host;
	e->fs = fs;
	e->read_only = read_only;
	e->block_size = fs->blocksize;
	e->block_bits = EXT2_BLOCK_SIZE_BITS(fs->super);
	e->super = *fs->super;
	e->super_home = fs->super;
	fs->super = &e->super;
	rk__ext4_watch_alloc(e);
	*ret = e;
	return rk__ext4_errno(ext2fs_allocate_block_bitmap(fs, "given back",
							   &e->kept));
}

/* As the kernel does at mount. */
static int begin_writing(struct ext4 *e, bool resumes)
{
	struct ext2_super_block *sb = e->fs->super;
	struct rk_time now = e->host.now(e->host.ctx);

	e->host.change(e->host.ctx);
	if (!ext2fs_has_feature_journal(sb))
		sb->s_state &= ~EXT2_VALID_FS;
	sb->s_mtime = now.sec;
	sb->s_mnt_count++;
	e->next_generation = now.sec * 1000003u + now.nsec;
	e->dirty_super = true;
	if (resumes ? rk__ext4_orphan_resume(e) : rk__ext4_orphan_replay(e)) {
		rk__ext4_complain(&e->host, "ext4: the list of unlinked files "
				  "that were in use is damaged");
		return -EUCLEAN;
	}
	return rk__ext4_sync(e);
}

static int start(struct ext4 *e, bool resumes)
{
	SCRATCH(e);
	struct node root;

	if (rk__ext4_dir_node(e, EXT2_ROOT_INO, &root)) {
		rk__ext4_complain(&e->host, "ext4: the root directory is "
				  "damaged");
		return -EUCLEAN;
	}
	return e->read_only ? 0 : begin_writing(e, resumes);
}

int rk__ext4_mount(const struct rk_host *host,
		   const struct rk_mount_options *opt, void **ret_fs,
		   uint64_t *ret_root, bool *needs_recovery)
{
	struct ext4 *e = NULL;
	ext2_filsys fs = NULL;
	int err = check_options(host, opt);

	*needs_recovery = false;
	if (!err)
		err = check_super(host, opt->read_only, needs_recovery);
	if (!err)
		err = open_fs(host, opt->read_only, &fs);
	if (!err)
		err = get_state(host, opt->read_only, fs, &e);
	if (!err)
		err = start(e, opt->resumes);
	if (err) {
		destroy(e, fs);
		return err;
	}
	*ret_root = EXT2_ROOT_INO;
	*ret_fs = e;
	return 0;
}

int rk__ext4_unmount(void *fs)
{
	struct ext4 *e = fs;
	int err = 0;

	if (!e->read_only) {
		e->host.change(e->host.ctx);
		if (!ext2fs_has_feature_journal(e->fs->super)) {
			e->fs->super->s_state |= EXT2_VALID_FS;
			e->dirty_super = true;
		}
		err = rk__ext4_sync(e);
	}
	destroy(e, e->fs);
	return err;
}
