/*
 * ps.c - rump ps: the servers that run.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "rump.h"

static const char help[] =
"usage: rump ps [--pids]\n"
"\n"
"Lists the servers of this user: name, pid of the supervisor, how long it runs,\n"
"how often its server was replaced, client processes of its library, mounts.\n"
"\n"
"  --pids   one line for each process instead: name, role, pid\n";

void format_uptime(uint64_t started_s, char ret[32])
{
	uint64_t s = time(NULL);

	s = s > started_s ? s - started_s : 0;
	if (s < 60)
		snprintf(ret, 32, "%" PRIu64 "s", s);
	else if (s < 3600)
		snprintf(ret, 32, "%" PRIu64 "m%02" PRIu64 "s",
			 s / 60, s % 60);
	else
		snprintf(ret, 32, "%" PRIu64 "h%02" PRIu64 "m",
			 s / 3600, s / 60 % 60);
}

static int print_server(void *arg, const char *path, const struct rk_status *s)
{
	const char *m = s->mounts;
	char uptime[32];

	format_uptime(s->started_s, uptime);
	printf("%-16s %7u %8s %8u %7u ", s->name, s->supervisor, uptime,
	       s->restarts, s->clients);
	while (*m) {
		size_t len = strcspn(m, "\n");

		printf(" %.*s", (int)len, m);
		m += len + (m[len] == '\n');
	}
	putchar('\n');
	return 0;
}

static int print_pids(void *arg, const char *path, const struct rk_status *s)
{
	const struct {
		const char *role;
		uint32_t pid;
	} process[] = {
		{ "holder", s->holder }, { "supervisor", s->supervisor }, { "zygote", s->zygote },
		{ "keeper", s->keeper }, { "server", s->server },
		{ "standby", s->standby },
	};

	for (size_t i = 0; i < sizeof process / sizeof *process; i++)
		if (process[i].pid)
			printf("%s %s %u\n", s->name, process[i].role,
			       process[i].pid);
	return 0;
}

int cmd_ps(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pids", no_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	bool pids = false;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 'p')
			return complain_option("ps", argv);
		pids = true;
	}
	if (optind < argc)
		return complain("ps: takes no '%s'; see rump ps --help",
				argv[optind]);
	if (!pids)
		printf("%-16s %7s %8s %8s %7s  %s\n", "NAME", "PID", "UPTIME",
		       "RESTARTS", "CLIENTS", "MOUNTS");
	for_each_peer(pids ? print_pids : print_server, NULL);
	return 0;
}
