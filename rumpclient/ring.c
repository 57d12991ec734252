/*
 * ring.c - many requests at once: submit and complete.
 *
 * Submission n goes to ring slot n % RK_RING_SLOTS, a number whose slot is
 * still taken is left out (channel.h). Answers are looked for from the oldest
 * on; beyond one that is missing only when the server says that it answered
 * anything since, so that spinning touches one line of each side.
 */
#include <errno.h>
#include <string.h>
#include "client_int.h"

enum { RING_EVERY = 8 };	/* submissions between silent doorbells */

int rk__submit_begin(struct rk_client *c, struct rk__call *ret)
{
	struct rk__link *l;
	int r = rk__link_get_ring(c, (uintptr_t)ret, &l);

	if (r < 0)
		return r;
	if (l->n_busy == RK_RING_SLOTS) {
		rk__link_put(l);
		return -EAGAIN;
	}
	while (l->pending[l->next % RK_RING_SLOTS].busy)
		l->next++;
	rk__call_prepare(ret, l);
	ret->ringing = true;
	if (!l->channel)
		return 0;
	ret->index = 1 + l->next % RK_RING_SLOTS;
	ret->payload = rk__payload(l, ret->index);
	ret->room = RK_RING_PAYLOAD;
	return 0;
}

int rk__submit_end(struct rk__call *call, uint64_t tag, void *back)
{
	struct rk__link *l = call->link;
	struct rk__pending *p = &l->pending[l->next % RK_RING_SLOTS];
	struct rk_slot *slot;

	*p = (struct rk__pending){
		.seq = l->seq + 1,
		.tag = tag,
		.back = back,
		.op = call->req.op,
		.in_len = call->req.in_len,
		.out_len = call->req.out_len,
		.busy = true,
	};
	if (l->n_busy++ == 0)
		l->oldest = l->next;
	l->next++;
	if (!l->channel) {
		p->completion.result = rk__call_end(call, back,
						    &p->completion.out_len);
		p->done = true;
		return 0;
	}
	if (l->client->hot) {
		rk__hot_around(l->client, &call->req);
		rk__hot_give_back(l->client, l, &call->req);
		p->seq = l->seq + 1;
	}
	call->req.seq = ++l->seq;
	slot = rk__slot(l, call->index);
	memcpy(&slot->request, &call->req, sizeof call->req);
	atomic_store_explicit(&slot->asked, p->seq, memory_order_release);
	if (l->next - l->rung >= RING_EVERY) {
		l->rung = l->next;
		atomic_store_explicit(&l->channel->doorbell, l->next,
				      memory_order_release);
	}
	return 0;
}

static void kick(struct rk__link *l)
{
	l->rung = l->next;
	atomic_store_explicit(&l->channel->doorbell, l->next,
			      memory_order_release);
	rk__link_ring(l);
}

int rk_kick(struct rk_client *client)
{
	struct rk__link *l;
	int r = rk__link_get_ring(client, (uintptr_t)&l, &l);

	if (r < 0)
		return r;
	if (l->channel)
		kick(l);
	rk__link_put(l);
	return 0;
}

static bool answered(struct rk__link *l, uint32_t i)
{
	const struct rk__pending *p = &l->pending[i];

	return p->done || (l->channel &&
	       atomic_load_explicit(&rk__slot(l, 1 + i)->answered,
				    memory_order_acquire) == p->seq);
}

static void take(struct rk__link *l, uint32_t i, struct rk_completion *ret)
{
	struct rk__pending *p = &l->pending[i];

	*ret = p->completion;
	if (!p->done)
		ret->result = rk__take_answer(l, 1 + i, p->op, p->in_len,
					      p->out_len, p->back,
					      &ret->out_len);
	ret->tag = p->tag;
	ret->op = p->op;
	if (l->client->hot)
		rk__hot_completed(l->client, p->op, ret->result);
	p->busy = p->done = false;
	l->n_busy--;
}

static unsigned collect(struct rk__link *l, struct rk_completion *ret,
			unsigned max, bool all)
{
	uint32_t moved = l->channel ? atomic_load(&l->channel->ring_answered) :
			 0;
	unsigned n = 0, k;

	all |= moved != l->seen;
	for (k = 0; k < RK_RING_SLOTS && l->n_busy && n < max; k++) {
		uint32_t i = (l->oldest + k) % RK_RING_SLOTS;

		if (!l->pending[i].busy)
			continue;
		if (answered(l, i))
			take(l, i, &ret[n++]);
		else if (!all)
			break;
	}
	if (n < max)
		l->seen = moved;
	while (l->n_busy && !l->pending[l->oldest % RK_RING_SLOTS].busy)
		l->oldest++;
	return n;
}

static int wait_for_some(struct rk__link *l, struct rk_completion *ret,
			 unsigned max)
{
	struct rk_channel *ch = l->channel;
	struct rk__spin spin = { 0 };
	unsigned n;
	int r = 0;

	do {
		n = collect(l, ret, max, false);
		if (n) {
			rk__spin_hit(l);
			return (int)n;
		}
	} while (rk__spin(l, &spin));
	rk__spin_missed(l);
	atomic_store(&ch->ring_waiting, 1);
	while (r != -ESHUTDOWN) {
		uint32_t moved = atomic_load(&ch->ring_answered);

		n = collect(l, ret, max, true);
		if (n)
			break;
		r = rk__link_sleep(l, &ch->ring_answered, moved);
	}
	atomic_store_explicit(&ch->ring_waiting, 0, memory_order_relaxed);
	return n ? (int)n : r;
}

static int complete(struct rk__link *l, struct rk_completion *ret,
		    unsigned max, unsigned min)
{
	unsigned n;
	int r;

	if (l->channel && l->rung != l->next)
		kick(l);
	else if (l->channel && l->n_busy)
		rk__link_ring(l);
	n = collect(l, ret, max, false);
	while (n < min && n < max && l->n_busy) {
		r = wait_for_some(l, ret + n, max - n);
		if (r < 0)
			return n ? (int)n : r;
		n += (unsigned)r;
	}
	return (int)n;
}

int rk_complete(struct rk_client *client, struct rk_completion *ret,
		unsigned max, unsigned min)
{
	struct rk__link *l;
	int r = rk__link_get_ring(client, (uintptr_t)&l, &l);

	if (r < 0)
		return r;
	r = complete(l, ret, max, min);
	rk__link_put(l);
	return r;
}
