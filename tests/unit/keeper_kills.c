/*
 * keeper_kills.c - what is left of flush points when the keeper is killed at
 * crash points and at random, alone or with everybody else. A model knows what
 * each flush point holds.
 */
#include "keeper_host.h"

enum {
	POINTS = 64,			/* flush points that are remembered */
};

/* First byte of each block, after each record that is a flush point. */
struct model {
	uint64_t seq;
	uint8_t block[2][BLOCKS];
};

static struct model model, point[POINTS];
static unsigned n_points;

static void random_record(void)
{
	bool flush = rand() % 6 == 0;
	struct draft d = { .head.flags = flush ? RK_RECORD_FLUSH : 0 };

	if (flush && rand() % 8 == 0)
		d.head.flags |= RK_RECORD_CHECKPOINT;
	d.head.n_blocks = (uint32_t)rand() % RECORD_BLOCKS;
	for (unsigned i = 0; i < d.head.n_blocks; i++) {
		unsigned dev = (unsigned)rand() % 2, b = (unsigned)rand() %
			BLOCKS;

		d.block[i] = RK_BLOCK_ID(dev, b);
		d.fill[i] = (uint8_t)(rand() % 255 + 1);
		model.block[dev][b] = d.fill[i];
	}
	publish(&d);
	model.seq = seq;
	if (flush)
		point[n_points++ % POINTS] = model;
}

/* Blocks are all of one byte: so is each of the image, or it is torn. */
static void read_image(int fd, uint8_t *ret)
{
	static uint8_t image[SIZE];

	cr_assert_eq(pread(fd, image, SIZE, 0), SIZE);
	for (unsigned i = 0; i < SIZE; i++)
		if (image[i] != image[i / RK_PAGE * RK_PAGE])
			cr_assert_fail("block %u is torn", i / RK_PAGE);
	for (unsigned b = 0; b < BLOCKS; b++)
		ret[b] = image[b * RK_PAGE];
}

static int copy_of(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	int copy = memory_file((size_t)size);
	void *p;

	if (size == 0)
		return copy;
	p = map(fd, (size_t)size);
	cr_assert_eq(pwrite(copy, p, (size_t)size, 0), size);
	munmap(p, (size_t)size);
	return copy;
}

/* If all were dead now: what would the next start find on device `dev`? */
static void check_replay(unsigned dev)
{
	uint64_t flushed = atomic_load(&log_.keeper->flushed_seq);
	int image = copy_of(family.device[dev].fd);
	int journal = copy_of(family.device[dev].journal_fd);
	static const uint8_t none[BLOCKS];
	char error[RK_SERVER_ERROR_LEN] = "";
	uint8_t got[BLOCKS];
	bool right;
	unsigned n;

	cr_assert_eq(rk__journal_replay(image, journal, -1, &n, error), 0, "%s",
		     error);
	read_image(image, got);
	right = flushed == 0 && !memcmp(got, none, BLOCKS);
	for (unsigned i = 0; i < POINTS && i < n_points; i++)
		right |= point[i].seq >= flushed &&
			 !memcmp(got, point[i].block[dev], BLOCKS);
	cr_assert(right, "device %u: no flush point from %lu on", dev,
		  (unsigned long)flushed);
	close(image);
	close(journal);
}

static void check_blocks(void)
{
	for (unsigned dev = 0; dev < 2; dev++)
		for (unsigned b = 0; b < BLOCKS; b++)
			cr_assert_eq(block_byte(dev, b), model.block[dev][b],
				     "device %u, block %u", dev, b);
}

static void check_end(void)
{
	uint8_t got[BLOCKS];

	publish_flush(RK_RECORD_CHECKPOINT);
	wait_flushed();
	for (unsigned dev = 0; dev < 2; dev++) {
		read_image(family.device[dev].fd, got);
		cr_assert(!memcmp(got, model.block[dev], BLOCKS));
	}
}

Test(keeper, killed_at_random)
{
	make_family();
	srand(5);
	start_keeper(true);
	for (unsigned i = 0; i < 400; i++) {
		for (int n = rand() % 20; n > 0; n--)
			random_record();
		usleep((unsigned)rand() % 800);
		end_keeper(SIGKILL);
		check_replay(0);
		check_replay(1);
		start_keeper(false);
		if (i % 8 == 0) {
			wait_applied();
			check_blocks();
		}
	}
	check_end();
	end_keeper(SIGKILL);
}

Test(keeper, killed_at_crash_points)
{
	static const enum rk__crashpoint at[] = {
		RK_CRASH_flush_half_done, RK_CRASH_flush_not_synced,
		RK_CRASH_checkpoint_half_done,
	};
	unsigned hit = 0;

	make_family();
	srand(6);
	start_keeper(true);
	for (unsigned i = 0; i < 300; i++) {
		atomic_store(&family.board->crash_skip, (uint32_t)rand() % 6);
		atomic_store(&family.board->crash_at, at[i % 3]);
		for (unsigned n = 0; n < 60 && waitpid(keeper, NULL, WNOHANG) ==
		     0; n++) {
			random_record();
			usleep(300);
		}
		hit += atomic_exchange(&family.board->crash_at, 0) == 0;
		kill(keeper, SIGKILL);
		waitpid(keeper, NULL, 0);
		check_replay(0);
		check_replay(1);
		start_keeper(false);
		wait_applied();
		check_blocks();
	}
	cr_assert_gt(hit, 100, "%u", hit);
	check_end();
	end_keeper(SIGKILL);
}

/* Everybody dies, and the replay dies on its way too, again and again. */
Test(keeper, killed_while_it_replays)
{
	make_family();
	srand(7);
	start_keeper(true);
	for (unsigned i = 0; i < 40; i++)
		random_record();
	wait_applied();
	cr_assert(n_points > 0);
	end_keeper(SIGKILL);
	for (unsigned skip = 0; skip < 200; skip++) {
		atomic_store(&family.board->crash_skip, skip);
		atomic_store(&family.board->crash_at,
			     RK_CRASH_replay_half_done);
		start_keeper(true);
		if (atomic_exchange(&family.board->crash_at, 0)) {
			end_keeper(SIGKILL);
			break;
		}
		waitpid(keeper, NULL, 0);
		check_replay(0);
		check_replay(1);
	}
	for (unsigned dev = 0; dev < 2; dev++) {
		uint8_t got[BLOCKS];

		read_image(family.device[dev].fd, got);
		cr_assert(!memcmp(got, point[n_points - 1].block[dev], BLOCKS));
	}
}
