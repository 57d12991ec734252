/*
 * driver.h - what a driver sees of the system, all of it.
 *
 * A driver is a shared object that exports one `const struct rk_driver
 * rk_driver`. The server calls it in recoverable memory, one call at a time,
 * on one thread. Whatever the driver keeps in memory
 * it got from malloc, or in its own writable data, is part of the state that a
 * successor inherits, as of the last commit: so a driver needs no code for
 * recovery, and must keep nothing elsewhere (no descriptors, no threads, no
 * files of the host, no pointers into the C library's own state).
 *
 * Every function returns >= 0 or a negative errno. A function that returns an
 * error after rk_host.change() has its changes rolled back by the server.
 * Objects are named by inode number; the server resolves names, checks
 * permissions and holds references. A missing function answers as its comment
 * says. A driver that keeps FS_APPEND_FL and FS_IMMUTABLE_FL refuses with
 * -EPERM what they forbid, except opening, which it does not see.
 */
#ifndef RK_DRIVER_H
#define RK_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "types.h"

#define RK_DRIVER_ABI 3

enum {
	/* Changes nothing: its mount is read-only, whatever is asked for. */
	RK_DRIVER_READ_ONLY = 1 << 0,
	/* Keeps nothing in memory that counts: each server mounts it anew, at
	 * best before it is needed, and all numbers (inodes, cookies) must
	 * come out the same. Its malloc is the ordinary heap, so here pointers
	 * into libraries are allowed. */
	RK_DRIVER_REOPEN = 1 << 1,
	/* Stands on another driver, which it gets in rk_mount_options.lower. */
	RK_DRIVER_STACKS = 1 << 2,
	/* What it changes others may change too, and no rollback undoes it:
	 * the server remembers no names, lets nobody cache for long, and
	 * commits after each request that changed something. */
	RK_DRIVER_OUTSIDE = 1 << 3,
};

/* What the text behind the colon of a mount names. */
enum rk_source {
	RK_SOURCE_IMAGE,	/* a block device, committed with the op */
	RK_SOURCE_FILE,		/* a file that is only read */
	RK_SOURCE_DIRECTORY,	/* rk_host.dirfd */
	RK_SOURCE_NONE,		/* nothing: the text is a label */
};

enum { RK_LASTING_SIZE = 16 << 10 };

/* The request that runs. A successor runs it again under the same slot and id,
 * unless it was committed. */
struct rk_running {
	uint64_t slot, id;
	uint64_t run;			/* grows each time one is begun */
	uint64_t commits;		/* so far */
};

/* The object that is to be made. */
struct rk_wanted {
	uint64_t ino;
	uint32_t generation;
};

/* What the driver has of the world. The device is of RK_SOURCE_IMAGE:
 * committed with the op, flushed by the server; of RK_SOURCE_FILE it can only
 * be read, and others have a size of 0. Offsets and lengths are bytes, any
 * alignment. */
struct rk_host {
	void *ctx;
	/* 0 or a negative errno; reads see the writes of this op. */
	int (*read)(void *ctx, void *buf, size_t len, uint64_t off);
	int (*write)(void *ctx, const void *buf, size_t len, uint64_t off);
	/*
	 * The same for bytes that nothing used at the last sync() and nothing
	 * has used since: they may go to the device before the op that makes
	 * them part of a file is durable, which saves writing them twice. Pays
	 * for large pieces; a flush after it takes one more sync of the device.
	 */
	int (*write_new)(void *ctx, const void *buf, size_t len, uint64_t off);
	/* The bytes need not be kept; they may read as zeros or as before. */
	int (*discard)(void *ctx, uint64_t off, uint64_t len);
	uint64_t (*size)(void *ctx);
	/* Say this before the first change that this op makes to the driver's
	 * own state or to the device. Cheap; may be repeated. */
	void (*change)(void *ctx);
	struct rk_time (*now)(void *ctx);
	/* One sentence for a person, no newline: shown if mount fails. */
	void (*complain)(void *ctx, const char *sentence);
	int dirfd;			/* RK_SOURCE_DIRECTORY; others: -1 */
	/* RK_LASTING_SIZE bytes, zeros before the first mount, which no
	 * rollback touches and every successor finds as they were. For
	 * what happened, never for state. */
	void *lasting;
	/* One pointer that no successor inherits: NULL in each new server. */
	void **own;
	void (*request)(void *ctx, struct rk_running *ret);
	/* Was that request committed, so that it does not come again? */
	bool (*committed)(void *ctx, uint64_t slot, uint64_t id);
	/* Does anybody hold this object? Asked while it mounts, too: what has
	 * no name and is held must stay. */
	bool (*held)(void *ctx, uint64_t ino);
	/*
	 * Puts the op that runs to sleep until somebody calls wake() with the
	 * same key, an address of the driver's own memory. It may return at any
	 * time: look again whether what was waited for is there. What else is
	 * in the driver's memory has changed meanwhile, and what stands there
	 * when wait() is called, others see: so it must make sense.
	 *
	 * In the execution model `process` it returns 0, after the restart of
	 * a server too, and the op goes on from there: what it did before is
	 * committed and is not done again. In `interrupt` it returns -ERESTART:
	 * give that back at once; all that the op did is undone, and it is run
	 * again from its start. So what waits in a loop before it changes
	 * anything works in both. -EINTR: the caller has got a signal or is
	 * gone, do not wait. -EAGAIN: too many wait. -EDEADLK: nobody can wait
	 * here (mount, unmount, sync, reclaim; RK_DRIVER_REOPEN in the stack).
	 *
	 *	while (!fs->there) {
	 *		r = host->wait(host->ctx, &fs->there);
	 *		if (r < 0)
	 *			return r;
	 *	}
	 */
	int (*wait)(void *ctx, const void *key);
	void (*wake)(void *ctx, const void *key);
	/* Where long work may be left for a moment, with everything as in
	 * wait(): others who ask meanwhile are served first (process). */
	void (*yield)(void *ctx);
	/*
	 * true: what the op makes shall have this number and generation, if
	 * the number is free. That is so while calls are run again that the
	 * driver has answered before (see rk_mount_options.resumes), and
	 * others know these numbers. NULL: never.
	 */
	bool (*wanted)(void *ctx, struct rk_wanted *ret);
};

