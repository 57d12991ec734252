/*
 * library.c - rows that go through the client library: null ops alone and many
 * in flight, hot reads, and what a commit costs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

static int run_getppid(void *arg, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		(void)syscall(SYS_getppid);
	return 0;
}

static int run_null(void *arg, unsigned n)
{
	int64_t r = 0;

	for (unsigned i = 0; i < n && r >= 0; i++)
		r = rk_null(arg);
	return (int)r;
}

static int run_ring(void *arg, unsigned n)
{
	struct rk_completion done[RK_RING_SLOTS];
	unsigned sent = 0, taken = 0;
	int r;

	while (taken < n) {
		while (sent < n && sent - taken < RK_RING_SLOTS) {
			r = rk_submit_null(arg, sent);
			if (r == -EAGAIN)
				break;
			if (r < 0)
				return r;
			sent++;
		}
		r = rk_complete(arg, done, RK_RING_SLOTS, 1);
		if (r < 0)
			return r;
		taken += (unsigned)r;
	}
	return 0;
}

static unsigned times(unsigned full, unsigned quick)
{
	return bench.quick ? quick : full;
}

void row_null(void)
{
	struct side side[] = {
		{ .name = "native", .run = run_getppid, .n = times(400000, 4000),
		  .note = "getppid; core 0" },
		{ .name = "rump", .run = run_null, .arg = attach(),
		  .n = times(200000, 2000),
		  .note = "client core 0, server core 1" },
	};

	place(0, 0);
	place_server(two_cores() ? 1 : 0);
	compare("null", side, 2);
}

void row_ring(void)
{
	struct side side[] = {
		{ .name = "native", .run = run_getppid, .n = times(400000, 4000),
		  .note = "getppid; core 0" },
		{ .name = "rump", .run = run_ring, .arg = attach(),
		  .n = times(640000, 6400),
		  .note = "64 in flight; client core 0, server core 1" },
	};

	place(0, 0);
	place_server(two_cores() ? 1 : 0);
	compare("ring", side, 2);
}

/* --- one core: a pipe round trip is the reference ----------------------- */

struct pipes {
	int to[2], from[2];
	pid_t child;
};

static void pipes_start(struct pipes *p)
{
	char byte;

	if (pipe2(p->to, O_CLOEXEC) < 0 || pipe2(p->from, O_CLOEXEC) < 0)
		die("pipe", errno);
	p->child = fork();
	if (p->child < 0)
		die("fork", errno);
	if (p->child > 0)
		return;
	close(p->to[1]);
	while (read(p->to[0], &byte, 1) == 1)
		if (write(p->from[1], &byte, 1) != 1)
			break;
	_exit(0);
}

static void pipes_end(struct pipes *p)
{
	close(p->to[1]);
	waitpid(p->child, NULL, 0);
}

static int run_pipe(void *arg, unsigned n)
{
	struct pipes *p = arg;
	char byte = 0;

	for (unsigned i = 0; i < n; i++)
		if (write(p->to[1], &byte, 1) != 1 ||
		    read(p->from[0], &byte, 1) != 1)
			return -EPIPE;
	return 0;
}

void row_null_one_core(void)
{
	struct pipes p;
	struct side side[] = {
		{ .name = "native", .run = run_pipe, .arg = &p,
		  .n = times(20000, 500),
		  .note = "pipe round trip; both ends core 0" },
		{ .name = "rump", .run = run_null, .n = times(20000, 500),
		  .note = "client and server core 0" },
	};

	place(0, 0);
	pipes_start(&p);
	side[1].arg = attach();
	place_server(0);
	compare("null_one_core", side, 2);
	pipes_end(&p);
}

/* --- hot reads ---------------------------------------------------------- */

enum { HOT_SIZE = 1 << 20, READ_SIZE = 4096 };

static char buffer[HOT_SIZE];

struct hot {
	struct rk_client *client;	/* NULL: a descriptor of the kernel */
	int fd;
};

static int run_pread(void *arg, unsigned n)
{
	struct hot *h = arg;
	int64_t r = READ_SIZE;

	for (unsigned i = 0; i < n && r == READ_SIZE; i++) {
		off_t off = (off_t)(i % (HOT_SIZE / READ_SIZE)) * READ_SIZE;

		if (h->client)
			r = rk_pread(h->client, h->fd, buffer, READ_SIZE, off);
		else
			r = pread(h->fd, buffer, READ_SIZE, off);
	}
	return r == READ_SIZE ? 0 : r < 0 && h->client ? (int)r : -EIO;
}

