/*
 * files_poll.c - poll, ppoll, select and pselect6 where one of the descriptors
 * is a server's.
 *
 * Theory of operation. All four become one question to rk_ppoll, which waits for
 * servers and for the kernel at once. Descriptors of the host are borrowed for
 * as long as it takes; one that is not open is ready, with POLLNVAL. A time that
 * the caller gave is made what is left of it, as the kernel does it.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "files_int.h"

enum {
	POLL_FEW = 16,
	POLL_MANY = 1 << 20,
	SELECT_FEW = 128,		/* bytes of a set: 1024 descriptors */
	SELECT_MANY = 8192,
	NS = 1000000000,
};

/* --- how long ------------------------------------------------------------------------ */

struct wait {
	struct timespec timeout, end;
	bool forever;
	uint64_t where;			/* of the caller's time; 0: none */
	bool micro;			/* it is a timeval */
	uint64_t mask;
	bool masked;
};

/* Normal times stay what they are; others are taken for the kernel's longest. */
static struct timespec plus(struct timespec a, struct timespec b)
{
	if (__builtin_add_overflow(a.tv_sec, b.tv_sec, &a.tv_sec))
		a.tv_sec = INT64_MAX - 1;
	a.tv_nsec += b.tv_nsec;
	if (a.tv_nsec >= NS) {
		a.tv_nsec -= NS;
		a.tv_sec += a.tv_sec < INT64_MAX;
	}
	return a;
}

static void begin(struct wait *w)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	w->end = plus(now, w->timeout);
}

static void left(struct wait *w)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	w->timeout.tv_sec = w->end.tv_sec - now.tv_sec;
	w->timeout.tv_nsec = w->end.tv_nsec - now.tv_nsec;
	if (w->timeout.tv_nsec < 0) {
		w->timeout.tv_nsec += NS;
		w->timeout.tv_sec--;
	}
	if (w->timeout.tv_sec < 0)
		w->timeout = (struct timespec){ 0 };
}

static int take_time(struct rk__task *t, uint64_t where, bool micro,
		     struct wait *w)
{
	int64_t v[2];

	w->where = where;
	w->micro = micro;
	w->forever = !where;
	if (!where)
		return 0;
	if (t->host->copy_in(t, v, where, sizeof v) < 0)
		return -EFAULT;
	if (micro) {
		v[0] += v[1] / 1000000;
		v[1] = v[1] % 1000000 * 1000;
	}
	if (v[0] < 0 || v[1] < 0 || v[1] >= NS)
		return -EINVAL;
	w->timeout = (struct timespec){ v[0], v[1] };
	return 0;
}

/* Where it cannot be said, nobody is told. */
static void give_time(struct rk__task *t, struct wait *w)
{
	int64_t v[2];

	if (!w->where)
		return;
	left(w);
	v[0] = w->timeout.tv_sec;
	v[1] = w->micro ? w->timeout.tv_nsec / 1000 : w->timeout.tv_nsec;
	(void)t->host->copy_out(t, w->where, v, sizeof v);
}

static int take_mask(struct rk__task *t, uint64_t at, uint64_t size,
		     struct wait *w)
{
	if (!at)
		return 0;
	if (size != sizeof w->mask)
		return -EINVAL;
	w->masked = true;
	return t->host->copy_in(t, &w->mask, at, sizeof w->mask) < 0 ? -EFAULT :
								      0;
}

/* --- the question --------------------------------------------------------------------- */

static bool any_ours(struct rk__task *t, const struct pollfd *p, unsigned n)
{
	struct rk__target f;

	for (unsigned i = 0; i < n; i++)
		if (p[i].fd >= 0 && t->host->find(t, p[i].fd, &f))
			return true;
	return false;
}

/* How many of them are not open. */
static int translate(struct rk__task *t, const struct pollfd *p, unsigned n,
		     struct rk_pollfd *ret)
{
	struct rk__target f;
	int wrong = 0;

	for (unsigned i = 0; i < n; i++) {
		ret[i] = (struct rk_pollfd){
			.fd = -1, .events = (uint16_t)p[i].events,
		};
		if (p[i].fd < 0)
			continue;
		if (t->host->find(t, p[i].fd, &f)) {
			ret[i].client = f.client;
			ret[i].fd = f.fd;
			continue;
		}
		ret[i].fd = t->host->borrow(t, p[i].fd);
		wrong += ret[i].fd < 0;
	}
	return wrong;
}

