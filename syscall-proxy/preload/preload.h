/*
 * preload.h - the proxy inside of a process: librump-preload.so, loaded by the
 * loader before the program starts.
 *
 * patch_*.c replace system-call instructions of libc and the loader by jumps to
 * entry.S, which lets what is none of ours go to the kernel at once and calls
 * rk__preload_call() for the rest. All code here, and what it shares with others
 * (route, rumpclient, broker/ask.c), is built without libc (bare.h) and without
 * vector registers: a system call changes none, and neither may we. It takes no
 * lock of the program, and may be entered anywhere: in a signal handler, in the
 * middle of malloc, before libc is ready, in a child of vfork.
 */
#ifndef RK_PRELOAD_H
#define RK_PRELOAD_H

#include "route/route.h"

enum { RK__MAP_FDS = 65536 };

/* --- entry.S --------------------------------------------------------------------- */

/* A system call by the kernel, from the one page that the net lets through. */
long rk__raw(long nr, ...);
/* Nonzero: the descriptor is ours, or one that we keep for ourselves, so the
 * call wants a look. From RK__MAP_FDS on, all do. */
extern uint8_t rk__ours[RK__MAP_FDS];
/* Maps the stub page (stub.h), from where rk__raw and all that is none of ours go
 * to the kernel then, and before from this library. 0 or a negative errno. */
int rk__stub_map(void);

/*
 * fork, vfork, clone, clone3 for rk__preload_call(). Without a new stack and
 * without CLONE_VM it returns twice, 0 in the child. Else the child goes straight
 * to ip with the caller's registers, and the parent alone returns: what the
 * child needs is prepared before.
 */
int64_t rk__clone_raw(long nr, const uint64_t arg[6], uint64_t sp, uint64_t ip);
/* In a child that has a copy of the caller's stack: on to ip, with the result 0,
 * on the stack new_sp, or on its own (0). */
_Noreturn void rk__clone_continue(uint64_t sp, uint64_t ip, uint64_t new_sp);

/* --- call.c: where patched calls and interposed symbols arrive -------------------- */

/* What a system call comes to, >= 0 or a negative errno. sp: the stack pointer of
 * who called, ip: where it goes on (clone and vfork need them). */
int64_t rk__preload_call(long nr, const uint64_t arg[6], uint64_t sp,
			 uint64_t ip);

/*
 * Where nothing is patched, for interposed symbols: fork by libc's own, with what
 * is ours kept in order around it; and, before libc makes a process that runs
 * another program (posix_spawn), what that inherits is published. 0 or a negative
 * errno.
 */
int rk__preload_fork(int (*real)(void));
int rk__preload_publish(void);

/* --- patch.c ----------------------------------------------------------------------- */

struct rk__patched {
	uint32_t sites, left;
};
/*
 * Patches what is mapped now by the table (sites.h). 0 or a negative errno: then
 * nothing was changed. The first time -EBUSY if there are threads; again after
 * the loader has mapped an object, before it runs. What differs from the table is
 * left alone.
 */
int rk__patch(const void *table, size_t size, struct rk__patched *ret);

#endif
