/*
 * punch.c - taking blocks out of an extent tree.
 *
 * From the end backwards, at most `left` blocks: extents in the range are cut
 * or go; a node that becomes empty goes with its index entry; an index entry
 * follows its node's first block. Where a hole would split an extent in a full
 * leaf, the piece is first made an extent of its own.
 */
#include "ext4.h"

struct cut {
	struct ext4 *e;
	struct node *n;
	uint64_t first, last, left;
	uint64_t split;			/* lblk of an extent to split, or ~0 */
};

static int give_back(struct cut *c, uint64_t blk, uint64_t len)
{
	int err = rk__ext4_free_blocks(c->e, blk, len);

	return err ? err : rk__ext4_errno(ext2fs_iblk_sub_blocks(c->e->fs,
							small(c->n), len));
}

static void remove_entry(struct ext3_extent_header *h, int i)
{
	struct ext3_extent *x = (struct ext3_extent *)(h + 1);

	h->eh_entries--;
	memmove(x + i, x + i + 1, (h->eh_entries - i) * sizeof(*x));
	memset(x + h->eh_entries, 0, sizeof(*x));
}

static void move_start(struct ext3_extent *x, uint64_t by)
{
	uint64_t start = extent_start(x) + by;

	x->ee_block += by;
	x->ee_start = start;
	x->ee_start_hi = start >> 32;
	x->ee_len -= by;
}

/* The part [from, to] of extent i goes; 1: done, 0: no room to split it. */
static int cut_extent(struct cut *c, struct ext3_extent_header *h, int i,
		      uint64_t from, uint64_t to)
{
	struct ext3_extent *x = (struct ext3_extent *)(h + 1) + i;
	uint64_t skip = from - x->ee_block, len = to - from + 1;
	uint64_t rest = extent_len(x) - skip - len;
	int err;

	if (skip && rest && h->eh_entries >= h->eh_max)
		return 0;
	err = give_back(c, extent_start(x) + skip, len);
	if (err)
		return err;
	c->left -= len;
	if (!skip && !rest) {
		remove_entry(h, i);
	} else if (!skip) {
		move_start(x, len);
	} else {
		if (rest) {
			memmove(x + 1, x, (h->eh_entries - i) * sizeof(*x));
			h->eh_entries++;
			move_start(x + 1, skip + len);
		}
		x->ee_len -= len + rest;
	}
	return 1;
}

static int cut_leaf(struct cut *c, struct ext3_extent_header *h)
{
	const struct ext3_extent *x = (const void *)(h + 1);
	int i, rc;

	for (i = h->eh_entries - 1; i >= 0 && c->left; i--) {
		uint64_t from = x[i].ee_block, len = extent_len(&x[i]);
		uint64_t to = from + len - 1;

		if (!len)
			return -EUCLEAN;
		if (to < c->first)
			return 0;
		from = from > c->first ? from : c->first;
		to = to < c->last ? to : c->last;
		if (from > to)
			continue;
		if (to - from >= c->left)
			from = to - c->left + 1;
		rc = cut_extent(c, h, i, from, to);
		if (rc == 0)
			c->split = from;
		if (rc <= 0)
			return rc;
	}
	return 0;
}

static int cut_node(struct cut *c, struct ext3_extent_header *h);

/* What index entry i leads to; the entry goes with it or follows it. */
static int cut_child(struct cut *c, struct ext3_extent_header *parent, int i)
{
	struct ext3_extent_idx *x = (struct ext3_extent_idx *)(parent + 1) + i;
	uint64_t blk = x->ei_leaf | (uint64_t)x->ei_leaf_hi << 32;
	uint64_t buf[c->e->block_size / sizeof(uint64_t)];
	struct ext3_extent_header *h = (void *)buf;
	uint64_t before = c->left;
	int err = rk__ext4_read_tree(c->e, c->n, blk, parent->eh_depth - 1, h);

	if (!err)
		err = cut_node(c, h);
	if (err || before == c->left)
		return err;
	if (!h->eh_entries) {
		remove_entry(parent, i);
		return give_back(c, blk, 1);
	}
	x->ei_block = ((struct ext3_extent *)(h + 1))->ee_block;
	rk__ext4_extent_sum(c->e, c->n, h);
	return rk__ext4_write_at(c->e, h, c->e->block_size,
				 blk << c->e->block_bits);
}

static int cut_node(struct cut *c, struct ext3_extent_header *h)
{
	const struct ext3_extent_idx *x = (const void *)(h + 1);
	int i, err;

	if (h->eh_depth == 0)
		return cut_leaf(c, h);
	for (i = h->eh_entries - 1; i >= 0 && c->left; i--) {
		bool first = x[i].ei_block <= c->first;

		if (x[i].ei_block > c->last)
			continue;
		err = cut_child(c, h, i);
		if (err || first || c->split != ~0ull)
			return err;
	}
	return 0;
}

static int split(struct cut *c)
{
	uint64_t end = c->last + 1;
	struct run r;
	int err = rk__ext4_map(c->e, c->n, c->split, &r);

	if (err)
		return err;
	if (r.len > end - c->split)
		r.len = end - c->split;
	return rk__ext4_map_convert(c->e, c->n, c->split, r.len, !r.unwritten);
}

int rk__ext4_punch_tree(struct ext4 *e, struct node *n, uint64_t first,
			uint64_t last)
{
	struct ext3_extent_header *h = (void *)n->i.i_block;
	struct cut c = { e, n, first, last, STAGE_BLOCKS, ~0ull };
	int err = rk__ext4_check_root(n);

	if (!err)
		err = cut_node(&c, h);
	if (!err && c.split != ~0ull) {
		rk__ext4_map_forget(e, n->ino);
		err = split(&c);
		c.split = ~0ull;
		if (!err)
			err = cut_node(&c, h);
		if (!err && c.split != ~0ull)
			err = -EUCLEAN;
	}
	if (!err && !h->eh_entries)
		h->eh_depth = 0;
	return err ? err : c.left == 0;
}
