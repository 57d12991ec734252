/*
 * filter.h - the seccomp filter that shows the notifier what may be its
 * business, and lets everything else through.
 *
 * The number of a call is looked at first, so that the kernel can tell once and
 * for all which numbers are always allowed (its bitmap). Of the rest, calls from
 * the page that the preload keeps for this pass. A filter cannot tell what a
 * descriptor is, and none can be made stricter for one process later (a chain of
 * filters has one listener). So calls on a descriptor are shown for all numbers,
 * except reading and writing, which are many: those from RK__FILTER_LOW up to
 * RK__FILTER_BASE, where nothing of ours is put, are the kernel's alone. What a
 * program dups there is served but for its data, and EBADF says so.
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
	RK__FILTER_BASE = 64,
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
/* Whether the filter shows what reads and writes this descriptor. */
static inline bool rk__filter_sees(int fd)
{
	return (unsigned)fd < RK__FILTER_LOW ||
	       (unsigned)fd >= RK__FILTER_BASE;
}

#endif
