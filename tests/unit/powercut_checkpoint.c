/*
 * powercut_checkpoint.c - after any prefix of the device writes, and after losing
 * any of those that were not synced, each checkpoint that was reported is there,
 * and the image can be brought to exactly what it was then, to any of them and in
 * any order; also when the power fails again meanwhile.
 */
#include <stdio.h>
#include "powercut.h"

enum { CHECKPOINTS = 7 };

/* Label and flush point of each, and at which event it was reported. */
static struct made {
	char label[RK_LABEL_SIZE];
	unsigned flush;
	size_t reported;		/* 0: it was not */
	bool removed;
} made[FLUSHES];
static unsigned n_made;

static void order(struct rk__order *o, unsigned n)
{
	*o = (struct rk__order){
		.token = 1000 + n, .action = RK_ORDER_MAKE, .sec = n,
	};
	snprintf(o->label, sizeof o->label, "c%u", n);
}

/* As the keeper does. */
static void make_checkpoint(unsigned flush)
{
	struct made *m = &made[n_made++];
	struct rk__order o;

	order(&o, n_made);
	strcpy(m->label, o.label);
	m->flush = flush;
	m->removed = false;
	cr_assert_eq(rk__store_checkpoint(&store), 0);
	m->reported = rk__order_carry_out(&store, 1, &o) == 0 ? n_events : 0;
}

/* One that is removed must be gone by the end, and may be so before. */
static void remove_some(void)
{
	struct made *m = &made[(unsigned)rand() % n_made];
	struct rk__order o = { .token = 1, .action = RK_ORDER_DELETE };

	if (m->removed || !m->reported)
		return;
	strcpy(o.label, m->label);
	m->removed = rk__order_carry_out(&store, 1, &o) == 0;
}

static void make_load(unsigned seed, bool successors, bool removes)
{
	static uint8_t model[IMAGE_SIZE];
	bool in_use[BLOCKS] = { 0 };

	srand(seed);
	memset(disk, 0, sizeof disk);
	memset(model, 0, sizeof model);
	n_events = n_made = 0;
	undo_fd = UNDO_FD;
	open_store();
	add_event(REPORT, 0, 0);
	for (unsigned f = 1; f <= FLUSHES; f++) {
		cr_assert_eq(put_some(model, f - 1, in_use), 0);
		if (successors && rand() % 3 == 0)
			change_keeper();
		memcpy(point[f], model, IMAGE_SIZE);
		memcpy(used[f], in_use, sizeof in_use);
		cr_assert_eq(rk__store_flush(&store), 0);
		add_event(REPORT, 0, f);
		if (rand() % 3 == 0 && n_made < CHECKPOINTS)
			make_checkpoint(f);
		if (removes && n_made && rand() % 4 == 0)
			remove_some();
		if (rand() % 2)
			cr_assert_eq(put_some(model, f, in_use), 0);
		if (rand() % 3 == 0)
			cr_assert_eq(rk__store_checkpoint(&store), 0);
	}
	close_store();
}

static int restore(const struct made *m)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	size_t n;
	int r = rk__undo_restore(IMAGE_FD, JOURNAL_FD, UNDO_FD, m->label, &n,
				 error);

	cr_assert((r == 0) == !*error, "%d %s", r, error);
	return r;
}

/* Those that are there, of those that may be. */
static unsigned find_all(size_t cut, struct made *ret)
{
	static struct rk__undo_head head;
	unsigned n = 0;

	cr_assert_eq(rk__undo_head(UNDO_FD, &head), 0);
	for (unsigned i = 0; i < n_made; i++) {
		int at = rk__undo_find(&head, made[i].label);

		cr_assert(at >= 0 || made[i].removed || !made[i].reported ||
			  made[i].reported > cut, "cut at %zu: %s is gone",
			  cut, made[i].label);
		if (at >= 0 && !head.checkpoint[at].why)
			ret[n++] = made[i];
	}
	return n;
}

static void check_restore(const struct made *m, size_t cut)
{
	cr_assert_eq(restore(m), 0, "cut at %zu: %s cannot be restored", cut,
		     m->label);
	cr_assert(is_point((int)m->flush), "cut at %zu: %s is not what it was",
		  cut, m->label);
}

