/*
 * order.h - what a server asks of its keeper at the next flush point: to make, or
 * to remove, a checkpoint of the images.
 *
 * The order stands in the core region, so that it is committed and carried as all
 * of that region is. The keeper carries it out once, at the first record with
 * RK_RECORD_FLUSH at which it has not yet reported this token (log.h), after all
 * that this flush point holds is durable.
 */
#ifndef RK_ORDER_H
#define RK_ORDER_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "recovery/recovery.h"

enum { RK_LABEL_SIZE = 64 };		/* with the final NUL */

enum rk__order_action { RK_ORDER_MAKE = 1, RK_ORDER_DELETE };

struct rk__order {
	uint64_t token;			/* random, below 2^63; 0: there is none */
	uint32_t action;		/* enum rk__order_action */
	uint32_t slot;			/* of the request it is for */
	uint64_t id;
	int64_t sec;			/* CLOCK_REALTIME */
	uint32_t nsec;
	uint32_t reserved;
	char label[RK_LABEL_SIZE];
};

/* At the end of the tables. */
#define RK_ORDER_OFFSET	(RK_TABLES_SIZE - RK_PAGE)
#define rk__order_now ((struct rk__order *)(RK_CORE_AT + RK_ORDER_OFFSET))

/* Letters, digits, '.', '_' and '-', the first a letter or a digit. */
static inline bool rk__label_good(const char *label)
{
	static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		"abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t n = strnlen(label, RK_LABEL_SIZE);

	return n > 0 && n < RK_LABEL_SIZE && *label != '.' && *label != '_' &&
	       *label != '-' && strspn(label, good) == n;
}

#endif
