/*
 * order.c - a request's way to an order that the keeper carries out once
 * (recovery/order.h).
 *
 * Theory of operation. One order stands at a time. The request that places it
 * does so in a stage of its own, and keeps in the row of its slot (rk__written)
 * for which order it waits, so whoever runs it again, in this server or in a
 * successor, only waits for the flush point that carries it out and for what the
 * keeper reports of it. Its success goes with the answer in one commit; an error
 * means that nothing was done, and may be found out again. Before the next order
 * is placed, what came of the one before is kept in the row of its request, which
 * may not have been run again yet.
 */
#include <errno.h>
#include <sys/random.h>
#include <time.h>
#include "core/core.h"
#include "core/serve.h"

static struct rk__written *row_of(uint32_t slot)
{
	return &rk__core->written[slot];
}

/* Rows of requests that wait hold the token, a settled one what came of it. */
static bool waits(const struct rk__written *w)
{
	return w->result > 0;
}

static void settle(struct rk__written *w, int64_t result)
{
	RK_NOTE(w);
	w->result = result;
}

/* Does the row wait for the order that stands, or stood last? */
static bool is_of(const struct rk__written *w)
{
	return waits(w) && (uint64_t)w->result == rk__order_now->token;
}

static void settle_last(int result)
{
	struct rk__written *w = row_of(rk__order_now->slot);

	if (w->id == rk__order_now->id && is_of(w))
		settle(w, result);
}

/* token: of one that was placed before, or 0. */
static int place(const struct rk__handle *h, uint64_t token, uint64_t proc,
		 uint32_t action, const char *label)
{
	struct rk__order o = {
		.token = token, .action = action, .slot = h->slot, .id = h->id,
	};
	struct rk__written *w = row_of(h->slot);
	struct timespec now;

	if (!token && getrandom(&o.token, sizeof o.token, GRND_NONBLOCK) !=
	    sizeof o.token)
		return -EAGAIN;
	o.token = o.token & INT64_MAX ? o.token & INT64_MAX : 1;
	clock_gettime(CLOCK_REALTIME, &now);
	o.sec = now.tv_sec;
	o.nsec = (uint32_t)now.tv_nsec;
	memcpy(o.label, label, strlen(label));
	RK_NOTE(rk__order_now);
	*rk__order_now = o;
	RK_NOTE(w);
	*w = (struct rk__written){
		.id = h->id, .token = proc, .result = (int64_t)o.token,
	};
	return 0;
}

static enum rk__outcome done(struct rk__handle *h, int64_t result)
{
	h->result = result;
	h->out_len = 0;
	return RK_DONE;
}

/* It waits for an order that is not carried out; an error ends that, and the
 * order with it if it is its own. */
static enum rk__outcome wait(struct rk__handle *h, struct rk__written *own)
{
	enum rk__outcome o = rk__serve_fsync(h, RK_MOUNTS_MAX);
	int result;

	if (o != RK_DONE)
		return o;
	h->flush_seq = 0;
	if (h->result == 0 &&
	    rk__order_result(rk__order_now->token, &result))
		return RK_STAGE;
	/* A keeper that is told of blocks alone knows of no order. */
	if (h->result == 0)
		h->result = -ENOTSUP;
	if (!own)
		return RK_DONE;
	RK_NOTE(rk__order_now);
	rk__order_now->token = 0;
	settle(own, h->result);
	return RK_STAGE;
}

enum rk__outcome rk__serve_order(struct rk__handle *h, uint64_t proc,
				 uint32_t action, const char *label)
{
	struct rk__written *w = row_of(h->slot);
	bool own = w->id == h->id && w->token == proc, stands;
	int result = 0, r;

	h->out_len = 0;
	if (own && !waits(w))
		return done(h, w->result);
	stands = rk__order_now->token &&
		 !rk__order_result(rk__order_now->token, &result);
	if (stands)
		return wait(h, own && is_of(w) ? w : NULL);
	if (rk__order_now->token)
		settle_last(result);
	if (own && !waits(w))
		return done(h, w->result);
	/* Again: it was placed in a server whose successor knows but the rows
	 * (core/external.h). */
	h->flush_seq = 0;
	r = place(h, own ? (uint64_t)w->result : 0, proc, action, label);
	return r < 0 ? done(h, r) : RK_STAGE;
}
