/*
 * powercut.c - an image and its journal as they are after any prefix of the
 * device writes, and after losing any of those that were not synced yet,
 * recover to exactly a flush point that is not older than the last one that
 * was reported durable.
 */
#include "powercut.h"

/* Ends early, and says so, when a device fails. */
static int make_load(unsigned seed, bool successors)
{
	static uint8_t model[IMAGE_SIZE];
	bool in_use[BLOCKS] = { 0 };
	int r = 0;

	srand(seed);
	memset(disk, 0, sizeof disk);
	memset(model, 0, sizeof model);
	n_events = 0;
	open_store();
	add_event(REPORT, 0, 0);
	for (unsigned f = 1; f <= FLUSHES && r == 0; f++) {
		r = put_some(model, f - 1, in_use);
		if (r < 0)
			break;
		if (successors && rand() % 3 == 0)
			change_keeper();
		memcpy(point[f], model, IMAGE_SIZE);
		memcpy(used[f], in_use, sizeof in_use);
		r = rk__store_flush(&store);
		if (r == 0)
			add_event(REPORT, 0, f);
		/* What comes after the flush must not get to the image. */
		if (r == 0 && rand() % 2)
			r = put_some(model, f, in_use);
		if (r == 0 && rand() % 3 == 0)
			r = rk__store_checkpoint(&store);
	}
	close_store();
	return r;
}

/* --- the cut ------------------------------------------------------------ */

static unsigned replay(void)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	unsigned replayed = 0;

	cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, -1, &replayed, error),
		     0, "%s", error);
	return replayed;
}

static void check_cut(size_t cut, unsigned lose)
{
	size_t had = n_events;
	unsigned reported = lay_out(cut, lose);
	int got;

	replay();
	got = which_point(reported);
	cr_assert(got >= 0, "cut at %zu, losing %u/256: no flush point from "
		  "%u on", cut, lose, reported);
	/* Once more changes nothing. */
	cr_assert_eq(replay(), 0);
	cr_assert_eq(which_point(reported), got);
	n_events = had;
}

Test(powercut, every_prefix_of_the_writes)
{
	cr_assert_eq(make_load(11, false), 0);
	for (size_t cut = 0; cut <= n_events; cut++)
		check_cut(cut, 0);
}

Test(powercut, every_prefix_with_keepers_that_take_over)
{
	cr_assert_eq(make_load(12, true), 0);
	for (size_t cut = 0; cut <= n_events; cut++)
		check_cut(cut, 0);
}

Test(powercut, unsynced_writes_are_lost_at_random)
{
	for (unsigned seed = 20; seed < 24; seed++) {
		cr_assert_eq(make_load(seed, seed % 2), 0);
		for (unsigned i = 0; i < 1500; i++)
			check_cut((size_t)rand() % (n_events + 1), 1 + i % 255);
	}
}

/* All processes are killed at `kill`, what they wrote is in the page cache; a
 * replay reads it from there, and then the power fails. */
static void check_kill_then_cut(size_t kill, unsigned lose)
{
	static struct event *rest;
	size_t had = n_events, replayed_from = kill;

	rest = realloc(rest, (had - kill) * sizeof *rest + 1);
	memcpy(rest, &event[kill], (had - kill) * sizeof *rest);
	lay_out(kill, 0);
	n_events = kill;
	replay();
	check_cut(replayed_from + (size_t)rand() %
		  (n_events - replayed_from + 1), lose);
	while (max_events < had)
		add_event(SYNC, IMAGE_FD, 0);
	memcpy(&event[kill], rest, (had - kill) * sizeof *rest);
	n_events = had;
}

Test(powercut, power_fails_while_it_recovers_from_a_kill)
{
	cr_assert_eq(make_load(31, true), 0);
	for (unsigned i = 0; i < 4000; i++)
		check_kill_then_cut((size_t)rand() % (n_events + 1), i % 256);
}

Test(powercut, power_fails_again_while_it_recovers)
{
	static uint8_t before[DISKS][JOURNAL_SIZE];

	cr_assert_eq(make_load(41, false), 0);
	for (unsigned i = 0; i < 2000; i++) {
		size_t cut = (size_t)rand() % (n_events + 1), had = n_events;
		unsigned reported = lay_out(cut, (unsigned)rand() % 200);
		size_t more;

		memcpy(before, disk, sizeof disk);
		replay();
		more = (size_t)rand() % (n_events - had + 1);
		/* Some of what the replay wrote got there. */
		memcpy(disk, before, sizeof disk);
		for (size_t k = had; k < had + more; k++)
			if (event[k].kind == SECTOR_WRITE)
				memcpy(disk[event[k].fd - IMAGE_FD] +
				       event[k].off, event[k].data, RK_SECTOR);
		replay();
		cr_assert(which_point(reported) >= 0);
		n_events = had;
	}
}

