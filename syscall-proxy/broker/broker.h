/*
 * broker.h - the process beside the program (proxy.h): answers the proxies in
 * the program's processes, and is the notifier where seccomp notification is
 * used. It holds clients of the servers like anybody, so that their deaths are
 * nothing to it; it writes nothing, and leaves nothing.
 */
#ifndef RK_BROKER_H
#define RK_BROKER_H

#include "proxy.h"

enum { RK__BROKER_ERROR = 256 };

struct rk__broker_how {
	int listen;			/* SOCK_SEQPACKET, bound, listening */
	int notify;			/* the filter's listener (notify/filter.h),
					 * or -1 */
	int lifeline;			/* its end: the run is over. Goes on while
					 * processes of the program are left that
					 * `notify` serves */
	int counts;			/* memfd of struct rk__proxy_counts, or -1 */
	const struct rk__proxy_config *config;
};

/*
 * Serves until the run is over. Takes over the descriptors. For a process of its
 * own: starts threads, ignores signals, forgets the working directory. 0, or a
 * negative errno with a sentence.
 */
int rk__broker_run(const struct rk__broker_how *how,
		   char error[RK__BROKER_ERROR]);

#endif
