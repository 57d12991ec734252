/*
 * file.c - file data.
 *
 * Data moves between the caller's buffer and the device in whole runs, one
 * transfer each. New blocks are allocated a run at a time; what a partial
 * block does not get from the caller is zeros.
 */
#include <stdlib.h>
#include "ext4.h"

enum {
	/* Of less, a second sync costs more than writing the data twice. */
	LARGE = 32 << 10,
};

static int64_t read_inline(struct ext4 *e, struct node *n, void *buf,
			   size_t len, uint64_t off)
{
	size_t size = 0;
	errcode_t err;

	if (rk__ext4_size(n) > e->block_size)
		return -EUCLEAN;
	lib_enter(e);
	err = ext2fs_inline_data_size(e->fs, n->ino, &size);
	if (err)
		return rk__ext4_errno(err);
	if (size > e->block_size)
		return -EUCLEAN;
	memset(e->block[B_META], 0, e->block_size);
	err = ext2fs_inline_data_get(e->fs, n->ino, small(n),
				     e->block[B_META], &size);
	if (err)
		return rk__ext4_errno(err);
	memcpy(buf, e->block[B_META] + off, len);
	return len;
}

static int read_run(struct ext4 *e, const struct run *r, char *buf,
		    size_t len, unsigned in)
{
	if (r->pblk && !r->unwritten)
		return rk__ext4_read_at(e, buf, len,
					(r->pblk << e->block_bits) + in);
	memset(buf, 0, len);
	return 0;
}

/* Bytes from `in` of the run's first block on, at most len. */
static size_t run_bytes(struct ext4 *e, const struct run *r, unsigned in,
			size_t len)
{
	if (r->len > (len + in) >> e->block_bits)
		return len;
	return (r->len << e->block_bits) - in < len
		? (r->len << e->block_bits) - in : len;
}

static int64_t get(struct ext4 *e, struct node *n, char *buf, size_t len,
		   uint64_t off)
{
	uint64_t size = rk__ext4_size(n);
	size_t done = 0;

	if (off >= size)
		return 0;
	if (len > size - off)
		len = size - off;
	if (has_inline(n))
		return read_inline(e, n, buf, len, off);
	while (done < len) {
		unsigned in = (off + done) & (e->block_size - 1);
		struct run r;
		size_t part;
		int err = rk__ext4_map(e, n, (off + done) >> e->block_bits,
				       &r);

		if (err)
			return err;
		part = run_bytes(e, &r, in, len - done);
		err = read_run(e, &r, buf + done, part, in);
		if (err)
			return err;
		done += part;
	}
	return done;
}

int64_t rk__ext4_read(void *fs, uint64_t ino, void *buf, size_t len,
		      uint64_t off)
{
	struct ext4 *e = fs;
	struct node n;
	int err = rk__ext4_node_read(e, ino, &n);

	if (err)
		return err;
	if (S_ISDIR(n.i.i_mode))
		return -EISDIR;
	if (!S_ISREG(n.i.i_mode))
		return -EINVAL;
	return get(e, &n, buf, len, off);
}

int rk__ext4_readlink(void *fs, uint64_t ino, char *buf, size_t size)
{
	struct ext4 *e = fs;
	struct node n;
	uint64_t len;
	int err = rk__ext4_node_read(e, ino, &n);

	if (err)
		return err;
	if (!S_ISLNK(n.i.i_mode))
		return -EINVAL;
	len = rk__ext4_size(&n);
	if (len == 0 || len >= e->block_size)
		return -EUCLEAN;
	if (size > len)
		size = len;
	if (!has_inline(&n) && ext2fs_is_fast_symlink(small(&n))) {
		if (len >= sizeof(n.i.i_block))
			return -EUCLEAN;
		memcpy(buf, n.i.i_block, size);
		return size;
	}
	return get(e, &n, buf, size, 0);
}

/* Zeros for what the caller's bytes leave free of the first and last block
 * of a run that holds nothing yet. */
static int zero_edges(struct ext4 *e, uint64_t pblk, unsigned in, size_t len)
{
	uint64_t at = (pblk << e->block_bits), end = at + in + len;
	unsigned tail = -end & (e->block_size - 1);
	int err = 0;

	if (in)
		err = rk__ext4_zero_at(e, at, in);
	if (!err && tail)
		err = rk__ext4_zero_at(e, end, tail);
	return err;
}

