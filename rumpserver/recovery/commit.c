/*
 * commit.c - commits, rollback, and what a successor does with the log.
 *
 * Theory of operation. While ops run, their block writes are staged in the log
 * right behind where the next record's head will be (blockstore.c), their
 * changes of core memory are noted (notes.c), and the pages of driver memory
 * that they write are found by the tracker (track.c). A commit adds the pages,
 * the lists and the replies, computes the checksum and stores `published`: at
 * that store, and not before, all of it is history. The keeper applies it to
 * the images and overlays when it gets to it.
 *
 * A successor maps the images, so it sees what is applied, and copies what is
 * published but not applied over it, into pages of its own. The keeper may
 * apply the same records meanwhile: it writes the same bytes. Replies of the
 * last record may not have been posted: earlier ones were, because a server
 * posts all replies of a commit before it starts the next.
 *
 * A rollback is the same on a smaller scale: the written pages are dropped, so
 * that they show the image, and what the log holds of them is copied again.
 */
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "recovery/calls.h"
#include "recovery/commit.h"
#include "recovery/region.h"

enum { BOOT_PAGES = 1024 };		/* of a record of the first commit */

struct rk__log rk__log;
const struct rk__family *rk__family;

static struct {
	uint64_t seq;			/* of the last commit */
	uint64_t woke_at;		/* `published` when the keeper was called last */
	uint64_t call_bytes;		/* since the last flush point, or more */
	uint64_t page[RK_TRACK_MAX];
} state;

/* What the last record before a cold start answered: so that it is in the last
 * record always. */
static struct {
	struct rk__reply *reply;
	unsigned n;
} carried;

static uint64_t load(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_acquire);
}

void rk__log_wake_keeper(void)
{
	struct rk__log_server *s = rk__log.server;

	atomic_fetch_add(&s->wake, 1);
	state.woke_at = load(&s->published);
	if (atomic_load(&rk__log.keeper->sleeping))
		syscall(SYS_futex, &s->wake, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* Waits until the keeper moved on from `moved`, or for a while. */
static void wait_for_keeper(uint32_t moved)
{
	struct timespec t = { .tv_nsec = 100 * 1000 * 1000 };
	struct rk__board *b = rk__family->board;
	uint64_t progress = atomic_load(&b->progress);

	/* This is the world's time, not the op's: no hang. */
	if (progress & 1)
		atomic_store(&b->progress, progress + 1);
	atomic_store(&rk__log.server->waiting, 1);
	syscall(SYS_futex, &rk__log.keeper->moved, FUTEX_WAIT, moved, &t,
		NULL, 0);
	atomic_store(&rk__log.server->waiting, 0);
	if (progress & 1)
		atomic_store(&b->progress, progress + 2);
}

int rk__log_reserve(uint64_t bytes)
{
	uint64_t end = load(&rk__log.server->published) + bytes;

	if (bytes > RK_RECORD_MAX)
		return -EFBIG;
	for (;;) {
		uint32_t moved = atomic_load(&rk__log.keeper->moved);

		if (end - load(&rk__log.keeper->applied) <= RK_LOG_SIZE)
			return 0;
		rk__log_wake_keeper();
		wait_for_keeper(moved);
	}
}

void rk__recovery_drain(void)
{
	for (;;) {
		uint32_t moved = atomic_load(&rk__log.keeper->moved);

		if (load(&rk__log.keeper->applied) >=
		    load(&rk__log.server->published))
			return;
		rk__log_wake_keeper();
		wait_for_keeper(moved);
	}
}

static size_t padded(size_t n)
{
	return (n + 7) & ~(size_t)7;
}

static size_t replies_length(const struct rk__reply *replies, unsigned n)
{
	size_t len = 0;

	for (unsigned i = 0; i < n; i++)
		len += sizeof(struct rk__reply_head) +
		       padded(replies[i].length);
	return len;
}

static void write_replies(uint8_t *to, const struct rk__reply *replies,
			  unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct rk__reply *r = &replies[i];
		struct rk__reply_head head = {
			.id = r->id,
			.result = r->result,
			.slot = r->slot,
			.length = r->length,
		};

		memcpy(to, &head, sizeof head);
		to += sizeof head;
		if (r->length)
			memcpy(to, r->data, r->length);
		memset(to + r->length, 0, padded(r->length) - r->length);
		to += padded(r->length);
	}
}

/* What a record is made of, and where its parts start. */
struct layout {
	uint64_t pages, block_ids, page_ids, notes, replies, calls, end, length;
};

static struct layout lay_out(uint32_t n_blocks, uint32_t n_pages,
			     size_t notes_len, size_t replies_len,
			     size_t calls_len)
{
	struct layout l;

	l.pages = sizeof(struct rk__record) + (uint64_t)n_blocks * RK_PAGE;
	l.block_ids = l.pages + (uint64_t)n_pages * RK_PAGE;
	l.page_ids = l.block_ids + n_blocks * sizeof(uint64_t);
	l.notes = l.page_ids + n_pages * sizeof(uint64_t);
	l.replies = l.notes + notes_len;
	l.calls = l.replies + replies_len;
	l.end = l.calls + calls_len;
	l.length = (l.end + 63) & ~63ull;
	return l;
}

static void copy_pages(uint8_t *to, const uint64_t *page, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		rk__region_copy(to + (size_t)i * RK_PAGE,
				rk__region_page(page[i]), RK_PAGE);
		if (i == n / 2)
			RK_CRASHPOINT(log_half_written);
	}
}

