/*
 * calls.c - the call log: see calls.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include "keeper/calls.h"

enum { PUNCH_AT = 1 << 20 };		/* less memory is kept for the next */

/* What is damaged is lost, and all that follows it. */
static void find_last(struct rk__calls *c)
{
	uint64_t end = atomic_load(&c->log->end), at = 0;
	struct rk__call_batch b;
	const uint8_t *bytes;
	int r;

	end = end < RK_CALLS_MAX ? end : RK_CALLS_MAX;
	while ((r = rk__batch_next(c->bytes, end, &at, &b, &bytes)) == 1)
		c->last = b.seq;
	if (r < 0) {
		atomic_store(&c->log->lost, 1);
		atomic_store(&c->log->end, at);
	}
}

int rk__calls_open(struct rk__calls *c, int fd)
{
	void *p;

	*c = (struct rk__calls){ .fd = fd };
	if (fd < 0)
		return 0;
	p = mmap(NULL, RK_CALLS_AT + RK_CALLS_MAX, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	c->log = p;
	c->bytes = (uint8_t *)p + RK_CALLS_AT;
	find_last(c);
	return 0;
}

void rk__calls_append(struct rk__calls *c, const struct rk__record_view *v)
{
	struct rk__call_batch b = {
		.seq = v->seq, .length = v->calls_len, .n = v->n_calls,
	};
	uint64_t end;

	if (!c->log || !v->calls_len || v->seq <= c->last)
		return;
	end = atomic_load(&c->log->end);
	if (RK_CALLS_MAX - end < sizeof b + b.length) {
		atomic_store(&c->log->lost, 1);
		return;
	}
	memcpy(c->bytes + end, &b, sizeof b);
	memcpy(c->bytes + end + sizeof b, v->calls, b.length);
	atomic_store(&c->log->end, end + sizeof b + b.length);
	c->last = v->seq;
}

void rk__calls_empty(struct rk__calls *c)
{
	uint64_t end = c->log ? atomic_load(&c->log->end) : 0;

	if (!c->log)
		return;
	atomic_store(&c->log->end, 0);
	atomic_store(&c->log->lost, 0);
	/* Frees memory, no more. */
	if (end >= PUNCH_AT)
		fallocate(c->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  RK_CALLS_AT, (off_t)end);
}

uint64_t rk__calls_bytes(const struct rk__calls *c)
{
	return c->log ? atomic_load(&c->log->end) : 0;
}
