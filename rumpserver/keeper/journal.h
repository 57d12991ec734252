/*
 * journal.h - the write-ahead journal of one device: a file beside the image.
 *
 * Block 0 is the head; transactions follow, each a whole flush point:
 *
 *	descriptor	RK_PAGE-aligned: struct rk__journal_tx and the numbers of
 *			the blocks
 *	data		n * RK_PAGE
 *	trailer		one RK_PAGE: struct rk__journal_end
 *
 * A transaction counts only if the trailer's checksum over all before it
 * holds, its epoch is the head's and its number follows its predecessor's. So
 * one write and one sync make it durable, a torn one is as if it had never
 * been, and what an earlier epoch left in the file is never taken for new. The
 * head is written anew, with the next epoch, when everything was copied to the
 * image.
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

struct rk__journal_head {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
	uint64_t epoch;
	uint64_t identity;		/* of the image, rk__journal_identity() */
	uint64_t image_size;
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

/* One journal as its keeper knows it. */
struct rk__journal {
	int fd;
	uint64_t identity, image_size;
	uint64_t epoch;
	uint64_t number;		/* of the last transaction */
	uint64_t end;			/* where the next one goes */
};

/* Where the journal of an image is: beside it, or, if nothing can be made
 * there, in a state directory under the image's device and inode. -ENOENT if
 * there is no such image; -ENAMETOOLONG. */
int rk__journal_path(const char *image, char *ret, size_t size);

/*
 * Tells one image from another of the same name and size: from its inode and
 * birth. So the journal of an image that was deleted and made anew is not
 * replayed over the new one. (An image that was formatted in place cannot be
 * told: remove its journal first.) size: in bytes.
 */
int rk__journal_identity(int image_fd, uint64_t *ret, uint64_t *ret_size);

/* Reads the head and finds the end of what is valid; makes a new head in an
 * empty file. each (may be NULL) is called for every block of every
 * valid transaction, in order; at: where its data stands. -EMEDIUMTYPE: it is
 * the journal of another image, or damaged. */
typedef int rk__journal_each_fn(void *arg, uint64_t block, uint64_t at,
				const void *data);
int rk__journal_open(struct rk__journal *j, int fd, uint64_t identity,
		     uint64_t image_size, rk__journal_each_fn *each, void *arg);

/* rk__journal_replay() of keeper.h for an image that is known. */
int rk__journal_replay_as(int image_fd, int journal_fd, uint64_t identity,
			  uint64_t size, unsigned *ret_replayed);

/* Appends a transaction of n blocks and makes it durable. data(arg, i) gives
 * the content of block[i], valid until the next call. On error nothing counts.
 * *ret_data: where the data of block[0] stands. Blocks on the device. */
typedef const void *rk__journal_data_fn(void *arg, uint32_t i);
int rk__journal_append(struct rk__journal *j, const uint64_t *block,
		       uint32_t n, rk__journal_data_fn *data, void *arg,
		       uint64_t *ret_data);

/* The next epoch: nothing of the old one counts any more. */
int rk__journal_reset(struct rk__journal *j);

/* --- device.c: the only calls that write to images and journals ---------- */

int rk__device_write(int fd, const void *buf, size_t len, uint64_t off);
int rk__device_read(int fd, void *buf, size_t len, uint64_t off);
int rk__device_sync(int fd);

#endif
