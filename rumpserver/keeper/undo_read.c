/*
 * undo_read.c - reading the batches of an undo file. The file may be anybody's:
 * nothing of a batch is believed before its checksum holds, and no content before
 * its own does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "keeper/undo.h"

uint64_t rk__undo_batch_check(struct rk__undo_batch *b)
{
	uint64_t had = b->check, check;

	b->check = 0;
	check = XXH3_64bits(b, sizeof *b + b->n * sizeof b->entry[0]);
	b->check = had;
	return check;
}

/* The batch at `at`, in memory of its own. */
static int read_batch(const struct rk__undo *u, uint64_t at, uint64_t to,
		      struct rk__undo_batch **ret)
{
	struct rk__undo_batch head, *b;
	int r = rk__device_read(u->fd, &head, sizeof head, at);
	size_t len;

	if (r < 0)
		return r;
	if (head.magic != RK_UNDO_BATCH_MAGIC || head.at != at ||
	    head.epoch != u->head.epoch || head.n == 0 ||
	    head.n > RK_UNDO_BATCH_MAX)
		return -EUCLEAN;
	len = rk__undo_table_size(head.n);
	if (len > to - at)
		return -EUCLEAN;
	b = malloc(len);
	if (!b)
		return -ENOMEM;
	r = rk__device_read(u->fd, b, len, at);
	if (r == 0 && (b->n != head.n || rk__undo_batch_check(b) != b->check))
		r = -EUCLEAN;
	if (r == 0)
		*ret = b;
	else
		free(b);
	return r;
}

/* *at moves behind the batch. */
static int show(const struct rk__undo *u, const struct rk__undo_batch *b,
		uint64_t *at, uint64_t to, rk__saved_fn *fn, void *arg)
{
	uint64_t blocks = (u->image_size + RK_PAGE - 1) / RK_PAGE, end;
	int r = 0;

	end = *at += rk__undo_table_size(b->n);
	for (uint32_t i = 0; i < b->n; i++) {
		if ((b->entry[i].block & ~RK_UNDO_ZEROS) >= blocks)
			return -EUCLEAN;
		end += b->entry[i].block & RK_UNDO_ZEROS ? 0 : RK_PAGE;
	}
	if (end > to)
		return -EUCLEAN;
	for (uint32_t i = 0; i < b->n && r == 0; i++) {
		bool zeros = b->entry[i].block & RK_UNDO_ZEROS;
		struct rk__saved s = {
			.block = b->entry[i].block & ~RK_UNDO_ZEROS,
			.at = zeros ? 0 : *at,
			.check = b->entry[i].check,
		};

		*at += zeros ? 0 : RK_PAGE;
		r = fn(arg, &s);
	}
	return r;
}

int rk__undo_walk(const struct rk__undo *u, uint64_t from, uint64_t to,
		  rk__saved_fn *fn, void *arg)
{
	struct rk__undo_batch *b = NULL;
	int r = 0;

	while (from < to && r == 0) {
		r = read_batch(u, from, to, &b);
		if (r < 0)
			break;
		r = show(u, b, &from, to, fn, arg);
		free(b);
	}
	return r;
}

int rk__undo_content(const struct rk__undo *u, const struct rk__saved *s,
		     uint8_t *ret)
{
	int r;

	if (!s->at) {
		memset(ret, 0, RK_PAGE);
		return 0;
	}
	r = rk__device_read(u->fd, ret, RK_PAGE, s->at);
	if (r == 0 &&
	    XXH3_64bits_withSeed(ret, RK_PAGE, s->block) != s->check)
		r = -EUCLEAN;
	return r;
}

/* --- what a checkpoint was -------------------------------------------------- */

struct list {
	const struct rk__undo *u;
	uint64_t *had;			/* bits */
	struct rk__saved *saved;
	size_t n, max;
};

/* Of each block the oldest. */
static int add(void *arg, const struct rk__saved *s)
{
	static uint8_t content[RK_PAGE];
	struct list *l = arg;
	uint64_t *word = &l->had[s->block / 64], bit = 1ull << s->block % 64;

	if (*word & bit)
		return 0;
	*word |= bit;
	if (l->n == l->max) {
		size_t max = l->max ? l->max * 2 : 1024;
		void *p = realloc(l->saved, max * sizeof *l->saved);

		if (!p)
			return -ENOMEM;
		l->saved = p;
		l->max = max;
	}
	l->saved[l->n++] = *s;
	return rk__undo_content(l->u, s, content);
}

static int by_block(const void *a, const void *b)
{
	const struct rk__saved *x = a, *y = b;

	return x->block < y->block ? -1 : x->block > y->block;
}

int rk__undo_list(const struct rk__undo *u, unsigned checkpoint,
		  struct rk__saved **ret, size_t *ret_n)
{
	uint64_t blocks = (u->image_size + RK_PAGE - 1) / RK_PAGE;
	struct list l = { .u = u, .had = calloc((blocks + 63) / 64, 8) };
	int r = -ENOMEM;

	if (l.had)
		r = rk__undo_walk(u, u->head.checkpoint[checkpoint].at,
				  u->head.end, add, &l);
	free(l.had);
	if (r < 0) {
		free(l.saved);
		return r;
	}
	if (l.n)
		qsort(l.saved, l.n, sizeof *l.saved, by_block);
	*ret = l.saved;
	*ret_n = l.n;
	return 0;
}
