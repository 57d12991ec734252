/*
 * waiting.c - requests that wait for something, and those that were woken and
 * are to be run again. Volatile: what waits stands in its slot, and a successor
 * runs it anew.
 *
 * A request that waits is on the list of a key and nowhere else.
 */
#include <assert.h>
#include "core/serve.h"

enum { WAIT_BUCKETS = 4096 };

static struct {
	struct rk__handle *bucket[WAIT_BUCKETS];
	struct rk__handle *woken, *woken_last;
	unsigned n_parked;
} waiting;

static struct rk__handle **bucket_of(const void *key)
{
	uint64_t h = (uintptr_t)key * 0x9e3779b97f4a7c15ull;

	return &waiting.bucket[h >> 52];
}
_Static_assert(WAIT_BUCKETS == 1 << 12, "bucket_of takes 12 bits");

struct rk__handle *rk__waiting(const void *key)
{
	return *bucket_of(key);
}

void rk__park(struct rk__handle *h, const void *key)
{
	struct rk__handle **bucket = bucket_of(key);

	assert(!h->parked && !h->queued);
	h->parked = true;
	h->wait_key = key;
	h->prev = NULL;
	h->next = *bucket;
	if (h->next)
		h->next->prev = h;
	*bucket = h;
	waiting.n_parked++;
}

static void unlink_parked(struct rk__handle *h)
{
	if (h->prev)
		h->prev->next = h->next;
	else
		*bucket_of(h->wait_key) = h->next;
	if (h->next)
		h->next->prev = h->prev;
	h->next = h->prev = NULL;
	h->parked = false;
	h->wait_key = NULL;
	waiting.n_parked--;
}

bool rk__unpark(struct rk__handle *h)
{
	if (!h->parked || !h->wait_key)
		return false;
	unlink_parked(h);
	h->flush_seq = 0;
	return true;
}

/* Still not free for anything else: parked without a key. */
void rk__requeue(struct rk__handle *h)
{
	h->parked = true;
	if (waiting.woken_last)
		waiting.woken_last->next = h;
	else
		waiting.woken = h;
	waiting.woken_last = h;
}

void rk__wake(const void *key)
{
	struct rk__handle *h = *bucket_of(key), *next;

	for (; h; h = next) {
		next = h->next;
		if (h->wait_key != key)
			continue;
		unlink_parked(h);
		rk__requeue(h);
	}
}

void rk__serve_woken(void)
{
	struct rk__handle *h = waiting.woken, *next;

	waiting.woken = waiting.woken_last = NULL;
	for (; h; h = next) {
		next = h->next;
		h->next = NULL;
		h->parked = false;
		rk__serve(h);
	}
}

bool rk__serve_has_woken(void)
{
	return waiting.woken != NULL;
}

unsigned rk__parked_count(void)
{
	return waiting.n_parked;
}
