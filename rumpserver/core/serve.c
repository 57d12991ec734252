/*
 * serve.c - runs requests, commits what they changed, has the gates post.
 *
 * Theory of operation. Requests that are ready together make a batch: each is
 * run, and its answer waits in the queue; then one commit carries all their
 * changes and replies, and only after it the answers are posted. A request that
 * changed nothing while nothing else is uncommitted is answered at once.
 *
 * A request that fails after a change must have happened not at all. If it was
 * alone, a rollback does that; if others of the batch were before it, all is
 * rolled back and each is run again by itself.
 *
 * Who changed what others cache has its answer when they know of it (vfs.h).
 * Until then the answer is held, and each commit carries it again.
 *
 * fsync waits for a flush point: all that ask in one batch share one.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "core/core.h"
#include "core/pages.h"
#include "core/serve.h"
#include "core/task.h"
#include "core/vfs.h"

enum {
	BATCH_MAX = 32,
	BATCH_BYTES_MAX = 1 << 20,	/* staged blocks at which a batch ends */
	HELD_MAX = 64,
	HELD_S = 10,			/* longer than that, nobody is there */
};

#define SYNC_FAILED UINT64_MAX		/* in place of a flush point */

static const char flush_key;

static struct {
	struct rk__board *board;
	struct rk__handle *queue[BATCH_MAX];
	unsigned n_queued;
	struct rk__handle *held[HELD_MAX];
	unsigned n_held;
	uint64_t held_ns;		/* since when there are any */
	uint64_t runs;			/* of requests */
	bool flush_wanted;
	bool answered;			/* one answer since this server started */
	uint64_t flush_point;		/* last commit that was one */
	uint64_t dirty_max;		/* bytes in overlays: then a flush point */
	int sync_error;			/* of the last flush point that failed */
} serve;

void rk__serve_start(struct rk__board *board, uint64_t dirty_max)
{
	serve.board = board;
	serve.dirty_max = dirty_max;
}

bool rk__was_committed(uint32_t slot, uint64_t id)
{
	assert(slot < RK_SLOTS_ALL);
	return rk__core->committed[slot] == id && id != 0;
}

/* --- answers -------------------------------------------------------------- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void post(struct rk__handle *h)
{
	if (!serve.answered) {
		serve.answered = true;
		atomic_store(&serve.board->answer_ns, now_ns());
	}
	h->queued = false;
	h->flush_seq = 0;
	h->gate->post(h);
}

static void reply_of(const struct rk__handle *h, struct rk__reply *ret)
{
	*ret = (struct rk__reply){
		.slot = h->slot,
		.id = h->id,
		.result = h->result,
		.data = h->out,
		.length = h->out_len,
	};
}

static unsigned collect_held(struct rk__reply *replies)
{
	for (unsigned i = 0; i < serve.n_held; i++)
		reply_of(serve.held[i], &replies[i]);
	return serve.n_held;
}

/* Only answers of requests that changed something need to outlive us: the
 * others are run again by a successor. */
static unsigned collect_replies(struct rk__reply *replies)
{
	unsigned n = collect_held(replies);

	for (unsigned i = 0; i < serve.n_queued; i++)
		if (serve.queue[i]->replied)
			reply_of(serve.queue[i], &replies[n++]);
	return n;
}

static void roll_back(void)
{
	rk__rollback();
	rk__name_purge_all();
	rk__pages_rolled_back();
}

static void commit(const struct rk__reply *replies, unsigned n,
		   uint32_t flags, uint64_t *ret_seq)
{
	if (rk__pages)
		rk__pages->before_commit();
	rk__commit(replies, n, flags, ret_seq);
	if (rk__pages)
		rk__pages->after_commit();
}

static void commit_queue(void)
{
	struct rk__reply replies[BATCH_MAX + HELD_MAX];
	unsigned n = collect_replies(replies);

	commit(replies, n, 0, NULL);
	/* Nobody asked, but what is not flushed stands in memory. */
	if ((rk__dirty_bytes() > serve.dirty_max &&
	     serve.flush_point <= rk__flushed_seq()) || rk__calls_are_many())
		serve.flush_wanted = true;
	atomic_store_explicit(&serve.board->one_by_one, 0,
			      memory_order_relaxed);
}

