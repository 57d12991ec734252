/*
 * board.c - looks at the board of a family, as a process of it has it mapped,
 * and writes to it. For tests that must know whether a crash point was hit, how
 * often a server was replaced, or that have one die again and again.
 *
 *	board PID			shows its words
 *	board PID crash SKIP[,HITS] POINT...	until PID ends, SIGTERM, or so
 *			many hits: arms one of
 *			these points (all: every one), chosen at random, to be
 *			passed up to SKIP times; as soon as it was hit, or was
 *			not hit for a while, the next. Prints how often each
 *			was hit.
 *	board PID spoil NAME FROM	overwrites what its memfd NAME holds from
 *			this offset on, as a driver gone wild or bad memory would
 */
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "../harness/board.h"

enum { LOOK_US = 200, PATIENCE = 150 };	/* looks at a point that is not hit */

static const char *const names[RK_CRASH_END] = {
#define NAME(n) [RK_CRASH_##n] = #n,
	RK_CRASHPOINTS(NAME)
#undef NAME
};

static volatile sig_atomic_t over;

static int show(const struct board *t)
{
	static struct rk__board b;

	if (!board_load(t, 0, &b, sizeof b)) {
		fprintf(stderr, "board: no board to be read\n");
		return 1;
	}
	printf("generation %" PRIu32 "\ncrash_at %" PRIu32 "\ncrash_skip %"
	       PRIu32 "\nops %" PRIu64 "\ncommits %" PRIu64 "\npages %" PRIu64
	       "\nblocks %" PRIu64 "\nlog_bytes %" PRIu64 "\ndeath_ns %" PRIu64
	       "\nanswer_ns %" PRIu64 "\ncold_calls %" PRIu64
	       "\nread_only %" PRIu32 "\n",
	       b.generation, b.crash_at, b.crash_skip, b.ops, b.commits,
	       b.pages, b.blocks, b.log_bytes, b.death_ns, b.answer_ns,
	       b.cold_calls, b.read_only);
	return 0;
}

/* --- crashing ---------------------------------------------------------------- */

static void end(int number)
{
	(void)number;
	over = 1;
}

/* false: the process is gone. *hit: whether the point was. */
static bool arm_and_wait(const struct board *t, uint32_t point, uint32_t skip,
			 bool *hit)
{
	uint32_t now = point;

	*hit = false;
	if (!board_arm(t, point, skip))
		return false;
	for (unsigned i = 0; i < PATIENCE && now == point && !over; i++) {
		usleep(LOOK_US);
		if (!board_load(t, offsetof(struct rk__board, crash_at), &now,
			  sizeof now))
			return false;
	}
	*hit = now == RK_CRASH_NONE;
	return *hit || board_store(t, offsetof(struct rk__board, crash_at),
			     RK_CRASH_NONE);
}

/* --- spoiling ------------------------------------------------------------------ */

static int spoil_file(const char *path, off_t from)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	char noise[4096];
	off_t at, end;

	memset(noise, 0xa5, sizeof noise);
	while (fd >= 0 && (at = lseek(fd, from, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		for (; at < end; at += (off_t)sizeof noise)
			if (pwrite(fd, noise, sizeof noise, at) < 0)
				return 1;
		from = end;
	}
	return fd < 0 || close(fd) < 0;
}

static int spoil(const char *pid, const char *name, off_t from)
{
	char path[64], target[256];
	ssize_t n;

	for (int fd = 0; fd < 256; fd++) {
		snprintf(path, sizeof path, "/proc/%s/fd/%d", pid, fd);
		n = readlink(path, target, sizeof target - 1);
		if (n <= 0)
			continue;
		target[n] = '\0';
		if (strstr(target, name))
			return spoil_file(path, from);
	}
	fprintf(stderr, "board: no memory of that name\n");
	return 1;
}

static unsigned chosen(char **name, uint32_t *ret)
{
	unsigned n = 0;

	for (uint32_t p = RK_CRASH_NONE + 1; p < RK_CRASH_END; p++)
		for (char **s = name; *s; s++)
			if (!strcmp(*s, names[p]) || !strcmp(*s, "all")) {
				ret[n++] = p;
				break;
			}
	return n;
}

static int crash(const struct board *t, uint32_t skip, unsigned long most,
		 char **name)
{
	uint32_t point[RK_CRASH_END], n = chosen(name, point);
	unsigned long hits[RK_CRASH_END] = { 0 }, all = 0;
	struct sigaction sa = { .sa_handler = end };
	bool hit = false, there = n > 0;
	uint32_t p;

	sigaction(SIGTERM, &sa, NULL);
	srandom((unsigned)time(NULL) ^ (unsigned)getpid());
	while (there && !over && all < most) {
		p = point[(unsigned long)random() % n];
		there = arm_and_wait(t, p, (uint32_t)random() % (skip + 1),
				     &hit);
		hits[p] += hit;
		all += hit;
	}
	for (p = RK_CRASH_NONE + 1; p < RK_CRASH_END; p++)
		if (hits[p])
			printf("hit %s %lu\n", names[p], hits[p]);
	printf("hits %lu\n", all);
	return n ? 0 : 2;
}

int main(int argc, char **argv)
{
	unsigned long skip, most;
	struct board t;
	char *after;

	if (argc < 2 || board_find(argv[1], &t) < 0) {
		fprintf(stderr, "board: no board to be read\n");
		return 1;
	}
	if (argc > 4 && !strcmp(argv[2], "crash")) {
		skip = strtoul(argv[3], &after, 10);
		most = *after == ',' ? strtoul(after + 1, NULL, 10) : ULONG_MAX;
		return crash(&t, (uint32_t)skip, most, argv + 4);
	}
	if (argc == 5 && !strcmp(argv[2], "spoil"))
		return spoil(argv[1], argv[3],
			     (off_t)strtoull(argv[4], NULL, 10));
	return show(&t);
}
