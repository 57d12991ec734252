/*
 * models.c - rows about how ops are run: both execution models side by side,
 * and the drivers in this process without a server.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <rump/local.h>
#include "bench.h"

enum { LONG_SIZE = 1 << 20, READ_SIZE = 4096, FILE_SIZE = 1 << 20 };

static char block[LONG_SIZE];

static unsigned times(unsigned full, unsigned quick)
{
	return bench.quick ? quick : full;
}

/* --- without a server -------------------------------------------------------- */

struct place {
	struct rk_client *client;	/* NULL: the kernel */
	char path[4096];
	int fd;
};

static int run_null(void *arg, unsigned n)
{
	const struct place *p = arg;
	int64_t r = 0;

	for (unsigned i = 0; i < n && r >= 0; i++) {
		if (p->client)
			r = rk_null(p->client);
		else
			(void)syscall(SYS_getppid);
	}
	return (int)r;
}

static int run_stat(void *arg, unsigned n)
{
	const struct place *p = arg;
	struct rk_stat ours;
	struct stat st;
	int64_t r = 0;

	for (unsigned i = 0; i < n && r >= 0; i++)
		r = p->client ? rk_fstatat(p->client, RK_AT_FDCWD, p->path,
					   &ours, 0) :
		    stat(p->path, &st) < 0 ? -errno : 0;
	return (int)r;
}

static int run_pread(void *arg, unsigned n)
{
	const struct place *p = arg;
	int64_t r = READ_SIZE;

	for (unsigned i = 0; i < n && r == READ_SIZE; i++) {
		off_t off = (off_t)(i % (FILE_SIZE / READ_SIZE)) * READ_SIZE;

		r = p->client ? rk_pread(p->client, p->fd, block, READ_SIZE,
					 off) :
				pread(p->fd, block, READ_SIZE, off);
	}
	return r == READ_SIZE ? 0 : r < 0 && p->client ? (int)r : -EIO;
}

static void make_file(struct place *p, const char *dir)
{
	int64_t r;

	snprintf(p->path, sizeof(p->path), "%s/local", dir);
	p->fd = (int)(p->client ? rk_openat(p->client, RK_AT_FDCWD, p->path,
					    O_RDWR | O_CREAT, 0644) :
		      open(p->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644));
	if (p->fd < 0)
		die(p->path, p->client ? -p->fd : errno);
	r = p->client ? rk_pwrite(p->client, p->fd, block, FILE_SIZE, 0) :
			pwrite(p->fd, block, FILE_SIZE, 0);
	if (r != FILE_SIZE)
		die(p->path, EIO);
}

void row_local(const char *image, const char *native)
{
	static struct place ours, theirs;
	char spec[4200], error[256];
	const char *mount = spec;

	snprintf(spec, sizeof(spec), "/vol=ext4:%s", image);
	if (rk_local_attach(&mount, 1, &ours.client, error, sizeof(error)) < 0) {
		fprintf(stderr, "rump-bench: %s\n", error);
		exit(1);
	}
	make_file(&ours, "/vol");
	make_file(&theirs, native);
	place(0, 0);
#define COMPARE(row, run_, ours_note, theirs_note) do {			\
	struct side side[] = {						\
		{ .name = "native", .run = run_, .arg = &theirs,	\
		  .n = times(100000, 1000), .note = theirs_note },	\
		{ .name = "rump", .run = run_, .arg = &ours,		\
		  .n = times(100000, 1000), .note = ours_note },	\
	};								\
	compare(row, side, 2);						\
} while (0)
	COMPARE("local_null", run_null, "a call of the core in the program",
		"getppid; core 0");
	COMPARE("local_stat", run_stat, "ext4 in the program", "ext4; core 0");
	COMPARE("local_pread", run_pread, "ext4 in the program",
		"ext4; core 0");
#undef COMPARE
	rk_detach(ours.client);
}

/* --- two models, two servers --------------------------------------------------- */

struct model {
	const char *name, *socket, *volume;
	struct rk_client *client;
	struct place at;
	struct rk_status status;
};

