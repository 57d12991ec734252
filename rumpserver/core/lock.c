/*
 * lock.c - POSIX, OFD and flock locks of files.
 *
 * Each file has one list of locks. Ranges of one owner never overlap, and
 * touching ones of one type are one: setting a range swallows and cuts what
 * the owner had there. POSIX and OFD locks see each other; flock locks are a
 * space of their own, as on Linux. What can fail is checked before the first
 * change, so that an error changes nothing.
 */
#include <assert.h>
#include <fcntl.h>
#include "serve.h"
#include "vfs_int.h"
#include "lock.h"

static struct rk__lock *lock_at(uint32_t i)
{
	return &rk__core->lock[i];
}

static bool mine(const struct rk__lock *l, const struct rk__lock_request *r)
{
	return l->owner == r->owner && l->kind == r->kind;
}

static bool overlap(const struct rk__lock *l, uint64_t start, uint64_t end)
{
	return l->start <= end && start <= l->end;
}

bool rk__lock_conflicts(const struct rk__lock *l,
			const struct rk__lock_request *r)
{
	if ((l->kind == RK_LOCK_FLOCK) != (r->kind == RK_LOCK_FLOCK))
		return false;
	if (mine(l, r) || !(l->exclusive || r->type == F_WRLCK))
		return false;
	return overlap(l, r->start, r->end);
}

/* The one that starts first, as POSIX wants F_GETLK to say. */
static const struct rk__lock *first_conflict(uint32_t vnode,
					     const struct rk__lock_request *r)
{
	const struct rk__lock *found = NULL;
	uint32_t i;

	for (i = rk__core->vnode[vnode].locks; i; i = lock_at(i)->next) {
		const struct rk__lock *l = lock_at(i);

		if (rk__lock_conflicts(l, r) &&
		    (!found || l->start < found->start))
			found = l;
	}
	return found;
}

bool rk__lock_in_way(uint32_t vnode, const struct rk__lock_request *r)
{
	return first_conflict(vnode, r) != NULL;
}

bool rk__lock_rivals(const struct rk__lock_request *a,
		     const struct rk__lock_request *b)
{
	const struct rk__lock l = {
		.kind = (uint8_t)a->kind,
		.exclusive = a->type == F_WRLCK,
		.owner = a->owner,
		.start = a->start,
		.end = a->end,
	};

	return rk__lock_conflicts(&l, b);
}

const void *rk__lock_key(uint32_t vnode)
{
	return &rk__core->vnode[vnode].locks;
}

/* --- records ---------------------------------------------------------------- */

static bool have(unsigned n)
{
	uint32_t brk = rk__core->lock_brk ? rk__core->lock_brk : 1;
	uint32_t i = rk__core->lock_free;
	unsigned left = RK_LOCKS_MAX - brk;

	for (; i && left < n; i = lock_at(i)->next)
		left++;
	return left >= n;
}

static uint32_t take(void)
{
	uint32_t i = rk__core->lock_free;

	if (i) {
		RK_NOTE(&rk__core->lock_free);
		rk__core->lock_free = lock_at(i)->next;
		return i;
	}
	i = rk__core->lock_brk ? rk__core->lock_brk : 1;
	assert(i < RK_LOCKS_MAX);
	RK_NOTE(&rk__core->lock_brk);
	rk__core->lock_brk = i + 1;
	return i;
}

static void insert(uint32_t vnode, const struct rk__lock *like)
{
	uint32_t *head = &rk__core->vnode[vnode].locks, i = take();
	struct rk__lock *l = lock_at(i);

	RK_NOTE(l);
	RK_NOTE(head);
	*l = *like;
	l->vnode = vnode;
	l->next = *head;
	*head = i;
}

/* Removes the record that *at names. */
static void drop(uint32_t *at)
{
	uint32_t i = *at;
	struct rk__lock *l = lock_at(i);

	RK_NOTE(at);
	RK_NOTE(l);
	RK_NOTE(&rk__core->lock_free);
	*at = l->next;
	l->vnode = 0;
	l->next = rk__core->lock_free;
	rk__core->lock_free = i;
}

/* --- setting a range -------------------------------------------------------- */

struct range {
	uint64_t start, end;
};

static bool touches(const struct rk__lock *l, const struct range *g)
{
	return (l->end == UINT64_MAX || l->end + 1 >= g->start) &&
	       (g->end == UINT64_MAX || g->end + 1 >= l->start);
}

/* Is the whole range locked like this by one record already? */
static bool is_set(uint32_t vnode, const struct rk__lock_request *r)
{
	uint32_t i;

	for (i = rk__core->vnode[vnode].locks; i; i = lock_at(i)->next) {
		const struct rk__lock *l = lock_at(i);

		if (mine(l, r) && l->start <= r->start && l->end >= r->end)
			return l->exclusive == (r->type == F_WRLCK) &&
			       r->type != F_UNLCK;
	}
	return false;
}

/* Records that setting this range may take: its own, and the end of one that
 * it cuts in the middle. */
static unsigned records_needed(uint32_t vnode, const struct rk__lock_request *r)
{
	uint32_t i;

	for (i = rk__core->vnode[vnode].locks; i; i = lock_at(i)->next) {
		const struct rk__lock *l = lock_at(i);

		if (mine(l, r) && l->start < r->start && l->end > r->end)
			return 1 + (r->type != F_UNLCK);
	}
	return r->type != F_UNLCK;
}

