/*
 * status.c - rump status: all that is known of a server.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "config.h"
#include "runtime.h"

static const char help[] =
"usage: rump status [NAME]...\n"
"\n"
"Tells of the server NAME, or of all servers of this user: what it does, for how\n"
"long, its config, its mounts and who uses them, how often and why its servers\n"
"were replaced, the last death, whether everything is in the images, and the\n"
"processes.\n";

/* "3 clients" */
static void print_count(uint64_t n, const char *what)
{
	printf("%" PRIu64 " %s%s", n, what, n == 1 ? "" : "s");
}

static void print_time(uint64_t at_s)
{
	char text[32] = "";
	time_t t = at_s;
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &tm);
	fputs(text, stdout);
}

static void print_state(const struct rk_status *s)
{
	static const char *const state[] = {
		[RK_STATE_STARTING] = "starts", [RK_STATE_SERVING] = "serves",
		[RK_STATE_RESTARTING] = "restarts",
		[RK_STATE_STOPPING] = "stops",
	};
	char since[32];

	format_uptime(s->started_s, since);
	printf("%s: %s; started ", s->name, s->state <= RK_STATE_STOPPING ?
	       state[s->state] : "?");
	print_time(s->started_s);
	printf(", %s ago%s\n", since, s->managed ? ", by systemd" : "");
}

static void print_mounts(const struct rk_status *s)
{
	static const char *const who[] = {
		[RK_AUDIENCE_PROGRAM] = "for its program",
		[RK_AUDIENCE_HOST] = "for the host",
		[RK_AUDIENCE_SHARED] = "shared",
	};
	const char *m = s->mounts;

	while (*m) {
		size_t path = strcspn(m, "="), len = strcspn(m, "\n");

		printf("  mount      %.*s: %.*s%s%s\n", (int)path, m,
		       (int)(len - path - (m[path] == '=')),
		       m + path + (m[path] == '='),
		       s->audience <= RK_AUDIENCE_SHARED ? ", " : "",
		       s->audience <= RK_AUDIENCE_SHARED ? who[s->audience] :
		       "");
		m += len + (m[len] == '\n');
	}
	fputs("  used by    ", stdout);
	print_count(s->programs, "program");
	fputs(", ", stdout);
	print_count(s->clients, "client");
	puts(" of the library");
}

static void print_deaths(const struct rk_status *s)
{
	static const char *const how[RK_DEATH_KINDS] = {
		[RK_DEATH_NONE] = "none",
		[RK_DEATH_KILL] = "killed", [RK_DEATH_FAULT] = "crashed",
		[RK_DEATH_DEADLINE] = "hung",
		[RK_DEATH_MEMORY] = "without memory",
		[RK_DEATH_REFUSED] = "found nothing to trust",
		[RK_DEATH_OTHER] = "ended",
	};
	const char *signal = s->last_signal ? sigabbrev_np(s->last_signal) :
			     NULL;

	fputs("  restarts   ", stdout);
	print_count(s->restarts, "restart");
	for (unsigned i = 0; i < RK_DEATH_KINDS; i++)
		if (s->deaths[i])
			printf(", %" PRIu64 " %s", s->deaths[i], how[i]);
	printf("; %" PRIu64 " requests refused; %u of %u deaths without "
	       "progress\n", s->quarantined, s->idle_deaths, s->limit);
	if (!s->last_death_s || s->last_death >= RK_DEATH_KINDS)
		return;
	fputs("  last death ", stdout);
	print_time(s->last_death_s);
	printf(": %s%s%s%s%s%.31s", how[s->last_death],
	       signal ? " (SIG" : "", signal ? signal : "", signal ? ")" : "",
	       s->last_op[0] ? " in " : "", s->last_op);
	printf("; the next served %" PRIu64 " us later\n", s->last_outage_us);
}

static void print_processes(const struct rk_status *s)
{
	const struct {
		const char *role;
		uint32_t pid;
	} process[] = {
		{ "holder", s->holder }, { "supervisor", s->supervisor },
		{ "zygote", s->zygote }, { "keeper", s->keeper },
		{ "server", s->server }, { "standby", s->standby },
	};
	const char *between = "";

	fputs("  processes  ", stdout);
	for (size_t i = 0; i < sizeof process / sizeof *process; i++) {
		if (!process[i].pid)
			continue;
		printf("%s%s %u", between, process[i].role, process[i].pid);
		between = ", ";
	}
	putchar('\n');
}

static int print(void *arg, const char *path, const struct rk_status *s)
{
	char config[4096];

	print_state(s);
	if (config_find(s->name, config, sizeof config) == 0)
		printf("  config     %s\n", config);
	print_mounts(s);
	print_deaths(s);
	printf("  work       %" PRIu64 " calls, %" PRIu64 " commits; ", s->ops,
	       s->commits);
	if (s->unflushed)
		printf("%" PRIu64 " not in the images yet\n", s->unflushed);
	else
		puts("all in the images");
	print_processes(s);
	return 0;
}

int complain_idle(const char *name, const char *socket_path)
{
	char config[4096];

	if (is_asleep(socket_path))
		return complain("'%s' does not run; whoever connects to %s "
				"starts it", name, socket_path);
	if (config_find(name, config, sizeof config) == 0)
		return complain("'%s' does not run; rump start %s starts it "
				"by %s", name, name, config);
	return complain_unknown(name);
}

static int status(const char *name)
{
	struct rk_status s;
	char path[4096];
	int e = rk_runtime_socket(name, path, sizeof path);

	if (e < 0)
		return complain_unknown(name);
	e = is_asleep(path) ? -ECONNREFUSED :
	    ask_peer(path, RK_HELLO_STATUS, 5, &s);
	if (e == -EACCES)
		return complain("no permission to ask the server '%s'", name);
	if (e == -EAGAIN)
		return complain("the server '%s' does not answer", name);
	return e < 0 ? complain_idle(name, path) : print(NULL, path, &s);
}

int cmd_status(int argc, char **argv)
{
	int r = take_help("status", help, argc, argv);

	if (r)
		return r;
	if (optind == argc)
		for_each_peer(print, NULL);
	for (int i = optind; i < argc; i++)
		if (status(argv[i]))
			r = RUMP_FAILED;
	return r;
}
