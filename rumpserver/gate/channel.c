/*
 * channel.c - requests that come in through shared memory.
 *
 * Theory of operation. A channel is polled while it is active: slot 0 by its
 * `asked` word, the ring by the doorbell. One that was quiet for a while, and
 * every one when the server goes to sleep, is told so by `sleeping` and left
 * alone until its eventfd says something: so idle clients cost nothing.
 *
 * The client may write anything at any time. Each header is copied once and
 * the copy is what is checked and run; a slot has at most one request in work,
 * and its number must be greater than the last. Whatever else a client does to
 * its channel spoils only its own calls.
 *
 * Output of an op that changes something goes to private memory first, because
 * the client must not see it before the commit. What only reads writes straight
 * to the slot: the core has committed everything it can see by then.
 *
 * Answers are stored first and sleepers looked for afterwards, once per poll:
 * the fence that this takes is shared by all answers of a batch.
 */
#include <assert.h>
#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "gate/channel_gate.h"
#include "gate/socket.h"
#include "views.h"

enum {
	IDLE_POLLS = 4096,		/* polls without a request: no longer active */
};
_Static_assert(RK_SLOTS == RK_SLOTS_PER_CHANNEL, "slot numbers");

struct rk__channel_gate rk__channel_gate;

/* --- a slot ------------------------------------------------------------------ */

static uint8_t *payload_of(const struct rk__slot *s)
{
	return (uint8_t *)s->chan->shared + rk_slot_payload_at(rk__slot_index(s));
}

static bool fits(const struct rk__slot *s)
{
	uint64_t room = rk_slot_payload_size(rk__slot_index(s));

	return s->req.in_len <= room && s->req.out_len <= RK_IO_MAX &&
	       (uint64_t)rk_out_offset(s->req.in_len) + s->req.out_len <= room;
}

static enum rk__outcome refuse(struct rk__handle *h, int error)
{
	h->result = error;
	h->out_len = 0;
	return RK_DONE;
}

static enum rk__outcome exec(struct rk__handle *h)
{
	struct rk__slot *s = (struct rk__slot *)h;
	enum rk__outcome outcome;
	uint8_t *in = payload_of(s), *out;

	if (s->chan->gone)
		return RK_NO_REPLY;
	if (!fits(s))
		return refuse(h, -EMSGSIZE);
	out = in + rk_out_offset(s->req.in_len);
	if (!h->direct_output && s->req.out_len) {
		if (!rk__buffer_get(&s->buffer, s->req.out_len))
			return refuse(h, -ENOMEM);
		out = s->buffer.bytes;
	}
	h->out = out;
	h->out_len = 0;
	outcome = rk__syscall(h, s->chan->number, &s->req, in, out);
	assert(outcome != RK_DONE || h->out_len <= s->req.out_len);
	if (outcome == RK_PARKED)
		rk__buffer_put(&s->buffer);
	return outcome;
}

void rk__chan_free(struct rk__chan *c)
{
	munmap(c->shared, RK_CHANNEL_SIZE);
	free(c->ring);
	free(c);
}

void rk__slot_answer(struct rk__chan *c, unsigned i, uint64_t id, int64_t result,
		   uint32_t out_len)
{
	struct rk_slot *shared = rk__slot_shared(c, i);

	shared->answer.result = result;
	shared->answer.out_len = out_len;
	shared->answer.seq = id;
	atomic_store_explicit(&shared->answered, id, memory_order_release);
	if (i == 0)
		c->wake_sync = true;
	else
		c->wake_ring = true;
	if (!c->unwoken) {
		c->unwoken = true;
		c->next_unwoken = rk__channel_gate.unwoken;
		rk__channel_gate.unwoken = c;
	}
}

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* answered is 64 bits wide; the futex is its low half. */
static _Atomic uint32_t *low_half(_Atomic uint64_t *word)
{
	return (_Atomic uint32_t *)word;
}

static void wake_one(struct rk__chan *c)
{
	struct rk_slot *sync = rk__slot_shared(c, 0);
	struct rk_channel *ch = c->shared;

	if (c->wake_sync && atomic_load_explicit(&sync->waiting,
						 memory_order_relaxed))
		futex_wake(low_half(&sync->answered));
	if (c->wake_ring && atomic_load_explicit(&ch->ring_waiting,
						 memory_order_relaxed))
		futex_wake(&ch->ring_answered);
	c->wake_sync = c->wake_ring = c->unwoken = false;
}

