/*
 * upgrade.c - the old supervisor's part of an upgrade (upgrade.h): starts the
 * new program, hands over, and either ends or goes on as if nothing had been.
 *
 * Each step waits for one thing, and all of them for a deadline. Whatever goes
 * wrong ends in give_up(), which takes the baton first: if the new one has it
 * already, it is not ours to go on.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include "supervisor/control.h"
#include "supervisor/upgrade.h"

enum {
	PREPARE_MS = 60000,
	FLUSH_MS = 5000,		/* beforehand, so that less is left */
	PAUSE_MS = 10000,		/* until it is decided */
	LOOK_MS = 1,
	BUFFER = 4 << 20,
	HANDOVER_FD = 3,
};

extern char **environ;

static void give_up(struct rk__supervisor *s, int error, const char *sentence);

static void deadline(uv_timer_t *timer)
{
	struct rk__supervisor *s = timer->data;

	if (s->upgrade.step == RK_UPGRADE_FLUSHING)
		return;
	give_up(s, -ETIMEDOUT, "the new program takes too long");
}

static void step_to(struct rk__supervisor *s, enum rk__upgrade_step step,
		    unsigned ms)
{
	s->upgrade.step = step;
	uv_timer_start(&s->upgrade.deadline, deadline, ms, 0);
}

/* --- handing over -------------------------------------------------------------- */

