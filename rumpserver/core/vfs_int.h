/*
 * vfs_int.h - what the files of the vfs share among themselves: how a driver
 * is called, and the checks that several operations make.
 */
#ifndef RK_VFS_INT_H
#define RK_VFS_INT_H

#include <errno.h>
#include <sys/stat.h>
#include <sys/types.h>
#include "request.h"
#include "vfs.h"

static inline const struct rk_driver *rk__ops(uint32_t mount)
{
	return rk__driver[mount];
}

static inline void *rk__fs(uint32_t mount)
{
	return rk__top_fs[mount];
}

static inline struct rk__node rk__node(uint32_t mount, uint64_t ino)
{
	return (struct rk__node){.mount = mount, .ino = ino};
}

static inline bool rk__same_node(struct rk__node a, struct rk__node b)
{
	return a.ino == b.ino && a.mount == b.mount;
}

/* The number that names a mount in st_dev. */
static inline uint64_t rk__mount_dev(uint32_t mount)
{
	return mount + 1;
}

static inline bool rk__is_dots(const char *name, size_t len)
{
	return len > 0 && len <= 2 && name[0] == '.' && name[len - 1] == '.';
}

static inline int rk__writable(uint32_t mount)
{
	return rk__mount_read_only[mount] ? -EROFS : 0;
}

/* 0, -ENOENT (empty), -ENAMETOOLONG, -EINVAL (a slash or a NUL in it). */
int rk__name_check(const char *name, size_t len);

/* --- access.c: permission rules; all answer 0 when c->checked ------------- */

bool rk__in_group(const struct rk__cred *c, uint32_t gid);
/* May `c` remove or replace the entry `victim` of `dir`? */
int rk__may_remove(const struct rk__cred *c, const struct rk_stat *dir,
		   const struct rk_stat *victim);
/* -EPERM unless owner or root. */
int rk__may_link(const struct rk__cred *c, const struct rk_stat *st);
int rk__may_own(const struct rk__cred *c, const struct rk_stat *st);
int rk__may_setattr(const struct rk__cred *c, const struct rk_stat *st,
		    const struct rk_setattr *set);
/* The namespace rules of xattr(7). */
int rk__may_xattr(const struct rk__cred *c, const struct rk_stat *st,
		  const char *name, bool change);
/* The mode without the set-id bits that a write by `c` takes away. */
uint32_t rk__mode_written(const struct rk__cred *c, const struct rk_stat *st);
/* The same for a change of owner, which takes them from root's files too. */
uint32_t rk__mode_chowned(const struct rk__cred *c, const struct rk_stat *st);

/* --- between the vfs_*.c --------------------------------------------------- */

/* Takes the set-id bits away before the bytes of a file change. Checks that
 * it is a regular file. Gives the attributes in *ret. */
int rk__before_write(const struct rk__cred *c, struct rk__node n,
		     struct rk_stat *ret);
/* The last name of an object is gone: reclaim it now, or when its last holder
 * lets go. */
int rk__vnode_gone(struct rk__node n);
static inline void rk__data_changed(struct rk__node n, uint64_t off,
				    uint64_t len)
{
	if (rk__watcher)
		rk__watcher->data_changed(n, off, len);
}

/* --- vfs_stack.c: the drivers of a mount ------------------------------------ */

/* Every start, and before the others. */
void rk__stack_restart(const struct rk__family *f, uint32_t mount);
int rk__stack_mount(const struct rk__family *f, uint32_t mount, bool resumes,
		    struct rk__mount_state *ret, bool *needs_recovery,
		    char *error, size_t error_len);
/* A successor: those drivers that want it are mounted again. early: only those
 * that stand on nothing that the server which is alive may still change. */
int rk__stack_reopen(const struct rk__family *f, uint32_t mount, bool early,
		     char *error, size_t error_len);
int rk__stack_unmount(uint32_t mount);

/* --- outside.c: drivers that change what no rollback undoes ------------------ */

extern bool rk__mount_outside[RK_MOUNTS_MAX];
void rk__outside_host(uint32_t mount, uint32_t layer,
		      const struct rk_driver *d, struct rk_host *host);

/* Sets the volatile parts anew. */
void rk__lock_restart(void);
void rk__walk_restart(const struct rk__family *f);
/* A mount is there: if it is within another one, on which directory? */
void rk__walk_cover(uint32_t mount);

#endif
