/*
 * control_hand.c - the connections of clients and tools in an upgrade: one asks
 * for it, all are left alone while it is decided, and handed to another
 * supervisor.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "supervisor/control.h"
#include "supervisor/upgrade.h"

void rk__control_pause(struct rk__supervisor *s, bool on)
{
	if (s->control.open && on)
		uv_poll_stop(&s->control.poll);
	for (struct rk__client *c = s->control.clients; c; c = c->next) {
		if (!on) {
			rk__client_listen(c);
			continue;
		}
		uv_poll_stop(&c->conn_poll);
		if (c->pidfd >= 0)
			uv_poll_stop(&c->pid_poll);
	}
	if (!on)
		rk__control_accept(s);
}

int rk__control_hand(struct rk__supervisor *s, int to)
{
	int e = 0;

	for (struct rk__client *c = s->control.clients; c && !e; c = c->next) {
		struct rk__hand h = {
			.type = RK_HAND_CLIENT, .attach = c->attach,
			.kind = c->kind, .pid = c->pid, .greeted = c->greeted,
			.attached = c->attached, .pages = c->pages,
		};
		int fds[] = { c->conn, c->pidfd, c->memfd, c->eventfd };

		/* who asked us is answered by us */
		if (c != s->upgrade.asker)
			e = rk__hand_send(to, &h, fds);
	}
	return e;
}

static bool is_good(const struct rk__supervisor *s, const struct rk__hand *h,
		    const int *fds)
{
	if (fds[0] < 0)
		return false;
	if (!h->attached)
		return true;
	if (h->attach.number >= RK_CHANNELS_MAX || fds[1] < 0 ||
	    s->control.channel[h->attach.number])
		return false;
	return h->attach.transport == RK_TRANSPORT_SOCKET ||
	       (fds[2] >= 0 && fds[3] >= 0);
}

void rk__control_take(struct rk__supervisor *s, const struct rk__hand *h,
		      int *fds)
{
	struct rk__client *c;

	if (!is_good(s, h, fds))
		return;
	c = rk__client_add(s, fds[0]);
	if (!c)
		return;
	fds[0] = -1;
	c->attach = h->attach;
	c->kind = h->kind;
	c->pid = h->pid;
	c->greeted = h->greeted;
	c->pages = h->pages;
	c->memfd = fds[2];
	c->eventfd = fds[3];
	fds[2] = fds[3] = -1;
	if (fds[1] >= 0 &&
	    uv_poll_init(&s->loop, &c->pid_poll, fds[1]) == 0) {
		c->pidfd = fds[1];
		fds[1] = -1;
		c->pid_poll.data = c;
		c->handles++;
	}
	if (h->attached) {
		c->attached = true;
		s->control.channel[c->attach.number] = c;
		s->control.n_channels++;
	}
	/* listened to when it is ours (rk__control_pause) */
	uv_poll_stop(&c->conn_poll);
}

/* What to do comes next. */
void rk__client_order(struct rk__client *c)
{
	if (!rk__client_may_rule(c, "only its owner and root may upgrade "
				 "or export a server"))
		return;
	c->kind = RK_HELLO_ORDER;
	rk__client_listen(c);
}

void rk__client_ordered(uv_poll_t *poll, int error, int events)
{
	struct rk__client *c = poll->data;
	struct rk_order o;
	int fd = -1;
	ssize_t n = rk__message_receive(c->conn, &o, sizeof o, &fd, 1);

	if (n == -EAGAIN || n == -EINTR)
		return;
	if (n != sizeof o || !memchr(o.path, 0, sizeof o.path))
		rk__client_drop(c);
	else if (o.kind == RK_ORDER_UPGRADE)
		rk__upgrade_begin(c->sup, c, o.path);
	else
		rk__export_begin(c->sup, c, fd,
				 o.kind == RK_ORDER_EXPORT_IMAGES);
	if (fd >= 0)
		close(fd);
}