bool rk__serve_held(bool in_any_case)
{
	unsigned n = serve.n_held;

	if (!n)
		return false;
	if (!in_any_case && !rk__watcher->settled() &&
	    now_ns() - serve.held_ns < HELD_S * 1000000000ull)
		return true;
	serve.n_held = 0;
	for (unsigned i = 0; i < n; i++)
		post(serve.held[i]);
	return false;
}

static void hold(struct rk__handle *h)
{
	if (serve.n_held == HELD_MAX)
		rk__serve_held(true);
	if (!serve.n_held)
		serve.held_ns = now_ns();
	serve.held[serve.n_held++] = h;
}

static void post_queue(void)
{
	bool settled = !rk__watcher || rk__watcher->settled();
	unsigned n = serve.n_queued;

	serve.n_queued = 0;
	RK_CRASHPOINT(reply_not_posted);
	for (unsigned i = 0; i < n; i++) {
		struct rk__handle *h = serve.queue[i];

		if (settled || h->gate->caches || !h->replied)
			post(h);
		else
			hold(h);
		RK_CRASHPOINT(reply_half_posted);
	}
}

/* Those who wait for a flush point and do not know which yet. */
static void tell_flush_waiters(uint64_t seq)
{
	struct rk__handle *h = rk__parked_next(NULL, &flush_key);

	for (; h; h = rk__parked_next(h, &flush_key))
		if (!h->flush_seq)
			h->flush_seq = seq;
}

static void flush_failed(int error)
{
	serve.sync_error = error;
	tell_flush_waiters(SYNC_FAILED);
	rk__wake(&flush_key);
}

static void commit_flush_point(void)
{
	struct rk__reply held[HELD_MAX];

	serve.flush_wanted = false;
	if (atomic_load(&serve.board->read_only)) {
		flush_failed(-EROFS);
		return;
	}
	if (serve.flush_point != rk__committed_seq()) {
		int r = rk__vfs_sync(RK_MOUNTS_MAX);

		if (r < 0) {
			roll_back();
			flush_failed(r);
			return;
		}
		commit(held, collect_held(held), RK_RECORD_FLUSH,
		       &serve.flush_point);
	}
	tell_flush_waiters(serve.flush_point);
}

void rk__serve_flush(void)
{
	if (rk__changed())
		commit_queue();
	/* Before any other commit: a successor posts only the replies of the
	 * last one. */
	if (serve.n_queued)
		post_queue();
	rk__serve_held(false);
	if (serve.flush_wanted)
		commit_flush_point();
	/* The keeper may have been faster than us. */
	if (serve.flush_point && rk__flushed_seq() >= serve.flush_point)
		rk__serve_flushed();
}

void rk__serve_flushed(void)
{
	rk__wake(&flush_key);
}

void rk__serve_make_flush_point(void)
{
	if (!rk__vfs_has_device(RK_MOUNTS_MAX))
		return;
	if (rk__changed() || serve.flush_point != rk__committed_seq()) {
		serve.flush_wanted = true;
		rk__serve_flush();
	}
}

void rk__serve_last_flush_point(void)
{
	uint64_t seq;

	rk__commit(NULL, 0, RK_RECORD_FLUSH | RK_RECORD_CHECKPOINT, &seq);
	serve.flush_point = seq;
}

enum rk__outcome rk__serve_fsync(struct rk__handle *h, uint32_t mount)
{
	int error = rk__flush_error();

	h->out_len = 0;
	if (!rk__vfs_has_device(mount)) {
		h->result = rk__vfs_sync(mount);
		return RK_DONE;
	}
	if (error < 0) {
		h->result = error;
		return RK_DONE;
	}
	if (h->flush_seq == SYNC_FAILED) {
		h->result = serve.sync_error;
		return RK_DONE;
	}
	if (h->flush_seq && rk__flushed_seq() >= h->flush_seq) {
		h->result = 0;
		return RK_DONE;
	}
	if (!h->flush_seq)
		serve.flush_wanted = true;
	rk__park(h, &flush_key);
	return RK_PARKED;
}

