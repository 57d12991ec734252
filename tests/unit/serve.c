/*
 * serve.c - batches, rollback, waiting and flush points, with recovery and
 * vfs played by this file: what counts is the order of run, commit and post.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include "core/core.h"
#include "core/serve.h"
#include "core/vfs.h"
#include "recovery/order.h"

/* --- recovery, as far as serve.c sees it ---------------------------------- */

static char trace[4096];
static uint64_t changes, seq, flushed;
static bool changed;
static int sync_result;
static struct rk__board board;
struct rk__board *rk__crash_board;

static void say(const char *format, ...)
{
	size_t at = strlen(trace);
	va_list args;

	va_start(args, format);
	vsnprintf(trace + at, sizeof trace - at, format, args);
	va_end(args);
}

void rk__crash(enum rk__crashpoint point)
{
	(void)point;
}

void rk__note(void *p, size_t n)
{
	(void)p;
	(void)n;
	changes++;
	changed = true;
}

bool rk__changed(void)
{
	return changed;
}

uint64_t rk__change_count(void)
{
	return changes;
}

uint64_t rk__staged_bytes(void)
{
	return 0;
}

void rk__commit(const struct rk__reply *replies, unsigned n, uint32_t flags,
		uint64_t *ret_seq)
{
	say("C");
	for (unsigned i = 0; i < n; i++)
		say("%d", (int)replies[i].id);
	if (flags & RK_RECORD_FLUSH)
		say("F");
	say(" ");
	changed = false;
	seq++;
	if (ret_seq)
		*ret_seq = seq;
}

void rk__rollback(void)
{
	say("R ");
	changed = false;
}

uint64_t rk__committed_seq(void)
{
	return seq;
}

uint64_t rk__flushed_seq(void)
{
	return flushed;
}

/* What the keeper reports. */
static uint64_t order_done;
static int order_result;

bool rk__order_result(uint64_t token, int *ret)
{
	*ret = order_result;
	return token == order_done;
}

static uint64_t dirty_bytes;

uint64_t rk__dirty_bytes(void)
{
	return dirty_bytes;
}

bool rk__calls_are_many(void)
{
	return false;
}

int rk__flush_error(void)
{
	return 0;
}

static bool no_device;

bool rk__vfs_has_device(uint32_t mount)
{
	return !no_device;
}

int rk__vfs_sync(uint32_t mount)
{
	say("S ");
	if (sync_result == 0)
		rk__note(NULL, 0);
	return sync_result;
}

void rk__name_purge_all(void)
{
}

/* --- a gate --------------------------------------------------------------- */

enum kind {
	READ, WRITE, FAIL_EARLY, FAIL_LATE, WAIT, SYNC, STAGES,
	LOCK, UNLOCK,
	LOCK_NOT,			/* is called, and gives up */
	ORDER,
};

struct request {
	struct rk__handle h;
	enum kind kind;
	unsigned stage;
};

static bool door_open;
static const char door;

/* One lock, which is whose number stands here. */
static uint64_t lock_owner;

const void *rk__lock_key(uint32_t vnode)
{
	return &lock_owner;
}

bool rk__any_outside(void)
{
	return false;
}

bool rk__lock_in_way(uint32_t vnode, const struct rk__lock_request *r)
{
	return lock_owner != 0;
}

bool rk__lock_rivals(const struct rk__lock_request *a,
		     const struct rk__lock_request *b)
{
	return true;
}

static enum rk__outcome take_lock(struct rk__handle *h, bool give_up)
{
	const struct rk__lock_request want = { .owner = h->id };

	if (lock_owner) {
		rk__park_lock(h, 1, (uint32_t)h->id, &want);
		return RK_PARKED;
	}
	if (give_up) {
		h->result = -EINTR;
		return RK_DONE;
	}
	lock_owner = h->id;
	rk__note(NULL, 0);
	return RK_DONE;
}

static enum rk__outcome exec(struct rk__handle *h)
{
	struct request *r = (struct request *)h;

