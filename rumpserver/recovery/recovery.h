/*
 * recovery.h - recoverable memory and commit, as the server uses them.
 *
 * Two regions at fixed addresses. The core region holds the tables of core/:
 * core says which bytes it is about to change (rk__note), and a commit carries
 * just those. The driver region holds the drivers' heap and writable data:
 * pages written since the last commit are found by the page tracker, and a
 * commit carries those pages.
 *
 * Both are MAP_PRIVATE mappings of memfds that the supervisor holds and only
 * the keeper writes. What a server writes is its own until it commits, and
 * vanishes with it: that is the rollback. None of these functions block,
 * except where said.
 */
#ifndef RK_RECOVERY_H
#define RK_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "family.h"
#include "log.h"

#define RK_CORE_AT	0x300000000000ull
/* The tables, and behind them the memory of tasks (core/task.h), of which
 * only what is noted is kept, like everything in this region. */
#define RK_TABLES_SIZE	(128ull << 20)
#define RK_TASKS_MAX	128
#define RK_TASK_SIZE	(4ull << 20)
/* Within a task: its stack with a guard page below, what it works with, its
 * rooms, what goes in and out. */
#define RK_TASK_WORK	0x40000u
#define RK_TASK_ROOM	0x41000u
#define RK_TASK_IN	0x1c0000u
#define RK_TASK_OUT	0x2e0000u
#define RK_CORE_SIZE	(RK_TABLES_SIZE + RK_TASKS_MAX * RK_TASK_SIZE)
#define RK_DRIVER_AT	0x310000000000ull
#define RK_DRIVER_SIZE	(4ull << 30)

/* --- arena: the drivers' malloc, in the driver region ------------------- */

void *rk__arena_malloc(size_t size);
void *rk__arena_calloc(size_t n, size_t size);
void *rk__arena_realloc(void *p, size_t size);
void rk__arena_free(void *p);			/* also what libc allocated */
int rk__arena_memalign(void **ret, size_t align, size_t size);
char *rk__arena_strdup(const char *s);
char *rk__arena_strndup(const char *s, size_t n);
size_t rk__arena_used(void);			/* bytes handed out now */
/* Do its heads and lists make sense, all of them? Follows nothing unlooked at. */
bool rk__arena_check(void);

/* --- the life of a server's memory ---------------------------------------- */

/* Every server: maps regions and log. Before privileges are dropped. */
int rk__recovery_prepare(struct rk__family *family);
/* Then the first server: formats both regions; again: a cold start, the driver
 * region only. Before privileges go, too. */
int rk__recovery_format(bool again);
/* Or a standby: reads all of RM in and arms the tracker; writes none of it. */
int rk__recovery_populate(void);
/* At the take-over: loads what is published and not applied. -EBADMSG: a
 * record's checksum is wrong. */
int rk__recovery_load(void);
/* Or at a cold start, instead: the core region is what it was at the last
 * commit, the devices what they were at the last flush point. *ret_resumes:
 * there was one in this family's life. */
int rk__recovery_go_back(bool *ret_resumes);
/* The replies of the last record, for the gates to post again. */
typedef void rk__repost_fn(const struct rk__reply_head *reply,
			   const uint8_t *bytes);
void rk__recovery_repost(rk__repost_fn *post);

/* --- changing and committing ------------------------------------------- */

/*
 * Says that [p, p + n) of the core region is about to change. Call it before
 * the change; may be repeated. Whoever changes core memory without it loses
 * the change at the next restart (builds with RK_CHECK_NOTES abort).
 */
void rk__note(void *p, size_t n);
#define RK_NOTE(p) rk__note((p), sizeof *(p))

/* The driver is about to change something (rk_host.change). */
void rk__change_driver(void);
/* It was given these bytes and keeps them in its memory. */
void rk__change_bytes(uint64_t n);
/* Anything noted or changed since the last commit or rollback? */
bool rk__changed(void);
/* Grows with every note and every change of a driver: tells whether one op of
 * a batch changed anything. */
uint64_t rk__change_count(void);
/* Bytes that the next commit would carry in blocks, and of those above. */
uint64_t rk__staged_bytes(void);

struct rk__reply {
	uint32_t slot;			/* global slot number */
	uint64_t id;
	int64_t result;
	const void *data;
	uint32_t length;
};

/*
 * Makes the present state, the staged block writes and the replies the state
 * that a successor starts from. flags: RK_RECORD_*. May wait for the keeper if
 * the log is full. On return the replies may be posted. *ret_seq may be NULL.
 */
void rk__commit(const struct rk__reply *replies, unsigned n, uint32_t flags,
		uint64_t *ret_seq);
/* The first commit, of any size: only whole does it count (board.booted). */
void rk__commit_boot(void);
/* Waits until the keeper has applied all that is committed. */
void rk__recovery_drain(void);
/* What a cold start has staged so far, which counts only with the rest. */
void rk__commit_on_the_way(void);
/* Back to the last commit: core, driver, staged blocks. */
void rk__rollback(void);

/* The last commit, and the last flush point that is durable. */
uint64_t rk__committed_seq(void);
uint64_t rk__flushed_seq(void);
/* A negative errno once the device failed: flushes fail from then on. */
int rk__flush_error(void);
/* Has the keeper carried this order out (order.h)? Then *ret is what came of
 * it. */
bool rk__order_result(uint64_t token, int *ret);
/* Bytes of overlay that wait for a flush. */
uint64_t rk__dirty_bytes(void);
/* The call log (calls.h) wants a flush point. */
bool rk__calls_are_many(void);

/* --- block store: struct rk_host of driver.h over device `dev` --------- */

struct rk_host;
void rk__blockstore_host(unsigned dev,
			 void (*complain)(void *ctx, const char *sentence),
			 struct rk_host *ret);
int rk__blockstore_open(const struct rk__family *f);
/* SIGBUS came: does not return if it was a mapped device that failed. */
void rk__blockstore_fault(void);

#endif
