/*
 * start.c - rump start and rump stop: a server that programs share, which ask
 * for it by its name (rump run -s).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "config.h"
#include "driver.h"
#include "run_proxy.h"
#include "runtime.h"
#include "supervisor/drivers.h"
#include "supervisor/spec.h"

static const char start_help[] =
"usage: rump start [options] NAME [PATH=]DRIVER:SOURCE[,option...]...\n"
"       rump start [options] NAME | FILE.conf\n"
"\n"
"Starts a server called NAME and returns when it can be used; it goes on in the\n"
"background until rump stop NAME. The host sees nothing of its mounts: programs\n"
"that rump run -s NAME starts see them, at PATH, or at /NAME where no path is\n"
"given. Programs of the library find it by its name. Where nothing but a name is\n"
"given, the config NAME.conf in ~/.config/rump or /etc/rump says what to serve,\n"
"see rump.conf(5).\n"
"\n"
"  --no-fuse           make no mounts: for the library, and for rump run --proxy;\n"
"                      so it is where none can be made\n"
"  --foreground        stay, and stop cleanly at SIGINT, SIGTERM or SIGHUP\n"
"  --deadline TIME     a call that computes longer is a hang, its server is\n"
"                      replaced (10s)\n"
"  --kill-every TIME   kill the server at random instants, TIME apart on\n"
"                      average: programs must not notice\n";

static const char stop_help[] =
"usage: rump stop [--force] NAME\n"
"\n"
"Stops the server that was started as NAME and returns when everything is in\n"
"its images. Refused while a program uses it.\n"
"\n"
"  -f, --force   stop it nevertheless; programs that use it get errors\n";

/* --- start ---------------------------------------------------------------------- */

static int read_time(const char *what, uint32_t unit_us, uint32_t *ret,
		     char *error)
{
	uint64_t us;
	int e = rk__spec_time(what, optarg, &us, error);

	if (e < 0)
		return e;
	us = (us + unit_us - 1) / unit_us;
	*ret = us < UINT32_MAX ? us : UINT32_MAX;
	return 0;
}

/* What was given by options, and is more than a config says. */
struct given {
	bool foreground, no_fuse;
	uint32_t deadline_ms, kill_every_us;	/* 0: not given */
};

