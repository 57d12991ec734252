/*
 * status.c - what /proc/PID/status says. Only looked at when a process is first
 * seen, after its ids may have changed, and while a call of it waits.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "notify/notify_int.h"

enum { STATUS_MAX = 8192 };

/* The text after "Name:" at the beginning of a line; "" if it is not there. */
static const char *field(const char *text, const char *name)
{
	size_t len = strlen(name);

	while (text) {
		if (strncmp(text, name, len) == 0 && text[len] == ':')
			return text + len + 1;
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return "";
}

/* The nth of the numbers there. */
static uint32_t number(const char *at, unsigned nth)
{
	char *end;
	unsigned long v = 0;

	for (unsigned i = 0; i <= nth; i++) {
		v = strtoul(at, &end, 10);
		at = end;
	}
	return (uint32_t)v;
}

/* Numbers until the end of the line. */
static uint32_t read_groups(const char *at, uint32_t group[GROUPS_MAX])
{
	uint32_t n = 0;

	for (;;) {
		while (*at == ' ' || *at == '\t')
			at++;
		if (*at < '0' || *at > '9' || n == GROUPS_MAX)
			return n;
		group[n++] = (uint32_t)strtoul(at, (char **)&at, 10);
	}
}

int status_read(pid_t pid, struct status *ret)
{
	char path[32], text[STATUS_MAX];
	ssize_t n = 0, got = 1;
	int fd;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (got > 0 && (size_t)n < sizeof text - 1) {
		got = read(fd, text + n, sizeof text - 1 - (size_t)n);
		n += got > 0 ? got : 0;
	}
	close(fd);
	if (n == 0)
		return -ESRCH;
	text[n] = 0;
	*ret = (struct status){
		.tgid = (pid_t)number(field(text, "Tgid"), 0),
		.ppid = (pid_t)number(field(text, "PPid"), 0),
		.threads = number(field(text, "Threads"), 0),
		.umask = (uint32_t)strtoul(field(text, "Umask"), NULL, 8),
		.ids.uid = number(field(text, "Uid"), 3),
		.ids.gid = number(field(text, "Gid"), 3),
		.pending = strtoull(field(text, "SigPnd"), NULL, 16),
		.shared_pending = strtoull(field(text, "ShdPnd"), NULL, 16),
		.blocked = strtoull(field(text, "SigBlk"), NULL, 16),
	};
	ret->filtered = number(field(text, "Seccomp"), 0) == 2;
	ret->ids.n_groups = read_groups(field(text, "Groups"), ret->ids.group);
	return ret->tgid > 0 ? 0 : -ESRCH;
}
