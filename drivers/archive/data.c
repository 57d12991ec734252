/*
 * data.c - the bytes of members (see archive.h for the three ways to them).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "archive.h"

/* --- chunks, the newest first ----------------------------------------------- */

static struct chunk **bucket(struct tree *t, uint32_t object, uint64_t number)
{
	uint64_t h = (object * 0x9e3779b97f4a7c15ull ^ number) *
		     0x9e3779b97f4a7c15ull;

	return &t->chunk[h >> 52];
}
_Static_assert(CHUNK_BUCKETS == 1 << 12, "the hash above");

static void unlink_age(struct chunk *c)
{
	c->newer->older = c->older;
	c->older->newer = c->newer;
}

static void make_newest(struct tree *t, struct chunk *c)
{
	c->newer = &t->newest_chunk;
	c->older = t->newest_chunk.older;
	c->older->newer = c;
	t->newest_chunk.older = c;
}

static struct chunk *find_chunk(struct tree *t, uint32_t object,
				uint64_t number)
{
	struct chunk *c = *bucket(t, object, number);

	while (c && (c->object != object || c->number != number))
		c = c->hash_next;
	if (c) {
		unlink_age(c);
		make_newest(t, c);
	}
	return c;
}

static void drop_oldest(struct tree *t)
{
	struct chunk *c = t->newest_chunk.newer;
	struct chunk **at = bucket(t, c->object, c->number);

	while (*at != c)
		at = &(*at)->hash_next;
	*at = c->hash_next;
	unlink_age(c);
	t->cached -= sizeof *c + c->len;
	free(c);
}

static struct chunk *add_chunk(struct tree *t, uint32_t object, uint64_t number,
			       size_t len)
{
	struct chunk *c, **head = bucket(t, object, number);

	while (t->cached && t->cached + sizeof *c + len > t->cache_max)
		drop_oldest(t);
	c = malloc(sizeof *c + len);
	if (!c)
		return NULL;
	c->object = object;
	c->number = number;
	c->len = len;
	c->bytes = (uint8_t *)(c + 1);
	c->hash_next = *head;
	*head = c;
	make_newest(t, c);
	t->cached += sizeof *c + len;
	return c;
}

static size_t chunk_len(const struct object *o, uint64_t number)
{
	uint64_t left = o->size - number * CHUNK;

	return left < CHUNK ? (size_t)left : CHUNK;
}

void rk__data_forget(struct tree *t)
{
	while (t->cached)
		drop_oldest(t);
	for (unsigned i = 0; i < READERS; i++)
		rk__reader_close(&t->reader[i]);
}

/* --- readers -------------------------------------------------------------------- */

/* Can it get there by going on, and does the way lead past less than others? */
static bool is_before(const struct reader *r, const struct object *o,
		      uint64_t off)
{
	if (!r->a)
		return false;
	if (r->member == o->member)
		return r->off <= off;
	return r->whole && r->member < o->member &&
	       (r->t->packed || o->header == NOWHERE);
}

static struct reader *best_reader(struct tree *t, const struct object *o,
				  uint64_t off)
{
	struct reader *best = NULL;

	for (unsigned i = 0; i < READERS; i++) {
		struct reader *r = &t->reader[i];

		if (is_before(r, o, off) &&
		    (!best || r->member > best->member ||
		     (r->member == best->member && r->off > best->off)))
			best = r;
	}
	return best;
}

static int new_reader(struct tree *t, const struct object *o,
		      struct reader **ret)
{
	struct reader *r = &t->reader[0];
	bool whole = t->packed || o->header == NOWHERE;
	struct archive_entry *e;
	int err;

	for (unsigned i = 0; i < READERS; i++)
		if (t->reader[i].used < r->used)
			r = &t->reader[i];
	rk__reader_close(r);
	err = rk__reader_open(t, r, whole ? 0 : o->header, whole);
	/* a member's own reader is at that member, and nowhere else */
	if (err == 0 && !whole) {
		err = rk__reader_next(r, &e) == 1 ? 0 : -EIO;
		r->member = o->member;
	}
	if (err < 0)
		rk__reader_close(r);
	*ret = r;
	return err;
}

