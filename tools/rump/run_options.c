/*
 * run_options.c - the command line of rump run.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "run.h"
#include "supervisor/drivers.h"
#include "supervisor/spec.h"

enum { UNKNOWN_OPTION = 1 };

static const char help[] =
"usage: rump run [-m PATH=DRIVER:SOURCE[,option...]]... [-s NAME]... [options]\n"
"                [--] PROGRAM [ARGUMENT...]\n"
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
"  -s NAME[,NAME]...   what the servers called NAME have mounted (rump start);\n"
"                      NAME=PATH: not where they say but at PATH, or below it\n"
"                      if it is several mounts\n"
"  --separate          a server for each -m: if one fails, the others do not\n"
"  --root DRIVER:SOURCE[,option...]\n"
"                      the program's root, with /dev, /proc and /sys of the host\n"
"                      in it\n"
"  --bind SOURCE[:PATH][:ro]\n"
"                      a file or directory of the host, at PATH; may be repeated\n"
"  --kill-every TIME   kill the server at random instants, TIME apart on\n"
"                      average, and say at the end how that went\n"
"  --deadline TIME     a call that computes longer is a hang, its server is\n"
"                      replaced (10s)\n"
"  --name NAME         of the server, for rump ps and the library (its pid)\n"
"  --proxy=KIND        serve the program's system calls without a mount: preload\n"
"                      (a library in it, and a seccomp filter under that), notify\n"
"                      (the filter alone), none, or auto: a mount where one can be\n"
"                      made, else the best of the others, and say which. Without\n"
"                      the option as auto, but silent where there is a mount\n"
"  --under-mount       with --proxy: a mount as well, which serves what has no\n"
"                      absolute path\n"
"  --no-net            with --proxy=preload: no filter under the library\n"
"  --proxy-report      say at the end which way the calls went\n"
"  --no-fuse           make no mounts: the program uses the library, by the\n"
"                      socket in $RUMP_SOCKET, which is always set\n"
"\n"
"times are written like 50ms, 10s, 2m\n"
"\n"
"examples: rump run -m /vol=ext4:disk.img,ro -- ls -l /vol\n"
"          rump run --proxy=preload -m /vol=ext4:disk.img -- ls -l /vol\n"
"          rump run --root ext4:rootfs.img --bind /etc/resolv.conf -- /bin/sh\n";

__attribute__((format(printf, 3, 4)))
static int refuse(char *error, int e, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(error, RK_SERVER_ERROR_LEN, format, ap);
	va_end(ap);
	return e;
}

/* A path as rk__spec_path() has them: absolute, without "." and "..". */
static int read_path(const char *text, char *ret, size_t size, char *error)
{
	static struct rk__mount_spec m;
	int e = rk__spec_path(text, &m, error);

	if (!e && strlen(m.path) >= size)
		return refuse(error, -ENAMETOOLONG, "the path is too long");
	if (!e)
		strcpy(ret, m.path);
	return e;
}

static int add_bind(struct run *r, const char *text, char *error)
{
	struct bind *b = &r->bind[r->n_binds];
	char copy[2 * PATH_MAX + 8], *end, *path;

	if (r->n_binds == BINDS_MAX)
		return refuse(error, -E2BIG, "there are more than %d --bind",
			      BINDS_MAX);
	if (strlen(text) >= sizeof copy)
		return refuse(error, -ENAMETOOLONG, "--bind: too long");
	strcpy(copy, text);
	end = strrchr(copy, ':');
	b->read_only = end && strcmp(end, ":ro") == 0;
	if (b->read_only)
		*end = 0;
	path = strchr(copy, ':');
	if (path)
		*path++ = 0;
	if (!realpath(copy, b->source))
		return refuse(error, -errno, "--bind: %.150s: %s", copy,
			      strerror(errno));
	r->n_binds++;
	if (path)
		return read_path(path, b->path, sizeof b->path, error);
	if (make_absolute(copy, b->path, sizeof b->path) < 0)
		return refuse(error, -ENAMETOOLONG, "--bind: too long");
	return read_path(b->path, b->path, sizeof b->path, error);
}

static int add_use(struct run *r, const char *text, size_t len, char *error)
{
	struct use *u = &r->use[r->n_uses];
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len;
	char path[4096];

	if (r->n_uses == USES_MAX)
		return refuse(error, -E2BIG, "there are more than %d servers",
			      USES_MAX);
	if (!name_len || name_len >= sizeof u->name)
		return refuse(error, -EINVAL, "-s: '%.*s' names no server",
			      (int)(len < 64 ? len : 64), text);
	r->n_uses++;
	memcpy(u->name, text, name_len);
	u->conn = -1;
	if (!equals)
		return 0;
	len -= name_len + 1;
	if (len >= sizeof path)
		return refuse(error, -ENAMETOOLONG, "the path is too long");
	memcpy(path, equals + 1, len);
	path[len] = 0;
	if (strcmp(path, "/") != 0)
		return read_path(path, u->moved_to, sizeof u->moved_to, error);
	strcpy(u->moved_to, path);
	return 0;
}