	say("x%d ", (int)h->id);
	h->result = 0;
	switch (r->kind) {
	case READ:
		break;
	case WRITE:
		rk__note(NULL, 0);
		break;
	case FAIL_LATE:
		rk__note(NULL, 0);
		h->result = -EIO;
		break;
	case FAIL_EARLY:
		h->result = -ENOENT;
		break;
	case WAIT:
		if (!door_open) {
			rk__park(h, &door);
			return RK_PARKED;
		}
		break;
	case SYNC:
		return rk__serve_fsync(h, 0);
	case ORDER:
		return rk__serve_order(h, 1, RK_ORDER_MAKE, "label");
	case LOCK:
	case LOCK_NOT:
		return take_lock(h, r->kind == LOCK_NOT);
	case UNLOCK:
		lock_owner = 0;
		rk__note(NULL, 0);
		rk__wake_locks(1);
		break;
	case STAGES:
		rk__note(NULL, 0);
		return ++r->stage < 3 ? RK_STAGE : RK_DONE;
	}
	return RK_DONE;
}

static void post(struct rk__handle *h)
{
	say("p%d=%d ", (int)h->id, (int)h->result);
}

static const struct rk__gate_ops gate = {
	.name = "test", .exec = exec, .post = post,
};

static struct request request(uint64_t id, enum kind kind)
{
	return (struct request){
		.h = { .gate = &gate, .slot = (uint32_t)id, .id = id },
		.kind = kind,
	};
}

static void start(void)
{
	void *p = mmap((void *)RK_CORE_AT, RK_CORE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		       MAP_FIXED_NOREPLACE, -1, 0);

	cr_assert_eq(p, (void *)RK_CORE_AT);
	seq = 1;	/* a server commits once before it serves */
	rk__serve_start(&board, 64 << 20);
}

TestSuite(serve, .init = start);

#define EXPECT(text) cr_assert_str_eq(trace, text)

Test(serve, reads_are_answered_at_once)
{
	struct request a = request(1, READ), b = request(2, FAIL_EARLY);

	rk__serve(&a.h);
	rk__serve(&b.h);
	rk__serve_flush();
	EXPECT("x1 p1=0 x2 p2=-2 ");
	cr_assert(!rk__was_committed(1, 1));
}

Test(serve, a_batch_is_one_commit_before_all_answers)
{
	struct request a = request(1, WRITE), b = request(2, READ),
		       c = request(3, WRITE);

	rk__serve(&a.h);
	rk__serve(&b.h);
	rk__serve(&c.h);
	rk__serve_flush();
	EXPECT("x1 x2 x3 C13 p1=0 p2=0 p3=0 ");
	cr_assert(rk__was_committed(1, 1) && rk__was_committed(3, 3));
}

Test(serve, output_in_the_open_waits_for_the_commit)
{
	struct request a = request(1, WRITE), b = request(2, READ);

	b.h.direct_output = true;
	rk__serve(&a.h);
	rk__serve(&b.h);
	EXPECT("x1 C1 p1=0 x2 p2=0 ");
}

Test(serve, late_failure_alone_is_rolled_back)
{
	struct request a = request(1, FAIL_LATE);

	rk__serve(&a.h);
	rk__serve_flush();
	EXPECT("x1 R p1=-5 ");
	cr_assert(!rk__was_committed(1, 1));
}

Test(serve, late_failure_in_a_batch_has_each_run_alone)
{
	struct request a = request(1, WRITE), b = request(2, FAIL_LATE),
		       c = request(3, WRITE);

	rk__serve(&a.h);
	rk__serve(&b.h);
	rk__serve(&c.h);
	rk__serve_flush();
	EXPECT("x1 x2 R x1 C1 p1=0 x2 R p2=-5 x3 C3 p3=0 ");
}

Test(serve, waiting_leaves_nothing_behind)
{
	struct request a = request(1, WAIT), b = request(2, WAIT);

	rk__serve(&a.h);
	rk__serve(&b.h);
	cr_assert_eq(rk__parked_count(), 2);
	rk__serve_flush();
	EXPECT("x1 x2 ");
	cr_assert(rk__unpark(&a.h));
	cr_assert(!rk__unpark(&a.h));
	door_open = true;
	rk__wake(&door);
	cr_assert(rk__serve_has_woken());
	rk__serve_woken();
	EXPECT("x1 x2 x2 p2=0 ");
	cr_assert_eq(rk__parked_count(), 0);
}