static void publish(uint64_t start, const struct layout *l)
{
	struct rk__log_server *s = rk__log.server;

	RK_CRASHPOINT(log_not_published);
	/* `last` and `published` change together for whoever reads
	 * `published` first: a successor takes `last` only if the record
	 * there ends at `published`. */
	atomic_store_explicit(&s->last, start, memory_order_relaxed);
	atomic_store_explicit(&s->published_seq, state.seq,
			      memory_order_relaxed);
	atomic_store_explicit(&s->published, start + l->length,
			      memory_order_release);
}

static void count(uint32_t n_blocks, uint32_t n_pages, uint64_t length)
{
	struct rk__board *b = rk__family->board;
	const memory_order relaxed = memory_order_relaxed;

	/* One writer: plain additions will do. */
#define ADD(word, n) atomic_store_explicit(&b->word, \
	atomic_load_explicit(&b->word, relaxed) + (n), relaxed)
	ADD(commits, 1);
	ADD(blocks, n_blocks);
	ADD(pages, n_pages);
	ADD(log_bytes, length);
#undef ADD
}

static void count_calls(uint32_t flags, uint32_t length)
{
	state.call_bytes = flags & RK_RECORD_FLUSH ? 0 :
			   state.call_bytes + length;
}

/* Lays a record down at `published` and makes it history. The staged blocks
 * are in place. */
static void append(const uint64_t *page, uint32_t n_pages,
		   const struct rk__reply *replies, unsigned n, uint32_t flags)
{
	uint64_t start = load(&rk__log.server->published);
	uint32_t n_blocks = rk__staged_count();
	struct layout l = lay_out(n_blocks, n_pages, rk__notes_length(),
				  replies_length(replies, n),
				  rk__calls_length());
	struct rk__record head = {
		.magic = RK_RECORD_MAGIC,
		.flags = flags,
		.length = l.length,
		.seq = ++state.seq,
		.n_blocks = n_blocks,
		.n_pages = n_pages,
		.n_notes = rk__notes_count(),
		.n_replies = n,
		.notes_len = (uint32_t)rk__notes_length(),
		.replies_len = (uint32_t)(l.calls - l.replies),
		.n_calls = rk__calls_count(),
		.calls_len = (uint32_t)rk__calls_length(),
	};
	uint8_t *rec = rk__log_at(&rk__log, start);
	int r = rk__log_reserve(l.length);

	assert(r == 0);		/* the limits of an op are below a record's */
	copy_pages(rec + l.pages, page, n_pages);
	rk__staged_write_ids(rec + l.block_ids);
	memcpy(rec + l.page_ids, page, n_pages * sizeof(uint64_t));
	rk__notes_write(rec + l.notes);
	write_replies(rec + l.replies, replies, n);
	rk__calls_write(rec + l.calls);
	memset(rec + l.end, 0, l.length - l.end);
	head.check = rk__record_hash(&head, rec + sizeof head,
				     l.length - sizeof head);
	memcpy(rec, &head, sizeof head);
	publish(start, &l);
	rk__notes_verify();
	rk__notes_clear();
	rk__calls_clear();
	rk__staged_committed();
	count_calls(flags, head.calls_len);
	count(n_blocks, n_pages, l.length);
	if (flags || start + l.length - state.woke_at >= RK_LOG_APPLY_AT)
		rk__log_wake_keeper();
}

