/*
 * channel.c - fuzzes the channel gate: the input is a sequence of writes to a
 * channel's memory, anywhere in it, with polls, take-overs and stops between.
 */
#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include "channel.h"
#include "gate/gate.h"
#include "views.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rk__handle *parked[RK_SLOTS];

int rk__loop_add(struct rk__source *s, uint32_t events)
{
	(void)s;
	(void)events;
	return 0;
}

void rk__loop_remove(struct rk__source *s)
{
	(void)s;
}

void rk__serve(struct rk__handle *h)
{
	assert(h->slot - RK_SLOT_CHANNEL(7, 0) < RK_SLOTS);
	if (h->gate->exec(h) != RK_PARKED)
		h->gate->post(h);
}

void rk__serve_flush(void)
{
}

bool rk__was_committed(uint32_t slot, uint64_t id)
{
	return slot & id & 1;
}

bool rk__unpark(struct rk__handle *h)
{
	bool was = h->parked;

	h->parked = false;
	parked[h->slot - RK_SLOT_CHANNEL(7, 0)] = NULL;
	return was;
}

/* Touches every byte it was promised. */
enum rk__outcome rk__syscall(struct rk__handle *h, uint32_t channel,
			     const struct rk_request *req, const uint8_t *in,
			     uint8_t *out)
{
	volatile uint8_t sum = 0;

	(void)channel;
	for (uint32_t i = 0; i < req->in_len; i++)
		sum = (uint8_t)(sum + in[i]);
	/* As the core has it: nobody waits again for who gave up. */
	if (req->op == RK_OP_flock && !(req->flags & RK_REQ_CANCELLED)) {
		h->parked = true;
		parked[h->slot - RK_SLOT_CHANNEL(7, 0)] = h;
		return RK_PARKED;
	}
	memset(out, sum, req->out_len);
	h->out_len = req->out_len;
	h->result = req->out_len;
	return RK_DONE;
}

static uint8_t *attach(int *ret_memfd)
{
	int fd = memfd_create("fuzz", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	uint8_t *p;

	if (fd < 0 || ftruncate(fd, RK_CHANNEL_SIZE) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		abort();
	p = mmap(NULL, RK_CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		 0);
	if (p == MAP_FAILED || rk__channel_attach(7, dup(fd), eventfd(0, 0)))
		abort();
	*ret_memfd = fd;
	return p;
}

/* Where it matters: one of the first slots' words, or the channel's. */
static uint32_t place(uint8_t where, uint8_t which)
{
	uint32_t slot = RK_CHANNEL_SLOTS_AT +
		(which % RK_SLOTS) * (uint32_t)sizeof(struct rk_slot);

	switch (where % 8) {
	case 0: return (uint32_t)offsetof(struct rk_channel, doorbell);
	case 1: return slot + (uint32_t)offsetof(struct rk_slot, asked);
	case 2: return slot + (uint32_t)offsetof(struct rk_slot, answered);
	case 3: return slot + (where / 8) * 8 % 128;
	case 4: return slot;
	case 5: return slot + (uint32_t)offsetof(struct rk_request, in_len);
	case 6: return slot + (uint32_t)offsetof(struct rk_request, out_len);
	default: return (uint32_t)(where * 4099 + which * 251) %
			(uint32_t)(RK_CHANNEL_SIZE - 8);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int memfd;
	uint8_t *p = attach(&memfd);

	for (; size >= 5; data += 5, size -= 5) {
		uint8_t what = data[0];
		struct rk__reply_head reply = {
			.id = data[3],
			.slot = RK_SLOT_CHANNEL(7, data[1] % RK_SLOTS),
			.length = data[4],
		};

		memcpy(p + place(data[1], data[2]), data + 3, 2);
		if (what & 1)
			rk__channel_poll();
		if (what % 16 == 2)
			rk__channel_sleep();
		if (what % 16 == 4)
			rk__channel_repost(&reply, p);
		if (what % 64 == 6) {
			rk__channel_detach(7);
			munmap(p, RK_CHANNEL_SIZE);
			close(memfd);
			p = attach(&memfd);
			rk__channel_resume();
		}
	}
	rk__channel_poll();
	rk__channel_detach(7);
	munmap(p, RK_CHANNEL_SIZE);
	close(memfd);
	return 0;
}
