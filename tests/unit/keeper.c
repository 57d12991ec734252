/*
 * keeper.c - the keeper as a process: what it makes of records, also of those
 * that lie.
 */
#include <errno.h>
#include <poll.h>
#include "keeper_host.h"

/* --- what it does ------------------------------------------------------- */

Test(keeper, applies_every_part_of_a_record)
{
	struct draft d = {
		.head = { .n_blocks = 3, .n_pages = 2, .n_notes = 1 },
		.block = { RK_BLOCK_ID(0, 3), RK_BLOCK_ID(1, 4),
			   RK_BLOCK_ID(0, BLOCKS - 1) },
		.fill = { 'a', 'b', 'c' },
		.page = { 5, RK_DRIVER_SIZE / RK_PAGE - 1 },
		.page_fill = { 'p', 'q' },
		.note = { RK_CORE_SIZE - 8, 8 }, .word = 0x1234,
	};
	uint64_t word;

	make_family();
	start_keeper(true);
	publish(&d);
	wait_applied();
	cr_assert(driver[5 * RK_PAGE] == 'p' && driver[4 * RK_PAGE] == 0 &&
		  driver[6 * RK_PAGE - 1] == 'p');
	cr_assert_eq(driver[RK_DRIVER_SIZE - 1], 'q');
	memcpy(&word, core + RK_CORE_SIZE - 8, 8);
	cr_assert_eq(word, 0x1234);
	cr_assert(block_byte(0, 3) == 'a' && block_byte(1, 4) == 'b' &&
		  block_byte(0, BLOCKS - 1) == 'c');
	cr_assert(in_overlay(0, 3) && !in_overlay(1, 3) && !in_overlay(0, 4));
	cr_assert(atomic_load(&log_.keeper->dirty_blocks) == 3 &&
		  atomic_load(&log_.keeper->applied_seq) == 1);
	/* Nothing was asked to be durable. */
	cr_assert_eq(byte_of(family.device[0].fd, 3 * RK_PAGE), 0);
	cr_assert_eq(memory_of(family.device[0].journal_fd), 0);
	end_keeper(SIGKILL);
}

Test(keeper, puts_new_blocks_where_they_belong)
{
	struct draft first = {
		.head = { .n_blocks = 1 },
		.block = { RK_BLOCK_ID(0, 6) }, .fill = { 'o' },
	};
	struct draft d = {
		.head = { .n_blocks = 4 },
		.block = { RK_BLOCK_ID(0, 3) | RK_BLOCK_NEW,
			   RK_BLOCK_ID(0, 4) | RK_BLOCK_NEW,
			   RK_BLOCK_ID(0, 6) | RK_BLOCK_NEW,
			   RK_BLOCK_ID(0, 0) | RK_BLOCK_NEW },
		.fill = { 'a', 'b', 'c', 'z' },
	};

	make_family();
	start_keeper(true);
	publish(&first);
	publish(&d);
	wait_applied();
	cr_assert(byte_of(family.device[0].fd, 3 * RK_PAGE) == 'a' &&
		  byte_of(family.device[0].fd, 4 * RK_PAGE) == 'b');
	cr_assert(!in_overlay(0, 3) && !in_overlay(0, 4));
	/* Older content is in the way; or it tells whose journal this is. */
	cr_assert(in_overlay(0, 6) && in_overlay(0, 0));
	cr_assert(block_byte(0, 6) == 'c' && block_byte(0, 0) == 'z');
	cr_assert(byte_of(family.device[0].fd, 6 * RK_PAGE) == 0 &&
		  byte_of(family.device[0].fd, 0) == 0);
	end_keeper(SIGKILL);
}

