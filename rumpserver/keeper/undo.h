/*
 * undo.h - named checkpoints of one image: a file beside it that holds what
 * blocks of the image held before they were overwritten.
 *
 * Making a checkpoint copies nothing: the image is brought up to a flush point,
 * and a label is noted. From then on, whoever writes to the image first saves
 * the old content of each block that was not saved since the newest checkpoint.
 * So each block is saved once between two checkpoints at most, a block of zeros
 * takes no space, and the state at a checkpoint is: of each block what was saved
 * first since then, else what the image holds.
 *
 * The file:
 *
 *	two heads	RK_UNDO_HEAD each, written in turn; the valid one with
 *			the higher count holds: the checkpoints, and how far the
 *			file counts
 *	batches		struct rk__undo_batch with the numbers of its blocks,
 *			padded to RK_PAGE, then the content of those that are
 *			not all zeros
 *
 * A batch is durable before a head says that it counts, and that head is durable
 * before the image is written. So all that a head counts must be whole: what is
 * not is damage, and is refused.
 *
 * What no longer fits. The head holds hashes of the sectors of the image's first
 * block, as they were and as they are about to be. An image in which they are
 * neither was changed by somebody who saved nothing (a mount by the kernel,
 * e2fsck, a backup that was brought back): its checkpoints are void. So they are
 * when old content cannot be saved, because the disk is full or failed: the image
 * is written all the same. A void one stays in the list, which says why.
 */
#ifndef RK_UNDO_H
#define RK_UNDO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "keeper/journal.h"
#include "recovery/order.h"

#define RK_UNDO_MAGIC		0x6f646e756b72ull	/* "rkundo" */
#define RK_UNDO_BATCH_MAGIC	0x62756b72u
#define RK_UNDO_VERSION		1
#define RK_UNDO_HEAD		32768ull
#define RK_UNDO_START		(2 * RK_UNDO_HEAD)	/* of batches */
#define RK_UNDO_ZEROS		(1ull << 63)	/* no content follows */

enum {
	RK_CHECKPOINTS_MAX = 250,
	RK_UNDO_BATCH_MAX = 16384,	/* blocks */
};

/* Why one cannot be restored any more. */
enum rk__void {
	RK_VOID_NOT,
	RK_VOID_FULL,			/* no space for old content */
	RK_VOID_FAILED,			/* to save it failed otherwise */
	RK_VOID_CHANGED,		/* the image, by another program */
	RK_VOID_DAMAGED,		/* what was saved */
	RK_VOID_END
};

struct rk__checkpoint {
	char label[RK_LABEL_SIZE];
	uint64_t token;			/* of the order that made it */
	int64_t sec;			/* CLOCK_REALTIME */
	uint64_t at;			/* its batches begin here */
	uint64_t blocks;		/* with content that is stored for it */
	uint32_t nsec;
	uint32_t why;			/* enum rk__void */
	uint64_t reserved[3];
};
_Static_assert(sizeof(struct rk__checkpoint) == 128, "fixed layout");

struct rk__undo_head {
	uint64_t magic;
	uint32_t version;
	uint32_t n;			/* checkpoints, the oldest first */
	uint64_t count;			/* of heads so far; 1 is the first */
	uint64_t epoch;			/* random, of this file */
	uint64_t image_size;
	uint64_t end;			/* what counts of the file */
	uint64_t before[RK_PROBES], after[RK_PROBES];
	uint64_t reserved;
	uint64_t check;			/* XXH3, with 0 here, up to the last one */
	struct rk__checkpoint checkpoint[RK_CHECKPOINTS_MAX];
};
_Static_assert(sizeof(struct rk__undo_head) <= RK_UNDO_HEAD, "fits");

struct rk__undo_batch {
	uint32_t magic;
	uint32_t n;
	uint64_t epoch;
	uint64_t at;			/* its own place in the file */
	uint64_t check;			/* XXH3 of it and its entries, with 0 here */
	struct rk__undo_entry {
		uint64_t block;		/* with RK_UNDO_ZEROS */
		uint64_t check;		/* XXH3 of the content, seeded with it */
	} entry[];
};

/* The file of one image, as whoever writes to that image knows it. */
struct rk__undo {
	int fd;				/* -1: nothing is kept */
	int image_fd;
	int error;			/* why, if there is a file: see open */
	uint64_t image_size;
	uint64_t *saved;		/* bits: since the newest checkpoint */
	struct rk__undo_head head;
};

/* --- place.c ------------------------------------------------------------ */

/* Where it is: as rk__journal_path has it for the journal. */
int rk__undo_path(const char *image, char *ret, size_t size);

/* --- undo.c --------------------------------------------------------------- */

/*
 * fd -1, or a file of any content. 0: *u is good for what follows; -EUCLEAN: the
 * file is damaged, or any other error of the device. *u can be used then, too: it
 * saves nothing, and does not touch the file. Looks whether the image still fits.
 */
