/*
 * map.c - from a file's block to the device's.
 *
 * Read-only walks of extent trees and indirect blocks, each with its own
 * checks: depth and counts are bounded, so a damaged tree ends in -EUCLEAN and
 * never in a loop. The last run found of an inode is remembered; whoever
 * changes a map forgets it.
 */
#include "ext4.h"

void rk__ext4_map_forget(struct ext4 *e, ext2_ino_t ino)
{
	unsigned i = ino % RUN_CACHE;

	if (e->run_cache[i].ino == ino)
		e->run_cache[i].ino = 0;
}

static bool remembered(struct ext4 *e, struct node *n, uint64_t lblk,
		       struct run *ret)
{
	const struct run *r = &e->run_cache[n->ino % RUN_CACHE].run;
	uint64_t skip = lblk - r->lblk;

	if (e->run_cache[n->ino % RUN_CACHE].ino != n->ino ||
	    lblk < r->lblk || skip >= r->len)
		return false;
	*ret = (struct run){
		.lblk = lblk,
		.pblk = r->pblk + skip,
		.len = r->len - skip,
		.unwritten = r->unwritten,
	};
	return true;
}

static void remember(struct ext4 *e, struct node *n, const struct run *r)
{
	if (!r->pblk)
		return;
	e->run_cache[n->ino % RUN_CACHE].ino = n->ino;
	e->run_cache[n->ino % RUN_CACHE].run = *r;
}

static bool header_ok(const struct ext3_extent_header *h, unsigned size,
		      unsigned depth)
{
	return h->eh_magic == EXT3_EXT_MAGIC && h->eh_depth == depth &&
	       h->eh_entries <= h->eh_max &&
	       sizeof(*h) + h->eh_max * sizeof(struct ext3_extent) <= size;
}

int rk__ext4_last_before(const struct ext3_extent_header *h, uint64_t lblk)
{
	const struct ext3_extent *x = (const void *)(h + 1);
	int lo = 0, hi = h->eh_entries;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (x[mid].ee_block <= lblk)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo - 1;
}

static int read_node_block(struct ext4 *e, struct node *n, uint64_t blk)
{
	char *buf = e->block[B_META];
	int err;

	if (!rk__ext4_block_ok(e, blk, 1))
		return -EUCLEAN;
	err = rk__ext4_read_at(e, buf, e->block_size, blk << e->block_bits);
	if (err)
		return err;
	return rk__ext4_extent_sum_ok(e, n, (void *)buf) ? 0 : -EUCLEAN;
}

int rk__ext4_check_root(const struct node *n)
{
	const struct ext3_extent_header *h = (const void *)n->i.i_block;

	return h->eh_depth <= 5 &&
	       header_ok(h, sizeof(n->i.i_block), h->eh_depth) ? 0 : -EUCLEAN;
}

int rk__ext4_read_tree(struct ext4 *e, struct node *n, uint64_t blk,
		       unsigned depth, struct ext3_extent_header *ret)
{
	int err = read_node_block(e, n, blk);

	if (err)
		return err;
	memcpy(ret, e->block[B_META], e->block_size);
	return header_ok(ret, e->block_size, depth) ? 0 : -EUCLEAN;
}

static int leaf_run(struct ext4 *e, const struct ext3_extent_header *h,
		    uint64_t lblk, uint64_t limit, struct run *ret)
{
	const struct ext3_extent *x = (const void *)(h + 1);
	int at = rk__ext4_last_before(h, lblk);
	uint64_t start, len;

	*ret = (struct run){ .lblk = lblk };
	if (at + 1 < h->eh_entries && x[at + 1].ee_block < limit)
		limit = x[at + 1].ee_block;
	ret->len = limit - lblk;
	if (at < 0)
		return 0;
	x += at;
	len = extent_len(x);
	ret->unwritten = x->ee_len > EXT_INIT_MAX_LEN;
	if (lblk - x->ee_block >= len) {
		ret->unwritten = false;
		return 0;
	}
	start = extent_start(x);
	if (!rk__ext4_block_ok(e, start, len))
		return -EUCLEAN;
	ret->pblk = start + (lblk - x->ee_block);
	ret->len = len - (lblk - x->ee_block);
	if (ret->len > limit - lblk)
		ret->len = limit - lblk;
	return 0;
}

