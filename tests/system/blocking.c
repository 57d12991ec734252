/*
 * blocking.c - calls that wait: fifos between processes, poll on descriptors of
 * both kinds, signals with and without SA_RESTART, threads that end while they
 * wait, processes whose credentials change.
 *
 *	system-blocking DIR, with $RUMP_SOCKET
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "rump/client.h"

static struct rk_client *c;
static char dir[4000], path[4096];

#define IS(call, expected) do {						\
	int64_t got_ = (call), want_ = (expected);			\
									\
	if (got_ != want_) {						\
		printf("line %d: %s is %lld, not %lld\n", __LINE__, #call, \
		       (long long)got_, (long long)want_);		\
		exit(1);						\
	}								\
} while (0)
#define OK(condition) IS(!!(condition), 1)

static const char *in_dir(const char *name)
{
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void attach(struct rk_client **ret)
{
	char socket_path[108];

	IS(rk_socket_path(NULL, socket_path, sizeof socket_path), 0);
	IS(rk_attach(socket_path, 0, ret), 0);
}

static int32_t must_open(struct rk_client *client, const char *name,
			 uint32_t flags)
{
	int64_t fd = rk_openat(client, RK_AT_FDCWD, in_dir(name), flags, 0600);

	OK(fd >= 0);
	return (int32_t)fd;
}

static void nap(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

static void join(pid_t pid)
{
	int status;

	IS(waitpid(pid, &status, 0), pid);
	IS(status, 0);
}

/* --- fifos ------------------------------------------------------------------- */

enum { STREAM = 3 << 20, PIECE = 100000 };

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 2654435761u >> 24);
}

/* Two processes, many more bytes than a fifo holds: each comes once, in order,
 * whatever happens to the server. */
static void stream(void)
{
	static uint8_t buf[PIECE];
	pid_t pid;
	int32_t fd;
	int64_t n;

	IS(rk_mknodat(c, RK_AT_FDCWD, in_dir("fifo"), S_IFIFO | 0600, 0), 0);
	pid = fork();
	if (pid == 0) {
		fd = must_open(c, "fifo", O_WRONLY);
		for (uint32_t at = 0; at < STREAM; at += (uint32_t)n) {
			uint32_t piece = STREAM - at < PIECE ? STREAM - at :
					 PIECE;

			for (uint32_t i = 0; i < piece; i++)
				buf[i] = byte_at(at + i);
			n = rk_write(c, fd, buf, piece);
			IS(n, piece);
		}
		IS(rk_close(c, fd), 0);
		_exit(0);
	}
	fd = must_open(c, "fifo", O_RDONLY);
	for (uint32_t at = 0; (n = rk_read(c, fd, buf, sizeof buf)) != 0;
	     at += (uint32_t)n) {
		OK(n > 0);
		for (uint32_t i = 0; i < n; i++)
			IS(buf[i], byte_at(at + i));
		if (at + n == STREAM)
			IS(rk_read(c, fd, buf, 1), 0);
		OK(at + n <= STREAM);
	}
	IS(rk_close(c, fd), 0);
	join(pid);
}

static volatile sig_atomic_t signals;

static void count(int number)
{
	(void)number;
	signals++;
}

static void handle(int number, int flags)
{
	struct sigaction a = { .sa_handler = count, .sa_flags = flags };

	sigaction(number, &a, NULL);
}

static void nobody_reads(void)
{
	int32_t both = must_open(c, "fifo", O_RDWR), fd;

	fd = must_open(c, "fifo", O_WRONLY);
	IS(rk_close(c, both), 0);
	handle(SIGPIPE, 0);
	signals = 0;
	IS(rk_write(c, fd, "x", 1), -EPIPE);
	IS(signals, 1);
	IS(rk_close(c, fd), 0);
	IS(rk_openat(c, RK_AT_FDCWD, in_dir("fifo"), O_WRONLY | O_NONBLOCK, 0),
	   -ENXIO);
}

/* --- poll --------------------------------------------------------------------- */

struct later {
	int host;
	int32_t fd;
};

static void *write_later(void *arg)
{
	struct later *l = arg;

	nap(30);
	if (l->host >= 0)
		IS(write(l->host, "h", 1), 1);
	else
		IS(rk_write(c, l->fd, "r", 1), 1);
	return NULL;
}

