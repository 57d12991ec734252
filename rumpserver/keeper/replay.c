/*
 * replay.c - from the journal to the image: after a crash, and as the second
 * half of a checkpoint.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "keeper/journal.h"
#include "keeper/keeper.h"
#include "keeper/undo.h"

enum {
	RUN_BLOCKS = 64,		/* that are copied in one call */
};

static int by_block_then_age(const void *a, const void *b)
{
	const struct rk__logged *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->at < y->at ? -1 : x->at > y->at;
}

/* Sorts by block and keeps the newest of each. */
static void newest_of_each(struct rk__journal *j)
{
	size_t n = 0;

	qsort(j->logged, j->n_logged, sizeof *j->logged, by_block_then_age);
	for (size_t i = 0; i < j->n_logged; i++) {
		if (n > 0 && j->logged[n - 1].block == j->logged[i].block)
			n--;
		j->logged[n++] = j->logged[i];
	}
	j->n_logged = n;
}

/* How many from i on follow each other in image and journal. */
static size_t run_at(const struct rk__journal *j, size_t i)
{
	const struct rk__logged *l = &j->logged[i];
	size_t n = 1;

	while (n < RUN_BLOCKS && i + n < j->n_logged &&
	       l[n].block == l->block + n && l[n].at == l->at + n * RK_PAGE)
		n++;
	return n;
}

static int copy_run(const struct rk__journal *j, size_t i, size_t n)
{
	static uint8_t buf[RUN_BLOCKS * RK_PAGE];
	uint64_t off = j->logged[i].block * RK_PAGE;
	uint64_t left = j->image_size - off;
	size_t len = n * RK_PAGE;
	int r = rk__device_read(j->fd, buf, len, j->logged[i].at);

	/* The last block may be a short one. */
	return r < 0 ? r : rk__device_write(j->image_fd, buf,
					    len < left ? len : left, off);
}

static int save_old(const struct rk__journal *j)
{
	uint64_t *block;
	static uint8_t first[RK_PAGE];
	bool has_first = j->n_logged && j->logged[0].block == 0;
	int r = 0;

	if (!j->undo || !rk__undo_active(j->undo))
		return 0;
	if (has_first)
		r = rk__device_read(j->fd, first, sizeof first,
				    j->logged[0].at);
	block = malloc(j->n_logged * sizeof *block + 1);
	if (!block)
		r = -ENOMEM;
	for (size_t i = 0; i < j->n_logged && r == 0; i++)
		block[i] = j->logged[i].block;
	if (r == 0)
		rk__undo_keep(j->undo, block, j->n_logged,
			      has_first ? first : NULL);
	free(block);
	return r;
}

int rk__journal_copy(struct rk__journal *j, bool replay)
{
	int r;

	newest_of_each(j);
	r = save_old(j);
	for (size_t i = 0; i < j->n_logged && r == 0;) {
		size_t n = run_at(j, i);

		r = copy_run(j, i, n);
		i += n;
		if (replay)
			RK_CRASHPOINT(replay_half_done);
		else
			RK_CRASHPOINT(checkpoint_half_done);
	}
	return r < 0 ? r : rk__device_sync(j->image_fd);
}

static void explain(int r, int journal_fd, char *error)
{
	const char *what = "the journal %.128s cannot be replayed: %s";
	char link[32], path[4096];
	ssize_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", journal_fd);
	n = readlink(link, path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	if (r == -EMEDIUMTYPE)
		what = "the journal %.128s is of another image, or the image "
		       "was changed since; move it away if the image is whole";
	if (r == -EUCLEAN)
		what = "the journal %.128s is damaged; move it away if the "
		       "image is whole without it";
	snprintf(error, RK_SERVER_ERROR_LEN, what, path, strerror(-r));
}

int rk__journal_replay(int image_fd, int journal_fd, int undo_fd,
		       unsigned *ret_replayed, char *error)
{
	static struct rk__undo undo;
	struct rk__journal j;
	unsigned n = 0;
	int r = rk__journal_open(&j, journal_fd, image_fd,
				 rk__device_size(image_fd));

	if (r == 0 && j.number > 0) {
		n = (unsigned)j.number;
		/* Of one that fails nothing can be kept. */
		(void)rk__undo_open(&undo, undo_fd, image_fd, j.image_size);
		j.undo = &undo;
		r = rk__journal_copy(&j, true);
		if (r == 0)
			r = rk__journal_reset(&j);
		rk__undo_close(&undo);
	}
	if (r < 0)
		explain(r, journal_fd, error);
	else
		*ret_replayed = n;
	rk__journal_close(&j);
	return r;
}