/* Nobody will start from this. */
static void commit_blocks(uint32_t flags)
{
	rk__notes_clear();
	if (flags || rk__staged_count())
		append(NULL, 0, NULL, 0, flags);
}

void rk__commit(const struct rk__reply *replies, unsigned n, uint32_t flags,
		uint64_t *ret_seq)
{
	uint32_t n_pages;

	if (rk__family->fragile) {
		commit_blocks(flags);
		if (ret_seq)
			*ret_seq = state.seq;
		return;
	}
	n_pages = rk__driver_changed() ?
		  rk__track_collect(state.page, RK_TRACK_MAX) : 0;
	append(state.page, n_pages, replies, n, flags);
	if (ret_seq)
		*ret_seq = state.seq;
}

void rk__commit_boot(void)
{
	uint32_t n = rk__track_collect(state.page, RK_TRACK_MAX);
	uint32_t at = n < BOOT_PAGES ? n : BOOT_PAGES, more;

	append(state.page, at, carried.reply, carried.n, 0);
	for (; at < n; at += more) {
		more = n - at < BOOT_PAGES ? n - at : BOOT_PAGES;
		append(state.page + at, more, carried.reply, carried.n, 0);
	}
}

void rk__commit_on_the_way(void)
{
	append(NULL, 0, carried.reply, carried.n, 0);
}

/* --- loading ------------------------------------------------------------ */

/* Calls fn for every record that is published and not applied. */
static int each_unapplied(void (*fn)(const struct rk__record_view *v,
				     uint64_t pos))
{
	uint64_t pos = load(&rk__log.keeper->applied);
	uint64_t end = load(&rk__log.server->published);

	while (pos < end) {
		struct rk__record_view v;
		int r = rk__record_check(&rk__log, pos, end, &v);

		if (r < 0)
			return r;
		fn(&v, pos);
		pos += v.length;
	}
	return 0;
}

static void load_record(const struct rk__record_view *v, uint64_t pos)
{
	struct rk__note_head note;
	const uint8_t *bytes;
	uint32_t at = 0;

	for (uint32_t i = 0; i < v->n_pages; i++) {
		void *page = rk__region_page(v->pages[i]);

		if (page)
			rk__region_copy(page, v->page_data +
					(size_t)i * RK_PAGE, RK_PAGE);
	}
	while (rk__note_next(v, &at, &note, &bytes) == 1)
		memcpy((void *)(RK_CORE_AT + note.offset), bytes, note.length);
	rk__staged_learn(v, pos);
	count_calls(v->flags, v->calls_len);
}

int rk__recovery_prepare(struct rk__family *family)
{
	int r;

	rk__family = family;
	r = rk__log_map(family->log_fd, RK_LOG_SERVER, &rk__log);
	if (r < 0)
		return r;
	r = rk__region_map(family->core_fd, family->driver_fd);
	if (r < 0)
		return r;
	return 0;
}

int rk__recovery_format(bool again)
{
	int r;

	/* A predecessor died in the middle of its first commit: what it left
	 * is neither nothing nor a state. */
	if (!again && load(&rk__log.server->published) > 0)
		return -EEXIST;
	r = rk__region_map_data(rk__family->driver_fd, true);
	if (r < 0)
		return r;
	rk__arena_format();
	r = rk__track_open();
	if (r < 0)
		return r;
	if (!again)
		rk__notes_verify_start();
	/* Whatever was written so far is in the first commit. */
	rk__track_mark_data();
	rk__change_driver();
	return 0;
}

int rk__recovery_populate(void)
{
	int r = rk__region_map_data(rk__family->driver_fd, false);

	if (r < 0)
		return r;
	rk__region_populate();
	r = rk__track_open();
	return r < 0 ? r : rk__track_arm();
}

