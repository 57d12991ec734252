/*
 * source.c - the set of descriptors that the server's loop sleeps on.
 */
#include <errno.h>
#include <sys/epoll.h>
#include "gate/gate.h"

enum { EVENTS_MAX = 64 };

static int set = -1;

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
}

bool rk__loop_dispatch(int timeout_ms)
{
	struct epoll_event e[EVENTS_MAX];
	int n = epoll_wait(set, e, EVENTS_MAX, timeout_ms);

	for (int i = 0; i < n; i++) {
		struct rk__source *s = e[i].data.ptr;

		s->ready(s, e[i].events);
	}
	return n > 0;
}
