/*
 * client.c - the client library and the channel and socket gates against each
 * other, with a core that knows a few ops.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <time.h>
#include "fake_server.h"
#include "rump/client.h"

TestSuite(client, .init = fake_start, .fini = fake_stop, .timeout = 600);

static struct rk_client *attach(unsigned flags)
{
	struct rk_client *c;

	cr_assert_eq(rk_attach(fake.path, flags, &c), 0);
	return c;
}

static void check_io(struct rk_client *c, uint64_t len)
{
	uint8_t *buf = malloc(len + 100);

	cr_assert_eq(rk_pread(c, 3, buf, len, 5), (int64_t)len);
	for (uint64_t i = 0; i < len; i++)
		cr_assert_eq(buf[i], pattern(5 + i));
	cr_assert_eq(rk_pwrite(c, 3, buf, len, 5), (int64_t)len);
	cr_assert_eq(rk_read(c, 3, buf, 100), 100);
	cr_assert_eq(buf[99], pattern(99));
	free(buf);
}

static void check_calls(unsigned flags)
{
	struct rk_client *c = attach(flags);
	struct rk_stat st;

	for (int i = 0; i < 2000; i++)
		cr_assert_eq(rk_null(c), 0);
	cr_assert_eq(rk_fstat(c, 3, &st), -ENOSYS);
	cr_assert_eq(rk_chdir(c, NULL), -EFAULT);
	check_io(c, 1);
	check_io(c, 4096);
	check_io(c, (3 << 20) + 17);
	cr_assert_eq(rk_pread(c, 3, NULL, 0, 0), 0);
	rk_detach(c);
}

Test(client, calls_by_channel)
{
	check_calls(0);
}

Test(client, calls_by_socket)
{
	check_calls(RK_ATTACH_SOCKET);
}

static void check_ring(unsigned flags)
{
	struct rk_client *c = attach(flags);
	struct rk_completion done[RK_RING_SLOTS];
	uint8_t buf[RK_RING_SLOTS][512];
	uint64_t sum = 0, expected = 0;

	for (int round = 0; round < 50; round++) {
		unsigned n = 1 + (unsigned)round % RK_RING_SLOTS, got = 0;

		for (unsigned i = 0; i < n; i++) {
			cr_assert_eq(rk_submit_pread(c, i, 3, buf[i], 512,
						     i * 512), 0);
			expected += i;
		}
		while (got < n) {
			int r = rk_complete(c, done, RK_RING_SLOTS, 1);

			cr_assert_gt(r, 0);
			for (int i = 0; i < r; i++) {
				cr_assert_eq(done[i].result, 512);
				cr_assert_eq(done[i].out_len, 512);
				cr_assert_eq(buf[done[i].tag][3],
					     pattern(done[i].tag * 512 + 3));
				sum += done[i].tag;
			}
			got += (unsigned)r;
		}
	}
	cr_assert_eq(sum, expected);
	cr_assert_eq(rk_complete(c, done, 1, 1), 0);
	for (unsigned i = 0; i < RK_RING_SLOTS; i++)
		cr_assert_eq(rk_submit_null(c, i), 0);
	cr_assert_eq(rk_submit_null(c, 0), -EAGAIN);
	rk_detach(c);
}

Test(client, ring)
{
	check_ring(0);
}

Test(client, ring_on_a_socket)
{
	check_ring(RK_ATTACH_SOCKET);
}

Test(client, ring_goes_on_behind_a_request_that_waits)
{
	struct rk_client *c = attach(0);
	struct rk_completion done;

	cr_assert_eq(rk_submit_flock(c, 1000, 3, LOCK_EX), 0);
	for (uint64_t i = 0; i < 500; i++) {
		cr_assert_eq(rk_submit_null(c, i), 0);
		cr_assert_eq(rk_complete(c, &done, 1, 1), 1);
		cr_assert_eq(done.tag, i);
	}
	atomic_store(&fake.refuse, true);
	cr_assert_eq(rk_complete(c, &done, 1, 1), 1);
	cr_assert_eq(done.tag, 1000);
	cr_assert_eq(done.result, -ESHUTDOWN);
	rk_detach(c);
}

static void *use(void *arg)
{
	struct rk_client *c = arg;

	for (int i = 0; i < 300; i++) {
		cr_assert_eq(rk_null(c), 0);
		check_io(c, 3000);
	}
	return NULL;
}

Test(client, every_thread_has_a_channel)
{
	struct rk_client *c = attach(0);
	pthread_t thread[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, use, c);
	use(c);
	for (int i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	cr_assert_eq(atomic_load(&fake.n_hello[RK_HELLO_THREAD]), 4);
	rk_detach(c);
}

Test(client, a_child_has_a_channel_of_its_own)
{
	struct rk_client *c = attach(0);
	int64_t before = rk_getfl(c, 0);
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(rk_getfl(c, 0) == before || rk_null(c) != 0);
	/* It had attached when fork returned. */
	cr_assert_eq(atomic_load(&fake.n_hello[RK_HELLO_FORK]), 1);
	cr_assert_eq(rk_getfl(c, 0), before);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
	rk_detach(c);
}

