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
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "model.h"

enum {
	DIRS = 4,		/* directory 0 is the process's own */
	NAMES = 12,		/* in each directory */
	FILES_MAX = DIRS * NAMES + 2,
	SIZE_MAX_ = 256 << 10,
	WRITE_MAX = 24 << 10,
	RECORD = 64,
	VERIFY_EVERY = 400,
	PROCESSES_MAX = 16,
};

struct file {
	bool used;
	unsigned nlink;
	size_t size;
	uint8_t *bytes;
};

/* What one process believes. */
struct model {
	unsigned process;
	uint64_t random;
	unsigned op;		/* number of the op that runs */
	const char *doing;
	bool dir[DIRS];
	int name[DIRS][NAMES];	/* file, or -1 */
	struct file file[FILES_MAX];
	int held;		/* a file kept open, or -1 */
	int held_fd;
	unsigned records, raised;
	/* NULL: only the model moves */
	const struct sys *sys;
	int log_fd, count_fd;
	char base[3072];
};

static unsigned long seed = 1;
static unsigned ops = 5000, processes = 4;

static _Noreturn void wrong(const struct model *m, const char *what,
			    const char *path, long long got, long long want)
{
	fprintf(stderr, "model: process %u, op %u (%s), seed %lu: %s of %s is "
		"%lld (%s), should be %lld (%s)\n", m->process, m->op, m->doing,
		seed, what, path, got, got < 0 ? strerror((int)-got) : "-",
		want, want < 0 ? strerror((int)-want) : "-");
	exit(1);
}

static void expect(const struct model *m, const char *what, const char *path,
		   long long got, long long want)
{
	if (got != want)
		wrong(m, what, path, got, want);
}

static uint32_t draw(struct model *m, uint32_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (uint32_t)(m->random >> 32) % below;
}

static void path_of(const struct model *m, unsigned dir, int name, char *ret)
{
	int n = dir == 0 ? sprintf(ret, "%s/p%u", m->base, m->process) :
		sprintf(ret, "%s/p%u/d%u", m->base, m->process, dir);

	if (name >= 0)
		sprintf(ret + n, "/n%d", name);
}

/* --- the model's own files ------------------------------------------------ */

static int file_new(struct model *m)
{
	int i = 0;

	while (m->file[i].used)
		i++;
	m->file[i] = (struct file){
		.used = true,
		.nlink = 1,
		.bytes = calloc(1, SIZE_MAX_),
	};
	if (!m->file[i].bytes)
		abort();
	return i;
}

static void file_settle(struct model *m, int i)
{
	if (m->file[i].nlink > 0 || m->held == i)
		return;
	free(m->file[i].bytes);
	m->file[i] = (struct file){ 0 };
}

static void file_resize(struct file *f, size_t size)
{
	if (size < f->size)
		memset(f->bytes + size, 0, f->size - size);
	f->size = size;
}

/* --- comparing ------------------------------------------------------------- */

static void check_bytes(const struct model *m, int fd, const struct file *f,
			const char *path)
{
	static uint8_t buf[SIZE_MAX_ + 1];
	size_t at = 0;
	int64_t n;

	while ((n = m->sys->pread(fd, buf + at, sizeof(buf) - at,
				  (int64_t)at)) > 0)
		at += (size_t)n;
	expect(m, "read", path, n, 0);
	expect(m, "length", path, (long long)at, (long long)f->size);
	for (size_t i = 0; i < at; i++)
		if (buf[i] != f->bytes[i]) {
			char what[64];

			sprintf(what, "byte %zu", i);
			wrong(m, what, path, buf[i], f->bytes[i]);
		}
}

static void check_stat(const struct model *m, const struct sys_stat *st,
		       const struct file *f, const char *path)
{
	expect(m, "size", path, (long long)st->size, (long long)f->size);
	expect(m, "link count", path, st->nlink, f->nlink);
}

static void check_name(const struct model *m, unsigned dir, int name,
		       bool content)
{
	char path[4096];
	struct sys_stat st;
	int i = m->name[dir][name], fd;

	path_of(m, dir, name, path);
	expect(m, "lstat", path, m->sys->lstat(path, &st),
	       i >= 0 ? 0 : -ENOENT);
	if (i < 0)
		return;
	check_stat(m, &st, &m->file[i], path);
	if (!content)
		return;
	fd = m->sys->open(path, O_RDONLY, 0);
	if (fd < 0)
		wrong(m, "open", path, fd, 0);
	check_bytes(m, fd, &m->file[i], path);
	expect(m, "close", path, m->sys->close(fd), 0);
}

struct listing {
	const struct model *m;
	unsigned dir, found;
	const char *path;
};