static void poll_both(void)
{
	int32_t r = must_open(c, "fifo", O_RDONLY | O_NONBLOCK);
	int32_t w = must_open(c, "fifo", O_WRONLY), file;
	struct rk_pollfd p[3];
	struct later l;
	pthread_t t;
	char byte;
	int host[2];

	IS(pipe(host), 0);
	p[0] = (struct rk_pollfd){ .fd = host[0], .events = POLLIN };
	p[1] = (struct rk_pollfd){ .client = c, .fd = r, .events = POLLIN };
	IS(rk_poll(p, 2, 0), 0);
	IS(rk_poll(p, 2, 20), 0);
	for (int round = 0; round < 20; round++) {
		l = (struct later){ round % 2 ? host[1] : -1, w };
		IS(pthread_create(&t, NULL, write_later, &l), 0);
		IS(rk_poll(p, 2, -1), 1);
		IS(p[0].revents, round % 2 ? POLLIN : 0);
		IS(p[1].revents, round % 2 ? 0 : POLLIN);
		pthread_join(t, NULL);
		if (round % 2)
			IS(read(host[0], &byte, 1), 1);
		else
			IS(rk_read(c, r, &byte, 1), 1);
		IS(byte, round % 2 ? 'h' : 'r');
	}
	file = must_open(c, "file", O_RDWR | O_CREAT);
	p[2] = (struct rk_pollfd){ .client = c, .fd = file, .events = POLLOUT };
	IS(rk_poll(p, 3, -1), 1);
	IS(p[2].revents, POLLOUT);
	IS(rk_close(c, w), 0);
	IS(rk_poll(p, 2, -1), 1);
	IS(p[1].revents, POLLHUP);
	IS(rk_close(c, r), 0);
	IS(rk_poll(p, 2, -1), 1);
	IS(p[1].revents, POLLNVAL);
	IS(rk_close(c, file), 0);
	close(host[0]);
	close(host[1]);
}

/* --- signals ------------------------------------------------------------------- */

static atomic_int tid_done;

static void *wait_for_lock(void *arg)
{
	int32_t fd = *(int32_t *)arg;
	int64_t r = rk_flock(c, fd, LOCK_EX);

	atomic_store(&tid_done, 1);
	return (void *)(intptr_t)r;
}

/* Signals until the wait is over; gives what it came to. */
static int64_t interrupted_wait(int32_t holder, int32_t waiter, bool let_go)
{
	pthread_t t;
	void *r;

	atomic_store(&tid_done, 0);
	signals = 0;
	IS(pthread_create(&t, NULL, wait_for_lock, &waiter), 0);
	for (int i = 0; !atomic_load(&tid_done); i++) {
		nap(10);
		if (i >= 10 && signals > 1 && let_go)
			rk_flock(c, holder, LOCK_UN);
		else if (!atomic_load(&tid_done))
			pthread_kill(t, SIGUSR1);
	}
	pthread_join(t, &r);
	return (intptr_t)r;
}

static void restarting(void)
{
	int32_t holder = must_open(c, "file", O_RDWR);
	int32_t waiter = must_open(c, "file", O_RDWR);

	IS(rk_flock(c, holder, LOCK_EX), 0);
	handle(SIGUSR1, 0);
	IS(interrupted_wait(holder, waiter, false), -EINTR);
	IS(rk_flock(c, waiter, LOCK_EX | LOCK_NB), -EAGAIN);
	handle(SIGUSR1, SA_RESTART);
	IS(interrupted_wait(holder, waiter, true), 0);
	OK(signals > 1);
	IS(rk_close(c, holder), 0);
	IS(rk_close(c, waiter), 0);
}

/* --- a thread that ends ---------------------------------------------------------- */

static void *wait_and_die(void *arg)
{
	int32_t fd = *(int32_t *)arg;
	int old;

	rk_null(c);
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
	/* Until it waits, and then for ever. */
	for (;;) {
		rk_setlkw(c, fd, F_WRLCK, 1, 1, SEEK_SET, 0);
		nap(1);
	}
	return NULL;
}

