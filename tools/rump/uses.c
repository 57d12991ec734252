/*
 * uses.c - rump run with servers that are not this process's: those of rump
 * start, and those that are started for the program alone but stand for
 * themselves, so that they may fail each for itself.
 *
 * Theory of operation. A server of our own is a daemon like that of rump start.
 * It is stopped in the end; should this process be killed, it sees that at a
 * pipe, and stops. To each server there is a connection as long as the program
 * runs: by it the server knows that it is used. Where a supervisor was killed
 * and another goes on, we connect again.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "daemon.h"
#include "run.h"
#include "runtime.h"
#include "supervisor/shared.h"

enum { AGAIN_MS = 100, AGAIN_TIMES = 100 };

/* --- servers of our own -------------------------------------------------------- */

static int start_own(struct run *r, uint32_t first, uint32_t n,
		     const int lifeline[2], char *error)
{
	static struct mount_request q;
	struct use *u = &r->use[r->n_uses++];

	shared_request_init(&q);
	q.config = r->config;
	q.config.audience = RK_AUDIENCE_SHARED;
	memmove(q.config.mount, r->config.mount + first,
		n * sizeof *q.config.mount);
	q.config.n_mounts = n;
	memcpy(q.lifeline, lifeline, sizeof q.lifeline);
	if (!q.config.name[0])
		snprintf(q.config.name, sizeof q.config.name, "%d-%u",
			 (int)getpid(), first + 1);
	strcpy(u->name, q.config.name);
	u->conn = -1;
	u->own = true;
	return shared_start(&q, error);
}

/* The first that failed is not among them. */
static int start_all_own(struct run *r, char *error)
{
	uint32_t n = r->config.n_mounts, each = r->separate ? 1 : n;
	int lifeline[2], e = 0;

	if (!n)
		return 0;
	if (pipe2(lifeline, O_CLOEXEC) < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot make a pipe: %s",
			 strerror(errno));
		return -errno;
	}
	for (uint32_t i = 0; i < n && !e; i += each)
		e = start_own(r, i, each, lifeline, error);
	if (e < 0)
		r->n_uses--;
	close(lifeline[0]);
	/* our end stays open as long as we live */
	return e;
}

static int stop_one(const struct use *u, bool tell)
{
	struct rk_status s;
	int e = ask_peer(u->socket, RK_HELLO_STOP, 0, &s);

	if (e < 0)
		return complain("the server of '%s' ended before its program",
				u->name);
	wait_for_end(&s);
	if (tell) {
		struct rk__summary sum = {
			.kills = s.kills, .recovered = s.recovered,
			.quarantined = s.quarantined, .p50_ns = s.p50_ns,
			.p99_ns = s.p99_ns, .max_ns = s.max_ns,
		};

		run_print_summary(u->name, &sum);
	}
	return s.error ? complain("%s: %s", u->name, s.message[0] ?
				  s.message : strerror(-s.error)) : 0;
}

static int stop_own(const struct run *r)
{
	int status = 0;

	for (unsigned i = 0; i < r->n_uses; i++)
		if (r->use[i].own && stop_one(&r->use[i],
					      r->config.kill_every_us))
			status = RUMP_FAILED;
	return status;
}

/* --- joining -------------------------------------------------------------------- */

/* Where the program sees a mount of u. */
static char *place(const struct use *u, const char *path, size_t len, bool one)
{
	char whole[2 * 4096];

	if (!u->moved_to[0])
		return strndup(path, len);
	snprintf(whole, sizeof whole, "%s%.*s",
		 strcmp(u->moved_to, "/") == 0 && !one ? "" : u->moved_to,
		 one ? 0 : (int)len, path);
	return strdup(whole);
}

static int read_paths(struct use *u, const struct rk_status *s)
{
	const char *m = s->mounts;
	unsigned n = 0;

	for (; *m && n < RK_MOUNTS_MAX; m += strcspn(m, "\n"), m += *m == '\n') {
		u->path[n] = place(u, m, strcspn(m, "="), s->n_mounts == 1);
		if (!u->path[n++])
			return complain("not enough memory");
	}
	if (n != s->n_mounts)
		return complain("the paths of '%s' are too long", u->name);
	return 0;
}

static int refuse_kind(const struct use *u, const struct rk_status *s)
{
	if (s->audience == RK_AUDIENCE_PROGRAM)
		return complain("'%s' is the server of another rump run, for "
				"its program alone; share one by rump start",
				u->name);
	return complain("'%s' is a mount of the host: it is there without -s, "
			"at %.*s", u->name, (int)strcspn(s->mounts, "="),
			s->mounts);
}

static int explain(const struct use *u, int e, const struct rk_status *s)
{
	if (e == -EACCES)
		return complain("no permission to use the server '%s'",
				u->name);
	if (e == -EAGAIN)
		return complain("the server '%s' does not answer", u->name);
	if (e == -EPERM || e == -ESHUTDOWN)
		return complain("%s: %s", u->name, s->message);
	return complain_unknown(u->name);
}

