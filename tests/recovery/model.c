/*
 * model.c - several client processes do a random mix of everything that
 * changes a file system and compare each answer with a model in memory.
 *
 *	model [-l] [-p PROCESSES] [-n OPS] [-s SEED] DIR
 *	model [-l] -c [-p PROCESSES] [-n OPS] [-s SEED] DIR
 *
 * The second form only checks: it runs the same ops on the model alone and
 * then looks whether DIR is as the model says. -l goes through the client
 * library ($RUMP_SOCKET). It runs on any file system, which is how it is
 * tested itself.
 *
 * Each process has a directory of its own, with a model of its own: what it
 * holds does not depend on the others. What they share is two files: `log`, to
 * which each appends numbered records with O_APPEND, and `count`, a number that
 * each raises under a lock. At the end every record is there once and in
 * order, and the number is the number of times it was raised.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "model.h"

static unsigned ops = 5000, processes = 4;

/* --- a process's life ----------------------------------------------------- */

static void model_init(struct model *m, unsigned process, const char *base)
{
	memset(m, 0, sizeof(*m));
	m->process = process;
	m->random = (model_seed + 1) * 0x9e3779b97f4a7c15ull + process * 7919 + 1;
	m->dir[0] = true;
	m->held = -1;
	m->held_fd = -1;
	m->doing = "start";
	snprintf(m->base, sizeof(m->base), "%s", base);
	for (unsigned d = 0; d < DIRS; d++)
		for (unsigned n = 0; n < NAMES; n++)
			m->name[d][n] = -1;
}

static int open_shared(const struct model *m, const char *name, int flags)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", m->base, name);
	fd = m->sys->open(path, flags, 0644);
	if (fd < 0)
		model_wrong(m, "open", path, fd, 0);
	return fd;
}

static void process_run(struct model *m, const struct sys *sys)
{
	char path[4096];

	m->sys = sys;
	model_expect(m, "attach", sys->name, sys->attach(), 0);
	model_path(m, 0, -1, path);
	model_expect(m, "mkdir", path, sys->mkdir(path, 0755), 0);
	m->log_fd = open_shared(m, "log", O_WRONLY | O_APPEND);
	m->count_fd = open_shared(m, "count", O_RDWR);
	for (m->op = 1; m->op <= ops; m->op++) {
		model_step(m);
		if (m->op % VERIFY_EVERY == 0)
			model_check(m);
	}
	m->doing = "final check";
	model_check(m);
	if (m->held >= 0)
		model_hold(m, 0, 0);
	model_expect(m, "close", "log", sys->close(m->log_fd), 0);
	model_expect(m, "close", "count", sys->close(m->count_fd), 0);
}

/* --- what is shared ---------------------------------------------------- */

static void shared_make(struct model *m)
{
	uint64_t zero = 0;
	int fd = open_shared(m, "log", O_CREAT | O_EXCL | O_WRONLY);

	model_expect(m, "close", "log", m->sys->close(fd), 0);
	fd = open_shared(m, "count", O_CREAT | O_EXCL | O_WRONLY);
	model_expect(m, "write", "count", m->sys->write(fd, &zero, sizeof(zero)),
	       sizeof(zero));
	model_expect(m, "close", "count", m->sys->close(fd), 0);
}

static void shared_check(struct model *m, const unsigned *records,
			 uint64_t raised)
{
	unsigned next[PROCESSES_MAX] = { 0 }, who, number;
	char line[RECORD + 1];
	uint64_t value = 0;
	int64_t at = 0, n;
	int fd = open_shared(m, "log", O_RDONLY);

	m->doing = "check of the shared files";
	while ((n = m->sys->pread(fd, line, RECORD, at)) == RECORD) {
		line[RECORD] = '\0';
		if (sscanf(line, "%u %u", &who, &number) != 2 ||
		    who >= processes || line[RECORD - 1] != '\n')
			model_wrong(m, "torn record", "log", at / RECORD, 0);
		model_expect(m, "record", "log", number, ++next[who]);
		at += RECORD;
	}
	model_expect(m, "end", "log", n, 0);
	for (unsigned p = 0; p < processes; p++)
		model_expect(m, "number of records", "log", next[p], records[p]);
	model_expect(m, "close", "log", m->sys->close(fd), 0);

	fd = open_shared(m, "count", O_RDONLY);
	model_expect(m, "read", "count",
	       m->sys->pread(fd, &value, sizeof(value), 0), sizeof(value));
	model_expect(m, "value", "count", (long long)value, (long long)raised);
	model_expect(m, "close", "count", m->sys->close(fd), 0);
}

/* Runs the ops on models alone and, with sys, looks whether they hold. */
static void check_end(const struct sys *sys, const char *base, bool deep)
{
	static struct model m;
	unsigned records[PROCESSES_MAX] = { 0 };
	uint64_t raised = 0;

	for (unsigned p = 0; p < processes; p++) {
		model_init(&m, p, base);
		for (m.op = 1; m.op <= ops; m.op++)
			model_step(&m);
		if (m.held >= 0)
			model_hold(&m, 0, 0);
		m.sys = sys;
		m.doing = "check";
		if (deep)
			model_check(&m);
		records[p] = m.records;
		raised += m.raised;
		for (unsigned i = 0; i < FILES_MAX; i++)
			free(m.file[i].bytes);
	}
	shared_check(&m, records, raised);
}

static int run_processes(const struct sys *sys, const char *base)
{
	static struct model m;
	pid_t pid[PROCESSES_MAX];
	int status, failed = 0;

	for (unsigned p = 0; p < processes; p++) {
		pid[p] = fork();
		if (pid[p] < 0) {
			perror("model: fork");
			exit(2);
		}
		if (pid[p] == 0) {
			model_init(&m, p, base);
			process_run(&m, sys);
			exit(0);
		}
	}
	for (unsigned p = 0; p < processes; p++)
		if (waitpid(pid[p], &status, 0) < 0 || status != 0)
			failed++;
	return failed;
}

int main(int argc, char **argv)
{
	const struct sys *sys = &sys_native;
	static struct model m;
	bool check = false;
	int c;

	while ((c = getopt(argc, argv, "clp:n:s:")) != -1) {
		switch (c) {
		case 'c': check = true; break;
		case 'l': sys = &sys_library; break;
		case 'p': processes = (unsigned)atoi(optarg); break;
		case 'n': ops = (unsigned)atoi(optarg); break;
		case 's': model_seed = strtoul(optarg, NULL, 0); break;
		default: return 2;
		}
	}
	if (optind + 1 != argc || processes < 1 || processes > PROCESSES_MAX) {
		fprintf(stderr, "model: [-cl] [-p N] [-n OPS] [-s SEED] DIR\n");
		return 2;
	}
	model_init(&m, 0, argv[optind]);
	m.sys = sys;
	/* Children attach on their own, so nothing of the library is shared. */
	if (!check) {
		pid_t maker = fork();
		int status = 1;

		if (maker == 0) {
			model_expect(&m, "attach", sys->name, sys->attach(), 0);
			shared_make(&m);
			exit(0);
		}
		if (maker < 0 || waitpid(maker, &status, 0) < 0 || status ||
		    run_processes(sys, argv[optind]))
			return 1;
	}
	model_expect(&m, "attach", sys->name, sys->attach(), 0);
	check_end(sys, argv[optind], true);
	printf("model: %u processes, %u ops each, seed %lu, %s: as the model "
	       "says\n", processes, ops, model_seed, sys->name);
	return 0;
}