static void check_entry(void *arg, const char *name)
{
	struct listing *l = arg;
	int n;

	if (sscanf(name, "n%d", &n) == 1 && n >= 0 && n < NAMES) {
		if (l->m->name[l->dir][n] < 0)
			wrong(l->m, "unknown entry", name, n, -ENOENT);
	} else if (l->dir == 0 && sscanf(name, "d%d", &n) == 1 && n > 0 &&
		   n < DIRS) {
		if (!l->m->dir[n])
			wrong(l->m, "unknown directory", name, n, -ENOENT);
	} else {
		wrong(l->m, "strange entry", name, 0, -ENOENT);
	}
	l->found++;
}

static void check_dir(const struct model *m, unsigned dir)
{
	char path[4096];
	struct listing l = { .m = m, .dir = dir, .path = path };
	unsigned want = 0;

	path_of(m, dir, -1, path);
	if (!m->dir[dir]) {
		struct sys_stat st;

		expect(m, "lstat", path, m->sys->lstat(path, &st), -ENOENT);
		return;
	}
	expect(m, "readdir", path, m->sys->list(path, check_entry, &l), 0);
	for (int n = 0; n < NAMES; n++)
		want += m->name[dir][n] >= 0;
	for (int d = 1; dir == 0 && d < DIRS; d++)
		want += m->dir[d];
	expect(m, "number of entries", path, l.found, want);
}

static void check_held(const struct model *m)
{
	struct sys_stat st;

	expect(m, "fstat", "(held)", m->sys->fstat(m->held_fd, &st), 0);
	check_stat(m, &st, &m->file[m->held], "(held)");
	check_bytes(m, m->held_fd, &m->file[m->held], "(held)");
}

static void check_all(const struct model *m)
{
	for (unsigned d = 0; d < DIRS; d++) {
		check_dir(m, d);
		for (int n = 0; m->dir[d] && n < NAMES; n++)
			check_name(m, d, n, true);
	}
	if (m->held >= 0 && m->held_fd >= 0)
		check_held(m);
}

/* --- the ops ------------------------------------------------------------- */

static void op_create(struct model *m, unsigned d, int n)
{
	int want = !m->dir[d] ? -ENOENT : m->name[d][n] >= 0 ? -EEXIST : 0;
	char path[4096];

	if (want == 0)
		m->name[d][n] = file_new(m);
	if (!m->sys)
		return;
	path_of(m, d, n, path);
	int fd = m->sys->open(path, O_CREAT | O_EXCL | O_RDWR, 0644);

	expect(m, "create", path, fd < 0 ? fd : 0, want);
	if (fd >= 0)
		expect(m, "close", path, m->sys->close(fd), 0);
}

/* Opens for writing what the model says is there; < 0: it is not. */
static int open_existing(struct model *m, unsigned d, int n, int flags)
{
	int want = !m->dir[d] || m->name[d][n] < 0 ? -ENOENT : 0;
	char path[4096];
	int fd;

	if (!m->sys)
		return want;
	path_of(m, d, n, path);
	fd = m->sys->open(path, flags, 0);
	expect(m, "open", path, fd < 0 ? fd : 0, want);
	return fd;
}

static void op_write(struct model *m, unsigned d, int n, bool append)
{
	static uint8_t buf[WRITE_MAX];
	size_t len = 1 + draw(m, draw(m, 4) ? 600 : WRITE_MAX - 1);
	uint32_t off = draw(m, SIZE_MAX_ - WRITE_MAX);
	uint8_t fill = (uint8_t)draw(m, 256);
	int fd = open_existing(m, d, n, O_WRONLY | (append ? O_APPEND : 0));
	struct file *f;
	int64_t done = (int64_t)len;

	if (fd < 0)
		return;
	f = &m->file[m->name[d][n]];
	if (append || draw(m, 3))
		off = append ? (uint32_t)f->size :
			off % (uint32_t)(f->size + 1);
	if (off + len > SIZE_MAX_)
		len = SIZE_MAX_ - off;
	done = (int64_t)len;
	for (size_t i = 0; i < len; i++)
		buf[i] = (uint8_t)(fill + i * 7 + (i >> 8));
	if (m->sys && append)
		done = m->sys->write(fd, buf, len);
	else if (m->sys)
		done = m->sys->pwrite(fd, buf, len, off);
	expect(m, "write", "a file", done, (long long)len);
	memcpy(f->bytes + off, buf, len);
	if (off + len > f->size)
		f->size = off + len;
	if (m->sys)
		expect(m, "close", "a file", m->sys->close(fd), 0);
}

static void op_truncate(struct model *m, unsigned d, int n)
{
	size_t size = draw(m, draw(m, 2) ? 5000 : SIZE_MAX_);
	int fd = open_existing(m, d, n, O_WRONLY);

	if (fd < 0)
		return;
	if (m->sys) {
		expect(m, "ftruncate", "a file",
		       m->sys->ftruncate(fd, (int64_t)size), 0);
		expect(m, "close", "a file", m->sys->close(fd), 0);
	}
	file_resize(&m->file[m->name[d][n]], size);
}

