/*
 * upgrade.c - rump upgrade: another build of a server takes the place of the
 * one that runs, while clients and mounts stay; and what that build is started
 * as.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "daemon.h"
#include "runtime.h"
#include "supervisor/upgrade.h"

static const char help[] =
"usage: rump upgrade [--program PATH] NAME\n"
"\n"
"Has the server NAME (rump ls) replaced by another build of rump, while clients\n"
"and mounts stay: they notice a pause. The new build reads the state, mounts the\n"
"drivers anew and is asked what the old one was; if it does not answer the same,\n"
"cannot read the state, dies or takes too long, the old one goes on.\n"
"\n"
"  --program PATH   the new build's rump (this program)\n";

static int find_program(const char *given, char *ret)
{
	if (!realpath(given ? given : "/proc/self/exe", ret) ||
	    access(ret, X_OK) < 0)
		return complain("upgrade: cannot run %s: %s",
				given ? given : "this program",
				strerror(errno));
	return 0;
}

static int upgrade(const char *name, const char *program)
{
	struct rk_status before, status;
	char path[4096];
	int e = rk_runtime_socket(name, path, sizeof path);

	if (!e && is_asleep(path))
		return complain_idle(name, path);
	if (!e)
		e = ask_peer(path, RK_HELLO_STATUS, 0, &before);
	if (e == -EACCES)
		return complain("no permission to ask the server '%s'", name);
	if (e < 0)
		return complain_unknown(name);
	e = order_peer(path, RK_ORDER_UPGRADE, program, -1, &status);
	if (e < 0) {
		/* it was killed before it could tell */
		e = ask_peer(path, RK_HELLO_STATUS, 0, &status);
		if (e == 0 && status.supervisor != before.supervisor)
			return complain("'%s' was killed while it handed over; "
					"it is served by process %u", name,
					status.supervisor);
		return complain("'%s' ended while it handed over", name);
	}
	if (status.error)
		return complain("'%s' was not upgraded and goes on: %s", name,
				status.message[0] ? status.message :
				strerror(-status.error));
	wait_for_end(&status);
	if (status.message[0])
		printf("%s\n", status.message);
	return 0;
}

int cmd_upgrade(int argc, char **argv)
{
	static const struct option options[] = {
		{ "program", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	const char *given = NULL;
	char program[PATH_MAX];
	int o, e;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 'p')
			return complain_option("upgrade", argv);
		given = optarg;
	}
	if (argc - optind != 1)
		return complain("upgrade: takes one name; see rump upgrade "
				"--help");
	e = find_program(given, program);
	return e ? e : upgrade(argv[optind], program);
}

int cmd_take_over(int argc, char **argv)
{
	static struct mount_request q;
	static struct rk__handed handed;
	char error[RK_SERVER_ERROR_LEN] = "";
	int fd = argc == 2 ? atoi(argv[1]) : -1, e;

	if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return complain("take-over: only an old server runs this");
	mount_request_init(&q);
	e = rk__handed_receive(fd, &handed, &q.config, error);
	if (e < 0) {
		rk__handed_fail(fd, error);
		return RUMP_FAILED;
	}
	snprintf(q.label, sizeof q.label, "%s:%s", q.config.mount[0].driver,
		 q.config.mount[0].source);
	e = daemon_take_over(&q, &handed, error);
	if (e < 0) {
		rk__handed_fail(handed.socket, error);
		return RUMP_FAILED;
	}
	return e;
}
