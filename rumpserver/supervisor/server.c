/*
 * server.c - one server process as the supervisor sees it: spawned, told of
 * mounts and channels, listened to, reaped.
 *
 * A standby reads its messages before it takes over, but a dying or stopped
 * one may not read for a while: so nothing here blocks, and what does not fit
 * into the socket waits in a queue, with descriptors of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "supervisor/internal.h"
#include "supervisor/message.h"

enum { CONTROL_BUFFER = 4 << 20 };

static void unqueue(struct rk__server *v)
{
	struct rk__queued *q = v->queue;

	for (unsigned i = 0; i < q->n_fds; i++)
		if (q->fd[i] >= 0)
			close(q->fd[i]);
	v->queue = q->next;
	if (!v->queue)
		v->queue_end = &v->queue;
	free(q);
}

static void enqueue(struct rk__server *v, const struct rk__message *m,
		    const int *fds, unsigned n_fds)
{
	struct rk__queued *q = calloc(1, sizeof *q);

	if (!q)
		goto fail;
	q->message = *m;
	for (unsigned i = 0; i < n_fds; i++) {
		q->fd[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		q->n_fds = i + 1;
	}
	*v->queue_end = q;
	v->queue_end = &q->next;
	for (unsigned i = 0; i < n_fds; i++)
		if (q->fd[i] < 0)
			goto fail;
	return;
fail:
	/* A server that misses a message serves nobody well; its successor
	 * is told everything anew. */
	rk__child_kill(v->child, SIGKILL);
}

static void ready(uv_poll_t *poll, int error, int events);

static void listen_to(struct rk__server *v)
{
	int events = v->eof ? 0 : UV_READABLE;

	if (v->queue && !v->eof)
		events |= UV_WRITABLE;
	if (events)
		uv_poll_start(&v->poll, events, ready);
	else
		uv_poll_stop(&v->poll);
}

static bool would_block(int e)
{
	return e == -EAGAIN || e == -ENOBUFS || e == -ETOOMANYREFS;
}

void rk__server_pump(struct rk__server *v)
{
	while (v->queue) {
		struct rk__queued *q = v->queue;
		int e = rk__message_send(v->control, &q->message,
					 sizeof q->message, q->fd, q->n_fds);

		if (would_block(e))
			break;
		unqueue(v);
	}
	listen_to(v);
}

void rk__server_send(struct rk__server *v, const struct rk__message *m,
		     const int *fds, unsigned n_fds)
{
	int e = -EAGAIN;

	if (v->eof)
		return;
	if (!v->queue)
		e = rk__message_send(v->control, m, sizeof *m, fds, n_fds);
	if (!would_block(e))
		return;
	enqueue(v, m, fds, n_fds);
	listen_to(v);
}

static void take(struct rk__server *v, const struct rk__message *m, int fd)
{
	if (m->type == RK_MSG_PAGES) {
		rk__kept_take(v->sup, v, m, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	/* STOPPED is followed by the server's end, which is what counts */
	if (m->type == RK_MSG_READY)
		rk__supervisor_ready(v->sup, v);
	else if (m->type == RK_MSG_PAUSED || m->type == RK_MSG_PREPARED ||
		 m->type == RK_MSG_PROVEN)
		rk__upgrade_heard(v->sup, m);
	else if (m->type == RK_MSG_STOPPED && m->number && !v->sup->failed)
		v->sup->failed = -(int)m->number;
}

static ssize_t hear(struct rk__server *v)
{
	struct rk__message m;
	int fd;
	ssize_t n;

	while ((n = rk__message_receive(v->control, &m, sizeof m, &fd, 1)) ==
	       (ssize_t)sizeof m)
		take(v, &m, fd);
	return n;
}

void rk__server_hear(struct rk__server *v)
{
	(void)hear(v);
}

static void ready(uv_poll_t *poll, int error, int events)
{
	struct rk__server *v = poll->data;
	ssize_t n;

	if (events & UV_WRITABLE)
		rk__server_pump(v);
	n = hear(v);
	if (n == -EAGAIN || n == -EINTR)
		return;
	v->eof = true;
	listen_to(v);
}

static void closed(uv_handle_t *h)
{
	struct rk__server *v = h->data;

	while (v->queue)
		unqueue(v);
	free(v);
}

static void dispose(struct rk__server *v)
{
	uv_close((uv_handle_t *)&v->poll, closed);
	close(v->control);
}

static void ended(void *ctx, int status)
{
	struct rk__server *v = ctx;
	struct rk__supervisor *s = v->sup;
	struct rk__policy_event e = { .type = RK_EVENT_STANDBY_DIED };
	bool active = v == s->active, standby = v == s->standby;
	bool handled = v->dead;

	v->child = NULL;
	if (active && !handled)
		rk__supervisor_died(s, status);
	else if (handled)
		rk__supervisor_explain(v, status);
	if (active && s->active == v)
		s->active = NULL;
	if (standby)
		s->standby = NULL;
	dispose(v);
	if (!standby)
		return;
	if (WIFEXITED(status))
		e.cause = RK_CAUSE_BROKEN;
	else if (WTERMSIG(status) != SIGKILL)
		e.cause = RK_CAUSE_FAULT;
	/* what it left on the board is not the active server's */
	atomic_store(&s->board->cause, RK_CAUSE_NONE);
	rk__supervisor_event(s, &e);
}

static int make_pair(int *ret)
{
	int size = CONTROL_BUFFER;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
		return -errno;
	/* ours never blocks, the server's may */
	fcntl(ret[0], F_SETFL, O_NONBLOCK);
	if (setsockopt(ret[0], SOL_SOCKET, SO_SNDBUFFORCE, &size,
		       sizeof size) < 0)
		setsockopt(ret[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return 0;
}

static void tell(struct rk__supervisor *s, struct rk__server *v)
{
	for (uint32_t i = 0; i < s->config.n_mounts; i++) {
		struct rk__message m = {
			.type = RK_MSG_FUSE, .number = i,
			.a = s->fuse_flags[i],
		};

		if (s->fuse_fd[i] >= 0)
			rk__server_send(v, &m, &s->fuse_fd[i], 1);
	}
	rk__control_tell(s, v);
	rk__kept_tell(s, v);
}

struct rk__server *rk__server_create(struct rk__supervisor *s,
				     enum rk__start how)
{
	struct rk__server *v = calloc(1, sizeof *v);
	int pair[2];
	pid_t pid;

	if (!v || make_pair(pair) < 0) {
		free(v);
		return NULL;
	}
	pid = rk__helpers_spawn(s, RK_SPAWN_SERVER, s->generation + 1, how,
				pair[1]);
	close(pair[1]);
	if (pid < 0)
		goto fail;
	v->sup = s;
	v->control = pair[0];
	v->generation = ++s->generation;
	v->queue_end = &v->queue;
	v->child = rk__child_watch(s, pid, ended, v);
	if (!v->child)
		goto fail;
	uv_poll_init(&s->loop, &v->poll, v->control);
	v->poll.data = v;
	listen_to(v);
	tell(s, v);
	return v;
fail:
	close(pair[0]);
	free(v);
	return NULL;
}
