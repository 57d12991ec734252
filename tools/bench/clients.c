/*
 * clients.c - rows of one and of many clients: calls by path through the
 * library, what many processes get done together, and what a call costs while
 * others are attached and idle.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

enum { PROCESSES_MAX = 64, IDLE_MAX = 1000 };

/* --- by path ---------------------------------------------------------------- */

struct path {
	struct rk_client *client;	/* NULL: the kernel's */
	char name[4096];
};

static int run_stat(void *arg, unsigned n)
{
	struct path *p = arg;
	struct rk_stat ours;
	struct stat st;

	for (; n > 0; n--) {
		if (!p->client && stat(p->name, &st) < 0)
			return -errno;
		if (p->client)
			must(rk_fstatat(p->client, RK_AT_FDCWD, p->name, &ours,
					0), p->name);
	}
	return 0;
}

static int run_open(void *arg, unsigned n)
{
	struct path *p = arg;
	int64_t fd;

	for (; n > 0; n--)
		if (p->client) {
			fd = must(rk_openat(p->client, RK_AT_FDCWD, p->name,
					    O_RDONLY, 0), p->name);
			must(rk_close(p->client, (int)fd), p->name);
		} else {
			fd = open(p->name, O_RDONLY | O_CLOEXEC);
			if (fd < 0 || close((int)fd) < 0)
				return -errno;
		}
	return 0;
}

static void make_file(struct path *p, const char *dir)
{
	int64_t fd;

	snprintf(p->name, sizeof(p->name), "%s/by-path", dir);
	if (p->client) {
		fd = must(rk_openat(p->client, RK_AT_FDCWD, p->name,
				    O_RDWR | O_CREAT, 0644), p->name);
		must(rk_close(p->client, (int)fd), p->name);
		return;
	}
	fd = open(p->name, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0)
		die(p->name, errno);
	close((int)fd);
}

void row_path_library(const char *native)
{
	static struct path theirs, ours;
	struct side side[] = {
		{ .name = "native", .arg = &theirs, .note = "ext4; core 0" },
		{ .name = "rump", .arg = &ours,
		  .note = "client core 0, server core 1" },
	};

	ours.client = attach();
	make_file(&theirs, native);
	make_file(&ours, bench.volume);
	place(0, 0);
	place_server(two_cores() ? 1 : 0);
	side[0].n = side[1].n = bench.quick ? 500 : 50000;
	side[0].run = side[1].run = run_stat;
	compare("stat_library", side, 2);
	side[0].run = side[1].run = run_open;
	compare("open_library", side, 2);
	rk_detach(ours.client);
}

/* --- many at work ---------------------------------------------------------- */

/* What the processes of one measurement share. */
struct crowd {
	_Atomic uint32_t ready, go, end;
	_Atomic uint64_t ops;
};

/* One process does these until it is told to stop. */
typedef int crowd_fn(const char *dir, unsigned me);

static int make_and_remove(const char *dir, unsigned me)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/p%u/file", dir, me);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0 || close(fd) < 0 || unlink(path) < 0)
		return -errno;
	return 0;
}

static int stat_by_library(const char *dir, unsigned me)
{
	static struct rk_client *c;
	struct rk_stat st;

	if (!c)
		c = attach();
	return rk_fstatat(c, RK_AT_FDCWD, dir, &st, 0);
}

static int stat_natively(const char *dir, unsigned me)
{
	struct stat st;

	return stat(dir, &st) < 0 ? -errno : 0;
}

static _Noreturn void be_one(struct crowd *w, crowd_fn *op, const char *dir,
			     unsigned me)
{
	uint64_t ops = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	must(op(dir, me), dir);
	atomic_fetch_add(&w->ready, 1);
	while (!atomic_load(&w->go))
		usleep(200);
	while (!atomic_load_explicit(&w->end, memory_order_relaxed)) {
		must(op(dir, me), dir);
		ops++;
	}
	atomic_fetch_add(&w->ops, ops);
	_exit(0);
}

