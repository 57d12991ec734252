/*
 * call.c - one synchronous call, through slot 0 of the thread's channel or as a
 * message on its connection.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include "client_int.h"

void rk__call_prepare(struct rk__call *call, struct rk__link *l)
{
	const struct rk_client *c = l->client;

	call->link = l;
	call->index = 0;
	call->ringing = false;
	call->req = (struct rk_request){ 0 };
	if (l->channel) {
		call->payload = rk__payload(l, 0);
		call->room = RK_SYNC_PAYLOAD;
	} else if (c && c->door) {
		call->payload = l->message;
		call->room = RK_IN_MAX;
	} else {
		call->payload = l->message + sizeof(struct rk_request);
		call->room = RK_MESSAGE_MAX - sizeof(struct rk_request);
	}
}

int rk__call_begin(struct rk_client *c, struct rk__call *ret)
{
	struct rk__link *l;
	int before = errno;
	int r = rk__link_get(c, (uintptr_t)ret, &l);

	errno = before;
	if (r == 0)
		rk__call_prepare(ret, l);
	return r;
}

int64_t rk__take_answer(struct rk__link *l, uint32_t i, uint32_t op,
			uint32_t in_len, uint32_t out_len, void *back,
			uint32_t *ret_out_len)
{
	/* Read once: the other side may write them at any time. */
	const volatile struct rk_answer *answer = &rk__slot(l, i)->answer;
	int64_t result = answer->result;
	uint32_t got = answer->out_len;
	int r = rk_answer_check(op, out_len, result, got);

	if (r < 0)
		return r;
	if (got && back)
		memcpy(back, rk__payload(l, i) + rk_out_offset(in_len), got);
	*ret_out_len = got;
	return result;
}

/* The caller was interrupted: asks for the request back. It is answered all
 * the same, by -EINTR or by what it came to. */
static void cancel(struct rk__link *l)
{
	volatile uint16_t *flags = &rk__slot(l, 0)->request.flags;

	*flags = RK_REQ_CANCELLED;
	l->next += RK_RING_SLOTS;
	l->oldest += RK_RING_SLOTS;
	l->rung = l->next;
	atomic_store(&l->channel->doorbell, l->next);
	rk__link_ring(l);
}

void rk__call_settle(struct rk__link *l)
{
	struct rk_slot *slot = rk__slot(l, 0);
	uint64_t asked = atomic_load(&slot->asked), answered;
	const struct rk_op_info *info = rk_op_info(slot->request.op);
	int before = errno, r = 0;

	if (!l->dead && atomic_load(&slot->answered) != asked) {
		if (info && (info->flags & RK_OP_BLOCKS))
			cancel(l);
		else
			rk__link_ring(l);
	}
	atomic_store(&slot->waiting, 1);
	while (!l->dead && r != -ESHUTDOWN) {
		answered = atomic_load(&slot->answered);
		if (answered == atomic_load(&slot->asked))
			break;
		r = rk__link_sleep(l, (_Atomic uint32_t *)&slot->answered,
				   (uint32_t)answered);
	}
	atomic_store_explicit(&slot->waiting, 0, memory_order_relaxed);
	errno = before;
}

static void tell_of_sleep(const struct rk__link *l)
{
	const struct rk_client *c = l->client;

	if (c && c->before_sleep)
		c->before_sleep();
}

static int sleep_for_answer(struct rk__call *call, struct rk_slot *slot,
			    uint64_t seq)
{
	struct rk__link *l = call->link;
	const struct rk_op_info *info = rk_op_info(call->req.op);
	bool cancelled = !(info->flags & RK_OP_BLOCKS);
	int r = 0;

	tell_of_sleep(l);
	atomic_store(&slot->waiting, 1);
	while (r != -ESHUTDOWN) {
		uint64_t answered = atomic_load(&slot->answered);

		if (answered == seq)
			break;
		/* Of a call before the fork: the parent went on, and its next
		 * answer stands there. */
		if (l->orphan && (int64_t)(answered - seq) > 0)
			return -EINTR;
		r = rk__link_sleep(l, (_Atomic uint32_t *)&slot->answered,
				   (uint32_t)answered);
		if (r == -EINTR && !cancelled) {
			cancelled = true;
			cancel(l);
		}
	}
	atomic_store_explicit(&slot->waiting, 0, memory_order_relaxed);
	return r == -ESHUTDOWN ? r : 0;
}

static int wait_for_answer(struct rk__call *call, struct rk_slot *slot,
			   uint64_t seq)
{
	struct rk__link *l = call->link;
	struct rk__spin spin = { 0 };

	do {
		if (atomic_load_explicit(&slot->answered,
					 memory_order_acquire) == seq) {
			rk__spin_hit(l);
			return 0;
		}
	} while (rk__spin(l, &spin));
	rk__spin_missed(l);
	return sleep_for_answer(call, slot, seq);
}

