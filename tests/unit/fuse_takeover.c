/*
 * The FUSE gate of a successor, against a fake kernel: a request happens once
 * however its server dies, and is answered.
 */
#include "fuse_expect.h"

TestSuite(fuse_takeover, .init = fake_setup);

static const struct fuse_create_in create_in = { .mode = S_IFREG | 0644 };

static uint64_t send_create(const char *name, uint64_t flags)
{
	return fake_send(FUSE_CREATE, FUSE_ROOT_ID, flags, &create_in,
			 sizeof create_in, name, strlen(name) + 1);
}

/* A server that takes requests and dies before it runs them. */
static void take_and_die(void)
{
	struct rk__fuse_slot *s;

	while (rk__fuse_take(rk__fuse_of(0), 1, &s) != RK_FUSE_NOTHING)
		;
}

static void expect_resend_asked(void)
{
	cr_assert(fake_receive(&answer));
	cr_assert_eq(answer.head.unique, 0);
	cr_assert_eq(answer.head.error, RK_FUSE_NOTIFY_RESEND);
}

static void repost(unsigned slot, uint64_t id, int64_t result)
{
	struct rk__reply_head r = { .slot = slot, .id = id, .result = result,
				    .length = 4 };

	rk__fuse_repost(&r, (const uint8_t *)"data");
}

static unsigned slot_of(uint64_t id)
{
	for (unsigned i = 0; i < RK_FUSE_SLOTS; i++)
		if (rk__fuse_held(rk__fuse_of(0), i) == id)
			return i;
	return RK_FUSE_SLOTS;
}

Test(fuse_takeover, taken_and_sent_again_runs_once)
{
	uint64_t u = send_create("a", 0);

	take_and_die();
	fake_start_server(false);
	send_create("a", u | RK_FUSE_UNIQUE_RESEND);
	rk__fuse_resume(0);
	expect_resend_asked();
	expect(u | RK_FUSE_UNIQUE_RESEND, 0);
	cr_assert_not(fake_receive(&answer));
	cr_assert_eq(fake.creates, 1);
	cr_assert_eq(slot_of(u), RK_FUSE_SLOTS);
}

Test(fuse_takeover, an_old_kernel_is_not_asked)
{
	uint64_t u = send_create("a", 0);

	take_and_die();
	fake.family.fuse_init[0] = 0;
	fake_start_server(false);
	rk__fuse_resume(0);
	expect(u, 0);
	cr_assert_eq(fake.creates, 1);
}

/* It may have been answered before others that stand there came. */
Test(fuse_takeover, an_answered_error_is_given_again_and_not_run)
{
	uint64_t u = send_create("a", 0);

	take_and_die();
	atomic_store(&rk__fuse_of(0)->inbox->answered[slot_of(u)], 1 + EEXIST);
	fake.family.fuse_init[0] = 0;
	fake_start_server(false);
	rk__fuse_resume(0);
	expect(u, -EEXIST);
	cr_assert_eq(fake.creates, 0);
	cr_assert_eq(slot_of(u), RK_FUSE_SLOTS);
	/* The mark is the request's, not the slot's. */
	u = send_create("a", 0);
	fake_poll();
	expect(u, 0);
	cr_assert_eq(fake.creates, 1);
}

Test(fuse_takeover, what_is_not_sent_again_was_answered)
{
	send_create("a", 0);
	take_and_die();
	fake_start_server(false);
	rk__fuse_resume(0);
	expect_resend_asked();
	cr_assert_not(fake_receive(&answer));
	cr_assert_eq(fake.creates, 0);
	cr_assert_eq(rk__fuse_of(0)->n_free_small,
		     RK_FUSE_SLOTS - RK_FUSE_BIG_SLOTS);
}

Test(fuse_takeover, committed_is_posted_from_the_record)
{
	uint64_t u = send_create("a", 0);
	unsigned slot;

	fake.hold_posts = true;
	rk__fuse_poll(0);
	cr_assert_eq(fake.creates, 1);
	slot = slot_of(u);
	fake_start_server(false);
	repost(slot, u, 0);
	expect(u, 0);
	cr_assert_eq(memcmp(answer.data, "data", 4), 0);
	repost(slot, u, 0);
	rk__fuse_resume(0);
	expect_resend_asked();
	cr_assert_not(fake_receive(&answer));
	cr_assert_eq(fake.creates, 1);
}

Test(fuse_takeover, committed_and_sent_again_never_runs_twice)
{
	uint64_t u = send_create("a", 0);

	fake_poll();
	expect(u, 0);
	fake_start_server(false);
	send_create("a", u | RK_FUSE_UNIQUE_RESEND);
	rk__fuse_resume(0);
	expect_resend_asked();
	expect(u | RK_FUSE_UNIQUE_RESEND, -EIO);
	cr_assert_eq(fake.creates, 1);
}