/* After the answers: whoever said that it sleeps before it saw its answer. */
void rk__chan_wake_sleepers(void)
{
	struct rk__chan *c;

	if (!rk__channel_gate.unwoken)
		return;
	for (c = rk__channel_gate.unwoken; c; c = c->next_unwoken)
		if (c->wake_ring)
			atomic_fetch_add(&c->shared->ring_answered, 1);
	atomic_thread_fence(memory_order_seq_cst);
	while ((c = rk__channel_gate.unwoken)) {
		rk__channel_gate.unwoken = c->next_unwoken;
		wake_one(c);
		if (c->gone && !c->n_busy)
			rk__chan_free(c);
	}
}

static void post(struct rk__handle *h)
{
	struct rk__slot *s = (struct rk__slot *)h;
	struct rk__chan *c = s->chan;

	s->busy = false;
	c->n_busy--;
	if (!c->gone) {
		if (s->buffer.bytes && h->out_len)
			memcpy(payload_of(s) + rk_out_offset(s->req.in_len),
			       h->out, h->out_len);
		rk__slot_answer(c, rk__slot_index(s), h->id, h->result, h->out_len);
	}
	rk__buffer_put(&s->buffer);
	if (c->gone && !c->n_busy && !c->unwoken)
		rk__chan_free(c);
	else if (!rk__channel_gate.polling)
		rk__chan_wake_sleepers();
}

static const struct rk__gate_ops channel_gate = {
	.name = "channel",
	.exec = exec,
	.post = post,
};

void rk__slot_take(struct rk__slot *s, uint64_t asked)
{
	struct rk__chan *c = s->chan;
	unsigned i = rk__slot_index(s);
	const struct rk_op_info *info;

	memcpy(&s->req, &rk__slot_shared(c, i)->request, sizeof s->req);
	s->req.seq = asked;
	s->last = asked;
	s->busy = true;
	c->n_busy++;
	info = rk_op_info(s->req.op);
	s->handle = (struct rk__handle){
		.gate = &channel_gate,
		.slot = RK_SLOT_CHANNEL(c->number, i),
		.id = asked,
		.op = s->req.op,
		.direct_output = info && info->has_out &&
				 !(info->flags & RK_OP_MUTATES),
	};
	if (rk__channel_gate.refuse) {
		refuse(&s->handle, rk__channel_gate.refuse);
		post(&s->handle);
		return;
	}
	rk__serve(&s->handle);
}

static bool look(struct rk__slot *s, const struct rk_slot *shared)
{
	uint64_t asked = atomic_load_explicit(&shared->asked,
					      memory_order_acquire);

	if (asked <= s->last || s->busy)
		return false;
	rk__slot_take(s, asked);
	return true;
}

void rk__chan_make_ring(struct rk__chan *c)
{
	c->ring = calloc(RK_RING_SLOTS, sizeof *c->ring);
	for (unsigned i = 0; c->ring && i < RK_RING_SLOTS; i++)
		c->ring[i].chan = c;
}

void rk__slot_refuse(struct rk__slot *s, int error)
{
	if (!s->busy)
		return;
	rk__unpark(&s->handle);
	refuse(&s->handle, error);
	post(&s->handle);
}

/* The op itself answers that it was interrupted, so that it forgets what it
 * waits for; one that is woken already is told when it runs. */
void rk__slot_cancel(struct rk__slot *s)
{
	if (!s->busy)
		return;
	s->req.flags |= RK_REQ_CANCELLED;
	if (rk__unpark(&s->handle))
		rk__serve(&s->handle);
}

static void look_for_cancelled(struct rk__chan *c)
{
	for (unsigned i = 0; i < RK_SLOTS && c->n_busy; i++) {
		struct rk__slot *s = rk__slot_at(c, i);
		const volatile uint16_t *flags =
			&rk__slot_shared(c, i)->request.flags;

		if (!s || !s->busy || !(*flags & RK_REQ_CANCELLED) ||
		    s->req.flags & RK_REQ_CANCELLED)
			continue;
		rk__slot_cancel(s);
	}
}

