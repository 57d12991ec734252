/*
 * syscalls.c - decodes a request and runs its op. All of it follows from the
 * op table: an op without a function does not link.
 */
#include <assert.h>
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

/* The private copy of a request's strings: one runs at a time. */
static char scratch[RK_SCRATCH_SIZE];

#define RK_RUN(name, ...)						\
static int64_t run_##name(struct rk__call *c, const struct rk_request *req, \
			  const uint8_t *in, void *out)			\
{									\
	struct op_##name a;						\
	int r = rk_decode_##name(req, in, scratch, sizeof scratch, &a);	\
									\
	if (r < 0)							\
		return r;						\
	ARGS_##name(RK_ROOM)						\
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

static enum rk__outcome refuse(struct rk__handle *h, int error)
{
	h->result = error;
	h->out_len = 0;
	return RK_DONE;
}

enum rk__outcome rk__syscall(struct rk__handle *h, uint32_t channel,
			     const struct rk_request *req, const uint8_t *in,
			     uint8_t *out)
{
	const struct rk_op_info *info = rk_op_info(req->op);
	struct rk__call c = {
		.handle = h,
		.proc = rk__proc_of_channel(channel),
		.cancelled = req->flags & RK_REQ_CANCELLED,
		.outcome = RK_DONE,
	};

	if (!c.proc)
		return refuse(h, -ENOTCONN);
	if (!info)
		return refuse(h, -ENOSYS);
	c.cred = cred_of(c.proc);
	h->result = run[req->op](&c, req, in, out);
	if (c.outcome == RK_PARKED || c.outcome == RK_STAGE)
		return c.outcome;
	if (h->result >= 0 && info->out_size)
		c.out_len = info->out_size;
	h->out = out;
	h->out_len = h->result < 0 ? 0 : c.out_len;
	assert(h->out_len <= req->out_len);
	return c.outcome;
}
