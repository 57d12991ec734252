/*
 * extent.c - changing a file's map.
 *
 * A run goes into an extent tree as one extent (merged with its left
 * neighbour where it continues that one), or into a block map pointer by
 * pointer. What one leaf can take is done here; libext2fs splits full leaves.
 */
#include "ext4.h"

#define MAX_INIT EXT_INIT_MAX_LEN
#define MAX_UNWRITTEN EXT_UNINIT_MAX_LEN

static uint64_t max_len(bool unwritten)
{
	return unwritten ? MAX_UNWRITTEN : MAX_INIT;
}

static bool is_unwritten(const struct ext3_extent *x)
{
	return x->ee_len > MAX_INIT;
}

/* r into the leaf h: 1 done, 0 no room, or -EUCLEAN if blocks of r are
 * mapped already. */
static int leaf_insert(struct ext3_extent_header *h, const struct run *r)
{
	struct ext3_extent *x = (struct ext3_extent *)(h + 1);
	int at = rk__ext4_last_before(h, r->lblk);
	struct ext3_extent *left = x + at;
	uint64_t end = at < 0 ? 0 : left->ee_block + extent_len(left);

	if (end > r->lblk || (at + 1 < h->eh_entries &&
			      x[at + 1].ee_block < r->lblk + r->len))
		return -EUCLEAN;
	if (at >= 0 && end == r->lblk && is_unwritten(left) == r->unwritten &&
	    extent_start(left) + extent_len(left) == r->pblk &&
	    extent_len(left) + r->len <= max_len(r->unwritten)) {
		left->ee_len += r->len;
		return 1;
	}
	if (h->eh_entries >= h->eh_max)
		return 0;
	x += at + 1;
	memmove(x + 1, x, (h->eh_entries - at - 1) * sizeof(*x));
	h->eh_entries++;
	x->ee_block = r->lblk;
	x->ee_len = r->len + (r->unwritten ? MAX_INIT : 0);
	x->ee_start = r->pblk;
	x->ee_start_hi = r->pblk >> 32;
	return 1;
}

/* The leaf has changed. The root is part of the inode. */
static int write_leaf(struct ext4 *e, struct node *n,
		      struct ext3_extent_header *h, uint64_t blk)
{
	if (!blk)
		return 0;
	rk__ext4_extent_sum(e, n, h);
	return rk__ext4_write_at(e, h, e->block_size, blk << e->block_bits);
}

/* What changes one leaf only, which is nearly all: 1 done, 0 not. */
static int insert_quickly(struct ext4 *e, struct node *n, const struct run *r)
{
	struct ext3_extent_header *h;
	uint64_t blk, limit;
	int rc = r->len > max_len(r->unwritten);

	if (rc)
		return 0;
	rc = rk__ext4_leaf(e, n, r->lblk, &h, &blk, &limit);
	if (rc || !h || (blk && rk__ext4_last_before(h, r->lblk) < 0))
		return rc;
	rc = leaf_insert(h, r);
	if (rc <= 0)
		return rc;
	rc = write_leaf(e, n, h, blk);
	return rc ? rc : 1;
}

/* Gives [lblk, lblk + len), inside of extent x of leaf h, another state. */
static int leaf_convert(struct ext3_extent_header *h, int at, uint64_t lblk,
			uint64_t len, bool unwritten)
{
	struct ext3_extent *x = (struct ext3_extent *)(h + 1) + at;
	uint64_t first = x->ee_block, end = first + extent_len(x);
	uint64_t start = extent_start(x), cut[4] = { first, lblk, lblk + len,
						     end };
	bool was = is_unwritten(x);
	int i, rc = 1;

	if (h->eh_entries + 2 > h->eh_max)
		return 0;
	memmove(x, x + 1, (h->eh_entries - at - 1) * sizeof(*x));
	h->eh_entries--;
	for (i = 0; rc == 1 && i < 3; i++) {
		struct run r = {
			.lblk = cut[i],
			.pblk = start + (cut[i] - first),
			.len = cut[i + 1] - cut[i],
			.unwritten = i == 1 ? unwritten : was,
		};

		if (r.len)
			rc = leaf_insert(h, &r);
	}
	return rc == 1 ? 1 : -EUCLEAN;
}

