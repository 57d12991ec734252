/*
 * store.h - one device as the keeper holds it: overlay, journal, image.
 *
 * Theory of operation. A block goes from a record into the overlay. There it
 * is `fresh` until a flush puts all fresh blocks of the device into its
 * journal as one transaction; then it is logged. A checkpoint copies what is
 * logged from the journal to its place in the image and starts the journal
 * anew.
 *
 * The overlay holds only the newest content of a block. So a block may be
 * fresh and logged at once: then a flush point older than its content is in
 * the journal, and that is what the checkpoint copies, because the image must
 * never hold anything but flush points. Such a block stays in the overlay; one
 * that is only logged leaves it, after the image has it: its bit is cleared
 * first and then its content goes, so that a server that read a hole finds the
 * bit gone and turns to the device.
 *
 * A block that the last flush point does not use needs none of that, if no older
 * content of it is in overlay or journal and no checkpoint (undo.h) needs what
 * the image holds there: it goes to its place in the image,
 * which is synced before the journal says that it is part of anything.
 *
 * A keeper that takes over does not know which blocks were fresh: it takes all
 * that are in the overlay for fresh, and what is logged from the journal.
 */
#ifndef RK_STORE_H
#define RK_STORE_H

#include "keeper/journal.h"
#include "keeper/undo.h"

struct rk__store {
	const struct rk__device *device;
	uint64_t blocks;
	uint8_t *overlay;		/* mapped, sparse; NULL: read-only */
	_Atomic uint64_t *bitmap;	/* present in the overlay */
	uint64_t *fresh_bit;		/* one bit a block */
	uint64_t *fresh;		/* the same as a list */
	size_t n_fresh, max_fresh;
	bool unsynced;			/* the image: blocks were put there */
	struct rk__journal journal;
	struct rk__undo undo;
};

/* Takes over what is there. No journal is touched if the device is read-only.
 * On error the store is as after rk__store_close. Blocks on the device. */
int rk__store_open(struct rk__store *s, const struct rk__device *d);
void rk__store_close(struct rk__store *s);
/* Content of one block; -EROFS, -EINVAL if it lies outside. */
int rk__store_put(struct rk__store *s, uint64_t block, const void *data);
/* Content of n blocks in a row that the last flush point does not use. If the
 * device fails, *ret_failed says how, and the overlay has them. */
int rk__store_put_new(struct rk__store *s, uint64_t block, uint32_t n,
		      const uint8_t *data, int *ret_failed);
/* Makes all fresh blocks durable as one flush point. After an error, neither
 * this nor a checkpoint may be tried again: what a device has of what it
 * failed to write is not known. */
int rk__store_flush(struct rk__store *s);
/* Brings the image up to the last flush point and empties the journal. */
int rk__store_checkpoint(struct rk__store *s);
/* The same, and nothing that came after it is left. */
int rk__store_go_back(struct rk__store *s);

/* --- order.c -------------------------------------------------------------- */

/* On all devices that are written, whose images hold the flush point that it is
 * about: 0 or what to answer. May be done again. */
int rk__order_carry_out(struct rk__store *store, unsigned n,
			const struct rk__order *o);

#endif
