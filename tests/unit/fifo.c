/*
 * fifo.c - fifos that clients open by a path meet each other.
 */
#include <poll.h>
#include <sys/ioctl.h>
#include "core/pipe.h"
#include "../harness/syscall_fake.h"

static void setup_fifo(void)
{
	setup();
	attach(2, 3, 0, 10);
	cr_assert_eq(CALL(0, mknodat, AT, "p", S_IFIFO | 0600, 0), 0);
}

TestSuite(fifo, .init = setup_fifo, .fini = teardown);

static void open_both(void)
{
	cr_assert_eq(OPEN(0, "p", O_RDONLY | O_NONBLOCK), 0);
	cr_assert_eq(OPEN(2, "p", O_WRONLY), 0);
	cr_assert_eq(CALL(0, setfl, 0, 0), 0);
}

Test(fifo, opening_waits_for_the_other_end)
{
	cr_expect_eq(OPEN(2, "p", O_WRONLY | O_NONBLOCK), -ENXIO);
	cr_expect_eq(OPEN(0, "p", O_RDONLY), PARKED);
	/* Whoever comes finds that somebody waits, and goes on at once. */
	cr_expect_eq(OPEN(2, "p", O_WRONLY), 0);
	cr_expect_eq(CALL(2, close, 0), 0);
	/* And the first sees that somebody came, though he is gone. */
	cr_expect_eq(rk__core->ofd[rk__proc_of_channel(0)->fd[0]].refs, 1u);
	cr_expect_eq(OPEN(0, "p", O_RDWR), 1);
	cr_expect_eq(OPEN(2, "p", O_RDONLY), 0);
}

Test(fifo, an_open_that_is_called_back_leaves_nothing)
{
	cr_expect_eq(OPEN(0, "p", O_RDONLY), PARKED);
	req.flags = RK_REQ_CANCELLED;
	cr_expect_eq(run(0), -EINTR);
	cr_expect_eq(rk__core->pipe[1].vnode, 0u);
	cr_expect_eq(OPEN(2, "p", O_WRONLY | O_NONBLOCK), -ENXIO);
}

Test(fifo, an_open_that_waits_is_run_again)
{
	uint64_t id;

	cr_expect_eq(OPEN(0, "p", O_RDONLY), PARKED);
	id = handle.id;
	cr_expect_eq(OPEN(2, "p", O_WRONLY), 0);
	/* As the loop does it, or a successor. */
	handle.id = id;
	cr_expect_eq(rk_encode_openat(&req, in, sizeof in, &(struct op_openat){
		.dirfd = AT, .path = "p", .flags = O_RDONLY }), 0);
	cr_expect_eq(run(0), 0);
	cr_expect_eq(rk__core->pipe[1].readers, 1u);
}

Test(fifo, bytes_go_through)
{
	static char big[RK_PIPE_SIZE + 5000];

	open_both();
	cr_expect_eq(CALL(0, read, 0, NULL, 10), PARKED);
	cr_expect_eq(CALL(2, write, 0, "hello", 5), 5);
	cr_expect_eq(CALL(0, ioctl, 0, FIONREAD, NULL, 0, NULL, 4), 0);
	cr_expect_eq(*(int *)out, 5);
	cr_expect_eq(CALL(0, read, 0, NULL, 2), 2);
	cr_expect(!memcmp(out, "he", 2));
	cr_expect_eq(CALL(0, read, 0, NULL, 10), 3);
	cr_expect(!memcmp(out, "llo", 3));
	/* A long write goes as far as there is room, and keeps how far. */
	memset(big, 'x', sizeof big);
	cr_expect_eq(CALL(2, write, 0, big, sizeof big), PARKED);
	cr_expect_eq(rk__core->pipe[1].used, (uint32_t)RK_PIPE_SIZE);
	req.flags = RK_REQ_CANCELLED;
	cr_expect_eq(run(2), RK_PIPE_SIZE, "what is written stands");
	cr_expect_eq(CALL(2, write, 0, "y", 1), PARKED);
	cr_expect_eq(CALL(2, setfl, 0, O_NONBLOCK), 0);
	cr_expect_eq(CALL(2, write, 0, "y", 1), -EAGAIN);
	cr_expect_eq(CALL(0, read, 0, NULL, 100), 100);
	/* Short writes go whole or not at all. */
	cr_expect_eq(CALL(2, write, 0, big, 101), -EAGAIN);
	cr_expect_eq(CALL(2, write, 0, big, 5000), 100);
	cr_expect_eq(CALL(0, close, 0), 0);
	cr_expect_eq(CALL(2, write, 0, "y", 1), -EPIPE);
}

Test(fifo, the_end)
{
	open_both();
	cr_expect_eq(CALL(2, write, 0, "z", 1), 1);
	cr_expect_eq(CALL(2, close, 0), 0);
	cr_expect_eq(CALL(0, read, 0, NULL, 10), 1);
	cr_expect_eq(CALL(0, read, 0, NULL, 10), 0);
	cr_expect_eq(CALL(0, pread, 0, NULL, 10), -ESPIPE);
	cr_expect_eq(CALL(0, lseek, 0), -ESPIPE);
	cr_expect_eq(CALL(0, fsync, 0), -EINVAL);
}

static int64_t poll_one(uint32_t channel, int32_t fd, int events, uint32_t wait)
{
	struct rk_poll_fd f = { .fd = fd, .events = (uint16_t)events };

	return CALL(channel, poll_fds, &f, sizeof f, NULL, sizeof f, wait);
}

#define REVENTS	(((struct rk_poll_fd *)out)->revents)

Test(fifo, polling)
{
	cr_expect_eq(poll_one(0, 3, POLLIN, 0), 1);
	cr_expect_eq(REVENTS, POLLNVAL);
	cr_expect_eq(OPEN(0, "p", O_RDONLY | O_NONBLOCK), 0);
	cr_expect_eq(poll_one(0, 0, POLLIN, 0), 0, "nobody has written yet");
	cr_expect_eq(OPEN(2, "p", O_WRONLY), 0);
	cr_expect_eq(poll_one(0, 0, POLLIN, 1), PARKED);
	cr_expect_eq(fake.parked_key, rk__pipe_key(&rk__core->pipe[1]));
	cr_expect_eq(poll_one(2, 0, POLLOUT, 1), 1);
	cr_expect_eq(REVENTS, POLLOUT);
	cr_expect_eq(CALL(2, write, 0, "z", 1), 1);
	cr_expect_eq(poll_one(0, 0, POLLIN, 1), 1);
	cr_expect_eq(REVENTS, POLLIN);
	cr_expect_eq(CALL(2, close, 0), 0);
	cr_expect_eq(CALL(0, read, 0, NULL, 10), 1);
	cr_expect_eq(poll_one(0, 0, POLLIN, 1), 1);
	cr_expect_eq(REVENTS, POLLHUP);
	cr_expect_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0600), 1);
	cr_expect_eq(poll_one(0, 1, POLLIN | POLLOUT, 1), 1);
	cr_expect_eq(REVENTS, POLLIN | POLLOUT);
}