static int ask(struct rk__task *t, const struct pollfd *p,
	       struct rk_pollfd *fds, unsigned n, struct wait *w)
{
	const struct timespec none = { 0 };
	int wrong = translate(t, p, n, fds);
	int r = rk_ppoll(fds, n, wrong ? &none : w->forever ? NULL :
							     &w->timeout,
			 w->masked && !t->host->foreign ? &w->mask : NULL);

	for (unsigned i = 0; i < n; i++) {
		if (p[i].fd >= 0 && !fds[i].client && fds[i].fd < 0)
			fds[i].revents = POLLNVAL;
		else if (!fds[i].client && fds[i].fd >= 0)
			t->host->give_back(t, fds[i].fd);
	}
	return r < 0 ? r : r + wrong;
}

/* --- poll ------------------------------------------------------------------------------ */

static int64_t poll_all(struct rk__task *t, uint64_t at,
			const struct pollfd *p, unsigned n, struct wait *w)
{
	struct rk_pollfd few[POLL_FEW], *fds = few;
	int64_t r;

	if (n > POLL_FEW)
		fds = calloc(n, sizeof *fds);
	if (!fds)
		return -ENOMEM;
	r = ask(t, p, fds, n, w);
	/* Nothing but these: the rest is the caller's, who may be at it. */
	for (unsigned i = 0; r >= 0 && i < n; i++)
		if (t->host->copy_out(t, at + i * sizeof *p +
				      offsetof(struct pollfd, revents),
				      &fds[i].revents,
				      sizeof fds[i].revents) < 0)
			r = -EFAULT;
	if (fds != few)
		free(fds);
	return r;
}

/* The caller's array, or NULL: then the call is the kernel's. */
static const struct pollfd *ours(struct rk__task *t, const uint64_t arg[6])
{
	uint32_t n = (uint32_t)arg[1];
	const struct pollfd *p;

	if (n == 0 || n > POLL_MANY)
		return NULL;
	p = t->host->in(t, arg[0], n * sizeof *p);
	return p && any_ours(t, p, n) ? p : NULL;
}

RK__FILE_CALL(poll)
{
	const struct pollfd *p = ours(t, arg);
	int ms = (int)arg[2];
	struct wait w = {
		.forever = ms < 0,
		.timeout = { ms / 1000, ms % 1000 * 1000000L },
	};

	if (!p)
		return RK__NATIVE;
	return rk__done(ret, poll_all(t, arg[0], p, (unsigned)arg[1], &w));
}

RK__FILE_CALL(ppoll)
{
	const struct pollfd *p = ours(t, arg);
	struct wait w = { 0 };
	int64_t r;

	if (!p)
		return RK__NATIVE;
	r = take_time(t, arg[2], false, &w);
	if (r == 0)
		r = take_mask(t, arg[3], arg[4], &w);
	if (r == 0) {
		begin(&w);
		r = poll_all(t, arg[0], p, (unsigned)arg[1], &w);
		give_time(t, &w);
	}
	return rk__done(ret, r);
}

/* --- select ---------------------------------------------------------------------------- */

enum { READS, WRITES, EXCEPTS, SETS };

static const struct {
	int16_t events, ready;
} sets[SETS] = {
	[READS] = { POLLIN | POLLRDNORM | POLLRDBAND,
		    POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR },
	[WRITES] = { POLLOUT | POLLWRNORM | POLLWRBAND,
		     POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR },
	[EXCEPTS] = { POLLPRI, POLLPRI },
};

struct selection {
	unsigned n;			/* descriptors below are meant */
	size_t bytes;			/* of a set */
	uint64_t where[SETS];
	uint8_t *in[SETS], *out[SETS];
	unsigned count;			/* descriptors that are in a set */
	uint8_t few[2 * SETS * SELECT_FEW];
};

static bool is_in(const uint8_t *set, unsigned fd)
{
	return set[fd / 8] & 1u << fd % 8;
}

static int16_t events_of(const struct selection *s, unsigned fd)
{
	int16_t events = 0;

	for (int k = 0; k < SETS; k++)
		if (is_in(s->in[k], fd))
			events |= sets[k].events;
	return events;
}

static int take_sets(struct rk__task *t, const uint64_t arg[6],
		     struct selection *s)
{
	uint8_t *room = s->few;

