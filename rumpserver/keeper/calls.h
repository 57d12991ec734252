/*
 * calls.h - the call log (recovery/calls.h) as the keeper writes it: appended
 * to with each record that has calls, emptied by each flush point.
 *
 * `end` moves when all of a batch is there, and the batch names its record: so
 * a keeper that does a record again, which its predecessor was in the middle
 * of, knows whether the log has it.
 */
#ifndef RK_KEEPER_CALLS_H
#define RK_KEEPER_CALLS_H

#include "recovery/calls.h"
#include "recovery/log.h"

struct rk__calls {
	struct rk__call_log *log;	/* NULL: the family has none */
	uint8_t *bytes;
	uint64_t last;			/* seq of the last batch, 0: none */
	int fd;
};

/* fd -1: none is kept. 0 or a negative errno. */
int rk__calls_open(struct rk__calls *c, int fd);
/* With a record that was applied otherwise. What finds no room makes the log
 * useless until the next flush point (`lost`). */
void rk__calls_append(struct rk__calls *c, const struct rk__record_view *v);
/* The flush point is durable. */
void rk__calls_empty(struct rk__calls *c);
uint64_t rk__calls_bytes(const struct rk__calls *c);

#endif
