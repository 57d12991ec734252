/*
 * ends.c - how a client sees the end of its server, and that attaching leaves
 * nothing behind.
 *
 *	system-ends leak|kill|stop, with $RUMP_SOCKET
 *
 * kill ends the supervisor with SIGKILL, stop asks it to stop, while calls are
 * waited for in every way there is: all get -ESHUTDOWN soon, later ones at once.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "channel.h"
#include "rump/client.h"

enum { CYCLES = 1000, WAYS = 4, SOON_MS = 60000 };

static char path[108];
static struct rk_client *client, *by_socket;
static int32_t fd, socket_fd;
static uint64_t ended_ms[WAYS];

static void must(int64_t r, int64_t want, const char *what)
{
	if (r == want)
		return;
	printf("%s: %lld, should be %lld\n", what, (long long)r,
	       (long long)want);
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* --- nothing is left behind ------------------------------------------------- */

static unsigned count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static unsigned count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned n = 0;
	int ch;

	while ((ch = fgetc(f)) != EOF)
		n += ch == '\n';
	fclose(f);
	return n;
}

static void *call_once(void *c)
{
	must(rk_null(c), 0, "null of a thread");
	return NULL;
}

static void cycle(unsigned n)
{
	struct rk_client *c;
	pthread_t t;

	must(rk_attach(path, n % 4 == 3 ? RK_ATTACH_SOCKET : 0, &c), 0,
	     "attach");
	must(rk_null(c), 0, "null");
	if (n % 8 == 0) {
		must(pthread_create(&t, NULL, call_once, c), 0, "thread");
		pthread_join(t, NULL);
	}
	rk_detach(c);
}

static void leak(void)
{
	unsigned fds, maps;

	for (unsigned n = 0; n < 16; n++)
		cycle(n);
	fds = count_fds();
	maps = count_maps();
	for (unsigned n = 0; n < CYCLES; n++)
		cycle(n);
	must(count_fds(), fds, "descriptors");
	/* The allocator may take another piece. */
	if (count_maps() > maps + 4)
		must(count_maps(), maps, "mappings");
	printf("%d times attached and detached\n", CYCLES);
}

/* --- the end ---------------------------------------------------------------- */

static void *wait_in_call(void *way)
{
	must(rk_setlkw(client, fd, F_WRLCK, 0, 0, SEEK_SET, 1), -ESHUTDOWN,
	     "a call that waits");
	*(uint64_t *)way = now_ms();
	return NULL;
}

static void *wait_in_ring(void *way)
{
	struct rk_completion done;
	int r;

	must(rk_submit_setlkw(client, 1, fd, F_WRLCK, 0, 0, SEEK_SET, 1), 0,
	     "submit");
	r = rk_complete(client, &done, 1, 1);
	must(r == 1 ? done.result : r, -ESHUTDOWN, "a request in the ring");
	*(uint64_t *)way = now_ms();
	return NULL;
}

static void *wait_on_socket(void *way)
{
	must(rk_setlkw(by_socket, socket_fd, F_WRLCK, 0, 0, SEEK_SET, 1),
	     -ESHUTDOWN, "a call over the socket");
	*(uint64_t *)way = now_ms();
	return NULL;
}

static void *spin(void *way)
{
	int64_t r;

	do
		r = rk_null(client);
	while (r == 0);
	must(r, -ESHUTDOWN, "a call that spins");
	*(uint64_t *)way = now_ms();
	return NULL;
}

static int hello(enum rk_hello_kind kind, struct rk_status *ret)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct rk_hello h = {
		.magic = RK_HELLO_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.kind = kind,
	};
	int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	strcpy(addr.sun_path, path);
	must(connect(s, (struct sockaddr *)&addr, sizeof addr), 0, "connect");
	must(send(s, &h, sizeof h, MSG_NOSIGNAL), sizeof h, "hello");
	if (kind == RK_HELLO_STATUS)
		must(recv(s, ret, sizeof *ret, 0), sizeof *ret, "status");
	return s;
}

static void check_soon(uint64_t start)
{
	uint64_t slowest = 0, later = now_ms();

	for (unsigned i = 0; i < WAYS; i++)
		if (ended_ms[i] - start > slowest)
			slowest = ended_ms[i] - start;
	must(slowest <= SOON_MS, true, "that all ended soon");
	must(rk_null(by_socket), -ESHUTDOWN, "a later call by socket");
	printf("all calls ended within %u ms\n", (unsigned)slowest);
	later = now_ms();
	must(rk_null(client), -ESHUTDOWN, "a later call");
	must(now_ms() - later <= SOON_MS, true, "that it ended soon");
	later = now_ms();
	for (unsigned i = 0; i < 100; i++)
		must(rk_null(client), -ESHUTDOWN, "a later call");
	must(rk_submit_null(client, 1), -ESHUTDOWN, "a later submission");
	must(now_ms() - later <= SOON_MS, true, "that they ended at once");
}

static int32_t open_locked(struct rk_client *c)
{
	int64_t r = rk_openat(c, RK_AT_FDCWD, "/vol/ends", O_RDWR | O_CREAT, 0644);

	must(r >= 0, true, "open");
	return (int32_t)r;
}

static void see_the_end(bool killed)
{
	static void *(*const way[WAYS])(void *) = {
		wait_in_call, wait_in_ring, wait_on_socket, spin,
	};
	const struct timespec pause = { .tv_nsec = 200000000 };
	pthread_t t[WAYS];
	struct rk_status status;
	uint64_t start;
	int s = -1;

	must(rk_attach(path, 0, &client), 0, "attach");
	must(rk_attach(path, RK_ATTACH_SOCKET, &by_socket), 0, "attach");
	must(rk_setlk(client, open_locked(client), F_WRLCK, 0, 0, SEEK_SET, 1),
	     0, "lock");
	fd = open_locked(client);
	socket_fd = open_locked(by_socket);
	close(hello(RK_HELLO_STATUS, &status));
	for (unsigned i = 0; i < WAYS; i++)
		must(pthread_create(&t[i], NULL, way[i], &ended_ms[i]), 0,
		     "thread");
	nanosleep(&pause, NULL);
	start = now_ms();
	if (killed)
		must(kill((pid_t)status.supervisor, SIGKILL), 0, "kill");
	else
		s = hello(RK_HELLO_STOP, NULL);
	for (unsigned i = 0; i < WAYS; i++)
		pthread_join(t[i], NULL);
	check_soon(start);
	if (s >= 0)
		close(s);
	rk_detach(client);
	rk_detach(by_socket);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	setvbuf(stdout, NULL, _IONBF, 0);
	must(rk_socket_path(NULL, path, sizeof path), 0, "RUMP_SOCKET");
	if (!strcmp(what, "leak"))
		leak();
	else
		see_the_end(!strcmp(what, "kill"));
	return 0;
}
