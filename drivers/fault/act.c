/*
 * act.c - which rules a call meets, and carrying them out.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "fault.h"

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

/* The same in every run that makes the same calls. */
static uint64_t throw_dice(const struct fault *f, unsigned rule)
{
	return mix(f->seed + mix(f->count[rule] * RULES_MAX + rule));
}

static bool matches(const struct rule *r, enum op op, const char *name,
		    size_t len)
{
	if (!(r->ops >> op & 1))
		return false;
	return !r->name[0] || (name && strlen(r->name) == len &&
			       memcmp(r->name, name, len) == 0);
}

/* Counts it first: what happens now may be the end. */
static bool is_due(struct fault *f, unsigned rule)
{
	const struct rule *r = &f->rule[rule];
	uint64_t n = ++f->count[rule];

	switch (r->when) {
	case AT:
		return n == r->n;
	case AFTER:
		return n > r->n;
	case EVERY:
		return n % r->n == 0;
	case CHANCE:
		return throw_dice(f, rule) >> 32 < r->n;
	case ALWAYS:
		break;
	}
	return true;
}

static void sleep_for(uint64_t ns)
{
	struct timespec t = {
		.tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000),
	};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

static void crash(void)
{
	static int *volatile nowhere = (int *)16;

	*nowhere = 1;
}

/* 0, or the error to answer. */
static int carry_out(const struct rule *r)
{
	switch (r->what) {
	case ERROR:
		return r->error;
	case CRASH:
		crash();
		break;
	case ABORT:
		abort();
	case HANG:
		for (;;)
			sleep_for(1000000000);
	case SLOW:
		sleep_for(r->ns);
		break;
	case SHORT:
	case WRONG:
		break;
	}
	return 0;
}

int rk__fault_before(struct fault *f, enum op op, const char *name, size_t len,
		     struct plan *ret)
{
	int e = 0;

	*ret = (struct plan){ .fault = f };
	for (unsigned i = 0; i < f->n_rules && !e; i++) {
		const struct rule *r = &f->rule[i];

		if (!matches(r, op, name, len) || !is_due(f, i))
			continue;
		ret->cut |= r->what == SHORT;
		ret->wrong |= r->what == WRONG;
		ret->dice = throw_dice(f, i);
		if (r->late)
			ret->late |= 1ull << i;
		else
			e = carry_out(r);
	}
	return e;
}

int64_t rk__fault_after(const struct plan *p, int64_t r)
{
	for (unsigned i = 0; p->late >> i && r >= 0; i++) {
		int e = p->late >> i & 1 ? carry_out(&p->fault->rule[i]) : 0;

		r = e < 0 ? e : r;
	}
	return r;
}

void rk__fault_spoil(const struct plan *p, void *buf, size_t len)
{
	if (len)
		((uint8_t *)buf)[p->dice % len] ^= 1 << (p->dice >> 61);
}
