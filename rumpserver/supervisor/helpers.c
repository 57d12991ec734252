/*
 * helpers.c - the processes beside the servers: zygote and its spare, keeper,
 * and the file system's own recovery program. Each is replaced when it dies,
 * as long as that can help.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include "supervisor/internal.h"

enum {
	KEEPER_PATIENCE = 4,		/* deaths without progress, at once */
	KEEPER_LIMIT = 20,
	NOTIFIER_LIMIT = 100,		/* then files are only right when reopened */
};

extern char **environ;

/* --- zygote and spare ------------------------------------------------------ */

static void zygote_ended(void *ctx, int status);

static void spare_ended(void *ctx, int status)
{
	struct rk__supervisor *s = ctx;

	s->spare_child = NULL;
	close(s->spare.fd);
	s->spare = (struct rk__zygote){ .fd = -1 };
	/* one more, unless that is what kills the zygote */
	if (s->stage < RK_STAGE_FAILED && s->zygote.pid &&
	    rk__zygote_spare(&s->zygote, &s->spare) == 0)
		s->spare_child = rk__child_watch(s, s->spare.pid, spare_ended,
						 s);
}

static void make_spare(struct rk__supervisor *s)
{
	if (s->stage >= RK_STAGE_FAILED || s->spare.pid || !s->zygote.pid)
		return;
	if (rk__zygote_spare(&s->zygote, &s->spare) < 0)
		return;
	s->spare_child = rk__child_watch(s, s->spare.pid, spare_ended, s);
	if (!s->spare_child) {
		close(s->spare.fd);
		s->spare = (struct rk__zygote){ .fd = -1 };
	}
}

static void nobody_ended(void *ctx, int status)
{
}

/* The zygote is dead: its spare has the same addresses. */
static void promote(struct rk__supervisor *s)
{
	if (s->zygote_child)
		s->zygote_child->ended = nobody_ended;
	if (s->zygote.pid)
		close(s->zygote.fd);
	s->zygote = s->spare;
	s->zygote_child = s->spare_child;
	if (s->zygote_child)
		s->zygote_child->ended = zygote_ended;
	s->spare = (struct rk__zygote){ .fd = -1 };
	s->spare_child = NULL;
	make_spare(s);
}

static void zygote_ended(void *ctx, int status)
{
	struct rk__supervisor *s = ctx;

	s->zygote_child = NULL;
	promote(s);
}

int rk__helpers_start(struct rk__supervisor *s, char *error)
{
	s->zygote_child = rk__child_watch(s, s->zygote.pid, zygote_ended, s);
	if (s->zygote_child)
		make_spare(s);
	if (s->spare_child)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "cannot start the helpers: %s",
		 strerror(ENOMEM));
	return -ENOMEM;
}

pid_t rk__helpers_spawn(struct rk__supervisor *s, enum rk__spawn_kind kind,
			uint32_t generation, uint32_t how, int fd)
{
	pid_t pid = rk__zygote_spawn(&s->zygote, kind, generation, how, fd);

	if (pid != -EPIPE && pid != -ECONNRESET)
		return pid;
	promote(s);
	pid = rk__zygote_spawn(&s->zygote, kind, generation, how, fd);
	/* None is left. Whoever holds the estate forks a supervisor that has
	 * one; it takes over from us as if we had been killed. */
	if ((pid == -EPIPE || pid == -ECONNRESET) && s->holder >= 0)
		kill(getpid(), SIGKILL);
	return pid;
}

/* --- notifiers -------------------------------------------------------------- */

static void start_notifier(struct rk__notifier *n);

static void notifier_ended(void *ctx, int status)
{
	struct rk__notifier *n = ctx;

	n->child = NULL;
	if (n->s->upgrade.step >= RK_UPGRADE_PAUSING)
		return;
	if (n->s->stage < RK_STAGE_FAILED && ++n->deaths < NOTIFIER_LIMIT)
		start_notifier(n);
}

static void start_notifier(struct rk__notifier *n)
{
	uint32_t mount = (uint32_t)(n - n->s->notifier);
	pid_t pid = rk__helpers_spawn(n->s, RK_SPAWN_NOTIFIER, mount, 0,
				      n->s->fuse_fd[mount]);

	if (pid > 0)
		n->child = rk__child_watch(n->s, pid, notifier_ended, n);
}

