/*
 * proxy.c - rows whose sides are processes: the same worker natively, on a
 * mount, and under the proxies, in turns.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include "bench.h"

struct worker {
	const char *work;
	FILE *to, *from;
	pid_t pid;
};

/* command: shell text that becomes a worker (worker.c). */
static void start_worker(struct worker *w, const char *work,
			 const char *command)
{
	int to[2], from[2];

	if (pipe(to) < 0 || pipe(from) < 0)
		die("pipe", errno);
	w->pid = fork();
	if (w->pid < 0)
		die("fork", errno);
	if (w->pid == 0) {
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[0]);
		close(to[1]);
		close(from[0]);
		close(from[1]);
		execl("/bin/sh", "sh", "-c", command, NULL);
		die("/bin/sh", errno);
	}
	close(to[0]);
	close(from[1]);
	w->work = work;
	/* the next ones are not to hold it open */
	must(fcntl(to[1], F_SETFD, FD_CLOEXEC), "fcntl");
	must(fcntl(from[0], F_SETFD, FD_CLOEXEC), "fcntl");
	w->to = fdopen(to[1], "w");
	w->from = fdopen(from[0], "r");
}

static int ask_worker(void *arg, unsigned n)
{
	struct worker *w = arg;
	int e;

	fprintf(w->to, "%s %u\n", w->work, n);
	if (fflush(w->to) < 0 || fscanf(w->from, "%d", &e) != 1)
		return -EPIPE;
	return -e;
}

static void end_worker(struct worker *w)
{
	fclose(w->to);
	fclose(w->from);
	waitpid(w->pid, NULL, 0);
}

void row_proxy(const char *row, const char *work, unsigned n, char **sides,
	       unsigned n_sides)
{
	struct worker worker[SIDES_MAX] = { { 0 } };
	struct side side[SIDES_MAX] = { { 0 } };

	if (n_sides > SIDES_MAX)
		die("too many sides", E2BIG);
	if (bench.quick)
		n = n / 50 + 1;
	signal(SIGPIPE, SIG_IGN);
	for (unsigned i = 0; i < n_sides; i++) {
		char *command = strchr(sides[i], '=');

		if (!command)
			die(sides[i], EINVAL);
		*command++ = 0;
		start_worker(&worker[i], work, command);
		side[i] = (struct side){ .name = sides[i], .run = ask_worker,
					 .arg = &worker[i], .n = n };
	}
	compare(row, side, n_sides);
	for (unsigned i = 0; i < n_sides; i++)
		end_worker(&worker[i]);
}