/* Unpacks one chunk, which is kept unless there is no memory. */
static int unpack(struct reader *r, uint32_t object, struct chunk **ret)
{
	struct object *o = &r->t->object[object];
	uint64_t number = r->off / CHUNK;
	size_t len = chunk_len(o, number), done = 0;
	struct chunk *c = add_chunk(r->t, object, number, len);

	*ret = c;
	if (!c)
		return -ENOMEM;
	while (done < len) {
		la_ssize_t n = archive_read_data(r->a, c->bytes + done,
						 len - done);

		if (n <= 0)
			break;
		done += (size_t)n;
	}
	r->off += done;
	if (done == len)
		return 0;
	/* it is the newest: it goes without looking */
	*bucket(r->t, object, number) = c->hash_next;
	unlink_age(c);
	r->t->cached -= sizeof *c + len;
	free(c);
	return -EIO;
}

/* Of a packed archive the bytes on the way are unpacked in any case. */
static int pass(struct reader *r)
{
	uint32_t object = r->member < r->t->n_members ?
			  r->t->of_member[r->member] : 0;
	const struct object *o = &r->t->object[object];
	struct archive_entry *e;
	struct chunk *c;

	if (object && r->t->packed && o->member == r->member && !o->encrypted &&
	    o->size <= r->t->cache_max / 4)
		while (r->off < o->size &&
		       !find_chunk(r->t, object, r->off / CHUNK) &&
		       unpack(r, object, &c) == 0)
			;
	return rk__reader_next(r, &e) == 1 ? 0 : -EIO;
}

static int go_and_unpack(struct tree *t, struct reader *r, uint32_t object,
			 uint64_t number, struct chunk **ret)
{
	const struct object *o = &t->object[object];
	int err = 0;

	while (err == 0 && r->member != o->member)
		err = pass(r);
	while (err == 0 && r->off / CHUNK < number)
		err = unpack(r, object, ret);
	return err < 0 ? err : unpack(r, object, ret);
}

static int get_chunk(struct tree *t, uint32_t object, uint64_t number,
		     struct chunk **ret)
{
	const struct object *o = &t->object[object];
	struct reader *r;
	int err = 0;

	*ret = find_chunk(t, object, number);
	if (*ret)
		return 0;
	rk__locale_enter();
	r = best_reader(t, o, number * CHUNK);
	if (!r)
		err = new_reader(t, o, &r);
	if (err == 0)
		err = go_and_unpack(t, r, object, number, ret);
	r->used = ++t->clock;
	if (err < 0)
		rk__reader_close(r);
	rk__locale_leave();
	return err;
}

int64_t rk__archive_read(void *fs, uint64_t ino, void *buf, size_t len,
			 uint64_t off)
{
	struct tree *t = fs;
	const struct object *o = rk__object(t, ino);
	size_t done = 0;

	if (!o)
		return -ESTALE;
	if (!S_ISREG(o->mode))
		return S_ISDIR(o->mode) ? -EISDIR : -EINVAL;
	/* "Required key not available" */
	if (o->encrypted)
		return -ENOKEY;
	if (off >= o->size)
		return 0;
	if (len > o->size - off)
		len = (size_t)(o->size - off);
	if (o->in_place != NOWHERE)
		return t->host.read(t->host.ctx, buf, len, o->in_place + off) ?:
		       (int64_t)len;
	while (done < len) {
		uint64_t at = off + done;
		struct chunk *c;
		size_t in = at % CHUNK, some;
		int err = get_chunk(t, (uint32_t)ino, at / CHUNK, &c);

		if (err < 0)
			return done ? (int64_t)done : err;
		some = c->len - in < len - done ? c->len - in : len - done;
		memcpy((char *)buf + done, c->bytes + in, some);
		done += some;
	}
	return (int64_t)done;
}
