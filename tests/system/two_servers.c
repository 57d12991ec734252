/*
 * Two servers in one program, by their sockets: each call reaches the one it
 * was meant for, in threads, in children, after one of them was detached.
 *
 *	two_servers SOCKET PATH SOCKET PATH
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "rump/client.h"

enum { ROUNDS = 200 };

static struct rk_client *client[2];
static char file[2][256];

static void check(int ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "FAIL: %s\n", what);
	exit(1);
}

static int open_at(int i, int flags)
{
	return (int)rk_openat(client[i], RK_AT_FDCWD, file[i], flags, 0644);
}

/* What a server has in its file, a letter for each byte of length len. */
static void expect(int i, int fd, const char *want, const char *what)
{
	char text[64] = "";

	check(rk_pread(client[i], fd, text, sizeof text - 1, 0) ==
	      (int64_t)strlen(want) && strcmp(text, want) == 0, what);
}

static void *alternate(void *arg)
{
	int fd[2] = { open_at(0, O_RDWR), open_at(1, O_RDWR) };

	for (int k = 0; k < ROUNDS; k++) {
		expect(0, fd[0], "first", "a thread reads the first");
		expect(1, fd[1], "the second", "a thread reads the second");
	}
	for (int i = 0; i < 2; i++)
		check(rk_close(client[i], fd[i]) == 0, "close in a thread");
	return NULL;
}

static void write_both(int fd[2])
{
	static const char *const text[2] = { "first", "the second" };

	for (int i = 0; i < 2; i++) {
		fd[i] = open_at(i, O_CREAT | O_TRUNC | O_RDWR);
		check(fd[i] >= 0, "open");
		check(rk_write(client[i], fd[i], text[i], strlen(text[i])) ==
		      (int64_t)strlen(text[i]), "write");
	}
}

static void use_threads(void)
{
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		check(pthread_create(&thread[i], NULL, alternate, NULL) == 0,
		      "pthread_create");
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
}

/* A descriptor of both, its duplicate, and the shared offset. */
static void use_child(int fd[2])
{
	int copy[2], status;
	char c[2] = "";
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		copy[i] = (int)rk_dup(client[i], fd[i], 0);
		check(copy[i] >= 0, "dup");
		check(rk_lseek(client[i], fd[i], 1, SEEK_SET) == 1, "lseek");
	}
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 2; i++)
			check(rk_read(client[i], copy[i], c, 1) == 1 &&
			      c[0] == (i ? 'h' : 'i'), "a child reads");
		alternate(NULL);
		_exit(0);
	}
	check(waitpid(pid, &status, 0) == pid && status == 0, "the child");
	for (int i = 0; i < 2; i++)
		check(rk_read(client[i], fd[i], c, 1) == 1 &&
		      c[0] == (i ? 'e' : 'r'), "offsets are shared");
}

int main(int argc, char **argv)
{
	int fd[2];

	check(argc == 5, "two sockets and paths");
	for (int i = 0; i < 2; i++) {
		snprintf(file[i], sizeof file[i], "%s/two", argv[2 + 2 * i]);
		check(rk_attach(argv[1 + 2 * i], i ? RK_ATTACH_SOCKET : 0,
				&client[i]) == 0, "attach");
	}
	write_both(fd);
	use_threads();
	use_child(fd);
	check(rk_close(client[0], fd[0]) == 0, "close");
	rk_detach(client[0]);
	expect(1, fd[1], "the second", "the other one goes on");
	check(rk_attach(argv[1], 0, &client[0]) == 0, "attach again");
	alternate(NULL);
	rk_detach(client[1]);
	fd[0] = open_at(0, O_RDONLY);
	expect(0, fd[0], "first", "the first one alone");
	rk_detach(client[0]);
	return 0;
}
