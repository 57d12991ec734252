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

int rk__ext4_punch(struct ext4 *e, struct node *n, uint64_t first,
		   uint64_t last)
{
	errcode_t err;

	if (!has_blocks(e, n) || has_inline(n) || first > last)
		return 0;
	rk__ext4_map_forget(e, n->ino);
	if (n->i.i_flags & EXT4_EXTENTS_FL)
		return rk__ext4_punch_tree(e, n, first, last);
	if (first >= rk__ext4_max_blocks(e, n))
		return 0;
	lib_enter(e);
	err = ext2fs_punch(e->fs, n->ino, small(n), NULL, first, last);
	return rk__ext4_errno(err);
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