int rk__recovery_load(void)
{
	int r;

	state.call_bytes = load(&rk__log.keeper->call_bytes);
	r = each_unapplied(load_record);
	if (r < 0)
		return r;
	RK_CRASHPOINT(recover_loaded);
	state.seq = load(&rk__log.server->published_seq);
	state.woke_at = load(&rk__log.server->published);
	/* What was loaded just now is clean. */
	rk__track_collect(state.page, RK_TRACK_MAX);
	rk__notes_verify_start();
	return 0;
}

/* false: there is none. */
static bool last_record(struct rk__record_view *ret)
{
	uint64_t end = load(&rk__log.server->published);
	uint64_t last = load(&rk__log.server->last);

	return end > 0 && rk__record_check(&rk__log, last, end, ret) == 0 &&
	       last + ret->length == end;
}

static void carry(const struct rk__reply_head *head, const uint8_t *bytes)
{
	struct rk__reply *r;
	void *copy = malloc(head->length ? head->length : 1);

	carried.reply = realloc(carried.reply,
				(carried.n + 1) * sizeof *carried.reply);
	if (!copy || !carried.reply)
		abort();
	memcpy(copy, bytes, head->length);
	r = &carried.reply[carried.n++];
	*r = (struct rk__reply){
		.slot = head->slot, .id = head->id, .result = head->result,
		.data = copy, .length = head->length,
	};
}

int rk__recovery_go_back(bool *ret_resumes)
{
	/* The keeper applied all of it, or a server ran since. */
	if (load(&rk__log.server->published) != load(&rk__log.keeper->applied))
		return -EBADMSG;
	state.seq = load(&rk__log.server->published_seq);
	state.woke_at = load(&rk__log.server->published);
	state.call_bytes = load(&rk__log.keeper->call_bytes);
	rk__recovery_repost(carry);
	rk__notes_verify_start();
	*ret_resumes = load(&rk__log.keeper->flushed_seq) > 0;
	return 0;
}

void rk__recovery_repost(rk__repost_fn *post)
{
	struct rk__record_view v;
	struct rk__reply_head head;
	const uint8_t *bytes;
	uint32_t at = 0;

	if (!last_record(&v))
		return;
	while (rk__reply_next(&v, &at, &head, &bytes) == 1) {
		post(&head, bytes);
		RK_CRASHPOINT(recover_half_posted);
	}
}

/* --- rollback ------------------------------------------------------------ */

static uint32_t n_discarded;

static bool discarded(uint64_t page)
{
	for (uint32_t i = 0; i < n_discarded; i++)
		if (state.page[i] == page)
			return true;
	return false;
}

static void load_discarded(const struct rk__record_view *v, uint64_t pos)
{
	(void)pos;
	for (uint32_t i = 0; i < v->n_pages; i++)
		if (discarded(v->pages[i]))
			rk__region_copy(rk__region_page(v->pages[i]),
					v->page_data + (size_t)i * RK_PAGE,
					RK_PAGE);
}

void rk__rollback(void)
{
	if (rk__family->fragile)
		abort();	/* there is nothing to go back to */
	if (rk__driver_changed()) {
		int r;

		n_discarded = rk__track_discard(state.page, RK_TRACK_MAX);
		r = each_unapplied(load_discarded);
		assert(r == 0);		/* these are records of our own */
	}
	rk__notes_undo();
	rk__notes_clear();
	rk__calls_clear();
	rk__staged_drop();
}

uint64_t rk__committed_seq(void)
{
	return state.seq;
}

uint64_t rk__flushed_seq(void)
{
	return load(&rk__log.keeper->flushed_seq);
}

int rk__flush_error(void)
{
	return atomic_load(&rk__log.keeper->error);
}

bool rk__order_result(uint64_t token, int *ret)
{
	if (load(&rk__log.keeper->order_token) != token)
		return false;
	*ret = atomic_load(&rk__log.keeper->order_result);
	return true;
}

uint64_t rk__dirty_bytes(void)
{
	return load(&rk__log.keeper->dirty_blocks) * RK_PAGE;
}

bool rk__calls_are_many(void)
{
	return state.call_bytes >= RK_CALLS_FLUSH_AT;
}
