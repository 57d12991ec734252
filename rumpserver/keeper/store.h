/*
 * store.h - one device as the keeper holds it: overlay, journal, image.
 *
 * Theory of operation. A block goes from a record into the overlay. There it
 * is `fresh` until a flush puts all fresh blocks of the device into its
 * journal as one transaction; then it is `logged`. A checkpoint copies what is
 * logged to its place in the image and starts the journal anew.
 *
 * The overlay holds only the newest content of a block. So a block may be
 * fresh and logged at once: then a flush point older than its content is in
 * the journal, and the checkpoint takes it from there, because the image must
 * never hold anything but flush points. Such a block stays in the overlay;
 * one that is only logged leaves it.
 *
 * A keeper that takes over does not know which blocks were fresh: it takes all
 * that are in the overlay for fresh, and what is logged from the journal.
 */
#ifndef RK_STORE_H
#define RK_STORE_H

#include "keeper/journal.h"

/* Where the newest logged content of a block stands in the journal. */
struct rk__logged {
	uint64_t block;
	uint64_t at;
};

struct rk__store {
	const struct rk__device *device;
	uint64_t blocks;
	uint8_t *overlay;		/* mapped, sparse */
	_Atomic uint64_t *bitmap;	/* present in the overlay */
	uint64_t *fresh_bit;		/* one bit a block */
	uint64_t *fresh;		/* the same as a list */
	size_t n_fresh, max_fresh;
	struct rk__logged *logged;	/* in the order it was logged */
	size_t n_logged, max_logged;
	struct rk__journal journal;
};

/* No journal is touched if the device is read-only. Blocks on the device. */
int rk__store_open(struct rk__store *s, const struct rk__device *d);
/* Content of one block; -EROFS, -EINVAL if it lies outside. */
int rk__store_put(struct rk__store *s, uint64_t block, const void *data);
/* Makes all fresh blocks durable as one flush point. */
int rk__store_flush(struct rk__store *s);
/* Brings the image up to the last flush point and empties the journal. */
int rk__store_checkpoint(struct rk__store *s);

#endif