static unsigned check_cut(size_t cut, unsigned lose)
{
	size_t had = n_events;
	struct made there[FLUSHES];
	unsigned n;

	lay_out(cut, lose);
	n = find_all(cut, there);
	for (unsigned i = 0; n && i < 4; i++)
		check_restore(&there[(unsigned)rand() % n], cut);
	n_events = had;
	return n;
}

Test(powercut_checkpoint, prefixes_of_the_writes)
{
	make_load(111, false, false);
	cr_assert(n_made > 3);
	/* Not a multiple of the sectors of a block. */
	for (size_t cut = 0; cut <= n_events; cut += 5)
		check_cut(cut, 0);
	cr_assert_eq(check_cut(n_events, 0), n_made);
}

Test(powercut_checkpoint, prefixes_with_keepers_that_take_over)
{
	make_load(112, true, true);
	for (size_t cut = 0; cut <= n_events; cut += 5)
		check_cut(cut, 0);
}

Test(powercut_checkpoint, unsynced_writes_are_lost_at_random)
{
	for (unsigned seed = 120; seed < 128; seed++) {
		make_load(seed, seed % 2, seed % 4 < 2);
		for (unsigned i = 0; i < 250; i++)
			check_cut((size_t)rand() % (n_events + 1), 1 + i);
	}
}

/* The restoring itself is cut short: whatever was there before is a flush point,
 * or it is done; and then it can be done. */
Test(powercut_checkpoint, power_fails_while_it_restores)
{
	static uint8_t before[DISKS][JOURNAL_SIZE];

	make_load(131, true, false);
	for (unsigned i = 0; i < 1500; i++) {
		size_t cut = (size_t)rand() % (n_events + 1), had = n_events;
		unsigned reported = lay_out(cut, (unsigned)rand() % 200), n;
		struct made there[FLUSHES], *m;
		char error[RK_SERVER_ERROR_LEN];
		size_t more;

		n = find_all(cut, there);
		if (!n)
			continue;
		m = &there[(unsigned)rand() % n];
		memcpy(before, disk, sizeof disk);
		cr_assert_eq(restore(m), 0);
		more = (size_t)rand() % (n_events - had + 1);
		memcpy(disk, before, sizeof disk);
		for (size_t k = had; k < had + more; k++)
			if (event[k].kind == SECTOR_WRITE)
				memcpy(disk[event[k].fd - IMAGE_FD] +
				       event[k].off, event[k].data, RK_SECTOR);
		cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, UNDO_FD,
						&(unsigned){ 0 }, error), 0);
		cr_assert(is_point((int)m->flush) || which_point(reported) >= 0,
			  "neither before nor after");
		for (unsigned k = 0; k < n; k++)
			check_restore(&there[k], cut);
		n_events = had;
	}
}

/* What cannot be saved makes checkpoints void and hurts nothing else. */
Test(powercut_checkpoint, the_file_fails)
{
	unsigned voids = 0;

	for (long n = 1;; n++) {
		struct made there[FLUSHES];
		unsigned valid;

		failure = n % 2 ? -ENOSPC : -EIO;
		fail_undo_in = n;
		n_undo_failures = n % 3 == 0 ? 2 : 1;
		make_load(141, false, false);
		if (fail_undo_in > 0)
			break;
		lay_out(n_events, 0);
		cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, -1,
						&valid, (char[RK_SERVER_ERROR_LEN]){ 0 }), 0);
		cr_assert_eq(which_point(FLUSHES), FLUSHES);
		lay_out(n_events, 0);
		valid = find_all(0, there);
		voids += valid < n_made;
		for (unsigned i = 0; i < valid; i++)
			if (restore(&there[i]) == 0)
				cr_assert(is_point((int)there[i].flush),
					  "%ld: %s", n, there[i].label);
	}
	fail_undo_in = -1;
	cr_assert(voids > 10);
}

/* --- what must not be restored ---------------------------------------------- */

