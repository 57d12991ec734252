/*
 * blocked.c - very many calls that wait at once for one lock: each gets it once,
 * none is forgotten, none runs beside another, whatever happens to the server
 * meanwhile; those that a signal ends are gone; and others go on.
 *
 *	blocked mount FILE WAITERS RESTART
 *	blocked library PATH WAITERS RESTART	with $RUMP_SOCKET
 *
 * RESTART is run when all wait. Through the mount each waiter is a thread that
 * waits for a lock of its own open file; every 16th gets a signal before the
 * lock is let go. Through the library they stand in rings of threads. Prints
 * what it counted; exit status 1 with a sentence if anything is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "rump/client.h"

enum { STACK = 64 << 10, RING = 64, SIGNAL_EVERY = 16 };

static const char *file;
static unsigned waiters;

/* Of all processes. */
static struct {
	atomic_uint about_to_wait, holders, got, interrupted;
	atomic_bool locked, let_go;
} *all;

static void die(const char *what, long long value)
{
	printf("blocked: %s (%lld)\n", what, value);
	exit(1);
}

static void nap(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* Nobody else may be here at the same time. */
static void hold(void)
{
	if (atomic_fetch_add(&all->holders, 1) != 0)
		die("two hold the lock", 2);
	atomic_fetch_add(&all->got, 1);
	atomic_fetch_sub(&all->holders, 1);
}

static void restart(const char *command)
{
	int r = system(command);

	if (r != 0)
		die("the restart failed", r);
}

/* While all wait, whoever does not wait must not be kept from anything. */
static void look_around(void)
{
	struct stat st;
	char other[4096];
	int fd;

	snprintf(other, sizeof other, "%s.other", file);
	for (int i = 0; i < 100; i++) {
		fd = open(other, O_RDWR | O_CREAT, 0600);
		if (fd < 0 || write(fd, "x", 1) != 1 ||
		    flock(fd, LOCK_EX) < 0 || flock(fd, LOCK_UN) < 0 ||
		    fstat(fd, &st) < 0 || close(fd) < 0)
			die("a call that waits for nothing failed", errno);
	}
	if (unlink(other) < 0)
		die("unlink failed", errno);
}

/* --- through the mount ----------------------------------------------------------- */

static void nothing(int number)
{
	(void)number;
}

static void *wait_on_mount(void *arg)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(file, O_RDWR), r;

	(void)arg;
	if (fd < 0)
		die("open failed", errno);
	atomic_fetch_add(&all->about_to_wait, 1);
	r = fcntl(fd, F_OFD_SETLKW, &whole);
	if (r == 0) {
		hold();
		whole.l_type = F_UNLCK;
		if (fcntl(fd, F_OFD_SETLK, &whole) < 0)
			die("unlock failed", errno);
	} else if (errno == EINTR) {
		atomic_fetch_add(&all->interrupted, 1);
	} else {
		die("a wait ended", errno);
	}
	close(fd);
	return NULL;
}

static int lock_file(void)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open(file, O_RDWR | O_CREAT, 0600);

	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &whole) < 0)
		die("the lock is not to be had", errno);
	return fd;
}

static pthread_t *start_threads(void *(*run)(void *), unsigned n)
{
	pthread_t *thread = calloc(n, sizeof *thread);
	pthread_attr_t attr;
	int r;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, STACK);
	for (unsigned i = 0; i < n; i++) {
		r = pthread_create(&thread[i], &attr, run,
				   (void *)(uintptr_t)i);
		if (r)
			die("a thread cannot be made", r);
	}
	return thread;
}

static void on_mount(const char *command)
{
	struct sigaction a = { .sa_handler = nothing };
	pthread_t *thread;
	unsigned signalled = 0;
	int fd = lock_file();

	sigaction(SIGUSR1, &a, NULL);
	thread = start_threads(wait_on_mount, waiters);
	while (atomic_load(&all->about_to_wait) < waiters)
		nap(10);
	nap(300);
	look_around();
	restart(command);
	look_around();
	for (unsigned i = 0; i < waiters; i += SIGNAL_EVERY) {
		pthread_kill(thread[i], SIGUSR1);
		signalled++;
	}
	/* One that had not begun to wait when it came is told again. */
	while (atomic_load(&all->interrupted) < signalled) {
		nap(20);
		for (unsigned i = 0; i < waiters; i += SIGNAL_EVERY)
			pthread_kill(thread[i], SIGUSR1);
	}
	if (atomic_load(&all->got))
		die("somebody got what was not let go", atomic_load(&all->got));
	restart(command);
	close(fd);
	for (unsigned i = 0; i < waiters; i++)
		pthread_join(thread[i], NULL);
	if (atomic_load(&all->got) != waiters - signalled)
		die("not each got it", atomic_load(&all->got));
}

