/*
 * namespace.h - the private view of the host that `rump run` gives a program.
 */
#ifndef RK_NAMESPACE_H
#define RK_NAMESPACE_H

#include "supervisor.h"

/*
 * Puts the calling process, which must have one thread, into a mount namespace
 * of its own (with a user namespace around it, where only that is allowed; ids
 * stay what they are), in which every mount point of c exists as a directory.
 * The host sees none of it. The working directory is the same path as before.
 * 0, or a negative errno with a sentence in error (RK_SERVER_ERROR_LEN bytes);
 * after an error the process is good for nothing but to end.
 */
int rk__namespace_enter(const struct rk__config *c, char *error);

#endif
