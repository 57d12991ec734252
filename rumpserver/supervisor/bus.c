/*
 * bus.c - the bus: a PUB socket of nanomsg beside the control socket, for
 * everyone who may open it. docs/bus.md says what goes over it.
 *
 * nanomsg's threads are made with the socket, so nothing may be forked after
 * it: the supervisor has its zygote by then. A publisher never waits.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>
#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include "supervisor/internal.h"

enum { EVENT_MAX = 1024 };

/* What JSON has no letter for, or a meaning, becomes a space: texts are ours,
 * names of servers and paths are not. */
static void copy_plain(char *to, size_t size, const char *from)
{
	size_t n = 0;

	for (; *from && n + 1 < size; from++)
		to[n++] = (unsigned char)*from < ' ' || *from == '"' ||
			  *from == '\\' ? ' ' : *from;
	to[n] = 0;
}

int rk__bus_format(const struct rk_event *e, char *ret, size_t size)
{
	char server[sizeof e->server], text[sizeof e->text];
	int n;

	copy_plain(server, sizeof server, e->server);
	copy_plain(text, sizeof text, e->text);
	n = snprintf(ret, size, "%s {\"event\":\"%s\",\"server\":\"%s\","
		     "\"number\":%llu,\"time_ns\":%llu,\"pid\":%u,"
		     "\"restarts\":%u,\"death\":\"%s\",\"signal\":%u,\"op\":\"%s\","
		     "\"rung\":\"%s\",\"down_ns\":%llu,\"request\":%llu,"
		     "\"lost\":%u,\"text\":\"%s\"}",
		     server, rk_event_word(e->kind), server,
		     (unsigned long long)e->number,
		     (unsigned long long)e->time_ns, e->pid, e->restarts,
		     rk_death_word(e->death), e->signal, rk__report_op(e->op),
		     rk_rung_word(e->rung),
		     (unsigned long long)e->down_ns,
		     (unsigned long long)e->request, e->lost, text);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : n;
}

/* Its threads get no signal of ours. */
static int make_socket(void)
{
	sigset_t all, old;
	int bus;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	bus = nn_socket(AF_SP, NN_PUB);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return bus;
}

int rk__bus_open(const char *socket_path)
{
	char address[128];
	mode_t mask;
	int bus, r;

	r = snprintf(address, sizeof address, "ipc://%s", socket_path);
	if (r < 0 || (size_t)r >= sizeof address)
		return -ENAMETOOLONG;
	bus = make_socket();
	if (bus < 0)
		return -errno;
	mask = umask(0177);
	r = nn_bind(bus, address);
	umask(mask);
	if (r >= 0)
		return bus;
	r = -errno;
	nn_close(bus);
	return r;
}

void rk__bus_publish(int bus, const struct rk_event *e)
{
	char text[EVENT_MAX];
	int n;

	if (bus < 0 || nn_get_statistic(bus, NN_STAT_CURRENT_CONNECTIONS) == 0)
		return;
	n = rk__bus_format(e, text, sizeof text);
	if (n > 0)
		nn_send(bus, text, (size_t)n, NN_DONTWAIT);
}

void rk__bus_close(int bus, const char *socket_path)
{
	if (bus < 0)
		return;
	nn_close(bus);
	unlink(socket_path);
}
