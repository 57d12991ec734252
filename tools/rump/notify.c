/*
 * notify.c - see notify.h. The protocols are systemd's, as it documents them;
 * its library would bring five others into every process of a server.
 *
 * The watchdog watches in two steps. The supervisor's loop tells the holder
 * once a second that it turns; the holder tells systemd. A supervisor that is
 * silent is killed by the holder, and clients and mounts stay; only a holder
 * that is silent itself costs them.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "notify.h"

enum {
	FIRST_FD = 3,			/* of those that are passed */
	PARTS = 4,			/* of the watchdog's time: looks */
	STARTS = 10,			/* times the watchdog's, to begin */
};

static struct {
	int fd;				/* 0: nobody wants to know */
	struct sockaddr_un to;
	socklen_t to_size;
	uint64_t watchdog_us;		/* 0: none */
	bool ready;
	uint64_t beats, beat_us;	/* the last, and when it was seen */
	uint64_t patience_us;		/* until the next must be there */
	uint64_t looked_us, told_us;
	char status[96];
} notify;

static uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void say(const char *text)
{
	if (notify.fd)
		sendto(notify.fd, text, strlen(text),
		       MSG_NOSIGNAL | MSG_DONTWAIT,
		       (struct sockaddr *)&notify.to, notify.to_size);
}

/* --- what is passed ---------------------------------------------------------------- */

static bool is_for_us(const char *variable)
{
	const char *pid = getenv(variable);

	return pid && strtol(pid, NULL, 10) == getpid();
}

static int take_socket(struct rk__config *c, char *error)
{
	const char *n = getenv("LISTEN_FDS");

	if (!n || !is_for_us("LISTEN_PID"))
		return 0;
	if (strcmp(n, "1") != 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "%.20s sockets were "
			 "passed; a server listens on one", n);
		return -EINVAL;
	}
	if (fcntl(FIRST_FD, F_SETFD, FD_CLOEXEC) < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "a socket was to be "
			 "passed (LISTEN_FDS), and is not there");
		return -EBADF;
	}
	c->listen_fd = FIRST_FD;
	return 0;
}

static void take_address(const char *path)
{
	struct sockaddr_un *a = &notify.to;
	size_t len = strlen(path);

	if ((*path != '/' && *path != '@') || len >= sizeof a->sun_path)
		return;
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, path, len);
	/* the abstract names */
	if (*path == '@')
		a->sun_path[0] = 0;
	notify.to_size = offsetof(struct sockaddr_un, sun_path) + len;
	notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (notify.fd < 0)
		notify.fd = 0;
}

/* For a holder that goes on after us. */
#define HEIR_SOCKET	"RUMP_NOTIFY_SOCKET"
#define HEIR_WATCHDOG	"RUMP_WATCHDOG_USEC"

void notify_take_over(struct rk__config *c)
{
	const char *path = getenv(HEIR_SOCKET), *us = getenv(HEIR_WATCHDOG);

	if (path)
		take_address(path);
	if (notify.fd && us)
		notify.watchdog_us = strtoull(us, NULL, 10);
	notify.ready = true;
	c->managed = notify.fd != 0;
}

bool notify_successor(pid_t pid)
{
	char text[32];

	snprintf(text, sizeof text, "MAINPID=%d\n", (int)pid);
	say(text);
	return notify.fd != 0;
}

int notify_begin(struct rk__config *c, char *error)
{
	static const char *const ours[] = {
		"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS",
		"LISTEN_PID", "LISTEN_FDNAMES",
	};
	const char *path = getenv("NOTIFY_SOCKET");
	const char *us = getenv("WATCHDOG_USEC");
	int e = take_socket(c, error);

	if (path)
		take_address(path);
	if (notify.fd && us &&
	    (!getenv("WATCHDOG_PID") || is_for_us("WATCHDOG_PID")))
		notify.watchdog_us = strtoull(us, NULL, 10);
	c->managed = notify.fd != 0;
	if (notify.fd)
		setenv(HEIR_SOCKET, path, 1);
	if (notify.watchdog_us)
		setenv(HEIR_WATCHDOG, us, 1);
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		unsetenv(ours[i]);
	return e;
}

/* --- what is told ------------------------------------------------------------------ */

void notify_supervisor(void)
{
	/* one that starts may have much to read first */
	notify.beat_us = notify.looked_us = now_us();
	notify.patience_us = STARTS * notify.watchdog_us;
}

int notify_timeout_ms(void)
{
	if (!notify.watchdog_us)
		return -1;
	return (int)(notify.watchdog_us / PARTS / 1000) + 1;
}

static void tell_status(const struct rk__estate_status *s)
{
	char text[sizeof notify.status];

	snprintf(text, sizeof text, "STATUS=Serving %u client%s, %llu "
		 "restart%s.\n", s->users, s->users == 1 ? "" : "s",
		 (unsigned long long)s->restarts, s->restarts == 1 ? "" : "s");
	if (strcmp(text, notify.status) == 0)
		return;
	strcpy(notify.status, text);
	say(text);
}

bool notify_look(const struct rk__estate_status *s)
{
	uint64_t now = now_us(), part = notify.watchdog_us / PARTS;

	if (!notify.fd)
		return false;
	/* we were stopped or frozen ourselves, and it may have been too */
	if (part && now - notify.looked_us > 2 * part)
		notify.beat_us = now;
	notify.looked_us = now;
	if (s->beats != notify.beats) {
		notify.beats = s->beats;
		notify.beat_us = now;
		notify.patience_us = 2 * part;
		if (!notify.ready)
			say("READY=1\n");
		notify.ready = true;
		tell_status(s);
	}
	if (!part)
		return false;
	if (now - notify.told_us >= part) {
		notify.told_us = now;
		say("WATCHDOG=1\n");
	}
	return now - notify.beat_us > notify.patience_us;
}

void notify_stopping(void)
{
	say("STOPPING=1\nSTATUS=Stopping.\n");
}