/* --- running -------------------------------------------------------------- */

static bool quarantined(const struct rk__handle *h)
{
	struct rk__board *b = serve.board;

	return atomic_load_explicit(&b->quarantine, memory_order_relaxed) &&
	       atomic_load(&b->quarantine_slot) == h->slot &&
	       atomic_load(&b->quarantine_id) == h->id;
}

static enum rk__outcome run(struct rk__handle *h)
{
	struct rk__board *b = serve.board;
	uint64_t progress = atomic_load_explicit(&b->progress,
						 memory_order_relaxed);
	enum rk__outcome o;

	if (quarantined(h)) {
		h->result = -EIO;
		h->out_len = 0;
		return RK_DONE;
	}
	serve.runs++;
	atomic_store_explicit(&b->current_op, h->op, memory_order_relaxed);
	atomic_store_explicit(&b->current_slot, h->slot, memory_order_relaxed);
	atomic_store_explicit(&b->current_id, h->id, memory_order_relaxed);
	atomic_store_explicit(&b->alone, serve.n_queued == 0,
			      memory_order_relaxed);
	atomic_store_explicit(&b->progress, (progress + 1) | 1,
			      memory_order_relaxed);
	RK_CRASHPOINT(request_taken);
	rk__handle_now = h;
	o = h->gate->exec(h);
	rk__handle_now = NULL;
	progress = atomic_load_explicit(&b->progress, memory_order_relaxed);
	atomic_store_explicit(&b->progress, progress + 1, memory_order_relaxed);
	atomic_store_explicit(&b->ops, atomic_load_explicit(&b->ops,
			      memory_order_relaxed) + 1, memory_order_relaxed);
	return o;
}

static void mark_committed(struct rk__handle *h)
{
	uint64_t *word = &rk__core->committed[h->slot];

	RK_NOTE(word);
	*word = h->id;
	h->replied = true;
}

static bool is_asleep(const struct rk__handle *h)
{
	return rk__tasks && rk__tasks->asleep(h);
}

/* What it did so far is committed; it is run on later. */
static void leave_asleep(struct rk__handle *h, enum rk__outcome o)
{
	const void *key = rk__tasks->key(h);

	rk__serve_flush();
	if (o == RK_SLEEPS && !h->interrupted)
		rk__park(h, key);
	else
		rk__requeue(h);
}

/* In the model `process` others have their turn between two stages. */
static bool gives_way(struct rk__handle *h)
{
	if (!rk__tasks || !rk__others_wait || !rk__others_wait())
		return false;
	rk__requeue(h);
	return true;
}

/*
 * Runs h until it has an answer (RK_DONE, RK_NO_REPLY), is parked, sleeps or
 * gives way; stages commit. *changes: their count since the last commit of it.
 */
static enum rk__outcome stages(struct rk__handle *h, uint64_t *changes)
{
	for (;;) {
		bool slept = is_asleep(h);
		enum rk__outcome o = run(h);

		if (o == RK_SLEEPS || o == RK_YIELDS) {
			leave_asleep(h, o);
			return RK_SLEEPS;
		}
		/* A driver that waits here does so by leaving (rk_host.wait). */
		if (o == RK_DONE && h->parked) {
			if (h->result == -ERESTART)
				o = RK_PARKED;
			else
				rk__unpark(h);
		}
		if (o != RK_STAGE && !(slept && o == RK_PARKED))
			return o;
		if (slept)
			rk__tasks->end(h);
		rk__serve_flush();
		*changes = rk__change_count();
		if (o == RK_PARKED || gives_way(h))
			return RK_SLEEPS;
	}
}

static enum rk__outcome run_stages(struct rk__handle *h, uint64_t *changes)
{
	enum rk__outcome o = stages(h, changes);