/* Blocks for the start of a hole; 0 if there are none left for data. */
static int fill_hole(struct ext4 *e, struct node *n, struct run *r,
		     uint64_t want)
{
	uint64_t room = rk__ext4_room(e);
	int err;

	if (!room)
		return 0;
	if (want > r->len)
		want = r->len;
	if (want > room)
		want = room;
	err = rk__ext4_alloc(e, rk__ext4_goal(e, n, r->lblk), want, &r->pblk,
			     &r->len);
	if (err)
		return err == -ENOSPC ? 0 : err;
	err = rk__ext4_map_insert(e, n, r);
	e->goal = r->pblk + r->len;
	return err ? err : 1;
}

/* Data of a run that was allocated for it, in this call or before. */
static int write_run(struct ext4 *e, const struct run *r, const char *buf,
		     size_t len, unsigned in, bool allocated)
{
	uint64_t at = (r->pblk << e->block_bits) + in;

	if (allocated && len >= LARGE && rk__ext4_is_new(e, r->pblk, r->len))
		return rk__ext4_write_new_at(e, buf, len, at);
	return rk__ext4_write_at(e, buf, len, at);
}

/* Writes the start of [off, off + len): as much as one run takes; 0: no room,
 * and nothing was changed. */
static int64_t put_run(struct ext4 *e, struct node *n, const char *buf,
		       size_t len, uint64_t off)
{
	unsigned in = off & (e->block_size - 1);
	uint64_t want = (in + len + e->block_size - 1) >> e->block_bits;
	bool fresh, allocated;
	struct run r;
	size_t part;
	int err = rk__ext4_map(e, n, off >> e->block_bits, &r);

	if (err)
		return err;
	allocated = !r.pblk;
	fresh = allocated || r.unwritten;
	if (allocated) {
		err = fill_hole(e, n, &r, want);
		if (err <= 0)
			return err;
		err = 0;
	}
	part = run_bytes(e, &r, in, len);
	if (r.unwritten)
		err = rk__ext4_map_convert(e, n, r.lblk,
			(in + part + e->block_size - 1) >> e->block_bits,
			false);
	if (!err && fresh)
		err = zero_edges(e, r.pblk, in, part);
	if (!err)
		err = write_run(e, &r, buf, part, in, allocated);
	return err ? err : (int64_t)part;
}

int64_t rk__ext4_put(struct ext4 *e, struct node *n, const char *buf,
		     size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		int64_t part = put_run(e, n, buf + done, len - done,
				       off + done);

		if (part < 0)
			return part;
		if (part == 0)
			break;
		done += part;
	}
	return done || !len ? (int64_t)done : -ENOSPC;
}

static int room_for(struct ext4 *e, struct node *n, uint64_t off, size_t len)
{
	struct run r;
	int err;

	if (rk__ext4_room(e))
		return 0;
	err = rk__ext4_map(e, n, off >> e->block_bits, &r);
	return err ? err : r.pblk ? 0 : -ENOSPC;
}

int64_t rk__ext4_write(void *fs, uint64_t ino, const void *buf, size_t len,
		       uint64_t off)
{
	struct ext4 *e = fs;
	struct node n;
	uint64_t size, max;
	int64_t done;
	int err;

	if (e->read_only)
		return -EROFS;
	err = rk__ext4_node_read(e, ino, &n);
	if (err)
		return err;
	if (!S_ISREG(n.i.i_mode))
		return S_ISDIR(n.i.i_mode) ? -EISDIR : -EINVAL;
	if (!len)
		return 0;
	err = guarded(&n, IMMUTABLE);
	if (err)
		return err;
	max = rk__ext4_max_blocks(e, &n) << e->block_bits;
	if (off >= max)
		return -EFBIG;
	if (len > max - off)
		len = max - off;
	err = has_inline(&n) ? 0 : room_for(e, &n, off, len);
	if (err)
		return err;
	e->host.change(e->host.ctx);
	size = rk__ext4_size(&n);
	if (off + len > size)
		err = rk__ext4_settle(e, &n);
	if (!err && has_inline(&n))
		err = rk__ext4_expand_inline(e, &n);
	if (!err && off > size && (size & (e->block_size - 1)))
		err = rk__ext4_zero_range(e, &n, size,
			(size | (e->block_size - 1)) + 1);
	if (err)
		return err;
	done = rk__ext4_put(e, &n, buf, len, off);
	if (done < 0)
		return done;
	if (off + done > size)
		rk__ext4_size_set(e, &n, off + done);
	rk__ext4_touch(e, &n, T_MTIME | T_CTIME);
	err = rk__ext4_node_write(e, &n);
	return err ? err : done;
}