struct rk_driver;

/* The driver below one that stacks. The server mounts and unmounts it. */
struct rk_lower {
	const struct rk_driver *driver;
	void *fs;
	uint64_t root;
};

struct rk_mount_options {
	bool read_only;
	/* "name" or "name=value", in the order given; the driver refuses by
	 * name (complain, -EINVAL) what it does not know. */
	const char *const *option;
	size_t n_options;
	const struct rk_lower *lower;	/* of RK_DRIVER_STACKS; to be copied */
	/*
	 * The device is as it was at a sync(), and the server goes on from
	 * there: objects without a name are in use, and a setattr() that
	 * returned 1 will be called again.
	 */
	bool resumes;
};

/* What create makes. */
struct rk_new {
	uint32_t mode;			/* type and permission bits */
	uint32_t uid, gid;
	uint64_t rdev;			/* devices */
	const char *target;		/* symlinks, NUL-terminated */
};

enum {
	RK_SET_MODE = 1 << 0,
	RK_SET_UID = 1 << 1,
	RK_SET_GID = 1 << 2,
	RK_SET_SIZE = 1 << 3,
	RK_SET_ATIME = 1 << 4,
	RK_SET_MTIME = 1 << 5,
	RK_SET_CTIME = 1 << 6,
	RK_SET_FLAGS = 1 << 7,
	/* The times are "now", which is no more than a write would do. */
	RK_SET_TOUCH = 1 << 8,
	/* Follows from something that was allowed: nobody asked for it. */
	RK_SET_FORCE = 1 << 9,
};

struct rk_setattr {
	uint32_t valid;			/* RK_SET_* */
	uint32_t mode;			/* permission bits */
	uint32_t uid, gid;
	uint64_t size;
	struct rk_time atime, mtime, ctime;
	uint32_t flags;			/* FS_*_FL; unknown ones: -EOPNOTSUPP */
};

/* Called for each entry; a non-zero answer means "full, stop before this
 * one". cookie: where readdir goes on after this entry. */
typedef int rk_emit_fn(void *arg, const char *name, size_t len, uint64_t ino,
		       uint8_t dt_type, uint64_t cookie);

/* Called for each run of a file that has room on the device. A non-zero
 * answer means "enough". physical: bytes from the start of the device;
 * flags: FIEMAP_EXTENT_* of Linux, without _LAST. */
typedef int rk_extent_fn(void *arg, uint64_t logical, uint64_t physical,
			 uint64_t len, uint32_t flags);

struct rk_driver {
	uint32_t abi;			/* RK_DRIVER_ABI */
	uint32_t flags;			/* RK_DRIVER_* */
	enum rk_source source;		/* one that stacks has its lower's */
	const char *name;
	/* What it is, in one line; then its options, each on a line that begins
	 * with NAME= (or several, with ", " between). Others are indented. */
	const char *help;