static void use(struct model *m)
{
	snprintf(bench.socket, sizeof(bench.socket), "%s", m->socket);
	get_status(&m->status);
}

static int run_create(void *arg, unsigned n)
{
	const struct place *p = arg;
	char path[4200];
	int64_t r = 0;

	snprintf(path, sizeof(path), "%s-made", p->path);
	for (unsigned i = 0; i < n && r >= 0; i++) {
		r = rk_mknodat(p->client, RK_AT_FDCWD, path, S_IFREG | 0644, 0);
		if (r == 0)
			r = rk_unlinkat(p->client, RK_AT_FDCWD, path, 0);
	}
	return (int)r;
}

static void side_by_side(struct model *m, const char *row,
			 int (*run)(void *, unsigned), unsigned n)
{
	struct side side[2];

	for (int i = 0; i < 2; i++)
		side[i] = (struct side){
			.name = m[i].name, .run = run, .arg = &m[i].at, .n = n,
			.note = "client core 0, server core 1",
		};
	compare(row, side, 2);
}

/* --- a short op beside long ones ------------------------------------------------ */

static pid_t start_long(const struct model *m)
{
	pid_t pid = fork();
	struct rk_client *c;
	char path[4200];
	int64_t fd;

	if (pid)
		return pid;
	must(rk_attach(m->socket, 0, &c), "attach");
	snprintf(path, sizeof(path), "%s-long", m->at.path);
	fd = must(rk_openat(c, RK_AT_FDCWD, path, O_RDWR | O_CREAT, 0644),
		  path);
	for (;;)
		must(rk_pwrite(c, (int32_t)fd, block, LONG_SIZE, 0), path);
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void preempt(struct model *m)
{
	unsigned n = times(5000, 100);
	double *v = calloc(n, sizeof(*v)), sum = 0, most;
	pid_t pid = start_long(m);

	usleep(50000);
	for (unsigned i = 0; v && i < n; i++) {
		uint64_t start = now_ns();

		must(rk_null(m->client), "null");
		v[i] = (double)(now_ns() - start);
		sum += v[i];
		usleep(100);
	}
	end_child(pid);
	if (!v)
		die("values", ENOMEM);
	sort_values(v, n);
	most = v[n - 1];
	sum /= n;
	print_values("preempt_average", m->name, &sum, 1, "ns",
		     "null op beside writes of 1 MiB; clients core 0");
	print_values("preempt_most", m->name, &most, 1, "ns", "");
	free(v);
}

/* --- what a restart has done again ---------------------------------------------- */

/* One that writes 1 MiB when told, and says when it is done. */
struct writer {
	pid_t pid;
	int to[2], from[2];
};

static void start_writer(const struct model *m, struct writer *w)
{
	struct rk_client *c;
	char path[4200], byte;
	int64_t fd;

	if (pipe2(w->to, O_CLOEXEC) < 0 || pipe2(w->from, O_CLOEXEC) < 0)
		die("pipe", errno);
	w->pid = fork();
	if (w->pid)
		return;
	must(rk_attach(m->socket, 0, &c), "attach");
	snprintf(path, sizeof(path), "%s-again", m->at.path);
	fd = must(rk_openat(c, RK_AT_FDCWD, path, O_RDWR | O_CREAT, 0644),
		  path);
	while (read(w->to[0], &byte, 1) == 1) {
		must(rk_pwrite(c, (int32_t)fd, block, LONG_SIZE, 0), path);
		(void)!write(w->from[1], &byte, 1);
	}
	_exit(0);
}

/* Of another process, to the nanosecond. */
static double cpu_of(uint32_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid((pid_t)pid, &clock) != 0 ||
	    clock_gettime(clock, &t) < 0)
		die("the CPU time of a server", ESRCH);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void wait_for_answer(const struct writer *w)
{
	char byte;

	if (read(w->from[0], &byte, 1) != 1)
		die("the writer", EPIPE);
}

/* What one write costs the server. */
static double plain_write(struct model *m, const struct writer *w)
{
	double before = cpu_of(m->status.server);

	(void)!write(w->to[1], "w", 1);
	wait_for_answer(w);
	return cpu_of(m->status.server) - before;
}

/* The same for both servers if the first is killed when it has spent so much;
 * < 0: that was too late. */
static double killed_write(struct model *m, const struct writer *w, double at)
{
	struct pollfd done = { .fd = w->from[0], .events = POLLIN };
	double before, next, spent = 0;
	bool late = false;

	wait_for_standby(&m->status);
	before = cpu_of(m->status.server);
	next = cpu_of(m->status.standby);
	(void)!write(w->to[1], "w", 1);
	while (spent < at && !late) {
		spent = cpu_of(m->status.server) - before;
		late = poll(&done, 1, 0) > 0;
	}
	kill((pid_t)m->status.server, SIGKILL);
	wait_for_answer(w);
	return late ? -1 : spent + cpu_of(m->status.standby) - next;
}

/* What a successor spends until its first answer. */
static double one_restart(struct model *m)
{
	double before;

	wait_for_standby(&m->status);
	before = cpu_of(m->status.standby);
	kill((pid_t)m->status.server, SIGKILL);
	must(rk_null(m->client), "null");
	return cpu_of(m->status.standby) - before;
}

static double middle(double *v, unsigned n)
{
	sort_values(v, n);
	return n ? percentile(v, n, 0.5) : 0;
}

/* Somebody else asks all the time, so that a long op has whom to let in. */
static void again(struct model *m)
{
	enum { MAX = 100 };
	unsigned n = times(MAX, 4), n_killed = 0;
	double plain[MAX], restart[MAX], killed[MAX], op, r, total, share[2];
	struct writer w;
	pid_t other = fork();

	if (other == 0) {
		struct rk_client *c;

		must(rk_attach(m->socket, 0, &c), "attach");
		for (;;)
			must(rk_null(c), "null");
	}
	start_writer(m, &w);
	wait_for_standby(&m->status);
	plain_write(m, &w);
	/* In turns, so that what else the machine does is in all of them. */
	for (unsigned i = 0; i < n; i++) {
		double ns;

		wait_for_standby(&m->status);
		plain[i] = plain_write(m, &w);
		restart[i] = one_restart(m);
		ns = killed_write(m, &w, plain[i] * (i + 1) / (n + 1));
		if (ns >= 0)
			killed[n_killed++] = ns;
	}
	op = middle(plain, n);
	r = middle(restart, n);
	total = middle(killed, n_killed);
	end_child(w.pid);
	end_child(other);
	share[0] = 100 * (total - r - op) / op;
	share[1] = total > 0 ? 100 * (total - r - op) / total : 0;
	print_values("again", m->name, &share[0], 1, "%",
		     "a write of 1 MiB killed on its way: CPU time of servers "
		     "beyond the op and a restart");
	print_values("again_of_all", m->name, &share[1], 1, "%", "");
	print_values("again_op", m->name, &op, 1, "ns", "without a kill");
}

void row_models(const char *socket, const char *volume)
{
	static struct model m[2];
	double bytes;

	m[0] = (struct model){ .name = "interrupt", .socket = socket,
			       .volume = volume };
	m[1] = (struct model){ .name = "process", .volume = bench.volume };
	m[1].socket = strdup(bench.socket);
	for (int i = 0; i < 2; i++) {
		use(&m[i]);
		m[i].client = m[i].at.client = attach();
		make_file(&m[i].at, m[i].volume);
		place_server(two_cores() ? 1 : 0);
	}
	place(0, 0);
	side_by_side(m, "model_null", run_null, times(100000, 1000));
	side_by_side(m, "model_stat", run_stat, times(50000, 1000));
	side_by_side(m, "model_create", run_create, times(5000, 100));
	for (int i = 0; i < 2; i++) {
		use(&m[i]);
		bytes = pss(m[i].status.server);
		print_values("model_memory", m[i].name, &bytes, 1, "bytes",
			     "PSS of the server after these");
		preempt(&m[i]);
		again(&m[i]);
	}
}
