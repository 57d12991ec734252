/*
 * restart.c - being told what happened to a server. A crash procedure, as
 * Otherworld (EuroSys 2010) calls it, for programs that keep something which a
 * restart may not have kept.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include "client_int.h"

int rk_watch(const char *socket_path)
{
	struct rk_hello hello = {
		.magic = RK_HELLO_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.kind = RK_HELLO_WATCH,
	};
	int fd, r = 0;

	fd = rk__connect_to(socket_path);
	if (fd < 0)
		return fd;
	if (send(fd, &hello, sizeof hello, MSG_NOSIGNAL) < 0)
		r = -errno;
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

int rk_watch_next(int watch, struct rk_event *ret)
{
	ssize_t n;

	do
		n = recv(watch, ret, sizeof *ret, MSG_TRUNC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 ? -errno : -ESHUTDOWN;
	if (n != sizeof *ret)
		return -EPROTO;
	ret->server[sizeof ret->server - 1] = 0;
	ret->text[sizeof ret->text - 1] = 0;
	return 0;
}

/* --- a thread that calls --------------------------------------------------- */

struct rk__restart {
	int watch;
	rk_restart_fn *fn;
	void *ctx;
};

static bool is_news(const struct rk_event *e)
{
	return e->kind == RK_HAPPENED_RECOVERED ||
	       e->kind == RK_HAPPENED_QUARANTINED ||
	       e->kind == RK_HAPPENED_INHERITED ||
	       e->kind == RK_HAPPENED_GAVE_UP;
}

static void *listen_for_it(void *arg)
{
	struct rk__restart *r = arg;
	struct rk_event e;
	bool old = true;		/* what was before is no news */

	while (rk_watch_next(r->watch, &e) == 0) {
		if (e.kind == RK_HAPPENED_NOTHING)
			old = false;
		else if (!old && is_news(&e))
			r->fn(r->ctx, &e);
	}
	memset(&e, 0, sizeof e);
	e.kind = RK_HAPPENED_ENDED;
	e.lost = RK_LOST_CLIENTS;
	strcpy(e.text, "the connection to the server's supervisor has ended");
	r->fn(r->ctx, &e);
	close(r->watch);
	free(r);
	return NULL;
}

static int start_thread(struct rk__restart *r)
{
	pthread_attr_t attr;
	pthread_t thread;
	uint64_t mask;
	int e;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	mask = rk__block_signals();
	e = -pthread_create(&thread, &attr, listen_for_it, r);
	rk__restore_signals(mask);
	pthread_attr_destroy(&attr);
	return e;
}

int rk_on_restart(struct rk_client *client, rk_restart_fn *fn, void *ctx)
{
	struct rk__restart *r;
	int e;

	if (client->door)
		return -EOPNOTSUPP;
	r = malloc(sizeof *r);
	if (!r)
		return -ENOMEM;
	r->fn = fn;
	r->ctx = ctx;
	r->watch = rk_watch(client->path);
	e = r->watch < 0 ? r->watch : start_thread(r);
	if (e == 0)
		return 0;
	if (r->watch >= 0)
		close(r->watch);
	free(r);
	return e;
}
