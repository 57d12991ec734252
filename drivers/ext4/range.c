/*
 * range.c - fallocate, and where data and holes are: in a file, and on the
 * device.
 */
#include <fcntl.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <linux/fiemap.h>
#include "ext4.h"

/* Unwritten blocks for every hole of [first, end). */
static int preallocate(struct ext4 *e, struct node *n, uint64_t first,
		       uint64_t end)
{
	while (first < end) {
		struct run r;
		int err = rk__ext4_map(e, n, first, &r);

		if (err)
			return err;
		if (r.len > end - first)
			r.len = end - first;
		if (!r.pblk) {
			uint64_t want = r.len < EXT_UNINIT_MAX_LEN
				? r.len : EXT_UNINIT_MAX_LEN;

			if (want > rk__ext4_room(e))
				return -ENOSPC;
			err = rk__ext4_alloc(e, rk__ext4_goal(e, n, first),
					     want, &r.pblk, &r.len);
			r.unwritten = true;
			if (!err)
				err = rk__ext4_map_insert(e, n, &r);
		}
		if (err)
			return err;
		first += r.len;
	}
	return 0;
}

/* Whole blocks go, parts of blocks become zeros. */
static int punch(struct ext4 *e, struct node *n, uint64_t off, uint64_t end)
{
	uint64_t mask = e->block_size - 1;
	uint64_t up = (off + mask) & ~mask, down = end & ~mask;
	int err;

	if (up > down)
		return rk__ext4_zero_range(e, n, off, end);
	err = rk__ext4_zero_range(e, n, off, up);
	if (!err)
		err = rk__ext4_zero_range(e, n, down, end);
	while (!err && up < down) {
		err = rk__ext4_punch(e, n, up >> e->block_bits,
				     (down >> e->block_bits) - 1);
		if (err <= 0)
			break;
		err = 0;
	}
	return err;
}

static int change_range(struct ext4 *e, struct node *n, uint32_t mode,
			uint64_t off, uint64_t end)
{
	uint64_t mask = e->block_size - 1;
	int err = rk__ext4_settle(e, n);

	if (!err && has_inline(n))
		err = rk__ext4_expand_inline(e, n);
	if (!err && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
		err = punch(e, n, off, end);
	if (!err && !(mode & FALLOC_FL_PUNCH_HOLE))
		err = preallocate(e, n, off >> e->block_bits,
				  (end + mask) >> e->block_bits);
	if (err)
		return err;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && end > rk__ext4_size(n)) {
		uint64_t size = rk__ext4_size(n);

		if (size & mask)
			err = rk__ext4_zero_range(e, n, size,
						  (size | mask) + 1);
		rk__ext4_size_set(e, n, end);
	}
	rk__ext4_touch(e, n, T_MTIME | T_CTIME);
	return err ? err : rk__ext4_node_write(e, n);
}

static int check(struct ext4 *e, const struct node *n, uint32_t mode,
		 uint64_t off, uint64_t len)
{
	uint64_t max = rk__ext4_max_blocks(e, n) << e->block_bits;

	if (!S_ISREG(n->i.i_mode))
		return S_ISDIR(n->i.i_mode) ? -EISDIR : -ENODEV;
	if (!len)
		return -EINVAL;
	if (guarded(n, mode & ~FALLOC_FL_KEEP_SIZE ? FROZEN : IMMUTABLE))
		return -EPERM;
	if (off > max || len > max - off)
		return -EFBIG;
	if (mode & FALLOC_FL_PUNCH_HOLE)
		return 0;
	if (!(n->i.i_flags & EXT4_EXTENTS_FL) && !has_inline(n))
		return -EOPNOTSUPP;
	if (!(mode & FALLOC_FL_ZERO_RANGE) && len >> e->block_bits >
	    rk__ext4_room(e) + (ext2fs_get_stat_i_blocks(e->fs,
	    small((void *)n)) >> (e->block_bits - 9)))
		return -ENOSPC;
	return 0;
}

int rk__ext4_fallocate(void *fs, uint64_t ino, uint32_t mode, uint64_t off,
		       uint64_t len)
{
	struct ext4 *e = fs;
	struct node n;
	int err = e->read_only ? -EROFS : 0;

	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		break;
	default:
		return -EOPNOTSUPP;
	}
	if (!err)
		err = rk__ext4_node_read(e, ino, &n);
	if (!err)
		err = check(e, &n, mode, off, len);
	if (err)
		return err;
	e->host.change(e->host.ctx);
	return change_range(e, &n, mode, off, off + len);
}

int rk__ext4_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		  uint64_t *ret)
{
	struct ext4 *e = fs;
	struct node n;
	uint64_t size, at = off;
	int err = rk__ext4_node_read(e, ino, &n);

	if (err)
		return err;
	size = rk__ext4_size(&n);
	if (off >= size)
		return -ENXIO;
	while (at < size && !has_inline(&n) && S_ISREG(n.i.i_mode)) {
		struct run r;

		err = rk__ext4_map(e, &n, at >> e->block_bits, &r);
		if (err)
			return err;
		if ((!r.pblk || r.unwritten) == hole) {
			*ret = at;
			return 0;
		}
		if (r.len > (size >> e->block_bits) + 1)
			break;
		at = (r.lblk + r.len) << e->block_bits;
	}
	if (!hole && !has_inline(&n) && S_ISREG(n.i.i_mode))
		return -ENXIO;
	*ret = hole ? size : off;
	return 0;
}

/* Bytes that stand in the inode lie where the inode does, unaligned: their
 * place is nobody's to use. */
static int inline_extent(const struct node *n, uint64_t off, rk_extent_fn *emit,
			 void *arg)
{
	uint64_t size = rk__ext4_size(n);

	if (off < size)
		emit(arg, 0, 0, size, FIEMAP_EXTENT_DATA_INLINE |
		     FIEMAP_EXTENT_NOT_ALIGNED);
	return 0;
}

int rk__ext4_fiemap(void *fs, uint64_t ino, uint64_t off, uint64_t end,
		    rk_extent_fn *emit, void *arg)
{
	struct ext4 *e = fs;
	uint64_t lblk = off >> e->block_bits, last;
	struct node n;
	int err = rk__ext4_node_read(e, ino, &n);

	if (err)
		return err;
	if (has_inline(&n))
		return inline_extent(&n, off, emit, arg);
	if (!S_ISREG(n.i.i_mode) && !S_ISDIR(n.i.i_mode))
		return -EOPNOTSUPP;
	last = rk__ext4_max_blocks(e, &n);
	while (lblk < last && lblk << e->block_bits < end) {
		struct run r;

		err = rk__ext4_map(e, &n, lblk, &r);
		if (err)
			return err;
		if (r.pblk && emit(arg, lblk << e->block_bits,
				   r.pblk << e->block_bits,
				   r.len << e->block_bits, r.unwritten ?
				   FIEMAP_EXTENT_UNWRITTEN : 0))
			return 0;
		if (r.len >= last - lblk)
			return 0;
		lblk += r.len;
	}
	return 0;
}
