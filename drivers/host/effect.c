/*
 * effect.c - what was done to the host by requests that are not committed.
 *
 * A note is made before an effect (intent) and completed after it (done). It
 * counts as long as its request may come again: until a later commit of the
 * same server, or until core knows the request as committed. What nobody came
 * back for is void after a minute: its caller died.
 *
 * A request that is run again takes the same way, because what it looks up is
 * answered as before the effect (name.c, attr.c). When it comes to the effect,
 * it finds it: done, or to be found out by a look at the host.
 */
#include <stdatomic.h>
#include <time.h>
#include "host.h"

enum { VOID_AFTER_S = 60 };
enum { EFFECTS = sizeof((struct journal *)0)->effect / sizeof(struct effect) };

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static struct effect *all(struct fs *fs)
{
	return ((struct journal *)fs->host->lasting)->effect;
}

static void set_state(struct effect *e, enum effect_state s)
{
	atomic_signal_fence(memory_order_seq_cst);
	*(volatile uint32_t *)&e->state = s;
	atomic_signal_fence(memory_order_seq_cst);
}

uint64_t rk__digest(uint64_t a, const void *p, size_t n)
{
	const uint8_t *b = p;
	uint64_t h = (a ^ 0xcbf29ce484222325ull) * 0x100000001b3ull;

	while (n--)
		h = (h ^ *b++) * 0x100000001b3ull;
	return h ^ h >> 29;
}

static bool is_void(struct fs *fs, const struct effect *e,
		    const struct rk_running *r)
{
	const struct rk_host *h = fs->host;

	if (e->epoch == own(fs)->epoch)
		return r->commits > e->commits;
	return h->committed(h->ctx, e->slot, e->id) ||
	       now_ns() - e->began_ns > VOID_AFTER_S * 1000000000ll;
}

static bool is_of(const struct effect *e, const struct rk_running *r)
{
	return e->state != EFFECT_FREE && e->slot == r->slot && e->id == r->id;
}

void rk__effect_begin(struct fs *fs)
{
	struct own *o = own(fs);
	struct rk_running r;

	fs->host->request(fs->host->ctx, &r);
	if (r.run == o->request.run)
		return;
	o->request = r;
	o->seq = 0;
	o->again = false;
	for (unsigned i = 0; i < EFFECTS; i++) {
		struct effect *e = &all(fs)[i];

		if (e->state == EFFECT_FREE)
			continue;
		if (is_void(fs, e, &r))
			set_state(e, EFFECT_FREE);
		else if (is_of(e, &r))
			o->again = true;
	}
}

int rk__begin(struct fs *fs)
{
	int r = rk__own_begin(fs);

	if (r == 0)
		rk__effect_begin(fs);
	return r;
}

static struct effect *next_of(struct fs *fs)
{
	struct own *o = own(fs);

	for (unsigned i = 0; o->again && i < EFFECTS; i++) {
		struct effect *e = &all(fs)[i];

		if (is_of(e, &o->request) && e->seq == o->seq)
			return e;
	}
	return NULL;
}

const struct effect *rk__effect_next(struct fs *fs)
{
	return next_of(fs);
}

static void forget_request(struct fs *fs)
{
	struct own *o = own(fs);

	for (unsigned i = 0; i < EFFECTS; i++)
		if (is_of(&all(fs)[i], &o->request) &&
		    all(fs)[i].seq >= o->seq)
			set_state(&all(fs)[i], EFFECT_FREE);
	o->again = false;
}

struct effect *rk__effect_again(struct fs *fs, enum effect_kind kind,
				uint64_t digest)
{
	struct own *o = own(fs);
	struct effect *e = next_of(fs);

	if (e && e->kind == kind && e->digest == digest) {
		/* ours from here on: it lasts until our commit */
		e->epoch = o->epoch;
		e->commits = o->request.commits;
		return e;
	}
	if (o->again)
		forget_request(fs);
	return NULL;
}

/* A free one, or the oldest. */
static struct effect *take(struct fs *fs)
{
	struct effect *best = &all(fs)[0];

	for (unsigned i = 0; i < EFFECTS; i++) {
		struct effect *e = &all(fs)[i];

		if (e->state == EFFECT_FREE)
			return e;
		if (e->began_ns < best->began_ns)
			best = e;
	}
	set_state(best, EFFECT_FREE);
	return best;
}

struct effect *rk__effect_intend(struct fs *fs, const struct effect *what)
{
	struct own *o = own(fs);
	struct effect *e = take(fs);

	change(fs);
	*e = *what;
	e->seq = o->seq;
	e->epoch = o->epoch;
	e->slot = o->request.slot;
	e->id = o->request.id;
	e->commits = o->request.commits;
	e->began_ns = now_ns();
	set_state(e, EFFECT_INTENT);
	return e;
}

void rk__effect_done(struct fs *fs, struct effect *e, int64_t result)
{
	change(fs);
	e->result = result;
	set_state(e, EFFECT_DONE);
	own(fs)->seq++;
}

int rk__effect_failed(struct fs *fs, struct effect *e, int error)
{
	set_state(e, EFFECT_FREE);
	return error;
}
