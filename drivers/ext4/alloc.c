/*
 * alloc.c - blocks: runs of free ones near a goal, and giving them back.
 *
 * The bitmaps are libext2fs's (sorted extents in a tree); what they and the
 * group descriptors have changed is noted by group, for sync().
 */
#include "ext4.h"

bool rk__ext4_block_ok(struct ext4 *e, uint64_t blk, uint64_t len)
{
	uint64_t end = ext2fs_blocks_count(e->fs->super);

	return blk > e->fs->super->s_first_data_block && blk < end &&
	       len <= end - blk;
}

static void note(ext2_filsys fs, uint64_t blk, uint64_t len)
{
	struct ext4 *e = fs->priv_data;
	dgrp_t g = ext2fs_group_of_blk2(fs, blk);
	dgrp_t last = ext2fs_group_of_blk2(fs, blk + len - 1);

	for (; g <= last && g < fs->group_desc_count; g++)
		e->dirty_groups[g] |= DIRTY_BLOCKS | DIRTY_DESC;
	e->dirty_super = true;
}

void rk__ext4_keep(struct ext4 *e, uint64_t blk, uint64_t len)
{
	ext2fs_mark_block_bitmap_range2(e->kept, blk, len);
	e->keeps = true;
}

bool rk__ext4_is_new(struct ext4 *e, uint64_t blk, uint64_t len)
{
	return !e->keeps ||
	       ext2fs_test_block_bitmap_range2(e->kept, blk, len);
}

static void note_range(ext2_filsys fs, blk64_t blk, blk_t len, int inuse)
{
	if (inuse < 0)
		rk__ext4_keep(fs->priv_data, blk, len);
	note(fs, blk, len);
}

static void note_one(ext2_filsys fs, blk64_t blk, int inuse)
{
	note_range(fs, blk, 1, inuse);
}

void rk__ext4_watch_alloc(struct ext4 *e)
{
	e->fs->priv_data = e;
	ext2fs_set_block_alloc_stats_callback(e->fs, note_one, NULL);
	ext2fs_set_block_alloc_stats_range_callback(e->fs, note_range, NULL);
}

/* In the bitmap, its groups' descriptors and the superblock. */
static void account(struct ext4 *e, uint64_t blk, uint64_t len, bool used)
{
	ext2_filsys fs = e->fs;
	int64_t sign = used ? -1 : 1;

	note(fs, blk, len);
	ext2fs_free_blocks_count_add(fs->super, sign * (int64_t)len);
	if (used)
		ext2fs_mark_block_bitmap_range2(fs->block_map, blk, len);
	else
		ext2fs_unmark_block_bitmap_range2(fs->block_map, blk, len);
	if (!used)
		rk__ext4_keep(e, blk, len);
	while (len) {
		dgrp_t g = ext2fs_group_of_blk2(fs, blk);
		uint64_t n = ext2fs_group_last_block2(fs, g) - blk + 1;
		int64_t left;

		n = n < len ? n : len;
		left = ext2fs_bg_free_blocks_count(fs, g) + sign * (int64_t)n;
		ext2fs_bg_free_blocks_count_set(fs, g, left > 0 ? left : 0);
		ext2fs_bg_flags_clear(fs, g, EXT2_BG_BLOCK_UNINIT);
		blk += n;
		len -= n;
	}
}

/* The group's inodes from here on were never used: that changes. */
static void touch_table(ext2_filsys fs, dgrp_t g, unsigned in)
{
	unsigned per = fs->super->s_inodes_per_group;

	if (!ext2fs_has_group_desc_csum(fs))
		return;
	if (ext2fs_bg_itable_unused(fs, g) > per - in - 1)
		ext2fs_bg_itable_unused_set(fs, g, per - in - 1);
	ext2fs_bg_flags_clear(fs, g, EXT2_BG_INODE_UNINIT);
}

static void account_inode(struct ext4 *e, ext2_ino_t ino, bool dir, int n)
{
	ext2_filsys fs = e->fs;
	dgrp_t g = ext2fs_group_of_ino(fs, ino);
	unsigned left = ext2fs_bg_free_inodes_count(fs, g);
	unsigned dirs = ext2fs_bg_used_dirs_count(fs, g);

	ext2fs_bg_free_inodes_count_set(fs, g, n > 0 && !left ? 0 : left - n);
	if (dir)
		ext2fs_bg_used_dirs_count_set(fs, g,
					      n < 0 && !dirs ? 0 : dirs + n);
	if (n < 0 || fs->super->s_free_inodes_count)
		fs->super->s_free_inodes_count -= n;
	e->dirty_groups[g] |= DIRTY_INODES | DIRTY_DESC;
	e->dirty_super = true;
}

