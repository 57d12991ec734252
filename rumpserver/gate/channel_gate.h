/*
 * channel_gate.h - a channel as the server sees it. channel.c serves what
 * stands in its slots, attach.c brings channels in, takes them over from a
 * predecessor and ends them.
 */
#ifndef RK_CHANNEL_GATE_H
#define RK_CHANNEL_GATE_H

#include "channel.h"
#include "buffer.h"
#include "gate.h"

struct rk__chan;

struct rk__slot {
	struct rk__handle handle;	/* first: exec and post get this */
	struct rk__chan *chan;
	uint64_t last;			/* id of the last request taken */
	struct rk__buffer buffer;	/* private output */
	bool busy;			/* taken and not answered */
	struct rk_request req;		/* private copy of the header */
};

struct rk__chan {
	struct rk__source source;	/* first: ready() gets this */
	struct rk_channel *shared;
	uint32_t number;
	uint32_t doorbell;		/* submissions looked at */
	uint32_t idle;			/* polls without a request */
	uint32_t n_busy;
	bool active, awake;		/* on the list; `sleeping` is known to be 0 */
	bool wake_sync, wake_ring;	/* answers whose sleepers were not looked for */
	bool unwoken;			/* on that list */
	bool gone;			/* detached: freed with its last request */
	struct rk__chan *prev, *next;	/* active */
	struct rk__chan *next_unwoken;
	struct rk__slot *ring;		/* RK_RING_SLOTS, made at first use */
	struct rk__slot sync;
};

struct rk__channel_gate {
	struct rk__chan *chan[RK_CHANNELS_MAX];
	struct rk__chan *active;
	struct rk__chan *unwoken;
	int refuse;			/* error for every request, 0: serve */
	bool polling;			/* sleepers are woken at its end */
};
extern struct rk__channel_gate rk__channel_gate;

static inline unsigned rk__slot_index(const struct rk__slot *s)
{
	return s == &s->chan->sync ? 0 : 1 + (unsigned)(s - s->chan->ring);
}

/* NULL while the channel has no ring. */
static inline struct rk__slot *rk__slot_at(struct rk__chan *c, unsigned i)
{
	return i == 0 ? &c->sync : c->ring ? &c->ring[i - 1] : NULL;
}

static inline struct rk_slot *rk__slot_shared(const struct rk__chan *c,
					      unsigned i)
{
	uint8_t *base = (uint8_t *)c->shared;

	return (struct rk_slot *)(base + RK_CHANNEL_SLOTS_AT) + i;
}

/* Copies the header of request `asked` and serves it, or refuses it. */
void rk__slot_take(struct rk__slot *s, uint64_t asked);
/* Answers a request that is in work with an error. */
void rk__slot_refuse(struct rk__slot *s, int error);
/* Withdraws a request that waits: it is answered with EINTR. */
void rk__slot_cancel(struct rk__slot *s);
/* Stores an answer; sleepers are woken by rk__chan_wake_sleepers. */
void rk__slot_answer(struct rk__chan *c, unsigned i, uint64_t id,
		     int64_t result, uint32_t out_len);
void rk__chan_wake_sleepers(void);
/* On failure the doorbell is looked at again later. */
void rk__chan_make_ring(struct rk__chan *c);
bool rk__chan_look(struct rk__chan *c);
void rk__chan_activate(struct rk__chan *c);
void rk__chan_deactivate(struct rk__chan *c);
/* Unmaps and frees; nothing of it may be in work. */
void rk__chan_free(struct rk__chan *c);

#endif
