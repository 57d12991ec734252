/*
 * journal.h - the write-ahead journal of one device: a file beside the image.
 *
 * Two heads, one in block 0 and one in block 1, are written in turn: the valid
 * one with the higher count holds. Transactions follow, each a whole flush
 * point:
 *
 *	descriptor	struct rk__journal_tx and the numbers of the blocks,
 *			padded to RK_PAGE
 *	data		n * RK_PAGE
 *	trailer		one RK_PAGE: struct rk__journal_end
 *
 * A transaction counts only if the trailer's checksum over all before it
 * holds, its epoch is the head's and its number follows its predecessor's. So
 * one write and one sync make it durable, a torn one is as if it had never
 * been, and what an earlier epoch left in the file is never taken for new: the
 * epoch is random, so that nobody can put a transaction to come into the data
 * of an earlier one. A new head is written when everything was copied to the
 * image.
 *
 * What may be replayed over which image. The head holds a hash of each sector
 * of the image's first block as of the start of the epoch. Since then only
 * this journal's blocks were written to the image, whole or in part: each
 * sector there must be as it was, or as some transaction has it. So an image
 * that was made anew, brought back from a backup or changed by another program
 * meanwhile is refused, and a copy of image and journal is as good as both.
 */
#ifndef RK_JOURNAL_H
#define RK_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "recovery/family.h"

#define RK_JOURNAL_MAGIC	0x6c6e6a6b72ull		/* "rkjnl" */
#define RK_JOURNAL_TX_MAGIC	0x78746b72u
#define RK_JOURNAL_END_MAGIC	0x646e6b72u
#define RK_JOURNAL_VERSION	1
#define RK_JOURNAL_START	(2ull * RK_PAGE)	/* of transactions */

enum {
	RK_SECTOR = 512,
	RK_PROBES = RK_PAGE / RK_SECTOR,
};

struct rk__journal_head {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
	uint64_t count;			/* of heads so far; 1 is the first */
	uint64_t epoch;			/* random */
	uint64_t image_size;
	uint64_t probe[RK_PROBES];	/* hash of each sector of block 0 */
	uint64_t check;			/* XXH3 over the words before */
};

struct rk__journal_tx {
	uint32_t magic;
	uint32_t n_blocks;
	uint64_t epoch;
	uint64_t number;		/* 1, 2, 3 ... within the epoch */
	uint64_t block[];
};

struct rk__journal_end {
	uint32_t magic;
	uint32_t reserved;
	uint64_t number;
	uint64_t check;			/* XXH3 over descriptor and data */
};

/* Where the content of a block stands in the journal. */
struct rk__logged {
	uint64_t block;
	uint64_t at;
};

/* One journal as its keeper knows it. */
struct rk__journal {
	int fd, image_fd;
	uint64_t image_size;
	uint64_t count;			/* of the newest head; 0: none */
	uint64_t epoch;			/* 0: a head is due first */
	uint64_t number;		/* of the last transaction */
	uint64_t end;			/* where the next one goes */
	/* What counts and was not copied to the image, in the order it was
	 * written, or sorted by block with the newest of each. */
	struct rk__logged *logged;
	size_t n_logged, max_logged;
	/* Where what the image holds is saved before it is overwritten; NULL
	 * until the caller of rk__journal_open sets it. */
	struct rk__undo *undo;
};

struct rk__undo;

/* --- place.c ------------------------------------------------------------ */

/*
 * Where the journal of an image is: beside it, or in a state directory under
 * the image's device and inode if nothing can be made there or the image has
 * more than one name. Where one is already, it stays. -ENOENT if there is no
 * such image; -ENAMETOOLONG.
 */
int rk__journal_path(const char *image, char *ret, size_t size);
/* Makes the name of an open journal as durable as its content. A file without
 * a name needs nothing. */
void rk__journal_sync_name(int fd);

/* --- journal.c ---------------------------------------------------------- */

/*
 * Finds all that counts and makes it durable: the predecessor may have died
 * between write and sync. Writes nothing. 0; -EMEDIUMTYPE: something counts,
 * but it is of another image; -EUCLEAN: damaged.
 */
int rk__journal_open(struct rk__journal *j, int fd, int image_fd,
		     uint64_t image_size);
/* Frees what is logged; the descriptors stay the caller's. */
void rk__journal_close(struct rk__journal *j);

/* Appends a transaction of n blocks and makes it durable. data(arg, i) gives
 * the content of block[i], valid until the next call, or NULL: it cannot be
 * had (-EIO). On error nothing counts and the journal must not be used any more. */
typedef const void *rk__journal_data_fn(void *arg, uint32_t i);
int rk__journal_append(struct rk__journal *j, const uint64_t *block,
		       uint32_t n, rk__journal_data_fn *data, void *arg);

/* The next epoch: nothing of the old one counts any more, n_logged is 0. Only
 * when the image holds all of it. */
int rk__journal_reset(struct rk__journal *j);

/* --- replay.c ----------------------------------------------------------- */

/* Copies the newest content of each logged block to the image, after what it
 * overwrites was saved (undo.h), and makes that durable. logged is sorted then.
 * replay: which crash point is passed. */
int rk__journal_copy(struct rk__journal *j, bool replay);

/* --- device.c: the only calls that write to images and journals --------- */

int rk__device_write(int fd, const void *buf, size_t len, uint64_t off);
/* What lies behind the end of the file reads as zeros. */
int rk__device_read(int fd, void *buf, size_t len, uint64_t off);
int rk__device_sync(int fd);
/* 0 if it cannot be told. */
uint64_t rk__device_size(int fd);
/* Nobody will read this again. Frees its space, where that can be done. */
void rk__device_punch(int fd, uint64_t off, uint64_t len);

#endif
