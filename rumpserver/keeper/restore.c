/*
 * restore.c - an image goes back to a checkpoint. What has to be written becomes
 * a transaction of the journal, so that a kill or a power cut at any instant
 * leaves what was there, or what is asked for; and it is copied to the image as
 * every transaction is, after what it overwrites was saved for the newest
 * checkpoint.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "keeper/keeper.h"
#include "keeper/undo.h"

#define say(error, ...) \
	((void)snprintf((error), RK_SERVER_ERROR_LEN, __VA_ARGS__))

struct content {
	const struct rk__undo *u;
	const struct rk__saved *saved;
	uint8_t buf[RK_PAGE];
};

static const void *content_of(void *arg, uint32_t i)
{
	struct content *c = arg;

	return rk__undo_content(c->u, &c->saved[i], c->buf) == 0 ? c->buf :
	       NULL;
}

static int cannot(int r, char *error)
{
	if (r == -EUCLEAN)
		say(error, "the file of its checkpoints is damaged; nothing "
		    "was restored");
	else if (r == -EMEDIUMTYPE)
		say(error, "the image was changed by another program since; "
		    "nothing was restored");
	else if (r < 0)
		say(error, "nothing was restored: %s", strerror(-r));
	return r;
}

/* What is to be written for this label. */
static int find(struct rk__undo *u, const char *label, struct rk__saved **ret,
		size_t *ret_n, char *error)
{
	int i = rk__undo_find(&u->head, label);
	uint32_t why;

	if (i < 0) {
		say(error, "there is no checkpoint '%.63s'", label);
		return -ENOENT;
	}
	why = u->head.checkpoint[i].why;
	if (why) {
		say(error, "the checkpoint '%.63s' cannot be restored: %s",
		    label, rk__undo_void_text(why));
		return -ESTALE;
	}
	return cannot(rk__undo_list(u, (unsigned)i, ret, ret_n), error);
}

/* *ret_counts: it is in the journal, and so will be in the image. */
static int write_all(struct rk__undo *u, struct rk__journal *j,
		     const struct rk__saved *saved, size_t n, bool *ret_counts)
{
	struct content c = { .u = u, .saved = saved };
	uint64_t *block = malloc(n * sizeof *block);
	const uint8_t *first = NULL;
	int r = block ? 0 : -ENOMEM;

	if (n > UINT32_MAX)
		r = -EFBIG;
	for (size_t i = 0; i < n && r == 0; i++)
		block[i] = saved[i].block;
	if (r == 0 && block[0] == 0)
		first = content_of(&c, 0);
	/* Where this has no room, nothing has happened yet. */
	if (r == 0)
		r = rk__undo_save(u, block, n, first);
	if (r == 0)
		r = rk__journal_append(j, block, (uint32_t)n, content_of, &c);
	*ret_counts = r == 0;
	if (r == 0)
		r = rk__journal_copy(j, false);
	if (r == 0)
		r = rk__journal_reset(j);
	free(block);
	return r;
}

static int restore(struct rk__undo *u, int journal_fd, const char *label,
		   size_t *ret_blocks, char *error)
{
	struct rk__saved *saved = NULL;
	struct rk__journal j;
	bool counts = false;
	int r = find(u, label, &saved, ret_blocks, error);

	if (r < 0 || *ret_blocks == 0)
		return r;
	r = rk__journal_open(&j, journal_fd, u->image_fd, u->image_size);
	if (r == 0) {
		j.undo = u;
		r = write_all(u, &j, saved, *ret_blocks, &counts);
		rk__journal_close(&j);
	}
	free(saved);
	if (r == 0 || !counts)
		return cannot(r, error);
	say(error, "not all could be written to the image, the rest is in its "
	    "journal (%s); try rump recover", strerror(-r));
	return r;
}

static int open_file(struct rk__undo *u, int undo_fd, int image_fd, char *error)
{
	int r = rk__undo_open(u, undo_fd, image_fd,
			      rk__device_size(image_fd));

	return cannot(r, error);
}

int rk__undo_restore(int image_fd, int journal_fd, int undo_fd,
		     const char *label, size_t *ret_blocks, char *error)
{
	static struct rk__undo u;
	unsigned replayed;
	int r = rk__journal_replay(image_fd, journal_fd, undo_fd, &replayed,
				   error);

	if (r < 0)
		return r;
	r = open_file(&u, undo_fd, image_fd, error);
	if (r == 0)
		r = restore(&u, journal_fd, label, ret_blocks, error);
	rk__undo_close(&u);
	return r;
}

/* --- into a copy ------------------------------------------------------------ */

static int write_copy(const struct rk__undo *u, const struct rk__saved *saved,
		      size_t n, int fd)
{
	static uint8_t block[RK_PAGE];
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		uint64_t off = saved[i].block * RK_PAGE;
		uint64_t left = u->image_size - off;

		r = rk__undo_content(u, &saved[i], block);
		if (r == 0)
			r = rk__device_write(fd, block, left < RK_PAGE ?
					     left : RK_PAGE, off);
	}
	return r;
}

int rk__undo_restore_copy(int image_fd, int undo_fd, const char *label,
			  int copy_fd, char *error)
{
	static struct rk__undo u;
	struct rk__saved *saved = NULL;
	size_t n = 0;
	int r = open_file(&u, undo_fd, image_fd, error);

	if (r == 0)
		r = find(&u, label, &saved, &n, error);
	if (r == 0 && n)
		r = cannot(write_copy(&u, saved, n, copy_fd), error);
	free(saved);
	rk__undo_close(&u);
	return r;
}
