/*
 * proc.c - see proc.h. A process that is gone is neither stopped nor does it
 * wait.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "supervisor/proc.h"

/* The start of /proc/PID/NAME; false: there is none. */
static bool read_start(pid_t pid, const char *name, char *ret, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, ret, size - 1);
	if (fd >= 0)
		close(fd);
	ret[n < 0 ? 0 : n] = 0;
	return n > 0;
}

/* The letter of proc(5); 0: there is none. */
static char state(pid_t pid)
{
	char text[256], *p;

	if (!read_start(pid, "stat", text, sizeof text))
		return 0;
	/* its name may hold anything */
	p = strrchr(text, ')');
	return p && p[1] == ' ' ? p[2] : 0;
}

bool rk__proc_stopped(pid_t pid)
{
	char now = state(pid);

	return now == 'T' || now == 't';
}

uint64_t rk__proc_had(pid_t pid, uint64_t dt, struct rk__times *last)
{
	struct rk__times now;
	char text[128];
	uint64_t ns;

	if (!read_start(pid, "schedstat", text, sizeof text) ||
	    sscanf(text, "%" SCNu64 "%" SCNu64, &now.cpu, &now.crowded) != 2)
		return dt;
	switch (state(pid)) {
	case 0:
	case 'R':
		ns = now.cpu - last->cpu;
		break;
	case 'D':
		ns = 0;
		break;
	default:
		ns = now.crowded - last->crowded;
		ns = ns < dt ? dt - ns : 0;
	}
	*last = now;
	return ns < dt ? ns : dt;
}
