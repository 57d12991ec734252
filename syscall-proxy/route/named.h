/*
 * named.h - a call that names one file: what is the same for all of them. The
 * path is placed, the call is made where it leads, and made again elsewhere
 * when a server says that it leads out.
 */
#ifndef RK_NAMED_H
#define RK_NAMED_H

#include <fcntl.h>
#include "path.h"

/* What a word of the call points to, for a call of a foreign caller that the
 * host does with another path. */
enum rk__points {
	RK__NOWHERE,
	RK__IN,				/* size bytes, which are read */
	RK__IN_BY,			/* as many as the word `size` says */
	RK__OUT,
	RK__OUT_BY,
	RK__INOUT,			/* size bytes, both */
	RK__STRING,
};

enum { RK__NO_WORD = 6 };

struct rk__named {
	long nr;			/* the call in its form with a dirfd */
	uint64_t arg[6];
	uint8_t path;			/* which word */
	uint8_t dirfd;			/* which word; RK__NO_WORD: there is none */
	uint8_t how;			/* enum rk__how */
	bool empty;			/* "" names dirfd itself */
	bool creates;			/* a file, where there is none */
	bool opens, cloexec;		/* it gives a descriptor */
	bool no_mount;			/* over a mount it is the mount's */
	bool bound;			/* that it leads out is its answer */
	struct {
		uint8_t points, word;
		uint32_t size;
	} memory[2];
	/* The call at a server, and its result. p->itself: the path is "". */
	int64_t (*inside)(struct rk__task *t, const struct rk__named *n,
			  struct rk__place *p);
};

enum rk__routed rk__named(struct rk__task *t, const struct rk__named *n,
			  int64_t *ret);

/* --- what calls with two paths need besides ----------------------------------------- */

/* Where a path of the caller leads by its letters. 1: over a mount it is for the
 * mount; or 0, or a negative errno. */
int rk__place_first(struct rk__task *t, int dirfd, struct rk__place *p,
		    unsigned how);
/* Whether the host's symbolic links have to be looked at before the host does a
 * call with this path, which is outside. */
bool rk__wants_exact(struct rk__task *t, int dirfd, const struct rk__place *p,
		     unsigned how, bool creates);

/* Whether a call of the host says that there is no such file: then a symlink of
 * the host may lead to a mount. */
static inline bool rk__not_found(int64_t result)
{
	return result == -ENOENT || result == -ENOTDIR;
}

/* AT_* of a call for the server. */
static inline uint32_t rk__at_flags(const struct rk__place *p, uint64_t flags)
{
	return p->itself ? ((uint32_t)flags | AT_EMPTY_PATH) &
				   ~(uint32_t)AT_SYMLINK_NOFOLLOW :
			   (uint32_t)flags;
}

/* How a call with AT_SYMLINK_NOFOLLOW looks at the last component. */
static inline uint8_t rk__how_of(uint64_t flags)
{
	return flags & AT_SYMLINK_NOFOLLOW ? 0 : RK__FOLLOW;
}

#endif