/* Each write and each sync fails once, and the power with it. */
Test(powercut, a_device_that_fails)
{
	for (long n = 1;; n++) {
		int r;

		failure = n % 2 ? -EIO : -ENOSPC;
		fail_in = n;
		r = make_load(51, false);
		if (fail_in > 0) {
			cr_assert_eq(r, 0);
			break;
		}
		cr_assert_eq(r, failure);
		fail_in = -1;
		check_cut(n_events, 0);
		for (unsigned i = 0; i < 20; i++)
			check_cut(n_events, (unsigned)rand() % 256);
	}
}

/* --- what must not be replayed ------------------------------------------ */

/* The last instant at which there was something to replay. */
static size_t last_full(void)
{
	size_t cut = n_events;

	for (;; cut--) {
		size_t had = n_events;
		unsigned n;

		lay_out(cut, 0);
		n = replay();
		n_events = had;
		if (n > 2)
			return cut;
	}
}

Test(powercut, the_journal_of_another_image_is_refused)
{
	static uint8_t before[DISKS][JOURNAL_SIZE];
	char error[RK_SERVER_ERROR_LEN] = "";
	unsigned n;

	cr_assert_eq(make_load(61, false), 0);
	for (unsigned i = 0; i < RK_PROBES; i++) {
		/* One foreign sector is enough. */
		lay_out(last_full(), 0);
		disk[0][i * RK_SECTOR + 17] ^= 1;
		memcpy(before, disk, sizeof disk);
		cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, -1, &n,
						error), -EMEDIUMTYPE);
		cr_assert(strstr(error, "another image"));
		cr_assert(!memcmp(before, disk, sizeof disk));
	}
}

Test(powercut, a_damaged_head_is_refused)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	unsigned n;

	cr_assert_eq(make_load(61, false), 0);
	lay_out(last_full(), 0);
	disk[1][40] ^= 1;
	disk[1][RK_PAGE + 40] ^= 1;
	cr_assert_eq(rk__journal_replay(IMAGE_FD, JOURNAL_FD, -1, &n, error),
		     -EUCLEAN);
	cr_assert(strstr(error, "damaged"));
}

/* What an earlier epoch left behind the end is never taken for new. */
Test(powercut, stale_transactions_do_not_count)
{
	uint8_t data[RK_PAGE] = { 1 };
	struct rk__journal j;

	memset(disk, 0, sizeof disk);
	open_store();
	for (unsigned i = 0; i < 10; i++) {
		data[1] = (uint8_t)i;
		cr_assert_eq(rk__store_put(&store, i, data), 0);
		cr_assert_eq(rk__store_flush(&store), 0);
	}
	cr_assert_eq(rk__store_checkpoint(&store), 0);
	for (unsigned i = 1; i < 10; i++) {
		cr_assert_eq(rk__store_put(&store, 20, data), 0);
		cr_assert_eq(rk__store_flush(&store), 0);
		cr_assert_eq(rk__journal_open(&j, JOURNAL_FD, IMAGE_FD,
					      IMAGE_SIZE), 0);
		cr_assert_eq(j.number, i);
		rk__journal_close(&j);
	}
	close_store();
}

/* Somebody who can foretell the epoch could write a transaction into a file. */
Test(powercut, epochs_cannot_be_foretold)
{
	uint64_t epoch[8];

	memset(disk, 0, sizeof disk);
	open_store();
	for (unsigned i = 0; i < 8; i++) {
		cr_assert_eq(rk__journal_reset(&store.journal), 0);
		epoch[i] = store.journal.epoch;
		for (unsigned k = 0; k < i; k++)
			cr_assert(epoch[k] != epoch[i] &&
				  epoch[k] + 1 != epoch[i]);
	}
	close_store();
}

Test(powercut, random_damage_never_crashes)
{
	char error[RK_SERVER_ERROR_LEN];
	unsigned n;

	cr_assert_eq(make_load(71, false), 0);
	for (unsigned i = 0; i < 3000; i++) {
		size_t had = n_events;

		lay_out((size_t)rand() % (n_events + 1), 0);
		for (unsigned k = 0; k < 20; k++)
			disk[1][(unsigned)rand() % (200 * RK_PAGE)] =
				(uint8_t)rand();
		rk__journal_replay(IMAGE_FD, JOURNAL_FD, -1, &n, error);
		n_events = had;
	}
}