void rk__notifiers_start(struct rk__supervisor *s)
{
	for (uint32_t i = 0; i < s->config.n_mounts; i++) {
		s->notifier[i].s = s;
		if (s->fuse_fd[i] >= 0 && !s->notifier[i].child)
			start_notifier(&s->notifier[i]);
	}
}

/* --- keeper ---------------------------------------------------------------- */

static void ready_closed(uv_handle_t *h)
{
	struct rk__supervisor *s = h->data;

	/* a new one is started only when the old pipe is gone */
	if (!s->keeper && s->stage < RK_STAGE_FAILED)
		uv_timer_again(&s->keeper_timer);
}

static void close_ready(struct rk__supervisor *s)
{
	if (s->keeper_ready.fd < 0)
		return;
	close(s->keeper_ready.fd);
	s->keeper_ready.fd = -1;
	uv_close((uv_handle_t *)&s->keeper_ready.poll, ready_closed);
}

static void start_first(struct rk__supervisor *s)
{
	struct rk__policy_event e = {
		.type = RK_EVENT_START,
		.has_state = atomic_load(&s->board->booted),
		.rung = rk__rung_of_predecessor(s->board),
	};

	s->keeper_ready.ready = true;
	rk__supervisor_event(s, &e);
}

/* text: why it did not; "" : it did. */
static void went_back(struct rk__supervisor *s, const char *text)
{
	struct rk__policy_event e = {
		.type = RK_EVENT_WENT_BACK, .error = *text != 0,
	};

	s->keeper_ready.going = RK_KEEPER_GO_ON;
	if (e.error)
		snprintf(s->board->error, sizeof s->board->error, "%s", text);
	rk__supervisor_event(s, &e);
}

void rk__keeper_go_back(struct rk__supervisor *s, bool salvage)
{
	s->keeper_ready.going = salvage ? RK_KEEPER_SALVAGE : RK_KEEPER_GO_BACK;
	s->keeper_ready.idle_deaths = 0;
	/* if there is none now, the next is due */
	if (s->keeper)
		rk__child_kill(s->keeper, SIGKILL);
}

static void keeper_says(uv_poll_t *poll, int error, int events)
{
	struct rk__supervisor *s = poll->data;
	char text[RK_SERVER_ERROR_LEN];
	ssize_t n = read(s->keeper_ready.fd, text, sizeof text - 1);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close_ready(s);
	if (n > 0)
		text[n] = 0;
	if (n > 0 && s->keeper_ready.how >= RK_KEEPER_GO_BACK) {
		went_back(s, text);
	} else if (n > 1) {
		rk__supervisor_fail(s, -EIO, text);
	} else if (n == 1 && !s->keeper_ready.ready) {
		start_first(s);
	}
	/* at the end of the pipe its death tells the rest */
}

void rk__keeper_lost(struct rk__supervisor *s)
{
	uint64_t applied = atomic_load(&s->log.keeper->applied);
	uint32_t n;

	if (s->stage >= RK_STAGE_FAILED)
		return;
	if (applied != s->keeper_ready.applied)
		s->keeper_ready.idle_deaths = 0;
	s->keeper_ready.applied = applied;
	n = ++s->keeper_ready.idle_deaths;
	if (n > KEEPER_LIMIT) {
		rk__supervisor_fail(s, -EIO, "the keeper, which writes the "
				    "image, ends again and again");
		return;
	}
	uv_timer_set_repeat(&s->keeper_timer, n <= KEEPER_PATIENCE ? 1 :
			    1u << (n - KEEPER_PATIENCE < 10 ?
				   n - KEEPER_PATIENCE : 10));
	if (s->keeper_ready.fd >= 0)
		close_ready(s);
	else
		uv_timer_again(&s->keeper_timer);
}

static void keeper_ended(void *ctx, int status)
{
	struct rk__supervisor *s = ctx;

	s->keeper = NULL;
	if (s->keeper_ready.fd < 0 && rk__upgrade_keeper_ended(s))
		return;
	rk__keeper_lost(s);
}