static int make_plan(const struct rk__supervisor *s)
{
	int fd = memfd_create("rump-plan", MFD_CLOEXEC);
	int e = fd < 0 ? -errno : rk__plan_write(s, fd);

	if (e == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return e;
}

static int send_mount(struct rk__supervisor *s, int to, uint32_t i)
{
	const struct rk__device *k = &s->views.keeper.device[i];
	const struct rk__device *v = &s->views.server.device[i];
	struct rk__hand h = { .type = RK_HAND_DEVICE, .number = i };
	int device[] = { k->fd, v->fd, k->journal_fd, k->undo_fd };
	int overlay[] = { k->overlay_fd, v->overlay_fd, k->bitmap_fd,
			  v->bitmap_fd };
	int inbox[] = { s->views.server.inbox_fd[i], s->fuse_fd[i], -1, -1 };
	int e;

	h.a = k->size;
	e = rk__hand_send(to, &h, device);
	h.type = RK_HAND_OVERLAY;
	if (!e)
		e = rk__hand_send(to, &h, overlay);
	h.type = RK_HAND_INBOX;
	h.a = s->fuse_flags[i];
	return e ? e : rk__hand_send(to, &h, inbox);
}

static int send_beforehand(struct rk__supervisor *s, int to)
{
	struct rk__hand h = { .type = RK_HAND_PLAN };
	int plan = make_plan(s), e;
	int first[] = { plan, s->upgrade.baton_fd, s->views.server.cells_fd,
			-1 };
	int last[] = { s->control.fd, s->namespace[0], s->namespace[1], -1 };

	if (plan < 0)
		return plan;
	e = rk__hand_send(to, &h, first);
	close(plan);
	for (uint32_t i = 0; i < s->config.n_mounts && !e; i++)
		e = send_mount(s, to, i);
	h.type = RK_HAND_SOCKET;
	h.a = s->config.listen_fd != 0;
	snprintf(h.text, sizeof h.text, "%s", s->control.path);
	if (!e)
		e = rk__hand_send(to, &h, last);
	h.type = RK_HAND_BEGIN;
	return e ? e : rk__hand_send(to, &h, NULL);
}

static int send_pages(struct rk__supervisor *s)
{
	int e = 0;

	for (uint32_t i = 0; i < RK_CELLS && !e; i++) {
		struct rk__hand h = {
			.type = RK_HAND_PAGES, .number = i,
			.a = s->kept[i].generation,
		};
		int fd[] = { s->kept[i].fd, -1, -1, -1 };

		if (fd[0] >= 0)
			e = rk__hand_send(s->upgrade.fd, &h, fd);
	}
	return e;
}

/* Clients that look into the old cells find nothing there from now on. */
static void close_cells(struct rk_cells *c, bool open)
{
	for (uint32_t i = 0; i < RK_CELLS; i++) {
		uint64_t seq = atomic_load(&c->cell[i].seq);

		if (!open == !(seq & 1))
			atomic_store(&c->cell[i].seq, seq + 1);
	}
}

/* The old keeper is gone. */
static void hand_over(struct rk__supervisor *s)
{
	struct rk__hand h = { .type = RK_HAND_STATE };
	int fd[] = { s->upgrade.state, -1, -1, -1 };
	int e;

	rk__news_close(s);
	close_cells(s->views.server.cells, false);
	s->upgrade.cells_closed = true;
	e = rk__control_hand(s, s->upgrade.fd);
	if (!e)
		e = send_pages(s);
	if (!e)
		e = rk__hand_send(s->upgrade.fd, &h, fd);
	if (e < 0)
		give_up(s, e, "the new program ended");
	else
		s->upgrade.step = RK_UPGRADE_HANDED;
}

/* --- the pause ------------------------------------------------------------------ */

static void pause_server(struct rk__supervisor *s)
{
	struct rk__message m = {
		.type = RK_MSG_PAUSE, .a = ++s->upgrade.attempt,
	};

	s->upgrade.state = memfd_create("rump-state", MFD_CLOEXEC);
	if (s->upgrade.state < 0 || !s->active || s->active->dead) {
		give_up(s, -EAGAIN, "the server is being restarted");
		return;
	}
	step_to(s, RK_UPGRADE_PAUSING, PAUSE_MS);
	s->upgrade.paused_ns = rk__now_ns();
	rk__control_pause(s, true);
	rk__server_send(s->active, &m, &s->upgrade.state, 1);
}

static void look_for_flush(uv_timer_t *timer)
{
	struct rk__supervisor *s = timer->data;
	const struct rk__log_keeper *k = s->log.keeper;

	if (s->upgrade.step != RK_UPGRADE_FLUSHING) {
		uv_timer_stop(timer);
		return;
	}
	if (atomic_load(&k->flushed_seq) < s->upgrade.seq &&
	    !atomic_load(&k->error) && rk__now_ns() < s->upgrade.until_ns)
		return;
	uv_timer_stop(timer);
	pause_server(s);
}

/* What is on the device then need not be carried over. */
static void flush_first(struct rk__supervisor *s)
{
	static const struct rk__message m = { .type = RK_MSG_FLUSH };

	step_to(s, RK_UPGRADE_FLUSHING, PREPARE_MS);
	s->upgrade.seq = atomic_load(&s->log.server->published_seq);
	s->upgrade.until_ns = rk__now_ns() + FLUSH_MS * 1000000ull;
	if (s->active && !s->active->dead)
		rk__server_send(s->active, &m, NULL, 0);
	uv_timer_start(&s->upgrade.look, look_for_flush, LOOK_MS, LOOK_MS);
}

static void paused(struct rk__supervisor *s, const struct rk__message *m)
{
	char text[RK_SERVER_ERROR_LEN];

	if (m->a != s->upgrade.attempt)
		return;
	snprintf(text, sizeof text, "the server could not write its state: "
		 "%s", m->number == EBUSY ? "a call sleeps in the middle of a "
		 "driver" : strerror((int)m->number));
	if (s->upgrade.step == RK_UPGRADE_EXPORTING)
		rk__export_end(s, -(int)m->number, m->number ? text : NULL);
	if (s->upgrade.step != RK_UPGRADE_PAUSING)
		return;
	if (m->number) {
		give_up(s, -(int)m->number, text);
		return;
	}
	s->upgrade.step = RK_UPGRADE_ENDING_KEEPER;
	for (uint32_t i = 0; i < s->config.n_mounts; i++)
		rk__child_kill(s->notifier[i].child, SIGKILL);
	if (s->keeper)
		rk__child_kill(s->keeper, SIGKILL);
	else
		hand_over(s);
}

/* --- the end, or going on --------------------------------------------------------- */

static void close_all(struct rk__supervisor *s)
{
	uv_timer_stop(&s->upgrade.deadline);
	uv_timer_stop(&s->upgrade.look);
	if (s->upgrade.fd >= 0) {
		uv_close((uv_handle_t *)&s->upgrade.poll, NULL);
		close(s->upgrade.fd);
	}
	if (s->upgrade.state >= 0)
		close(s->upgrade.state);
	if (s->upgrade.baton_fd >= 0)
		close(s->upgrade.baton_fd);
	s->upgrade.fd = s->upgrade.state = s->upgrade.baton_fd = -1;
}

/* It has the baton: what we hold is not ours any more. */
static void leave(struct rk__supervisor *s)
{
	uint64_t us = (rk__now_ns() - s->upgrade.paused_ns) / 1000;
	struct rk__client *asker = s->upgrade.asker;
	char text[64];

	if (s->stage == RK_STAGE_HANDED)
		return;
	s->stage = RK_STAGE_HANDED;
	s->upgrade.step = RK_UPGRADE_DONE;
	s->upgrade.asker = NULL;
	snprintf(text, sizeof text, "paused for %u.%03u ms",
		 (unsigned)(us / 1000), (unsigned)(us % 1000));
	if (asker)
		rk__client_status(asker, 0, text);
	uv_stop(&s->loop);
}

static void go_on(struct rk__supervisor *s, enum rk__upgrade_step from)
{
	static const struct rk__message resume = { .type = RK_MSG_RESUME };

	if (s->upgrade.cells_closed) {
		close_cells(s->views.server.cells, true);
		rk__news_again(s);
	}
	s->upgrade.cells_closed = false;
	if (from < RK_UPGRADE_PAUSING)
		return;
	if (!s->keeper)
		rk__keeper_again(s);
	if (s->active && !s->active->dead)
		rk__server_send(s->active, &resume, NULL, 0);
	rk__control_pause(s, false);
	if (s->control.n_channels)
		rk__notifiers_start(s);
}

static void give_up(struct rk__supervisor *s, int error, const char *sentence)
{
	struct rk__client *asker = s->upgrade.asker;
	enum rk__upgrade_step from = s->upgrade.step;

	if (from == RK_UPGRADE_EXPORTING)
		rk__export_end(s, error, sentence);
	if (from <= RK_UPGRADE_EXPORTING || from == RK_UPGRADE_DONE)
		return;
	if (!rk__baton_take(s->upgrade.baton, RK_BATON_OLD)) {
		leave(s);
		return;
	}
	s->upgrade.step = RK_UPGRADE_NONE;
	s->upgrade.asker = NULL;
	close_all(s);
	/* later it ends by itself, with all its processes */
	if (s->upgrade.child && from == RK_UPGRADE_PREPARING)
		rk__child_kill(s->upgrade.child, SIGKILL);
	go_on(s, from);
	if (asker)
		rk__client_status(asker, error, sentence);
}

static void heard(struct rk__supervisor *s, const struct rk__hand *h)
{
	char text[RK_SERVER_ERROR_LEN];

	switch (h->type) {
	case RK_HAND_READY:
		if (s->upgrade.step == RK_UPGRADE_PREPARING)
			flush_first(s);
		break;
	case RK_HAND_FAILED:
		memcpy(text, h->text, sizeof text);
		give_up(s, -EPROTO, text);
		break;
	case RK_HAND_DONE:
		leave(s);
		break;
	}
}

static void hand_says(uv_poll_t *poll, int error, int events)
{
	struct rk__supervisor *s = poll->data;
	struct rk__hand h;
	int fds[RK_HAND_FDS], e;

	e = rk__hand_receive(s->upgrade.fd, &h, fds);
	if (e == -EAGAIN)
		return;
	rk__hand_close(fds);
	if (e < 0)
		give_up(s, e, "the new program ended");
	else
		heard(s, &h);
}

/* --- the beginning ------------------------------------------------------------------ */

static void child_ended(void *ctx, int status)
{
	struct rk__supervisor *s = ctx;
	struct pollfd p = { .events = POLLIN };

	s->upgrade.child = NULL;
	/* what it said last is worth more than that it ended */
	while (s->upgrade.step < RK_UPGRADE_DONE &&
	       (p.fd = s->upgrade.fd) >= 0 && poll(&p, 1, 0) == 1)
		hand_says(&s->upgrade.poll, 0, UV_READABLE);
	give_up(s, -ECHILD, WIFEXITED(status) && WEXITSTATUS(status) == 127 ?
		"the new program cannot be run" : "the new program ended");
}

static pid_t spawn(const char *program, int fd)
{
	char number[] = { '0' + HANDOVER_FD, 0 };
	char *argv[] = { "rump", "take-over", number, NULL };
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none;
	pid_t pid;
	int e;

	sigemptyset(&none);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fd, HANDOVER_FD);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK);
	e = posix_spawn(&pid, program, &actions, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return e ? -e : pid;
}