int rk__undo_open(struct rk__undo *u, int fd, int image_fd, uint64_t image_size);
void rk__undo_close(struct rk__undo *u);
/* The head that holds, for who only lists: n is 0 if there is none. -EUCLEAN. */
int rk__undo_head(int fd, struct rk__undo_head *ret);

/* Is there one that can be restored, so that content must be saved? */
bool rk__undo_active(const struct rk__undo *u);
/* May these n blocks be overwritten as they are? */
bool rk__undo_covers(const struct rk__undo *u, uint64_t block, uint32_t n);
/*
 * Before blocks of the image are overwritten: saves those that are not saved
 * yet, durably. block[]: sorted, without duplicates. block0: what block 0 will
 * hold, NULL if it is not among them. On an error nothing is void yet.
 */
int rk__undo_save(struct rk__undo *u, const uint64_t *block, size_t n,
		  const uint8_t *block0);
/*
 * The same for who writes the image in any case: if it fails, all checkpoints are
 * void.
 */
void rk__undo_keep(struct rk__undo *u, const uint64_t *block, size_t n,
		   const uint8_t *block0);

/* --- undo_list.c ---------------------------------------------------------- */

/* All of them are void from now on, and take no space. */
void rk__undo_void(struct rk__undo *u, enum rk__void why);
/* The index of one, or -ENOENT. */
int rk__undo_find(const struct rk__undo_head *h, const char *label);
/*
 * Makes a checkpoint of what the image holds, durably. 0 also if it was made
 * before by the same order. -EEXIST; -EDQUOT: there are too many; what
 * rk__undo_open said; of the device.
 */
int rk__undo_mark(struct rk__undo *u, const struct rk__order *o);
/* Removes one, and what only it needed. -ENOENT; of the device. */
int rk__undo_delete(struct rk__undo *u, const char *label);

/* --- undo.c and undo_list.c: among themselves ------------------------------ */

/* Makes the head durable, with a count of its own. */
int rk__undo_write_head(struct rk__undo *u);
/* Finds out what is saved since the newest. -EUCLEAN, -ENOMEM. */
int rk__undo_learn(struct rk__undo *u);
/* Hashes of the sectors of the image's first block. */
int rk__undo_probe(const struct rk__undo *u, uint64_t *ret);
uint64_t rk__undo_batch_check(struct rk__undo_batch *b);
/* A batch's head and the numbers of n blocks. */
static inline size_t rk__undo_table_size(size_t n)
{
	size_t len = sizeof(struct rk__undo_batch) +
		n * sizeof(struct rk__undo_entry);

	return (len + RK_PAGE - 1) & ~(size_t)(RK_PAGE - 1);
}

/* --- undo_read.c ---------------------------------------------------------- */

/* Of one block, where its saved content is; at 0: zeros. */
struct rk__saved {
	uint64_t block;
	uint64_t at;
	uint64_t check;
};

/* Called for each entry of the batches in [from, to), in their order, until it
 * returns non-zero. -EUCLEAN: damaged; nothing of the batch at hand was shown. */
typedef int rk__saved_fn(void *arg, const struct rk__saved *s);
int rk__undo_walk(const struct rk__undo *u, uint64_t from, uint64_t to,
		  rk__saved_fn *fn, void *arg);
/* Reads and verifies the content of one. -EUCLEAN. */
int rk__undo_content(const struct rk__undo *u, const struct rk__saved *s,
		     uint8_t *ret);
/*
 * What must be written to the image as it is now to make it what it was at a
 * checkpoint, sorted by block, all of it verified. *ret is the caller's.
 * -EUCLEAN.
 */
int rk__undo_list(const struct rk__undo *u, unsigned checkpoint,
		  struct rk__saved **ret, size_t *ret_n);

/* --- restore.c ------------------------------------------------------------ */

/*
 * Brings the image to what it was at a checkpoint. Nobody else uses it. What the
 * journal holds is replayed first; then the restoring is a flush point like any
 * other: whatever happens, it is done whole or not at all, by the next replay if
 * need be, so what is in the journal must not be thrown away on an error. All
 * checkpoints stay what they were. A negative errno with a sentence in error
 * (RK_SERVER_ERROR_LEN). -ENOENT: there is none of that label. *ret_blocks: how
 * many were written.
 */
int rk__undo_restore(int image_fd, int journal_fd, int undo_fd,
		     const char *label, size_t *ret_blocks, char *error);
/* The same into a copy of the image, which must hold what the image holds, with
 * no journal left to replay. Not synced. */
int rk__undo_restore_copy(int image_fd, int undo_fd, const char *label,
			  int copy_fd, char *error);
/* The sentence's end for one that is void: "its ... ". */
const char *rk__undo_void_text(uint32_t why);

#endif