static int convert_quickly(struct ext4 *e, struct node *n, uint64_t lblk,
			   uint64_t len, bool unwritten, uint64_t *ret_done)
{
	struct ext3_extent_header *h;
	struct ext3_extent *x;
	uint64_t blk, limit;
	int at, rc = rk__ext4_leaf(e, n, lblk, &h, &blk, &limit);

	if (rc || !h)
		return rc ? rc : -EUCLEAN;
	at = rk__ext4_last_before(h, lblk);
	x = (struct ext3_extent *)(h + 1) + at;
	if (at < 0 || lblk - x->ee_block >= extent_len(x))
		return -EUCLEAN;
	if (len > x->ee_block + extent_len(x) - lblk)
		len = x->ee_block + extent_len(x) - lblk;
	if (len > max_len(unwritten))
		len = max_len(unwritten);
	*ret_done = len;
	if (is_unwritten(x) == unwritten)
		return 1;
	rc = leaf_convert(h, at, lblk, len, unwritten);
	if (rc <= 0)
		return rc;
	rc = write_leaf(e, n, h, blk);
	return rc ? rc : 1;
}

static bool extends(const struct ext2fs_extent *left,
		    const struct ext2fs_extent *x)
{
	uint64_t max = x->e_flags & EXT2_EXTENT_FLAGS_UNINIT ? MAX_UNWRITTEN
							     : MAX_INIT;

	return left->e_lblk + left->e_len == x->e_lblk &&
	       left->e_pblk + left->e_len == x->e_pblk &&
	       !((left->e_flags ^ x->e_flags) & EXT2_EXTENT_FLAGS_UNINIT) &&
	       left->e_len + (uint64_t)x->e_len <= max;
}

static errcode_t insert_one(ext2_extent_handle_t h, struct ext2fs_extent *x)
{
	struct ext2fs_extent at;
	int flags = 0;
	errcode_t err;

	err = ext2fs_extent_goto(h, x->e_lblk);
	if (!err)
		return EXT2_ET_INODE_CORRUPTED;
	if (err != EXT2_ET_EXTENT_NOT_FOUND)
		return err;
	err = ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, &at);
	if (!err && at.e_lblk < x->e_lblk) {
		if (extends(&at, x)) {
			at.e_len += x->e_len;
			return ext2fs_extent_replace(h, 0, &at);
		}
		flags = EXT2_EXTENT_INSERT_AFTER;
	} else if (err && err != EXT2_ET_NO_CURRENT_NODE) {
		return err;
	}
	err = ext2fs_extent_insert(h, flags, x);
	return err ? err : ext2fs_extent_fix_parents(h);
}

static errcode_t insert_extents(struct ext4 *e, struct node *n,
				const struct run *r)
{
	uint64_t max = r->unwritten ? MAX_UNWRITTEN : MAX_INIT;
	ext2_extent_handle_t h;
	uint64_t done = 0;
	errcode_t err;

	lib_enter(e);
	err = ext2fs_extent_open2(e->fs, n->ino, small(n), &h);
	while (!err && done < r->len) {
		uint64_t len = r->len - done;
		struct ext2fs_extent x = {
			.e_lblk = r->lblk + done,
			.e_pblk = r->pblk + done,
			.e_len = len < max ? len : max,
			.e_flags = r->unwritten ? EXT2_EXTENT_FLAGS_UNINIT : 0,
		};

		err = insert_one(h, &x);
		done += x.e_len;
	}
	if (h)
		ext2fs_extent_free(h);
	return err;
}

static errcode_t insert_pointers(struct ext4 *e, struct node *n,
				 const struct run *r)
{
	errcode_t err = 0;
	uint64_t i;

	lib_enter(e);
	for (i = 0; !err && i < r->len; i++) {
		blk64_t blk = r->pblk + i;

		err = ext2fs_bmap2(e->fs, n->ino, small(n), NULL,
				   BMAP_SET | BMAP_ALLOC, r->lblk + i, NULL,
				   &blk);
	}
	return err;
}

int rk__ext4_map_insert(struct ext4 *e, struct node *n, const struct run *r)
{
	errcode_t err;
	int rc = 0;

	rk__ext4_map_forget(e, n->ino);
	err = ext2fs_iblk_add_blocks(e->fs, small(n), r->len);
	if (err)
		return -EFBIG;
	if (n->i.i_flags & EXT4_EXTENTS_FL)
		rc = insert_quickly(e, n, r);
	if (rc)
		return rc < 0 ? rc : 0;
	if (n->i.i_flags & EXT4_EXTENTS_FL)
		err = insert_extents(e, n, r);
	else
		err = insert_pointers(e, n, r);
	return rk__ext4_errno(err);
}

/* The part of extent *x in front of, in, and after [lblk, lblk + len) become
 * extents of their own; the middle one gets `flags`. */
