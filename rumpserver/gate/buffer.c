/*
 * buffer.c - two pools of private output buffers: small ones for what most ops
 * return, and ones that hold the longest answer.
 */
#include <stdlib.h>
#include <string.h>
#include "channel.h"
#include "gate/buffer.h"

enum {
	SMALL_BUFFER = RK_RING_PAYLOAD,
	SMALL_KEPT = 64,		/* kept for the next op */
	LARGE_KEPT = 2,
};

struct pool {
	void *free;			/* linked by their first word */
	unsigned n, kept;
	size_t size;
};

static struct pool pools[2] = {
	{ .kept = SMALL_KEPT, .size = SMALL_BUFFER },
	{ .kept = LARGE_KEPT, .size = RK_IO_MAX },
};

bool rk__buffer_get(struct rk__buffer *b, uint32_t size)
{
	struct pool *p;

	if (b->bytes)
		return true;
	b->large = size > SMALL_BUFFER;
	p = &pools[b->large];
	if (!p->free) {
		b->bytes = malloc(p->size);
		return b->bytes != NULL;
	}
	b->bytes = p->free;
	memcpy(&p->free, b->bytes, sizeof p->free);
	p->n--;
	return true;
}

void rk__buffer_put(struct rk__buffer *b)
{
	struct pool *p = &pools[b->large];

	if (!b->bytes)
		return;
	if (p->n < p->kept) {
		memcpy(b->bytes, &p->free, sizeof p->free);
		p->free = b->bytes;
		p->n++;
	} else {
		free(b->bytes);
	}
	b->bytes = NULL;
}
