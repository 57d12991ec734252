/*
 * reap.c - what is left of a supervisor that was killed: its family, which
 * becomes its holder's.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>
#include "daemon.h"

enum { REAP_LOOK_MS = 1, REAP_NOTIFIER_MS = 100, REAP_MAX_MS = 10000 };

/* A notifier may wait in the kernel for a page that a successor has to bring,
 * and does nothing else any more. */
static bool is_notifier(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	(void)!fgets(name, sizeof name, f);
	fclose(f);
	return strcmp(name, "rump-notifier\n") == 0;
}

static bool only_notifiers(void)
{
	char path[64];
	int pid, others = 0;
	FILE *f;

	snprintf(path, sizeof path, "/proc/self/task/%d/children",
		 (int)getpid());
	f = fopen(path, "re");
	if (!f)
		return false;
	while (fscanf(f, "%d", &pid) == 1)
		others += !is_notifier(pid);
	fclose(f);
	return others == 0;
}

bool reap_family(void)
{
	const struct timespec look = { .tv_nsec = REAP_LOOK_MS * 1000000 };
	pid_t pid = 0;

	for (int ms = 0; ms < REAP_MAX_MS; ms += REAP_LOOK_MS) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0 && errno == ECHILD)
			return true;
		if (ms >= REAP_NOTIFIER_MS && only_notifiers())
			return true;
		nanosleep(&look, NULL);
	}
	return false;
}
