/*
 * syscalls.c - decodes a request and runs its op. All of it follows from the
 * op table: an op without a function does not link.
 */
#include <assert.h>
#include <string.h>
#include "sys.h"
#include "syscalls.h"

/* Where an op's output goes. */
#define RK_ROOM_FD(n)
#define RK_ROOM_DIR(n)
#define RK_ROOM_I32(n)
#define RK_ROOM_U32(n)
#define RK_ROOM_I64(n)
#define RK_ROOM_U64(n)
#define RK_ROOM_PATH(n)
#define RK_ROOM_NAME(n)
#define RK_ROOM_IN(p, len)
#define RK_ROOM_OUT(p_, len_)	a.p_ = out;
#define RK_ROOM_OUTS(type, p_)	a.p_ = (type *)out;
#define RK_ROOM(...)		RK_VIEW(RK_ROOM, __VA_ARGS__)

/* What an op in the middle must not lose. */
#define RK_KEEP_FD(n)		keep_fd(c, a.n);
#define RK_KEEP_DIR(n)		keep_fd(c, a.n);
#define RK_KEEP_I32(n)
#define RK_KEEP_U32(n)
#define RK_KEEP_I64(n)
#define RK_KEEP_U64(n)
#define RK_KEEP_PATH(n)
#define RK_KEEP_NAME(n)
#define RK_KEEP_IN(p, len)
#define RK_KEEP_OUT(p, len)
#define RK_KEEP_OUTS(type, p)
#define RK_KEEP(...)		RK_VIEW(RK_KEEP, __VA_ARGS__)

static void keep_fd(struct rk__call *c, int32_t fd)
{
	struct rk__work *w = rk__work_now;

	if (w && w->n_fds < RK_TASK_FDS)
		w->fd[w->n_fds++] = fd;
}

#define RK_RUN(name, ...)						\
static int64_t run_##name(struct rk__call *c, const struct rk_request *req, \
			  const uint8_t *in, void *out)			\
{									\
	struct op_##name a;						\
	int r = rk_decode_##name(req, in, rk__room(RK_ROOM_STRINGS),	\
				 RK_SCRATCH_SIZE, &a);			\
									\
	if (r < 0)							\
		return r;						\
	ARGS_##name(RK_ROOM)						\
	ARGS_##name(RK_KEEP)						\
	return rk__sys_##name(c, &a);					\
}
RK_OPS(RK_RUN)
#undef RK_RUN

typedef int64_t run_fn(struct rk__call *c, const struct rk_request *req,
		       const uint8_t *in, void *out);

static run_fn *const run[RK_OP_END] = {
#define RK_ENTRY(name, no, ...) [no] = run_##name,
	RK_OPS(RK_ENTRY)
#undef RK_ENTRY
};

static struct rk__cred cred_of(const struct rk__proc *p)
{
	return (struct rk__cred){
		.uid = p->uid,
		.gid = p->gid,
		.group = p->group,
		.n_groups = p->n_groups,
		.pid = p->pid,
		.umask = p->umask,
	};
}

static enum rk__outcome call(uint32_t channel, const struct rk_request *req,
			     const uint8_t *in, uint8_t *out,
			     int64_t *ret_result, uint32_t *ret_len)
{
	const struct rk_op_info *info = rk_op_info(req->op);
	struct rk__call c = {
		.proc = rk__proc_of_channel(channel),
		.cancelled = req->flags & RK_REQ_CANCELLED,
		.outcome = RK_DONE,
	};

	*ret_len = 0;
	*ret_result = !c.proc ? -ENOTCONN : -ENOSYS;
	if (!c.proc || !info)
		return RK_DONE;
	c.cred = cred_of(c.proc);
	if (rk__work_now)
		rk__work_now->proc = (uint32_t)(c.proc - rk__core->proc) + 1;
	*ret_result = run[req->op](&c, req, in, out);
	if (c.outcome == RK_PARKED || c.outcome == RK_STAGE)
		return c.outcome;
	if (*ret_result >= 0 && info->out_size)
		c.out_len = info->out_size;
	*ret_len = *ret_result < 0 ? 0 : c.out_len;
	assert(*ret_len <= req->out_len);
	return c.outcome;
}

/* --- as a task ------------------------------------------------------------------ */

struct task_call {
	struct rk_request req;
	uint32_t channel, out_len;
	int64_t result;
};
_Static_assert(sizeof(struct task_call) <=
	       sizeof(((struct rk__work *)0)->arg), "fits");

static void body(struct rk__work *w)
{
	struct task_call *t = (struct task_call *)w->arg;

	w->outcome = call(t->channel, &t->req, w->in, w->out, &t->result,
			  &t->out_len);
}

static enum rk__outcome call_in_task(struct rk__handle *h, uint32_t channel,
				     const struct rk_request *req,
				     const uint8_t *in, uint8_t *out)
{
	bool asleep;
	struct rk__work *w = rk__tasks->begin(h, in, req->in_len, &asleep);
	struct task_call *t = (struct task_call *)w->arg;
	enum rk__outcome o;

	if (!asleep) {
		*t = (struct task_call){ .req = *req, .channel = channel };
		w->out_len = req->out_len;
		w->body = body;
	}
	o = rk__tasks->run(w);
	h->result = t->result;
	h->out_len = o == RK_DONE ? t->out_len : 0;
	if (h->out_len)
		memcpy(out, w->out, h->out_len);
	return o;
}

enum rk__outcome rk__syscall(struct rk__handle *h, uint32_t channel,
			     const struct rk_request *req, const uint8_t *in,
			     uint8_t *out)
{
	rk__handle_now = h;
	h->out = out;
	h->interrupted = req->flags & RK_REQ_CANCELLED;
	if (rk__tasks && rk__tasks->begin)
		return call_in_task(h, channel, req, in, out);
	return call(channel, req, in, out, &h->result, &h->out_len);
}