static errcode_t convert_one(ext2_extent_handle_t h,
			     const struct ext2fs_extent *x, uint64_t lblk,
			     uint64_t len, uint32_t flags)
{
	struct ext2fs_extent part[3];
	uint64_t at[4] = { x->e_lblk, lblk, lblk + len, x->e_lblk + x->e_len };
	bool first = true;
	errcode_t err = 0;
	int i;

	for (i = 0; !err && i < 3; i++) {
		part[i] = *x;
		part[i].e_lblk = at[i];
		part[i].e_pblk = x->e_pblk + (at[i] - x->e_lblk);
		part[i].e_len = at[i + 1] - at[i];
		if (i == 1)
			part[i].e_flags = flags;
		if (!part[i].e_len)
			continue;
		if (first)
			err = ext2fs_extent_replace(h, 0, &part[i]);
		else
			err = ext2fs_extent_insert(h, EXT2_EXTENT_INSERT_AFTER,
						   &part[i]);
		if (!err)
			err = ext2fs_extent_fix_parents(h);
		if (!err && !first)
			err = ext2fs_extent_goto(h, part[i].e_lblk);
		first = false;
	}
	return err;
}

/* Sequential writing into a preallocated file: the written extent on the
 * left grows by what the unwritten one loses. */
static errcode_t shift_left(ext2_extent_handle_t h, struct ext2fs_extent *x,
			    uint64_t len, bool *ret_done)
{
	struct ext2fs_extent left, moved = *x;
	errcode_t err;

	*ret_done = false;
	err = ext2fs_extent_get(h, EXT2_EXTENT_PREV_SIB, &left);
	if (err)
		return ext2fs_extent_goto(h, x->e_lblk);
	moved.e_len = len;
	moved.e_flags = 0;
	if (len >= x->e_len || !extends(&left, &moved))
		return ext2fs_extent_goto(h, x->e_lblk);
	left.e_len += len;
	err = ext2fs_extent_replace(h, 0, &left);
	if (!err)
		err = ext2fs_extent_get(h, EXT2_EXTENT_NEXT_SIB, &left);
	if (err)
		return err;
	x->e_lblk += len;
	x->e_pblk += len;
	x->e_len -= len;
	err = ext2fs_extent_replace(h, 0, x);
	*ret_done = true;
	return err ? err : ext2fs_extent_fix_parents(h);
}

static errcode_t convert(ext2_extent_handle_t h, uint64_t lblk, uint64_t len,
			 bool unwritten, uint64_t *ret_done)
{
	uint32_t flags = unwritten ? EXT2_EXTENT_FLAGS_UNINIT : 0;
	struct ext2fs_extent x;
	uint64_t room;
	bool done = false;
	errcode_t err;

	err = ext2fs_extent_goto(h, lblk);
	if (!err)
		err = ext2fs_extent_get(h, EXT2_EXTENT_CURRENT, &x);
	if (err)
		return err;
	room = x.e_lblk + x.e_len - lblk;
	if (len > room)
		len = room;
	if (unwritten && len > MAX_UNWRITTEN)
		len = MAX_UNWRITTEN;
	*ret_done = len;
	if ((x.e_flags & EXT2_EXTENT_FLAGS_UNINIT) == flags)
		return 0;
	if (!unwritten && lblk == x.e_lblk)
		err = shift_left(h, &x, len, &done);
	if (err || done)
		return err;
	return convert_one(h, &x, lblk, len,
			   (x.e_flags & ~EXT2_EXTENT_FLAGS_UNINIT) | flags);
}

static int convert_slowly(struct ext4 *e, struct node *n, uint64_t lblk,
			  uint64_t len, bool unwritten, uint64_t *ret_done)
{
	ext2_extent_handle_t h;
	errcode_t err;

	lib_enter(e);
	err = ext2fs_extent_open2(e->fs, n->ino, small(n), &h);
	if (err)
		return rk__ext4_errno(err);
	err = convert(h, lblk, len, unwritten, ret_done);
	ext2fs_extent_free(h);
	return rk__ext4_errno(err);
}

int rk__ext4_map_convert(struct ext4 *e, struct node *n, uint64_t lblk,
			 uint64_t len, bool unwritten)
{
	uint64_t done = 0;
	int rc = 0;

	rk__ext4_map_forget(e, n->ino);
	for (; rc >= 0 && len; len -= done, lblk += done) {
		rc = convert_quickly(e, n, lblk, len, unwritten, &done);
		if (rc == 0)
			rc = convert_slowly(e, n, lblk, len, unwritten, &done);
	}
	return rc < 0 ? rc : 0;
}
