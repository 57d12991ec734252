/*
 * local_int.h - the parts of librumplocal: local.c routes calls to the core,
 * memory.c stands for recoverable memory, blocks.c for the block store.
 */
#ifndef RK_LOCAL_INT_H
#define RK_LOCAL_INT_H

#include "recovery/order.h"
#include "supervisor/make.h"

/* --- memory.c: what an op changes is taken back whole if it fails --------- */

/* Maps both regions. Once for each attach; 0 or a negative errno. */
int rk__memory_open(void);
void rk__memory_close(void);
/* The op is done: this is what a rollback leads to from here on. */
void rk__memory_commit(void);

/* --- blocks.c: the device of a mount, cached --------------------------------- */

/* Replays what a crash left in the journal. With a sentence in error. */
int rk__blocks_open(uint32_t mount, const struct rk__mount_spec *spec,
		    struct rk__image *image, char *error);
void rk__blocks_close(uint32_t mount);
void rk__blocks_commit(void);
void rk__blocks_rollback(void);
/* Bytes that are not on the device yet. */
uint64_t rk__blocks_dirty(void);
/* Makes all that is committed durable, as one transaction of the journal. */
int rk__blocks_flush(uint32_t mount);
/* Makes or removes a checkpoint, after a flush: on all devices that are written. */
int rk__blocks_order(const struct rk__order *o);
/* The last flush: the image has it all, and the journal goes. */
int rk__blocks_finish(uint32_t mount);

#endif
