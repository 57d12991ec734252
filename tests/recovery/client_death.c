/*
 * client_death.c - a client of the library is killed in the middle of its
 * calls, again and again, and nothing of it stays: the lock it held is free for
 * the next, its descriptors and its channel too.
 *
 *	client_death PATH ROUNDS
 *
 * Each round's child attaches, takes a POSIX, an OFD and a flock lock, opens
 * many files and writes until it is killed. The parent then gets each lock
 * without waiting long.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <rump/client.h>

enum { FDS = 200, WAIT_MS = 60000 };

static char socket_path[4096], path[2048];

static int64_t must(int64_t r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "client_death: %s: %s\n", what,
			strerror((int)-r));
		exit(1);
	}
	return r;
}

static int open_lock(struct rk_client *c, int i)
{
	char name[4096];

	snprintf(name, sizeof(name), "%s/lock%d", path, i);
	return (int)must(rk_openat(c, RK_AT_FDCWD, name, O_RDWR | O_CREAT,
				   0644), "open");
}

static int64_t take(struct rk_client *c, int i, int fd)
{
	if (i == 2)
		return rk_flock(c, fd, LOCK_EX | LOCK_NB);
	return rk_setlk(c, fd, F_WRLCK, 0, 0, SEEK_SET, i == 1);
}

static _Noreturn void child(int ready)
{
	struct rk_client *c;
	char buf[5000];
	int fd = -1;

	memset(buf, 'x', sizeof(buf));
	must(rk_attach(socket_path, 0, &c), "attach");
	for (int i = 0; i < 3; i++)
		must(take(c, i, open_lock(c, i)), "lock");
	for (int i = 0; i < FDS; i++)
		fd = open_lock(c, 3);
	must(write(ready, "x", 1), "tell");
	for (int64_t i = 0;; i++)
		must(rk_pwrite(c, fd, buf, sizeof(buf), i % 1000), "write");
}

static void nap(long us)
{
	struct timespec t = { .tv_nsec = us * 1000 };

	nanosleep(&t, NULL);
}

static void round_trip(struct rk_client *c, const int *fd, unsigned n)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	must(pipe2(ready, O_CLOEXEC), "pipe");
	pid = fork();
	if (pid == 0)
		child(ready[1]);
	must(pid, "fork");
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		fprintf(stderr, "client_death: the child failed\n");
		exit(1);
	}
	close(ready[0]);
	nap((long)(n * 97 % 3000));
	if (take(c, 0, fd[0]) != -EAGAIN) {
		fprintf(stderr, "client_death: the lock was not held\n");
		exit(1);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	for (int i = 0; i < 3; i++) {
		int64_t r = -EAGAIN;

		for (int ms = 0; ms < WAIT_MS && r == -EAGAIN; ms++) {
			r = take(c, i, fd[i]);
			if (r == -EAGAIN)
				nap(1000);
		}
		must(r, "lock of a dead client");
		if (i == 2)
			must(rk_flock(c, fd[i], LOCK_UN), "unlock");
		else
			must(rk_setlk(c, fd[i], F_UNLCK, 0, 0, SEEK_SET,
				      i == 1), "unlock");
	}
}

int main(int argc, char **argv)
{
	struct rk_client *c;
	unsigned rounds;
	int fd[3];

	if (argc != 3 || rk_socket_path(NULL, socket_path,
					sizeof(socket_path)) < 0) {
		fprintf(stderr, "client_death PATH ROUNDS, with RUMP_SOCKET\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s", argv[1]);
	rounds = (unsigned)atoi(argv[2]);
	must(rk_attach(socket_path, 0, &c), "attach");
	for (int i = 0; i < 3; i++)
		fd[i] = open_lock(c, i);
	for (unsigned n = 0; n < rounds; n++)
		round_trip(c, fd, n);
	rk_detach(c);
	printf("client_death: %u clients killed, all freed\n", rounds);
	return 0;
}