	/* mount: -EUCLEAN with *needs_recovery set asks the supervisor to run
	 * the file system's own journal recovery on the image and to try again. */
	int (*mount)(const struct rk_host *host,
		     const struct rk_mount_options *opt,
		     void **ret_fs, uint64_t *ret_root, bool *needs_recovery);
	/* Last call; everything was synced. */
	int (*unmount)(void *fs);

	int (*lookup)(void *fs, uint64_t dir, const char *name, size_t len,
		      struct rk_stat *ret);			/* -ENOENT */
	int (*getattr)(void *fs, uint64_t ino, struct rk_stat *ret);
	/* RK_SET_SIZE on a large file may return 1: a stage is done, call
	 * again after a commit. Others: 0. Sets ctime itself if not given. */
	int (*setattr)(void *fs, uint64_t ino, const struct rk_setattr *set,
		       struct rk_stat *ret);			/* -EROFS */
	/* Any type. dir's nlink and times are kept too. */
	int (*create)(void *fs, uint64_t dir, const char *name, size_t len,
		      const struct rk_new *what, struct rk_stat *ret);
	/* An object without a name, with nlink 0, as unlink leaves one. Taken to
	 * be made in `dir`. */
	int (*tmpfile)(void *fs, uint64_t dir, const struct rk_new *what,
		       struct rk_stat *ret);			/* -EOPNOTSUPP */
	/* Also of an object with nlink 0: the server knows whether it may. */
	int (*link)(void *fs, uint64_t ino, uint64_t dir, const char *name,
		    size_t len, struct rk_stat *ret);
	/* Removes a name. *ret: the object after it; with nlink 0 the object
	 * is on the orphan list (it survives a crash of everything as such)
	 * and stays usable by number until reclaim(). A directory must be
	 * empty (-ENOTEMPTY); `directory` says which of the two is meant
	 * (-EISDIR, -ENOTDIR). */
	int (*unlink)(void *fs, uint64_t dir, const char *name, size_t len,
		      bool directory, struct rk_stat *ret);
	/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT of Linux.
	 * *victim: the replaced object after it (ino 0: none), as for unlink.
	 * The server has checked that a directory does not move into itself.
	 */
	int (*rename)(void *fs, uint64_t dir, const char *name, size_t len,
		      uint64_t newdir, const char *newname, size_t newlen,
		      uint32_t flags, struct rk_stat *victim);
	/* Frees an object with nlink 0. Returns 1 while stages remain. */
	int (*reclaim)(void *fs, uint64_t ino);
	/* Not NUL-terminated; returns the length. */
	int (*readlink)(void *fs, uint64_t ino, char *buf, size_t size);
	/* Returns bytes; short only at the end of the file. Holes are zeros. */
	int64_t (*read)(void *fs, uint64_t ino, void *buf, size_t len,
			uint64_t off);
	/* Returns bytes; extends the file, sets mtime and ctime. */
	int64_t (*write)(void *fs, uint64_t ino, const void *buf, size_t len,
			 uint64_t off);
	int (*fallocate)(void *fs, uint64_t ino, uint32_t mode, uint64_t off,
			 uint64_t len);				/* -EOPNOTSUPP */
	/* SEEK_DATA or SEEK_HOLE; the default sees one piece of data. */
	int (*seek)(void *fs, uint64_t ino, uint64_t off, bool hole,
		    uint64_t *ret);
	/* From cookie 0; gives "." and ".." too. Cookies stay valid while
	 * other entries come and go. */
	int (*readdir)(void *fs, uint64_t dir, uint64_t cookie,
		       rk_emit_fn *emit, void *arg);
	/* get, list: size 0 asks for the length; -ERANGE; -ENODATA. */
	int (*getxattr)(void *fs, uint64_t ino, const char *name, void *buf,
			size_t size);				/* -EOPNOTSUPP */
	/* flags: XATTR_CREATE, XATTR_REPLACE */
	int (*setxattr)(void *fs, uint64_t ino, const char *name,
			const void *value, size_t size, uint32_t flags);
	int (*listxattr)(void *fs, uint64_t ino, char *list, size_t size);
	int (*removexattr)(void *fs, uint64_t ino, const char *name);
	int (*statfs)(void *fs, struct rk_statfs *ret);
	/* Writes everything that the driver still holds in memory to the
	 * device, so that the device alone is a consistent file system. */
	int (*sync)(void *fs);
	/* Where the bytes [off, end) of a file lie on the device, in order. */
	int (*fiemap)(void *fs, uint64_t ino, uint64_t off, uint64_t end,
		      rk_extent_fn *emit, void *arg);		/* -EOPNOTSUPP */
};

#endif
