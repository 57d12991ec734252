/*
 * source.c - the set of descriptors that the server's loop sleeps on.
 */
#include <errno.h>
#include <sys/epoll.h>
#include "gate/gate.h"

enum { EVENTS_MAX = 64 };

static int set = -1;
static struct epoll_event event[EVENTS_MAX];	/* in work, from the last wait */
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
	/* An event before may be what ends the source of one behind. */
	for (int i = 0; i < n_events; i++)
		if (event[i].data.ptr == s)
			event[i].data.ptr = NULL;
}

bool rk__loop_dispatch(int timeout_ms)
{
	int n = epoll_wait(set, event, EVENTS_MAX, timeout_ms);

	n_events = n > 0 ? n : 0;
	for (int i = 0; i < n_events; i++) {
		struct rk__source *s = event[i].data.ptr;

		if (s)
			s->ready(s, event[i].events);
	}
	n_events = 0;
	return n > 0;
}
