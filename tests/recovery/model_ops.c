/*
 * model_ops.c - what one process of the model checker believes, the ops that
 * change it, and the comparison with what is there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>
#include "model.h"

unsigned long model_seed = 1;

_Noreturn void model_wrong(const struct model *m, const char *what,
			    const char *path, long long got, long long want)
{
	fprintf(stderr, "model: process %u, op %u (%s), seed %lu: %s of %s is "
		"%lld (%s), should be %lld (%s)\n", m->process, m->op, m->doing,
		model_seed, what, path, got, got < 0 ? strerror((int)-got) : "-",
		want, want < 0 ? strerror((int)-want) : "-");
	exit(1);
}

void model_expect(const struct model *m, const char *what, const char *path,
		   long long got, long long want)
{
	if (got != want)
		model_wrong(m, what, path, got, want);
}

static uint32_t draw(struct model *m, uint32_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return (uint32_t)(m->random >> 32) % below;
}

void model_path(const struct model *m, unsigned dir, int name, char *ret)
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
	model_expect(m, "read", path, n, 0);
	model_expect(m, "length", path, (long long)at, (long long)f->size);
	for (size_t i = 0; i < at; i++)
		if (buf[i] != f->bytes[i]) {
			char what[64];

			sprintf(what, "byte %zu", i);
			model_wrong(m, what, path, buf[i], f->bytes[i]);
		}
}

static void check_stat(const struct model *m, const struct sys_stat *st,
		       const struct file *f, const char *path)
{
	model_expect(m, "size", path, (long long)st->size, (long long)f->size);
	model_expect(m, "link count", path, st->nlink, f->nlink);
}

static void check_name(const struct model *m, unsigned dir, int name,
		       bool content)
{
	char path[4096];
	struct sys_stat st;
	int i = m->name[dir][name], fd;

	model_path(m, dir, name, path);
	model_expect(m, "lstat", path, m->sys->lstat(path, &st),
	       i >= 0 ? 0 : -ENOENT);
	if (i < 0)
		return;
	check_stat(m, &st, &m->file[i], path);
	if (!content)
		return;
	fd = m->sys->open(path, O_RDONLY, 0);
	if (fd < 0)
		model_wrong(m, "open", path, fd, 0);
	check_bytes(m, fd, &m->file[i], path);
	model_expect(m, "close", path, m->sys->close(fd), 0);
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
			model_wrong(l->m, "unknown entry", name, n, -ENOENT);
	} else if (l->dir == 0 && sscanf(name, "d%d", &n) == 1 && n > 0 &&
		   n < DIRS) {
		if (!l->m->dir[n])
			model_wrong(l->m, "unknown directory", name, n, -ENOENT);
	} else {
		model_wrong(l->m, "strange entry", name, 0, -ENOENT);
	}
	l->found++;
}

static void check_dir(const struct model *m, unsigned dir)
{
	char path[4096];
	struct listing l = { .m = m, .dir = dir, .path = path };
	unsigned want = 0;

	model_path(m, dir, -1, path);
	if (!m->dir[dir]) {
		struct sys_stat st;

		model_expect(m, "lstat", path, m->sys->lstat(path, &st), -ENOENT);
		return;
	}
	model_expect(m, "readdir", path, m->sys->list(path, check_entry, &l), 0);
	for (int n = 0; n < NAMES; n++)
		want += m->name[dir][n] >= 0;
	for (int d = 1; dir == 0 && d < DIRS; d++)
		want += m->dir[d];
	model_expect(m, "number of entries", path, l.found, want);
}

static void check_held(const struct model *m)
{
	struct sys_stat st;

	model_expect(m, "fstat", "(held)", m->sys->fstat(m->held_fd, &st), 0);
	check_stat(m, &st, &m->file[m->held], "(held)");
	check_bytes(m, m->held_fd, &m->file[m->held], "(held)");
}

void model_check(const struct model *m)
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
	model_path(m, d, n, path);
	int fd = m->sys->open(path, O_CREAT | O_EXCL | O_RDWR, 0644);

	model_expect(m, "create", path, fd < 0 ? fd : 0, want);
	if (fd >= 0)
		model_expect(m, "close", path, m->sys->close(fd), 0);
}

/* Opens for writing what the model says is there; < 0: it is not. */
static int open_existing(struct model *m, unsigned d, int n, int flags)
{
	int want = !m->dir[d] || m->name[d][n] < 0 ? -ENOENT : 0;
	char path[4096];
	int fd;

	if (!m->sys)
		return want;
	model_path(m, d, n, path);
	fd = m->sys->open(path, flags, 0);
	model_expect(m, "open", path, fd < 0 ? fd : 0, want);
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
	model_expect(m, "write", "a file", done, (long long)len);
	memcpy(f->bytes + off, buf, len);
	if (off + len > f->size)
		f->size = off + len;
	if (m->sys)
		model_expect(m, "close", "a file", m->sys->close(fd), 0);
}

