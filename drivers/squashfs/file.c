/*
 * file.c - the bytes of files: whole blocks, each packed by itself, and a tail
 * that shares a block with others.
 *
 * Where a block begins follows from the packed sizes of all before it, which
 * stand in a list behind the inode. So that reading in the middle of a large
 * file does not read that list from its beginning each time, every MAP_STEP
 * blocks the place is kept.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include "squashfs.h"

struct list {
	sqfs_md_cursor cur;
	uint64_t index;			/* of the block that comes next */
	uint64_t pos;			/* where it begins */
};

static uint64_t whole_blocks(const struct squash *s, const struct inode *n)
{
	uint64_t size = n->size, block = s->lib.sb.block_size;

	if (n->fragment != SQUASHFS_INVALID_FRAG)
		return size / block;
	return size / block + (size % block != 0);
}

static uint32_t packed_size(uint32_t header)
{
	return header & ~(uint32_t)SQUASHFS_COMPRESSED_BIT_BLOCK;
}

static int list_next(struct squash *s, struct list *l, uint32_t *ret_header,
		     uint64_t *ret_pos)
{
	uint32_t header;
	int r = rk__squash_md_read(s, &l->cur, &header, sizeof header);

	if (r < 0)
		return r;
	*ret_header = le32toh(header);
	*ret_pos = l->pos;
	l->pos += packed_size(*ret_header);
	l->index++;
	return 0;
}

static struct map *find_map(struct squash *s, uint64_t ino)
{
	struct map *m = &s->map[0];

	for (unsigned i = 0; i < MAPS; i++) {
		if (s->map[i].ino == ino) {
			m = &s->map[i];
			break;
		}
		if (s->map[i].used < m->used)
			m = &s->map[i];
	}
	if (m->ino != ino) {
		m->ino = ino;
		m->n = 0;
	}
	m->used = ++s->clock;
	return m;
}

/* No memory is no harm: the next read walks further. */
static void keep_mark(struct map *m, const struct list *l)
{
	struct map_mark *grown;

	if (l->index != (m->n + 1) * MAP_STEP)
		return;
	if (m->n == m->room) {
		size_t room = m->room ? 2 * m->room : 64;

		grown = realloc(m->mark, room * sizeof *grown);
		if (!grown)
			return;
		m->mark = grown;
		m->room = room;
	}
	m->mark[m->n++] = (struct map_mark){ l->cur, l->pos };
}

/* The list, at the block `index`. */
static int list_at(struct squash *s, const struct inode *n, uint64_t index,
		   struct list *l)
{
	struct map *m;
	uint64_t step = index / MAP_STEP;
	int r = 0;

	*l = (struct list){ .cur = n->rest, .pos = n->start };
	if (index < MAP_STEP)
		m = NULL;
	else
		m = find_map(s, n->ino);
	if (m && m->n) {
		const struct map_mark *k;

		step = step < m->n ? step : m->n;
		k = &m->mark[step - 1];
		*l = (struct list){ k->cur, step * MAP_STEP, k->pos };
	}
	while (r == 0 && l->index < index) {
		uint32_t header;
		uint64_t pos;

		r = list_next(s, l, &header, &pos);
		if (r == 0 && m)
			keep_mark(m, l);
	}
	return r;
}

/* Copies from a block that must hold at least off + len bytes; a block that
 * is shorter is damaged, as the file is longer. */
static int copy(struct squash *s, uint64_t pos, uint32_t header, void *buf,
		size_t off, size_t len)
{
	const sqfs_block *b;
	int r;

	if (packed_size(header) > s->lib.sb.block_size)
		return -EUCLEAN;
	r = rk__squash_data(s, pos, header, &b);
	if (r < 0)
		return r;
	if (off > b->size || len > b->size - off)
		return -EUCLEAN;
	memcpy(buf, (const char *)b->data + off, len);
	return 0;
}

static int read_tail(struct squash *s, const struct inode *n, void *buf,
		     size_t off, size_t len)
{
	struct squashfs_fragment_entry f;
	int r = rk__squash_table_get(s, &s->lib.frag_table,
				     s->lib.sb.fragments, n->fragment, &f);

	if (r < 0)
		return r;
	return copy(s, le64toh(f.start_block), le32toh(f.size), buf,
		    (size_t)n->offset + off, len);
}

static int64_t read_blocks(struct squash *s, const struct inode *n, char *buf,
			   size_t len, uint64_t off)
{
	uint64_t block = s->lib.sb.block_size, whole = whole_blocks(s, n);
	size_t done = 0;
	struct list l;
	int r = 0;

	if (off / block < whole)
		r = list_at(s, n, off / block, &l);
	while (r == 0 && done < len) {
		uint64_t at = off + done, pos;
		size_t in = (size_t)(at % block), some = block - in;
		uint32_t header;

		if (some > len - done)
			some = len - done;
		if (at / block >= whole) {
			r = read_tail(s, n, buf + done, in, some);
		} else {
			r = list_next(s, &l, &header, &pos);
			if (r == 0 && packed_size(header) == 0)
				memset(buf + done, 0, some);
			else if (r == 0)
				r = copy(s, pos, header, buf + done, in, some);
		}
		if (r == 0)
			done += some;
	}
	return done ? (int64_t)done : r;
}

int64_t rk__squash_read(void *fs, uint64_t ino, void *buf, size_t len,
			uint64_t off)
{
	struct squash *s = fs;
	struct inode *n, copy_of;
	int r = rk__squash_inode(s, ino, &n);

	if (r < 0)
		return r;
	if (n->type != SQUASHFS_REG_TYPE)
		return n->type == SQUASHFS_DIR_TYPE ? -EISDIR : -EINVAL;
	if (off >= n->size)
		return 0;
	if (len > n->size - off)
		len = (size_t)(n->size - off);
	copy_of = *n;
	return read_blocks(s, &copy_of, buf, len, off);
}

int rk__squash_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		    uint64_t *ret)
{
	struct squash *s = fs;
	uint64_t block = s->lib.sb.block_size, whole, at = off, pos;
	struct inode *found, n;
	struct list l;
	uint32_t header;
	int r = rk__squash_inode(s, ino, &found);

	if (r < 0)
		return r;
	n = *found;
	whole = whole_blocks(s, &n);
	if (off / block < whole)
		r = list_at(s, &n, off / block, &l);
	while (r == 0 && at / block < whole) {
		r = list_next(s, &l, &header, &pos);
		if (r == 0 && hole == (packed_size(header) == 0))
			goto found;
		at = (at / block + 1) * block;
	}
	if (r < 0)
		return r;
	/* the tail is data, and behind the end is a hole */
	if (!hole && at >= n.size)
		return -ENXIO;
	if (hole)
		at = n.size;
found:
	*ret = at < n.size ? at : n.size;
	return 0;
}
