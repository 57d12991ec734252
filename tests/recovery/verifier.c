/*
 * verifier.c - threads of several processes that know what each call on files
 * must return, in directories of their own and in one that they share. A false
 * EEXIST, ENOENT, EIO, ESTALE or ENOTEMPTY, a call that was done twice or not
 * at all, and any byte that is not as it was written is an error.
 *
 *	verifier [-p PROCESSES] [-t THREADS] [-s SECONDS] [-r SEED] DIR
 *
 * At the end everything is removed, and as many files and blocks must be free
 * as before: a reference that was lost or counted twice shows there. It runs
 * on any file system, which is how it is tested itself.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>
#include "verifier.h"

enum { ERRORS_SHOWN = 20, ERRORS_MAX = 200, SETTLE_S = 120 };

struct common *common;

static unsigned processes = 3, threads = 3, seconds = 10;
static uint64_t seed = 1;
static int base;

uint32_t draw(struct worker *w, uint32_t below)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return (uint32_t)(w->random >> 32) % below;
}

bool verify(struct worker *w, const char *what, int line, long long got,
	    long long want)
{
	uint64_t n;

	atomic_fetch_add_explicit(&common->ops, 1, memory_order_relaxed);
	if (got == want)
		return true;
	n = atomic_fetch_add(&common->errors, 1);
	if (n < ERRORS_SHOWN)
		fprintf(stderr, "verifier: worker %u, line %d: %s gives %lld "
			"(%s), should be %lld (%s)\n", w->number, line, what,
			got, got < 0 ? strerror((int)-got) : "-", want,
			want < 0 ? strerror((int)-want) : "-");
	if (n >= ERRORS_MAX)
		atomic_store(&common->stop, true);
	return false;
}

void fill(uint8_t *to, size_t len, uint64_t s)
{
	for (size_t i = 0; i < len; i += 8) {
		uint64_t x = (s + i + 1) * 0x9e3779b97f4a7c15ull;
		size_t n = len - i < 8 ? len - i : 8;

		x ^= x >> 29;
		memcpy(to + i, &x, n);
	}
}

bool filled(const uint8_t *p, size_t len, uint64_t s)
{
	uint8_t want[BLOCK];

	for (size_t at = 0; at < len; at += sizeof want) {
		size_t n = len - at < sizeof want ? len - at : sizeof want;

		fill(want, n, s + at);
		if (memcmp(p + at, want, n) != 0)
			return false;
	}
	return true;
}

/* --- workers --------------------------------------------------------------- */

static void nothing(int number)
{
	(void)number;
}

static struct worker *worker_make(unsigned process, unsigned number)
{
	struct worker *w = calloc(1, sizeof *w);

	if (!w)
		abort();
	w->process = process;
	w->number = number;
	w->random = (seed + 1) * 0x9e3779b97f4a7c15ull + number * 7919 + 1;
	return w;
}

static void open_directories(struct worker *w)
{
	char name[32];

	snprintf(name, sizeof name, "w%u", w->number);
	MUST(mkdirat(base, name, 0755), 0);
	MUST_OPEN(w->own, openat(base, name, O_RDONLY | O_DIRECTORY));
	MUST_OPEN(w->shared, openat(base, "shared", O_RDONLY | O_DIRECTORY));
}

static void close_directories(struct worker *w)
{
	char name[32];

	snprintf(name, sizeof name, "w%u", w->number);
	MUST(close(w->own), 0);
	MUST(close(w->shared), 0);
	MUST(unlinkat(base, name, AT_REMOVEDIR), 0);
}

static void *work(void *arg)
{
	struct worker *w = arg;

	open_directories(w);
	own_start(w);
	shared_start(w);
	while (!atomic_load_explicit(&common->stop, memory_order_relaxed)) {
		uint32_t what = draw(w, 100);

		if (what < 60)
			own_step(w);
		else if (what < 95)
			shared_step(w);
		else
			lock_step(w);
	}
	own_finish(w);
	shared_finish(w);
	close_directories(w);
	free(w);
	return NULL;
}

