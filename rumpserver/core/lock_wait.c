/*
 * lock_wait.c - who waits for which POSIX lock, so that a circle of waits is
 * refused with EDEADLK. Volatile: a successor runs every waiting request again
 * and so learns it anew.
 *
 * Waits are hashed by owner. An owner waits for the owners of the locks in its
 * way, which are found in the file's list when they are asked for; so nothing
 * here has to be kept right when locks change. A search marks the waits it has
 * seen, and so looks at each once.
 */
#include <fcntl.h>
#include <stdlib.h>
#include "lock.h"
#include "vfs_int.h"

enum { BUCKETS = 1 << 12 };

struct wait {
	struct wait *next;		/* of the bucket */
	struct wait *todo;		/* of a search */
	uint64_t seen;			/* the last search that came by */
	uint32_t vnode;
	struct rk__lock_request request;
};

static struct wait *buckets[BUCKETS];
static uint64_t search;

static struct wait **bucket_of(uint64_t owner)
{
	return &buckets[(owner * 0x9e3779b97f4a7c15ull) >> 52];
}

static struct wait **find(uint32_t vnode, const struct rk__lock_request *r)
{
	struct wait **at = bucket_of(r->owner);

	for (; *at; at = &(*at)->next) {
		const struct rk__lock_request *q = &(*at)->request;

		if (q->owner == r->owner && (*at)->vnode == vnode &&
		    q->type == r->type && q->start == r->start &&
		    q->end == r->end)
			break;
	}
	return at;
}

void rk__lock_wait_begin(uint32_t vnode, const struct rk__lock_request *r)
{
	struct wait **at = find(vnode, r), *w;

	if (*at || r->kind != RK_LOCK_POSIX)
		return;
	w = calloc(1, sizeof *w);
	if (!w)
		return;
	w->vnode = vnode;
	w->request = *r;
	*at = w;
}

void rk__lock_wait_end(uint32_t vnode, const struct rk__lock_request *r)
{
	struct wait **at, *w;

	if (r->kind != RK_LOCK_POSIX)
		return;
	at = find(vnode, r);
	w = *at;
	if (!w)
		return;
	*at = w->next;
	free(w);
}

void rk__lock_wait_end_all(uint64_t owner)
{
	struct wait **at = bucket_of(owner), *w;

	while ((w = *at)) {
		if (w->request.owner == owner) {
			*at = w->next;
			free(w);
		} else {
			at = &w->next;
		}
	}
}

void rk__lock_restart(void)
{
	struct wait *w;
	int i;

	for (i = 0; i < BUCKETS; i++) {
		while ((w = buckets[i])) {
			buckets[i] = w->next;
			free(w);
		}
	}
}

/* Puts the unseen waits of `owner` on the list. */
static void add_waits(uint64_t owner, struct wait **todo)
{
	struct wait *w = *bucket_of(owner);

	for (; w; w = w->next) {
		if (w->request.owner != owner || w->seen == search)
			continue;
		w->seen = search;
		w->todo = *todo;
		*todo = w;
	}
}

/* Lists the waits of those in r's way; true if `owner` is one of them. */
static bool blocked_by(uint64_t owner, uint32_t vnode,
		       const struct rk__lock_request *r, struct wait **todo)
{
	const struct rk__lock *l;
	uint32_t i;

	for (i = rk__core->vnode[vnode].locks; i; i = l->next) {
		l = &rk__core->lock[i];
		if (l->kind != RK_LOCK_POSIX || !rk__lock_conflicts(l, r))
			continue;
		if (l->owner == owner)
			return true;
		add_waits(l->owner, todo);
	}
	return false;
}

bool rk__lock_would_deadlock(uint32_t vnode, const struct rk__lock_request *r)
{
	struct wait *todo = NULL, *w;

	if (r->kind != RK_LOCK_POSIX)
		return false;
	search++;
	if (blocked_by(r->owner, vnode, r, &todo))
		return true;
	while ((w = todo)) {
		todo = w->todo;
		if (blocked_by(r->owner, w->vnode, &w->request, &todo))
			return true;
	}
	return false;
}
