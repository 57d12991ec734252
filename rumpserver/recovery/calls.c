/*
 * calls.c - the drivers' calls of the commit to come, their clock meanwhile,
 * and how a log of them is read.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "driver.h"
#include "recovery/calls.h"

static struct {
	uint8_t *bytes;
	size_t length, max;
	uint32_t n;
} calls;

static struct {
	bool stands, asked;
	struct rk_time at;
	const struct rk_wanted *wanted;
} world;

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static uint8_t *add(size_t n)
{
	size_t at = calls.length;

	calls.length += n;
	if (calls.length > calls.max) {
		calls.max = calls.length * 2;
		calls.bytes = realloc(calls.bytes, calls.max);
		if (!calls.bytes)
			abort();
	}
	return calls.bytes + at;
}

void rk__call_log(struct rk__call *c, const void *const part[RK_CALL_PARTS])
{
	size_t bytes = sizeof *c, length;
	uint8_t *to;

	for (int i = 0; i < RK_CALL_PARTS; i++)
		bytes += c->part[i];
	length = padded(bytes);
	c->length = (uint32_t)length;
	to = add(length);
	memcpy(to, c, sizeof *c);
	memset(to + bytes, 0, length - bytes);
	to += sizeof *c;
	for (int i = 0; i < RK_CALL_PARTS; i++) {
		if (c->part[i])
			memcpy(to, part[i], c->part[i]);
		to += c->part[i];
	}
	calls.n++;
}

uint32_t rk__calls_count(void)
{
	return calls.n;
}

size_t rk__calls_length(void)
{
	return calls.length;
}

void rk__calls_write(uint8_t *to)
{
	if (calls.length)
		memcpy(to, calls.bytes, calls.length);
}

void rk__calls_clear(void)
{
	calls.length = 0;
	calls.n = 0;
}

/* --- the clock, and numbers --------------------------------------------------- */

void rk__time_stop(const struct rk_time *at)
{
	world.stands = true;
	world.asked = at;
	world.at = at ? *at : (struct rk_time){ 0 };
}

struct rk_time rk__time_go_on(void)
{
	world.stands = false;
	return world.at;
}

bool rk__time_stands(struct rk_time *ret)
{
	if (!world.stands || !world.asked)
		return false;
	*ret = world.at;
	return true;
}

void rk__time_says(const struct rk_time *t)
{
	if (!world.stands)
		return;
	world.at = *t;
	world.asked = true;
}

void rk__wanted_set(const struct rk_wanted *w)
{
	world.wanted = w;
}

bool rk__wanted(void *ctx, struct rk_wanted *ret)
{
	(void)ctx;
	if (world.wanted)
		*ret = *world.wanted;
	return world.wanted;
}

/* --- reading ---------------------------------------------------------------- */

int rk__call_next(const uint8_t *from, uint64_t length, uint64_t *at,
		  struct rk__call *ret, const uint8_t *part[RK_CALL_PARTS])
{
	uint64_t need = sizeof *ret;

	if (*at == length)
		return 0;
	if (*at > length || length - *at < sizeof *ret)
		return -EBADMSG;
	memcpy(ret, from + *at, sizeof *ret);
	atomic_signal_fence(memory_order_seq_cst);
	for (int i = 0; i < RK_CALL_PARTS; i++) {
		part[i] = from + *at + need;
		need += ret->part[i];
	}
	if (ret->length % 8 || ret->length < need ||
	    ret->length > length - *at)
		return -EBADMSG;
	*at += ret->length;
	return 1;
}

int rk__batch_next(const uint8_t *log, uint64_t end, uint64_t *at,
		   struct rk__call_batch *ret, const uint8_t **bytes)
{
	if (*at == end)
		return 0;
	if (*at > end || end - *at < sizeof *ret)
		return -EBADMSG;
	memcpy(ret, log + *at, sizeof *ret);
	atomic_signal_fence(memory_order_seq_cst);
	if (ret->length % 8 || ret->length > end - *at - sizeof *ret)
		return -EBADMSG;
	*bytes = log + *at + sizeof *ret;
	*at += sizeof *ret + ret->length;
	return 1;
}