/* --- through the library ------------------------------------------------------------ */

enum { THREADS = 15 };			/* a process has 1,024 descriptors */

static struct rk_client *client;

static void attach(void)
{
	char path[108];

	if (rk_socket_path(NULL, path, sizeof path) < 0 ||
	    rk_attach(path, 0, &client) < 0)
		die("cannot attach", 0);
}

static int32_t open_library(void)
{
	int64_t fd = rk_openat(client, RK_AT_FDCWD, file, O_RDWR | O_CREAT,
			       0600);

	if (fd < 0)
		die("open failed", fd);
	return (int32_t)fd;
}

/* Each completion is a lock that is held now: let go, so that the next comes. */
static void *wait_in_ring(void *arg)
{
	struct rk_completion done;
	int32_t fd[RING];
	int64_t r;

	(void)arg;
	for (unsigned i = 0; i < RING; i++) {
		fd[i] = open_library();
		r = rk_submit_setlkw(client, i, fd[i], F_WRLCK, 0, 0, SEEK_SET,
				     1);
		if (r < 0)
			die("submit failed", r);
	}
	rk_kick(client);
	atomic_fetch_add(&all->about_to_wait, RING);
	for (unsigned i = 0; i < RING; i++) {
		r = rk_complete(client, &done, 1, 1);
		if (r != 1 || done.result != 0)
			die("a wait ended", r == 1 ? done.result : r);
		if (!atomic_load(&all->let_go))
			die("somebody got what was not let go", 1);
		hold();
		r = rk_setlk(client, fd[done.tag], F_UNLCK, 0, 0, SEEK_SET, 1);
		if (r < 0)
			die("unlock failed", r);
	}
	for (unsigned i = 0; i < RING; i++)
		rk_close(client, fd[i]);
	return NULL;
}

_Noreturn static void one_process(unsigned threads)
{
	pthread_t *thread;

	while (!atomic_load(&all->locked))
		nap(5);
	attach();
	thread = start_threads(wait_in_ring, threads);
	for (unsigned i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	rk_detach(client);
	exit(0);
}

static void look_around_library(void)
{
	int64_t fd = rk_openat(client, RK_AT_FDCWD, "other", O_RDWR | O_CREAT,
			       0600);

	for (int i = 0; i < 100; i++)
		if (rk_write(client, (int32_t)fd, "x", 1) != 1 ||
		    rk_flock(client, (int32_t)fd, LOCK_EX) < 0 ||
		    rk_flock(client, (int32_t)fd, LOCK_UN) < 0)
			die("a call that waits for nothing failed", fd);
	rk_close(client, (int32_t)fd);
	rk_unlinkat(client, RK_AT_FDCWD, "other", 0);
}

static void through_library(const char *command)
{
	unsigned threads = (waiters + RING - 1) / RING, children = 0;
	int32_t fd;
	int status;

	waiters = threads * RING;
	for (unsigned left = threads; left; children++) {
		unsigned n = left < THREADS ? left : THREADS;

		if (fork() == 0)
			one_process(n);
		left -= n;
	}
	attach();
	fd = open_library();
	if (rk_setlk(client, fd, F_WRLCK, 0, 0, SEEK_SET, 1) < 0)
		die("the lock is not to be had", 0);
	atomic_store(&all->locked, true);
	while (atomic_load(&all->about_to_wait) < waiters)
		nap(10);
	nap(200);
	look_around_library();
	restart(command);
	look_around_library();
	atomic_store(&all->let_go, true);
	rk_close(client, fd);
	for (unsigned i = 0; i < children; i++)
		if (wait(&status) < 0 || status != 0)
			die("a process failed", status);
	rk_detach(client);
	if (atomic_load(&all->got) != waiters)
		die("not each got it", atomic_load(&all->got));
}

int main(int argc, char **argv)
{
	struct rlimit files;

	if (argc != 5)
		return 2;
	file = argv[2];
	waiters = (unsigned)strtoul(argv[3], NULL, 10);
	all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE,
		   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		die("no memory", errno);
	if (!strcmp(argv[1], "mount")) {
		getrlimit(RLIMIT_NOFILE, &files);
		files.rlim_cur = files.rlim_max;
		if (files.rlim_max < waiters + 100 ||
		    setrlimit(RLIMIT_NOFILE, &files) < 0)
			die("the limit of open files is too low",
			    (long long)files.rlim_max);
		on_mount(argv[4]);
	} else {
		through_library(argv[4]);
	}
	printf("%u waited, %u got it, %u were interrupted\n", waiters,
	       atomic_load(&all->got), atomic_load(&all->interrupted));
	return 0;
}
