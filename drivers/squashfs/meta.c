/*
 * meta.c - blocks of metadata and of data, unpacked and kept.
 */
#include <stdlib.h>
#include <string.h>
#include "squashfs.h"

static struct md_block *md_get(struct squash *s, uint64_t pos)
{
	struct md_block *b = &s->md[(pos * 0x9e3779b97f4a7c15ull) >> 56];
	sqfs_block *block;
	size_t on_disk;

	_Static_assert(MD_BLOCKS == 1 << 8, "the hash above");
	if (b->block && b->pos == pos)
		return b;
	if (sqfs_md_block_read(&s->lib, (sqfs_off_t)pos, &on_disk, &block))
		return NULL;
	if (b->block)
		sqfs_block_dispose(b->block);
	b->block = block;
	b->pos = pos;
	b->next = pos + on_disk;
	return b;
}

int rk__squash_md_read(struct squash *s, sqfs_md_cursor *cur, void *buf,
		       size_t size)
{
	char *to = buf;

	while (size) {
		struct md_block *b = md_get(s, (uint64_t)cur->block);
		size_t take;

		if (!b)
			return -EIO;
		if (cur->offset >= b->block->size)
			return -EUCLEAN;
		take = b->block->size - cur->offset;
		if (take > size)
			take = size;
		if (to) {
			memcpy(to, (char *)b->block->data + cur->offset, take);
			to += take;
		}
		size -= take;
		cur->offset += take;
		if (cur->offset == b->block->size) {
			cur->block = (sqfs_off_t)b->next;
			cur->offset = 0;
		}
	}
	return 0;
}

int rk__squash_table_get(struct squash *s, const sqfs_table *t, uint64_t count,
			 uint64_t index, void *buf)
{
	uint64_t at = index * t->each;
	sqfs_md_cursor cur;

	if (index >= count || !t->blocks)
		return -EUCLEAN;
	cur.block = (sqfs_off_t)t->blocks[at / SQUASHFS_METADATA_SIZE];
	cur.offset = at % SQUASHFS_METADATA_SIZE;
	return rk__squash_md_read(s, &cur, buf, t->each);
}

/* --- data ------------------------------------------------------------------- */

static void drop(struct squash *s, struct data_block *b)
{
	if (!b->block)
		return;
	s->data_bytes -= b->block->size;
	sqfs_block_dispose(b->block);
	b->block = NULL;
}

/* A free place, after what was not used for longest went. */
static struct data_block *make_room(struct squash *s)
{
	for (;;) {
		struct data_block *oldest = NULL, *free_one = NULL;

		for (unsigned i = 0; i < DATA_BLOCKS; i++) {
			struct data_block *b = &s->data[i];

			if (!b->block)
				free_one = b;
			else if (!oldest || b->used < oldest->used)
				oldest = b;
		}
		if (free_one && (!oldest || s->data_bytes < DATA_BYTES))
			return free_one;
		drop(s, oldest);
	}
}

int rk__squash_data(struct squash *s, uint64_t pos, uint32_t header,
		    const sqfs_block **ret)
{
	struct data_block *b;
	sqfs_block *block;

	for (unsigned i = 0; i < DATA_BLOCKS; i++) {
		b = &s->data[i];
		if (!b->block || b->pos != pos || b->header != header)
			continue;
		b->used = ++s->clock;
		*ret = b->block;
		return 0;
	}
	if (sqfs_data_block_read(&s->lib, (sqfs_off_t)pos, header, &block))
		return -EIO;
	b = make_room(s);
	*b = (struct data_block){ pos, ++s->clock, header, block };
	s->data_bytes += block->size;
	*ret = block;
	return 0;
}

void rk__squash_forget(struct squash *s)
{
	for (unsigned i = 0; i < DATA_BLOCKS; i++)
		drop(s, &s->data[i]);
	for (unsigned i = 0; i < MD_BLOCKS; i++)
		if (s->md[i].block)
			sqfs_block_dispose(s->md[i].block);
	for (unsigned i = 0; i < MAPS; i++)
		free(s->map[i].mark);
}
