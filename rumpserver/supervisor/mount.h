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

/*
 * Opens /dev/fuse and mounts it on dir. The kernel's INIT request waits in
 * *ret_fd then. allow_other: for other users than the caller too. 0, or a
 * negative errno with a sentence in error (RK_SERVER_ERROR_LEN bytes).
 */
int rk__fuse_mount(const char *dir, const char *source, bool read_only,
		   bool allow_other, int *ret_fd, char *error);

/* lazy: out of sight at once, gone with its last user. */
int rk__fuse_unmount(const char *dir, bool lazy, char *error);

#endif
