/*
 * supervisor.c - starts a family, and runs the loop.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "core/vfs_call.h"
#include "gate/fuse.h"
#include "supervisor/internal.h"
#include "supervisor/message.h"
#include "supervisor/upgrade.h"
#include "supervisor/news.h"

enum { NAME_LOOK_MS = 10, NAME_LOOKS = 500 };

/* --- starting -------------------------------------------------------------- */

static void init_handles(struct rk__supervisor *s)
{
	uv_timer_t *const timer[] = {
		&s->standby_timer, &s->backoff_timer, &s->keeper_timer,
		&s->tick, &s->flush, &s->drain,
	};

	for (size_t i = 0; i < sizeof timer / sizeof *timer; i++) {
		uv_timer_init(&s->loop, timer[i]);
		timer[i]->data = s;
	}
	rk__upgrade_init(s);
	if (!s->handed)
		rk__keeper_again(s);
}

static struct rk__supervisor *make(const struct rk__estate *e)
{
	struct rk__supervisor *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->config = e->config;
	s->views = e->views;
	s->board = s->views.server.board;
	memcpy(s->image, e->image, sizeof s->image);
	memcpy(s->fuse_fd, e->fuse_fd, sizeof s->fuse_fd);
	memcpy(s->fuse_flags, e->fuse_flags, sizeof s->fuse_flags);
	s->started_s = e->started_s;
	s->holder = e->holder;
	s->handed = e->handed;
	s->was_handed = e->baton;
	s->namespace[0] = s->namespace[1] = -1;
	/* of a predecessor; standbys compare it with theirs */
	s->generation = atomic_load(&s->board->takeover);
	s->news.heir = s->generation > 0;
	s->news.bus = s->news.journal = -1;
	rk__kept_init(s);
	s->control.fd = s->kill.fd = s->keeper_ready.fd = -1;
	s->zygote.fd = s->spare.fd = s->mountinfo.fd = -1;
	rk__policy_init(&s->policy);
	if (e->config.patience)
		s->policy.patience = e->config.patience;
	if (e->config.limit)
		s->policy.limit = e->config.limit;
	return s;
}

/* What must be there before the loop: no thread exists yet. */
static int start_zygote(struct rk__supervisor *s, char *error)
{
	int e = rk__log_map(s->views.server.log_fd, 0, &s->log);

	if (e < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "cannot map the log: %s", strerror(-e));
		return e;
	}
	e = rk__zygote_start(&s->views, &s->zygote, error);
	if (e < 0)
		rk__log_unmap(&s->log);
	return e;
}

/* The old supervisor of an upgrade, which has the name, may be on its way out
 * still. */
static int open_control(struct rk__supervisor *s, char *error)
{
	const struct timespec look = { .tv_nsec = NAME_LOOK_MS * 1000000 };
	int e = rk__control_open(s, error);

	for (unsigned i = 0; e == -EEXIST && s->was_handed && i < NAME_LOOKS;
	     i++) {
		nanosleep(&look, NULL);
		e = rk__control_open(s, error);
	}
	return e;
}

static int start_loop(struct rk__supervisor *s, char *error)
{
	int e = rk__helpers_start(s, error);

	if (e < 0)
		return e;
	e = s->handed ? 0 : open_control(s, error);
	if (e < 0)
		return e;
	e = rk__watch_start(s);
	if (!e)
		e = rk__timers_start(s);
	if (!e && s->handed)
		e = rk__succeed_start(s);
	if (e < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot start: %s",
			 strerror(-e));
		return e;
	}
	while (s->stage == RK_STAGE_STARTING)
		uv_run(&s->loop, UV_RUN_ONCE);
	if (s->stage == RK_STAGE_SERVING) {
		rk__news_open(s);
		e = rk__control_listen(s);
		if (!e && s->owns)
			rk__control_pause(s, false);
		return e;
	}
	snprintf(error, RK_SERVER_ERROR_LEN, "%s", s->error);
	return s->failed;
}

/* The drivers are loaded. */
static void choose_rungs(struct rk__supervisor *s)
{
	const char *first = getenv("RUMP_LADDER");

	s->policy.can_cold = rk__cold_possible(&s->views.server);
	if (first && strcmp(first, "cold") == 0 && s->policy.can_cold)
		s->policy.first = RK_LADDER_COLD;
	if (first && strcmp(first, "read-only") == 0)
		s->policy.first = RK_LADDER_READ_ONLY;
}

static int start(struct rk__estate *estate, struct rk__supervisor **ret,
		 char *error)
{
	struct rk__supervisor *s = make(estate);
	int e = s ? start_zygote(s, error) : -ENOMEM;

	if (!s)
		snprintf(error, RK_SERVER_ERROR_LEN, "not enough memory");
	if (e < 0) {
		rk__estate_finish(estate);
		free(s);
		return e;
	}
	uv_loop_init(&s->loop);
	init_handles(s);
	choose_rungs(s);
	e = start_loop(s, error);
	if (e < 0)
		rk__supervisor_free(s);
	else
		*ret = s;
	return e;
}