/* ns from op to op, all processes taken together. */
static double together(crowd_fn *op, const char *dir, unsigned n)
{
	struct crowd *w = mmap(NULL, sizeof(*w), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct timespec t = { .tv_nsec = bench.quick ? 20000000 : 500000000 };
	int status, failed = 0;
	uint64_t start, took;
	double ns;

	if (w == MAP_FAILED)
		die("memory", errno);
	fflush(stdout);
	for (unsigned i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork", errno);
		if (pid == 0)
			be_one(w, op, dir, i);
	}
	while (atomic_load(&w->ready) < n && !failed)
		if (waitpid(-1, &status, WNOHANG) > 0)
			failed = 1;
		else
			usleep(1000);
	start = now_ns();
	atomic_store(&w->go, 1);
	nanosleep(&t, NULL);
	atomic_store(&w->end, 1);
	took = now_ns() - start;
	while (wait(&status) > 0)
		failed |= status != 0;
	if (failed)
		die("a process of many", ECHILD);
	ns = (double)took / (double)(atomic_load(&w->ops) + 1);
	munmap(w, sizeof(*w));
	return ns;
}

struct crowd_side {
	const char *name, *dir;
	crowd_fn *op;
	const char *note;
};

static void compare_crowds(const char *row, const struct crowd_side *side,
			   unsigned n_sides)
{
	static const unsigned many[] = { 1, 2, 4, 8, PROCESSES_MAX };
	unsigned rounds = bench.rounds < 5 ? bench.rounds : 5;
	double v[SIDES_MAX][ROUNDS_MAX];
	char name[64];

	for (unsigned m = 0; m < sizeof(many) / sizeof(*many); m++) {
		for (unsigned r = 0; r < rounds; r++)
			for (unsigned s = 0; s < n_sides; s++)
				v[s][r] = together(side[s].op, side[s].dir,
						   many[m]);
		snprintf(name, sizeof(name), "%s_%u", row, many[m]);
		for (unsigned s = 0; s < n_sides; s++)
			print_values(name, side[s].name, v[s], rounds, "ns",
				     side[s].note);
	}
}

static void make_rooms(const char *dir)
{
	char path[4096];

	for (unsigned i = 0; i < PROCESSES_MAX; i++) {
		snprintf(path, sizeof(path), "%s/p%u", dir, i);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die(path, errno);
	}
}

void row_crowd_mount(const char *mount, const char *native,
		     const char *fuse2fs)
{
	const char *dir[] = { native, mount, fuse2fs };
	const char *name[] = { "native", "rump", "fuse2fs" };
	struct crowd_side side[3];
	unsigned n = 0;

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(dir[i], "-") != 0) {
			make_rooms(dir[i]);
			side[n++] = (struct crowd_side){
				name[i], dir[i], make_and_remove,
				"create, close, unlink, each in a directory "
				"of its own; nobody is placed",
			};
		}
	compare_crowds("crowd_mount", side, n);
}

void row_crowd_library(const char *native)
{
	const struct crowd_side side[] = {
		{ "native", native, stat_natively, "stat; nobody is placed" },
		{ "rump", bench.volume, stat_by_library,
		  "stat through the library; nobody is placed" },
	};

	compare_crowds("crowd_library", side, 2);
}

/* --- many that do nothing -------------------------------------------------- */

static int run_null(void *arg, unsigned n)
{
	int64_t r = 0;

	for (; n > 0 && r >= 0; n--)
		r = rk_null(arg);
	return (int)r;
}

/* One client at work beside 0, 10, 100 and 1,000 that were attached and say
 * nothing. */
void row_idle(void)
{
	struct rlimit limit;
	struct side side = { .run = run_null, .n = bench.quick ? 200 : 20000 };
	char row[32], note[64];
	unsigned attached = 0;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	side.arg = attach();
	place(0, 0);
	for (unsigned want = 1; want <= (bench.quick ? 10 : IDLE_MAX);
	     want *= 10) {
		for (; attached < want - 1; attached++)
			must(rk_null(attach()), "an idle client");
		snprintf(row, sizeof(row), "idle_%u", want);
		snprintf(note, sizeof(note), "null op, %u attached; client and "
			 "server core 0", want);
		side.name = "rump";
		side.note = note;
		place_server(0);
		compare(row, &side, 1);
	}
}
