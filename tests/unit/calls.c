/*
 * calls.c - the log of calls: what is kept is read as it was, each record once,
 * nothing after a flush point; and whatever else stands there is refused.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "driver.h"
#include "keeper/calls.h"

static struct rk__calls calls;
static int fd;
static uint8_t section[1 << 16];

static void open_log(void)
{
	fd = memfd_create("calls", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(fd, RK_CALLS_AT + RK_CALLS_MAX), 0);
	cr_assert_eq(rk__calls_open(&calls, fd), 0);
}

static void keep(uint64_t ino, const char *name, const void *data, size_t len)
{
	struct rk__call c = {
		.op = RK_CALL_WRITE, .ino = ino, .result = (int64_t)len,
		.part = { (uint32_t)strlen(name), 0, (uint32_t)len },
	};
	const void *part[RK_CALL_PARTS] = { name, NULL, data };

	rk__call_log(&c, part);
}

static struct rk__record_view make_record(uint64_t seq)
{
	struct rk__record_view v = {
		.seq = seq, .calls = section, .n_calls = rk__calls_count(),
		.calls_len = (uint32_t)rk__calls_length(),
	};

	cr_assert_leq(v.calls_len, sizeof section);
	rk__calls_write(section);
	rk__calls_clear();
	return v;
}

static unsigned count(int *ret)
{
	uint64_t end = rk__calls_bytes(&calls), at = 0, in;
	const uint8_t *from, *part[RK_CALL_PARTS];
	struct rk__call_batch b;
	struct rk__call c;
	unsigned n = 0;
	int r;

	while ((r = rk__batch_next(calls.bytes, end, &at, &b, &from)) == 1)
		for (in = 0; (r = rk__call_next(from, b.length, &in, &c,
						part)) == 1; n++)
			cr_assert_leq(part[2] + c.part[2], from + b.length);
	*ret = r;
	return n;
}

Test(calls, are_read_as_they_were_kept)
{
	const uint8_t *part[RK_CALL_PARTS];
	struct rk__record_view v;
	struct rk__call c;
	uint64_t at = 0;

	keep(7, "name", "some bytes", 10);
	keep(8, "", NULL, 0);
	v = make_record(1);
	cr_assert_eq(v.n_calls, 2);
	cr_assert_eq(rk__calls_length(), 0);
	cr_assert_eq(rk__call_next(section, v.calls_len, &at, &c, part), 1);
	cr_assert(c.ino == 7 && c.result == 10 && c.part[0] == 4);
	cr_assert_arr_eq(part[0], "name", 4);
	cr_assert_arr_eq(part[2], "some bytes", 10);
	cr_assert_eq(rk__call_next(section, v.calls_len, &at, &c, part), 1);
	cr_assert_eq(c.ino, 8);
	cr_assert_eq(rk__call_next(section, v.calls_len, &at, &c, part), 0);
}

Test(calls, each_record_counts_once_until_the_flush_point)
{
	struct rk__record_view v;
	int r;

	open_log();
	for (uint64_t seq = 1; seq <= 3; seq++) {
		keep(seq, "x", "abc", 3);
		v = make_record(seq);
		rk__calls_append(&calls, &v);
		/* As a keeper that does it again, and one that comes after. */
		rk__calls_append(&calls, &v);
		cr_assert_eq(rk__calls_open(&calls, fd), 0);
		rk__calls_append(&calls, &v);
		cr_assert_eq(count(&r), seq);
		cr_assert_eq(r, 0);
	}
	rk__calls_empty(&calls);
	cr_assert_eq(count(&r), 0);
	keep(4, "x", "abc", 3);
	v = make_record(4);
	rk__calls_append(&calls, &v);
	cr_assert_eq(count(&r), 1);
}

Test(calls, what_finds_no_room_makes_the_log_useless)
{
	struct rk__record_view v;
	int r;

	open_log();
	keep(1, "x", "abc", 3);
	v = make_record(1);
	rk__calls_append(&calls, &v);
	atomic_store(&calls.log->end, RK_CALLS_MAX - 8);
	v.seq = 2;
	rk__calls_append(&calls, &v);
	cr_assert(calls.log->lost);
	rk__calls_empty(&calls);
	cr_assert_not(calls.log->lost);
	cr_assert_eq(count(&r), 0);
}

Test(calls, damage_is_refused_or_stays_within)
{
	int r;

	open_log();
	for (uint64_t seq = 1; seq <= 20; seq++) {
		struct rk__record_view v;

		keep(seq, "name", section, (size_t)(seq * 16));
		v = make_record(seq);
		rk__calls_append(&calls, &v);
	}
	srand(1);
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *p = calls.bytes +
			     (size_t)rand() % rk__calls_bytes(&calls);
		uint8_t was = *p;

		*p ^= (uint8_t)(1 << rand() % 8);
		count(&r);
		cr_assert(r == 0 || r == -EBADMSG);
		*p = was;
	}
	cr_assert_eq(count(&r), 20);
	/* A keeper that comes to it keeps what is whole. */
	memset(calls.bytes + rk__calls_bytes(&calls) / 2, 0xa5, RK_CALLS_AT);
	cr_assert_eq(rk__calls_open(&calls, fd), 0);
	cr_assert(calls.log->lost);
}

Test(calls, time_stands_still_within_one)
{
	const struct rk_time then = { 5, 6, 0 }, now = { 7, 8, 0 };
	struct rk_time t;

	cr_assert_not(rk__time_stands(&t));
	rk__time_says(&now);
	rk__time_stop(NULL);
	cr_assert_not(rk__time_stands(&t));
	rk__time_says(&now);
	cr_assert(rk__time_stands(&t) && t.sec == 7 && t.nsec == 8);
	cr_assert_eq(rk__time_go_on().sec, 7);
	rk__time_stop(&then);
	cr_assert(rk__time_stands(&t) && t.sec == 5);
	rk__time_go_on();
	cr_assert_not(rk__time_stands(&t));
}