static int add_uses(struct run *r, const char *text, char *error)
{
	int e = 0;

	while (!e) {
		size_t len = strcspn(text, ",");

		e = add_use(r, text, len, error);
		if (!text[len])
			break;
		text += len + 1;
	}
	return e;
}

static int add_root(struct run *r, const char *source, char *error)
{
	char spec[4096 + 2048 + 256];
	int n = snprintf(spec, sizeof spec, "/=%s", source);

	if (n < 0 || (size_t)n >= sizeof spec)
		return refuse(error, -ENAMETOOLONG, "--root: too long");
	return rk__spec_add(&r->config, spec, error);
}

static int read_times(int o, struct rk__config *c, char *error)
{
	uint64_t us;
	int e = rk__spec_time(o == 'k' ? "--kill-every" : "--deadline", optarg,
			      &us, error);

	if (!e && o == 'k')
		c->kill_every_us = us < UINT32_MAX ? us : UINT32_MAX;
	else if (!e)
		c->deadline_ms = (us + 999) / 1000;
	return e;
}

static int read_option(int o, struct run *r, char *error)
{
	struct rk__config *c = &r->config;

	switch (o) {
	case 'm':
		return rk__spec_add(c, optarg, error);
	case 's':
		return add_uses(r, optarg, error);
	case 'R':
		r->rooted = true;
		return add_root(r, optarg, error);
	case 'b':
		return add_bind(r, optarg, error);
	case 'k':
	case 'd':
		return read_times(o, c, error);
	case 'n':
		if (strlen(optarg) >= sizeof c->name)
			return refuse(error, -EINVAL, "--name: '%.50s...' is "
				      "too long", optarg);
		strcpy(c->name, optarg);
		return 0;
	case 'S':
		r->separate = true;
		return 0;
	case 'F':
		c->fuse = false;
		return 0;
	case 'p':
		return proxy_read_kind(optarg, &r->proxy.kind, error);
	case 'u':
		r->proxy.under_mount = true;
		return 0;
	case 'N':
		r->proxy.no_net = true;
		return 0;
	case 'P':
		r->proxy.report = true;
		return 0;
	}
	return UNKNOWN_OPTION;
}

/* What does not go together. */
static int check(struct run *r, int argc, char *error)
{
	if (!r->config.n_mounts && !r->n_uses)
		return complain("run: no mount is given; use -m "
				"PATH=DRIVER:SOURCE, or -s NAME");
	if (r->rooted && !r->config.fuse)
		return complain("run: --root is a mount, and --no-fuse makes "
				"none");
	if (optind == argc)
		return complain("run: no program is given; see rump run "
				"--help");
	if (!r->config.n_mounts && (r->config.kill_every_us ||
				    r->config.name[0] || r->separate))
		return complain("run: --kill-every, --name and --separate are "
				"for servers of -m, not for those of -s");
	if (r->separate && r->config.name[0])
		return complain("run: --name is for one server, and --separate "
				"makes several");
	if (r->n_uses + r->config.n_mounts > USES_MAX)
		return complain("run: there are more than %d servers",
				USES_MAX);
	return rk__drivers_load(&r->config, error) < 0 ? complain("%s", error) : 0;
}

int run_read_options(int argc, char **argv, struct run *ret)
{
	static const struct option options[] = {
		{ "mount", required_argument, NULL, 'm' },
		{ "server", required_argument, NULL, 's' },
		{ "separate", no_argument, NULL, 'S' },
		{ "root", required_argument, NULL, 'R' },
		{ "bind", required_argument, NULL, 'b' },
		{ "kill-every", required_argument, NULL, 'k' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "name", required_argument, NULL, 'n' },
		{ "no-fuse", no_argument, NULL, 'F' },
		{ "proxy", required_argument, NULL, 'p' },
		{ "under-mount", no_argument, NULL, 'u' },
		{ "no-net", no_argument, NULL, 'N' },
		{ "proxy-report", no_argument, NULL, 'P' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	char error[RK_SERVER_ERROR_LEN] = "";
	int o, e = 0;

	opterr = 0;
	while (!e && (o = getopt_long(argc, argv, "+m:s:h", options,
				      NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			exit(0);
		}
		e = read_option(o, ret, error);
		if (e == UNKNOWN_OPTION)
			return complain_option("run", argv);
	}
	return e < 0 ? complain("%s", error) : check(ret, argc, error);
}