static int start(struct rk__supervisor *s, const char *program)
{
	int pair[2], size = BUFFER;
	pid_t pid;

	s->upgrade.baton = rk__baton_make(&s->upgrade.baton_fd);
	if (!s->upgrade.baton ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size,
		       sizeof size) < 0)
		setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	s->upgrade.fd = pair[0];
	uv_poll_init(&s->loop, &s->upgrade.poll, pair[0]);
	s->upgrade.poll.data = s;
	pid = spawn(program, pair[1]);
	close(pair[1]);
	if (pid < 0)
		return pid;
	s->upgrade.child = rk__child_watch(s, pid, child_ended, s);
	if (!s->upgrade.child)
		return -ENOMEM;
	rk__tell_baton(s, s->upgrade.baton_fd, pid);
	uv_poll_start(&s->upgrade.poll, UV_READABLE, hand_says);
	return send_beforehand(s, pair[0]);
}

static const char *refusal(const struct rk__supervisor *s)
{
	if (s->upgrade.step != RK_UPGRADE_NONE)
		return "it is being upgraded";
	if (s->stage != RK_STAGE_SERVING)
		return "it is being started or stopped";
	if (s->holder < 0 || s->bound ||
	    s->config.audience == RK_AUDIENCE_PROGRAM)
		return "it ends with the program that it was started for";
	if (s->views.server.fragile)
		return "it was to be fragile (RUMP_FRAGILE=1)";
	return NULL;
}

