/*
 * log.h - the redo log: how a commit is laid down, published and read.
 *
 * One memfd: page 0 is the server's, page 1 the keeper's, then `size` bytes of
 * ring. Positions are absolute and only grow; the byte at position p stands at
 * ring[p % size]. Everybody maps the ring twice in a row, so that a record is
 * contiguous wherever it starts.
 *
 * A record, as it stands in the ring:
 *
 *	struct rk__record
 *	block data	n_blocks * RK_PAGE	(staged while the op runs)
 *	page data	n_pages * RK_PAGE
 *	block numbers	n_blocks * u64		(device << 56 | block)
 *	page numbers	n_pages * u64		(page of the driver region)
 *	notes		n_notes * (struct rk__note_head + bytes, 8-aligned)
 *	replies		n_replies * (struct rk__reply_head + bytes, 8-aligned)
 *	calls		n_calls * (struct rk__call + bytes, 8-aligned; calls.h)
 *	padding to 64
 *
 * The server appends at `published` and makes a record part of history with
 * one store to `published`. The keeper applies records in order and advances
 * `applied`: what lies before it may be overwritten. A reader believes no
 * word: rk__record_check() bounds everything and verifies the checksum.
 */
#ifndef RK_LOG_H
#define RK_LOG_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RK_RECORD_MAGIC		0x64726b72u
#define RK_LOG_RING_AT		8192u
#define RK_LOG_SIZE		(32u << 20)	/* bytes of ring; a power of two */
#define RK_RECORD_MAX		(RK_LOG_SIZE / 2)
#define RK_LOG_APPLY_AT		(512u << 10)	/* unapplied bytes at which the keeper is woken */

#define RK_BLOCK_ID(dev, block)	((uint64_t)(dev) << 56 | (block))
#define RK_BLOCK_DEV(id)	((unsigned)((id) >> 56))
#define RK_BLOCK_NO(id)		((id) & ((1ULL << 55) - 1))
/* The last flush point does not use this block: it may go straight to its
 * place on the device. */
#define RK_BLOCK_NEW		(1ULL << 55)

enum {
	/* Devices are consistent as of this record: the keeper writes all
	 * dirty blocks as one transaction before it goes on. */
	RK_RECORD_FLUSH = 1 << 0,
	/* Then checkpoint too, and leave empty journals (a clean stop). */
	RK_RECORD_CHECKPOINT = 1 << 1,
};

struct rk__record {
	uint32_t magic;
	uint32_t flags;
	uint64_t length;		/* of the whole record, padded */
	uint64_t seq;			/* 1, 2, 3 ... */
	uint64_t check;			/* XXH3_64bits over the record with this word 0 */
	uint32_t n_blocks, n_pages, n_notes, n_replies;
	uint32_t notes_len, replies_len;	/* bytes of those sections */
	uint32_t n_calls, calls_len;
};
_Static_assert(sizeof(struct rk__record) == 64, "record header");

struct rk__note_head {
	uint32_t offset;		/* in the core region */
	uint32_t length;
};

struct rk__reply_head {
	uint64_t id;			/* seq or unique of the request */
	int64_t result;
	uint32_t slot;			/* global slot number */
	uint32_t length;		/* bytes of payload that follow */
};

struct rk__log_server {			/* page 0 */
	_Atomic uint64_t published;	/* end of the last published record */
	_Atomic uint64_t last;		/* start of it, so that its replies can be found; valid if published > 0 */
	_Atomic uint64_t published_seq;
	_Atomic uint32_t wake;		/* futex: bumped to call the keeper */
	_Atomic uint32_t waiting;	/* the server sleeps on keeper.moved */
};

struct rk__log_keeper {			/* page 1 */
	_Atomic uint64_t applied;	/* everything before it is in images and overlays */
	_Atomic uint64_t applied_seq;
	_Atomic uint64_t flushed_seq;	/* last RK_RECORD_FLUSH that is durable */
	_Atomic uint32_t sleeping;	/* set before futex_wait on server.wake */
	_Atomic uint32_t moved;		/* futex: bumped whenever a word above moved */
	_Atomic int32_t error;		/* negative errno: a device failed; flushes fail from now on */
	_Atomic uint64_t dirty_blocks;	/* in the overlays, not yet in a journal */
	/* The last order (order.h) that was carried out, and what came of it: 0 or
	 * a negative errno. The token is written last. */
	_Atomic uint64_t order_token;
	_Atomic int32_t order_result;
	_Atomic uint64_t call_bytes;	/* in the call log */
};

struct rk__log {
	struct rk__log_server *server;
	struct rk__log_keeper *keeper;
	uint8_t *ring;			/* mapped twice */
};

/* Maps the log. writable: which of the three parts this process may write. */
enum { RK_LOG_SERVER = 1, RK_LOG_KEEPER = 2 };
int rk__log_map(int fd, int writable, struct rk__log *ret);
void rk__log_unmap(struct rk__log *log);

static inline uint8_t *rk__log_at(const struct rk__log *log, uint64_t pos)
{
	return log->ring + (pos & (RK_LOG_SIZE - 1));
}

/* The checksum of a record: its head, with any `check`, and what follows. */
uint64_t rk__record_hash(const struct rk__record *head, const uint8_t *rest,
			 size_t rest_len);

/* A record whose every part was checked to lie within it. */
struct rk__record_view {
	uint32_t flags;
	uint64_t seq, length;
	uint32_t n_blocks, n_pages, n_notes, n_replies, n_calls;
	const uint8_t *block_data, *page_data;
	const uint64_t *blocks, *pages;
	const uint8_t *notes, *replies, *calls;
	uint32_t notes_len, replies_len, calls_len;
};

/*
 * Reads the record at pos, of which nothing beyond `end` is believed. Verifies
 * bounds and checksum. 0, or -EBADMSG.
 */
int rk__record_check(const struct rk__log *log, uint64_t pos, uint64_t end,
		     struct rk__record_view *ret);

/* The note or reply at *at within its section; advances *at. -EBADMSG at
 * anything that does not fit, 1 for one more, 0 at the end. */
int rk__note_next(const struct rk__record_view *v, uint32_t *at,
		  struct rk__note_head *ret, const uint8_t **bytes);
int rk__reply_next(const struct rk__record_view *v, uint32_t *at,
		   struct rk__reply_head *ret, const uint8_t **bytes);

#endif
