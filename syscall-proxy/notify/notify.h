/*
 * notify.h - the notifier: threads in the broker that do the calls which the
 * filter (filter.h) shows, for processes that have no proxy inside.
 *
 * It is no security border: what it lets the kernel do (CONTINUE) the program
 * could do anyway, and what it does itself the server checks by the program's
 * own ids.
 */
#ifndef RK_NOTIFY_H
#define RK_NOTIFY_H

#include <sys/types.h>
#include "broker/cwds.h"
#include "broker/registry.h"

struct rk__notifier;

struct rk__notifier_how {
	int listener;			/* taken over */
	const struct rk__proxy_config *config;
	struct rk__proxy_counts *counts;
	struct rk__registry *registry;
	struct rk__cwds *cwds;
};

/* Starts the threads. 0 or a negative errno. */
int rk__notifier_create(const struct rk__notifier_how *how,
			struct rk__notifier **ret);
/*
 * To be called now and then, at least every RK__NOTIFY_TICK_MS: looks after calls
 * that wait. Returns false when no process is left that the filter shows.
 */
enum { RK__NOTIFY_TICK_MS = 20 };
bool rk__notifier_tick(struct rk__notifier *n, int *ret_next_ms);
/* Readable when a process has ended: then tick. */
int rk__notifier_fd(const struct rk__notifier *n);
/* Where a process is that the notifier knows, as its directory in a server: a
 * ticket. -ENOENT: in none, or not known. */
int rk__notifier_cwd(struct rk__notifier *n, pid_t pid, uint32_t *ret_server,
		     struct rk_ticket *ret);
/* Cancels what waits, joins the threads. NULL is allowed. */
void rk__notifier_destroy(struct rk__notifier *n);

#endif
