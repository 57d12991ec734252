/*
 * place.c - on which CPU a server runs.
 *
 * A caller that waits for each answer and its server never run at the same
 * time: on one CPU the way there and back is two switches, on two it is two
 * wake-ups of an idle CPU, which cost ten times as much on a virtual machine.
 * So a server follows a caller that is bound to one CPU. A caller that is free
 * is left to the scheduler: it would be moved to an idle CPU at each answer,
 * and following it would only chase it.
 */
#include <sched.h>
#include "gate.h"

enum {
	SURE = 64,		/* requests in a row that make a caller the one */
	LOOK_AGAIN = 4096,	/* in a row, and it may have been bound anew */
};

static struct {
	cpu_set_t all;			/* where this server may run */
	bool off, bound;
	uint32_t caller;		/* thread of the last request */
	unsigned row, others;
} place;

void rk__place_start(bool follow)
{
	place.off = !follow ||
		    sched_getaffinity(0, sizeof place.all, &place.all) < 0 ||
		    CPU_COUNT(&place.all) < 2;
}

static void leave(void)
{
	if (place.bound)
		sched_setaffinity(0, sizeof place.all, &place.all);
	place.bound = false;
}

static void follow(uint32_t caller)
{
	cpu_set_t its, both;

	if (sched_getaffinity((pid_t)caller, sizeof its, &its) < 0)
		CPU_ZERO(&its);
	CPU_AND(&both, &its, &place.all);
	if (CPU_COUNT(&its) == 1 && CPU_COUNT(&both) == 1)
		place.bound = sched_setaffinity(0, sizeof its, &its) == 0;
	else
		leave();
}

void rk__place_request(uint32_t caller)
{
	if (place.off || !caller)
		return;
	if (caller == place.caller) {
		place.row++;
		if (place.row == SURE || place.row % LOOK_AGAIN == 0) {
			place.others = 0;
			follow(caller);
		}
		return;
	}
	place.caller = caller;
	place.row = 0;
	if (++place.others >= SURE)
		leave();
}
