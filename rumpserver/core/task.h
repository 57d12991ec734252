/*
 * task.h - what the core knows of ops that run on stacks of their own
 * (execution = process). process.c makes them; without it, in the model
 * `interrupt`, all of this is nothing.
 *
 * A task is a stack in recoverable memory and what the op on it works with, all
 * of it at the same addresses in every server: so an op that sleeps in the
 * middle is found by a successor as it was, and goes on. Nothing of it is
 * tracked: what is alive of a stack is noted when the op goes to sleep.
 */
#ifndef RK_TASK_H
#define RK_TASK_H

#include "core.h"
#include "core/pages.h"
#include "serve.h"
#include "vfs.h"

enum { RK_CLAIMS_MAX = 8 };

/*
 * What the op of a task is in the middle of doing with a file. As in the kernel:
 * who writes shuts out who writes, and who reads a directory, whose names are
 * remembered; who merely looks (attributes, data) only keeps the file from
 * going.
 */
enum rk__use { RK_LOOKS, RK_READS, RK_WRITES };

struct rk__claim {
	struct rk__node node;
	enum rk__use use;
};

struct rk__work;
typedef void rk__body(struct rk__work *w);

/* What a task works with; it lies above the stack. */
struct rk__work {
	uint32_t index;			/* of the task */
	uint32_t rooms;			/* bits: parts of the room in use */
	uint32_t out_len;		/* bytes at `out` that may be in use */
	uint32_t proc;			/* index + 1 of who asks, 0: a mount */
	int32_t fd[2];			/* its descriptors that the op uses */
	uint32_t n_fds, n_claims;
	struct rk__claim claim[RK_CLAIMS_MAX];
	uint8_t *in, *out;
	rk__body *body;
	enum rk__outcome outcome;
	/* The gate's own: what the body is to do and what came of it. */
	_Alignas(16) uint8_t arg[512];
};

struct rk__tasks {
	/*
	 * The task of a request, fresh or asleep: then *ret_asleep. The in_len
	 * bytes of `in` are at w->in for the op. NULL: ops have stacks of their
	 * own anyway (librumplocal), and what follows is not called.
	 */
	struct rk__work *(*begin)(struct rk__handle *h, const void *in,
				  uint32_t in_len, bool *ret_asleep);
	/* Runs it until its body returns, and gives the w->outcome that it set,
	 * or it sleeps (RK_SLEEPS, RK_YIELDS). */
	enum rk__outcome (*run)(struct rk__work *w);
	/* Waits until nobody who sleeps shuts this use of the file out. */
	void (*claim)(struct rk__work *w, struct rk__node n,
		      enum rk__use use);
	/* Gives the CPU to other requests, if any wait and it had its time. */
	void (*yield)(struct rk__work *w);
	/* Is the op of this request in the middle, on a stack in RM? */
	bool (*asleep)(const struct rk__handle *h);
	/* What it waits for. */
	const void *(*key)(const struct rk__handle *h);
	/* The op is over: its stack is free, which is noted. */
	void (*end)(struct rk__handle *h);
	/* The client of a channel is gone: its ops end by themselves. */
	void (*client_gone)(uint32_t channel);
};
extern const struct rk__tasks *rk__tasks;	/* NULL: interrupt */
extern struct rk__work *rk__work_now;		/* NULL: the server's own stack */
extern struct rk__handle *rk__handle_now;	/* the request that runs */
/* Are there requests that could be served now? Set by the server's loop. */
extern bool (*rk__others_wait)(void);

static inline bool rk__claim(struct rk__node n, enum rk__use use)
{
	struct rk__work *w = rk__work_now;

	if (use == RK_WRITES)
		rk__pages_touch(n);
	if (!w || w->n_claims == RK_CLAIMS_MAX)
		return false;
	rk__tasks->claim(w, n, use);
	return true;
}

static inline void rk__claim_drop(const bool *claimed)
{
	if (*claimed)
		rk__work_now->n_claims--;
}

#define RK_JOIN_(a, b) a##b
#define RK_JOIN(a, b) RK_JOIN_(a, b)
/*
 * Until the end of this block the file is used by this op: if a driver puts it
 * to sleep meanwhile, those who are shut out wait.
 */
#define RK_CLAIM(node, use)						\
	__attribute__((cleanup(rk__claim_drop), unused)) const bool	\
	RK_JOIN(claimed_, __LINE__) = rk__claim((node), (use))

/* Between two pieces of long work. false: nobody waits for the rest. */
static inline bool rk__task_yield(void)
{
	struct rk__work *w = rk__work_now;

	if (!w)
		return true;
	rk__tasks->yield(w);
	return !rk__handle_now->interrupted;
}

/*
 * Memory that an op may use while it runs, and that a driver may be given: one
 * of each part for each op. A part that has another user at the same time is
 * two parts.
 */
enum rk__room_part {
	RK_ROOM_STRINGS,		/* of the request */
	RK_ROOM_LIST, RK_ROOM_INHERITED, RK_ROOM_VALUE,	/* access lists */
	RK_ROOM_NAMES,			/* of extended attributes */
	RK_ROOM_DATA,			/* what is copied between files */
	RK_ROOM_PARTS
};
void *rk__room(enum rk__room_part part);
/* For who keeps rooms: where a part lies in one, and how long it is. */
uint32_t rk__room_part(enum rk__room_part part, uint32_t *ret_size);

/* --- task_hold.c ---------------------------------------------------------------- */

static inline struct rk__work *rk__work_of(uint32_t i)
{
	return (struct rk__work *)(rk__task_at(i) + RK_TASK_WORK);
}

/* What an op needs is there until it is let go: who asks, the descriptors, the
 * files it claims now; those that it claimed when it slept before go. */
void rk__task_hold(struct rk__task *t, const struct rk__work *w);
/* Its op is over: the record is free. */
void rk__task_let_go(struct rk__task *t);
/* Is the file used by one who sleeps, in a way that shuts this use out? */
bool rk__task_in_use(struct rk__node n, enum rk__use use, uint32_t but);

/* --- process.c --------------------------------------------------------------- */

/* A standby of the model `process`: what the first op will touch. */
void rk__process_prepare(void);
/* Each server, at its start. on: ops of this server run as tasks. */
void rk__process_start(bool on);
/* Successors, when all gates have said what they found: the ops whose clients
 * are gone. */
void rk__process_resume(void);
/* The server stops: everybody who sleeps is to end. true: somebody still does. */
bool rk__process_settle(void);

/* struct rk_host of driver.h: these. */
int rk__host_wait(void *ctx, const void *key);
void rk__host_wake(void *ctx, const void *key);
void rk__host_yield(void *ctx);

/* Switches stacks: keeps this one's pointer in *from. */
void rk__switch(void **from, void *to);

#endif
