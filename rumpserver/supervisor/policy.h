/*
 * policy.h - what to do when a server dies, hangs or is to stop: a pure
 * function of state, event and time. It makes no system call; the supervisor
 * carries out the actions.
 *
 * What counts. A death counts against a request only if it came by a fault
 * signal, a deadline or the server's own lack of memory while that request ran
 * alone. A SIGKILL from outside counts against nobody. Deaths without progress
 * in between are counted (after a kill from outside, that its successor serves
 * is progress enough: an idle mount may be killed for ever): after `patience` of them every further takeover
 * waits, twice as long each time, and after `limit` the server is given up.
 *
 * The ladder: (1) warm; (2) warm, requests one by one, after a fault; (3)
 * quarantine of the request that killed twice alone, and warm.
 */
#ifndef RK_POLICY_H
#define RK_POLICY_H

#include <stdbool.h>
#include <stdint.h>
#include "../recovery/family.h"

enum rk__policy_state {
	RK_POLICY_STARTING,	/* the first server mounts; no state yet */
	RK_POLICY_RECOVERING,	/* starting, while a file system check runs */
	RK_POLICY_SERVING,	/* a server has the lock, or is about to */
	RK_POLICY_WAITING,	/* no server: takeover as soon as there is one */
	RK_POLICY_BACKOFF,	/* no server: takeover when the timer is over */
	RK_POLICY_STOPPING,	/* the server was asked to stop */
	RK_POLICY_STOPPED,	/* it did; final */
	RK_POLICY_BROKEN,	/* given up; final */
};

enum rk__policy_event_type {
	/* everything a server needs is there; has_state: and what servers of
	 * another supervisor left, whose work goes on */
	RK_EVENT_START,
	RK_EVENT_SERVER_READY,	/* the first has mounted, a later one serves */
	RK_EVENT_SERVER_DIED,
	/* One that died earlier with no cause to be seen: it was a fault. The
	 * lock tells of a death before the kernel tells how it died. */
	RK_EVENT_WAS_FAULT,
	RK_EVENT_STANDBY_UP,	/* there is a standby that can take over */
	RK_EVENT_STANDBY_DIED,
	RK_EVENT_NO_SPAWN,	/* none can be made; error set: never again */
	RK_EVENT_TIMER,		/* the back-off is over */
	RK_EVENT_RECOVERED,	/* the check is done; error set: it failed */
	RK_EVENT_STOP,		/* somebody wants it to stop */
};

struct rk__policy_event {
	enum rk__policy_event_type type;
	/* SERVER_DIED, WAS_FAULT, from the board: */
	enum rk__cause cause;
	int signal;		/* of RK_CAUSE_FAULT, or from wait */
	uint32_t slot;
	uint64_t id;		/* 0: no request ran */
	bool alone;
	uint64_t progress;	/* ops + commits: moved, or not */
	bool has_state;		/* something was committed */
	bool error;
};

/* Actions, in the order in which they are carried out. */
enum {
	RK_ACT_TAKEOVER = 1 << 0,	/* the standby serves now */
	RK_ACT_SPAWN_FIRST = 1 << 1,	/* a server that starts from nothing */
	RK_ACT_SPAWN_STANDBY = 1 << 2,	/* after delay_ns */
	RK_ACT_TIMER = 1 << 3,		/* RK_EVENT_TIMER after delay_ns */
	RK_ACT_RECOVER = 1 << 4,	/* run the file system's own recovery */
	RK_ACT_STARTED = 1 << 5,	/* make the mounts */
	RK_ACT_STOP = 1 << 6,		/* ask the server to stop */
	RK_ACT_STOPPED = 1 << 7,	/* it did */
	RK_ACT_FAIL = 1 << 8,		/* give up: policy.why, policy.why_board */
};

struct rk__policy_actions {
	uint32_t what;
	uint64_t delay_ns;
	/* of RK_ACT_TAKEOVER: */
	bool one_by_one;
};

enum { RK_SUSPECTS = 8 };

struct rk__suspect {
	uint32_t slot;
	uint64_t id;		/* 0: free */
	uint32_t strikes;
	uint64_t last;		/* deaths when it struck last */
};

struct rk__policy {
	uint32_t patience;	/* deaths without progress before it waits */
	uint32_t limit;		/* and before it gives up */
	enum rk__policy_state state;
	bool standby;
	bool started;		/* a server was ready once */
	bool stop_wanted;	/* while no server could be asked */
	bool recovered;		/* the check ran once */
	bool one_by_one;	/* for the next takeover */
	uint32_t idle_deaths;	/* without progress */
	bool last_was_fault;	/* so serving alone is no progress */
	uint32_t idle_standbys;	/* standbys that died since the last takeover */
	uint64_t deaths, faults;
	uint64_t progress;
	struct rk__suspect suspect[RK_SUSPECTS];
	/* What the next server refuses; stays, as ids are never reused. */
	bool quarantine;
	uint32_t quarantine_slot;
	uint64_t quarantine_id;
	uint64_t quarantined;	/* requests refused so far */
	const char *why;	/* of BROKEN: a sentence, or NULL */
	bool why_board;		/* board.error says why */
};

void rk__policy_init(struct rk__policy *p);
void rk__policy_step(struct rk__policy *p, const struct rk__policy_event *e,
		     struct rk__policy_actions *ret);

#endif
