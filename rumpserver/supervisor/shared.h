/*
 * shared.h - the mounts of a server that several programs share.
 */
#ifndef RK_SHARED_H
#define RK_SHARED_H

#include "supervisor.h"

struct rk__shared {
	/* What keeps them, and lets others have them; both -1: there are none.
	 * Passed on as they are. */
	int user_ns, mount_ns;
	/* /dev/fuse of each, until a supervisor has it; -1: none */
	int fuse[RK_MOUNTS_MAX];
};

/* Makes the mounts of c. The caller must have one thread. 0, or a negative
 * errno with a sentence in error (RK_SERVER_ERROR_LEN); then it is all -1. */
int rk__shared_make(const struct rk__config *c, struct rk__shared *ret,
		    char *error);
void rk__shared_close_fuse(struct rk__shared *s);

/* Copies of the first n mounts, which hang nowhere: see graft.h. */
int rk__shared_clone(int user_ns, int mount_ns, unsigned n, int *ret_tree,
		     char *error);

/*
 * Has the kernel write what it holds, and takes the mounts away; programs keep
 * their copies. abort: at once, and whoever uses a copy gets errors. May be
 * called in a thread. 0, or a negative errno.
 */
int rk__shared_unmount(const struct rk__shared *s, unsigned n, bool abort);

#endif