static int64_t channel_call(struct rk__call *call, void *back,
			    uint32_t *ret_out_len)
{
	struct rk__link *l = call->link;
	struct rk_slot *slot;
	uint64_t seq = call->req.seq;
	int r;

	slot = rk__slot(l, 0);
	memcpy(&slot->request, &call->req, sizeof call->req);
	atomic_store_explicit(&slot->asked, seq, memory_order_release);
	rk__link_ring(l);
	r = wait_for_answer(call, slot, seq);
	if (r < 0)
		return r;
	return rk__take_answer(l, 0, call->req.op, call->req.in_len,
			       call->req.out_len, back, ret_out_len);
}

static int64_t door_call(struct rk__call *call, void *back,
			   uint32_t *ret_out_len)
{
	const struct rk_client *c = call->link->client;

	*ret_out_len = 0;
	return c->door->call(c->door_ctx, &call->req, call->payload, back,
			      ret_out_len);
}

/* The signal that the kernel would send with this error; 0: none. */
static int signal_of(const struct rk__call *call, int64_t result)
{
	const struct rk_client *c = call->link->client;
	bool too_large = result == -EFBIG && c && c->size_limited;

	/* Who calls for others passes it on. */
	if (c && (c->flags & RK_ATTACH_POOL))
		return 0;
	switch (call->req.op) {
	case RK_OP_write:
	case RK_OP_pwrite2:
		if (result == -EPIPE)
			return SIGPIPE;
		return too_large ? SIGXFSZ : 0;
	case RK_OP_pwrite:
	case RK_OP_truncate:
	case RK_OP_ftruncate:
	case RK_OP_fallocate:
	case RK_OP_copy_file_range:
		return too_large ? SIGXFSZ : 0;
	default:
		return 0;
	}
}

int64_t rk__call_between(struct rk__link *l, const struct rk_request *req)
{
	struct rk__call call = { .link = l, .req = *req };
	uint32_t got;

	call.req.seq = ++l->seq;
	return l->channel ? channel_call(&call, NULL, &got) : -EOPNOTSUPP;
}

int64_t rk__call_end(struct rk__call *call, void *back, uint32_t *ret_out_len)
{
	/* The library answers by its result; errno stays the caller's, who may
	 * himself stand in for a call of the C library. */
	int before = errno;
	struct rk_client *c = call->link->client;
	int64_t r;
	int signal;

	if (c && c->hot) {
		rk__hot_around(c, &call->req);
		rk__hot_give_back(c, call->link, &call->req);
	}
	call->req.seq = ++call->link->seq;
	if (call->link->channel)
		r = channel_call(call, back, ret_out_len);
	else if (c && c->door)
		r = door_call(call, back, ret_out_len);
	else
		r = rk__socket_call(call, back, ret_out_len);
	if (c && c->hot) {
		rk__hot_gave_back(c, &call->req);
		rk__hot_around(c, &call->req);
		rk__hot_result(c, &call->req, r);
	}
	signal = r < 0 ? signal_of(call, r) : 0;
	if (!call->ringing)
		rk__link_put(call->link);
	if (signal)
		raise(signal);
	errno = before;
	return r;
}

/* --- over the socket ------------------------------------------------------------ */

static int64_t take_message(struct rk__call *call, const uint8_t *bytes,
			    size_t n, void *back, uint32_t *ret_out_len)
{
	struct rk_answer answer;
	int r;

	memcpy(&answer, bytes, sizeof answer);
	if (answer.out_len != n - sizeof answer)
		return -EPROTO;
	r = rk_answer_check(call->req.op, call->req.out_len, answer.result,
			    answer.out_len);
	if (r < 0)
		return r;
	if (answer.out_len && back)
		memcpy(back, bytes + sizeof answer, answer.out_len);
	*ret_out_len = answer.out_len;
	return answer.result;
}

int64_t rk__socket_call(struct rk__call *call, void *back,
			uint32_t *ret_out_len)
{
	struct rk__link *l = call->link;
	size_t length = sizeof call->req + call->req.in_len;
	uint64_t seq;
	ssize_t n;

	memcpy(l->message, &call->req, sizeof call->req);
	do
		n = send(l->fd, l->message, length, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	tell_of_sleep(l);
	for (;;) {
		if (n >= 0 || errno == EINTR)
			n = recv(l->fd, l->message, RK_MESSAGE_MAX, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			l->dead = true;
			return -ESHUTDOWN;
		}
		if ((size_t)n < sizeof(struct rk_answer))
			return -EPROTO;
		memcpy(&seq, l->message, sizeof seq);
		/* A successor may answer again what we have already. */
		if (seq == call->req.seq)
			break;
	}
	return take_message(call, l->message, (size_t)n, back, ret_out_len);
}
