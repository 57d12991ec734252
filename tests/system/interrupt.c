/*
 * interrupt.c - a signal ends a wait for a lock, and the server forgets the
 * wait: no circle of waits is seen where there is none any more. Over and over,
 * so that kills of the server beside it fall everywhere.
 *
 *	system-interrupt DIR [ROUNDS], with $RUMP_SOCKET
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <unistd.h>
#include "rump/client.h"

static char file[4096];

struct side {
	struct rk_client *client;	/* a process of its own to the server */
	int32_t fd;
};

static void must(int64_t r, int64_t want, const char *what)
{
	if (r == want)
		return;
	printf("%s: %lld, should be %lld\n", what, (long long)r,
	       (long long)want);
	exit(1);
}

static void nothing(int number)
{
	(void)number;
}

static void open_side(struct side *s)
{
	char path[108];
	int64_t fd;

	must(rk_socket_path(NULL, path, sizeof path), 0, "RUMP_SOCKET");
	must(rk_attach(path, 0, &s->client), 0, "attach");
	fd = rk_openat(s->client, RK_AT_FDCWD, file, O_RDWR | O_CREAT, 0644);
	must(fd >= 0, true, "open");
	s->fd = (int32_t)fd;
}

/* More than one: the first may come before the wait. */
static void signal_soon(bool on)
{
	struct itimerval t = {
		.it_value.tv_usec = on ? 5000 : 0,
		.it_interval.tv_usec = on ? 5000 : 0,
	};

	setitimer(ITIMER_REAL, &t, NULL);
}

static void wait_in_vain(const struct side *s, int64_t start)
{
	signal_soon(true);
	must(rk_setlkw(s->client, s->fd, F_WRLCK, start, 1, SEEK_SET, 0),
	     -EINTR, "a wait that is interrupted");
	signal_soon(false);
}

static void set(const struct side *s, uint32_t type, int64_t start)
{
	must(rk_setlk(s->client, s->fd, type, start, 1, SEEK_SET, 0), 0,
	     "setlk");
}

static void one_round(const struct side *a, const struct side *b)
{
	set(a, F_WRLCK, 0);
	set(b, F_WRLCK, 1);
	wait_in_vain(a, 1);
	wait_in_vain(b, 0);
	set(a, F_UNLCK, 0);
	must(rk_setlkw(b->client, b->fd, F_WRLCK, 0, 1, SEEK_SET, 0), 0,
	     "a lock that is free");
	set(b, F_UNLCK, 0);
	set(b, F_UNLCK, 1);
	must(rk_flock(a->client, a->fd, LOCK_EX), 0, "flock");
	signal_soon(true);
	must(rk_flock(b->client, b->fd, LOCK_EX), -EINTR, "flock that waits");
	signal_soon(false);
	must(rk_flock(a->client, a->fd, LOCK_UN), 0, "flock");
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = nothing };
	int rounds = argc > 2 ? atoi(argv[2]) : 20;
	struct side a, b;

	if (argc < 2) {
		fprintf(stderr, "system-interrupt DIR [ROUNDS]\n");
		return 2;
	}
	snprintf(file, sizeof file, "%s/interrupt", argv[1]);
	sigaction(SIGALRM, &sa, NULL);
	open_side(&a);
	open_side(&b);
	for (int i = 0; i < rounds; i++)
		one_round(&a, &b);
	rk_detach(a.client);
	rk_detach(b.client);
	printf("%d rounds of interrupted waits\n", rounds);
	return 0;
}
