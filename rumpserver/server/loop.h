/*
 * loop.h - the small parts that make a process a server: the lock that tells
 * of its death, fault handlers that tell of its cause, the sandbox.
 */
#ifndef RK_LOOP_H
#define RK_LOOP_H

#include <sys/types.h>
#include "../recovery/family.h"

/* Takes board.lock as a robust futex of this thread: the kernel marks it and
 * wakes the supervisor when the thread ends, long before its memory is gone. */
void rk__board_lock(struct rk__board *b);

/* Fault signals write their number to the board, then kill as they would. With
 * RK_TRACK_SIGNAL, a write to a protected page is no fault. */
void rk__faults_install(struct rk__board *b);

/* cold.c: before privileges are dropped; and the start itself, in place of
 * loading what is published. Negative: a sentence is in error
 * (RK_SERVER_ERROR_LEN). */
int rk__cold_prepare(const struct rk__family *f);
int rk__cold_start(const struct rk__family *f, char *error);

/* In the zygote, with the drivers loaded: makes what all sandboxes share. */
int rk__sandbox_make(const struct rk__family *f);
/* No privileges, and no system calls but those that serving takes: no path, no
 * socket, no program can be opened from here on. */
int rk__server_sandbox(const struct rk__family *f);

/* Serves for ever. spins: it may poll before it sleeps. */
_Noreturn void rk__server_serve(bool spins);

/* --- upgrade.c -------------------------------------------------------------- */

/* Ends all that can be ended, has the drivers write what they hold and core's
 * state written to fd; on return the keeper has applied all of it. Nobody may
 * be served after it, unless a flush point is made first (board.unflushed).
 * At `at`, with the images if that is wanted.
 * -EBUSY: an op sleeps in the middle of a driver. Waits for the keeper. */
int rk__upgrade_write(const struct rk__family *f, int fd, off_t at,
		      bool images);
/* The first server of a family that imports: core and drivers from fd, and
 * proves that they answer as before. A negative errno, with a sentence in
 * error (RK_SERVER_ERROR_LEN). */
int rk__upgrade_read(const struct rk__family *f, int fd, char *error);

#endif
