/*
 * filter.h - the seccomp filter that shows the notifier what may be its
 * business, and lets everything else through.
 *
 * The number of a call is looked at first, so that the kernel can tell once and
 * for all which numbers are always allowed (its bitmap). Of the rest, calls from
 * the page that the preload keeps for this pass; calls on a descriptor are shown
 * if it is one of RK__FILTER_LOW first numbers, where shells redirect, or from
 * RK__FILTER_BASE on, where the notifier puts what it opens, or one of those
 * before RK__FILTER_SHELL, where bash keeps the script that it reads.
 */
#ifndef RK_FILTER_H
#define RK_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/filter.h>
#include "proxy.h"

enum {
	RK__FILTER_LOW = 10,
	RK__FILTER_BASE = 512,
	RK__FILTER_SHELL = 256,
	RK__FILTER_SHELL_N = 4,
	RK__FILTER_MAX = 2048,		/* instructions */
	RK__FILTER_WHY = 160,
};

/* The program of the filter. Its length. stub: the page whose calls pass; 0. */
size_t rk__filter_build(struct sock_filter ret[RK__FILTER_MAX],
			uint64_t stub);

/*
 * Installs it in the calling thread. The listener, close-on-exec, or a negative
 * errno. From here on the calls that it shows wait for a notifier.
 * no_new_privs: needed without CAP_SYS_ADMIN.
 */
int rk__filter_install(bool no_new_privs, const struct rk__proxy_config *c);

/*
 * Whether notification works here, by trying it in a child: filter, descriptors
 * put in, memory read. 0, or a negative errno and half a sentence.
 */
int rk__filter_probe(char why[RK__FILTER_WHY]);

/* How calls beyond the tables of route are shown (enum rk__class). */
uint8_t rk__filter_class(long nr);
/* Whether the filter shows calls on this descriptor. */
static inline bool rk__filter_sees(int fd)
{
	return (unsigned)fd < RK__FILTER_LOW ||
	       (unsigned)fd >= RK__FILTER_BASE ||
	       (unsigned)fd - (RK__FILTER_SHELL - RK__FILTER_SHELL_N) <
	       RK__FILTER_SHELL_N;
}

#endif
