/*
 * path.h - where a path leads, in steps. Each works on p->path, which holds the
 * path. 0 or a negative errno.
 */
#ifndef RK_PATH_H
#define RK_PATH_H

#include "calls.h"

/* Whether a path leads into a mount by its letters, wherever it starts: false is
 * sure. */
bool rk__may_lead(const struct rk__proxy_config *c, const char *path);
/* The mount that an absolute path without ".." in front of it leads into, or
 * -1. */
int rk__mount_of(const struct rk__proxy_config *c, const char *path);
/* The path of the mount whose root an absolute path names by its letters, or
 * NULL. */
const char *rk__root_of(const struct rk__proxy_config *c, const char *path);
/* By its letters alone, and by the names that /proc has for descriptors. Outside
 * the path may have become absolute. */
int rk__place_letters(struct rk__task *t, int dirfd, struct rk__place *p,
		      unsigned how);
/* With the host's symbolic links; for what is outside by its letters. Outside of
 * everything the path is one that means the same. */
int rk__place_exact(struct rk__task *t, int dirfd, struct rk__place *p,
		    unsigned how);
/* 1: the path is the name that /proc or /dev has for a descriptor or working
 * directory of a server, which p is then; or 0, or a negative errno. */
int rk__place_proc(struct rk__task *t, struct rk__place *p);
/* The absolute path of what p->itself is. Its length, or a negative errno. A file
 * has none, only directories have. */
int64_t rk__path_of(const struct rk__place *p, char *ret, size_t size);

#endif
