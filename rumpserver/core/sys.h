/*
 * sys.h - between syscalls.c, which decodes and dispatches, and the sys_*.c,
 * which hold the ops, a file for each group.
 *
 * Each op of ops.h is one rk__sys_<name>(): it returns the result, >= 0 or a
 * negative errno. Room for output is at a->buf or the like, and what was
 * written there is said in c->out_len; a struct counts by itself. Ops that
 * wait or go in stages set c->outcome.
 */
#ifndef RK_SYS_H
#define RK_SYS_H

#include <errno.h>
#include <fcntl.h>
#include "fd.h"
#include "serve.h"
#include "task.h"
#include "vfs_int.h"
#include "views.h"
#include "walk.h"

struct rk__call {
	struct rk__proc *proc;
	struct rk__cred cred;
	bool cancelled;			/* the caller no longer waits */
	uint32_t out_len;
	enum rk__outcome outcome;	/* RK_DONE unless the op says otherwise */
};

#define RK_SYS(name, ...)						\
	int64_t rk__sys_##name(struct rk__call *c, struct op_##name *a);
RK_OPS(RK_SYS)
#undef RK_SYS

/* The ofd of a descriptor for anything but an O_PATH one's few uses. */
static inline struct rk__ofd *rk__call_ofd(const struct rk__call *c, int32_t fd)
{
	struct rk__ofd *o = rk__fd(c->proc, fd);

	return o && !(o->flags & O_PATH) ? o : NULL;
}

/* Where a path begins that is relative to dirfd. -EBADF. */
static inline int rk__call_start(const struct rk__call *c, int32_t dirfd,
				 const char *path, struct rk__node *ret)
{
	const struct rk__ofd *o;

	*ret = rk__proc_cwd(c->proc);
	if (path[0] == '/' || dirfd == RK_AT_FDCWD)
		return 0;
	o = rk__fd(c->proc, dirfd);
	if (!o)
		return -EBADF;
	*ret = rk__ofd_node(o);
	return 0;
}

static inline int rk__call_walk(const struct rk__call *c, int32_t dirfd,
				const char *path, unsigned flags,
				struct rk__walked *ret)
{
	struct rk__node start;
	int r = rk__call_start(c, dirfd, path, &start);

	return r < 0 ? r : rk__walk(&c->cred, start, path, flags, ret);
}

/* RK_WALK_* of the usual AT_* flags. -EINVAL: others than `allowed`. */
static inline int rk__call_flags(uint32_t flags, uint32_t allowed)
{
	if (flags & ~allowed)
		return -EINVAL;
	return (flags & AT_SYMLINK_NOFOLLOW ? 0 : RK_WALK_FOLLOW) |
	       (flags & AT_EMPTY_PATH ? RK_WALK_EMPTY : 0);
}

/* RLIMIT_FSIZE. A write at `off`: -EFBIG, or *count cut to what is allowed. */
static inline int rk__call_fsize(const struct rk__call *c, uint64_t off,
				 uint64_t *count)
{
	uint64_t limit = c->proc->fsize;

	if (limit > INT64_MAX || *count == 0)
		return 0;
	if (off >= limit)
		return -EFBIG;
	if (*count > limit - off)
		*count = limit - off;
	return 0;
}

/* The same for a new size of a file that was `old` bytes long. */
static inline int rk__call_new_size(const struct rk__call *c, uint64_t old,
				    uint64_t size)
{
	return size > old && size > c->proc->fsize ? -EFBIG : 0;
}

/* Answers what a vfs function returned that may need more stages. */
static inline int64_t rk__call_stage(struct rk__call *c, int r)
{
	if (r > 0)
		c->outcome = RK_STAGE;
	return r < 0 ? r : 0;
}

/* --- sys_io.c, sys_pages.c ------------------------------------------------- */

/* Waits until all of a mount is durable. */
int64_t rk__call_flush(struct rk__call *c, uint32_t mount);
/* What was written by mapping, to the driver: [from, to) of a file, or all of a
 * mount. false: not yet, or an error; *ret is the op's result. */
bool rk__call_write_back(struct rk__call *c, struct rk__node n, uint64_t from,
			 uint64_t to, int64_t *ret);
bool rk__call_write_back_all(struct rk__call *c, uint32_t mount, int64_t *ret);

/* --- sys_fifo.c ------------------------------------------------------------- */

/* Has this request opened a fifo in an earlier stage? Then *ret is for
 * rk__fifo_go_on, which is all that is left to do. */
bool rk__fifo_goes_on(const struct rk__call *c, int64_t *ret);
int64_t rk__fifo_go_on(struct rk__call *c, int64_t stage);
/* fd was opened on a fifo. */
int64_t rk__fifo_open(struct rk__call *c, int fd);
int64_t rk__fifo_read(struct rk__call *c, const struct rk__ofd *o, void *buf,
		      uint64_t count);
int64_t rk__fifo_write(struct rk__call *c, const struct rk__ofd *o,
		       const void *buf, uint64_t count);

#endif