	rk__wait_passed_on(h, o == RK_DONE && h->result >= 0);
	return o;
}

/* true: it has an answer. */
static bool take_outcome(struct rk__handle *h, enum rk__outcome o,
			 uint64_t changes)
{
	if (o == RK_PARKED || o == RK_SLEEPS)
		return false;
	if (o == RK_NO_REPLY)
		h->result = 0;
	if (rk__change_count() != changes && h->result >= 0) {
		mark_committed(h);
		h->replied = o == RK_DONE;
	}
	return true;
}

static void enqueue(struct rk__handle *h)
{
	h->queued = true;
	serve.queue[serve.n_queued++] = h;
}

/* An op that slept is at its end, alone: with its answer, good or bad, its
 * stack goes. */
static void end_slept(struct rk__handle *h, enum rk__outcome o,
		      uint64_t changes)
{
	if (h->result < 0 && rk__change_count() != changes)
		roll_back();
	rk__tasks->end(h);
	mark_committed(h);
	h->replied = o == RK_DONE;
	enqueue(h);
	rk__serve_flush();
}

/* Its changes are to be taken back: it failed, or waits to be run anew. */
static bool is_undone(const struct rk__handle *h, enum rk__outcome o,
		      uint64_t changes)
{
	return rk__change_count() != changes &&
	       (o == RK_PARKED || (o == RK_DONE && h->result < 0));
}

static void run_alone(struct rk__handle *h)
{
	uint64_t changes = rk__change_count();
	enum rk__outcome o;

	h->queued = h->replied = false;
	o = run_stages(h, &changes);
	if (o == RK_SLEEPS)
		return;
	if (is_asleep(h)) {
		end_slept(h, o, changes);
		return;
	}
	if (is_undone(h, o, changes))
		roll_back();
	if (!take_outcome(h, o, changes))
		return;
	enqueue(h);
	rk__serve_flush();
}

/* Rolls the whole batch back and runs each of it by itself. */
static void run_each_alone(struct rk__handle *last)
{
	struct rk__handle *batch[BATCH_MAX + 1];
	unsigned n = serve.n_queued;

	memcpy(batch, serve.queue, n * sizeof *batch);
	batch[n++] = last;
	serve.n_queued = 0;
	roll_back();
	if (last->parked)
		rk__unpark(last);
	for (unsigned i = 0; i < n; i++)
		run_alone(batch[i]);
}

void rk__serve_request(struct rk_running *ret)
{
	*ret = (struct rk_running){
		.slot = atomic_load(&serve.board->current_slot),
		.id = atomic_load(&serve.board->current_id),
		.run = serve.runs,
		.commits = rk__committed_seq(),
	};
}

static bool batch_is_full(void)
{
	return serve.n_queued == BATCH_MAX || rk__any_outside() ||
	       (rk__pages && rk__pages->urgent()) ||
	       rk__staged_bytes() >= BATCH_BYTES_MAX ||
	       atomic_load_explicit(&serve.board->one_by_one,
				    memory_order_relaxed);
}

void rk__serve(struct rk__handle *h)
{
	uint64_t changes, seq;
	enum rk__outcome o;
	bool others;

	if (is_asleep(h)) {
		rk__serve_flush();
		run_alone(h);
		return;
	}
	if (h->direct_output && rk__changed())
		rk__serve_flush();
	h->replied = false;
	changes = rk__change_count();
	others = rk__changed();
	seq = rk__committed_seq();
	o = run_stages(h, &changes);
	if (o == RK_SLEEPS)
		return;
	if (is_undone(h, o, changes)) {
		if (others && seq == rk__committed_seq()) {
			run_each_alone(h);
			return;
		}
		roll_back();
	}
	if (!take_outcome(h, o, changes))
		return;
	if (!rk__changed() && serve.n_queued == 0) {
		post(h);
		return;
	}
	enqueue(h);
	if (batch_is_full())
		rk__serve_flush();
}