static void process_run(unsigned process)
{
	struct sigaction sa = { .sa_handler = nothing };
	pthread_t id[WORKERS_MAX];

	sigaction(SIGUSR1, &sa, NULL);
	for (unsigned i = 0; i < threads; i++)
		if (pthread_create(&id[i], NULL, work, worker_make(process,
				   process * threads + i)) != 0)
			abort();
	for (unsigned i = 0; i < threads; i++)
		pthread_join(id[i], NULL);
}

/* --- everything freed -------------------------------------------------------- */

static bool as_before(const struct statvfs *before)
{
	struct statvfs now;

	return fstatvfs(base, &now) == 0 && now.f_ffree == before->f_ffree &&
	       now.f_bfree == before->f_bfree;
}

/* Removed files are freed once the kernel has forgotten them, a little later.
 * Other programs must leave the file system alone: -f says they do. */
static void check_free(struct worker *w, const struct statvfs *before)
{
	struct statvfs now;

	for (unsigned i = 0; i < SETTLE_S * 10 && !as_before(before); i++)
		usleep(100000);
	if (fstatvfs(base, &now) < 0)
		memset(&now, 0, sizeof now);
	verify(w, "free files at the end", __LINE__, (long long)now.f_ffree,
	       (long long)before->f_ffree);
	verify(w, "free blocks at the end", __LINE__, (long long)now.f_bfree,
	       (long long)before->f_bfree);
}

/* --- main ------------------------------------------------------------------ */

static void run_processes(void)
{
	pid_t pid[WORKERS_MAX];
	int status;

	for (unsigned p = 0; p < processes; p++) {
		pid[p] = fork();
		if (pid[p] < 0)
			abort();
		if (pid[p] == 0) {
			process_run(p);
			_exit(0);
		}
	}
	for (unsigned s = 0; s < seconds * 10 &&
	     !atomic_load(&common->stop); s++)
		usleep(100000);
	atomic_store(&common->stop, true);
	for (unsigned p = 0; p < processes; p++)
		if (waitpid(pid[p], &status, 0) < 0 || status != 0)
			atomic_fetch_add(&common->errors, 1);
}

static int usage(void)
{
	fprintf(stderr, "verifier [-p PROCESSES] [-t THREADS] [-s SECONDS] "
		"[-r SEED] [-f] DIR\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct worker *w = worker_make(0, WORKERS_MAX - 1);
	struct statvfs before;
	bool free_too = false;
	int o;

	while ((o = getopt(argc, argv, "p:t:s:r:f")) != -1) {
		if (o == 'p')
			processes = (unsigned)atoi(optarg);
		else if (o == 't')
			threads = (unsigned)atoi(optarg);
		else if (o == 's')
			seconds = (unsigned)atoi(optarg);
		else if (o == 'r')
			seed = strtoull(optarg, NULL, 10);
		else if (o == 'f')
			free_too = true;
		else
			return usage();
	}
	if (optind != argc - 1 || !processes || !threads ||
	    processes * threads >= WORKERS_MAX)
		return usage();
	base = open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	common = mmap(NULL, sizeof *common, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (base < 0 || common == MAP_FAILED || fstatvfs(base, &before) < 0) {
		perror(argv[optind]);
		return 2;
	}
	if (mkdirat(base, "shared", 0755) < 0) {
		perror("shared");
		return 2;
	}
	w->shared = openat(base, "shared", O_RDONLY | O_DIRECTORY);
	shared_make(w);
	run_processes();
	shared_check(w, processes * threads);
	close(w->shared);
	if (!common->errors)
		verify(w, "unlinkat(shared)", __LINE__,
		       OR_ERRNO(unlinkat(base, "shared", AT_REMOVEDIR)), 0);
	if (free_too && !common->errors)
		check_free(w, &before);
	printf("verifier: %lu ops, %lu errors\n", (unsigned long)common->ops,
	       (unsigned long)common->errors);
	return common->errors != 0;
}
