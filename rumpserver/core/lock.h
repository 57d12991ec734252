/*
 * lock.h - between lock.c, which holds the locks, and lock_wait.c, which knows
 * who waits for them.
 */
#ifndef RK_LOCK_H
#define RK_LOCK_H

#include "vfs.h"

bool rk__lock_conflicts(const struct rk__lock *l,
			const struct rk__lock_request *r);
/* May be repeated. Where memory is short a wait goes unrecorded, and a
 * deadlock undetected. */
void rk__lock_wait_begin(uint32_t vnode, const struct rk__lock_request *r);
/* An owner is gone, and with it all that waits for it. */
void rk__lock_wait_end_all(uint64_t owner);

#endif
