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
 * quarantine of the request that killed twice alone, and warm; (4) cold: the
 * keeper goes back to the last flush point, the drivers are mounted anew and
 * their calls since run again; (5) read-only, on the drivers' memory if it is
 * still there, or cold, and then without the calls that cannot be run again;
 * (6) stop, with a report of all that. The first three are for what is wrong
 * with requests. The others are for what is wrong with the drivers' memory: it
 * is taken for that when faults follow each other without progress, and when a
 * successor refuses the state. And as a program sees a refused request, but no
 * cold start, one that crashed twice is run once more after that, unless such a
 * start did not help a while ago; each that did not makes the while longer.
 * No SIGKILL from outside leads there. From each of these rungs the next is
 * taken if it did not hold for long; nothing leads back from read-only.
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
	RK_POLICY_GOING_BACK,	/* no server: the keeper goes back */
	RK_POLICY_COLD,		/* a server runs the calls again */
	RK_POLICY_STOPPING,	/* the server was asked to stop */
	RK_POLICY_STOPPED,	/* it did; final */
	RK_POLICY_BROKEN,	/* given up; final */
};

enum rk__rung {
	RK_LADDER_WARM,			/* with all that is done about requests */
	RK_LADDER_COLD,
	RK_LADDER_READ_ONLY,		/* warm */
	RK_LADDER_SALVAGE,		/* read-only, cold, as far as it goes */
	RK_LADDER_FLUSHED,		/* read-only, cold, no calls at all */
	RK_LADDER_STOP,
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
	RK_EVENT_WENT_BACK,	/* the keeper did; error set: it refused */
	RK_EVENT_STOP,		/* somebody wants it to stop */
};

struct rk__policy_event {
	enum rk__policy_event_type type;
	/* SERVER_DIED, WAS_FAULT, from the board; STANDBY_DIED: the cause: */
	enum rk__cause cause;
	int signal;		/* of RK_CAUSE_FAULT, or from wait */
	uint32_t slot;
	uint64_t id;		/* 0: no request ran */
	bool alone;
	uint64_t progress;	/* ops + commits: moved, or not */
	bool has_state;		/* something was committed */
	enum rk__rung rung;	/* START: a predecessor was on it, going back */
	uint64_t cold_seq;	/* of a cold start: commit that it came to */
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
	/* No standby from now on, then the keeper goes back: policy.rung,
	 * policy.cut. */
	RK_ACT_GO_BACK = 1 << 9,
	RK_ACT_SPAWN_COLD = 1 << 10,	/* a server that starts cold */
	RK_ACT_READ_ONLY = 1 << 11,	/* whoever takes over, from now on */
};

struct rk__policy_actions {
	uint32_t what;
	uint64_t delay_ns;
	/* of RK_ACT_TAKEOVER: */
	bool one_by_one;
};

enum { RK_SUSPECTS = 8, RK_TRIED = 6 };

struct rk__suspect {
	uint32_t slot;
	uint64_t id;		/* 0: free */
	uint32_t strikes;
	uint64_t last;		/* deaths when it struck last */
};

/* For the report: why a rung was left. */
struct rk__tried {
	enum rk__rung rung;
	enum rk__cause cause;
	int signal;
	uint32_t slot;			/* of the last request, if id */
	uint64_t id;
	uint64_t deaths;		/* so far */
};

struct rk__policy {
	uint32_t patience;	/* deaths without progress before it waits */
	uint32_t limit;		/* and before it gives up */
	uint32_t faults_max;	/* without progress, then the next rung */
	bool can_cold;		/* all drivers' state is on devices */
	enum rk__rung first;	/* that any death leads to: for tests */
	enum rk__policy_state state;
	bool standby;
	bool started;		/* a server was ready once */
	bool stop_wanted;	/* while no server could be asked */
	bool recovered;		/* the check ran once */
	bool one_by_one;	/* for the next takeover */
	uint32_t idle_deaths;	/* without progress */
	bool last_was_fault;	/* so serving alone is no progress */
	uint32_t idle_standbys;	/* standbys that died since the last takeover */
	uint32_t bad_standbys;	/* of those, not by a kill from outside */
	uint64_t deaths, faults;
	uint64_t progress;
	struct rk__suspect suspect[RK_SUSPECTS];
	/* What the next server refuses; stays, as ids are never reused. */
	bool quarantine;
	uint32_t quarantine_slot;
	uint64_t quarantine_id;
	uint64_t quarantined;	/* requests refused so far */
	/* The ladder. */
	enum rk__rung rung;
	uint64_t rung_progress;		/* when it was taken */
	bool went_back;			/* the drivers' memory is gone */
	bool refused;			/* to go back: it is still there */
	bool served;			/* on this rung: there is a state again */
	uint64_t cut;			/* commits from here on are left out, 0: none */
	uint32_t idle_faults;		/* deaths by fault without progress */
	uint32_t cold_faults;		/* while it started cold */
	bool doubt;			/* is it the request, or the memory? */
	uint32_t vain;			/* requests that killed after that too */
	struct rk__tried tried[RK_TRIED];
	uint32_t n_tried;
	const char *why;	/* of BROKEN: a sentence, or NULL */
	bool why_board;		/* board.error says why */
};

void rk__policy_init(struct rk__policy *p);
void rk__policy_step(struct rk__policy *p, const struct rk__policy_event *e,
		     struct rk__policy_actions *ret);

#endif
