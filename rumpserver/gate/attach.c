/*
 * attach.c - the life of a channel: attached, taken over from a predecessor,
 * detached.
 *
 * A standby attaches too, long before it serves: nothing here writes shared
 * memory before the take-over. A successor first posts the last record's
 * answers, then looks at what is asked and not answered: what was committed is
 * done, the rest is run.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "gate/channel_gate.h"
#include "gate/socket.h"

/* The client holds the memfd too: what it could shrink is not mapped. */
static int check_memfd(int fd)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK))
		return -EINVAL;
	if (fstat(fd, &st) < 0)
		return -errno;
	return st.st_size >= (off_t)RK_CHANNEL_SIZE ? 0 : -EINVAL;
}

static int map(struct rk__chan *c, int memfd)
{
	int r = check_memfd(memfd);
	void *p;

	if (r < 0)
		return r;
	p = mmap(NULL, RK_CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		 memfd, 0);
	if (p == MAP_FAILED)
		return -errno;
	c->shared = p;
	/* A standby has them at hand when it takes over. */
	(void)!madvise(p, RK_CHANNEL_SLOTS_AT + 4096, MADV_POPULATE_READ);
	return 0;
}

static void ready(struct rk__source *source, uint32_t events)
{
	(void)events;
	rk__chan_activate((struct rk__chan *)source);
}

int rk__channel_attach(uint32_t channel, int memfd, int eventfd)
{
	struct rk__chan *c = NULL;
	int r = 0;

	if (channel >= RK_CHANNELS_MAX)
		r = -EINVAL;
	if (r < 0 || rk__channel_gate.chan[channel])
		goto out;
	c = calloc(1, sizeof *c);
	r = c ? map(c, memfd) : -ENOMEM;
	if (r < 0)
		goto out;
	c->number = channel;
	c->sync.chan = c;
	c->source.fd = eventfd;
	c->source.ready = ready;
	/* Edge-triggered: nobody has to read it. */
	r = rk__loop_add(&c->source, EPOLLIN | EPOLLET);
	if (r < 0) {
		munmap(c->shared, RK_CHANNEL_SIZE);
		goto out;
	}
	rk__channel_gate.chan[channel] = c;
	rk__chan_activate(c);
	c = NULL;
	eventfd = -1;
out:
	free(c);
	close(memfd);
	if (eventfd >= 0)
		close(eventfd);
	return r;
}

void rk__channel_detach(uint32_t channel)
{
	struct rk__chan *c;

	if (channel >= RK_CHANNELS_MAX)
		return;
	rk__socket_detach(channel);
	c = rk__channel_gate.chan[channel];
	if (!c)
		return;
	rk__channel_gate.chan[channel] = NULL;
	rk__loop_remove(&c->source);
	close(c->source.fd);
	rk__chan_deactivate(c);
	/* What waits is told that nobody waits for it, and forgets what it
	 * waits for: the process may go on without this thread. */
	for (unsigned i = 0; i < RK_SLOTS; i++)
		if (rk__slot_at(c, i))
			rk__slot_cancel(rk__slot_at(c, i));
	c->gone = true;
	/* The rest is queued or woken, and ends with its post. */
	if (!c->n_busy && !c->unwoken)
		rk__chan_free(c);
}

void rk__channel_repost(const struct rk__reply_head *r, const uint8_t *bytes)
{
	uint32_t number = (r->slot - RK_SLOT_CHANNELS) / RK_SLOTS_PER_CHANNEL;
	uint32_t i = (r->slot - RK_SLOT_CHANNELS) % RK_SLOTS_PER_CHANNEL;
	struct rk__chan *c;
	struct rk__slot s;

	if (r->slot < RK_SLOT_CHANNELS || number >= RK_CHANNELS_MAX)
		return;
	c = rk__channel_gate.chan[number];
	if (!c) {
		rk__socket_repost(number, r, bytes);
		return;
	}
	if (atomic_load(&rk__slot_shared(c, i)->asked) != r->id ||
	    atomic_load(&rk__slot_shared(c, i)->answered) == r->id)
		return;
	s.chan = c;
	memcpy(&s.req, &rk__slot_shared(c, i)->request, sizeof s.req);
	if (s.req.in_len <= rk_slot_payload_size(i) &&
	    (uint64_t)rk_out_offset(s.req.in_len) + r->length <=
	    rk_slot_payload_size(i))
		memcpy((uint8_t *)c->shared + rk_slot_payload_at(i) +
		       rk_out_offset(s.req.in_len), bytes, r->length);
	rk__slot_answer(c, i, r->id, r->result, r->length);
	rk__chan_wake_sleepers();
}

static void resume_slot(struct rk__slot *s)
{
	unsigned i = rk__slot_index(s);
	struct rk_slot *shared = rk__slot_shared(s->chan, i);
	uint64_t asked = atomic_load(&shared->asked);

	s->last = atomic_load(&shared->answered);
	if (asked == s->last)
		return;
	if (rk__was_committed(RK_SLOT_CHANNEL(s->chan->number, i), asked))
		s->last = asked;
	else if (asked > s->last)
		rk__slot_take(s, asked);
}

void rk__channel_resume(void)
{
	rk__channel_gate.polling = true;
	for (unsigned n = 0; n < RK_CHANNELS_MAX; n++) {
		struct rk__chan *c = rk__channel_gate.chan[n];

		if (!c)
			continue;
		c->doorbell = atomic_load(&c->shared->doorbell);
		resume_slot(&c->sync);
		if (c->doorbell && !c->ring)
			rk__chan_make_ring(c);
		if (!c->ring)
			c->doorbell = 0;
		for (unsigned i = 0; c->ring && i < RK_RING_SLOTS; i++)
			resume_slot(&c->ring[i]);
	}
	rk__serve_flush();
	rk__channel_gate.polling = false;
	rk__chan_wake_sleepers();
}

void rk__channel_refuse_all(int error)
{
	rk__channel_gate.refuse = error;
	rk__channel_gate.polling = true;
	for (unsigned n = 0; n < RK_CHANNELS_MAX; n++) {
		struct rk__chan *c = rk__channel_gate.chan[n];

		for (unsigned i = 0; c && i < RK_SLOTS; i++)
			if (rk__slot_at(c, i))
				rk__slot_refuse(rk__slot_at(c, i), error);
		if (c)
			rk__chan_look(c);
	}
	rk__channel_gate.polling = false;
	rk__chan_wake_sleepers();
	rk__socket_refuse_all(error);
}
