/*
 * sys_ctl.c - what is neither data nor names: fcntl, ioctl, limits, ranges of
 * descriptors.
 */
#include <linux/close_range.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include "pipe.h"
#include "sys.h"

/* --- fcntl -------------------------------------------------------------------- */

static int64_t dup_from(struct rk__call *c, int32_t fd, uint64_t minimum,
			uint32_t flags)
{
	int to;

	if (minimum >= c->proc->nofile)
		return -EINVAL;
	to = rk__fd_lowest(c->proc, (uint32_t)minimum);
	if (to >= 0)
		rk__fd_share(c->proc, fd, to, flags);
	return to;
}

static int64_t set_fd_flags(struct rk__call *c, int32_t fd, uint64_t flags)
{
	rk__fd_set_cloexec(c->proc, fd, flags & FD_CLOEXEC);
	return 0;
}

/* Locks have calls of their own. Leases and notices of directories are
 * refused: the server would have to wait for its clients. */
int64_t rk__sys_fcntl(struct rk__call *c, struct op_fcntl *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);
	struct op_setfl set = { .fd = a->fd, .flags = (uint32_t)a->value };

	if (!o)
		return -EBADF;
	switch (a->cmd) {
	case F_DUPFD:
		return dup_from(c, a->fd, a->value, 0);
	case F_DUPFD_CLOEXEC:
		return dup_from(c, a->fd, a->value, O_CLOEXEC);
	case F_GETFD:
		return c->proc->fd_flags[a->fd];
	case F_SETFD:
		return set_fd_flags(c, a->fd, a->value);
	case F_GETFL:
		return o->flags;
	case F_SETFL:
		return rk__sys_setfl(c, &set);
	case F_GETPIPE_SZ:
		return o->pipe ? RK_PIPE_SIZE : -EBADF;
	default:
		return o->flags & O_PATH ? -EBADF : -EINVAL;
	}
}

/* --- ioctl -------------------------------------------------------------------- */

static int64_t give(struct rk__call *c, struct op_ioctl *a, const void *p,
		    size_t len)
{
	if (a->out_size < len)
		return -EFAULT;
	memcpy(a->out, p, len);
	c->out_len = (uint32_t)len;
	return 0;
}

static int64_t set_nonblock(struct rk__call *c, struct op_ioctl *a,
			    const struct rk__ofd *o)
{
	struct op_setfl set = { .fd = a->fd, .flags = o->flags };
	int on;

	if (a->in_size < sizeof on)
		return -EFAULT;
	memcpy(&on, a->in, sizeof on);
	set.flags = on ? o->flags | O_NONBLOCK :
			 o->flags & ~(uint32_t)O_NONBLOCK;
	return rk__sys_setfl(c, &set);
}

/* How much can be read at once, as an int, whatever the size. */
static int64_t readable(struct rk__call *c, struct op_ioctl *a,
			const struct rk__ofd *o, const struct rk_stat *st)
{
	int n = o->pipe ? (int)rk__pipe(o)->used :
			  (int)((int64_t)st->size - o->offset);

	return S_ISREG(st->mode) || o->pipe ? give(c, a, &n, sizeof n) :
					      -ENOTTY;
}

static int64_t size_of(struct rk__call *c, struct op_ioctl *a,
		       const struct rk_stat *st)
{
	int64_t size = (int64_t)st->size;

	return S_ISREG(st->mode) || S_ISDIR(st->mode) ?
		       give(c, a, &size, sizeof size) : -ENOTTY;
}

static int64_t file_ioctl(struct rk__call *c, struct op_ioctl *a,
			  const struct rk__ofd *o)
{
	uint8_t in[64];
	size_t n = a->in_size < sizeof in ? a->in_size : sizeof in;
	int r;

	/* The client may change its bytes at any time. */
	if (n)
		memcpy(in, a->in, n);
	r = rk__vfs_ioctl(&c->cred, rk__ofd_node(o), a->cmd, in, n, a->out,
			  a->out_size);
	c->out_len = r < 0 ? 0 : (uint32_t)r;
	return r < 0 ? r : 0;
}

int64_t rk__sys_ioctl(struct rk__call *c, struct op_ioctl *a)
{
	const struct rk__ofd *o = rk__call_ofd(c, a->fd);
	struct rk_stat st;
	int r = o ? rk__vfs_getattr(rk__ofd_node(o), &st) : -EBADF;

	if (r < 0)
		return r;
	switch (a->cmd) {
	case FIOCLEX:
		return set_fd_flags(c, a->fd, FD_CLOEXEC);
	case FIONCLEX:
		return set_fd_flags(c, a->fd, 0);
	case FIONBIO:
		return set_nonblock(c, a, o);
	case FIONREAD:
		return readable(c, a, o, &st);
	case FIOQSIZE:
		return size_of(c, a, &st);
	case FIGETBSZ:
		return give(c, a, &(int){ (int)st.blksize }, sizeof(int));
	default:
		return o->pipe ? -ENOTTY : file_ioctl(c, a, o);
	}
}

/* --- many descriptors ----------------------------------------------------------- */

int64_t rk__sys_close_range(struct rk__call *c, struct op_close_range *a)
{
	uint32_t fd, last = a->last < RK_FDS_MAX ? a->last : RK_FDS_MAX - 1;

	if (a->first > a->last ||
	    (a->flags & ~(uint32_t)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)))
		return -EINVAL;
	/* Of UNSHARE nothing is left to do: descriptors are a process's. */
	for (fd = a->first; fd <= last; fd++) {
		if (!rk__fd(c->proc, (int32_t)fd))
			continue;
		if (a->flags & CLOSE_RANGE_CLOEXEC)
			rk__fd_set_cloexec(c->proc, (int)fd, true);
		else
			rk__fd_close(c->proc, (int)fd);
	}
	return 0;
}

/* --- limits ----------------------------------------------------------------------- */

static int64_t limit_files(struct rk__proc *p, uint64_t limit)
{
	uint32_t old = p->nofile;

	if (limit > RK_FDS_MAX)
		limit = RK_FDS_MAX;
	if (old != limit) {
		RK_NOTE(&p->nofile);
		p->nofile = (uint32_t)limit;
	}
	return old;
}

static int64_t limit_size(struct rk__proc *p, uint64_t limit)
{
	uint64_t old = p->fsize;

	if (old != limit) {
		RK_NOTE(&p->fsize);
		p->fsize = limit;
	}
	return old > INT64_MAX ? INT64_MAX : (int64_t)old;
}

int64_t rk__sys_rlimit(struct rk__call *c, struct op_rlimit *a)
{
	switch (a->resource) {
	case RLIMIT_NOFILE:
		return limit_files(c->proc, a->limit);
	case RLIMIT_FSIZE:
		return limit_size(c->proc, a->limit);
	default:
		return -EINVAL;
	}
}