Test(powercut_checkpoint, an_image_that_others_changed)
{
	struct made there[FLUSHES];
	unsigned n;

	make_load(151, false, false);
	lay_out(n_events, 0);
	cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, UNDO_FD, &n,
					(char[RK_SERVER_ERROR_LEN]){ 0 }), 0);
	disk[0][RK_SECTOR * 2 + 9] ^= 1;
	cr_assert_gt(find_all(0, there), 0);
	cr_assert_eq(restore(&there[0]), -ESTALE);
	cr_assert_eq(find_all(0, there), 0);
}

/* The damage may be anywhere: what is restored is right, or nothing is. */
Test(powercut_checkpoint, random_damage)
{
	static uint8_t image[IMAGE_SIZE];
	unsigned refused = 0;

	make_load(161, false, false);
	for (unsigned i = 0; i < 1500; i++) {
		size_t had = n_events;
		struct made *m = &made[(unsigned)rand() % n_made];
		int r;

		lay_out(n_events, 0);
		rk__journal_replay(IMAGE_FD, JOURNAL_FD, -1, &(unsigned){ 0 },
				   (char[RK_SERVER_ERROR_LEN]){ 0 });
		memcpy(image, disk[0], IMAGE_SIZE);
		for (unsigned k = 0; k < 1 + i % 8; k++)
			disk[2][(unsigned)rand() % (150 * RK_PAGE)] ^=
				(uint8_t)(1 + rand() % 255);
		r = restore(m);
		refused += r < 0;
		cr_assert(r == 0 ? is_point((int)m->flush) :
			  !memcmp(image, disk[0], IMAGE_SIZE));
		n_events = had;
	}
	cr_assert_gt(refused, 100);
}

Test(powercut_checkpoint, a_label_is_made_once)
{
	struct rk__order o;

	undo_fd = UNDO_FD;
	memset(disk, 0, sizeof disk);
	open_store();
	order(&o, 1);
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), 0);
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), 0, "the same order");
	o.token++;
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), -EEXIST);
	o.action = RK_ORDER_DELETE;
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), 0);
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), -ENOENT);
	strcpy(o.label, "../x");
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), -EINVAL);
	memset(o.label, 'x', sizeof o.label);
	o.action = RK_ORDER_MAKE;
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), 0);
	o.token++;
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), -EEXIST);
	for (unsigned i = 1; i < RK_CHECKPOINTS_MAX; i++) {
		order(&o, i);
		cr_assert_eq(rk__order_carry_out(&store, 1, &o), 0);
	}
	order(&o, RK_CHECKPOINTS_MAX + 1);
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), -EDQUOT);
	change_keeper();
	cr_assert_eq(store.undo.head.n, RK_CHECKPOINTS_MAX);
	close_store();
}

/* Each block is stored once between two checkpoints, zeros not at all. */
Test(powercut_checkpoint, what_is_stored)
{
	uint8_t data[RK_PAGE] = { 1 };
	struct rk__order o;

	undo_fd = UNDO_FD;
	memset(disk, 0, sizeof disk);
	open_store();
	for (unsigned i = 0; i < 12; i++) {
		unsigned b = i < 4 ? i : i < 8 ? i - 4 : 3;

		if (i % 4 == 0) {
			order(&o, i);
			cr_assert_eq(rk__order_carry_out(&store, 1, &o), 0);
		}
		data[1] = (uint8_t)i;
		cr_assert_eq(rk__store_put(&store, b, data), 0);
		cr_assert_eq(rk__store_flush(&store), 0);
		cr_assert_eq(rk__store_checkpoint(&store), 0);
	}
	cr_assert_eq(store.undo.head.checkpoint[0].blocks, 0);
	cr_assert_eq(store.undo.head.checkpoint[1].blocks, 4);
	cr_assert_eq(store.undo.head.checkpoint[2].blocks, 1);
	/* The one before now needs what it needed, but block 3 once. */
	o.action = RK_ORDER_DELETE;
	cr_assert_eq(rk__order_carry_out(&store, 1, &o), 0);
	cr_assert_eq(store.undo.head.checkpoint[1].blocks, 4);
	close_store();
}
