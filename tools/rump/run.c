/*
 * run.c - rump run: a program with file systems of its own, and a supervisor
 * that lives as long as it.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include "run.h"

static double ms(uint64_t ns)
{
	return ns / 1e6;
}

void run_print_summary(const char *name, const struct rk__summary *s)
{
	char of[80] = "server";

	if (name)
		snprintf(of, sizeof of, "server %s", name);
	fprintf(stderr, "rump: %s killed %" PRIu64 " times, recovered %"
		PRIu64 " times\n", of, s->kills, s->recovered);
	if (s->recovered)
		fprintf(stderr, "rump: from kill to serving again: p50 %.2f "
			"ms, p99 %.2f ms, max %.2f ms\n", ms(s->p50_ns),
			ms(s->p99_ns), ms(s->max_ns));
	if (s->recovered == s->kills && !s->quarantined)
		fprintf(stderr, "rump: nothing was lost: every kill was "
			"recovered, no request was refused\n");
	else
		fprintf(stderr, "rump: %" PRIu64 " kills were not recovered, %"
			PRIu64 " requests were refused\n",
			s->kills - s->recovered, s->quarantined);
}

int run_exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	       128 + WTERMSIG(status);
}

/* Starts the family and has the program wait for nothing but the word. */
static int start(struct run *r, struct program *p,
		 struct rk__supervisor **ret, char *error)
{
	char ignored[RK_SERVER_ERROR_LEN];
	int e = rk__supervisor_start(&r->config, ret, error);

	if (e < 0)
		*ret = NULL;
	if (e >= 0 && view_is_own(r))
		e = program_mount(p, *ret, error);
	if (e >= 0 && proxy_is_on(r))
		e = proxy_start(r, rk__supervisor_socket(*ret), error);
	if (e < 0) {
		/* its end takes the mounts along */
		program_cancel(p);
		if (*ret)
			rk__supervisor_stop(*ret, NULL, ignored);
		proxy_finish(r);
	}
	return e;
}

/* Returns the exit status of the run. */
static int supervise(struct run *r, struct program *p,
		     struct rk__supervisor *s)
{
	char error[RK_SERVER_ERROR_LEN] = "", stop_error[sizeof error] = "";
	struct rk__summary summary;
	int status = -1, e;

	e = rk__supervisor_watch(s, p->pid, &status);
	program_forward_signals(p->pid);
	if (e >= 0)
		program_go(p, rk__supervisor_socket(s));
	if (e >= 0)
		e = rk__supervisor_run(s, error);
	proxy_finish(r);
	if (e < 0)
		complain("%s", error[0] ? error : strerror(-e));
	if (rk__supervisor_stop(s, &summary, stop_error) < 0 && e >= 0) {
		e = -EIO;
		complain("%s", stop_error);
	}
	/* one that was given up leaves the program its errors, and its time */
	while (status < 0 && waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r->config.kill_every_us)
		run_print_summary(NULL, &summary);
	return e < 0 ? RUMP_FAILED : run_exit_status(status);
}

int cmd_run(int argc, char **argv)
{
	static struct run r;
	char error[RK_SERVER_ERROR_LEN] = "";
	struct rk__supervisor *s;
	struct rlimit limits;
	struct program p;
	int e;

	default_config(&r.config);
	e = run_read_options(argc, argv, &r);
	if (!e)
		e = proxy_choose(&r, argv[optind]);
	if (e)
		return e;
	if (r.n_uses || r.separate)
		return run_shared(&r, argv + optind);
	e = program_find(&r, argv[optind]);
	if (e)
		return e;
	raise_limits(&limits);
	if (program_fork(&r, argv + optind, &limits, &p, error) < 0 ||
	    start(&r, &p, &s, error) < 0)
		return complain("%s", error);
	return supervise(&r, &p, s);
}
