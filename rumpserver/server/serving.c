/*
 * serving.c - serving: polls the channels that were active lately for as long
 * as that pays, and sleeps in epoll otherwise.
 */
#include <time.h>
#include "core/serve.h"
#include "core/vfs.h"
#include "gate/gate.h"
#include "server/loop.h"

enum {
	SPIN_NS = 50000,	/* polling longer than this never paid */
	LOOK_EVERY = 256,	/* polls of busy channels between looks at epoll */
	SKIP_MAX = 10,		/* 2^n sleeps without polling before each */
	FORGETS_WAIT_MS = 5,
	HELD_WAIT_MS = 1000,
};

/* Polling before it sleeps, as long as that pays. */
static struct {
	bool off;
	unsigned missed;		/* times in a row that nothing came */
	unsigned skip;			/* sleeps until the next try */
	unsigned look_every;
} spin;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Serves the channels until they are quiet. */
static bool poll_channels(void)
{
	bool any = false;

	for (unsigned i = 1; rk__channel_poll(); i++) {
		any = true;
		if (i % LOOK_EVERY == 0)
			rk__loop_dispatch(0);
		/* Who is busy must not keep others waiting. */
		if (rk__serve_has_woken()) {
			rk__serve_woken();
			rk__serve_flush();
		}
	}
	return any;
}

/*
 * Looks for a request for a little while, before it sleeps: to be woken costs
 * both sides more than that. It does not pay where the caller thinks for long,
 * or waits for the CPU that we run on; so each time that nothing came, it is
 * left out twice as often. true: something came and was served.
 */
static bool spin_a_while(void)
{
	uint64_t end;

	if (spin.off)
		return false;
	if (spin.skip) {
		spin.skip--;
		return false;
	}
	end = now_ns() + SPIN_NS;
	for (unsigned i = 1;; i++) {
		if (poll_channels()) {
			spin.look_every = LOOK_EVERY;
			break;
		}
		__builtin_ia32_pause();
		if (i % spin.look_every)
			continue;
		if (rk__loop_dispatch(0)) {
			spin.look_every = 1;
			break;
		}
		if (now_ns() >= end) {
			if (spin.missed < SKIP_MAX)
				spin.missed++;
			spin.skip = 1u << spin.missed;
			return false;
		}
	}
	spin.missed = 0;
	return true;
}

static void sleep_until_ready(void)
{
	bool any;

	if (!rk__channel_sleep())
		return;
	any = rk__loop_dispatch(rk__fuse_forgets_wait() ? FORGETS_WAIT_MS :
				rk__serve_held(false) ? HELD_WAIT_MS : -1);
	if (any)
		spin.look_every = 1;
	else
		rk__fuse_settle();
}

_Noreturn void rk__server_serve(bool spins)
{
	spin.off = !spins;
	spin.look_every = 1;
	for (;;) {
		bool pending;

		rk__serve_woken();
		poll_channels();
		pending = rk__vnode_reclaim_some();
		rk__serve_flush();
		if (rk__serve_has_woken() || pending)
			rk__loop_dispatch(0);
		else if (!spin_a_while())
			sleep_until_ready();
	}
}
