/*
 * sleepers.c - clients of the driver `sleepy` (tests/drivers): ops that wait
 * for each other in the middle, and a look at the log whether each went through
 * exactly once.
 *
 *	sleepers [-l] [-b] DIR ROUNDS
 *
 * -l: through the library, else DIR is in a mount. -b: only what waits before
 * it changes anything, which either execution model can do.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <rump/client.h>

enum { PARTY = 4, LISTENERS = 3, LONELY = 99, BELL_SIZE = 1 << 20,
	SLOW_SIZE = 32 << 10, SLOW_COUNT_AT = 1 << 20 };

struct line {
	uint32_t who, which, what, round;
};

static bool library;
static const char *dir;
static struct rk_client *client;

__attribute__((format(printf, 1, 2)))
static _Noreturn void fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("sleepers: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	exit(1);
}

static int64_t check(int64_t r, const char *what)
{
	if (!library && r < 0)
		r = -errno;
	if (r < 0)
		fail("%s: %s", what, strerror((int)-r));
	return r;
}

static void attach(void)
{
	char path[256];
	int r;

	if (!library)
		return;
	r = rk_socket_path(NULL, path, sizeof path);
	if (r == 0)
		r = rk_attach(path, 0, &client);
	check(r, "attach");
}

static int open_file(const char *name, int flags)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return (int)check(library ?
		rk_openat(client, RK_AT_FDCWD, path, (uint32_t)flags, 0600) :
		open(path, flags, 0600), path);
}

static int64_t put(int fd, const void *buf, size_t n)
{
	return check(library ? rk_pwrite(client, fd, buf, n, 0) :
			       pwrite(fd, buf, n, 0), "pwrite");
}

static int64_t get(int fd, void *buf, size_t n, off_t off)
{
	return check(library ? rk_pread(client, fd, buf, n, off) :
			       pread(fd, buf, n, off), "pread");
}

/* --- who takes part -------------------------------------------------------- */

static void guest(uint32_t who, uint32_t first, uint32_t n)
{
	char name[16];
	int fd;

	attach();
	snprintf(name, sizeof name, "party%u", who % 10);
	fd = open_file(name, O_WRONLY);
	for (uint32_t i = first; i < first + n; i++) {
		const uint32_t id[2] = { who, i };

		if (put(fd, id, sizeof id) != sizeof id)
			fail("guest %u: a short write", who);
	}
}

static void ringer(uint32_t unused, uint32_t first, uint32_t n)
{
	int fd;

	(void)unused;
	(void)first;
	attach();
	fd = open_file("bell", O_WRONLY);
	for (uint32_t i = 0; i < n; i++) {
		const struct timespec t = { .tv_nsec = 200000 };

		put(fd, "r", 1);
		nanosleep(&t, NULL);
	}
}

static void listener(uint32_t who, uint32_t first, uint32_t n)
{
	uint64_t before = 0;
	int fd;

	(void)first;
	attach();
	/* Past the page cache of a mount. */
	fd = open_file("bell", O_RDONLY | (library ? 0 : O_DIRECT));
	for (uint32_t i = 0; i < n; i++) {
		_Alignas(4096) uint64_t rung[512];

		if (get(fd, rung, sizeof rung, i) != sizeof rung)
			fail("listener %u: a short read", who);
		if (rung[0] <= i || rung[0] > n || rung[0] < before)
			fail("listener %u: rung %llu times at %u", who,
			     (unsigned long long)rung[0], i);
		before = rung[0];
	}
}

/* Each of these gives way many times. */
static void slow_one(uint32_t unused, uint32_t first, uint32_t n)
{
	static char buf[SLOW_SIZE], back[SLOW_SIZE];
	int fd;

	(void)unused;
	(void)first;
	attach();
	fd = open_file("slow", O_RDWR);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < SLOW_SIZE; k++)
			buf[k] = (char)(k * 7 + i);
		if (put(fd, buf, sizeof buf) != sizeof buf ||
		    get(fd, back, sizeof back, 0) != sizeof back ||
		    memcmp(buf, back, sizeof buf))
			fail("the slow one's bytes are others");
	}
}

/* Each KiB was written once, whatever became of those who wrote. */
static void check_slow(uint32_t n)
{
	uint64_t written = 0;
	int fd;

	library = true;
	attach();
	fd = open_file("slow", O_RDONLY);
	get(fd, &written, sizeof written, SLOW_COUNT_AT);
	if (written != (uint64_t)n * (SLOW_SIZE >> 10))
		fail("%llu KiB were written slowly",
		     (unsigned long long)written);
}

static pid_t start(void (*run)(uint32_t, uint32_t, uint32_t), uint32_t who,
		   uint32_t n)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	run(who, 0, n);
	exit(0);
}

