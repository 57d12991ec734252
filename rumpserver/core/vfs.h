/*
 * vfs.h - file operations on (mount, inode), for every gate.
 *
 * These add to the driver what all drivers have in common: read-only mounts,
 * name length, permission by credential (unless the kernel has checked),
 * set-id bits, the name cache, references and orphans, change notes. Each
 * returns >= 0 or a negative errno; none blocks. After an error that came
 * after a change, the caller of exec (rk__serve) rolls back.
 */
#ifndef RK_VFS_H
#define RK_VFS_H

#include "core.h"

struct rk__node {
	uint32_t mount;
	uint64_t ino;
};

/* Once per mount in the first server: calls the driver's mount in RM. */
int rk__vfs_mount(uint32_t mount, const struct rk__family *family,
		  bool *needs_recovery, char *error, size_t error_len);
/* Mounts the drivers afresh under what core holds of this mount; resumes: as of
 * the last flush point, and calls are run again (rk_mount_options). A sentence
 * in error. */
int rk__vfs_remount(uint32_t mount, const struct rk__family *family,
		    bool resumes, char *error, size_t error_len);
int rk__vfs_unmount(uint32_t mount);
/* Every start: volatile state (name cache, cached driver pointers) anew. */
void rk__vfs_restart(const struct rk__family *family);
/* A standby: mounts what it can of the drivers that each server mounts anew. */
void rk__vfs_prepare(const struct rk__family *family);
/* A successor: mounts the rest of them. */
int rk__vfs_reopen(const struct rk__family *family, char *error,
		   size_t error_len);
/* The device below a mount of RK_SOURCE_IMAGE, as its driver has it. */
const struct rk_host *rk__vfs_device(uint32_t mount);
/* What is on a device is made durable by a flush point; of the rest nothing
 * outlives the family, or the driver's sync does it. RK_MOUNTS_MAX: any. */
bool rk__vfs_has_device(uint32_t mount);

/* name "." and ".." included. Returns attributes in *ret. */
int rk__vfs_lookup(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, struct rk_stat *ret);
int rk__vfs_getattr(struct rk__node n, struct rk_stat *ret);
/* Returns 1 while stages of a truncation remain. */
int rk__vfs_setattr(const struct rk__cred *c, struct rk__node n,
		    const struct rk_setattr *set, struct rk_stat *ret);
int rk__vfs_create(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, const struct rk_new *what,
		   struct rk_stat *ret);
/* A file without a name, which the caller must hold from then on; `linkable`:
 * link() may give it one. */
int rk__vfs_tmpfile(const struct rk__cred *c, struct rk__node dir,
		    const struct rk_new *what, bool linkable,
		    struct rk_stat *ret);
int rk__vfs_link(const struct rk__cred *c, struct rk__node n,
		 struct rk__node dir, const char *name, size_t len,
		 struct rk_stat *ret);
int rk__vfs_unlink(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, bool directory);
/* -EINVAL: no such combination. */
int rk__rename_flags(uint32_t flags);
int rk__vfs_rename(const struct rk__cred *c, struct rk__node dir,
		   const char *name, size_t len, struct rk__node newdir,
		   const char *newname, size_t newlen, uint32_t flags);
int rk__vfs_readlink(struct rk__node n, char *buf, size_t size);
int64_t rk__vfs_read(struct rk__node n, void *buf, size_t len, uint64_t off);
/* The same as the driver has it, without what mappings wrote and nobody synced. */
int64_t rk__vfs_read_stored(struct rk__node n, void *buf, size_t len,
			    uint64_t off);
/* append: off is ignored, the end of the file is used; *ret_off is where the
 * bytes went. Clears set-id bits as write(2) does. */
int64_t rk__vfs_write(const struct rk__cred *c, struct rk__node n,
		      const void *buf, size_t len, uint64_t off, bool append,
		      uint64_t *ret_off);
/* -EOPNOTSUPP: no mode that Linux lets pass. */
int rk__fallocate_mode(uint32_t mode);
int rk__vfs_fallocate(const struct rk__cred *c, struct rk__node n,
		      uint32_t mode, uint64_t off, uint64_t len);
int rk__vfs_seek(struct rk__node n, uint64_t off, bool hole, uint64_t *ret);
/* Copies within one mount; returns bytes, at most RK_IO_MAX a call. */
int64_t rk__vfs_copy(const struct rk__cred *c, struct rk__node from,
		     uint64_t off_from, struct rk__node to, uint64_t off_to,
		     uint64_t len);
int rk__vfs_readdir(struct rk__node dir, uint64_t cookie, rk_emit_fn *emit,
		    void *arg);
int rk__vfs_getxattr(const struct rk__cred *c, struct rk__node n,
		     const char *name, void *buf, size_t size);
int rk__vfs_setxattr(const struct rk__cred *c, struct rk__node n,
		     const char *name, const void *value, size_t size,
		     uint32_t flags);
int rk__vfs_listxattr(const struct rk__cred *c, struct rk__node n, char *list,
		      size_t size);
int rk__vfs_removexattr(const struct rk__cred *c, struct rk__node n,
			const char *name);
/* The flags, version and place of a file; returns bytes of `out`. -ENOTTY. in
 * and out must not overlap; in is read once. */
int rk__vfs_ioctl(const struct rk__cred *c, struct rk__node n, uint32_t cmd,
		  const void *in, size_t in_len, void *out, size_t room);
