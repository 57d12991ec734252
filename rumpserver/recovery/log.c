/*
 * log.c - maps the redo log and reads records out of it.
 *
 * Whoever reads a record may be reading what a hostile server wrote, and may
 * still be writing: each word of the head is read once, into memory of the
 * reader, and every part is bounded before it is touched. What the parts hold
 * can change after the checksum was verified; it harms only the device and the
 * regions of that server.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <xxhash.h>
#include "recovery/recovery.h"

static void *map_part(int fd, size_t size, uint64_t at, bool writable)
{
	return mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0),
		    MAP_SHARED, fd, (off_t)at);
}

static int map_ring(int fd, bool writable, uint8_t **ret)
{
	int prot = PROT_READ | (writable ? PROT_WRITE : 0);
	uint8_t *p = mmap(NULL, 2 * (size_t)RK_LOG_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		void *half = mmap(p + i * (size_t)RK_LOG_SIZE, RK_LOG_SIZE,
				  prot, MAP_SHARED | MAP_FIXED, fd,
				  RK_LOG_RING_AT);

		if (half == MAP_FAILED) {
			int e = -errno;

			munmap(p, 2 * (size_t)RK_LOG_SIZE);
			return e;
		}
	}
	*ret = p;
	return 0;
}

int rk__log_map(int fd, int writable, struct rk__log *ret)
{
	struct rk__log log;
	int r;

	log.server = map_part(fd, RK_PAGE, 0, writable & RK_LOG_SERVER);
	if (log.server == MAP_FAILED)
		return -errno;
	log.keeper = map_part(fd, RK_PAGE, RK_PAGE, writable & RK_LOG_KEEPER);
	if (log.keeper == MAP_FAILED) {
		r = -errno;
		goto no_keeper;
	}
	r = map_ring(fd, writable & RK_LOG_SERVER, &log.ring);
	if (r < 0)
		goto no_ring;
	*ret = log;
	return 0;
no_ring:
	munmap(log.keeper, RK_PAGE);
no_keeper:
	munmap(log.server, RK_PAGE);
	return r;
}

void rk__log_unmap(struct rk__log *log)
{
	munmap(log->server, RK_PAGE);
	munmap(log->keeper, RK_PAGE);
	munmap(log->ring, 2 * (size_t)RK_LOG_SIZE);
}

uint64_t rk__record_hash(const struct rk__record *head, const uint8_t *rest,
			 size_t rest_len)
{
	struct rk__record h = *head;

	h.check = 0;
	/* The head's hash seeds the rest's: one pass, no state on the heap. */
	return XXH3_64bits_withSeed(rest, rest_len,
				    XXH3_64bits(&h, sizeof h));
}

/* The compiler may not go back to the log for a word. */
static void read_once(void *to, const void *from, size_t n)
{
	memcpy(to, from, n);
	atomic_signal_fence(memory_order_seq_cst);
}

/* Sums the sections up; false if they do not fill the record. */
static bool lay_out(const struct rk__record *h, const uint8_t *rec,
		    struct rk__record_view *v)
{
	uint64_t most = RK_RECORD_MAX / sizeof(uint64_t);
	uint64_t at = sizeof *h;

	if (h->n_blocks > most || h->n_pages > most)
		return false;
	v->block_data = rec + at;
	at += (uint64_t)h->n_blocks * RK_PAGE;
	v->page_data = rec + at;
	at += (uint64_t)h->n_pages * RK_PAGE;
	v->blocks = (const uint64_t *)(rec + at);
	at += (uint64_t)h->n_blocks * sizeof(uint64_t);
	v->pages = (const uint64_t *)(rec + at);
	at += (uint64_t)h->n_pages * sizeof(uint64_t);
	v->notes = rec + at;
	at += h->notes_len;
	v->replies = rec + at;
	at += h->replies_len;
	v->calls = rec + at;
	at += h->calls_len;
	return h->length == ((at + 63) & ~63ull);
}

int rk__record_check(const struct rk__log *log, uint64_t pos, uint64_t end,
		     struct rk__record_view *ret)
{
	const uint8_t *rec = rk__log_at(log, pos);
	struct rk__record_view v;
	struct rk__record h;

	if (end < pos || end - pos < sizeof h || pos % 64)
		return -EBADMSG;
	read_once(&h, rec, sizeof h);
	if (h.magic != RK_RECORD_MAGIC || h.length < sizeof h ||
	    h.length > RK_RECORD_MAX || h.length > end - pos ||
	    h.notes_len % 8 || h.replies_len % 8 || h.calls_len % 8 ||
	    !lay_out(&h, rec, &v))
		return -EBADMSG;
	if (rk__record_hash(&h, rec + sizeof h, h.length - sizeof h) != h.check)
		return -EBADMSG;
	v.flags = h.flags;
	v.seq = h.seq;
	v.length = h.length;
	v.n_blocks = h.n_blocks;
	v.n_pages = h.n_pages;
	v.n_notes = h.n_notes;
	v.n_replies = h.n_replies;
	v.notes_len = h.notes_len;
	v.replies_len = h.replies_len;
	v.n_calls = h.n_calls;
	v.calls_len = h.calls_len;
	*ret = v;
	return 0;
}

/* The bytes of an entry lie within its section, and at moves behind them. */
static int take(uint32_t section, uint32_t *at, size_t head, uint32_t length,
		const uint8_t *from, const uint8_t **bytes)
{
	uint32_t left = section - *at - (uint32_t)head;

	if (length > left || ((length + 7ull) & ~7ull) > left)
		return -EBADMSG;
	*bytes = from + *at + head;
	*at += (uint32_t)head + ((length + 7) & ~7u);
	return 1;
}

int rk__note_next(const struct rk__record_view *v, uint32_t *at,
		  struct rk__note_head *ret, const uint8_t **bytes)
{
	if (*at == v->notes_len)
		return 0;
	if (v->notes_len - *at < sizeof *ret)
		return -EBADMSG;
	read_once(ret, v->notes + *at, sizeof *ret);
	if (ret->offset > RK_CORE_SIZE ||
	    ret->length > RK_CORE_SIZE - ret->offset)
		return -EBADMSG;
	return take(v->notes_len, at, sizeof *ret, ret->length, v->notes,
		    bytes);
}

int rk__reply_next(const struct rk__record_view *v, uint32_t *at,
		   struct rk__reply_head *ret, const uint8_t **bytes)
{
	if (*at == v->replies_len)
		return 0;
	if (v->replies_len - *at < sizeof *ret)
		return -EBADMSG;
	read_once(ret, v->replies + *at, sizeof *ret);
	return take(v->replies_len, at, sizeof *ret, ret->length, v->replies,
		    bytes);
}
