/*
 * child.c - one child process: watched through its pidfd, reaped by its pid.
 * Nobody else's children are touched.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "supervisor/internal.h"

static void closed(uv_handle_t *h)
{
	free(h->data);
}

static void readable(uv_poll_t *poll, int error, int events)
{
	struct rk__child *c = poll->data;
	int status = 0;
	pid_t r = waitpid(c->pid, &status, WNOHANG);

	if (r == 0 || (r < 0 && errno == EINTR))
		return;
	uv_close((uv_handle_t *)poll, closed);
	close(c->pidfd);
	c->pidfd = -1;
	c->sup->n_children--;
	c->ended(c->ctx, status);
}

struct rk__child *rk__child_watch(struct rk__supervisor *s, pid_t pid,
				  void (*ended)(void *ctx, int status),
				  void *ctx)
{
	struct rk__child *c = calloc(1, sizeof *c);

	if (!c)
		goto fail;
	c->pid = pid;
	c->ended = ended;
	c->ctx = ctx;
	c->sup = s;
	c->pidfd = syscall(SYS_pidfd_open, pid, 0);
	if (c->pidfd < 0)
		goto fail;
	if (uv_poll_init(&s->loop, &c->poll, c->pidfd) < 0) {
		close(c->pidfd);
		goto fail;
	}
	c->poll.data = c;
	uv_poll_start(&c->poll, UV_READABLE, readable);
	s->n_children++;
	return c;
fail:
	free(c);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return NULL;
}

void rk__child_kill(struct rk__child *c, int sig)
{
	if (c && c->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, c->pidfd, sig, NULL, 0);
}

void rk__child_forget(struct rk__child *c)
{
	uv_close((uv_handle_t *)&c->poll, closed);
	close(c->pidfd);
	c->sup->n_children--;
}