static int join(struct use *u, const struct run *r)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	struct rk_status s = { 0 };
	int ns[2], e;

	u->conn = use_peer(u->name, &s, ns);
	if (u->conn < 0)
		return explain(u, u->conn, &s);
	if (s.audience != RK_AUDIENCE_SHARED)
		return refuse_kind(u, &s);
	e = r->config.fuse || proxy_is_on(r) ? read_paths(u, &s) : 0;
	if (!e && r->config.fuse && ns[1] < 0)
		e = complain("'%s' was started without mounts; use it with "
			     "--proxy=preload or --proxy=notify", u->name);
	if (!e && r->config.fuse &&
	    rk__shared_clone(ns[0], ns[1], s.n_mounts, u->tree, error) < 0)
		e = complain("%s: %s", u->name, error);
	if (!e && (r->config.fuse || proxy_is_on(r)))
		u->n = s.n_mounts;
	if (ns[1] < 0)
		return e;
	close(ns[0]);
	close(ns[1]);
	return e;
}

static void close_trees(struct run *r)
{
	for (unsigned i = 0; i < r->n_uses && r->config.fuse; i++)
		for (unsigned k = 0; k < r->use[i].n; k++)
			close(r->use[i].tree[k]);
}

/* --- while it runs ---------------------------------------------------------------- */

static void join_again(struct use *u)
{
	struct rk_status s;
	int ns[2];

	u->conn = use_peer(u->name, &s, ns);
	for (int i = 0; i < 2; i++)
		if (ns[i] >= 0)
			close(ns[i]);
}

/* One that was stopped by force does not come back. */
static bool look_again(struct run *r, unsigned *tries)
{
	bool missing = false;

	for (unsigned i = 0; i < r->n_uses; i++)
		if (r->use[i].conn < 0 && tries[i] < AGAIN_TIMES) {
			tries[i]++;
			join_again(&r->use[i]);
			missing |= r->use[i].conn < 0;
		}
	return missing;
}

static int wait_for(struct run *r, pid_t pid)
{
	struct pollfd p[USES_MAX + 1] = { { 0 } };
	unsigned tries[USES_MAX] = { 0 };
	bool missing = false;
	int status;

	p[0].fd = (int)syscall(SYS_pidfd_open, pid, 0);
	p[0].events = POLLIN;
	while (p[0].fd >= 0 && !p[0].revents) {
		for (unsigned i = 0; i < r->n_uses; i++)
			p[i + 1] = (struct pollfd){ .fd = r->use[i].conn,
						    .events = POLLIN };
		if (poll(p, r->n_uses + 1, missing ? AGAIN_MS : -1) < 0 &&
		    errno != EINTR)
			break;
		for (unsigned i = 0; i < r->n_uses; i++)
			if (p[i + 1].fd >= 0 && p[i + 1].revents) {
				close(r->use[i].conn);
				r->use[i].conn = -1;
			}
		missing = look_again(r, tries);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return RUMP_FAILED;
	if (p[0].fd >= 0)
		close(p[0].fd);
	return run_exit_status(status);
}

static int go(struct run *r, char **argv, const struct rlimit *limits)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	struct program p;
	int e = program_find(r, argv[0]);

	if (e)
		return e;
	if (program_fork(r, argv, limits, &p, error) < 0)
		return complain("%s", error);
	if (view_is_own(r) && program_mount(&p, NULL, error) < 0) {
		program_cancel(&p);
		return complain("%s", error);
	}
	close_trees(r);
	if (proxy_is_on(r) && proxy_start(r, NULL, error) < 0) {
		program_cancel(&p);
		proxy_finish(r);
		return complain("%s", error);
	}
	program_forward_signals(p.pid);
	program_go(&p, r->use[0].socket);
	e = wait_for(r, p.pid);
	proxy_finish(r);
	return e;
}

/* Ours come first: the library's socket is that of the first. */
static void put_own_first(struct run *r, unsigned others)
{
	static struct use copy[USES_MAX];
	unsigned own = r->n_uses - others;

	memcpy(copy, r->use, others * sizeof *copy);
	memmove(r->use, r->use + others, own * sizeof *r->use);
	memcpy(r->use + own, copy, others * sizeof *copy);
}

static void find_socket(struct use *u)
{
	char path[sizeof u->socket];

	if (rk_runtime_socket(u->name, path, sizeof path) == 0)
		strcpy(u->socket, path);
}

int run_shared(struct run *r, char **argv)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	unsigned others = r->n_uses;
	struct rlimit limits;
	int status = 0, stopped;

	getrlimit(RLIMIT_NOFILE, &limits);
	/* before there is a pipe that those would keep open */
	for (unsigned i = 0; i < others && !status; i++)
		status = start_by_config(r->use[i].name);
	if (status)
		return status;
	if (start_all_own(r, error) < 0)
		status = complain("%s", error);
	put_own_first(r, others);
	/* they are nobody's own now */
	r->config.n_mounts = 0;
	for (unsigned i = 0; i < r->n_uses; i++)
		find_socket(&r->use[i]);
	for (unsigned i = 0; i < r->n_uses && !status; i++)
		status = join(&r->use[i], r);
	if (!status)
		status = go(r, argv, &limits);
	stopped = stop_own(r);
	return stopped ? stopped : status;
}