static void op_fsync(struct model *m, unsigned d, int n)
{
	int fd = open_existing(m, d, n, O_WRONLY);

	if (fd < 0 || !m->sys)
		return;
	expect(m, "fsync", "a file", m->sys->fsync(fd), 0);
	expect(m, "close", "a file", m->sys->close(fd), 0);
}

static void op_unlink(struct model *m, unsigned d, int n)
{
	int i = m->dir[d] ? m->name[d][n] : -1;
	char path[4096];

	if (m->sys) {
		path_of(m, d, n, path);
		expect(m, "unlink", path, m->sys->unlink(path),
		       i < 0 ? -ENOENT : 0);
	}
	if (i < 0)
		return;
	m->name[d][n] = -1;
	m->file[i].nlink--;
	file_settle(m, i);
}

static void op_link(struct model *m, unsigned d, int n)
{
	unsigned d2 = draw(m, DIRS);
	int n2 = (int)draw(m, NAMES), i = m->dir[d] ? m->name[d][n] : -1;
	int want = i < 0 || !m->dir[d2] ? -ENOENT :
		m->name[d2][n2] >= 0 ? -EEXIST : 0;
	char from[4096], to[4096];

	if (m->sys) {
		path_of(m, d, n, from);
		path_of(m, d2, n2, to);
		expect(m, "link", to, m->sys->link(from, to), want);
	}
	if (want)
		return;
	m->name[d2][n2] = i;
	m->file[i].nlink++;
}

static void op_rename(struct model *m, unsigned d, int n)
{
	unsigned d2 = draw(m, DIRS);
	int n2 = (int)draw(m, NAMES), i = m->dir[d] ? m->name[d][n] : -1;
	int want = i < 0 || !m->dir[d2] ? -ENOENT : 0, old;
	char from[4096], to[4096];

	if (m->sys) {
		path_of(m, d, n, from);
		path_of(m, d2, n2, to);
		expect(m, "rename", to, m->sys->rename(from, to), want);
	}
	if (want)
		return;
	old = m->name[d2][n2];
	if (old == i)		/* two names of one file: nothing happens */
		return;
	m->name[d][n] = -1;
	m->name[d2][n2] = i;
	if (old >= 0) {
		m->file[old].nlink--;
		file_settle(m, old);
	}
}

static void op_mkdir(struct model *m, unsigned d)
{
	char path[4096];

	if (m->sys) {
		path_of(m, d, -1, path);
		expect(m, "mkdir", path, m->sys->mkdir(path, 0755),
		       m->dir[d] ? -EEXIST : 0);
	}
	m->dir[d] = true;
}

static void op_rmdir(struct model *m, unsigned d)
{
	int want = m->dir[d] ? 0 : -ENOENT;
	char path[4096];

	for (int n = 0; m->dir[d] && n < NAMES; n++)
		if (m->name[d][n] >= 0)
			want = -ENOTEMPTY;
	if (m->sys) {
		path_of(m, d, -1, path);
		expect(m, "rmdir", path, m->sys->rmdir(path), want);
	}
	if (want == 0)
		m->dir[d] = false;
}

/* Holds a file open, whatever becomes of its names. */
static void op_hold(struct model *m, unsigned d, int n)
{
	int old = m->held, fd;

	if (old >= 0) {
		if (m->sys) {
			check_held(m);
			expect(m, "close", "(held)", m->sys->close(m->held_fd),
			       0);
		}
		m->held = -1;
		file_settle(m, old);
		return;
	}
	fd = open_existing(m, d, n, O_RDWR);
	if (fd < 0)
		return;
	m->held = m->name[d][n];
	m->held_fd = m->sys ? fd : -1;
}

static void op_record(struct model *m)
{
	char line[RECORD + 1];

	m->records++;
	if (!m->sys)
		return;
	snprintf(line, sizeof(line), "%u %-61u\n", m->process, m->records);
	expect(m, "append", "log", m->sys->write(m->log_fd, line, RECORD),
	       RECORD);
}

static void op_raise(struct model *m, bool posix)
{
	uint64_t value = 0;

	m->raised++;
	if (!m->sys)
		return;
	/* flock and POSIX locks do not see each other: take both, in order. */
	expect(m, "flock", "count", m->sys->flock(m->count_fd, LOCK_EX), 0);
	if (posix)
		expect(m, "lock", "count",
		       m->sys->lock(m->count_fd, F_WRLCK), 0);
	expect(m, "read", "count",
	       m->sys->pread(m->count_fd, &value, sizeof(value), 0),
	       sizeof(value));
	value++;
	expect(m, "write", "count",
	       m->sys->pwrite(m->count_fd, &value, sizeof(value), 0),
	       sizeof(value));
	if (posix)
		expect(m, "unlock", "count",
		       m->sys->lock(m->count_fd, F_UNLCK), 0);
	expect(m, "flock", "count", m->sys->flock(m->count_fd, LOCK_UN), 0);
}

