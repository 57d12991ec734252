/*
 * upgrade.c - what a client sees of rump upgrade: the longest time that one of
 * its calls takes while another build takes the server's place.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

enum { UPGRADES = 100, UPGRADES_QUICK = 4 };

static pid_t start_upgrade(const char *rump, const char *server)
{
	pid_t pid = fork();
	int null;

	if (pid < 0)
		die("fork", errno);
	if (pid)
		return pid;
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	dup2(null, STDOUT_FILENO);
	execl(rump, "rump", "upgrade", server, (char *)NULL);
	_exit(127);
}

static double one(struct rk_client *c, const char *rump, const char *server)
{
	pid_t pid = start_upgrade(rump, server);
	uint64_t longest = 0;
	int status;

	for (;;) {
		uint64_t start = now_ns(), took;

		must(rk_null(c), "an answer");
		took = now_ns() - start;
		longest = took > longest ? took : longest;
		if (waitpid(pid, &status, WNOHANG) == pid)
			break;
	}
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("rump upgrade", EIO);
	return (double)longest;
}

void row_upgrade(const char *name, const char *rump, const char *server,
		 unsigned files)
{
	unsigned n = bench.quick ? UPGRADES_QUICK : UPGRADES;
	struct rk_client *c = open_many(files > 500 ? files / 500 : 1, files);
	static double v[UPGRADES];
	struct rk_status s;
	char note[128];

	for (unsigned i = 0; i < n; i++) {
		wait_for_standby(&s);
		v[i] = one(c, rump, server);
	}
	sort_values(v, n);
	snprintf(note, sizeof(note), "%u upgrades, the longest call of a "
		 "client in each; %u files open", n, files);
	printf("%s|p50|%.6g|%.6g|%.6g|ns|%s\n", name, percentile(v, n, 0.5),
	       v[0], v[n - 1], note);
	printf("%s|p99|%.6g|%.6g|%.6g|ns|%s\n", name, percentile(v, n, 0.99),
	       v[0], v[n - 1], note);
	fflush(stdout);
}
