/*
 * notice.h - how the kernel hears of what others changed: a client of the
 * library writes to a file whose pages the kernel has cached for a mount.
 *
 * The kernel is told by a write to /dev/fuse that may have to wait for a page
 * which is being read, that is, for an answer of the server. So not the server
 * writes it, but a process of its own, the notifier: the server puts a notice
 * into a ring in the inbox, and goes on; the client that made the change has
 * its answer when the notice is done (rk__serve_held).
 *
 * A notice stands in the ring before its change is committed: a server that
 * dies loses none, and one too many does no harm.
 */
#ifndef RK_NOTICE_H
#define RK_NOTICE_H

#include <stdatomic.h>
#include <stdint.h>
#include "../recovery/family.h"

enum { RK_NOTICES = 256 };		/* a power of two */

#define RK_NOTICE_ALL_NAMES	0		/* in place of a nodeid */
#define RK_NOTICE_ATTRIBUTES	UINT64_MAX	/* in place of an offset */

struct rk__notice {
	uint64_t nodeid;
	uint64_t off, len;		/* bytes; len 0: to the end */
};

struct rk__notices {
	_Atomic uint64_t put, begun, done;	/* counts */
	_Atomic uint32_t bell;		/* futex: bumped after put */
	_Atomic uint32_t asleep;	/* the notifier is, or is about to be */
	_Atomic uint32_t waiting;	/* the server wants to hear of done */
	struct rk__notice ring[RK_NOTICES];
};

/* Those of a mount whose inbox is mapped at p. */
struct rk__notices *rk__notices_at(void *inbox);

/* The server's side: watches what the core changes. */
void rk__notice_start(void);
/* The request that runs came from the kernel, which knows what it asked. */
void rk__notice_own(bool own);

/* The notifier's life: tells the kernel through fuse_fd. Never returns. */
_Noreturn void rk__notifier_run(const struct rk__family *f, uint32_t mount,
				int fuse_fd);

#endif