static int read_start_options(int argc, char **argv, struct given *g,
			      char *error)
{
	static const struct option options[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "no-fuse", no_argument, NULL, 'F' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "kill-every", required_argument, NULL, 'k' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	int o, e = 0;

	opterr = 0;
	while (!e && (o = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		switch (o) {
		case 'f':
			g->foreground = true;
			break;
		case 'd':
			e = read_time("--deadline", 1000, &g->deadline_ms,
				      error);
			break;
		case 'k':
			e = read_time("--kill-every", 1, &g->kill_every_us,
				      error);
			break;
		case 'F':
			g->no_fuse = true;
			break;
		case 'h':
			fputs(start_help, stdout);
			exit(0);
		default:
			return complain_option("start", argv);
		}
	}
	return e < 0 ? complain("%s", error) : 0;
}

/* Without a path it is seen at /NAME. */
static int add_mount(struct rk__config *c, const char *text, char *error)
{
	char spec[4096 + 2048 + 256];
	int n;

	if (*text == '/')
		return rk__spec_add(c, text, error);
	n = snprintf(spec, sizeof spec, "/%s=%s", c->name, text);
	if (n >= 0 && (size_t)n < sizeof spec)
		return rk__spec_add(c, spec, error);
	snprintf(error, RK_SERVER_ERROR_LEN, "'%.50s...' is too long", text);
	return -ENAMETOOLONG;
}

/* The daemon leaves this directory. */
static int absolute_sources(struct rk__config *c, char *error)
{
	char absolute[sizeof c->mount[0].source];

	for (uint32_t i = 0; i < c->n_mounts; i++) {
		if (c->mount[i].kind == RK_SOURCE_NONE)
			continue;
		if (make_absolute(c->mount[i].source, absolute,
				  sizeof absolute) < 0) {
			snprintf(error, RK_SERVER_ERROR_LEN,
				 "the path of the source is too long");
			return -ENAMETOOLONG;
		}
		strcpy(c->mount[i].source, absolute);
	}
	return 0;
}

/* Before anything is made: an image in use would be the lesser news. */
static int refuse_taken(const struct rk__config *c, char *error)
{
	struct rk_status status;
	char path[4096];

	if (rk_runtime_socket(c->name, path, sizeof path) < 0 ||
	    ask_peer(path, RK_HELLO_STATUS, 1, &status) < 0)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "there is a server named '%.64s' "
		 "already", c->name);
	return -EEXIST;
}

void shared_request_init(struct mount_request *ret)
{
	mount_request_init(ret);
	ret->config.audience = RK_AUDIENCE_SHARED;
}

int shared_start(struct mount_request *q, char *error)
{
	int e = rk__drivers_load(&q->config, error);

	if (!e)
		e = absolute_sources(&q->config, error);
	return e < 0 ? e : daemon_start(q, error);
}

/* A mount of the host that cannot be made is an error; shared ones are one way
 * of several. */
static void do_without_fuse(struct rk__config *c)
{
	char why[RK_SERVER_ERROR_LEN];

	if (!c->fuse || proxy_try_fuse(why) >= 0)
		return;
	fprintf(stderr, "rump: %s: without mounts, for rump run --proxy and "
		"the library: %s\n", c->name, why);
	c->fuse = false;
}

int request_start(struct mount_request *q, char *error)
{
	struct rk__config *c = &q->config;
	int e = refuse_taken(c, error);

	if (e < 0)
		return e;
	if (c->audience == RK_AUDIENCE_HOST) {
		e = mount_prepare(q, c->mount[0].path, error);
		return e < 0 ? e : daemon_start(q, error);
	}
	do_without_fuse(c);
	return shared_start(q, error);
}

/* 0, or an exit status. */
static int read_server(int argc, char **argv, struct mount_request *q,
		       char *error)
{
	int e;

	if (argc == 1)
		return config_request(argv[0], q, error) ? RUMP_FAILED : 0;
	e = rk__spec_name(argv[0], error);
	if (!e)
		strcpy(q->config.name, argv[0]);
	for (int i = 1; i < argc && !e; i++)
		e = add_mount(&q->config, argv[i], error);
	return e < 0 ? complain("%s", error) : 0;
}

int cmd_start(int argc, char **argv)
{
	static struct mount_request q;
	char error[RK_SERVER_ERROR_LEN] = "";
	struct given given = { 0 };
	int e;

	shared_request_init(&q);
	e = read_start_options(argc, argv, &given, error);
	if (e)
		return e;
	if (argc == optind)
		return complain("start: takes a name, and DRIVER:SOURCE or a "
				"config of that name; see rump start --help");
	e = read_server(argc - optind, argv + optind, &q, error);
	if (e)
		return e;
	q.foreground = given.foreground;
	q.config.fuse &= !given.no_fuse;
	q.config.kill_every_us = given.kill_every_us;
	if (given.deadline_ms)
		q.config.deadline_ms = given.deadline_ms;
	return request_start(&q, error) < 0 ? complain("%s", error) : 0;
}

/* --- stop ----------------------------------------------------------------------- */

static int refuse_in_use(const struct rk_status *s)
{
	uint32_t n = s->programs ? s->programs : s->clients;

	if (!n)
		return complain("a program still uses '%s'; end it first",
				s->name);
	return complain("%u program%s still use%s '%s'; end %s, or use rump "
			"stop --force", n, n == 1 ? "" : "s",
			n == 1 ? "s" : "", s->name, n == 1 ? "it" : "them");
}

/* It and its program would be of different minds. */
static int refuse_kind(const struct rk_status *s)
{
	if (s->audience == RK_AUDIENCE_PROGRAM)
		return complain("'%s' ends with the program that rump run "
				"started it for (pid %u)", s->name,
				s->supervisor);
	return complain("'%s' is a mount of the host; use rump umount %.*s",
			s->name, (int)strcspn(s->mounts, "="), s->mounts);
}

static int stop(const char *name, bool force)
{
	struct rk_status status;
	char path[4096];
	int e = rk_runtime_socket(name, path, sizeof path);

	if (!e)
		e = ask_peer(path, RK_HELLO_STATUS, 0, &status);
	if (e == -EACCES)
		return complain("no permission to ask the server '%s'", name);
	if (e < 0)
		return complain_unknown(name);
	if (status.audience != RK_AUDIENCE_SHARED)
		return refuse_kind(&status);
	e = ask_peer(path, force ? RK_HELLO_STOP : RK_HELLO_STOP_UNUSED, 0,
		     &status);
	if (e < 0)
		return complain("the server '%s' ended without an answer: %s",
				name, strerror(-e));
	if (status.error == -EBUSY)
		return refuse_in_use(&status);
	wait_for_end(&status);
	if (status.error)
		return complain("%s: %s", name, status.message[0] ?
				status.message : strerror(-status.error));
	return 0;
}

int cmd_stop(int argc, char **argv)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	bool force = false;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(stop_help, stdout);
			return 0;
		}
		if (o != 'f')
			return complain_option("stop", argv);
		force = true;
	}
	if (argc - optind != 1)
		return complain("stop: takes one name; see rump stop --help");
	return stop(argv[optind], force);
}