static bool look_at_ring(struct rk__chan *c, uint32_t doorbell)
{
	uint32_t n = doorbell - c->doorbell, first = c->doorbell;
	bool any = false;

	if (!c->ring) {
		rk__chan_make_ring(c);
		if (!c->ring)
			return false;	/* again when memory is there */
	}
	c->doorbell = doorbell;
	if (n >= RK_RING_SLOTS) {
		look_for_cancelled(c);
		n = RK_RING_SLOTS;
	}
	for (uint32_t k = 0; k < n; k++) {
		unsigned i = (first + k) % RK_RING_SLOTS;

		__builtin_prefetch(rk__slot_shared(c, 1 + (i + 2) % RK_RING_SLOTS));
		any |= look(&c->ring[i], rk__slot_shared(c, 1 + i));
	}
	return any;
}

/* --- active channels ---------------------------------------------------------- */

void rk__chan_activate(struct rk__chan *c)
{
	c->idle = 0;
	if (c->active)
		return;
	c->active = true;
	c->prev = NULL;
	c->next = rk__channel_gate.active;
	if (c->next)
		c->next->prev = c;
	rk__channel_gate.active = c;
}

void rk__chan_deactivate(struct rk__chan *c)
{
	if (!c->active)
		return;
	if (c->prev)
		c->prev->next = c->next;
	else
		rk__channel_gate.active = c->next;
	if (c->next)
		c->next->prev = c->prev;
	c->active = false;
	c->prev = c->next = NULL;
}

static bool has_news(const struct rk__chan *c)
{
	return (!c->sync.busy &&
		atomic_load_explicit(&rk__slot_shared(c, 0)->asked,
				     memory_order_relaxed) > c->sync.last) ||
	       atomic_load_explicit(&c->shared->doorbell,
				    memory_order_relaxed) != c->doorbell;
}

bool rk__channel_has_news(void)
{
	const struct rk__chan *c;

	for (c = rk__channel_gate.active; c; c = c->next)
		if (has_news(c))
			return true;
	return rk__socket_pending();
}

static void say_sleeping(struct rk__chan *c)
{
	c->awake = false;
	atomic_store_explicit(&c->shared->sleeping, 1, memory_order_relaxed);
}

bool rk__chan_look(struct rk__chan *c)
{
	uint32_t doorbell = atomic_load_explicit(&c->shared->doorbell,
						 memory_order_acquire);
	bool any = look(&c->sync, rk__slot_shared(c, 0));

	if (doorbell != c->doorbell)
		any |= look_at_ring(c, doorbell);
	if (any && !c->awake) {
		c->awake = true;
		atomic_store_explicit(&c->shared->sleeping, 0,
				      memory_order_relaxed);
	}
	return any;
}

/* It said nothing for long: it will ring when there is something. */
static void retire(struct rk__chan *c)
{
	say_sleeping(c);
	atomic_thread_fence(memory_order_seq_cst);
	if (has_news(c))
		c->idle = 0;
	else
		rk__chan_deactivate(c);
}

bool rk__channel_poll(void)
{
	struct rk__chan *c, *next;
	bool any;

	rk__channel_gate.polling = true;
	any = rk__socket_poll();
	for (c = rk__channel_gate.active; c; c = next) {
		next = c->next;
		if (rk__chan_look(c)) {
			c->idle = 0;
			any = true;
		} else if (++c->idle > IDLE_POLLS) {
			retire(c);
		}
	}
	if (any)
		rk__serve_flush();
	rk__channel_gate.polling = false;
	rk__chan_wake_sleepers();
	return any;
}

bool rk__channel_sleep(void)
{
	struct rk__chan *c, *next;

	if (rk__socket_pending())
		return false;
	for (c = rk__channel_gate.active; c; c = c->next)
		say_sleeping(c);
	atomic_thread_fence(memory_order_seq_cst);
	for (c = rk__channel_gate.active; c; c = next) {
		next = c->next;
		if (!has_news(c))
			rk__chan_deactivate(c);
	}
	return rk__channel_gate.active == NULL;
}
