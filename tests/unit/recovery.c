/*
 * recovery.c - a server's memory and blocks after death at any instant.
 *
 * A child plays server: it changes core memory, arena memory and blocks at
 * random, and commits; what it committed can be told from the commit's number
 * alone, because every step is made from a seed. It is killed at random, or at
 * crash points; the next child must find exactly the state of the last commit.
 * A second process plays the keeper.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "server/loop.h"
#include "core/vfs.h"
#include "driver.h"
#include "keeper/keeper.h"
#include "recovery/recovery.h"
#include "recovery/region.h"

enum {
	WORDS = 4096,			/* of core memory in use */
	CHUNKS = 512,			/* allocations of the arena */
	UNIT = 1024,			/* what one write changes at least */
	UNITS = 2048,			/* of the device */
	DEVICE_SIZE = UNITS * UNIT,
};

/* The state that a successor must find, in the arena. */
struct state {
	uint64_t step;
	uint32_t *chunk[CHUNKS];	/* [0]: words that follow */
};

static struct rk__family family;
static struct rk_host host;
static uint64_t *words = (uint64_t *)RK_CORE_AT;	/* [0]: step, [1]: state */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 33;
}

static int memory_file(size_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert(fd >= 0 && ftruncate(fd, (off_t)size) == 0);
	return fd;
}

static void make_family(void)
{
	struct rk__device *d = &family.device[0];

	family.board = mmap(NULL, sizeof *family.board, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	family.core_fd = memory_file(RK_CORE_SIZE);
	family.driver_fd = memory_file(RK_DRIVER_SIZE);
	family.log_fd = memory_file(RK_LOG_RING_AT + RK_LOG_SIZE);
	family.calls_fd = -1;
	family.keeper_event = eventfd(0, EFD_NONBLOCK);
	family.n_mounts = 1;
	d->fd = memory_file(DEVICE_SIZE);
	d->journal_fd = memory_file(0);
	d->undo_fd = -1;
	d->overlay_fd = memory_file(DEVICE_SIZE);
	d->bitmap_fd = memory_file(4096);
	d->size = DEVICE_SIZE;
}

/* Each step writes four runs of units; a unit holds the step that wrote it. */
static void run_of(uint64_t step, unsigned i, unsigned *at, unsigned *n)
{
	uint64_t r = mix(step * 4 + i);

	*at = (unsigned)(r % UNITS);
	*n = (unsigned)(r >> 32) % 9 + 1;
	if (*n > UNITS - *at)
		*n = UNITS - *at;
}

static void units_after(uint64_t step, uint64_t *unit)
{
	unsigned at, n;

	memset(unit, 0, UNITS * sizeof *unit);
	for (uint64_t s = 1; s <= step; s++)
		for (unsigned i = 0; i < 4; i++)
			for (run_of(s, i, &at, &n); n > 0; n--)
				unit[at++] = s;
}

static void write_run(uint64_t step, unsigned i)
{
	static uint64_t data[9 * UNIT / 8];
	unsigned at, n;

	run_of(step, i, &at, &n);
	for (unsigned k = 0; k < n * UNIT / 8; k++)
		data[k] = step;
	cr_assert_eq(host.write(host.ctx, data, n * UNIT, at * UNIT), 0);
}

/* Reads the device in pieces of all sizes and looks at every word. */
static bool device_is_right(uint64_t step)
{
	static uint64_t unit[UNITS], data[64 * UNIT / 8];
	unsigned n;

	units_after(step, unit);
	for (unsigned at = 0; at < UNITS; at += n) {
		n = (unsigned)mix(at ^ step) % 64 + 1;
		n = n < UNITS - at ? n : UNITS - at;
		if (host.read(host.ctx, data, n * UNIT, at * UNIT) != 0)
			return false;
		for (unsigned k = 0; k < n * UNIT / 8; k++)
			if (data[k] != unit[at + k / (UNIT / 8)])
				return false;
	}
	return true;
}

static void change_chunk(struct state *st, uint64_t r)
{
	uint32_t **c = &st->chunk[r % CHUNKS];
	uint32_t n = (uint32_t)(r >> 32) % 3000 + 1;

	rk__arena_free(*c);
	*c = rk__arena_malloc((n + 1) * sizeof **c);
	cr_assert(*c);
	(*c)[0] = n;
	for (uint32_t i = 1; i <= n; i++)
		(*c)[i] = (uint32_t)mix(st->step + i);
}

static void one_step(struct state *st)
{
	uint64_t s = st->step + 1;

	rk__change_driver();
	st->step = s;
	for (unsigned i = 0; i < 3; i++)
		change_chunk(st, mix(s * 7 + i));
	for (unsigned i = 0; i < 4; i++)
		write_run(s, i);
	rk__note(&words[0], 8);
	words[0] = s;
	for (unsigned i = 0; i < 10; i++) {
		uint64_t *w = &words[2 + mix(s * 13 + i) % (WORDS - 2)];

		rk__note(w, 8);
		*w = s;
	}
}

static uint64_t core_word(uint64_t step, uint64_t at)
{
	for (uint64_t s = step; s > 0; s--)
		for (unsigned i = 0; i < 10; i++)
			if (2 + mix(s * 13 + i) % (WORDS - 2) == at)
				return s;
	return 0;
}

static bool state_is_right(const struct state *st)
{
	uint64_t step = words[0];

	if (st->step != step)
		return false;
	for (unsigned i = 0; i < CHUNKS; i++) {
		const uint32_t *c = st->chunk[i];

		for (uint32_t k = 2; c && k <= c[0]; k++)
			if (c[k] == c[k - 1])
				return false;
	}
	for (unsigned i = 0; i < 64; i++) {
		uint64_t at = 2 + mix(i + step) % (WORDS - 2);

		if (words[at] != core_word(step, at))
			return false;
	}
	return device_is_right(step);
}

/* A server: checks what it finds and goes on until it has made `steps`. */
static int play_server(bool first, uint64_t steps)
{
	uint64_t tries = (uint64_t)getpid() << 32;
	struct state *st;

	rk__crash_board = family.board;
	if (rk__recovery_prepare(&family) < 0 ||
	    rk__blockstore_open(&family) < 0)
		return 2;
	rk__blockstore_host(0, NULL, &host);
	if (first) {
		rk__recovery_format(false);
		st = rk__arena_calloc(1, sizeof *st);
		rk__note(words, 16);
		words[1] = (uint64_t)(uintptr_t)st;
		rk__commit(NULL, 0, 0, NULL);
	} else {
		if (rk__recovery_populate() < 0 || rk__recovery_load() < 0)
			return 3;
		st = (struct state *)(uintptr_t)words[1];
		if (!state_is_right(st))
			return 4;
	}
	while (st->step < steps) {
		uint64_t r = mix(tries++);

		if (r % 16 == 3 && !device_is_right(st->step))
			return 7;
		one_step(st);
		if (r % 5 == 0) {
			uint64_t was = st->step;

			rk__rollback();
			if (st->step != was - 1 || words[0] != was - 1)
				return 5;
			continue;
		}
		rk__commit(NULL, 0, r % 64 == 1 ? RK_RECORD_FLUSH : 0, NULL);
	}
	return state_is_right(st) ? 0 : 6;
}

static pid_t start_keeper(bool replay)
{
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		rk__keeper_run(&family, replay, ready[1]);
	}
	close(ready[1]);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_process(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static pid_t start_server(bool first, uint64_t steps)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		rk__faults_install(family.board);
		_exit(play_server(first, steps));
	}
	return pid;
}

