/*
 * vfs_call.h - the calls that change something, from the vfs to the driver of
 * a mount: each as in driver.h, with what a driver answers that has none.
 *
 * Where a cold restart is possible, what a call was asked and what it answered
 * goes to the call log (recovery/calls.h), and time stands still within it.
 */
#ifndef RK_VFS_CALL_H
#define RK_VFS_CALL_H

#include "recovery/calls.h"
#include "vfs.h"

/* Can this family be started again from its devices alone? Only if no driver of
 * it keeps in memory what is on no device. */
bool rk__cold_possible(const struct rk__family *f);
/* Every start. */
void rk__calls_restart(const struct rk__family *f);

int rk__do_create(struct rk__node dir, const char *name, size_t len,
		    const struct rk_new *what, struct rk_stat *ret);
int rk__do_tmpfile(struct rk__node dir, const struct rk_new *what,
		     struct rk_stat *ret);
int rk__do_link(struct rk__node n, struct rk__node dir, const char *name,
		  size_t len, struct rk_stat *ret);
int rk__do_unlink(struct rk__node dir, const char *name, size_t len,
		    bool directory, struct rk_stat *ret);
int rk__do_rename(struct rk__node dir, const char *name, size_t len,
		    struct rk__node newdir, const char *newname, size_t newlen,
		    uint32_t flags, struct rk_stat *victim);
int rk__do_setattr(struct rk__node n, const struct rk_setattr *set,
		     struct rk_stat *ret);
int64_t rk__do_write(struct rk__node n, const void *buf, size_t len,
		       uint64_t off);
int rk__do_fallocate(struct rk__node n, uint32_t mode, uint64_t off,
		       uint64_t len);
int rk__do_reclaim(struct rk__node n);
int rk__do_setxattr(struct rk__node n, const char *name, const void *value,
		      size_t size, uint32_t flags);
int rk__do_removexattr(struct rk__node n, const char *name);

/* --- running them again ------------------------------------------------------- */

/*
 * Runs one call of a log again: what it made has the number that it had, and
 * time is what it was. 0; -EBADMSG: it cannot be a call; -ESTALE: it has not
 * the answer that it had.
 */
int rk__call_again(const struct rk__call *c, const uint8_t *const *part);

#endif