static int native_file(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/hot", dir);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, buffer, HOT_SIZE) != HOT_SIZE)
		die(path, errno);
	return fd;
}

void row_pread_library(const char *native)
{
	struct hot theirs = { .fd = native_file(native) };
	struct hot ours = { .client = attach() };
	struct side side[] = {
		{ .name = "native", .run = run_pread, .arg = &theirs,
		  .n = times(100000, 1000), .note = "ext4; core 0" },
		{ .name = "rump", .run = run_pread, .arg = &ours,
		  .n = times(50000, 1000),
		  .note = "client core 0, server core 1" },
	};
	char path[4096];

	snprintf(path, sizeof(path), "%s/hot-library", bench.volume);
	ours.fd = (int)must(rk_openat(ours.client, RK_AT_FDCWD, path,
				      O_RDWR | O_CREAT, 0644), path);
	must(rk_pwrite(ours.client, ours.fd, buffer, HOT_SIZE, 0), path);
	place(0, 0);
	place_server(two_cores() ? 1 : 0);
	compare("pread_library", side, 2);
	close(theirs.fd);
	rk_detach(ours.client);
}

void row_pread_mount(const char *mount, const char *native)
{
	struct hot theirs = { .fd = native_file(native) };
	struct hot ours = { .fd = native_file(mount) };
	struct side side[] = {
		{ .name = "native", .run = run_pread, .arg = &theirs,
		  .n = times(100000, 1000), .note = "ext4; core 0" },
		{ .name = "rump", .run = run_pread, .arg = &ours,
		  .n = times(100000, 1000),
		  .note = "on the mount; core 0, server core 1" },
	};

	place(0, 0);
	place_server(two_cores() ? 1 : 0);
	compare("pread_mount", side, 2);
	close(theirs.fd);
	close(ours.fd);
}

/* --- a commit --------------------------------------------------------- */

/* Server time of n calls: creating files, or being told that they exist. */
static double server_time(struct rk_client *c, pid_t server, unsigned n,
			  bool exist)
{
	uint64_t before = cpu_ns(server);
	char path[4096];

	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/commit-%u", bench.volume, i);
		int64_t r = rk_mknodat(c, RK_AT_FDCWD, path, 0100644, 0);

		if (r != (exist ? -EEXIST : 0))
			die("create", (int)(r < 0 ? -r : EEXIST));
	}
	return (double)(cpu_ns(server) - before) / n;
}

void row_commit(void)
{
	unsigned n = times(2000, 100);
	double with[ROUNDS_MAX], without[ROUNDS_MAX], pages[ROUNDS_MAX];
	double blocks[ROUNDS_MAX], difference[ROUNDS_MAX];
	struct rk_client *c = attach();
	struct rk__board a, b;
	struct rk_status s;
	struct board board;
	char path[4096];

	/* On one core nobody spins, so the server's time is work. */
	place(0, 0);
	place_server(0);
	get_status(&s);
	board_open((pid_t)s.server, &board);
	for (unsigned r = 0; r < bench.rounds; r++) {
		board_read(&board, &a);
		with[r] = server_time(c, (pid_t)s.server, n, false);
		board_read(&board, &b);
		without[r] = server_time(c, (pid_t)s.server, n, true);
		difference[r] = with[r] - without[r];
		pages[r] = (double)(b.pages - a.pages) /
			(double)(b.commits - a.commits);
		blocks[r] = (double)(b.blocks - a.blocks) /
			(double)(b.commits - a.commits);
		for (unsigned i = 0; i < n; i++) {
			snprintf(path, sizeof(path), "%s/commit-%u",
				 bench.volume, i);
			must(rk_unlinkat(c, RK_AT_FDCWD, path, 0), path);
		}
	}
	print_values("commit", "server time of a create", with, bench.rounds,
		     "ns", "client and server core 0");
	print_values("commit", "of one that exists", without, bench.rounds,
		     "ns", "no commit");
	print_values("commit", "rump", difference, bench.rounds, "ns",
		     "difference: commit and driver; client and server core 0");
	print_values("commit", "pages per commit", pages, bench.rounds, "", "");
	print_values("commit", "blocks per commit", blocks, bench.rounds, "",
		     "");
	rk_detach(c);
}
