/*
 * poll.c - waiting for descriptors of servers and of the host at once.
 *
 * Theory of operation. Whether anything is ready is asked at once, of each
 * server and of the kernel. If nothing is, each server is asked again to answer
 * when something is, over a connection of its own (a watch): its answer makes a
 * socket readable, which the kernel's poll waits for beside everything else. A
 * watch belongs to the thread's link. A question that nobody waited for to the
 * end stays asked: whoever polls the same descriptors again, which is the rule,
 * waits for that one; for others the connection is made anew, and its end takes
 * the question back. Answers of watches are not believed, but looked into.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "client_int.h"

enum { NS = 1000000000 };

struct rk__watch {
	struct rk__link *link;
	struct rk__link *owner;		/* of which it is, in use meanwhile */
	uint64_t seq;			/* of the question */
	bool asked;
	unsigned n;
	struct rk_poll_fd fds[];
};

void rk__watch_free(struct rk__watch *w)
{
	if (!w)
		return;
	rk__link_close(w->link);
	free(w->link);
	free(w);
}

bool rk__watch_is_guest(const struct rk__watch *w)
{
	return w && w->link->guest;
}

void rk__watch_moved(struct rk__watch *w, int from, int to)
{
	if (w)
		rk__link_moved(w->link, from, to);
}

/* --- one server ----------------------------------------------------------------- */

/* What of fds belongs to `client`; their places in `from`. */
static unsigned gather(const struct rk_pollfd *fds, unsigned n,
		       const struct rk_client *client, struct rk_poll_fd *ret,
		       unsigned *from)
{
	unsigned k = 0;

	for (unsigned i = 0; i < n; i++) {
		if (fds[i].client != client)
			continue;
		if (from)
			from[k] = i;
		ret[k++] = (struct rk_poll_fd){
			.fd = fds[i].fd, .events = fds[i].events,
		};
	}
	return k;
}

/* Is it the first of its client? */
static bool is_first(const struct rk_pollfd *fds, unsigned i)
{
	for (unsigned k = 0; fds[i].client && k < i; k++)
		if (fds[k].client == fds[i].client)
			return false;
	return fds[i].client != NULL;
}

static int look_at_server(struct rk_pollfd *fds, unsigned n,
			  struct rk_client *client)
{
	struct rk_poll_fd *at = calloc(2 * n, sizeof *at);
	unsigned *from = calloc(n, sizeof *from), k;
	int64_t r = -ENOMEM;

	if (at && from) {
		k = gather(fds, n, client, at, from);
		r = rk_poll_fds(client, at, k * sizeof *at, at + n,
				k * sizeof *at, 0);
		for (unsigned i = 0; r >= 0 && i < k; i++)
			fds[from[i]].revents = at[n + i].revents;
	}
	free(at);
	free(from);
	return r < 0 ? (int)r : 0;
}

static int open_watch(struct rk_client *c, struct rk__link *l, unsigned n)
{
	uint64_t token = c->token;
	struct rk__watch *w;
	int r;

	/* Drivers in this process have nobody who could tell. */
	if (c->door)
		return -EOPNOTSUPP;
	w = calloc(1, sizeof *w + n * sizeof *w->fds);
	if (w)
		w->link = calloc(1, sizeof *w->link);
	if (!w || !w->link) {
		free(w);
		return -ENOMEM;
	}
	r = rk__link_open(w->link, c, RK_HELLO_THREAD, RK_TRANSPORT_SOCKET,
			  &token);
	if (r < 0) {
		free(w->link);
		free(w);
		return r;
	}
	w->owner = l;
	w->n = n;
	l->watch = w;
	return 0;
}

static int send_question(struct rk__watch *w)
{
	struct rk__link *l = w->link;
	struct rk_request req = { .seq = ++l->seq };
	size_t size = w->n * sizeof *w->fds;
	int r = rk_encode_poll_fds(&req, l->message + sizeof req,
				   RK_MESSAGE_MAX - sizeof req,
				   &(struct op_poll_fds){
		.fds = w->fds, .in_size = size, .out_size = size, .wait = 1,
	});

	if (r < 0)
		return r;
	memcpy(l->message, &req, sizeof req);
	if (send(l->fd, l->message, sizeof req + req.in_len, MSG_NOSIGNAL) < 0)
		return -ESHUTDOWN;
	w->seq = req.seq;
	w->asked = true;
	return 0;
}

static int ask(const struct rk_pollfd *fds, unsigned n, struct rk_client *c,
	       struct rk__link *l)
{
	struct rk_poll_fd *now = calloc(n, sizeof *now);
	unsigned k;
	int r = 0;

	if (!now)
		return -ENOMEM;
	k = gather(fds, n, c, now, NULL);
	if (l->watch && (l->watch->n != k ||
			 memcmp(l->watch->fds, now, k * sizeof *now))) {
		rk__watch_free(l->watch);
		l->watch = NULL;
	}
	if (!l->watch)
		r = open_watch(c, l, k);
	if (r == 0) {
		memcpy(l->watch->fds, now, k * sizeof *now);
		if (!l->watch->asked)
			r = send_question(l->watch);
	}
	free(now);
	return r;
}

/* Has the server say when one of these is ready: the watch's connection becomes
 * readable. Its link is in use until then. */
