/*
 * trunc.c - taking blocks away from a file, and zeros at its edges.
 *
 * A large file shrinks in stages: its size goes first, then blocks from the
 * end, a bounded number each time, so that no commit is large. In between a
 * linked file is on the orphan list, where the next mount finds it, and in
 * `staged`, where whoever makes it larger finds it.
 */
#include <stdlib.h>
#include "ext4.h"

static int has_blocks(struct ext4 *e, struct node *n)
{
	return ext2fs_inode_has_valid_blocks2(e->fs, small(n));
}

/* An extent's part [first, last] of its own blocks goes. */
static int cut_extent(struct ext4 *e, struct node *n, struct ext3_extent *x,
		      uint64_t first, uint64_t last)
{
	uint64_t start = extent_start(x), len = last - first + 1;
	uint64_t skip = first - x->ee_block;
	int err = rk__ext4_free_blocks(e, start + skip, len);

	if (!err)
		err = rk__ext4_errno(ext2fs_iblk_sub_blocks(e->fs, small(n),
							    len));
	if (err)
		return err;
	if (skip == 0) {
		x->ee_block += len;
		x->ee_start = start + len;
		x->ee_start_hi = (start + len) >> 32;
	}
	x->ee_len -= len;
	return 0;
}

/* A tree that is only a root: 1 done, 0 it would have to be split. */
static int punch_root(struct ext4 *e, struct node *n, uint64_t first,
		      uint64_t last)
{
	struct ext3_extent_header *h = (void *)n->i.i_block;
	struct ext3_extent *x = (void *)(h + 1);
	int i;

	for (i = h->eh_entries - 1; i >= 0; i--) {
		uint64_t begin = x[i].ee_block, len = extent_len(&x[i]), end;
		uint64_t from = first > begin ? first : begin, to;
		int err;

		end = begin + len - 1;
		to = last < end ? last : end;
		if (!len || from > to)
			continue;
		if (from > begin && to < end)
			return 0;
		err = cut_extent(e, n, &x[i], from, to);
		if (err)
			return err;
		if (to - from + 1 < len)
			continue;
		h->eh_entries--;
		memmove(&x[i], &x[i + 1], (h->eh_entries - i) * sizeof(*x));
		memset(&x[h->eh_entries], 0, sizeof(*x));
	}
	return 1;
}

int rk__ext4_punch(struct ext4 *e, struct node *n, uint64_t first,
		   uint64_t last)
{
	uint64_t end, from = first;
	bool more = false;
	errcode_t err;
	int rc;

	if (!has_blocks(e, n) || has_inline(n))
		return 0;
	rc = rk__ext4_map_end(e, n, &end);
	if (rc)
		return rc;
	if (last >= end)
		last = end - 1;
	if (end == 0 || first > last)
		return 0;
	if ((n->i.i_flags & EXT4_EXTENTS_FL) && last + 1 == end &&
	    last - first >= STAGE_BLOCKS) {
		from = last - STAGE_BLOCKS + 1;
		more = true;
	}
	rk__ext4_map_forget(e, n->ino);
	if ((n->i.i_flags & EXT4_EXTENTS_FL) &&
	    !((struct ext3_extent_header *)n->i.i_block)->eh_depth) {
		rc = punch_root(e, n, first, last);
		if (rc)
			return rc < 0 ? rc : 0;
	}
	lib_enter(e);
	err = ext2fs_punch(e->fs, n->ino, small(n), NULL, from,
			   last + 1 == end ? ~0ULL : last);
	return err ? rk__ext4_errno(err) : more;
}

int rk__ext4_settle(struct ext4 *e, struct node *n)
{
	uint64_t mask = e->block_size - 1;
	int rc;

	if (!rk__ext4_is_staged(e, n->ino))
		return 0;
	do
		rc = rk__ext4_punch(e, n, (rk__ext4_size(n) + mask) >>
				    e->block_bits, ~0ull);
	while (rc > 0);
	return rc ? rc : rk__ext4_unstage(e, n);
}

