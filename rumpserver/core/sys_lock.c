/*
 * sys_lock.c - flock, and POSIX and OFD record locks.
 */
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "sys.h"

/* Sets the lock; where it is in the way and `wait`, parks the request. */
static int64_t set(struct rk__call *c, const struct rk__ofd *o,
		   const struct rk__lock_request *r, bool wait)
{
	uint32_t vnode = o->vnode;
	int e;

	/* Whoever gave up must not have a lock that it does not know of. */
	if (wait && c->cancelled) {
		rk__lock_wait_end(vnode, r);
		return -EINTR;
	}
	e = rk__lock_set(vnode, r);
	if (e != -EAGAIN)
		return e;
	/* flock(2) gives up what it wanted to convert even if it fails. */
	if (!wait)
		return r->kind == RK_LOCK_FLOCK && rk__lock_wait(vnode, r) > 0 ?
			rk__call_stage(c, 1) : -EAGAIN;
	e = rk__lock_wait(vnode, r);
	if (e != 0)
		return rk__call_stage(c, e);
	rk__park_lock(rk__handle_now, vnode, (uint32_t)rk__ofd_owner(o), r);
	c->outcome = RK_PARKED;
	return 0;
}

int64_t rk__sys_flock(struct rk__call *c, struct op_flock *a)
{
	const struct rk__ofd *o = rk__call_ofd(c, a->fd);
	struct rk__lock_request r = {
		.kind = RK_LOCK_FLOCK,
		.pid = c->proc->pid,
		.end = UINT64_MAX,
	};

	if (!o)
		return -EBADF;
	r.owner = rk__ofd_owner(o);
	switch (a->operation & ~(uint32_t)LOCK_NB) {
	case LOCK_SH:
		r.type = F_RDLCK;
		break;
	case LOCK_EX:
		r.type = F_WRLCK;
		break;
	case LOCK_UN:
		r.type = F_UNLCK;
		break;
	default:
		return -EINVAL;
	}
	return set(c, o, &r, !(a->operation & LOCK_NB));
}

/* --- ranges ------------------------------------------------------------------- */

static int range_start(const struct rk__ofd *o, uint32_t whence, int64_t *ret)
{
	struct rk_stat st;
	int r;

	*ret = 0;
	switch (whence) {
	case SEEK_SET:
		return 0;
	case SEEK_CUR:
		*ret = o->offset;
		return 0;
	case SEEK_END:
		r = rk__vfs_getattr(rk__ofd_node(o), &st);
		*ret = (int64_t)st.size;
		return r;
	default:
		return -EINVAL;
	}
}

/* As fcntl(2) has it: length 0 goes to the end of all files, a negative one
 * lies before the start. */
static int range_of(const struct rk__ofd *o, uint32_t whence, int64_t start,
		    int64_t length, struct rk__lock_request *q)
{
	int64_t base, last;
	int r = range_start(o, whence, &base);

	if (r < 0)
		return r;
	if (__builtin_add_overflow(base, start, &start))
		return -EOVERFLOW;
	q->end = UINT64_MAX;
	if (length > 0) {
		if (start < 0)
			return -EINVAL;
		if (__builtin_add_overflow(start, length - 1, &last))
			return -EOVERFLOW;
		q->end = (uint64_t)last;
	} else if (length < 0) {
		q->end = (uint64_t)start - 1;
		if (start <= 0 ||
		    __builtin_add_overflow(start, length, &start))
			return -EINVAL;
	}
	if (start < 0)
		return -EINVAL;
	q->start = (uint64_t)start;
	/* Where nothing can lie beyond it, to the last byte is to the end. */
	if (q->end >= INT64_MAX)
		q->end = UINT64_MAX;
	return 0;
}

static int request_of(const struct rk__call *c, const struct rk__ofd *o,
		      uint32_t type, uint32_t ofd, struct rk__lock_request *q)
{
	if (type != F_RDLCK && type != F_WRLCK && type != F_UNLCK)
		return -EINVAL;
	*q = (struct rk__lock_request){
		.kind = ofd ? RK_LOCK_OFD : RK_LOCK_POSIX,
		.owner = ofd ? rk__ofd_owner(o) : c->proc->token,
		.pid = c->proc->pid,
		.type = type,
	};
	return 0;
}

int64_t rk__sys_getlk(struct rk__call *c, struct op_getlk *a)
{
	const struct rk__ofd *o = rk__call_ofd(c, a->fd);
	struct rk__lock_request q;
	int r = o ? request_of(c, o, a->type, a->ofd, &q) : -EBADF;

	if (r == 0 && q.type == F_UNLCK)
		r = -EINVAL;
	if (r == 0)
		r = range_of(o, a->whence, a->start, a->length, &q);
	if (r == 0)
		rk__lock_test(o->vnode, &q, a->lock);
	return r;
}

static int64_t set_range(struct rk__call *c, const struct op_setlk *a,
			 bool wait)
{
	const struct rk__ofd *o = rk__call_ofd(c, a->fd);
	struct rk__lock_request q;
	int r = o ? request_of(c, o, a->type, a->ofd, &q) : -EBADF;

	if (r == 0 && ((q.type == F_RDLCK && !rk__ofd_reads(o)) ||
		       (q.type == F_WRLCK && !rk__ofd_writes(o))))
		r = -EBADF;
	if (r == 0)
		r = range_of(o, a->whence, a->start, a->length, &q);
	return r < 0 ? r : set(c, o, &q, wait);
}

int64_t rk__sys_setlk(struct rk__call *c, struct op_setlk *a)
{
	return set_range(c, a, false);
}

int64_t rk__sys_setlkw(struct rk__call *c, struct op_setlkw *a)
{
	const struct op_setlk same = {
		.fd = a->fd, .type = a->type, .start = a->start,
		.length = a->length, .whence = a->whence, .ofd = a->ofd,
	};

	return set_range(c, &same, true);
}
