/*
 * calls.h - the call log: what drivers were asked to change since the last
 * flush point, and what they answered.
 *
 * A cold restart has nothing but the device as of the last flush point and
 * this: it asks the drivers the same again and must get the same answers. So a
 * call has all that came in, and of what came out what others may have seen.
 * It goes with the commit that carries its changes (the section `calls` of a
 * record), the keeper appends it to a memfd of its own when it applies that
 * record, and empties the memfd with each flush point that is durable.
 *
 * The memfd: a page with struct rk__call_log, then `end` bytes of batches, one
 * for each record that had calls.
 */
#ifndef RK_CALLS_H
#define RK_CALLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "types.h"

#define RK_CALLS_AT		4096u
/* Bytes of calls at which the server makes a flush point, and those that the
 * memfd has room for. */
#define RK_CALLS_FLUSH_AT	(64ull << 20)
#define RK_CALLS_MAX		(96ull << 20)

enum rk__call_op {
	RK_CALL_CREATE = 1, RK_CALL_TMPFILE, RK_CALL_LINK, RK_CALL_UNLINK,
	RK_CALL_RENAME, RK_CALL_SETATTR, RK_CALL_WRITE, RK_CALL_FALLOCATE,
	RK_CALL_RECLAIM, RK_CALL_SETXATTR, RK_CALL_REMOVEXATTR,
};

enum { RK_CALL_PARTS = 3 };		/* name; other name or target; data */

struct rk__call {
	uint32_t length;		/* with its parts, 8-aligned */
	uint8_t op;			/* enum rk__call_op */
	uint8_t mount;
	uint16_t reserved;
	uint32_t part[RK_CALL_PARTS];	/* bytes of each, one after the other */
	uint32_t flags;			/* the call's own */
	uint64_t ino, ino2;		/* file or directory; the other one */
	uint64_t off, len;
	int64_t result;
	struct rk_time now;		/* what it was told of the time */
	/* The object that it made, if any. */
	uint64_t made;
	uint32_t made_generation;
	uint32_t reserved2;
	uint64_t check;			/* of the attributes in its answer */
};

struct rk__call_batch {
	uint64_t seq;			/* of the record */
	uint32_t length;		/* of the calls that follow */
	uint32_t n;
};

struct rk__call_log {
	_Atomic uint64_t end;
	/* There was no room: the log is of no use until the next flush point. */
	_Atomic uint32_t lost;
};

/* --- the server's side: the calls of the commit to come --------------------- */

/* Adds one with its parts; length is set here. */
void rk__call_log(struct rk__call *c, const void *const part[RK_CALL_PARTS]);
uint32_t rk__calls_count(void);
size_t rk__calls_length(void);		/* bytes of the section */
void rk__calls_write(uint8_t *to);
void rk__calls_clear(void);

/* Until rk__time_go_on() the drivers' clock stands: at `at`, or at the instant
 * when it is asked first (NULL). */
void rk__time_stop(const struct rk_time *at);
/* Returns what it said, zeros if nobody asked. */
struct rk_time rk__time_go_on(void);
/* false: it does not stand, or was not asked yet: say what time it is. */
bool rk__time_stands(struct rk_time *ret);
void rk__time_says(const struct rk_time *t);

/* The object that is to be made, while calls are run again. */
struct rk_wanted;
void rk__wanted_set(const struct rk_wanted *w);	/* NULL: none */
bool rk__wanted(void *ctx, struct rk_wanted *ret);

/* --- reading, of whatever anybody wrote ------------------------------------- */

/* The call at *at of a section or batch of `length` bytes; advances *at. part:
 * pointers into it. 1, 0 at the end, -EBADMSG. */
int rk__call_next(const uint8_t *calls, uint64_t length, uint64_t *at,
		  struct rk__call *ret, const uint8_t *part[RK_CALL_PARTS]);
/* The same for batches; *calls: the first byte behind its head. */
int rk__batch_next(const uint8_t *log, uint64_t end, uint64_t *at,
		   struct rk__call_batch *ret, const uint8_t **calls);

#endif