/* Cuts [r->start, r->end] out of *at; what is left behind it becomes a record
 * of its own. Advances *at_ref. */
static void cut(uint32_t vnode, uint32_t **at_ref,
		const struct rk__lock_request *r)
{
	struct rk__lock *l = lock_at(**at_ref), rest = *l;

	if (l->start >= r->start && l->end <= r->end) {
		drop(*at_ref);
		return;
	}
	RK_NOTE(l);
	if (l->start >= r->start) {
		l->start = r->end + 1;
	} else {
		l->end = r->start - 1;
		if (rest.end > r->end) {
			rest.start = r->end + 1;
			insert(vnode, &rest);
		}
	}
	*at_ref = &l->next;
}

/* Makes room for a new record. Returns whether others may gain by it. */
static bool clear_range(uint32_t vnode, const struct rk__lock_request *r,
			struct range *g)
{
	uint32_t *at = &rk__core->vnode[vnode].locks;
	bool gain = false;

	while (*at) {
		struct rk__lock *l = lock_at(*at);
		bool same = r->type != F_UNLCK &&
			    l->exclusive == (r->type == F_WRLCK);

		if (mine(l, r) && same && touches(l, g)) {
			g->start = l->start < g->start ? l->start : g->start;
			g->end = l->end > g->end ? l->end : g->end;
			drop(at);
		} else if (mine(l, r) && !same &&
			   overlap(l, r->start, r->end)) {
			gain |= l->exclusive || r->type == F_UNLCK;
			cut(vnode, &at, r);
		} else {
			at = &l->next;
		}
	}
	return gain;
}

int rk__lock_set(uint32_t vnode, const struct rk__lock_request *r)
{
	struct range g = {r->start, r->end};
	bool gain;

	assert(rk__vnode(vnode) && r->start <= r->end);
	rk__lock_wait_end(vnode, r);
	if (r->type != F_UNLCK && first_conflict(vnode, r))
		return -EAGAIN;
	if (is_set(vnode, r))
		return 0;
	if (!have(records_needed(vnode, r)))
		return -ENOLCK;
	gain = clear_range(vnode, r, &g);
	if (r->type != F_UNLCK)
		insert(vnode, &(struct rk__lock){
			.kind = (uint8_t)r->kind,
			.exclusive = r->type == F_WRLCK,
			.pid = r->pid,
			.owner = r->owner,
			.file = r->file,
			.start = g.start,
			.end = g.end,
		});
	if (gain)
		rk__wake_locks(vnode);
	return 0;
}

void rk__lock_test(uint32_t vnode, const struct rk__lock_request *r,
		   struct rk_flock *ret)
{
	const struct rk__lock *l = first_conflict(vnode, r);

	*ret = (struct rk_flock){.type = F_UNLCK};
	if (r->type == F_UNLCK || !l)
		return;
	ret->type = l->exclusive ? F_WRLCK : F_RDLCK;
	/* An OFD lock belongs to no process: F_GETLK says -1. */
	ret->pid = l->kind == RK_LOCK_OFD ? UINT32_MAX : l->pid;
	ret->start = (int64_t)l->start;
	ret->length = l->end >= INT64_MAX ? 0 :
			(int64_t)(l->end - l->start + 1);
}

static void release(uint32_t vnode,
		    bool (*goes)(const struct rk__lock *l,
				 enum rk__lock_kind kind, uint64_t whose),
		    enum rk__lock_kind kind, uint64_t whose)
{
	uint32_t *at = &rk__core->vnode[vnode].locks;
	bool gain = false;

	while (*at) {
		struct rk__lock *l = lock_at(*at);

		if (goes(l, kind, whose)) {
			drop(at);
			gain = true;
		} else {
			at = &l->next;
		}
	}
	if (gain)
		rk__wake_locks(vnode);
}

static bool is_of_owner(const struct rk__lock *l, enum rk__lock_kind kind,
			uint64_t owner)
{
	return l->owner == owner && (kind == 0 || l->kind == kind);
}

void rk__lock_release(uint32_t vnode, enum rk__lock_kind kind, uint64_t owner)
{
	release(vnode, is_of_owner, kind, owner);
}

static bool is_of_file(const struct rk__lock *l, enum rk__lock_kind kind,
		       uint64_t file)
{
	return l->file == file && l->kind == kind;
}

void rk__lock_release_file(uint32_t vnode, uint64_t file)
{
	release(vnode, is_of_file, RK_LOCK_POSIX, file);
}

void rk__lock_release_all(uint32_t vnode)
{
	uint32_t *head = &rk__core->vnode[vnode].locks;

	while (*head)
		drop(head);
	rk__wake_locks(vnode);
}

int rk__lock_wait(uint32_t vnode, const struct rk__lock_request *r)
{
	uint64_t changes = rk__change_count();

	if (r->kind == RK_LOCK_FLOCK) {
		rk__lock_release(vnode, RK_LOCK_FLOCK, r->owner);
		return rk__change_count() != changes;
	}
	if (rk__lock_would_deadlock(vnode, r))
		return -EDEADLK;
	rk__lock_wait_begin(vnode, r);
	return 0;
}