static void nothing(int signal)
{
	(void)signal;
}

struct waiter {
	pthread_t thread;
	_Atomic bool came_back;
};

/* Again if it comes too early. */
static void *interrupt(void *arg)
{
	const struct timespec t = { .tv_nsec = 100000000 };
	struct waiter *w = arg;

	do {
		nanosleep(&t, NULL);
		pthread_kill(w->thread, SIGUSR1);
	} while (!atomic_load(&w->came_back));
	return NULL;
}

Test(client, a_signal_ends_a_wait)
{
	struct sigaction sa = { .sa_handler = nothing };
	struct rk_client *c = attach(0);
	struct waiter self = { .thread = pthread_self() };
	pthread_t other;

	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&other, NULL, interrupt, &self);
	cr_assert_eq(rk_flock(c, 3, LOCK_EX), -EINTR);
	atomic_store(&self.came_back, true);
	cr_assert_eq(rk_null(c), 0);
	pthread_join(other, NULL);
	rk_detach(c);
}

static void *interrupt_then_refuse(void *arg)
{
	const struct timespec t = { .tv_nsec = 100000000 };

	for (int i = 0; i < 3; i++) {
		nanosleep(&t, NULL);
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
	}
	atomic_store(&fake.refuse, true);
	return NULL;
}

Test(client, a_signal_ends_no_wait_on_a_socket)
{
	struct sigaction sa = { .sa_handler = nothing };
	struct rk_client *c = attach(RK_ATTACH_SOCKET);
	pthread_t self = pthread_self(), other;

	sigaction(SIGUSR1, &sa, NULL);
	pthread_create(&other, NULL, interrupt_then_refuse, &self);
	cr_assert_eq(rk_flock(c, 3, LOCK_EX), -ESHUTDOWN);
	pthread_join(other, NULL);
	rk_detach(c);
}

static void *refuse_soon(void *arg)
{
	const struct timespec t = { .tv_nsec = 100000000 };

	(void)arg;
	nanosleep(&t, NULL);
	atomic_store(&fake.refuse, true);
	return NULL;
}

static void check_stop(unsigned flags)
{
	struct rk_client *c = attach(flags);
	pthread_t other;

	pthread_create(&other, NULL, refuse_soon, NULL);
	cr_assert_eq(rk_flock(c, 3, LOCK_EX), -ESHUTDOWN);
	cr_assert_eq(rk_null(c), -ESHUTDOWN);
	pthread_join(other, NULL);
	rk_detach(c);
}

Test(client, a_server_that_stops_says_so)
{
	check_stop(0);
}

Test(client, a_server_that_stops_says_so_on_a_socket)
{
	check_stop(RK_ATTACH_SOCKET);
}

Test(client, socket_paths)
{
	char path[108], small[8];

	cr_assert_eq(rk_socket_path("a/b", path, sizeof path), -EINVAL);
	cr_assert_eq(rk_socket_path("name", small, sizeof small),
		     -ENAMETOOLONG);
	cr_assert_eq(rk_socket_path("name", path, sizeof path), 0);
	cr_assert_str_eq(strrchr(path, '/'), "/name.sock");
	setenv("RUMP_SOCKET", "/x/y", 1);
	cr_assert_eq(rk_socket_path(NULL, path, sizeof path), 0);
	cr_assert_str_eq(path, "/x/y");
	unsetenv("RUMP_SOCKET");
	cr_assert_eq(rk_socket_path(NULL, path, sizeof path), -EINVAL);
}
