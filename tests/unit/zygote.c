/*
 * zygote.c - what the zygote forks are the caller's children, all with the
 * same addresses; the spare takes over; and nobody outlives the supervisor. Server and keeper are fakes, which report
 * where they find themselves.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "keeper/keeper.h"
#include "supervisor/zygote.h"

struct report {
	char role;
	char name[16];
	pid_t pid, parent, sid;
	uint32_t generation;
	bool first;
	const void *code, *board, *libc, *heap;
	int core_fd, keeper_core_works;
};

static void *heap;			/* allocated before the first fork */

static _Noreturn void report_and_wait(char role, int fd, uint32_t generation,
				      bool first, const struct rk__family *f)
{
	struct report r = {
		.role = role, .pid = getpid(), .parent = getppid(),
		.sid = getsid(0), .generation = generation, .first = first,
		.code = rk__zygote_start, .board = f->board, .libc = getenv,
		.heap = heap, .core_fd = f->core_fd,
	};
	char byte;

	prctl(PR_GET_NAME, r.name);
	(void)!write(fd, &r, sizeof r);
	while (read(fd, &byte, 1) > 0)
		;
	_exit(3);
}

_Noreturn void rk__server_run(struct rk__family *f, int control,
			      uint32_t generation, enum rk__start how)
{
	report_and_wait('s', control, generation, how, f);
}

_Noreturn void rk__keeper_run(const struct rk__family *f,
			      enum rk__keeper_start replay,
			      int ready_fd)
{
	report_and_wait('k', ready_fd, 0, replay, f);
}

static struct rk__views views;
static struct rk__zygote zygote;
static char error[RK_SERVER_ERROR_LEN];

static void start(void)
{
	heap = malloc(100);
	views.server.board = views.keeper.board = heap;
	views.server.core_fd = open("/dev/null", O_RDONLY);
	views.keeper.core_fd = open("/dev/null", O_RDWR);
	cr_assert_eq(rk__zygote_start(&views, &zygote, error), 0,
		     "%s", error);
}

struct child {
	pid_t pid;
	int fd;
	struct report report;
};

static struct child spawn(enum rk__spawn_kind kind, uint32_t generation,
			  bool first)
{
	struct child c;
	int pair[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0,
				pair), 0);
	c.pid = rk__zygote_spawn(&zygote, kind, generation, first, pair[1]);
	close(pair[1]);
	cr_assert_gt(c.pid, 0, "spawn: %d", c.pid);
	c.fd = pair[0];
	cr_assert_eq(read(c.fd, &c.report, sizeof c.report),
		     (ssize_t)sizeof c.report);
	return c;
}

static void end(struct child *c)
{
	int status;

	close(c->fd);
	cr_assert_eq(waitpid(c->pid, &status, 0), c->pid, "not our child");
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static void check_same(const struct report *a, const struct report *b)
{
	cr_assert_eq(a->code, b->code);
	cr_assert_eq(a->board, b->board);
	cr_assert_eq(a->libc, b->libc);
	cr_assert_eq(a->heap, b->heap);
}

Test(zygote, children_are_ours_and_alike)
{
	struct child a, b, k;

	start();
	k = spawn(RK_SPAWN_KEEPER, 0, true);
	a = spawn(RK_SPAWN_SERVER, 1, true);
	b = spawn(RK_SPAWN_SERVER, 2, false);
	cr_assert_eq(k.report.role, 'k');
	cr_assert(k.report.first);
	cr_assert_str_eq(k.report.name, "rump-keeper");
	cr_assert_eq(k.report.core_fd, views.keeper.core_fd);
	cr_assert_eq(a.report.role, 's');
	cr_assert_str_eq(a.report.name, "rumpserver");
	cr_assert_eq(a.report.core_fd, views.server.core_fd);
	cr_assert_eq(a.report.generation, 1);
	cr_assert(a.report.first);
	cr_assert_eq(b.report.generation, 2);
	cr_assert_not(b.report.first);
	cr_assert_eq(a.report.pid, a.pid);
	cr_assert_eq(a.report.parent, getpid());
	cr_assert_eq(a.report.sid, a.pid, "a session of its own");
	check_same(&a.report, &b.report);
	check_same(&a.report, &k.report);
	end(&a);
	end(&b);
	end(&k);
	rk__zygote_stop(&zygote);
}

Test(zygote, the_spare_takes_over)
{
	struct rk__zygote spare, second;
	struct child a, b;

	start();
	cr_assert_eq(rk__zygote_spare(&zygote, &spare), 0);
	a = spawn(RK_SPAWN_SERVER, 1, true);
	kill(zygote.pid, SIGKILL);
	rk__zygote_stop(&zygote);
	zygote = spare;
	b = spawn(RK_SPAWN_SERVER, 2, false);
	check_same(&a.report, &b.report);
	cr_assert_eq(b.report.parent, getpid());
	/* and so on */
	cr_assert_eq(rk__zygote_spare(&zygote, &second), 0);
	end(&a);
	end(&b);
	rk__zygote_stop(&zygote);
	zygote = second;
	a = spawn(RK_SPAWN_SERVER, 3, false);
	check_same(&a.report, &b.report);
	end(&a);
	rk__zygote_stop(&zygote);
}

Test(zygote, a_dead_one_is_noticed)
{
	start();
	kill(zygote.pid, SIGKILL);
	waitpid(zygote.pid, NULL, 0);
	cr_assert_lt(rk__zygote_spawn(&zygote, RK_SPAWN_SERVER, 1, true, 0), 0);
	zygote.pid = 0;
	cr_assert_eq(rk__zygote_spawn(&zygote, RK_SPAWN_SERVER, 1, true, 0),
		     -EPIPE);
	close(zygote.fd);
}

Test(zygote, nobody_outlives_the_supervisor)
{
	int life[2];
	struct pollfd p;
	pid_t pid;

	cr_assert_eq(pipe(life), 0);
	pid = fork();
	if (pid == 0) {
		/* what is forked here holds life[1] */
		close(life[0]);
		start();
		spawn(RK_SPAWN_SERVER, 1, true);
		spawn(RK_SPAWN_KEEPER, 0, true);
		raise(SIGKILL);
	}
	close(life[1]);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	p = (struct pollfd){ .fd = life[0], .events = POLLIN };
	cr_assert_eq(poll(&p, 1, 60000), 1, "somebody lives on");
	cr_assert(p.revents & POLLHUP);
}
