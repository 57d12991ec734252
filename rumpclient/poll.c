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
#include <time.h>
#include "client_int.h"

struct rk__watch {
	struct rk__link *link;
	uint64_t seq;			/* of the question */
	bool asked;
	unsigned n;
	struct rk_poll_fd fds[];
};

void rk__watch_free(struct rk__watch *w)
{
	if (!w)
		return;
	if (w->link) {
		rk__link_close(w->link);
		free(w->link);
	}
	free(w);
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
	if (!w)
		return -ENOMEM;
	r = rk__link_open(c, RK_HELLO_THREAD, RK_TRANSPORT_SOCKET, &token,
			  &w->link);
	if (r < 0) {
		free(w);
		return r;
	}
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

/* Has the server say when one of these is ready; *ret_fd becomes readable. */
static int watch(const struct rk_pollfd *fds, unsigned n, struct rk_client *c,
		 struct rk__watch **ret)
{
	struct rk_poll_fd *now = calloc(n, sizeof *now);
	struct rk__link *l;
	unsigned k;
	int r = now ? rk__link_get(c, &l) : -ENOMEM;

	if (r < 0)
		goto out;
	k = gather(fds, n, c, now, NULL);
	if (l->watch && (l->watch->n != k ||
			 memcmp(l->watch->fds, now, k * sizeof *now))) {
		rk__watch_free(l->watch);
		l->watch = NULL;
	}
	if (!l->watch)
		r = open_watch(c, l, k);
	if (r < 0)
		goto out;
	memcpy(l->watch->fds, now, k * sizeof *now);
	if (!l->watch->asked)
		r = send_question(l->watch);
	*ret = l->watch;
out:
	free(now);
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

/* p has the host's descriptors already; a watch takes the place of the first
 * descriptor of its server. */
static int wait_for_any(const struct rk_pollfd *fds, unsigned n,
			struct pollfd *p, struct rk__watch **w, int timeout_ms)
{
	int r = 0, ready;

	for (unsigned i = 0; r == 0 && i < n; i++) {
		w[i] = NULL;
		if (!is_first(fds, i))
			continue;
		r = watch(fds, n, fds[i].client, &w[i]);
		if (r == 0)
			p[i] = (struct pollfd){
				.fd = w[i]->link->fd, .events = POLLIN,
			};
	}
	if (r < 0)
		return r;
	ready = poll(p, n, timeout_ms);
	if (ready <= 0)
		return ready < 0 ? -errno : 0;
	for (unsigned i = 0; r == 0 && i < n; i++)
		if (w[i] && p[i].revents)
			r = take_answer(w[i]);
	return r < 0 ? r : ready;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int rk_poll(struct rk_pollfd *fds, unsigned n, int timeout_ms)
{
	struct pollfd *p = calloc(n + 1, sizeof *p);
	struct rk__watch **w = calloc(n + 1, sizeof *w);
	int64_t end = now_ms() + timeout_ms;
	int r = p && w ? 0 : -ENOMEM;

	while (r == 0) {
		r = look(fds, n, p);
		if (r != 0 || timeout_ms == 0)
			break;
		r = wait_for_any(fds, n, p, w, timeout_ms);
		if (r <= 0)
			break;
		r = 0;
		if (timeout_ms > 0) {
			timeout_ms = (int)(end - now_ms());
			timeout_ms = timeout_ms < 0 ? 0 : timeout_ms;
		}
	}
	free(p);
	free(w);
	return r;
}
