/*
 * mount.h - making and removing FUSE mounts.
 *
 * Where the process may, it calls mount(2) itself: as root, and in a user
 * namespace of its own. Otherwise fusermount3 does it, which lets an ordinary
 * user mount on a directory that belongs to him. Nothing here looks at a path
 * inside the mount, before or after: an answer would have to come from a
 * server that does not run yet.
 */
#ifndef RK_MOUNT_H
#define RK_MOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/mount.h>

struct rk__mount_how {
	const char *source;		/* as the kernel lists it */
	unsigned long flags;		/* MS_* */
	bool allow_other;		/* for other users than the caller too */
};

/* What an image that nobody vouches for may not bring along. */
#define RK_MOUNT_FLAGS ((unsigned long)(MS_NOSUID | MS_NODEV))

/* A word of a list of mount options, like "noexec", that changes *flags.
 * false: it is no such word. */
bool rk__mount_flag(const char *word, size_t len, unsigned long *flags);

/*
 * Opens /dev/fuse and mounts it on dir. The kernel's INIT request waits in
 * *ret_fd then. 0, or a negative errno with a sentence in error
 * (RK_SERVER_ERROR_LEN bytes).
 */
int rk__fuse_mount(const char *dir, const struct rk__mount_how *how,
		   int *ret_fd, char *error);

/* The mount that whoever walks to `path` finds there, as the kernel lists it. */
struct rk__mounted {
	unsigned major, minor;		/* its own as long as it lives */
	char type[32];
	char source[4096 + 64];
	char path[4096];
};

/* The topmost mount at dir; -ENOENT: none. Asks no file system. */
int rk__mount_find(const char *dir, struct rk__mounted *ret);
/* Calls fn for each mount of rump, until it returns non-zero. */
int rk__mount_each(int (*fn)(void *arg, const struct rk__mounted *m),
		   void *arg);

/* Does nobody outside see what this process mounts? It has a mount namespace
 * into which mounts come, and out of which none go. */
bool rk__mounts_are_own(void);

/* lazy: out of sight at once, gone with its last user. */
int rk__fuse_unmount(const char *dir, bool lazy, char *error);
/* The same at once, and every call that waits for its server gets an error,
 * where that may be had; otherwise lazy. */
int rk__fuse_abort(const char *dir, char *error);

#endif
