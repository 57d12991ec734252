/*
 * outage.c - what a program on a mount sees of its server's deaths: how many
 * files it makes, writes and removes in each hundredth of a second, while the
 * server is killed every half second; and the longest it waited around each
 * kill. The samples go to a file that `run --plot` draws.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

enum { BUCKET_MS = 10, SECONDS = 6, KILL_EVERY_MS = 500,
       BUCKETS = SECONDS * 1000 / BUCKET_MS,
       KILLS_MAX = SECONDS * 1000 / KILL_EVERY_MS };

struct outage {
	char path[1024];
	uint64_t start;
	unsigned done[BUCKETS];
	unsigned n_kills;
	uint64_t kill[KILLS_MAX];	/* ns from start */
	double gap[KILLS_MAX];		/* ns that a call took, over the kill */
};

static void nap_until(uint64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) ==
	       EINTR)
		continue;
}

/* A quick run sees one kill. */
static unsigned seconds(void)
{
	return bench.quick ? 1 : SECONDS;
}

static void *kill_servers(void *arg)
{
	struct outage *o = arg;
	struct rk_status s;
	unsigned n = seconds() * 1000 / KILL_EVERY_MS - 1;

	for (unsigned i = 0; i < n; i++) {
		nap_until(o->start + (i + 1) * KILL_EVERY_MS * 1000000ull);
		get_status(&s);
		o->kill[i] = now_ns() - o->start;
		if (s.server && kill((pid_t)s.server, SIGKILL) < 0)
			die("kill", errno);
		__atomic_store_n(&o->n_kills, i + 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void make_a_file(const char *path)
{
	static const char block[4096];
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

	if (fd < 0 || write(fd, block, sizeof(block)) != sizeof(block) ||
	    close(fd) < 0 || unlink(path) < 0)
		die(path, errno);
}

/* A round belongs to the kill that came while it ran. */
static void note_gap(struct outage *o, uint64_t from, uint64_t to)
{
	unsigned n = __atomic_load_n(&o->n_kills, __ATOMIC_ACQUIRE);

	for (unsigned i = 0; i < n; i++)
		if (o->kill[i] < to && o->gap[i] < (double)(to - from) &&
		    o->kill[i] + 100000000 > from)
			o->gap[i] = (double)(to - from);
}

static unsigned run(struct outage *o)
{
	uint64_t end = seconds() * 1000000000ull;
	unsigned n = 0;

	for (;;) {
		uint64_t from = now_ns() - o->start, to;

		make_a_file(o->path);
		to = now_ns() - o->start;
		if (to >= end)
			return n;
		o->done[to / (BUCKET_MS * 1000000)]++;
		note_gap(o, from, to);
		n++;
	}
}

static void write_samples(const struct outage *o, const char *file)
{
	FILE *f = fopen(file, "w");

	if (!f)
		die(file, errno);
	for (unsigned i = 0; i < seconds() * 1000 / BUCKET_MS; i++)
		fprintf(f, "%u %u\n", i * BUCKET_MS,
			o->done[i] * 1000 / BUCKET_MS);
	fputs("\n\n", f);
	for (unsigned i = 0; i < o->n_kills; i++)
		fprintf(f, "%.1f 0\n", (double)o->kill[i] / 1e6);
	if (fclose(f))
		die(file, errno);
}

void row_outage(const char *mount, const char *file)
{
	static struct outage quiet, killed;
	double rate[2], share;
	pthread_t killer;
	char note[128];

	snprintf(quiet.path, sizeof(quiet.path), "%s/outage", mount);
	snprintf(killed.path, sizeof(killed.path), "%s/outage", mount);
	quiet.start = now_ns();
	rate[0] = run(&quiet);
	killed.start = now_ns();
	if (pthread_create(&killer, NULL, kill_servers, &killed))
		die("thread", EAGAIN);
	rate[1] = run(&killed);
	pthread_join(killer, NULL);
	write_samples(&killed, file);
	share = rate[1] / rate[0];
	snprintf(note, sizeof(note), "%u kills in %d s, create, write 4 KiB, "
		 "close, unlink on the mount", killed.n_kills, (int)seconds());
	print_values("outage", "share", &share, 1, "", note);
	print_values("outage", "longest", killed.gap, killed.n_kills, "ns",
		     "the longest such round around each kill");
}