Test(keeper, flushes_checkpoints_and_says_so)
{
	struct draft d = {
		.head = { .n_blocks = 2 },
		.block = { RK_BLOCK_ID(0, 3), RK_BLOCK_ID(1, BLOCKS - 1) },
		.fill = { 'a', 'b' },
	};
	struct pollfd event = { .events = POLLIN };
	uint64_t n;

	make_family();
	start_keeper(true);
	event.fd = family.keeper_event;
	/* Its start. */
	cr_assert(poll(&event, 1, 60000) == 1 && read(event.fd, &n, 8) == 8);
	publish(&d);
	publish_flush(0);
	wait_flushed();
	cr_assert_eq(poll(&event, 1, 60000), 1);
	wait_applied();
	cr_assert_eq(atomic_load(&log_.keeper->dirty_blocks), 0);
	/* In the image only when we were so slow that it had time for that. */
	cr_assert((in_overlay(0, 3) && memory_of(family.device[0].journal_fd)) ||
		  byte_of(family.device[0].fd, 3 * RK_PAGE) == 'a');
	/* Changed after the flush point: that is what the image gets. */
	publish(&d);
	d.fill[0] = 'x';
	d.head.n_blocks = 1;
	publish(&d);
	publish_flush(RK_RECORD_CHECKPOINT);
	wait_flushed();
	cr_assert_eq(byte_of(family.device[0].fd, 3 * RK_PAGE), 'x');
	cr_assert_eq(byte_of(family.device[1].fd, SIZE - 1), 'b');
	for (unsigned i = 0; i < 2; i++) {
		struct stat st;

		cr_assert_eq(fstat(family.device[i].fd, &st), 0);
		cr_assert_eq(st.st_size, SIZE, "the image grew");
	}
	wait_applied();
	cr_assert(!in_overlay(0, 3) && !in_overlay(1, BLOCKS - 1));
	cr_assert_eq(memory_of(family.device[0].overlay_fd), 0);
	end_keeper(SIGKILL);
}

Test(keeper, checkpoints_when_idle_but_only_flush_points)
{
	struct draft d = {
		.head = { .n_blocks = 2 },
		.block = { RK_BLOCK_ID(0, 3), RK_BLOCK_ID(0, 4) },
		.fill = { 'a', 'b' },
	};

	make_family();
	start_keeper(true);
	publish(&d);
	publish_flush(0);
	d.head.n_blocks = 1;
	d.fill[0] = 'x';
	publish(&d);
	wait_applied();
	for (unsigned i = 0; i < 6000 && in_overlay(0, 4); i++)
		usleep(10000);
	cr_assert(!in_overlay(0, 4));
	cr_assert_eq(byte_of(family.device[0].fd, 3 * RK_PAGE), 'a');
	cr_assert_eq(byte_of(family.device[0].fd, 4 * RK_PAGE), 'b');
	cr_assert(in_overlay(0, 3) && block_byte(0, 3) == 'x');
	end_keeper(SIGKILL);
}

Test(keeper, outlives_the_signals_of_a_terminal)
{
	make_family();
	start_keeper(true);
	kill(keeper, SIGINT);
	kill(keeper, SIGTERM);
	kill(keeper, SIGHUP);
	publish_flush(0);
	wait_flushed();
	end_keeper(SIGKILL);
}

/* A full device: the flush fails, the next ones too, the rest goes on. */
Test(keeper, says_that_a_device_failed_and_goes_on)
{
	struct draft d = {
		.head.n_blocks = 1, .block = { 3 }, .fill = { 'a' },
	};
	int fd;

	make_family();
	fd = family.device[0].journal_fd;
	cr_assert_eq(ftruncate(fd, 6 * RK_PAGE), 0);
	cr_assert_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	start_keeper(true);
	publish(&d);
	publish_flush(0);
	wait_flushed();
	publish(&d);
	publish_flush(0);
	wait_applied();
	cr_assert_lt(atomic_load(&log_.keeper->flushed_seq), seq);
	cr_assert_eq(atomic_load(&log_.keeper->error), -EPERM);
	d.fill[0] = 'z';
	publish(&d);
	publish_flush(RK_RECORD_CHECKPOINT);
	wait_applied();
	cr_assert_eq(block_byte(0, 3), 'z');
	cr_assert_eq(byte_of(family.device[0].fd, 3 * RK_PAGE), 0);
	cr_assert_lt(atomic_load(&log_.keeper->flushed_seq), seq);
	end_keeper(SIGKILL);
}

