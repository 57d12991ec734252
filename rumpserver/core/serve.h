/*
 * serve.h - one request's way through the server, whichever gate it came by.
 *
 * A gate keeps each request where a successor finds it (a channel slot, an
 * inbox slot, an unread message) until its answer is posted, and gives the
 * core a struct rk__request_handle for it. The core runs it, commits if
 * anything changed, and only then tells the gate to post: nothing leaves a
 * server before the state that produced it is committed.
 *
 * Each slot has a global number and each request an id within its slot. The
 * core records, with the commit, the id of the last request of each slot that
 * changed anything: a successor that finds this id in the slot does not run it
 * again, because the reply was in the record and is posted from there.
 */
#ifndef RK_SERVE_H
#define RK_SERVE_H

#include <stdbool.h>
#include <stdint.h>
#include "../recovery/recovery.h"
#include "core.h"

struct rk__handle;

enum rk__outcome {
	RK_DONE,		/* handle->result, out, out_len are the answer */
	RK_PARKED,		/* it waits: rk__park() was called; nothing changed */
	RK_STAGE,		/* a part is done and noted: commit, then run it again */
	RK_NO_REPLY,		/* done, and nobody waits (FORGET, RELEASE) */
	/* On a stack of its own (task.h), in the middle: commit, and */
	RK_SLEEPS,		/* run it on when what it waits for is woken */
	RK_YIELDS,		/* run it on after those who wait */
};

struct rk__gate_ops {
	const char *name;
	/* Its clients cache what they are told and are those that the watcher
	 * (vfs.h) tells: they never wait for it. */
	bool caches;
	/* Runs the request from where it stands; may be called again. Output
	 * must not be visible to the client before post(). */
	enum rk__outcome (*exec)(struct rk__handle *h);
	/* Delivers the answer and frees the slot (also for RK_NO_REPLY, where
	 * it only frees). h may be reused for the next request afterwards. */
	void (*post)(struct rk__handle *h);
	/* Is there a place for this request to stand while it waits for long?
	 * NULL: always. */
	bool (*may_wait)(struct rk__handle *h);
};

struct rk__handle {
	const struct rk__gate_ops *gate;
	uint32_t slot;			/* global slot number */
	uint64_t id;
	uint32_t op;			/* as board.current_op has it */
	/* exec may write straight to where the client looks (a channel's
	 * payload): the core commits earlier changes before it runs this. */
	bool direct_output;
	/* The caller got a signal or is gone: no driver waits for it. */
	bool interrupted;
	int64_t result;
	const void *out;		/* stable until post */
	uint32_t out_len;
	/* the core's: */
	bool parked, queued, replied;
	uint64_t flush_seq;		/* fsync: waits for this flush point */
	const void *wait_key;
	struct rk__handle *next, *prev;
	struct rk__lock_wait {
		struct rk__lock_request want;
		uint32_t vnode;		/* 0: it waits for something else */
		uint32_t ofd;		/* through which it asks, 0: none of ours */
		bool called;		/* woken because it may have its lock now */
		bool more;		/* and others behind it perhaps too */
	} lock;
};

/* Runs a request, or joins it to the batch; posts when that may be. */
void rk__serve(struct rk__handle *h);
/* Commits and posts what rk__serve has queued. Gates call it when they have
 * no more requests ready. */
void rk__serve_flush(void);
/* What runs now, for those whose effects are not rolled back. */
struct rk_running;
void rk__serve_request(struct rk_running *ret);
/* Was this request committed by a predecessor? */
bool rk__was_committed(uint32_t slot, uint64_t id);

/* Waiting. Key: any address that names the queue. A woken request is run again
 * from its start by rk__serve_woken(), which the loop calls. */
void rk__park(struct rk__handle *h, const void *key);
void rk__wake(const void *key);
/* To be run again after those who wait now. */
void rk__requeue(struct rk__handle *h);
void rk__serve_woken(void);
bool rk__serve_has_woken(void);
/* Those that wait for a key, in the order they came. NULL begins, and ends. */
struct rk__handle *rk__parked_next(struct rk__handle *h, const void *key);

/*
 * The same for a lock, so that ten thousand who wait for one lock do not all
 * run whenever it is let go: rk__wake_locks runs those for whom nothing is in
 * the way, neither a lock nor one that was woken before them. Whoever was woken
 * and takes nothing passes it on.
 */
void rk__park_lock(struct rk__handle *h, uint32_t vnode, uint32_t ofd,
		   const struct rk__lock_request *want);
void rk__wake_locks(uint32_t vnode);
/* Runs all that wait through an ofd that is closed now. */
void rk__wake_ofd(uint32_t vnode, uint32_t ofd);
/* Called for each request that ran. */
void rk__wait_passed_on(struct rk__handle *h, bool took_it);
/* The client gave up (signal, death): takes a parked request off its queue;
 * returns false if it is not parked. The gate answers it (EINTR) itself. */
bool rk__unpark(struct rk__handle *h);
unsigned rk__parked_count(void);

/* Answers that wait until the watcher has settled: posts them if it has, or
 * in any case. true: some still wait. */
bool rk__serve_held(bool in_any_case);

/*
 * A durable flush for fsync and friends: on the first call of a request asks
 * drivers to sync, commits with RK_RECORD_FLUSH and parks; run again after the
 * flush it answers RK_DONE with h->result 0 or the device's error.
 * h->flush_seq is volatile: a successor flushes anew. Of a mount without a
 * device, or of all (RK_MOUNTS_MAX) if none has one, the drivers' sync is all.
 */
enum rk__outcome rk__serve_fsync(struct rk__handle *h, uint32_t mount);

/*
 * Has a checkpoint made or removed (recovery/order.h), exactly once, and answers
 * when that is durable. proc: token of who asks. A signal does not end it.
 * h->result: 0, what the keeper says (undo.h), or that no flush point could be
 * made.
 */
enum rk__outcome rk__serve_order(struct rk__handle *h, uint64_t proc,
				 uint32_t action, const char *label);

/* The keeper made a flush point durable. */
void rk__serve_flushed(void);
/* A flush point without anybody waiting for it, if anything needs one. */
void rk__serve_make_flush_point(void);
/* The last one before the server ends. The driver is unmounted already. */
void rk__serve_last_flush_point(void);
/* At each start, before the first request. dirty_max: bytes that may stand in
 * overlays before a flush point is made without being asked for. */
void rk__serve_start(struct rk__board *board, uint64_t dirty_max);

#endif
