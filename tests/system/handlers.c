/*
 * handlers.c - signal handlers that write to files of a server in the middle of
 * calls, and are left by siglongjmp now and then: handlers DIR SIGNALS. What a
 * handler wrote is there once, in its order; what was interrupted is done once or,
 * if its handler was left, at most once.
 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rump/client.h"

enum { JUMP_EVERY = 61 };

static struct rk_client *c;
static int32_t by_handler, by_main, place;
static sigjmp_buf back;
static volatile uint64_t signals, jumps, written;
static volatile sig_atomic_t may_jump;
static _Atomic bool stop, sent;

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "handlers: %s\n", what);
	abort();
}

static void on_signal(int signal)
{
	uint64_t n = signals++, got = ~n;

	(void)signal;
	need(rk_write(c, by_handler, &n, sizeof n) == sizeof n, "a write");
	if (n % 3 == 0) {
		need(rk_pread(c, by_handler, &got, sizeof got,
			      (int64_t)(n * sizeof n)) == sizeof got, "a read");
		need(got == n, "a handler reads what it wrote");
	}
	if (may_jump && n % JUMP_EVERY == 0) {
		jumps++;
		siglongjmp(back, 1);
	}
	atomic_store(&sent, false);
}

/* One at a time: siglongjmp lets the next in before it leaves. */
static void *send_signals(void *arg)
{
	unsigned seed = 1;

	while (!atomic_load(&stop)) {
		if (atomic_load(&sent))
			continue;
		seed = seed * 1103515245 + 12345;
		for (volatile unsigned i = seed >> 16 & 2047; i; i--)
			;
		atomic_store(&sent, true);
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	}
	return NULL;
}

static void one_round(uint64_t n)
{
	uint64_t block[64];

	for (unsigned i = 0; i < 64; i++)
		block[i] = n;
	need(rk_pwrite(c, place, block, sizeof block, 0) == sizeof block,
	     "a block");
	memset(block, 0, sizeof block);
	need(rk_pread(c, place, block, sizeof block, 0) == sizeof block,
	     "a block");
	for (unsigned i = 0; i < 64; i++)
		need(block[i] == n, "a block is of one write");
	written++;
	need(rk_write(c, by_main, &n, sizeof n) == sizeof n, "a record");
}

static void run(uint64_t limit)
{
	static volatile uint64_t n;

	if (sigsetjmp(back, 1))
		atomic_store(&sent, false);
	may_jump = 1;
	while (signals < limit)
		one_round(n++);
	may_jump = 0;
}

static int32_t open_file(const char *dir, const char *name)
{
	char path[256];
	int64_t fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = rk_openat(c, RK_AT_FDCWD, path,
		       O_RDWR | O_CREAT | O_TRUNC | O_APPEND, 0600);
	need(fd >= 0, name);
	return (int32_t)fd;
}

/* Returns how many records there are. */
static uint64_t check(int32_t fd, bool all)
{
	uint64_t n, last = UINT64_MAX, count = 0;

	rk_lseek(c, fd, 0, SEEK_SET);
	while (rk_read(c, fd, &n, sizeof n) == sizeof n) {
		need(all ? n == last + 1 : last == UINT64_MAX || n > last,
		     "each record once, in order");
		last = n;
		count++;
	}
	return count;
}

int main(int argc, char **argv)
{
	struct sigaction sa = { .sa_handler = on_signal };
	uint64_t limit = strtoull(argc > 2 ? argv[2] : "10000", NULL, 0), n;
	pthread_t self = pthread_self(), other;
	char path[108];

	need(argc > 1 && rk_socket_path(NULL, path, sizeof path) == 0 &&
	     rk_attach(path, 0, &c) == 0, "attach");
	by_handler = open_file(argv[1], "by_handler");
	by_main = open_file(argv[1], "by_main");
	place = open_file(argv[1], "place");
	need(rk_setfl(c, place, 0) == 0, "setfl");
	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&other, NULL, send_signals, &self);
	run(limit);
	atomic_store(&stop, true);
	pthread_join(other, NULL);
	need(check(by_handler, true) == signals, "what handlers wrote");
	n = check(by_main, false);
	need(n <= written + jumps && n + jumps >= written, "what main wrote");
	printf("%llu handlers in calls, %llu left by siglongjmp\n",
	       (unsigned long long)signals, (unsigned long long)jumps);
	rk_detach(c);
	return 0;
}