static void end_all(unsigned n)
{
	int status;

	for (; n > 0; n--)
		if (wait(&status) < 0 || status)
			fail("one of them failed");
}

/* Through the library: the kernel of a mount does not know that a driver
 * writes to it. */
static void wait_for_log(uint64_t size)
{
	const struct timespec t = { .tv_nsec = 10000000 };
	char path[4096];
	struct rk_stat st = { 0 };

	snprintf(path, sizeof path, "%s/log", dir);
	while (st.size < size) {
		nanosleep(&t, NULL);
		if (rk_fstatat(client, RK_AT_FDCWD, path, &st, 0) < 0)
			fail("the log is not to be seen");
	}
}

/* Nobody else comes, and it is killed while it waits. */
static void lonely(void)
{
	const bool by_mount = !library;
	pid_t pid = start(guest, LONELY, 1);

	library = true;
	attach();
	library = !by_mount;
	wait_for_log(sizeof(struct line));
	kill(pid, SIGKILL);
	if (waitpid(pid, NULL, 0) != pid)
		fail("waitpid: %s", strerror(errno));
	wait_for_log(2 * sizeof(struct line));
}

/* --- what the log says ------------------------------------------------------- */

static struct line *read_log(size_t *ret_n)
{
	int fd = open_file("log", O_RDONLY);
	size_t size = 4 << 20, n = 0;
	char *all = malloc(size);
	int64_t r;

	while (all && (r = get(fd, all + n, size - n < 65536 ? size - n : 65536,
			       (off_t)n)) > 0)
		n += (size_t)r;
	*ret_n = n / sizeof(struct line);
	return (struct line *)all;
}

static size_t only(const struct line *log, size_t n, uint32_t who,
		   uint32_t which, char what)
{
	size_t at = n;

	for (size_t i = 0; i < n; i++) {
		if (log[i].who != who || log[i].which != which ||
		    log[i].what != (uint32_t)what)
			continue;
		if (at < n)
			fail("op %u of %u: '%c' stands twice in the log", which,
			     who, what);
		at = i;
	}
	if (at == n)
		fail("op %u of %u: no '%c' in the log", which, who, what);
	return at;
}

static void check_log(uint32_t rounds)
{
	size_t n;
	struct line *log;

	/* The kernel of a mount does not know that a driver writes to it. */
	library = true;
	attach();
	log = read_log(&n);
	if (n != 2 * (PARTY * rounds + 1))
		fail("the log has %zu lines", n);
	for (uint32_t i = 0; i < rounds; i++) {
		size_t last_b = 0, first_e = n;

		for (uint32_t w = 0; w < PARTY; w++) {
			size_t b = only(log, n, w, i, 'b');
			size_t e = only(log, n, w, i, 'e');

			if (log[b].round != i || log[e].round != i + 1)
				fail("op %u of %u: rounds %u and %u", i, w,
				     log[b].round, log[e].round);
			last_b = b > last_b ? b : last_b;
			first_e = e < first_e ? e : first_e;
		}
		if (last_b > first_e)
			fail("round %u: one went before all were there", i);
	}
	if (only(log, n, LONELY, 0, 'b') > only(log, n, LONELY, 0, 'i'))
		fail("the lonely one went before it came");
	free(log);
}

int main(int argc, char **argv)
{
	bool bell_only = false;
	uint32_t rounds;
	int c;

	while ((c = getopt(argc, argv, "lb")) != -1) {
		library |= c == 'l';
		bell_only |= c == 'b';
	}
	if (argc - optind != 2)
		fail("give DIR and ROUNDS");
	dir = argv[optind];
	rounds = (uint32_t)atoi(argv[optind + 1]);
	attach();
	open_file("log", O_CREAT | O_RDWR);
	c = open_file("bell", O_CREAT | O_RDWR);
	check(library ? rk_ftruncate(client, c, BELL_SIZE) :
			ftruncate(c, BELL_SIZE), "ftruncate");
	for (uint32_t i = 0; i < 10 && !bell_only; i++) {
		char name[16];

		snprintf(name, sizeof name, "party%u", i);
		open_file(name, O_CREAT | O_RDWR);
	}
	open_file("slow", O_CREAT | O_RDWR);
	start(slow_one, 0, rounds / 4);
	for (uint32_t i = 0; i < LISTENERS; i++)
		start(listener, i, rounds);
	start(ringer, 0, rounds);
	if (!bell_only)
		lonely();
	for (uint32_t i = 0; i < PARTY && !bell_only; i++)
		start(guest, i, rounds);
	end_all(LISTENERS + 2 + (bell_only ? 0 : PARTY));
	if (!bell_only)
		check_log(rounds);
	check_slow(rounds / 4);
	return 0;
}
