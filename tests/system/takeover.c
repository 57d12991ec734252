/*
 * takeover.c - everything that can be in flight when a server is replaced, and
 * each result counted: a ring that is kept full, calls of several threads,
 * locks that are waited for, children. What the files hold at the end must be
 * what the answers said, once each.
 *
 *	system-takeover DIR [SECONDS], with $RUMP_SOCKET
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <rump/client.h>

enum { THREADS = 4, RECORD = 8, IN_FLIGHT = 64, CHILD = THREADS + 1, SOURCES };

static struct rk_client *client;
static const char *dir;
static time_t end;
static int log_fd;
static uint32_t written[SOURCES];	/* records of each source */
static uint32_t counted[THREADS];	/* increments of the counter */

struct record {
	uint32_t source, number;
};
_Static_assert(sizeof(struct record) == RECORD, "a record");

static int64_t same(int64_t got, int64_t want, const char *what)
{
	if (got != want) {
		fprintf(stderr, "takeover: %s is %lld, should be %lld\n", what,
			(long long)got, (long long)want);
		_exit(1);
	}
	return got;
}

static int open_in_dir(const char *name, uint32_t flags)
{
	char path[4096];
	int64_t fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = rk_openat(client, RK_AT_FDCWD, path, flags | O_CREAT, 0644);
	if (fd < 0)
		same(fd, 0, path);
	return (int)fd;
}

static void append(uint32_t source)
{
	struct record r = { source, written[source]++ };

	same(rk_write(client, log_fd, &r, sizeof r), RECORD, "append");
}

/* The lock is mostly taken: whoever comes waits, also for a successor. */
static void count(int fd, unsigned thread)
{
	uint64_t n = 0;

	same(rk_setlkw(client, fd, F_WRLCK, 0, 0, SEEK_SET, 1), 0, "setlkw");
	same(rk_pread(client, fd, &n, sizeof n, 0) % 8, 0, "the counter");
	n++;
	same(rk_pwrite(client, fd, &n, sizeof n, 0), sizeof n, "its next");
	counted[thread]++;
	same(rk_setlk(client, fd, F_UNLCK, 0, 0, SEEK_SET, 1), 0, "unlock");
}

static void *call(void *arg)
{
	unsigned thread = (unsigned)(uintptr_t)arg;
	int fd = open_in_dir("counter", O_RDWR);
	char path[4096];

	snprintf(path, sizeof path, "%s/dir%u", dir, thread);
	while (time(NULL) < end) {
		same(rk_mkdirat(client, RK_AT_FDCWD, path, 0755), 0, "mkdir");
		append(thread);
		same(rk_mkdirat(client, RK_AT_FDCWD, path, 0755), -EEXIST,
		     "mkdir again");
		count(fd, thread);
		same(rk_unlinkat(client, RK_AT_FDCWD, path, AT_REMOVEDIR), 0,
		     "rmdir");
	}
	same(rk_close(client, fd), 0, "close");
	return NULL;
}

static void *fill_ring(void *unused)
{
	struct rk_completion done[IN_FLIGHT];
	uint64_t oldest = 0, next = 0;
	static bool seen[1 << 24];

	(void)unused;
	do {
		bool more = time(NULL) < end;
		struct record r = { THREADS, (uint32_t)next };

		while (more && next < sizeof seen &&
		       rk_submit_write(client, next, log_fd, &r, sizeof r) == 0)
			r.number = (uint32_t)++next;
		int n = rk_complete(client, done, IN_FLIGHT, next > oldest);

		for (int i = 0; i < n; i++) {
			same(done[i].result, RECORD, "a write of the ring");
			same(seen[done[i].tag], false, "its completion");
			seen[done[i].tag] = true;
			oldest++;
		}
		same(n < 0 ? n : 0, 0, "complete");
		if (!more && oldest == next)
			break;
	} while (1);
	written[THREADS] = (uint32_t)next;
	return NULL;
}

static void run_children(void)
{
	static char *argv[] = { "true", NULL }, *env[] = { NULL };
	const struct timespec pause = { .tv_nsec = 20000000 };
	int status;
	pid_t pid;

	while (time(NULL) < end) {
		pid = fork();
		if (pid == 0) {
			append(CHILD);
			rk_detach(client);
			_exit(0);
		}
		written[CHILD]++;
		same(waitpid(pid, &status, 0), pid, "a child");
		same(status, 0, "its status");
		same(posix_spawn(&pid, "/bin/true", NULL, NULL, argv, env), 0,
		     "spawn");
		same(rk_null(client), 0, "null beside a spawned process");
		same(waitpid(pid, &status, 0), pid, "a spawned process");
		nanosleep(&pause, NULL);
	}
}

static void check_log(void)
{
	static uint8_t found[SOURCES][1 << 24];
	static struct record r[8192];
	uint64_t total = 0, sum = 0;
	int fd = open_in_dir("log", O_RDONLY);
	int64_t n;

	while ((n = rk_read(client, fd, r, sizeof r)) > 0) {
		for (int64_t i = 0; i < n / RECORD; i++) {
			same(r[i].source < SOURCES, true, "a source");
			same(r[i].number < written[r[i].source], true,
			     "a number");
			same(found[r[i].source][r[i].number]++, 0,
			     "an earlier copy of a record");
		}
		total += (uint64_t)n / RECORD;
	}
	same(n, 0, "reading the log");
	for (unsigned i = 0; i < SOURCES; i++)
		sum += written[i];
	same((int64_t)total, (int64_t)sum, "records");
}

static uint64_t check_counter(void)
{
	uint64_t n = 0, sum = 0;

	for (unsigned i = 0; i < THREADS; i++)
		sum += counted[i];
	same(rk_pread(client, open_in_dir("counter", O_RDWR), &n, sizeof n, 0),
	     sizeof n, "reading the counter");
	same((int64_t)n, (int64_t)sum, "the counter");
	return n;
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS + 1];
	char path[4096];
	uint64_t n;

	if (argc < 2) {
		fprintf(stderr, "system-takeover DIR [SECONDS]\n");
		return 2;
	}
	dir = argv[1];
	end = time(NULL) + (argc > 2 ? atoi(argv[2]) : 5);
	same(rk_socket_path(NULL, path, sizeof path), 0, "RUMP_SOCKET");
	same(rk_attach(path, 0, &client), 0, "attach");
	log_fd = open_in_dir("log", O_WRONLY | O_APPEND);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, call, (void *)(uintptr_t)i);
	pthread_create(&t[THREADS], NULL, fill_ring, NULL);
	run_children();
	for (unsigned i = 0; i <= THREADS; i++)
		pthread_join(t[i], NULL);
	check_log();
	n = check_counter();
	printf("takeover: %u writes of the ring, %llu turns of threads, "
	       "%u children\n", written[THREADS], (unsigned long long)n,
	       written[CHILD]);
	rk_detach(client);
	return 0;
}