/* In the order they came, each once, and nobody runs in vain. */
Test(serve, a_lock_calls_one_at_a_time)
{
	struct request a = request(1, LOCK), b = request(2, LOCK),
		       c = request(3, LOCK_NOT), d = request(4, LOCK),
		       u = request(9, UNLOCK);

	rk__serve(&a.h);
	rk__serve_flush();
	rk__serve(&b.h);
	rk__serve(&c.h);
	rk__serve(&d.h);
	trace[0] = '\0';
	rk__serve(&u.h);
	rk__serve_flush();
	rk__serve_woken();
	rk__serve_flush();
	EXPECT("x9 C9 p9=0 x2 C2 p2=0 ");
	cr_assert(!rk__serve_has_woken());
	trace[0] = '\0';
	rk__serve(&u.h);
	rk__serve_flush();
	/* 3 does not take it, and so it is 4's. */
	rk__serve_woken();
	rk__serve_woken();
	rk__serve_flush();
	EXPECT("x9 C9 p9=0 x3 p3=-4 x4 C4 p4=0 ");
	cr_assert_eq(lock_owner, 4);
	cr_assert_eq(rk__parked_count(), 0);
}

Test(serve, who_waits_through_what_is_closed_runs)
{
	struct request a = request(1, LOCK), b = request(2, LOCK),
		       c = request(3, LOCK);

	rk__serve(&a.h);
	rk__serve(&b.h);
	rk__serve(&c.h);
	rk__serve_flush();
	trace[0] = '\0';
	rk__wake_ofd(1, 3);
	rk__serve_woken();
	EXPECT("x3 ");
	cr_assert_eq(rk__parked_count(), 2);
}

Test(serve, those_who_sync_together_share_a_flush_point)
{
	struct request a = request(1, WRITE), b = request(2, SYNC),
		       c = request(3, SYNC);

	rk__serve(&a.h);
	rk__serve(&b.h);
	rk__serve(&c.h);
	rk__serve_flush();
	EXPECT("x1 x2 x3 C1 p1=0 S CF ");
	rk__serve_flushed();
	rk__serve_woken();
	cr_assert_eq(rk__parked_count(), 2, "not durable yet");
	flushed = seq;
	rk__serve_flushed();
	trace[0] = '\0';
	rk__serve_woken();
	cr_assert_eq(rk__parked_count(), 0);
	cr_assert(strstr(trace, "p2=0 ") && strstr(trace, "p3=0 "));
}

Test(serve, a_second_sync_finds_it_done)
{
	struct request a = request(1, SYNC), b = request(2, SYNC);

	rk__serve(&a.h);
	rk__serve_flush();
	flushed = seq;
	rk__serve_flushed();
	rk__serve_woken();
	trace[0] = '\0';
	rk__serve(&b.h);
	rk__serve_flush();
	rk__serve_woken();
	EXPECT("x2 x2 p2=0 ");
}

Test(serve, without_a_device_nothing_is_waited_for)
{
	struct request write = request(1, WRITE), sync = request(2, SYNC);

	no_device = true;
	sync_result = -EIO;
	rk__serve(&write.h);
	rk__serve(&sync.h);
	rk__serve_make_flush_point();
	rk__serve_flush();
	cr_expect_str_eq(trace, "x1 x2 S C1 p1=0 p2=-5 ");
}

Test(serve, much_memory_makes_a_flush_point_by_itself)
{
	struct request a = request(1, WRITE), b = request(2, WRITE);

	dirty_bytes = 1 << 30;
	flushed = 1;
	rk__serve(&a.h);
	rk__serve_flush();
	EXPECT("x1 C1 p1=0 S CF ");
	/* One at a time. */
	rk__serve(&b.h);
	rk__serve_flush();
	rk__serve_flush();
	EXPECT("x1 C1 p1=0 S CF x2 C2 p2=0 ");
}

