/*
 * restart.c - rows about the life of a server: from its death to the next
 * answer, from the start to the first one, and the memory it takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

enum {
	KILLS = 300, KILLS_COLD = 11, KILLS_QUICK = 10, PAUSE_MS = 15,
	COLD_TRIES = 100, COLD_BYTES = 1 << 20,
};

static void nap_ms(long ms)
{
	struct timespec t = { .tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* Bytes that the images of the two regions take: RM in use. */
static double memory_in_use(pid_t supervisor)
{
	char path[64], name[128];
	double core = 0, driver = 0;
	struct stat st;
	ssize_t n;

	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", supervisor, fd);
		n = readlink(path, name, sizeof(name) - 1);
		if (n <= 0 || stat(path, &st) < 0)
			continue;
		name[n] = '\0';
		if (strstr(name, "memfd:rump-core"))
			core = (double)st.st_blocks * 512;
		if (strstr(name, "memfd:rump-driver"))
			driver = (double)st.st_blocks * 512;
	}
	return core + driver;
}

void wait_for_standby(struct rk_status *s)
{
	for (int i = 0; i < 1000; i++) {
		get_status(s);
		if (s->server && s->standby && s->standby != s->server)
			break;
		nap_ms(1);
	}
	/* The standby has prefaulted, and the keeper has nothing to do. */
	nap_ms(PAUSE_MS);
	get_status(s);
}

static double one_kill(int (*ask)(void *), void *arg, const struct board *board)
{
	struct rk__board b;
	struct rk_status s;
	uint32_t before;
	uint64_t start;

	wait_for_standby(&s);
	board_read(board, &b);
	before = b.generation;
	start = now_ns();
	if (kill((pid_t)s.server, SIGKILL) < 0)
		die("kill", errno);
	/* The one that dies may still answer some. */
	do {
		must(ask(arg), "an answer");
		board_read(board, &b);
	} while (b.generation == before);
	return (double)(now_ns() - start);
}

struct rk_client *open_many(unsigned clients, unsigned files)
{
	struct rlimit limit;
	struct rk_client *c = NULL;
	char path[4096];

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	for (unsigned i = 0; i < clients; i++) {
		c = attach();
		for (unsigned f = 0; f < files / clients; f++) {
			snprintf(path, sizeof(path), "%s/open-%u", bench.volume,
				 i * (files / clients) + f);
			must(rk_openat(c, RK_AT_FDCWD, path, O_RDWR | O_CREAT,
				       0644), path);
		}
	}
	return c;
}

static void print_kills(const char *name, double *v, unsigned n,
			const char *what, const struct rk_status *s)
{
	char note[256];

	sort_values(v, n);
	snprintf(note, sizeof(note), "%u kills, %s, %.1f MiB of RM; client "
		 "and servers not placed", n, what,
		 memory_in_use((pid_t)s->supervisor) / 1048576);
	printf("%s|p50|%.6g|%.6g|%.6g|ns|%s\n", name, percentile(v, n, 0.5),
	       v[0], v[n - 1], note);
	printf("%s|p99|%.6g|%.6g|%.6g|ns|%s\n", name, percentile(v, n, 0.99),
	       v[0], v[n - 1], note);
	fflush(stdout);
}

void measure_kills(const char *name, int (*ask)(void *), void *arg,
		   const char *what)
{
	unsigned n = bench.quick ? KILLS_QUICK : KILLS;
	static double v[KILLS];
	struct rk_status s;
	struct board board;

	get_status(&s);
	board_open((pid_t)s.supervisor, &board);
	must(ask(arg), "an answer");
	for (unsigned i = 0; i < n; i++)
		v[i] = one_kill(ask, arg, &board);
	print_kills(name, v, n, what, &s);
}

static int ask_null(void *arg)
{
	return (int)rk_null(arg);
}

void row_kill(const char *name, unsigned clients, unsigned files)
{
	char what[64];

	snprintf(what, sizeof(what), "%u clients, %u files", clients, files);
	measure_kills(name, ask_null, open_many(clients, files), what);
}

/* So many ops since the last flush point when the server dies; false: the timer
 * made one meanwhile. */
static bool kill_cold(struct rk_client *c, int fd, unsigned ops,
		      const struct board *board, double *ret)
{
	struct rk__board before, after;
	struct rk_status s;
	const char byte = 'x';

	wait_for_standby(&s);
	must(rk_fsync(c, fd), "fsync");
	for (unsigned i = 0; i < ops; i++)
		must(rk_pwrite(c, fd, &byte, 1, i % COLD_BYTES), "pwrite");
	board_read(board, &before);
	*ret = one_kill(ask_null, c, board);
	board_read(board, &after);
	return after.cold_calls - before.cold_calls >= ops;
}

/* The server must be one that starts cold (RUMP_LADDER=cold). */
void row_cold(const char *name, unsigned ops, unsigned files)
{
	struct rk_client *c = open_many(1, files);
	unsigned n = 0, want = bench.quick ? 3 : KILLS_COLD;
	char what[64], path[4096];
	static double v[KILLS_COLD];
	struct rk_status s;
	struct board board;
	int fd;

	get_status(&s);
	board_open((pid_t)s.supervisor, &board);
	snprintf(path, sizeof(path), "%s/changed", bench.volume);
	fd = (int)must(rk_openat(c, RK_AT_FDCWD, path, O_RDWR | O_CREAT, 0644),
		       path);
	for (unsigned i = 0; i < COLD_TRIES && n < want; i++)
		n += kill_cold(c, fd, ops, &board, &v[n]);
	if (n < want)
		die("kills without a flush point before", EBUSY);
	snprintf(what, sizeof(what), "%u ops to run again, %u open files", ops,
		 files);
	print_kills(name, v, n, what, &s);
}

/* --- memory and start ---------------------------------------------------- */

double pss(uint32_t pid)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/smaps_rollup", pid);
	f = pid ? fopen(path, "re") : NULL;
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lu kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return (double)kib * 1024;
}

void row_memory(void)
{
	struct rk_status s;
	double server, family;

	wait_for_standby(&s);
	server = pss(s.server);
	family = server + pss(s.supervisor) + pss(s.standby) + pss(s.zygote) +
		pss(s.keeper);
	print_values("memory", "rump", &server, 1, "bytes",
		     "PSS of the server process, idle");
	print_values("memory", "family", &family, 1, "bytes",
		     "with supervisor, zygote, keeper, standby");
}

void row_first(void)
{
	const char *start = getenv("RUMP_BENCH_START");
	struct rk_client *c = attach();
	double ns;

	must(rk_null(c), "null");
	if (!start)
		die("RUMP_BENCH_START", ENOENT);
	ns = (double)(now_ns() - strtoull(start, NULL, 10));
	print_values("start", "once", &ns, 1, "ns",
		     "from exec of rump to the first answer; not placed");
	rk_detach(c);
}
