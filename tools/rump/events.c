/*
 * events.c - rump events: what has happened to servers, and what happens.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "rump.h"
#include "rump/client.h"
#include "runtime.h"
#include "supervisor/news.h"

enum { SERVERS_MAX = 256 };

static const char help[] =
"usage: rump events [-f] [--json] [NAME]...\n"
"\n"
"Prints what has happened lately to the servers of this user, or to those named:\n"
"deaths and what came of them, calls that were refused, starts and ends.\n"
"\n"
"  -f, --follow   go on with what happens, until they all have ended or Ctrl-C\n"
"  --json         as the bus has it: the name and an object for each event\n";

struct watch {
	bool follow, json;
	struct pollfd poll[SERVERS_MAX];
	nfds_t n;
};

static void print_event(const struct watch *w, const struct rk_event *e)
{
	time_t s = e->time_ns / 1000000000;
	char when[32], line[1024];
	struct tm tm;

	if (w->json) {
		if (rk__bus_format(e, line, sizeof line) > 0)
			puts(line);
		return;
	}
	localtime_r(&s, &tm);
	strftime(when, sizeof when, "%F %T", &tm);
	printf("%s.%03u %-16s %-11s %s\n", when,
	       (unsigned)(e->time_ns / 1000000 % 1000), e->server,
	       rk_event_word(e->kind), e->text);
}

static int add(struct watch *w, const char *path)
{
	int fd;

	if (w->n == SERVERS_MAX)
		return -E2BIG;
	fd = rk_watch(path);
	if (fd < 0)
		return fd;
	w->poll[w->n].fd = fd;
	w->poll[w->n++].events = POLLIN;
	return 0;
}

static int add_peer(void *arg, const char *path, const struct rk_status *s)
{
	add(arg, path);
	return 0;
}

static void leave(struct watch *w, struct pollfd *p)
{
	close(p->fd);
	*p = w->poll[--w->n];
}

static void take(struct watch *w, struct pollfd *p)
{
	struct rk_event e;

	if (rk_watch_next(p->fd, &e) < 0)
		leave(w, p);
	else if (e.kind != RK_HAPPENED_NOTHING)
		print_event(w, &e);
	else if (!w->follow)
		leave(w, p);
}

static void listen_to(struct watch *w)
{
	while (w->n > 0 && poll(w->poll, w->n, -1) > 0) {
		for (nfds_t i = w->n; i-- > 0;)
			if (w->poll[i].revents)
				take(w, &w->poll[i]);
		fflush(stdout);
	}
}

static int add_named(struct watch *w, const char *name)
{
	char path[4096];
	int e = rk_runtime_socket(name, path, sizeof path);

	if (!e)
		e = add(w, path);
	if (e == -EACCES)
		return complain("no permission to ask the server '%s'", name);
	return e < 0 ? complain_unknown(name) : 0;
}

int cmd_events(int argc, char **argv)
{
	static const struct option options[] = {
		{ "follow", no_argument, NULL, 'f' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	static struct watch w;
	int o, e = 0;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		switch (o) {
		case 'f':
			w.follow = true;
			break;
		case 'j':
			w.json = true;
			break;
		case 'h':
			fputs(help, stdout);
			return 0;
		default:
			return complain_option("events", argv);
		}
	}
	for (int i = optind; i < argc && !e; i++)
		e = add_named(&w, argv[i]);
	if (e)
		return e;
	if (optind == argc)
		for_each_peer(add_peer, &w);
	listen_to(&w);
	return 0;
}
