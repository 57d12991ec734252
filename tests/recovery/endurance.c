/*
 * endurance.c - kills the server of a family, and its successor as soon as that
 * has done a call, for very many generations, while a client counts: each of
 * its calls happens once.
 *
 *	endurance PATH SUPERVISOR RESTARTS SECONDS LOOK	with $RUMP_SOCKET
 *
 * LOOK is run as a command after a tenth of the restarts, with "before" in
 * $WHEN, and with "after" at the end, which is after RESTARTS, or after SECONDS
 * if a tenth was done. Prints how many there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <rump/client.h>
#include "../harness/board.h"

enum { BATCH = 64, LOOK_US = 50, WAIT_S = 120 };

static const char *path;
static atomic_ulong calls;
static atomic_bool over;

static void die(const char *what, long long value)
{
	printf("endurance: %s (%lld)\n", what, value);
	exit(1);
}

static int64_t must(int64_t r, const char *what)
{
	if (r < 0)
		die(what, r);
	atomic_fetch_add(&calls, 1);
	return r;
}

/* --- the client --------------------------------------------------------------- */

/* A name that is made once can be taken away once. */
static void names(struct rk_client *c)
{
	char dir[4096];

	snprintf(dir, sizeof dir, "%s/dir", path);
	must(rk_mkdirat(c, RK_AT_FDCWD, dir, 0755), "mkdir");
	must(rk_unlinkat(c, RK_AT_FDCWD, dir, AT_REMOVEDIR), "rmdir");
}

/* What is appended once is there once, in order. */
static void batch(struct rk_client *c, int fd)
{
	uint32_t seen[BATCH + 1];
	int64_t n;

	for (uint32_t i = 0; i < BATCH; i++)
		must(rk_write(c, fd, &i, sizeof i), "append");
	must(rk_fsync(c, fd), "fsync");
	n = must(rk_pread(c, fd, seen, sizeof seen, 0), "read");
	if (n != BATCH * sizeof *seen)
		die("bytes in the file, where a batch was appended", n);
	for (uint32_t i = 0; i < BATCH; i++)
		if (seen[i] != i)
			die("another number is where one was appended", i);
	must(rk_ftruncate(c, fd, 0), "truncate");
}

static void *work(void *arg)
{
	struct rk_client *c = arg;
	char name[4096];
	int fd;

	snprintf(name, sizeof name, "%s/file", path);
	fd = (int)must(rk_openat(c, RK_AT_FDCWD, name,
				 O_RDWR | O_CREAT | O_APPEND, 0644), "open");
	while (!atomic_load(&over)) {
		batch(c, fd);
		names(c);
	}
	return NULL;
}

/* --- the killer --------------------------------------------------------------- */

static uint64_t now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

/* The server that holds the lock, unless it is the one that was killed. */
static pid_t serving(const struct board *t, pid_t killed)
{
	uint32_t word, phase;

	if (!board_load(t, offsetof(struct rk__board, phase), &phase,
			sizeof phase) ||
	    !board_load(t, offsetof(struct rk__board, lock), &word,
			sizeof word))
		die("the supervisor is gone", 0);
	if (phase != RK_PHASE_SERVE || word & FUTEX_OWNER_DIED)
		return 0;
	word &= FUTEX_TID_MASK;
	return (pid_t)word == killed ? 0 : (pid_t)word;
}

/* It holds the lock all the while, so the number is its own. */
static bool kill_it(const struct board *t, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	bool done = fd >= 0 && serving(t, 0) == pid &&
		    syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0;

	if (fd >= 0)
		close(fd);
	return done;
}

static void wait_for_call(void)
{
	unsigned long before = atomic_load(&calls);
	uint64_t end = now_s() + WAIT_S;

	while (atomic_load(&calls) == before) {
		usleep(LOOK_US);
		if (now_s() >= end)
			die("no call was answered in s", WAIT_S);
	}
}

static pid_t restart(const struct board *t, pid_t killed)
{
	uint64_t end = now_s() + WAIT_S;
	pid_t pid = 0;

	wait_for_call();
	while (!pid || !kill_it(t, pid)) {
		usleep(LOOK_US);
		if (now_s() >= end)
			die("no successor in s", WAIT_S);
		pid = serving(t, killed);
	}
	return pid;
}

static void look(const char *command, const char *when)
{
	int r;

	setenv("WHEN", when, 1);
	r = system(command);
	if (r)
		die("the look failed with status", r);
}

static unsigned long kill_all(const struct board *t, unsigned long restarts,
			      uint64_t seconds, const char *command)
{
	uint64_t end = now_s() + seconds;
	unsigned long n = 0;
	pid_t last = 0;

	while (n < restarts && (n <= restarts / 10 || now_s() < end)) {
		last = restart(t, last);
		if (++n == restarts / 10)
			look(command, "before");
	}
	wait_for_call();
	look(command, "after");
	return n;
}

int main(int argc, char **argv)
{
	const char *socket = getenv("RUMP_SOCKET");
	struct rk_client *c;
	struct board t;
	pthread_t thread;
	unsigned long n;

	if (argc != 6 || !socket) {
		fprintf(stderr, "endurance PATH SUPERVISOR RESTARTS SECONDS "
			"LOOK, with RUMP_SOCKET\n");
		return 2;
	}
	path = argv[1];
	if (board_find(argv[2], &t) < 0)
		die("no board to be read", 0);
	must(rk_attach(socket, 0, &c), "attach");
	if (pthread_create(&thread, NULL, work, c))
		die("no thread", errno);
	n = kill_all(&t, strtoul(argv[3], NULL, 10),
		     strtoul(argv[4], NULL, 10), argv[5]);
	atomic_store(&over, true);
	pthread_join(thread, NULL);
	rk_detach(c);
	printf("endurance: %lu restarts, %lu calls\n", n, atomic_load(&calls));
	return 0;
}
