/*
 * threads.c - many threads use one client at once: calls and rings, threads
 * that come and go, a fork in the middle. Built with the thread sanitizer it
 * tells whether the library's own state is safe; the server beside it is a
 * real one.
 *
 *	system-threads DIR [ROUNDS], with $RUMP_SOCKET
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rump/client.h>

enum { THREADS = 6, CALLS = 60, BLOCK = 512, IN_FLIGHT = 32 };

static struct rk_client *client;
static const char *dir;
static int shared_fd;

static int64_t must(int64_t r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "threads: %s: %s\n", what, strerror((int)-r));
		exit(1);
	}
	return r;
}

static void same(int64_t got, int64_t want, const char *what)
{
	if (got != want) {
		fprintf(stderr, "threads: %s is %lld, should be %lld\n", what,
			(long long)got, (long long)want);
		exit(1);
	}
}

static int open_own(unsigned thread)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/thread%u", dir, thread);
	return (int)must(rk_openat(client, RK_AT_FDCWD, path,
				   O_RDWR | O_CREAT | O_TRUNC, 0644), path);
}

static void use_ring(int fd, unsigned thread)
{
	static _Thread_local char buf[IN_FLIGHT][BLOCK];
	struct rk_completion done[IN_FLIGHT];
	unsigned taken = 0;

	for (unsigned i = 0; i < IN_FLIGHT; i++)
		must(rk_submit_pread(client, i, fd, buf[i], BLOCK,
				     (int64_t)i * BLOCK), "submit");
	while (taken < IN_FLIGHT) {
		int n = (int)must(rk_complete(client, done, IN_FLIGHT, 1),
				  "complete");

		for (int i = 0; i < n; i++) {
			same(done[i].result, BLOCK, "a read of the ring");
			same(buf[done[i].tag][7],
			     (char)(thread + done[i].tag), "its content");
		}
		taken += (unsigned)n;
	}
}

static void *work(void *arg)
{
	unsigned thread = (unsigned)(uintptr_t)arg;
	int fd = open_own(thread);
	char buf[BLOCK];

	for (unsigned i = 0; i < CALLS; i++) {
		memset(buf, (int)(thread + i), sizeof(buf));
		same(rk_pwrite(client, fd, buf, BLOCK, (int64_t)i * BLOCK),
		     BLOCK, "pwrite");
		same(rk_pread(client, fd, buf, BLOCK, (int64_t)i * BLOCK),
		     BLOCK, "pread");
		same(buf[7], (char)(thread + i), "what was read");
		same(rk_write(client, shared_fd, "x", 1), 1, "append");
		must(rk_null(client), "null");
	}
	use_ring(fd, thread);
	must(rk_close(client, fd), "close");
	return NULL;
}

/* The child goes on with what it inherited, in a thread of its own too. */
static pid_t fork_one(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		same(rk_write(client, shared_fd, "x", 1), 1, "child's append");
		must(rk_close(client, open_own(1000)), "child's close");
		_exit(0);
	}
	must(pid, "fork");
	return pid;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
	char path[4096];
	struct rk_stat st;
	int status;

	if (argc < 2) {
		fprintf(stderr, "system-threads DIR [ROUNDS]\n");
		return 2;
	}
	dir = argv[1];
	must(rk_socket_path(NULL, path, sizeof(path)), "RUMP_SOCKET");
	must(rk_attach(path, 0, &client), "attach");
	snprintf(path, sizeof(path), "%s/shared", dir);
	shared_fd = (int)must(rk_openat(client, RK_AT_FDCWD, path,
					O_WRONLY | O_CREAT | O_APPEND, 0644),
			      path);
	for (unsigned r = 0; r < rounds; r++) {
		pthread_t t[THREADS];
		pid_t pid;

		for (unsigned i = 0; i < THREADS; i++)
			must(-pthread_create(&t[i], NULL, work,
					     (void *)(uintptr_t)i), "thread");
		pid = fork_one();
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(t[i], NULL);
		if (waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "threads: the child failed\n");
			return 1;
		}
	}
	must(rk_fstat(client, shared_fd, &st), "fstat");
	same((int64_t)st.size, (int64_t)rounds * (THREADS * CALLS + 1),
	     "the size of the shared file");
	rk_detach(client);
	printf("threads: %u rounds of %d threads and a fork\n", rounds, THREADS);
	return 0;
}
