/* probe.h - see probe.c. */
#ifndef PROBE_H
#define PROBE_H

#include "preload/preload.h"

/* How often each call arrived at rk__preload_call. */
extern _Atomic uint64_t probe_calls[RK__CALLS];
/* rk__patch, with the stub page first. */
int probe_patch(const void *table, size_t size, bool stub,
		struct rk__patched *ret);
/* Calls on this descriptor answer this. -1: none. */
void probe_ours(int fd, int64_t answer);
bool probe_wanted(long nr);
bool probe_check(const void *table, size_t size);

#endif