int rk__keeper_start(struct rk__supervisor *s, enum rk__keeper_start how)
{
	int fd[2];
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return -errno;
	pid = rk__helpers_spawn(s, RK_SPAWN_KEEPER, 0, how, fd[1]);
	close(fd[1]);
	if (pid > 0)
		s->keeper = rk__child_watch(s, pid, keeper_ended, s);
	if (!s->keeper) {
		close(fd[0]);
		return pid < 0 ? pid : -ENOMEM;
	}
	fcntl(fd[0], F_SETFL, O_NONBLOCK);
	s->keeper_ready.how = how;
	s->keeper_ready.fd = fd[0];
	uv_poll_init(&s->loop, &s->keeper_ready.poll, fd[0]);
	s->keeper_ready.poll.data = s;
	uv_poll_start(&s->keeper_ready.poll, UV_READABLE, keeper_says);
	return 0;
}

/* --- the file system's own recovery ---------------------------------------- */

static void recovered(void *ctx, int status)
{
	struct rk__supervisor *s = ctx;
	struct rk__policy_event e = { .type = RK_EVENT_RECOVERED };
	uint32_t i = atomic_load(&s->board->recover_mount);

	/* 1: corrected, 2: and wants a reboot, which is for real roots */
	e.error = !WIFEXITED(status) || WEXITSTATUS(status) >= 4;
	if (e.error)
		snprintf(s->board->error, sizeof s->board->error,
			 "e2fsck could not recover the journal of %.100s "
			 "(status %d); run e2fsck -f on it",
			 s->config.mount[i].source,
			 WIFEXITED(status) ? WEXITSTATUS(status) :
			 128 + WTERMSIG(status));
	if (s->stage < RK_STAGE_FAILED)
		rk__supervisor_event(s, &e);
}

static const char *find_e2fsck(void)
{
	static const char *const at[] = { "/sbin", "/usr/sbin", "/usr/local/sbin" };
	static char path[4096];
	const char *dir = getenv("PATH");

	for (; dir && *dir; dir += strcspn(dir, ":"), dir += *dir == ':') {
		snprintf(path, sizeof path, "%.*s/e2fsck",
			 (int)strcspn(dir, ":"), dir);
		if (access(path, X_OK) == 0)
			return path;
	}
	for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
		snprintf(path, sizeof path, "%s/e2fsck", at[i]);
		if (access(path, X_OK) == 0)
			return path;
	}
	return NULL;
}

static int spawn_e2fsck(const char *program, const char *image, pid_t *ret)
{
	char *argv[] = {
		"e2fsck", "-E", "journal_only", "-p", (char *)image, NULL,
	};
	posix_spawn_file_actions_t actions;
	int e;

	posix_spawn_file_actions_init(&actions);
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_addopen(&actions, i, "/dev/null",
						 O_RDWR, 0);
	e = posix_spawn(ret, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -e;
}

void rk__recover_start(struct rk__supervisor *s)
{
	uint32_t i = atomic_load(&s->board->recover_mount);
	const char *program = find_e2fsck();
	char text[RK_SERVER_ERROR_LEN];
	pid_t pid;

	if (i >= s->config.n_mounts) {
		rk__supervisor_fail(s, -EINVAL, "the server asked to recover "
				    "a mount that is not there");
		return;
	}
	if (s->config.mount[i].read_only) {
		snprintf(text, sizeof text, "%.120s has a journal to recover, "
			 "which takes writing; use it once without ro",
			 s->config.mount[i].source);
		rk__supervisor_fail(s, -EROFS, text);
		return;
	}
	if (!program) {
		snprintf(text, sizeof text, "%.120s has a journal to recover; "
			 "install e2fsck (package e2fsprogs)",
			 s->config.mount[i].source);
		rk__supervisor_fail(s, -ENOENT, text);
		return;
	}
	if (spawn_e2fsck(program, s->config.mount[i].source, &pid) < 0 ||
	    !rk__child_watch(s, pid, recovered, s))
		rk__supervisor_fail(s, -EAGAIN, "cannot run e2fsck");
}