static void step(struct model *m)
{
	unsigned d = draw(m, DIRS), what = draw(m, 100);
	int n = (int)draw(m, NAMES);

#define OP(share, name, call)						\
	if (what < (share)) {						\
		m->doing = (name);					\
		call;							\
		goto done;						\
	}								\
	what -= (share)
	OP(16, "create", op_create(m, d, n));
	OP(18, "write", op_write(m, d, n, false));
	OP(10, "append", op_write(m, d, n, true));
	OP(7, "truncate", op_truncate(m, d, n));
	OP(11, "unlink", op_unlink(m, d, n));
	OP(8, "link", op_link(m, d, n));
	OP(9, "rename", op_rename(m, d, n));
	OP(4, "mkdir", op_mkdir(m, 1 + d % (DIRS - 1)));
	OP(3, "rmdir", op_rmdir(m, 1 + d % (DIRS - 1)));
	OP(2, "hold", op_hold(m, d, n));
	OP(6, "record", op_record(m));
	OP(4, "raise", op_raise(m, n & 1));
	OP(100, "fsync", op_fsync(m, d, n));
#undef OP
done:
	if (m->sys && m->dir[d])
		check_name(m, d, n, draw(m, 8) == 0);
	else
		(void)(m->dir[d] && draw(m, 8));
}

/* --- a process's life ----------------------------------------------------- */

static void model_init(struct model *m, unsigned process, const char *base)
{
	memset(m, 0, sizeof(*m));
	m->process = process;
	m->random = (seed + 1) * 0x9e3779b97f4a7c15ull + process * 7919 + 1;
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
		wrong(m, "open", path, fd, 0);
	return fd;
}

static void process_run(struct model *m, const struct sys *sys)
{
	char path[4096];

	m->sys = sys;
	expect(m, "attach", sys->name, sys->attach(), 0);
	path_of(m, 0, -1, path);
	expect(m, "mkdir", path, sys->mkdir(path, 0755), 0);
	m->log_fd = open_shared(m, "log", O_WRONLY | O_APPEND);
	m->count_fd = open_shared(m, "count", O_RDWR);
	for (m->op = 1; m->op <= ops; m->op++) {
		step(m);
		if (m->op % VERIFY_EVERY == 0)
			check_all(m);
	}
	m->doing = "final check";
	check_all(m);
	if (m->held >= 0)
		op_hold(m, 0, 0);
	expect(m, "close", "log", sys->close(m->log_fd), 0);
	expect(m, "close", "count", sys->close(m->count_fd), 0);
}

/* --- what is shared ---------------------------------------------------- */

static void shared_make(struct model *m)
{
	uint64_t zero = 0;
	int fd = open_shared(m, "log", O_CREAT | O_EXCL | O_WRONLY);

	expect(m, "close", "log", m->sys->close(fd), 0);
	fd = open_shared(m, "count", O_CREAT | O_EXCL | O_WRONLY);
	expect(m, "write", "count", m->sys->write(fd, &zero, sizeof(zero)),
	       sizeof(zero));
	expect(m, "close", "count", m->sys->close(fd), 0);
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
			wrong(m, "torn record", "log", at / RECORD, 0);
		expect(m, "record", "log", number, ++next[who]);
		at += RECORD;
	}
	expect(m, "end", "log", n, 0);
	for (unsigned p = 0; p < processes; p++)
		expect(m, "number of records", "log", next[p], records[p]);
	expect(m, "close", "log", m->sys->close(fd), 0);

	fd = open_shared(m, "count", O_RDONLY);
	expect(m, "read", "count",
	       m->sys->pread(fd, &value, sizeof(value), 0), sizeof(value));
	expect(m, "value", "count", (long long)value, (long long)raised);
	expect(m, "close", "count", m->sys->close(fd), 0);
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
			step(&m);
		if (m.held >= 0)
			op_hold(&m, 0, 0);
		m.sys = sys;
		m.doing = "check";
		if (deep)
			check_all(&m);
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
		case 's': seed = strtoul(optarg, NULL, 0); break;
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
			expect(&m, "attach", sys->name, sys->attach(), 0);
			shared_make(&m);
			exit(0);
		}
		if (maker < 0 || waitpid(maker, &status, 0) < 0 || status ||
		    run_processes(sys, argv[optind]))
			return 1;
	}
	expect(&m, "attach", sys->name, sys->attach(), 0);
	check_end(sys, argv[optind], true);
	printf("model: %u processes, %u ops each, seed %lu, %s: as the model "
	       "says\n", processes, ops, seed, sys->name);
	return 0;
}
