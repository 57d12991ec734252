/*
 * sys_fifo.c - fifos as clients use them: opening, which waits for the other
 * end, reading and writing, which wait for bytes and for room; and poll.
 *
 * Opening by one end lets the other end go on, so it is committed before it
 * waits: the descriptor is there, and the core keeps that this request made it
 * (rk__written). A long write keeps in the same way how far it is.
 */
#include <poll.h>
#include <string.h>
#include "pipe.h"
#include "sys.h"

/* Made by this request in an earlier stage: a descriptor + 1, or bytes. */
static struct rk__written *stage_of(void)
{
	return &rk__core->written[rk__handle_now->slot];
}

static int64_t stage_result(const struct rk__call *c)
{
	const struct rk__written *w = stage_of();

	return w->id == rk__handle_now->id && w->token == c->proc->token ?
		       w->result : 0;
}

static void keep_stage(struct rk__call *c, int64_t result)
{
	struct rk__written *w = stage_of();

	RK_NOTE(w);
	*w = (struct rk__written){
		.id = rk__handle_now->id,
		.token = c->proc->token,
		.result = result,
	};
	c->outcome = RK_STAGE;
}

static int64_t wait_on(struct rk__call *c, const void *key)
{
	rk__park(rk__handle_now, key);
	c->outcome = RK_PARKED;
	return 0;
}

/* --- opening ------------------------------------------------------------------ */

static int64_t meet(struct rk__call *c, int fd)
{
	struct rk__ofd *o = rk__fd(c->proc, fd);

	if (!o || !o->pipe)
		return -EBADF;
	if ((o->flags & O_NONBLOCK) || rk__pipe_met(o))
		return fd;
	if (c->cancelled) {
		rk__fd_close(c->proc, fd);
		/* The end of it is what this stage changes: an error would
		 * take that back. */
		keep_stage(c, -EINTR);
		return 0;
	}
	return wait_on(c, rk__pipe_key(rk__pipe(o)));
}

bool rk__fifo_goes_on(const struct rk__call *c, int64_t *ret)
{
	*ret = stage_result(c);
	return *ret != 0;
}

int64_t rk__fifo_go_on(struct rk__call *c, int64_t stage)
{
	return stage < 0 ? stage : meet(c, (int)stage - 1);
}

int64_t rk__fifo_open(struct rk__call *c, int fd)
{
	struct rk__ofd *o = rk__fd(c->proc, fd);
	int r;

	r = rk__pipe_open(o);
	if (r < 0)
		return r;
	if ((o->flags & O_NONBLOCK) && !rk__ofd_reads(o) &&
	    !rk__pipe(o)->readers)
		return -ENXIO;
	if ((o->flags & O_NONBLOCK) || rk__pipe_met(o))
		return fd;
	keep_stage(c, fd + 1);
	return 0;
}

/* --- bytes --------------------------------------------------------------------- */

int64_t rk__fifo_read(struct rk__call *c, const struct rk__ofd *o, void *buf,
		      uint64_t count)
{
	struct rk__pipe *p = rk__pipe(o);
	uint32_t n = rk__pipe_read(p, buf, count);

	c->out_len = n;
	if (n || !count || !p->writers)
		return n;
	if (o->flags & O_NONBLOCK)
		return -EAGAIN;
	return c->cancelled ? -EINTR : wait_on(c, rk__pipe_key(p));
}

/* What is written stands; without any of it the call has failed. */
static int64_t stop(int64_t done, int error)
{
	return done ? done : error;
}

int64_t rk__fifo_write(struct rk__call *c, const struct rk__ofd *o,
		       const void *buf, uint64_t count)
{
	struct rk__pipe *p = rk__pipe(o);
	int64_t done = stage_result(c);
	uint64_t left = count - (uint64_t)done;
	uint32_t n;

	if (done < 0 || (uint64_t)done > count)
		return -EIO;
	if (!left)
		return done;
	if (!p->readers)
		return stop(done, -EPIPE);
	/* The rest of a long one need not go at once. */
	n = done && left <= RK_PIPE_WHOLE &&
	    left > RK_PIPE_SIZE - p->used ? 0 :
	    rk__pipe_write(p, (const uint8_t *)buf + done, left);
	if (n == left)
		return done + n;
	if (n) {
		keep_stage(c, done + n);
		return 0;
	}
	if (o->flags & O_NONBLOCK)
		return stop(done, -EAGAIN);
	if (c->cancelled)
		return stop(done, -EINTR);
	return wait_on(c, rk__pipe_key(p));
}

/* --- poll ---------------------------------------------------------------------- */

enum { POLL_MAX = RK_FDS_MAX };

/* Everything but fifos is always ready, as it is on Linux. */
static unsigned ready(const struct rk__ofd *o, unsigned events)
{
	const unsigned always = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;

	if (!o || (o->flags & O_PATH))
		return POLLNVAL;
	return o->pipe ? rk__pipe_ready(o, events) : events & always;
}

static int64_t look(const struct rk__call *c, struct rk_poll_fd *at,
		    uint32_t n, const void **ret_key)
{
	int64_t found = 0;
	unsigned fifos = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct rk__ofd *o = rk__fd(c->proc, at[i].fd);

		at[i].revents = at[i].fd < 0 ? 0 :
				(uint16_t)ready(o, at[i].events);
		found += at[i].revents != 0;
		if (at[i].fd < 0 || !o || !o->pipe)
			continue;
		*ret_key = fifos++ ? rk__pipes_key() :
				     rk__pipe_key(rk__pipe(o));
	}
	return found;
}

int64_t rk__sys_poll_fds(struct rk__call *c, struct op_poll_fds *a)
{
	static struct rk_poll_fd fds[POLL_MAX];
	uint32_t n = (uint32_t)(a->in_size / sizeof *fds);
	const void *key = rk__pipes_key();
	int64_t found;

	if (n > POLL_MAX || a->in_size % sizeof *fds ||
	    a->out_size != a->in_size)
		return -EINVAL;
	if (n)
		memcpy(fds, a->fds, a->in_size);
	found = look(c, fds, n, &key);
	if (!found && a->wait)
		return c->cancelled ? -EINTR : wait_on(c, key);
	if (n)
		memcpy(a->ready, fds, a->in_size);
	c->out_len = (uint32_t)a->in_size;
	return found;
}
