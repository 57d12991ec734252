/*
 * waiting.c - requests that wait: parked on a key, woken, run again. Volatile:
 * what waits stands in its slot, and a successor runs it anew.
 *
 * Theory of operation. What waits is on the list of its key, in the order it
 * came, and nowhere else; it costs its slot and no thread. What is woken goes
 * to one list, which the loop runs.
 *
 * Locks are special, because ten thousand may wait for one. Of those who wait
 * for locks of a file, one is called only when nothing is in its way: no lock,
 * and nobody who was called before it and has not run yet. So each of the
 * others has somebody in its way, and the list is looked at again whenever a
 * lock goes, or whoever was called did not take what it was called for. One
 * look calls CALLS_MAX at most, so that it stays short; the last of them has
 * the list looked at again.
 */
#include <assert.h>
#include <fcntl.h>
#include "core/serve.h"
#include "core/vfs.h"

enum {
	BUCKETS = 4096,
	CALLS_MAX = 64,
};

static struct {
	struct {
		struct rk__handle *first, *last;
	} bucket[BUCKETS];
	struct rk__handle *woken, *woken_last;
	unsigned n_parked;
} waits;

static unsigned bucket_of(const void *key)
{
	uint64_t h = (uintptr_t)key * 0x9e3779b97f4a7c15ull;

	return h >> 52;
}
_Static_assert(BUCKETS == 1 << 12, "bucket_of takes 12 bits");

/* --- on a key, and off it ------------------------------------------------------ */

void rk__park(struct rk__handle *h, const void *key)
{
	unsigned b = bucket_of(key);

	assert(!h->parked && !h->queued);
	h->parked = true;
	h->wait_key = key;
	h->next = NULL;
	h->prev = waits.bucket[b].last;
	if (h->prev)
		h->prev->next = h;
	else
		waits.bucket[b].first = h;
	waits.bucket[b].last = h;
	waits.n_parked++;
}

static void take_off(struct rk__handle *h)
{
	unsigned b = bucket_of(h->wait_key);

	if (h->prev)
		h->prev->next = h->next;
	else
		waits.bucket[b].first = h->next;
	if (h->next)
		h->next->prev = h->prev;
	else
		waits.bucket[b].last = h->prev;
	h->next = h->prev = NULL;
	h->parked = false;
	h->wait_key = NULL;
	waits.n_parked--;
}

bool rk__unpark(struct rk__handle *h)
{
	if (!h->parked || !h->wait_key)
		return false;
	take_off(h);
	h->flush_seq = 0;
	return true;
}

struct rk__handle *rk__parked_next(struct rk__handle *h, const void *key)
{
	for (h = h ? h->next : waits.bucket[bucket_of(key)].first; h;
	     h = h->next)
		if (h->wait_key == key)
			break;
	return h;
}

unsigned rk__parked_count(void)
{
	return waits.n_parked;
}

/* --- woken -------------------------------------------------------------------- */

/* Still not free for anything else: parked without a key. */
void rk__requeue(struct rk__handle *h)
{
	h->parked = true;
	if (waits.woken_last)
		waits.woken_last->next = h;
	else
		waits.woken = h;
	waits.woken_last = h;
}

static void wake(struct rk__handle *h)
{
	take_off(h);
	rk__requeue(h);
}

void rk__wake(const void *key)
{
	struct rk__handle *h = rk__parked_next(NULL, key), *next;

	for (; h; h = next) {
		next = rk__parked_next(h, key);
		wake(h);
	}
}

/* Those that are woken by these have their turn the next time. */
void rk__serve_woken(void)
{
	struct rk__handle *h, *last = waits.woken_last;

	do {
		h = waits.woken;
		if (!h)
			return;
		waits.woken = h->next;
		if (!waits.woken)
			waits.woken_last = NULL;
		h->next = NULL;
		h->parked = false;
		rk__serve(h);
	} while (h != last);
}

bool rk__serve_has_woken(void)
{
	return waits.woken != NULL;
}

/* --- locks -------------------------------------------------------------------- */

void rk__park_lock(struct rk__handle *h, uint32_t vnode, uint32_t ofd,
		   const struct rk__lock_request *want)
{
	/* Whether it was called stays: it has yet to pass that on. */
	h->lock.want = *want;
	h->lock.vnode = vnode;
	h->lock.ofd = ofd;
	rk__park(h, rk__lock_key(vnode));
}

/* Is somebody who was called and has not run yet in h's way? */
static bool behind_called(const struct rk__handle *h)
{
	const struct rk__handle *w;

	for (w = waits.woken; w; w = w->next)
		if (w->lock.called && w->lock.vnode == h->lock.vnode &&
		    rk__lock_rivals(&w->lock.want, &h->lock.want))
			return true;
	return false;
}

void rk__wake_locks(uint32_t vnode)
{
	const void *key = rk__lock_key(vnode);
	struct rk__handle *h = rk__parked_next(NULL, key), *next;
	unsigned n = 0;

	for (; h; h = next) {
		next = rk__parked_next(h, key);
		if (rk__lock_in_way(vnode, &h->lock.want) || behind_called(h))
			continue;
		wake(h);
		h->lock.called = true;
		if (++n == CALLS_MAX) {
			h->lock.more = true;
			return;
		}
	}
}

void rk__wake_ofd(uint32_t vnode, uint32_t ofd)
{
	const void *key = rk__lock_key(vnode);
	struct rk__handle *h = rk__parked_next(NULL, key), *next;

	for (; h; h = next) {
		next = rk__parked_next(h, key);
		if (h->lock.ofd == ofd)
			wake(h);
	}
}

void rk__wait_passed_on(struct rk__handle *h, bool took_it)
{
	bool again = h->lock.called && (h->lock.more || !took_it);
	uint32_t vnode = h->lock.vnode;

	h->lock.called = h->lock.more = false;
	if (again)
		rk__wake_locks(vnode);
}
