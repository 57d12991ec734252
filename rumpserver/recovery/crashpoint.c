/*
 * crashpoint.c - named instants at which a test has a process die. The board
 * holds which one, and how often it is to be passed first.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include "recovery/family.h"

struct rk__board *rk__crash_board;

static const char *const names[RK_CRASH_END] = {
#define NAME(n) [RK_CRASH_##n] = #n,
	RK_CRASHPOINTS(NAME)
#undef NAME
};

int rk__crashpoint_find(const char *name)
{
	for (int i = RK_CRASH_NONE + 1; i < RK_CRASH_END; i++)
		if (!strcmp(names[i], name))
			return i;
	return -ENOENT;
}

void rk__crash(enum rk__crashpoint point)
{
	struct rk__board *b = rk__crash_board;
	uint32_t armed = (uint32_t)point, skip = atomic_load(&b->crash_skip);

	while (skip > 0)
		if (atomic_compare_exchange_weak(&b->crash_skip, &skip,
						 skip - 1))
			return;
	/* Once: the successor must get past it. */
	if (!atomic_compare_exchange_strong(&b->crash_at, &armed,
					    RK_CRASH_NONE))
		return;
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}
