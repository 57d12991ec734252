/*
 * walk.h - from a path to a file, for clients that name files by path.
 *
 * Clients see each mount at its own absolute path; a path goes to the mount
 * with the longest one that it begins with. Outside of all mounts is -EXDEV:
 * another's business; `outside` says where that is. The directory that a mount
 * stands on is entered as the root of that mount, and left by ".." to the one
 * above; it can't be removed or renamed. Which one that is, is found when the mount
 * is made: one that comes to be later stays what it is.
 */
#ifndef RK_WALK_H
#define RK_WALK_H

#include "request.h"
#include "vfs.h"

enum {
	RK_WALK_FOLLOW = 1 << 0,	/* the last component if it is a symlink */
	RK_WALK_PARENT = 1 << 1,	/* it is enough if its directory is there */
	RK_WALK_EMPTY = 1 << 2,		/* "" names the starting point */
	/* RESOLVE_* of openat2 */
	RK_WALK_NO_XDEV = 1 << 3,	/* -EXDEV: it leads to another mount */
	RK_WALK_NO_SYMLINKS = 1 << 4,	/* -ELOOP: one is to be followed */
	RK_WALK_BENEATH = 1 << 5,	/* -EXDEV: it leaves the start */
	RK_WALK_IN_ROOT = 1 << 6,	/* the start is the root of everything */
};

enum rk__last {
	RK_LAST_NAME,
	RK_LAST_DOT,
	RK_LAST_DOTDOT,
	RK_LAST_ROOT,			/* no component: a mount's root, or "" */
};

struct rk__walked {
	struct rk__node dir;		/* that holds the last component */
	enum rk__last last;
	const char *name;		/* in `path`; of RK_LAST_NAME */
	size_t len;
	bool slash;			/* slashes follow it */
	bool outside;			/* it left all mounts: `path` is where to */
	bool found;			/* then: */
	struct rk__node node;
	struct rk_stat st;
	/* `node` may be of another mount than `dir`, and what `name` names. */
	char path[RK_PATH_LEN_MAX];
};

/* Start: the directory of a relative path, or the file that "" names. With
 * RK_WALK_PARENT alone a last symlink is never followed, and that slashes
 * follow what is no directory is left to the caller. */
int rk__walk(const struct rk__cred *c, struct rk__node start, const char *path,
	     unsigned flags, struct rk__walked *ret);
/* Does another mount stand on what was found? */
static inline bool rk__walked_covered(const struct rk__walked *w)
{
	return w->found && w->last == RK_LAST_NAME &&
	       w->node.mount != w->dir.mount;
}
/* The mount that holds the last name, which of a mount's root is another one.
 * RK_MOUNTS_MAX: none, it is outside. */
uint32_t rk__walked_home(const struct rk__walked *w);
/* The absolute path of a directory as clients see it; returns its length with
 * the NUL. -ERANGE, -ENOENT (removed). */
int rk__walk_path(struct rk__node dir, char *buf, size_t size);

#endif
