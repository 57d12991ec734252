/*
 * fuse_slot.c - the slots of a mount's inbox: which are free, and which holds
 * the request of an id. Both are volatile; the inbox is what counts.
 */
#include <string.h>
#include <sys/epoll.h>
#include "fuse.h"

static struct fuse_in_header *request_at(const struct rk__fuse *f, unsigned i)
{
	uint8_t *base = (uint8_t *)f->inbox;

	if (i < RK_FUSE_BIG_SLOTS)
		base += RK_FUSE_BIG_AT + i * RK_FUSE_BIG_SIZE + RK_PAGE -
			RK_FUSE_WRITE_HEAD;
	else
		base += RK_FUSE_SMALL_AT +
			(i - RK_FUSE_BIG_SLOTS) * RK_FUSE_SMALL;
	return (struct fuse_in_header *)base;
}

struct rk__fuse_slot *rk__fuse_slot(struct rk__fuse *f, unsigned i)
{
	struct rk__fuse_slot *s = &f->slot[i];

	s->fuse = f;
	s->request = request_at(f, i);
	return s;
}

uint64_t rk__fuse_held(const struct rk__fuse *f, unsigned i)
{
	if (i < RK_FUSE_BIG_SLOTS) {
		const struct fuse_in_header *in = request_at(f, i);

		return in->len ? rk__fuse_id(in) : 0;
	}
	return atomic_load_explicit(&f->inbox->id[i], memory_order_relaxed);
}

/* --- by id ------------------------------------------------------------------- */

static struct rk__fuse_slot **bucket_of(const struct rk__fuse *f, uint64_t id)
{
	/* Ids of the kernel are even, and count. */
	return (struct rk__fuse_slot **)&f->by_id[(id >> 1) % RK_FUSE_BUCKETS];
}

struct rk__fuse_slot *rk__fuse_find(const struct rk__fuse *f, uint64_t id,
				    const struct rk__fuse_slot *but)
{
	struct rk__fuse_slot *s = *bucket_of(f, id);

	while (s && (s == but || rk__fuse_held(f, rk__fuse_index(s)) != id))
		s = s->same;
	return s;
}

void rk__fuse_enlist(struct rk__fuse_slot *s)
{
	struct rk__fuse_slot **head =
		bucket_of(s->fuse, rk__fuse_id(s->request));

	s->same = *head;
	*head = s;
}

/* One that was never enlisted is not there. */
static void delist(struct rk__fuse_slot *s)
{
	struct rk__fuse_slot **at =
		bucket_of(s->fuse, rk__fuse_id(s->request));

	while (*at && *at != s)
		at = &(*at)->same;
	if (*at)
		*at = s->same;
}

/* --- free and taken ---------------------------------------------------------- */

static void push_free(struct rk__fuse *f, unsigned i)
{
	if (i < RK_FUSE_BIG_SLOTS)
		f->free_big[f->n_free_big++] = (uint16_t)i;
	else
		f->free_small[f->n_free_small++] = (uint16_t)i;
}

bool rk__fuse_get_buffer(struct rk__fuse_slot *s)
{
	struct rk__fuse *f = s->fuse;

	if (!s->buffer && f->n_free_buffer)
		s->buffer = f->free_buffer[--f->n_free_buffer];
	return s->buffer;
}

void rk__fuse_put_buffer(struct rk__fuse_slot *s)
{
	if (s->buffer)
		s->fuse->free_buffer[s->fuse->n_free_buffer++] = s->buffer;
	s->buffer = NULL;
}

void rk__fuse_release(struct rk__fuse_slot *s)
{
	struct rk__fuse *f = s->fuse;
	unsigned i = rk__fuse_index(s);

	rk__fuse_put_buffer(s);
	delist(s);
	if (i < RK_FUSE_BIG_SLOTS)
		s->request->len = 0;
	else
		atomic_store(&f->inbox->id[i], 0);
	atomic_signal_fence(memory_order_seq_cst);
	push_free(f, i);
	if (f->paused && f->n_free_big > 1) {
		f->paused = false;
		rk__loop_add(&f->source, EPOLLIN);
	}
}

struct rk__fuse_slot *rk__fuse_slot_take(struct rk__fuse *f, bool big)
{
	return rk__fuse_slot(f, big ? f->free_big[--f->n_free_big] :
				      f->free_small[--f->n_free_small]);
}

/* --- what a predecessor left ---------------------------------------------------- */

/* A request that its predecessor was copying on stands in two slots. */
static void drop_copy(struct rk__fuse *f, unsigned big)
{
	uint64_t id = rk__fuse_held(f, big);

	for (unsigned i = RK_FUSE_BIG_SLOTS; id && i < RK_FUSE_SLOTS; i++)
		if (rk__fuse_held(f, i) == id)
			request_at(f, big)->len = 0;
}

static void find_free(struct rk__fuse *f)
{
	memset(f->by_id, 0, sizeof f->by_id);
	f->n_free_big = f->n_free_small = 0;
	for (unsigned i = RK_FUSE_SLOTS; i-- > 0;)
		if (rk__fuse_held(f, i))
			rk__fuse_enlist(rk__fuse_slot(f, i));
		else
			push_free(f, i);
}

static void clear(struct rk__fuse *f)
{
	for (unsigned i = 0; i < RK_FUSE_SLOTS; i++)
		atomic_store(&f->inbox->id[i], 0);
	for (unsigned i = 0; i < RK_FUSE_BIG_SLOTS; i++)
		request_at(f, i)->len = 0;
}

void rk__fuse_slots_start(struct rk__fuse *f, bool first)
{
	if (first)
		clear(f);
	for (unsigned i = 0; i < RK_FUSE_BIG_SLOTS; i++)
		drop_copy(f, i);
	find_free(f);
}
