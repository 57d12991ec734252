/*
 * graft.h - trees of mounts that hang nowhere: cloned in one place, attached
 * in another, in a namespace of the same user or of another.
 */
#ifndef RK_GRAFT_H
#define RK_GRAFT_H

#include <stdbool.h>

/* A copy of what is mounted at and below path. A descriptor, or a negative
 * errno. */
int rk__graft_clone(const char *path);

/*
 * Attaches it at path, which is made if it is not there: a directory, or an
 * empty file for a file. read_only: all of the tree. Keeps the descriptor. 0,
 * or a negative errno with a sentence in error (RK_SERVER_ERROR_LEN bytes).
 */
int rk__graft_attach(int tree, const char *path, bool read_only, char *error);

/* Makes the directory, if it is not there, and those above it. The same. */
int rk__graft_directory(const char *path, char *error);

#endif