Test(fuse_takeover, forget_is_applied_once)
{
	struct fuse_forget_in in = { .nlookup = 1 };
	uint64_t node = fake_create("a", &answer);

	fake_create("a", &answer);
	fake_send(FUSE_FORGET, node, 0, &in, sizeof in, NULL, 0);
	take_and_die();
	fake_start_server(false);
	rk__fuse_resume(0);
	expect_resend_asked();
	cr_assert_eq(rk__core->vnode[3].lookups, 1);
	/* Committed, and the server died before it emptied the slot. */
	fake_create("a", &answer);
	fake_send(FUSE_FORGET, node, 0, &in, sizeof in, NULL, 0);
	fake.hold_posts = true;
	rk__fuse_poll(0);
	rk__fuse_settle();
	cr_assert_eq(rk__core->vnode[3].lookups, 1);
	fake_start_server(false);
	rk__fuse_resume(0);
	cr_assert_eq(rk__core->vnode[3].lookups, 1);
}

Test(fuse_takeover, a_request_in_two_slots_is_one)
{
	uint64_t u = send_create("a", 0);
	struct rk__fuse *f = rk__fuse_of(0);
	struct fuse_in_header *big = rk__fuse_slot(f, 0)->request;

	take_and_die();
	memcpy(big, rk__fuse_slot(f, slot_of(u))->request, RK_FUSE_SMALL);
	fake.family.fuse_init[0] = 0;
	fake_start_server(false);
	rk__fuse_resume(0);
	expect(u, 0);
	cr_assert_not(fake_receive(&answer));
	cr_assert_eq(fake.creates, 1);
}

Test(fuse_takeover, a_waiting_lock_outlives_servers)
{
	uint64_t node = fake_create("a", &answer), waits;
	struct fuse_lk_in in = { .owner = 2, .lk = { .end = INT64_MAX,
						     .type = F_WRLCK } };
	struct fuse_interrupt_in intr;

	expect(lock(FUSE_SETLK, node, 1, F_WRLCK), 0);
	waits = lock(FUSE_SETLKW, node, 2, F_WRLCK);
	for (unsigned i = 0; i < 3; i++) {
		fake_start_server(false);
		fake_send(FUSE_SETLKW, node, waits | RK_FUSE_UNIQUE_RESEND,
			  &in, sizeof in, NULL, 0);
		rk__fuse_resume(0);
		expect_resend_asked();
		cr_assert_not(fake_receive(&answer));
		cr_assert_eq(fake.n_parked, 1);
	}
	/* The interrupt was taken, and its server died. */
	intr.unique = waits | RK_FUSE_UNIQUE_RESEND;
	fake_send(FUSE_INTERRUPT, 0, 0, &intr, sizeof intr, NULL, 0);
	take_and_die();
	fake_start_server(false);
	fake_send(FUSE_SETLKW, node, waits | RK_FUSE_UNIQUE_RESEND, &in,
		  sizeof in, NULL, 0);
	rk__fuse_resume(0);
	expect_resend_asked();
	expect(waits | RK_FUSE_UNIQUE_RESEND, -EINTR);
}

Test(fuse_takeover, all_big_slots_taken_at_a_death)
{
	static uint8_t data[8192];
	struct fuse_write_in w = { .size = sizeof data };
	uint64_t node = fake_create("a", &answer), u[RK_FUSE_BIG_SLOTS];
	unsigned n = RK_FUSE_BIG_SLOTS - 1;
	struct rk__fuse_slot *s;

	for (unsigned i = 0; i < n; i++) {
		u[i] = fake_send(FUSE_WRITE, node, 0, &w, sizeof w, data,
				 sizeof data);
		cr_assert_eq(rk__fuse_take(rk__fuse_of(0), 1, &s),
			     RK_FUSE_TAKEN);
	}
	cr_assert_eq(rk__fuse_take(rk__fuse_of(0), 1, &s), RK_FUSE_FULL);
	fake_start_server(false);
	for (unsigned i = 0; i < n; i++)
		fake_send(FUSE_WRITE, node, u[i] | RK_FUSE_UNIQUE_RESEND, &w,
			  sizeof w, data, sizeof data);
	send_create("new", 0);
	rk__fuse_resume(0);
	expect_resend_asked();
	for (unsigned i = 0; i < n + 1; i++)
		cr_assert(fake_receive(&answer) && answer.head.error == 0);
	cr_assert_eq(fake.writes, n);
	cr_assert_eq(fake.creates, 2);
}