int rk__vfs_statfs(uint32_t mount, struct rk_statfs *ret);
/* The drivers' sync, of one mount or all (RK_MOUNTS_MAX). */
int rk__vfs_sync(uint32_t mount);
/* -EPERM: a file that is immutable or append-only is not opened so. */
int rk__may_open(const struct rk_stat *st, uint32_t open_flags);
/* R_OK | W_OK | X_OK against mode, owner and groups. */
int rk__vfs_access(const struct rk__cred *c, const struct rk_stat *st,
		   unsigned mask);

/* Others change what this mount shows: nobody may believe what he was told. */
bool rk__vfs_outside(uint32_t mount);
/* Is there such a mount? */
bool rk__any_outside(void);

/* --- who else has to know ---------------------------------------------------- */

/* One that tells those who cache what files hold. */
struct rk__watcher {
	/* From now on others than the kernel change things: what it was told
	 * it must not believe any more. */
	void (*shared)(void);
	/* These bytes of a file are not what they were; len 0: to the end. */
	void (*data_changed)(struct rk__node n, uint64_t off, uint64_t len);
	/* A directory has a name more or less. */
	void (*names_changed)(struct rk__node dir);
	/* Everybody knows of all changes so far. If not: whoever is asked sees
	 * to it, and wakes the loop when it is so. */
	bool (*settled)(void);
	/* One of those who cache is being told, and may wait for us. */
	bool (*telling)(void);
};
extern const struct rk__watcher *rk__watcher;	/* NULL: nobody */

/* --- vnodes: files that somebody holds ---------------------------------- */

/* Finds or makes the vnode; returns its index, 0 if the table is full.
 * A vnode without references is freed by rk__vnode_put*. */
uint32_t rk__vnode_get(struct rk__node n);
/* Puts one at a free place of its own choosing (external.h). */
void rk__vnode_place(uint32_t index, struct rk__node n);
uint32_t rk__vnode_find(struct rk__node n);		/* 0: nobody holds it */
struct rk__vnode *rk__vnode(uint32_t index);		/* NULL: not in use */
void rk__vnode_hold_lookup(uint32_t index);		/* lookups + 1 */
void rk__vnode_hold_open(uint32_t index);		/* opens + 1 */
/* Drops n lookups / one open; the last reference of an orphan reclaims it
 * (1: stages remain, rk__vnode_reclaim_some does them when there is time). */
int rk__vnode_put_lookup(uint32_t index, uint64_t n);
int rk__vnode_put_open(uint32_t index);
/* A few pending reclaims or one stage of a large one; false: none is pending.
 * Commit after it. While anything is uncommitted it only tells whether there
 * is work, for what fails is rolled back here. */
bool rk__vnode_reclaim_some(void);
/* Is each file that somebody holds there, and without a name if it is an
 * orphan? */
bool rk__vnodes_are_there(void);
/* Forgets every lookup of a mount (its connection ended). */
void rk__vnode_drop_lookups(uint32_t mount);

/* --- name cache: volatile -------------------------------------------------- */

enum rk__name_found { RK_NAME_UNKNOWN, RK_NAME_POSITIVE, RK_NAME_NEGATIVE };
enum rk__name_found rk__name_find(struct rk__node dir, const char *name,
				  size_t len, uint64_t *ret_ino);
void rk__name_enter(struct rk__node dir, const char *name, size_t len,
		    uint64_t ino);	/* ino 0: negative */
void rk__name_purge_dir(struct rk__node dir);
void rk__name_purge_all(void);		/* after a rollback */

/* --- locks -------------------------------------------------------------- */

/* 0; -EAGAIN: in the way; -EDEADLK; -ENOLCK. Wakes who may go on. */
int rk__lock_set(uint32_t vnode, const struct rk__lock_request *r);
/* Type F_UNLCK in *ret: nothing in the way. */
void rk__lock_test(uint32_t vnode, const struct rk__lock_request *r,
		   struct rk_flock *ret);
/*
 * For a request that -EAGAIN would block (one of flock(2) that is not to wait
 * calls it as well, and fails at 0). 0: park it on rk__lock_key();
 * 1: the lock it wants to convert was given up, as flock(2) does: commit and
 * run it again (RK_STAGE); -EDEADLK.
 */
int rk__lock_wait(uint32_t vnode, const struct rk__lock_request *r);
/* The request no longer waits, although it got nothing (signal, death). */
void rk__lock_wait_end(uint32_t vnode, const struct rk__lock_request *r);
/* All locks of an owner on a file (close), of any kind if kind is 0. */
void rk__lock_release(uint32_t vnode, enum rk__lock_kind kind, uint64_t owner);
/* What was locked through an open file of the kernel that is no more. */
void rk__lock_release_file(uint32_t vnode, uint64_t file);
/* Everybody's: the file itself goes. */
void rk__lock_release_all(uint32_t vnode);
/* What a blocked request parks on: a change of this file's locks. */
const void *rk__lock_key(uint32_t vnode);
/* Is a lock in the way of it? Would the other be, once it is set? */
bool rk__lock_in_way(uint32_t vnode, const struct rk__lock_request *r);
bool rk__lock_rivals(const struct rk__lock_request *a,
		     const struct rk__lock_request *b);
/* Would waiting close a circle? Of POSIX locks only, as on Linux. */
bool rk__lock_would_deadlock(uint32_t vnode, const struct rk__lock_request *r);

#endif