Test(keeper, refuses_to_start_on_a_wrong_journal)
{
	char text[RK_SERVER_ERROR_LEN] = "";
	uint8_t junk[4 * RK_PAGE];
	int ready[2];
	pid_t pid;

	make_family();
	for (unsigned i = 0; i < sizeof junk; i += 4)
		memcpy(junk + i, &(uint32_t){ 0x78746b72u }, 4);
	cr_assert_eq(pwrite(family.device[1].journal_fd, junk, sizeof junk, 0),
		     sizeof junk);
	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		rk__keeper_run(&family, RK_KEEPER_REPLAY, ready[1]);
	close(ready[1]);
	cr_assert_gt(read(ready[0], text, sizeof text - 1), 1);
	cr_assert(strstr(text, "damaged"), "%s", text);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

/* --- hostile records ---------------------------------------------------- */

static void nothing_was_written(void)
{
	for (unsigned i = 0; i < DEVICES; i++)
		for (unsigned b = 0; b < BLOCKS; b++)
			cr_assert_eq(byte_of(family.device[i].fd,
					     b * RK_PAGE), 0);
	cr_assert_eq(memory_of(family.device[0].journal_fd), 0);
}

static void expect_end(struct draft *d)
{
	int status;

	make_family();
	seq = 0;
	start_keeper(true);
	d->head.flags = RK_RECORD_FLUSH;
	publish(d);
	status = end_keeper(0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
	cr_assert_lt(atomic_load(&log_.keeper->error), 0);
	cr_assert_eq(atomic_load(&log_.keeper->applied), 0);
	cr_assert_eq(atomic_load(&log_.keeper->flushed_seq), 0);
	nothing_was_written();
}

Test(keeper, ends_at_a_record_that_asks_for_what_is_not_its_own)
{
	struct draft block = { .head.n_blocks = 1, .fill = { 'x' } };
	struct draft page = { .head.n_pages = 1 };
	struct draft note = { .head.n_notes = 1 };

	block.block[0] = RK_BLOCK_ID(DEVICES, 0);
	expect_end(&block);
	block.block[0] = RK_BLOCK_ID(255, 0);
	expect_end(&block);
	block.block[0] = RK_BLOCK_ID(DEVICES - 1, 0);	/* read-only */
	expect_end(&block);
	block.block[0] = RK_BLOCK_ID(0, BLOCKS);
	expect_end(&block);
	block.block[0] = RK_BLOCK_ID(1, (1ull << 56) - 1);
	expect_end(&block);
	page.page[0] = RK_DRIVER_SIZE / RK_PAGE;
	expect_end(&page);
	page.page[0] = UINT64_MAX;
	expect_end(&page);
	note.note = (struct rk__note_head){ RK_CORE_SIZE - 7, 8 };
	expect_end(&note);
	note.note = (struct rk__note_head){ 0, 9 };
	expect_end(&note);
	note.note = (struct rk__note_head){ UINT32_MAX, UINT32_MAX };
	expect_end(&note);
}

Test(keeper, ends_at_a_wrong_number_or_checksum)
{
	struct draft d = { .head.n_blocks = 1, .block = { 1 } };

	make_family();
	for (unsigned i = 0; i < 3; i++) {
		uint64_t end;
		int status;

		start_keeper(false);
		d.head.seq = i == 0 ? 2 : 1;
		end = lay_down(&d);
		if (i == 1)
			rk__log_at(&log_, 0)[100] ^= 1;
		atomic_store(&log_.server->published,
			     i == 2 ? end - 64 : end);
		call_keeper();
		status = end_keeper(0);
		cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1);
		atomic_store(&log_.server->published, 0);
	}
	nothing_was_written();
}

/* Whatever stands there, it either applies it or ends; it never crashes. */
Test(keeper, survives_random_logs)
{
	make_family();
	srand(9);
	for (unsigned i = 0; i < 300; i++) {
		struct draft d = { .head.seq = 1 };
		uint64_t end;

		d.head.flags = (uint32_t)rand() % 4;
		d.head.n_blocks = (uint32_t)rand() % RECORD_BLOCKS;
		d.head.n_pages = (uint32_t)rand() % 2;
		d.head.n_notes = (uint32_t)rand() % 2;
		for (unsigned k = 0; k < RECORD_BLOCKS; k++)
			d.block[k] = RK_BLOCK_ID(rand() % 5, rand() % 50);
		d.page[0] = (uint64_t)rand() << (rand() % 30);
		d.note.offset = (uint32_t)rand() << (rand() % 3);
		d.note.length = (uint32_t)rand() % 12;
		end = lay_down(&d);
		if (rand() % 3 == 0)
			rk__log_at(&log_, 0)[rand() % 64] ^= 1 << rand() % 8;
		if (rand() % 5 == 0)
			end = (uint64_t)rand() << (rand() % 33);
		start_keeper(false);
		atomic_store(&log_.server->published, end);
		call_keeper();
		wait_word(&log_.keeper->applied, end, 5);
		kill(keeper, SIGTERM);
		if (waitpid(keeper, NULL, WNOHANG) == 0) {
			int status;

			kill(keeper, SIGKILL);
			waitpid(keeper, &status, 0);
			cr_assert(WIFEXITED(status) ||
				  WTERMSIG(status) == SIGKILL);
		}
		/* As it was at the start. */
		cr_assert_eq(pwrite(family.log_fd, (char[RK_PAGE]){ 0 },
				    RK_PAGE, RK_PAGE), RK_PAGE);
		atomic_store(&log_.server->published, 0);
	}
	for (unsigned b = 0; b < BLOCKS; b++)
		cr_assert_eq(byte_of(family.device[DEVICES - 1].fd,
				     b * RK_PAGE), 0);
}
