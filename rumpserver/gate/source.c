/*
 * source.c - the set of descriptors that the server's loop sleeps on.
 */
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include "gate/gate.h"

enum { EVENTS_MAX = 64 };

static int set = -1;
/* Those that were found ready together: one may remove another. */
static struct epoll_event event[EVENTS_MAX];
static int n_events;

int rk__loop_open(void)
{
	set = epoll_create1(EPOLL_CLOEXEC);
	return set < 0 ? -errno : 0;
}

int rk__loop_add(struct rk__source *s, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = s };

	return epoll_ctl(set, EPOLL_CTL_ADD, s->fd, &e) < 0 ? -errno : 0;
}

void rk__loop_remove(struct rk__source *s)
{
	epoll_ctl(set, EPOLL_CTL_DEL, s->fd, NULL);
	for (int i = 0; i < n_events; i++)
		if (event[i].data.ptr == s)
			event[i].data.ptr = NULL;
}

bool rk__loop_dispatch(int timeout_ms)
{
	bool any;

	n_events = epoll_wait(set, event, EVENTS_MAX, timeout_ms);
	any = n_events > 0;
	for (int i = 0; i < n_events; i++) {
		struct rk__source *s = event[i].data.ptr;

		if (s)
			s->ready(s, event[i].events);
	}
	n_events = 0;
	return any;
}

bool rk__loop_is_ready(void)
{
	struct pollfd p = { .fd = set, .events = POLLIN };

	return poll(&p, 1, 0) > 0;
}