/* Waits for the first byte, again and again: a signal every few milliseconds
 * ends each wait. One that comes before the server heard of the wait tells
 * nothing, so it must come out as wanted a number of times in a row. */
static void until(struct rk_client *client, int32_t fd, int64_t want,
		  int64_t before, unsigned times, long every_ms)
{
	const struct itimerval never = { 0 }, often = {
		.it_value.tv_usec = every_ms * 1000,
		.it_interval.tv_usec = every_ms * 1000,
	};
	unsigned n = 0;
	int64_t r;

	setitimer(ITIMER_REAL, &often, NULL);
	for (int i = 0; i < 10000 && n < times; i++) {
		r = rk_setlkw(client, fd, F_WRLCK, 0, 1, SEEK_SET, 0);
		n = r == want ? n + 1 : 0;
		IS(r, n ? want : before);
		nap(5);
	}
	setitimer(ITIMER_REAL, &never, NULL);
	OK(n == times);
}

/* Its wait is no part of a circle any more, and it does not get the lock. */
static void dying_thread(void)
{
	struct rk_client *other;
	struct rk_flock l;
	int32_t mine = must_open(c, "file", O_RDWR), theirs;
	pthread_t t;

	attach(&other);
	theirs = must_open(other, "file", O_RDWR);
	IS(rk_setlk(c, mine, F_WRLCK, 0, 1, SEEK_SET, 0), 0);
	IS(rk_setlk(other, theirs, F_WRLCK, 1, 1, SEEK_SET, 0), 0);
	handle(SIGALRM, 0);
	IS(pthread_create(&t, NULL, wait_and_die, &mine), 0);
	/* Once it waits there is a circle, until the server hears of its end. */
	until(other, theirs, -EDEADLK, -EINTR, 1, 20);
	pthread_cancel(t);
	pthread_join(t, NULL);
	until(other, theirs, -EINTR, -EDEADLK, 4, 100);
	IS(rk_setlk(other, theirs, F_UNLCK, 1, 1, SEEK_SET, 0), 0);
	IS(rk_getlk(other, theirs, &l, F_WRLCK, 1, 1, SEEK_SET, 0), 0);
	IS(l.type, F_UNLCK);
	rk_detach(other);
	IS(rk_close(c, mine), 0);
}

/* --- credentials ------------------------------------------------------------------- */

static void *open_in_thread(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)rk_openat(c, RK_AT_FDCWD, in_dir("secret"),
					   O_RDONLY, 0);
}

static void another_user(void)
{
	int32_t fd = must_open(c, "secret", O_RDWR | O_CREAT);
	pthread_t t;
	pid_t pid;
	void *r;

	IS(rk_close(c, fd), 0);
	if (geteuid() != 0)
		return;
	pid = fork();
	if (pid == 0) {
		IS(setgroups(0, NULL), 0);
		IS(setresgid(65534, 65534, 65534), 0);
		IS(setresuid(65534, 65534, 65534), 0);
		IS(rk_refresh(c), 0);
		IS(rk_openat(c, RK_AT_FDCWD, in_dir("secret"), O_RDONLY, 0),
		   -EACCES);
		IS(pthread_create(&t, NULL, open_in_thread, NULL), 0);
		pthread_join(t, &r);
		IS((intptr_t)r, -EACCES);
		pid = fork();
		if (pid == 0) {
			IS((intptr_t)open_in_thread(NULL), -EACCES);
			_exit(0);
		}
		join(pid);
		_exit(0);
	}
	join(pid);
	IS(rk_unlinkat(c, RK_AT_FDCWD, in_dir("secret"), 0), 0);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	attach(&c);
	snprintf(dir, sizeof dir, "%s/blocking-%d", argv[1], (int)getpid());
	IS(rk_mkdirat(c, RK_AT_FDCWD, dir, 0755), 0);
	stream();
	nobody_reads();
	poll_both();
	restarting();
	dying_thread();
	another_user();
	IS(rk_unlinkat(c, RK_AT_FDCWD, in_dir("fifo"), 0), 0);
	IS(rk_unlinkat(c, RK_AT_FDCWD, in_dir("file"), 0), 0);
	IS(rk_unlinkat(c, RK_AT_FDCWD, dir, AT_REMOVEDIR), 0);
	rk_detach(c);
	return 0;
}
