/*
 * notice.c - the server's side of notice.h.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "fuse.h"
#include "notice.h"

enum {
	FULL_TRIES = 1000,		/* a millisecond each */
};

static bool own;			/* the kernel's request runs */
static uint64_t rung[RK_MOUNTS_MAX];	/* `put` when the bell was rung */

struct rk__notices *rk__notices_at(void *inbox)
{
	return (struct rk__notices *)((uint8_t *)inbox + RK_FUSE_NOTICES_AT);
}

void rk__notice_own(bool is)
{
	own = is;
}

static void ring_bell(struct rk__notices *n)
{
	atomic_fetch_add(&n->bell, 1);
	if (atomic_load(&n->asleep))
		syscall(SYS_futex, &n->bell, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static bool is_settled(struct rk__fuse *f)
{
	struct rk__notices *n;
	uint64_t put;

	if (!f->live)
		return true;
	n = rk__notices_at(f->inbox);
	put = atomic_load_explicit(&n->put, memory_order_relaxed);
	if (atomic_load_explicit(&n->done, memory_order_acquire) >= put)
		return true;
	atomic_store(&n->waiting, 1);
	if (rung[f->mount] != put) {
		rung[f->mount] = put;
		ring_bell(n);
	}
	return atomic_load(&n->done) >= put;
}

static bool settled(void)
{
	bool all = true;

	for (uint32_t i = 0; i < RK_MOUNTS_MAX; i++)
		all &= is_settled(rk__fuse_of(i));
	return all;
}

static bool telling(void)
{
	for (uint32_t i = 0; i < RK_MOUNTS_MAX; i++) {
		struct rk__fuse *f = rk__fuse_of(i);
		struct rk__notices *n = f->live ? rk__notices_at(f->inbox) :
				       NULL;

		if (n && atomic_load(&n->begun) > atomic_load(&n->done))
			return true;
	}
	return false;
}

/* A ring that stays full is one that nobody reads: more than a second long the
 * notifier was not started anew. */
static bool has_room(struct rk__notices *n, uint64_t put)
{
	const struct timespec t = { .tv_nsec = 1000000 };

	for (unsigned i = 0; i < FULL_TRIES; i++) {
		if (put - atomic_load(&n->done) < RK_NOTICES)
			return true;
		ring_bell(n);
		nanosleep(&t, NULL);
	}
	return false;
}

static void put_notice(struct rk__fuse *f, struct rk__notice one)
{
	struct rk__notices *n = rk__notices_at(f->inbox);
	uint64_t put = atomic_load(&n->put);

	if (!has_room(n, put))
		return;
	n->ring[put % RK_NOTICES] = one;
	atomic_store_explicit(&n->put, put + 1, memory_order_release);
}

static void data_changed(struct rk__node node, uint64_t off, uint64_t len)
{
	struct rk__fuse *f = rk__fuse_of(node.mount);
	uint32_t v = own || !f->live ? 0 : rk__vnode_find(node);

	if (v && rk__vnode(v)->lookups)
		put_notice(f, (struct rk__notice){
			.nodeid = rk__fuse_nodeid(v), .off = off, .len = len,
		});
}

static void names_changed(struct rk__node dir)
{
	struct rk__fuse *f = rk__fuse_of(dir.mount);
	uint32_t v = own || !f->live ? 0 : rk__vnode_find(dir);

	if (v && (rk__vnode(v)->early ||
		  v == rk__core->mount[dir.mount].root_vnode))
		put_notice(f, (struct rk__notice){
			.nodeid = rk__fuse_nodeid(v),
		});
}

/* Names of a mount all at once, attributes file by file. */
static void shared(void)
{
	for (uint32_t i = 0; i < RK_MOUNTS_MAX; i++) {
		struct rk__fuse *f = rk__fuse_of(i);

		if (f->live && (f->flags & RK_FUSE_HAS_EPOCH)) {
			put_notice(f, (struct rk__notice){
				.nodeid = RK_NOTICE_ALL_NAMES,
			});
			put_notice(f, (struct rk__notice){
				.nodeid = FUSE_ROOT_ID,
				.off = RK_NOTICE_ATTRIBUTES,
			});
		}
	}
	for (uint32_t v = 1; v < rk__core->vnode_brk; v++) {
		const struct rk__vnode *node = rk__vnode(v);
		struct rk__fuse *f = node ? rk__fuse_of(node->mount) : NULL;

		if (f && node->lookups && f->live &&
		    (f->flags & RK_FUSE_HAS_EPOCH))
			put_notice(f, (struct rk__notice){
				.nodeid = rk__fuse_nodeid(v),
				.off = RK_NOTICE_ATTRIBUTES,
			});
	}
}

void rk__notice_start(void)
{
	static const struct rk__watcher watcher = {
		.shared = shared,
		.data_changed = data_changed,
		.names_changed = names_changed,
		.settled = settled,
		.telling = telling,
	};

	rk__watcher = &watcher;
}
