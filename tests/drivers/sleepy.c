/*
 * sleepy.c - ext4 with files that make ops sleep in the middle.
 *
 * "party0", "party1", ...: a write of 8 bytes (who, which) waits until PARTY of
 * them are there. What it did before stands in "log" meanwhile: a line when it
 * came, one when it went on, one if it was interrupted. So an op that is run
 * again from its start shows. Before it sleeps it fills its stack and some
 * memory, and looks afterwards whether all is as it was.
 *
 * "bell": a read waits until the bell was rung more often than its offset, and
 * gives how often that was; a write rings it. It waits before it changes
 * anything, and so works in either execution model.
 *
 * "slow": a write takes its time, and gives way to others after each KiB. A
 * read from COUNT_AT gives how many KiB were written so, ever.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "driver.h"

enum { PARTY = 4, NAMES_MAX = 16, WORDS = 200, SLOW_US = 50,
	COUNT_AT = 1 << 20 };

extern const struct rk_driver rk_ext4_driver;

/* Filled before anybody asks for it, so not const here. */
struct rk_driver rk_driver;

static const struct rk_host *host;

/* In recoverable memory, like everything that malloc gives. */
static struct state {
	uint64_t party[NAMES_MAX], log, bell, slow;	/* inodes */
	uint64_t logged;			/* bytes of the log */
	uint64_t rung;
	uint64_t slowly;			/* KiB */
	uint32_t there, round;
} *state;

struct line {
	uint32_t who, which, what, round;
};

static int log_line(void *fs, char what, const uint32_t *id)
{
	struct line l = { id[0], id[1], (uint32_t)what, state->round };
	int64_t r = rk_ext4_driver.write(fs, state->log, &l, sizeof l,
					 state->logged);

	if (r == sizeof l)
		state->logged += sizeof l;
	return r < 0 ? (int)r : r == sizeof l ? 0 : -EIO;
}

static uint32_t word(uint32_t seed, unsigned i)
{
	return (seed + i) * 2654435761u;
}

/* Everybody is there, or somebody goes before that. */
static int wait_for_party(void *fs, const uint32_t *id)
{
	volatile uint32_t local[WORDS];
	uint32_t round = state->round, seed = id[0] * 1000003 + id[1];
	uint32_t *heap = malloc(sizeof local);
	double half = seed / 2.0;
	int r = heap ? 0 : -ENOMEM;

	for (unsigned i = 0; r == 0 && i < WORDS; i++)
		heap[i] = local[i] = word(seed, i);
	while (r == 0 && state->round == round)
		r = host->wait(host->ctx, &state->round);
	for (unsigned i = 0; heap && r == 0 && i < WORDS; i++)
		if (local[i] != word(seed, i) || heap[i] != local[i] ||
		    half != seed / 2.0)
			abort();
	free(heap);
	return r;
}

static int64_t come_to_party(void *fs, const void *buf, size_t len)
{
	uint32_t id[2];
	int r;

	if (len != sizeof id)
		return -EINVAL;
	memcpy(id, buf, sizeof id);
	host->change(host->ctx);
	r = log_line(fs, 'b', id);
	if (r < 0)
		return r;
	if (++state->there == PARTY) {
		state->there = 0;
		state->round++;
		host->wake(host->ctx, &state->round);
	} else {
		r = wait_for_party(fs, id);
	}
	host->change(host->ctx);
	if (r == -EINTR) {
		state->there--;
		/* What fails is undone, and this is to be seen. */
		log_line(fs, 'i', id);
		return (int64_t)len;
	}
	return r < 0 || (r = log_line(fs, 'e', id)) < 0 ? r : (int64_t)len;
}

static int64_t write_slowly(void *fs, uint64_t ino, const uint8_t *buf,
			    size_t len, uint64_t off)
{
	for (size_t done = 0; done < len; done += 1024) {
		struct timespec t = { .tv_nsec = SLOW_US * 1000 };
		size_t n = len - done < 1024 ? len - done : 1024;
		int64_t r = rk_ext4_driver.write(fs, ino, buf + done, n,
						 off + done);

		if (r < 0)
			return r;
		state->slowly++;
		nanosleep(&t, NULL);
		host->yield(host->ctx);
	}
	return (int64_t)len;
}

static int64_t ring(size_t len)
{
	host->change(host->ctx);
	state->rung++;
	host->wake(host->ctx, &state->rung);
	return (int64_t)len;
}

static int64_t listen(void *buf, size_t len, uint64_t off)
{
	while (state->rung <= off) {
		int r = host->wait(host->ctx, &state->rung);

		if (r < 0)
			return r;
	}
	if (len < sizeof state->rung)
		return -EINVAL;
	memset(buf, 0, len);
	memcpy(buf, &state->rung, sizeof state->rung);
	return (int64_t)len;
}

static int64_t do_write(void *fs, uint64_t ino, const void *buf, size_t len,
			uint64_t off)
{
	for (unsigned i = 0; i < NAMES_MAX; i++)
		if (ino == state->party[i])
			return come_to_party(fs, buf, len);
	if (ino == state->bell)
		return ring(len);
	if (ino == state->slow)
		return write_slowly(fs, ino, buf, len, off);
	return rk_ext4_driver.write(fs, ino, buf, len, off);
}

static int64_t do_read(void *fs, uint64_t ino, void *buf, size_t len,
		       uint64_t off)
{
	if (ino == state->slow && off == COUNT_AT && len == 8) {
		memcpy(buf, &state->slowly, len);
		return (int64_t)len;
	}
	return ino == state->bell ? listen(buf, len, off) :
	       rk_ext4_driver.read(fs, ino, buf, len, off);
}

static bool is(const char *name, size_t len, const char *what)
{
	return len == strlen(what) && !memcmp(name, what, len);
}

static int create(void *fs, uint64_t dir, const char *name, size_t len,
		  const struct rk_new *what, struct rk_stat *ret)
{
	int r = rk_ext4_driver.create(fs, dir, name, len, what, ret);

	if (r < 0)
		return r;
	if (len == 6 && !memcmp(name, "party", 5))
		state->party[(name[5] - '0') % NAMES_MAX] = ret->ino;
	if (is(name, len, "log"))
		state->log = ret->ino;
	if (is(name, len, "bell"))
		state->bell = ret->ino;
	if (is(name, len, "slow"))
		state->slow = ret->ino;
	return r;
}

static int mount(const struct rk_host *h, const struct rk_mount_options *opt,
		 void **ret_fs, uint64_t *ret_root, bool *needs_recovery)
{
	host = h;
	state = calloc(1, sizeof *state);
	return state ? rk_ext4_driver.mount(h, opt, ret_fs, ret_root,
					    needs_recovery) : -ENOMEM;
}

__attribute__((constructor)) static void fill(void)
{
	rk_driver = rk_ext4_driver;
	rk_driver.name = "sleepy";
	rk_driver.help = "for tests: ext4 whose ops wait in the middle";
	rk_driver.mount = mount;
	rk_driver.create = create;
	rk_driver.write = do_write;
	rk_driver.read = do_read;
}
