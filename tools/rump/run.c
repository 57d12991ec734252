/*
 * run.c - rump run: a program with file systems of its own, and a supervisor
 * that lives as long as it.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include "run.h"
#include "supervisor/drivers.h"
#include "supervisor/spec.h"

static const char help[] =
"usage: rump run [-m PATH=DRIVER:SOURCE[,option...]]... [options] [--] PROGRAM\n"
"                [ARGUMENT...]\n"
"\n"
"Runs PROGRAM with SOURCE mounted at PATH in a mount namespace of its own: the\n"
"host sees nothing of it, and PATH need not exist. The program keeps its user,\n"
"directory, terminal and signals; its exit status is passed on. When it ends,\n"
"everything is in the image and no process is left.\n"
"\n"
"  -m SPEC             a mount; may be repeated. SOURCE is an image or a block\n"
"                      device, or what else the driver wants; options after a\n"
"                      comma: ro, writeback, stay, and the driver's. See rump\n"
"                      mount --help\n"
"  --kill-every TIME   kill the server at random instants, TIME apart on\n"
"                      average, and say at the end how that went\n"
"  --deadline TIME     a call that computes longer is a hang, its server is\n"
"                      replaced (10s)\n"
"  --name NAME         of the server, for rump ps and the library (its pid)\n"
"  --no-fuse           make no mounts: the program uses the library, by the\n"
"                      socket in $RUMP_SOCKET, which is always set\n"
"\n"
"times are written like 50ms, 10s, 2m\n"
"\n"
"example: rump run -m /vol=ext4:disk.img,ro -- ls -l /vol\n";

static int read_option(int o, struct rk__config *c, char **argv, char *error)
{
	uint64_t us;
	int e = 0;

	switch (o) {
	case 'm':
		e = rk__spec_add(c, optarg, error);
		break;
	case 'k':
		e = rk__spec_time("--kill-every", optarg, &us, error);
		if (!e)
			c->kill_every_us = us < UINT32_MAX ? us : UINT32_MAX;
		break;
	case 'd':
		e = rk__spec_time("--deadline", optarg, &us, error);
		if (!e)
			c->deadline_ms = (us + 999) / 1000;
		break;
	case 'n':
		if (strlen(optarg) < sizeof c->name) {
			strcpy(c->name, optarg);
			break;
		}
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "--name: '%.50s...' is too long", optarg);
		e = -EINVAL;
		break;
	case 'F':
		c->fuse = false;
		break;
	case 'h':
		fputs(help, stdout);
		exit(0);
	default:
		return complain_option("run", argv);
	}
	return e < 0 ? complain("%s", error) : 0;
}

static int read_options(int argc, char **argv, struct rk__config *c,
			char *error)
{
	static const struct option options[] = {
		{ "mount", required_argument, NULL, 'm' },
		{ "kill-every", required_argument, NULL, 'k' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "name", required_argument, NULL, 'n' },
		{ "no-fuse", no_argument, NULL, 'F' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	int o, e = 0;

	opterr = 0;
	while (!e && (o = getopt_long(argc, argv, "+m:h", options, NULL)) != -1)
		e = read_option(o, c, argv, error);
	if (e)
		return e;
	if (!c->n_mounts)
		return complain("run: no mount is given; use -m "
				"PATH=DRIVER:SOURCE");
	if (optind == argc)
		return complain("run: no program is given; see rump run "
				"--help");
	return rk__drivers_load(c, error) < 0 ? complain("%s", error) : 0;
}

static double ms(uint64_t ns)
{
	return ns / 1e6;
}

static void print_summary(const struct rk__summary *s)
{
	fprintf(stderr, "rump: server killed %" PRIu64 " times, recovered %"
		PRIu64 " times\n", s->kills, s->recovered);
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

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) :
	       128 + WTERMSIG(status);
}

/* Starts the family and has the program wait for nothing but the word. */
static int start(const struct rk__config *c, struct program *p,
		 struct rk__supervisor **ret, char *error)
{
	char ignored[RK_SERVER_ERROR_LEN];
	int e = rk__supervisor_start(c, ret, error);

	if (e >= 0 && c->fuse)
		e = program_mount(p, c, *ret, error);
	else if (e < 0)
		*ret = NULL;
	if (e < 0) {
		/* its end takes the mounts along */
		program_cancel(p);
		if (*ret)
			rk__supervisor_stop(*ret, NULL, ignored);
	}
	return e;
}

/* Returns the exit status of the run. */
static int supervise(const struct rk__config *c, struct program *p,
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
	if (e < 0)
		complain("%s", error[0] ? error : strerror(-e));
	if (rk__supervisor_stop(s, &summary, stop_error) < 0 && e >= 0) {
		e = -EIO;
		complain("%s", stop_error);
	}
	/* one that was given up leaves the program its errors, and its time */
	while (status < 0 && waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (c->kill_every_us)
		print_summary(&summary);
	return e < 0 ? RUMP_FAILED : exit_status(status);
}

int cmd_run(int argc, char **argv)
{
	static struct rk__config c;
	char error[RK_SERVER_ERROR_LEN] = "";
	struct rk__supervisor *s;
	struct rlimit limits;
	struct program p;
	int e;

	default_config(&c);
	e = read_options(argc, argv, &c, error);
	if (!e)
		e = program_find(&c, argv[optind]);
	if (e)
		return e;
	raise_limits(&limits);
	if (program_fork(&c, argv + optind, &limits, &p, error) < 0 ||
	    start(&c, &p, &s, error) < 0)
		return complain("%s", error);
	return supervise(&c, &p, s);
}