static int watch(const struct rk_pollfd *fds, unsigned n, struct rk_client *c,
		 uintptr_t frame, struct rk__watch **ret)
{
	struct rk__link *l;
	int r = rk__link_get(c, frame, &l);

	if (r < 0)
		return r;
	r = ask(fds, n, c, l);
	if (r < 0)
		rk__link_put(l);
	else
		*ret = l->watch;
	return r;
}

/* A successor may give an answer again: only the one to the question counts. */
static int take_answer(struct rk__watch *w)
{
	struct rk_answer a;
	ssize_t n = recv(w->link->fd, w->link->message, RK_MESSAGE_MAX,
			 MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < (ssize_t)sizeof a)
		return -ESHUTDOWN;
	memcpy(&a, w->link->message, sizeof a);
	if (a.seq == w->seq)
		w->asked = false;
	return a.seq == w->seq && a.result < 0 ? (int)a.result : 0;
}

/* --- all of them ------------------------------------------------------------------ */

static int look_at_host(struct rk_pollfd *fds, unsigned n, struct pollfd *p)
{
	for (unsigned i = 0; i < n; i++)
		p[i] = (struct pollfd){
			.fd = fds[i].client ? -1 : fds[i].fd,
			.events = (short)fds[i].events,
		};
	if (poll(p, n, 0) < 0)
		return -errno;
	for (unsigned i = 0; i < n; i++)
		if (!fds[i].client)
			fds[i].revents = (uint16_t)p[i].revents;
	return 0;
}

static int look(struct rk_pollfd *fds, unsigned n, struct pollfd *p)
{
	int found = 0, r = look_at_host(fds, n, p);

	for (unsigned i = 0; r == 0 && i < n; i++)
		if (is_first(fds, i))
			r = look_at_server(fds, n, fds[i].client);
	for (unsigned i = 0; r == 0 && i < n; i++)
		found += fds[i].revents != 0;
	return r < 0 ? r : found;
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS + t.tv_nsec;
}

/* Until when; times that nobody lives to see are for ever. */
static int64_t end_of(const struct timespec *timeout)
{
	int64_t ns;

	if (!timeout ||
	    __builtin_mul_overflow((int64_t)timeout->tv_sec, NS, &ns) ||
	    __builtin_add_overflow(ns, (int64_t)timeout->tv_nsec, &ns) ||
	    __builtin_add_overflow(ns, now_ns(), &ns))
		return INT64_MAX;
	return ns;
}

/* The signals that wait are let in while it sleeps, and only then. */
static int sleep_until(struct pollfd *p, unsigned n, int64_t end,
		       const uint64_t *mask)
{
	int64_t left = end == INT64_MAX ? 0 : end - now_ns();
	struct timespec t = { 0 };
	long r;

	if (left > 0)
		t = (struct timespec){ left / NS, left % NS };
	r = syscall(SYS_ppoll, p, n, end == INT64_MAX ? NULL : &t, mask,
		    sizeof *mask);
	return r < 0 ? -errno : (int)r;
}

struct wait {
	struct rk_pollfd *fds;
	unsigned n;
	struct pollfd *p;		/* with the host's descriptors */
	struct rk__watch **watch;
	int64_t end;
	const uint64_t *mask;
};

/* A watch takes the place of the first descriptor of its server. */
static int start_watches(struct wait *w)
{
	int r = 0;

	memset(w->watch, 0, w->n * sizeof *w->watch);
	for (unsigned i = 0; r == 0 && i < w->n; i++) {
		if (!is_first(w->fds, i))
			continue;
		r = watch(w->fds, w->n, w->fds[i].client, (uintptr_t)w,
			  &w->watch[i]);
		if (r == 0)
			w->p[i] = (struct pollfd){
				.fd = w->watch[i]->link->fd, .events = POLLIN,
			};
	}
	return r;
}

static int wait_for_any(struct wait *w)
{
	int r = start_watches(w), ready = r;

	if (r == 0)
		ready = sleep_until(w->p, w->n, w->end, w->mask);
	for (unsigned i = 0; i < w->n; i++) {
		struct rk__watch *at = w->watch[i];

		if (!at)
			continue;
		if (ready > 0 && r == 0 && w->p[i].revents)
			r = take_answer(at);
		rk__link_put(at->owner);
	}
	return r < 0 ? r : ready;
}

int rk_ppoll(struct rk_pollfd *fds, unsigned n, const struct timespec *timeout,
	     const uint64_t *mask)
{
	struct wait w = {
		.fds = fds, .n = n, .mask = mask, .end = end_of(timeout),
		.p = calloc(n + 1, sizeof *w.p),
		.watch = calloc(n + 1, sizeof *w.watch),
	};
	bool wait = !timeout || timeout->tv_sec || timeout->tv_nsec;
	int r = w.p && w.watch ? 0 : -ENOMEM;

	while (r == 0) {
		r = look(fds, n, w.p);
		if (r != 0 || !wait)
			break;
		r = wait_for_any(&w);
		if (r <= 0)
			break;
		r = 0;
	}
	free(w.p);
	free(w.watch);
	return r;
}

int rk_poll(struct rk_pollfd *fds, unsigned n, int timeout_ms)
{
	const struct timespec t = {
		timeout_ms / 1000, timeout_ms % 1000 * 1000000L,
	};

	return rk_ppoll(fds, n, timeout_ms < 0 ? NULL : &t, NULL);
}