int rk__ext4_leaf(struct ext4 *e, struct node *n, uint64_t lblk,
		  struct ext3_extent_header **ret, uint64_t *ret_blk,
		  uint64_t *ret_limit)
{
	struct ext3_extent_header *h = (void *)n->i.i_block;
	unsigned depth = h->eh_depth, size = sizeof(n->i.i_block);
	int at, err;

	*ret_blk = 0;
	*ret_limit = 1ull << 32;
	if (depth > 5)
		return -EUCLEAN;
	for (;; depth--) {
		const struct ext3_extent_idx *x = (const void *)(h + 1);

		if (!header_ok(h, size, depth))
			return -EUCLEAN;
		*ret = h;
		if (depth == 0)
			return 0;
		at = rk__ext4_last_before(h, lblk);
		if (at + 1 < h->eh_entries && x[at + 1].ei_block < *ret_limit)
			*ret_limit = x[at + 1].ei_block;
		*ret = NULL;
		if (at < 0)
			return 0;
		*ret_blk = x[at].ei_leaf | (uint64_t)x[at].ei_leaf_hi << 32;
		err = read_node_block(e, n, *ret_blk);
		if (err)
			return err;
		h = (void *)e->block[B_META];
		size = e->block_size;
	}
}

static int map_extents(struct ext4 *e, struct node *n, uint64_t lblk,
		       struct run *ret)
{
	struct ext3_extent_header *h;
	uint64_t blk, limit;
	int err = rk__ext4_leaf(e, n, lblk, &h, &blk, &limit);

	if (err)
		return err;
	if (h)
		return leaf_run(e, h, lblk, limit, ret);
	*ret = (struct run){ .lblk = lblk, .len = limit - lblk };
	return 0;
}

/* How many of the `room` pointers continue the run that p[0] begins. */
static uint64_t count_run(const uint32_t *p, uint64_t room)
{
	uint64_t len = 1;

	while (len < room && p[len] == (p[0] ? p[0] + len : 0))
		len++;
	return len;
}

static int pointer_run(struct ext4 *e, const uint32_t *p, uint64_t room,
		       uint64_t lblk, struct run *ret)
{
	*ret = (struct run){ .lblk = lblk, .pblk = p[0],
			     .len = count_run(p, room) };
	return !p[0] || rk__ext4_block_ok(e, p[0], ret->len) ? 0 : -EUCLEAN;
}

static int map_pointers(struct ext4 *e, struct node *n, uint64_t lblk,
			struct run *ret)
{
	unsigned bits = e->block_bits - 2, level;
	uint64_t at = lblk - EXT2_NDIR_BLOCKS, span, blk;
	uint32_t *p = (uint32_t *)e->block[B_META];

	if (lblk < EXT2_NDIR_BLOCKS)
		return pointer_run(e, n->i.i_block + lblk,
				   EXT2_NDIR_BLOCKS - lblk, lblk, ret);
	for (level = 1; level <= 3 && at >= 1ull << (bits * level); level++)
		at -= 1ull << (bits * level);
	if (level > 3)
		return -EFBIG;
	blk = n->i.i_block[EXT2_NDIR_BLOCKS + level - 1];
	for (; blk; level--) {
		int err;

		if (!rk__ext4_block_ok(e, blk, 1))
			return -EUCLEAN;
		err = rk__ext4_read_at(e, p, e->block_size,
				       blk << e->block_bits);
		if (err)
			return err;
		span = 1ull << (bits * (level - 1));
		if (level == 1)
			return pointer_run(e, p + at, (1ull << bits) - at,
					   lblk, ret);
		blk = p[at / span];
		at %= span;
	}
	/* Nothing below here: a hole to the end of what it would map. */
	*ret = (struct run){ .lblk = lblk,
			     .len = (1ull << (bits * level)) - at };
	return 0;
}

void rk__ext4_map_init(struct ext4 *e, struct node *n)
{
	struct ext3_extent_header *h = (void *)n->i.i_block;

	memset(n->i.i_block, 0, sizeof(n->i.i_block));
	if (!ext2fs_has_feature_extents(e->fs->super))
		return;
	n->i.i_flags |= EXT4_EXTENTS_FL;
	h->eh_magic = EXT3_EXT_MAGIC;
	h->eh_max = (sizeof(n->i.i_block) - sizeof(*h)) /
		    sizeof(struct ext3_extent);
}

uint64_t rk__ext4_max_blocks(struct ext4 *e, const struct node *n)
{
	uint64_t per = e->block_size / 4;

	if (n->i.i_flags & EXT4_EXTENTS_FL)
		return 0xffffffffull;
	per = EXT2_NDIR_BLOCKS + per + per * per + per * per * per;
	return per < 0xffffffffull ? per : 0xffffffffull;
}

int rk__ext4_map(struct ext4 *e, struct node *n, uint64_t lblk,
		 struct run *ret)
{
	int err;

	if (remembered(e, n, lblk, ret))
		return 0;
	if (lblk >= rk__ext4_max_blocks(e, n)) {
		*ret = (struct run){ .lblk = lblk, .len = UINT64_MAX - lblk };
		return 0;
	}
	if (n->i.i_flags & EXT4_EXTENTS_FL)
		err = map_extents(e, n, lblk, ret);
	else
		err = map_pointers(e, n, lblk, ret);
	if (!err)
		remember(e, n, ret);
	return err;
}