	s->n = (unsigned)rk__least((uint32_t)arg[0], SELECT_MANY * 8);
	s->bytes = (s->n + 63) / 64 * 8;
	if (s->bytes > SELECT_FEW)
		room = calloc(2 * SETS, s->bytes);
	if (!room)
		return -ENOMEM;
	for (int k = 0; k < SETS; k++) {
		s->in[k] = room + (size_t)k * s->bytes;
		s->out[k] = s->in[k] + SETS * s->bytes;
		s->where[k] = arg[1 + k];
		memset(s->in[k], 0, s->bytes);
		if (s->where[k] && s->bytes &&
		    t->host->copy_in(t, s->in[k], s->where[k], s->bytes) < 0)
			return -EFAULT;
	}
	return 0;
}

static void drop_sets(struct selection *s)
{
	if (s->in[0] && s->in[0] != s->few)
		free(s->in[0]);
}

/* One of ours among them? */
static bool count_them(struct rk__task *t, struct selection *s)
{
	struct rk__target f;
	bool found = false;

	for (unsigned fd = 0; fd < s->n; fd++) {
		if (!events_of(s, fd))
			continue;
		s->count++;
		found = found || t->host->find(t, (int)fd, &f);
	}
	return found;
}

static void list_them(const struct selection *s, struct pollfd *p)
{
	for (unsigned fd = 0; fd < s->n; fd++)
		if (events_of(s, fd))
			*p++ = (struct pollfd){
				.fd = (int)fd, .events = events_of(s, fd),
			};
}

/* What is ready of what was asked for; who hung up without that is not waited
 * for any more. */
static int64_t collect(struct selection *s, struct pollfd *p,
		       const struct rk_pollfd *fds)
{
	int64_t found = 0;

	for (unsigned i = 0; i < s->count; i++) {
		unsigned fd = (unsigned)p[i].fd;
		int64_t before = found;

		if (fds[i].revents & POLLNVAL)
			return -EBADF;
		if (p[i].fd < 0 || !fds[i].revents)
			continue;
		for (int k = 0; k < SETS; k++) {
			if (!is_in(s->in[k], fd) ||
			    !(fds[i].revents & sets[k].ready))
				continue;
			s->out[k][fd / 8] |= (uint8_t)(1u << fd % 8);
			found++;
		}
		if (found == before)
			p[i].fd = -1;
	}
	return found;
}

static int64_t select_all(struct rk__task *t, struct selection *s,
			  struct wait *w)
{
	struct pollfd few[POLL_FEW], *p = few;
	struct rk_pollfd few_fds[POLL_FEW], *fds = few_fds;
	int64_t r = -ENOMEM;
	int ready;

	if (s->count > POLL_FEW) {
		p = calloc(s->count, sizeof *p);
		fds = calloc(s->count, sizeof *fds);
	}
	if (!p || !fds)
		goto out;
	list_them(s, p);
	memset(s->out[0], 0, SETS * s->bytes);
	do {
		ready = ask(t, p, fds, s->count, w);
		r = ready < 0 ? ready : collect(s, p, fds);
		left(w);
	} while (ready > 0 && r == 0);
out:
	if (p != few)
		free(p);
	if (fds != few_fds)
		free(fds);
	return r;
}

static enum rk__routed select_as(struct rk__task *t, const uint64_t arg[6],
				 int64_t *ret, struct wait *w, int64_t r)
{
	struct selection s = { .n = 0 };
	enum rk__routed routed = RK__NATIVE;

	if ((int)arg[0] <= 0 || take_sets(t, arg, &s) < 0 ||
	    !count_them(t, &s))
		goto out;
	routed = RK__DONE;
	begin(w);
	if (r == 0)
		r = select_all(t, &s, w);
	for (int k = 0; r >= 0 && k < SETS; k++)
		if (s.where[k] && t->host->copy_out(t, s.where[k], s.out[k],
						    s.bytes) < 0)
			r = -EFAULT;
	if (r != -EINVAL)
		give_time(t, w);
	*ret = r;
out:
	drop_sets(&s);
	return routed;
}

RK__FILE_CALL(select)
{
	struct wait w = { 0 };
	int r = take_time(t, arg[4], true, &w);

	return select_as(t, arg, ret, &w, r);
}

/* The last word points to the set of signals and its size. */
RK__FILE_CALL(pselect6)
{
	struct wait w = { 0 };
	uint64_t set[2] = { 0, 0 };
	int r = take_time(t, arg[4], false, &w);

	if (r == 0 && arg[5] && t->host->copy_in(t, set, arg[5],
						 sizeof set) < 0)
		r = -EFAULT;
	if (r == 0)
		r = take_mask(t, set[0], set[1], &w);
	return select_as(t, arg, ret, &w, r);
}
