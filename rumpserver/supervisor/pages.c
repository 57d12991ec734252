/*
 * pages.c - the memfds of files that clients read without asking: kept for
 * successors, by cell.
 *
 * A server that makes one sends it before it tells anybody, and the standby is told
 * as it comes. What a dying server sent last is taken before its successor is.
 */
#include <unistd.h>
#include "supervisor/internal.h"

void rk__kept_init(struct rk__supervisor *s)
{
	for (uint32_t i = 0; i < RK_CELLS; i++)
		s->kept[i].fd = -1;
}

static void tell(struct rk__server *v, uint32_t i, const struct rk__kept *k)
{
	struct rk__message m = {
		.type = RK_MSG_PAGES, .number = i, .a = k->generation,
	};

	rk__server_send(v, &m, &k->fd, k->fd >= 0);
}

void rk__kept_take(struct rk__supervisor *s, const struct rk__server *from,
		   const struct rk__message *m, int fd)
{
	struct rk__kept *k = &s->kept[m->number % RK_CELLS];

	if (m->number >= RK_CELLS || from != s->active) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (k->fd >= 0)
		close(k->fd);
	k->fd = fd;
	k->generation = m->a;
	if (s->standby)
		tell(s->standby, m->number, k);
}

void rk__kept_tell(struct rk__supervisor *s, struct rk__server *v)
{
	for (uint32_t i = 0; i < RK_CELLS; i++)
		if (s->kept[i].fd >= 0)
			tell(v, i, &s->kept[i]);
}

void rk__kept_finish(struct rk__supervisor *s)
{
	for (uint32_t i = 0; i < RK_CELLS; i++)
		if (s->kept[i].fd >= 0)
			close(s->kept[i].fd);
}