int rk__ext4_zero_range(struct ext4 *e, struct node *n, uint64_t off,
			uint64_t end)
{
	while (off < end) {
		uint64_t in = off & (e->block_size - 1), len;
		struct run r;
		int err = rk__ext4_map(e, n, off >> e->block_bits, &r);

		if (err)
			return err;
		len = r.len > UINT64_MAX >> (e->block_bits + 1)
			? end - off : (r.len << e->block_bits) - in;
		if (len > end - off)
			len = end - off;
		if (r.pblk && !r.unwritten)
			err = rk__ext4_zero_at(e, (r.pblk << e->block_bits) +
					       in, len);
		if (err)
			return err;
		off += len;
	}
	return 0;
}

/* What lies behind the end in its block becomes visible or goes: zeros. */
static int zero_tail(struct ext4 *e, struct node *n, uint64_t size)
{
	uint64_t in = size & (e->block_size - 1);

	if (!in)
		return 0;
	return rk__ext4_zero_range(e, n, size, size - in + e->block_size);
}

int rk__ext4_resize(struct ext4 *e, struct node *n, uint64_t size)
{
	uint64_t old = rk__ext4_size(n);
	int err = 0, more = 0;

	if (size > rk__ext4_max_blocks(e, n) << e->block_bits)
		return -EFBIG;
	if (has_inline(n)) {
		err = rk__ext4_expand_inline(e, n);
		if (err)
			return err;
	}
	if (size > old)
		err = rk__ext4_settle(e, n);
	if (!err)
		err = zero_tail(e, n, size < old ? size : old);
	if (err)
		return err;
	rk__ext4_size_set(e, n, size);
	err = rk__ext4_node_write(e, n);
	if (!err && size <= old)
		err = more = rk__ext4_punch(e, n,
			(size + e->block_size - 1) >> e->block_bits, ~0ull);
	if (err < 0 || !n->i.i_links_count)
		return err < 0 ? err : more;
	if (more)
		more = rk__ext4_stage(e, n);
	else if (rk__ext4_is_staged(e, n->ino))
		more = rk__ext4_unstage(e, n);
	return more;
}

static int drop_inline(struct ext4 *e, struct node *n)
{
	struct ext2_xattr_handle *h;
	errcode_t err;
	int rc;

	lib_enter(e);
	err = ext2fs_xattrs_open(e->fs, n->ino, &h);
	if (err)
		return rk__ext4_errno(err);
	err = ext2fs_xattrs_read(h);
	if (!err)
		err = ext2fs_xattr_remove(h, "system.data");
	ext2fs_xattrs_close(&h);
	rc = err ? rk__ext4_errno(err) : rk__ext4_node_read(e, n->ino, n);
	if (rc)
		return rc;
	n->i.i_flags &= ~EXT4_INLINE_DATA_FL;
	rk__ext4_map_init(e, n);
	return rk__ext4_node_write(e, n);
}

static int expand_file(struct ext4 *e, struct node *n)
{
	uint64_t size = rk__ext4_size(n);
	char *buf = e->block[B_NEW];
	int64_t done = rk__ext4_read(e, n->ino, buf, e->block_size, 0);
	int err;

	if (done < 0)
		return done;
	err = drop_inline(e, n);
	if (!err && done)
		done = rk__ext4_put(e, n, buf, done, 0);
	if (err || done < 0)
		return err ? err : done;
	if ((uint64_t)done != size)
		return -EUCLEAN;
	return rk__ext4_node_write(e, n);
}

static int expand_dir(struct ext4 *e, struct node *n)
{
	char *buf = e->block[B_DIR];
	uint64_t lblk, pblk;
	int err = rk__ext4_dir_inline(e, n, buf);

	if (!err)
		err = drop_inline(e, n);
	if (err)
		return err;
	rk__ext4_size_set(e, n, 0);
	err = rk__ext4_dir_grow(e, n, &lblk, &pblk);
	if (!err)
		err = rk__ext4_dir_write(e, n, pblk, buf);
	return err ? err : rk__ext4_node_write(e, n);
}

/* The inode's own bytes move to a block, as an ordinary file's. */
int rk__ext4_expand_inline(struct ext4 *e, struct node *n)
{
	rk__ext4_map_forget(e, n->ino);
	return S_ISDIR(n->i.i_mode) ? expand_dir(e, n) : expand_file(e, n);
}