static void op_truncate(struct model *m, unsigned d, int n)
{
	size_t size = draw(m, draw(m, 2) ? 5000 : SIZE_MAX_);
	int fd = open_existing(m, d, n, O_WRONLY);

	if (fd < 0)
		return;
	if (m->sys) {
		model_expect(m, "ftruncate", "a file",
		       m->sys->ftruncate(fd, (int64_t)size), 0);
		model_expect(m, "close", "a file", m->sys->close(fd), 0);
	}
	file_resize(&m->file[m->name[d][n]], size);
}

static void op_fsync(struct model *m, unsigned d, int n)
{
	int fd = open_existing(m, d, n, O_WRONLY);

	if (fd < 0 || !m->sys)
		return;
	model_expect(m, "fsync", "a file", m->sys->fsync(fd), 0);
	model_expect(m, "close", "a file", m->sys->close(fd), 0);
}

static void op_unlink(struct model *m, unsigned d, int n)
{
	int i = m->dir[d] ? m->name[d][n] : -1;
	char path[4096];

	if (m->sys) {
		model_path(m, d, n, path);
		model_expect(m, "unlink", path, m->sys->unlink(path),
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
		model_path(m, d, n, from);
		model_path(m, d2, n2, to);
		model_expect(m, "link", to, m->sys->link(from, to), want);
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
		model_path(m, d, n, from);
		model_path(m, d2, n2, to);
		model_expect(m, "rename", to, m->sys->rename(from, to), want);
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
		model_path(m, d, -1, path);
		model_expect(m, "mkdir", path, m->sys->mkdir(path, 0755),
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
		model_path(m, d, -1, path);
		model_expect(m, "rmdir", path, m->sys->rmdir(path), want);
	}
	if (want == 0)
		m->dir[d] = false;
}

/* Holds a file open, whatever becomes of its names. */
void model_hold(struct model *m, unsigned d, int n)
{
	int old = m->held, fd;

	if (old >= 0) {
		if (m->sys) {
			check_held(m);
			model_expect(m, "close", "(held)", m->sys->close(m->held_fd),
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
	model_expect(m, "append", "log", m->sys->write(m->log_fd, line, RECORD),
	       RECORD);
}

static void op_raise(struct model *m, bool posix)
{
	uint64_t value = 0;

	m->raised++;
	if (!m->sys)
		return;
	/* flock and POSIX locks do not see each other: take both, in order. */
	model_expect(m, "flock", "count", m->sys->flock(m->count_fd, LOCK_EX), 0);
	if (posix)
		model_expect(m, "lock", "count",
		       m->sys->lock(m->count_fd, F_WRLCK), 0);
	model_expect(m, "read", "count",
	       m->sys->pread(m->count_fd, &value, sizeof(value), 0),
	       sizeof(value));
	value++;
	model_expect(m, "write", "count",
	       m->sys->pwrite(m->count_fd, &value, sizeof(value), 0),
	       sizeof(value));
	if (posix)
		model_expect(m, "unlock", "count",
		       m->sys->lock(m->count_fd, F_UNLCK), 0);
	model_expect(m, "flock", "count", m->sys->flock(m->count_fd, LOCK_UN), 0);
}

void model_step(struct model *m)
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
	OP(2, "hold", model_hold(m, d, n));
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