Test(serve, a_failed_sync_is_told_and_undone)
{
	struct request a = request(1, SYNC);

	sync_result = -EIO;
	rk__serve(&a.h);
	rk__serve_flush();
	rk__serve_woken();
	EXPECT("x1 S R x1 p1=-5 ");
}

Test(serve, stages_commit_one_by_one)
{
	struct request a = request(1, STAGES);

	rk__serve(&a.h);
	rk__serve_flush();
	EXPECT("x1 C x1 C x1 C1 p1=0 ");
}

Test(serve, the_quarantined_request_is_not_run)
{
	struct request a = request(1, WRITE), b = request(2, WRITE);

	board.quarantine_slot = 1;
	board.quarantine_id = 1;
	board.quarantine = 1;
	rk__serve(&a.h);
	rk__serve(&b.h);
	rk__serve_flush();
	EXPECT("p1=-5 x2 C2 p2=0 ");
}

/* --- orders --------------------------------------------------------------- */

static void keeper_is_done(int result)
{
	order_done = rk__order_now->token;
	order_result = result;
	flushed = seq;
	rk__serve_flushed();
	rk__serve_woken();
	rk__serve_flush();
}

Test(serve, an_order_is_placed_once_and_answered_with_a_commit)
{
	struct request a = request(1, ORDER);

	rk__serve(&a.h);
	rk__serve_flush();
	EXPECT("x1 C x1 S CF ");
	cr_assert_str_eq(rk__order_now->label, "label");
	keeper_is_done(0);
	EXPECT("x1 C x1 S CF x1 C1 p1=0 ");
}

Test(serve, an_order_that_fails_may_be_found_out_again)
{
	struct request a = request(1, ORDER);

	rk__serve(&a.h);
	rk__serve_flush();
	keeper_is_done(-EEXIST);
	EXPECT("x1 C x1 S CF x1 R p1=-17 ");
}

/* A successor runs the request again: before the keeper is done, and after. */
Test(serve, a_successor_waits_for_the_order_that_stands)
{
	struct request a = request(1, ORDER), again = request(1, ORDER);
	uint64_t token;

	rk__serve(&a.h);
	rk__serve_flush();
	token = rk__order_now->token;
	trace[0] = 0;
	rk__serve(&again.h);
	rk__serve_flush();
	cr_assert_eq(rk__order_now->token, token);
	EXPECT("x1 ");
	rk__unpark(&a.h);
	keeper_is_done(0);
	EXPECT("x1 x1 C1 p1=0 ");
}

Test(serve, the_next_order_waits_and_keeps_what_came_of_the_last)
{
	struct request a = request(1, ORDER), b = request(2, ORDER),
		       again = request(1, ORDER);
	uint64_t token;

	rk__serve(&a.h);
	rk__serve_flush();
	token = rk__order_now->token;
	rk__serve(&b.h);
	cr_assert_eq(rk__order_now->token, token);
	/* The first does not come to run again; the second does. */
	rk__unpark(&a.h);
	trace[0] = 0;
	keeper_is_done(0);
	cr_assert_neq(rk__order_now->token, token);
	keeper_is_done(0);
	cr_assert(strstr(trace, "p2=0"));
	trace[0] = 0;
	rk__serve(&again.h);
	rk__serve_flush();
	EXPECT("x1 p1=0 ");
}

/* Of a server that was exported rows are known, and no order. */
Test(serve, an_order_that_got_lost_is_placed_again)
{
	struct request a = request(1, ORDER), again = request(1, ORDER);
	uint64_t token;

	rk__serve(&a.h);
	rk__serve_flush();
	token = rk__order_now->token;
	rk__unpark(&a.h);
	memset(rk__order_now, 0, sizeof *rk__order_now);
	rk__serve(&again.h);
	cr_assert_eq(rk__order_now->token, token);
	keeper_is_done(0);
	cr_assert(strstr(trace, "p1=0"));
}
