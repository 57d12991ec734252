/*
 * start.c - rump start: a server that programs share, which ask for it by its
 * name (rump run -s), and whatever else a config describes.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "config.h"
#include "driver.h"
#include "run_proxy.h"
#include "runtime.h"
#include "supervisor/drivers.h"
#include "supervisor/spec.h"

enum { COMES_LOOKS = 50 };

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
	    is_asleep(path) ||
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

static bool runs(const char *name)
{
	struct rk_status status;
	char path[4096];
	int e = rk_runtime_socket(name, path, sizeof path);

	if (!e && !is_asleep(path))
		e = ask_peer(path, RK_HELLO_STATUS, 5, &status);
	/* it does, but does not answer us; or it will, when somebody connects */
	return !e || e == -EACCES || e == -EAGAIN;
}

/* Another may have begun to start it a moment ago. */
static bool comes_up(const char *name)
{
	const struct timespec look = { .tv_nsec = 100000000 };

	for (int i = 0; i < COMES_LOOKS; i++) {
		if (runs(name))
			return true;
		nanosleep(&look, NULL);
	}
	return false;
}

int start_by_config(const char *name)
{
	static struct mount_request q;
	char error[RK_SERVER_ERROR_LEN] = "", path[4096];

	if (runs(name) || config_find(name, path, sizeof path) < 0)
		return 0;
	shared_request_init(&q);
	if (config_request(name, &q, error))
		return RUMP_FAILED;
	fprintf(stderr, "rump: '%s' does not run: it is started by %s\n", name,
		path);
	if (request_start(&q, error) == 0 || comes_up(name))
		return 0;
	return complain("%s", error);
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