int rk__supervisor_start(const struct rk__config *config,
			 struct rk__supervisor **ret, char *error)
{
	static struct rk__estate estate;
	int e = rk__estate_init(config, &estate, error);

	return e < 0 ? e : start(&estate, ret, error);
}

int rk__supervisor_inherit(struct rk__estate *estate, int socket,
			   struct rk__supervisor **ret, char *error)
{
	int e;

	estate->holder = socket;
	e = start(estate, ret, error);
	if (e < 0 && estate->handed)
		rk__handed_fail(estate->handed->socket, error);
	/* the predecessor's clients may have left them something to tell */
	if (!e && rk__estate_lives(estate))
		rk__notifiers_start(*ret);
	return e;
}

int rk__supervisor_fuse(struct rk__supervisor *s, uint32_t mount, int fd,
			char *error)
{
	struct rk__message m = { .type = RK_MSG_FUSE, .number = mount };
	const char *no_resend = getenv("RUMP_NO_RESEND");
	int e = rk__fuse_init(fd, s->config.mount[mount].writeback, &m.a);

	if (e < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "the kernel's FUSE does not start on %.150s: %s",
			 s->config.mount[mount].path, strerror(-e));
		close(fd);
		return e;
	}
	if (no_resend && strcmp(no_resend, "1") == 0)
		m.a &= ~RK_FUSE_HAS_RESEND;
	s->fuse_fd[mount] = fd;
	s->fuse_flags[mount] = m.a;
	rk__tell_holder(s, RK_HOLD_FUSE, mount);
	if (s->active)
		rk__server_send(s->active, &m, &fd, 1);
	if (s->standby)
		rk__server_send(s->standby, &m, &fd, 1);
	return 0;
}

/* --- running --------------------------------------------------------------- */

static void program_ended(void *ctx, int status)
{
	struct rk__supervisor *s = ctx;

	s->program = NULL;
	s->program_ended = true;
	*s->program_status = status;
}

int rk__supervisor_watch(struct rk__supervisor *s, pid_t pid, int *status)
{
	s->program_status = status;
	s->program = rk__child_watch(s, pid, program_ended, s);
	return s->program ? 0 : -ENOMEM;
}

static void signalled(uv_signal_t *handle, int sig)
{
	struct rk__signal *g = handle->data;

	g->fn(g->ctx, sig);
}

int rk__supervisor_signal(struct rk__supervisor *s, int sig,
			  void (*fn)(void *ctx, int sig), void *ctx)
{
	struct rk__signal *g = &s->signal[s->n_signals];

	if (s->n_signals == RK_SIGNALS_MAX)
		return -E2BIG;
	s->n_signals++;
	g->fn = fn;
	g->ctx = ctx;
	uv_signal_init(&s->loop, &g->handle);
	g->handle.data = g;
	return uv_signal_start(&g->handle, signalled, sig);
}

struct awaited {
	uv_poll_t poll;
	bool readable, closed;
};

static void is_readable(uv_poll_t *poll, int error, int events)
{
	((struct awaited *)poll->data)->readable = true;
}

static void is_closed(uv_handle_t *handle)
{
	((struct awaited *)handle->data)->closed = true;
}

int rk__supervisor_await(struct rk__supervisor *s, int fd, char *error)
{
	struct awaited a = { .poll.data = &a };
	int e = uv_poll_init(&s->loop, &a.poll, fd);

	if (e < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot wait: %s",
			 strerror(-e));
		return e;
	}
	uv_poll_start(&a.poll, UV_READABLE, is_readable);
	while (!a.readable && s->stage < RK_STAGE_STOPPED)
		uv_run(&s->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&a.poll, is_closed);
	while (!a.closed)
		uv_run(&s->loop, UV_RUN_NOWAIT);
	if (a.readable)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "%s", s->error);
	return s->failed ? s->failed : -ECANCELED;
}

int rk__supervisor_run(struct rk__supervisor *s, char *error)
{
	rk__report_beat(s);
	while (!s->program_ended && s->stage < RK_STAGE_STOPPED)
		uv_run(&s->loop, UV_RUN_ONCE);
	if (s->stage != RK_STAGE_FAILED)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "%s", s->error);
	return s->failed;
}

void rk__supervisor_share(struct rk__supervisor *s, int user_ns, int mount_ns)
{
	s->namespace[0] = user_ns;
	s->namespace[1] = mount_ns;
}

const char *rk__supervisor_socket(const struct rk__supervisor *s)
{
	return s->control.path;
}