static int wait_server(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* Starts servers until one gets to the end; kills each after some time. */
static unsigned run_killing(uint64_t steps, unsigned max_kills)
{
	unsigned kills = 0;
	bool first = true;

	for (;;) {
		pid_t pid = start_server(first, steps);
		struct timespec t = {
			.tv_nsec = (long)(mix(kills + 99) % 12 * 1000000),
		};
		int r;

		if (!first && kills < max_kills) {
			nanosleep(&t, NULL);
			kill(pid, SIGKILL);
			kills++;
		} else if (first) {
			nanosleep(&(struct timespec){ .tv_nsec = 50000000 },
				  NULL);
			kill(pid, SIGKILL);
		}
		r = wait_server(pid);
		if (r == 0)
			return kills;
		cr_assert_eq(r, -SIGKILL, "a server found a wrong state: %d", r);
		first = false;
	}
}

static void run(const char *method)
{
	pid_t keeper;

	setenv("RUMP_TRACK", method, 1);
	make_family();
	keeper = start_keeper(true);
	run_killing(3000, 60);
	end_process(keeper);
	unsetenv("RUMP_TRACK");
}

Test(recovery, killed_at_random_write_protect)
{
	run("");
}

Test(recovery, killed_at_random_signal)
{
	run("signal");
}

Test(recovery, killed_at_crash_points)
{
	static const enum rk__crashpoint point[] = {
		RK_CRASH_op_half_done, RK_CRASH_log_half_written,
		RK_CRASH_log_not_published, RK_CRASH_recover_loaded,
	};
	pid_t keeper;
	int r = 1;

	make_family();
	keeper = start_keeper(true);
	for (unsigned i = 0; i < 200; i++) {
		struct rk__board *b = family.board;

		/* The first one gets to its first commit. */
		atomic_store(&b->crash_skip, (uint32_t)(mix(i) % 20) +
			     (i == 0 ? 9 : 0));
		atomic_store(&b->crash_at, i == 0 ? RK_CRASH_log_half_written :
			     point[i % 4]);
		r = wait_server(start_server(i == 0, 3000));
		cr_assert(r == 0 || r == -SIGKILL, "wrong state: %d", r);
		if (r == 0)
			break;
	}
	end_process(keeper);
}
