/*
 * namespace.h - the private view of the host that `rump run` gives a program.
 */
#ifndef RK_NAMESPACE_H
#define RK_NAMESPACE_H


enum { RK_POINTS_MAX = 64 };

/* Where something is to be mounted. */
struct rk__points {
	const char *path[RK_POINTS_MAX];
	unsigned n;
};

/*
 * Puts the calling process, which must have one thread, into a mount namespace
 * of its own (with a user namespace around it, where only that is allowed; ids
 * stay what they are), in which every one of the points exists as a directory.
 * The host sees none of it. The working directory is the same path as before.
 * 0, or a negative errno with a sentence in error (RK_SERVER_ERROR_LEN bytes);
 * after an error the process is good for nothing but to end.
 */
int rk__namespace_enter(const struct rk__points *points, char *error);
/* The same without any points. */
int rk__namespace_unshare(char *error);
/* What is mounted at dir becomes the root; the rest is let go. */
int rk__namespace_pivot(const char *dir, char *error);

#endif
