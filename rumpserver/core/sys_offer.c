/*
 * sys_offer.c - open files on their way from one client to another. An offer
 * holds its ofd, and is in the tables: it outlives servers, but not the proc that
 * made it.
 */
#include <string.h>
#include <sys/random.h>
#include "sys.h"

static struct rk__offer *at(uint32_t i)
{
	return &rk__core->offer[i];
}

static uint32_t end(struct rk__offer *o)
{
	uint32_t ofd = o->ofd;

	RK_NOTE(o);
	*o = (struct rk__offer){ .ofd = 0 };
	return ofd;
}

void rk__offer_end_all(const struct rk__proc *p)
{
	uint32_t proc = (uint32_t)(p - rk__core->proc);

	for (uint32_t i = 0; i < rk__core->offer_brk; i++)
		if (at(i)->ofd && at(i)->proc == proc)
			rk__ofd_put(end(at(i)));
}

/* A free one, or the oldest of a proc that has as many as it may. */
static struct rk__offer *place(uint32_t proc)
{
	struct rk__offer *oldest = NULL, *unused = NULL;
	unsigned n = 0;

	for (uint32_t i = 0; i < rk__core->offer_brk; i++) {
		if (!at(i)->ofd) {
			unused = at(i);
			continue;
		}
		if (at(i)->proc != proc)
			continue;
		n++;
		if (!oldest || at(i)->order < oldest->order)
			oldest = at(i);
	}
	if (n >= RK_TICKETS_OF_PROC)
		return oldest;
	if (unused || rk__core->offer_brk == RK_TICKETS_MAX)
		return unused;
	RK_NOTE(&rk__core->offer_brk);
	return at(rk__core->offer_brk++);
}

int64_t rk__sys_offer(struct rk__call *c, struct op_offer *a)
{
	uint32_t proc = (uint32_t)(c->proc - rk__core->proc);
	struct rk_ticket ticket;
	struct rk__offer *o;

	if (!rk__fd(c->proc, a->fd))
		return -EBADF;
	if (getrandom(&ticket, sizeof ticket, 0) != sizeof ticket)
		return -EAGAIN;
	o = place(proc);
	if (!o)
		return -ENFILE;
	if (o->ofd)
		rk__ofd_put(end(o));
	RK_NOTE(&rk__core->offer_order);
	RK_NOTE(o);
	*o = (struct rk__offer){
		.ticket = ticket, .ofd = rk__fd_hold(c->proc, a->fd),
		.proc = proc, .order = ++rk__core->offer_order,
	};
	*a->ticket = ticket;
	return 0;
}

static struct rk__offer *find(const struct rk_ticket *t)
{
	for (uint32_t i = 0; i < rk__core->offer_brk; i++)
		if (at(i)->ofd && !memcmp(&at(i)->ticket, t, sizeof *t))
			return at(i);
	return NULL;
}

int64_t rk__sys_take(struct rk__call *c, struct op_take *a)
{
	struct rk__offer *o = find(&(struct rk_ticket){{ a->hi, a->lo }});
	int fd;

	if (a->flags & ~(uint32_t)O_CLOEXEC)
		return -EINVAL;
	if (!o)
		return -ENOENT;
	fd = rk__fd_lowest(c->proc, 0);
	/* The reference of the offer becomes the descriptor's. */
	if (fd >= 0)
		rk__fd_set(c->proc, fd, end(o), a->flags);
	return fd;
}
