/*
 * upgrade.c - what a client sees of rump upgrade: the longest time that one of
 * its calls takes while another build takes the server's place; and what it takes
 * to write a server's state to a file, and to start a server with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

enum { UPGRADES = 100, UPGRADES_QUICK = 4, EXPORTS = 20, EXPORTS_QUICK = 2 };

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

/* --- export and import ------------------------------------------------------------ */

/* Nanoseconds that a command of rump takes. */
static double run(char *const argv[], const char *rump)
{
	uint64_t start = now_ns();
	pid_t pid = fork();
	int status;

	if (pid < 0)
		die("fork", errno);
	if (pid == 0) {
		execv(rump, argv);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) ||
	    WEXITSTATUS(status))
		die(argv[1], EIO);
	return (double)(now_ns() - start);
}

void row_export(const char *rump, const char *server, const char *dir,
		unsigned files)
{
	unsigned n = bench.quick ? EXPORTS_QUICK : EXPORTS;
	char file[4096], image[4096], name[128], note[64];
	char *const export[] = { "rump", "export", (char *)server, file, NULL };
	char *const import[] = { "rump", "import", "--image", image, file,
				 name, NULL };
	char *const stop[] = { "rump", "stop", name, NULL };
	static double out[EXPORTS], in[EXPORTS];
	struct stat st;
	double size;

	snprintf(file, sizeof(file), "%s/state", dir);
	snprintf(image, sizeof(image), "%s/imported.img", dir);
	snprintf(name, sizeof(name), "%s-imported", server);
	open_many(files > 500 ? files / 500 : 1, files);
	for (unsigned i = 0; i < n; i++) {
		out[i] = run(export, rump);
		in[i] = run(import, rump);
		run(stop, rump);
		unlink(image);
	}
	size = stat(file, &st) == 0 ? (double)st.st_size : 0;
	snprintf(note, sizeof(note), "%u files open, with the image", files);
	print_values("export", "rump", out, n, "ns", note);
	print_values("import", "rump", in, n, "ns", note);
	print_values("export", "size", &size, 1, "bytes", note);
}