void rk__supervisor_bind(struct rk__supervisor *s)
{
	s->bound = true;
}

void rk__upgrade_begin(struct rk__supervisor *s, struct rk__client *asker,
		       const char *program)
{
	const char *why = refusal(s);
	char text[RK_SERVER_ERROR_LEN];
	int e;

	if (why) {
		rk__client_status(asker, -EBUSY, why);
		return;
	}
	s->upgrade.asker = asker;
	step_to(s, RK_UPGRADE_PREPARING, PREPARE_MS);
	e = start(s, program);
	/* one that does not listen to the end says why */
	if (e == 0 || e == -EPIPE || e == -ECONNRESET)
		return;
	snprintf(text, sizeof text, "cannot start %.150s: %s", program,
		 strerror(-e));
	give_up(s, e, text);
}

void rk__upgrade_init(struct rk__supervisor *s)
{
	uv_timer_init(&s->loop, &s->upgrade.deadline);
	uv_timer_init(&s->loop, &s->upgrade.look);
	s->upgrade.deadline.data = s->upgrade.look.data = s;
	s->upgrade.fd = s->upgrade.state = s->upgrade.baton_fd = -1;
}

/* --- what else happens meanwhile ------------------------------------------------------ */

void rk__upgrade_heard(struct rk__supervisor *s, const struct rk__message *m)
{
	if (m->type == RK_MSG_PAUSED)
		paused(s, m);
	else
		rk__succeed_heard(s, m);
}

void rk__upgrade_stop(struct rk__supervisor *s)
{
	give_up(s, -ESHUTDOWN, "it is being stopped");
}

bool rk__upgrade_server_died(struct rk__supervisor *s)
{
	if (s->handed)
		return rk__succeed_died(s);
	if (s->upgrade.step >= RK_UPGRADE_PAUSING ||
	    s->upgrade.step == RK_UPGRADE_EXPORTING)
		give_up(s, -ECHILD, "the server died while it wrote its "
			"state, or right after it");
	return s->stage == RK_STAGE_HANDED;
}

bool rk__upgrade_keeper_ended(struct rk__supervisor *s)
{
	if (s->upgrade.step == RK_UPGRADE_ENDING_KEEPER) {
		hand_over(s);
		return true;
	}
	return s->upgrade.step >= RK_UPGRADE_HANDED;
}
