/*
 * all_ops.h - what all_ops.c counts of each op: that it was used, and in which
 * moments of it the server died.
 */
#ifndef RK_ALL_OPS_H
#define RK_ALL_OPS_H

#include "../harness/board.h"
#include "views.h"

static unsigned failures;
static unsigned used[RK_OP_END];

static const struct {
	uint32_t at;
	const char *name;
} points[] = {
	{ RK_CRASH_request_taken, "before it" },
	{ RK_CRASH_log_not_published, "within its commit" },
	{ RK_CRASH_reply_not_posted, "after its commit" },
};
enum { POINTS = sizeof points / sizeof *points };

static struct board board;
static unsigned point = POINTS;		/* that is armed; POINTS: none */
static bool hit[RK_OP_END][POINTS];

static void before(unsigned op)
{
	used[op]++;
	if (point < POINTS && !hit[op][point])
		board_arm(&board, points[point].at, 0);
}

static void after(unsigned op)
{
	if (point < POINTS && !hit[op][point])
		hit[op][point] = board_disarm(&board);
}

/* What changes nothing is not committed, and the answer of what makes durable
 * is in no commit. */
static bool must_hit(const struct rk_op_info *op, unsigned p)
{
	if (points[p].at == RK_CRASH_request_taken)
		return true;
	if (op->flags & RK_OP_DURABLE)
		return points[p].at == RK_CRASH_log_not_published;
	return op->flags & RK_OP_MUTATES;
}

static void check_hits(void)
{
	unsigned n = 0;

	for (unsigned op = 1; op < RK_OP_END; op++)
		for (unsigned p = 0; p < POINTS; p++) {
			n += hit[op][p];
			if (hit[op][p] || !must_hit(rk_op_info(op), p))
				continue;
			printf("no server died in %s %s\n",
			       rk_op_info(op)->name, points[p].name);
			failures++;
		}
	printf("%u ops, the server died in %u calls\n", RK_OP_END - 1, n);
}

#endif