/* The number that it had, where a call is run again. */
static bool find_wanted(struct ext4 *e, uint32_t first, uint32_t last,
			uint32_t *ret)
{
	struct rk_wanted w;

	if (!e->host.wanted || !e->host.wanted(e->host.ctx, &w) ||
	    w.ino < first || w.ino > last ||
	    ext2fs_test_inode_bitmap2(e->fs->inode_map, (ext2_ino_t)w.ino))
		return false;
	*ret = (uint32_t)w.ino;
	return true;
}

int rk__ext4_alloc_inode(struct ext4 *e, ext2_ino_t near, bool dir,
			 ext2_ino_t *ret)
{
	ext2_filsys fs = e->fs;
	unsigned per = fs->super->s_inodes_per_group;
	uint32_t first = EXT2_FIRST_INO(fs->super), from, ino;
	uint32_t last = fs->super->s_inodes_count;

	from = (near - 1) / per * per + 1;
	if (from < first)
		from = first;
	if (!find_wanted(e, first, last, &ino) &&
	    ext2fs_find_first_zero_inode_bitmap2(fs->inode_map, from, last,
						 &ino) &&
	    (from == first ||
	     ext2fs_find_first_zero_inode_bitmap2(fs->inode_map, first,
						  from - 1, &ino)))
		return -ENOSPC;
	ext2fs_mark_inode_bitmap2(fs->inode_map, ino);
	touch_table(fs, ext2fs_group_of_ino(fs, ino), (ino - 1) % per);
	account_inode(e, ino, dir, 1);
	*ret = ino;
	return 0;
}

void rk__ext4_free_inode(struct ext4 *e, ext2_ino_t ino, bool dir)
{
	ext2fs_unmark_inode_bitmap2(e->fs->inode_map, ino);
	account_inode(e, ino, dir, -1);
}

static int find_free(struct ext4 *e, uint64_t goal, blk64_t *ret)
{
	ext2fs_block_bitmap map = e->fs->block_map;
	uint64_t first = e->fs->super->s_first_data_block;
	uint64_t last = ext2fs_blocks_count(e->fs->super) - 1;

	if (goal < first || goal > last)
		goal = first;
	if (!ext2fs_find_first_zero_block_bitmap2(map, goal, last, ret))
		return 0;
	if (goal > first &&
	    !ext2fs_find_first_zero_block_bitmap2(map, first, goal - 1, ret))
		return 0;
	return -ENOSPC;
}

int rk__ext4_alloc(struct ext4 *e, uint64_t goal, uint64_t want,
		   uint64_t *ret_blk, uint64_t *ret_len)
{
	uint64_t last = ext2fs_blocks_count(e->fs->super) - 1;
	blk64_t blk, used;
	uint64_t end;
	int err = find_free(e, goal, &blk);

	if (err)
		return err;
	end = want - 1 < last - blk ? blk + want - 1 : last;
	if (end > blk && !ext2fs_find_first_set_block_bitmap2(
				e->fs->block_map, blk + 1, end, &used))
		end = used - 1;
	account(e, blk, end - blk + 1, true);
	*ret_blk = blk;
	*ret_len = end - blk + 1;
	return 0;
}

int rk__ext4_free_blocks(struct ext4 *e, uint64_t blk, uint64_t len)
{
	blk64_t unused;

	if (!rk__ext4_block_ok(e, blk, len) ||
	    !ext2fs_find_first_zero_block_bitmap2(e->fs->block_map, blk,
						  blk + len - 1, &unused))
		return -EUCLEAN;
	account(e, blk, len, false);
	return 0;
}

/*
 * The last 2 % (at most 4096 blocks) are for maps and directories, as the
 * kernel has it: so a write that finds room for its data finds room for the
 * map too, and one into preallocated space never fails.
 */
uint64_t rk__ext4_reserve(struct ext4 *e)
{
	uint64_t part = ext2fs_blocks_count(e->fs->super) / 50;

	return part < 4096 ? part : 4096;
}

uint64_t rk__ext4_room(struct ext4 *e)
{
	uint64_t room = ext2fs_free_blocks_count(e->fs->super);
	uint64_t reserve = rk__ext4_reserve(e);

	return room > reserve ? room - reserve : 0;
}

/* After the block before; else where this op stream writes; else at home. */
uint64_t rk__ext4_goal(struct ext4 *e, struct node *n, uint64_t lblk)
{
	struct run r;
	dgrp_t group;

	if (lblk && !rk__ext4_map(e, n, lblk - 1, &r) && r.pblk)
		return r.pblk + 1;
	if (S_ISREG(n->i.i_mode) && e->goal)
		return e->goal;
	group = ext2fs_group_of_ino(e->fs, n->ino);
	return ext2fs_group_first_block2(e->fs, group);
}
