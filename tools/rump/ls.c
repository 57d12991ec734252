/*
 * ls.c - rump ls: what is mounted where, and for whom.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "rump.h"

static const char help[] =
"usage: rump ls\n"
"\n"
"Lists what the servers of this user have mounted, a line for each mount: name\n"
"of the server, who sees the mount (the program of a rump run, the host, or\n"
"programs that rump run -s NAME starts), how many programs of rump run -s and\n"
"processes with the library use the server, where the mount is seen, driver and\n"
"source. rump ps lists the same servers with their processes.\n";

static const char *audience(const struct rk_status *s)
{
	switch (s->audience) {
	case RK_AUDIENCE_HOST:
		return "host";
	case RK_AUDIENCE_SHARED:
		return "shared";
	default:
		return "program";
	}
}

static int print_mounts(void *arg, const char *path, const struct rk_status *s)
{
	for (const char *m = s->mounts; *m; m += strcspn(m, "\n"),
	     m += *m == '\n') {
		size_t at = strcspn(m, "="), end = strcspn(m, "\n");
		size_t driver = strcspn(m + at + 1, ":");

		printf("%-16s %-8s %8u %7u  %-15.*s  %-8.*s %.*s\n", s->name,
		       audience(s), s->programs, s->clients, (int)at, m,
		       (int)driver, m + at + 1, (int)(end - at - driver - 2),
		       m + at + driver + 2);
	}
	return 0;
}

int cmd_ls(int argc, char **argv)
{
	int e = take_help("ls", help, argc, argv);

	if (e)
		return e;
	if (optind < argc)
		return complain("ls: takes no '%s'; see rump ls --help",
				argv[optind]);
	printf("%-16s %-8s %8s %7s  %-15s  %-8s %s\n", "NAME", "SEEN BY",
	       "PROGRAMS", "CLIENTS", "PATH", "DRIVER", "SOURCE");
	for_each_peer(print_mounts, NULL);
	return 0;
}
