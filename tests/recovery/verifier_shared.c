/*
 * verifier_shared.c - steps where workers meet: a log to which all append,
 * numbers that are raised under locks of every kind, a file that is replaced
 * while others read it, a directory that is read while it changes.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "verifier.h"

enum { RECORD = 64, TRIES = 40, PIECE = 1024, PIECES_MAX = 2000 };

static const char *const number_name[GUARDS] = {
	"n-flock", "n-ofd", "n-posix", "n-excl", "n-link", "n-mkdir",
};
static const char *const holder_name[GUARDS] = {
	[GUARD_EXCL] = "h-excl", [GUARD_LINK] = "h-link",
	[GUARD_MKDIR] = "h-mkdir",
};

/* --- the log ----------------------------------------------------------------- */

static void step_record(struct worker *w)
{
	char line[RECORD + 1];

	snprintf(line, sizeof line, "%u %-60lu\n", w->number,
		 (unsigned long)common->records[w->number]);
	line[RECORD - 1] = '\n';
	MUST(write(w->log_fd, line, RECORD), RECORD);
	common->records[w->number]++;
}

static void check_log(struct worker *w, unsigned workers)
{
	uint64_t next[WORKERS_MAX] = { 0 };
	char line[RECORD + 1] = "";
	unsigned long number;
	unsigned who;
	off_t at = 0;
	int fd;

	MUST_OPEN(fd, openat(w->shared, "log", O_RDONLY));
	for (; pread(fd, line, RECORD, at) == RECORD; at += RECORD) {
		MUST(sscanf(line, "%u %lu", &who, &number), 2);
		MUST_BE(who < workers && line[RECORD - 1] == '\n');
		MUST((long long)number, (long long)next[who]++);
	}
	for (unsigned i = 0; i < workers; i++)
		MUST((long long)next[i], (long long)common->records[i]);
	MUST(close(fd), 0);
	MUST(unlinkat(w->shared, "log", 0), 0);
}

/* --- numbers under locks ----------------------------------------------------- */

static int set_lock(int fd, int command, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_len = 8 };

	return fcntl(fd, command, &l);
}

/* The lock is held: nobody else may be here. */
static void raise_number(struct worker *w, enum guard g)
{
	uint32_t nobody = 0;
	uint64_t value = 0;

	MUST_BE(atomic_compare_exchange_strong(&common->inside[g], &nobody,
					       w->number + 1));
	MUST(pread(w->guard_fd[g], &value, sizeof value, 0), sizeof value);
	MUST((long long)value, (long long)common->count[g]);
	value++;
	MUST(pwrite(w->guard_fd[g], &value, sizeof value, 0), sizeof value);
	common->count[g] = value;
	atomic_store(&common->inside[g], 0);
}

static void step_flock(struct worker *w)
{
	MUST(flock(w->guard_fd[GUARD_FLOCK], LOCK_EX), 0);
	raise_number(w, GUARD_FLOCK);
	MUST(flock(w->guard_fd[GUARD_FLOCK], LOCK_UN), 0);
}

static void step_ofd(struct worker *w)
{
	int fd = w->guard_fd[GUARD_OFD];

	MUST(set_lock(fd, F_OFD_SETLKW, F_WRLCK), 0);
	raise_number(w, GUARD_OFD);
	MUST(set_lock(fd, F_OFD_SETLK, F_UNLCK), 0);
}

/* These are the process's: its threads must keep each other out. */
static void step_posix(struct worker *w)
{
	static pthread_mutex_t mine = PTHREAD_MUTEX_INITIALIZER;
	int fd = w->guard_fd[GUARD_POSIX];
	bool got;

	pthread_mutex_lock(&mine);
	got = verify(w, "F_SETLKW", __LINE__,
		     OR_ERRNO(set_lock(fd, F_SETLKW, F_WRLCK)), 0);
	if (got) {
		raise_number(w, GUARD_POSIX);
		verify(w, "F_UNLCK", __LINE__,
		       OR_ERRNO(set_lock(fd, F_SETLK, F_UNLCK)), 0);
	}
	pthread_mutex_unlock(&mine);
}

static int make_holder(struct worker *w, enum guard g)
{
	char mine[32];
	int fd;

	if (g == GUARD_MKDIR)
		return mkdirat(w->shared, holder_name[g], 0700);
	if (g == GUARD_LINK) {
		snprintf(mine, sizeof mine, "link%u", w->number);
		return linkat(w->shared, mine, w->shared, holder_name[g], 0);
	}
	fd = openat(w->shared, holder_name[g], O_WRONLY | O_CREAT | O_EXCL,
		    0600);
	return fd < 0 ? fd : close(fd);
}

/* Whoever makes the name holds the lock, until he removes it. */
static void step_holder(struct worker *w)
{
	enum guard g = GUARD_EXCL + draw(w, GUARDS - GUARD_EXCL);
	long long r = -EEXIST;

	for (unsigned i = 0; i < TRIES && r == -EEXIST; i++) {
		r = OR_ERRNO(make_holder(w, g));
		if (r == -EEXIST)
			usleep(100);
	}
	if (r == -EEXIST)
		return;
	MUST(r, 0);
	raise_number(w, g);
	MUST(unlinkat(w->shared, holder_name[g],
		      g == GUARD_MKDIR ? AT_REMOVEDIR : 0), 0);
}

static void check_numbers(struct worker *w)
{
	struct stat st;
	uint64_t value;
	int fd;

	for (enum guard g = 0; g < GUARDS; g++) {
		if (holder_name[g])
			MUST_FAIL(fstatat(w->shared, holder_name[g], &st, 0),
				  ENOENT);
		MUST_OPEN(fd, openat(w->shared, number_name[g], O_RDWR));
		MUST(flock(fd, LOCK_EX | LOCK_NB), 0);
		MUST(set_lock(fd, F_SETLK, F_WRLCK), 0);
		MUST(pread(fd, &value, sizeof value, 0), sizeof value);
		MUST((long long)value, (long long)common->count[g]);
		MUST(close(fd), 0);
		MUST(unlinkat(w->shared, number_name[g], 0), 0);
	}
}

/* --- a file that is replaced ---------------------------------------------------- */

struct page {
	uint64_t version;
	uint8_t bytes[BLOCK - 8];
};

static void write_version(struct worker *w, uint64_t version)
{
	struct page *p = (struct page *)w->buf;
	char name[32];
	int fd;

	p->version = version;
	fill(p->bytes, sizeof p->bytes, version);
	snprintf(name, sizeof name, "new%u", w->number);
	MUST_OPEN(fd, openat(w->shared, name, O_WRONLY | O_CREAT | O_EXCL,
			     0644));
	MUST(write(fd, p, sizeof *p), sizeof *p);
	if (draw(w, 8) == 0)
		MUST(fdatasync(fd), 0);
	MUST(close(fd), 0);
	MUST(renameat(w->shared, name, w->shared, "config"), 0);
	atomic_store(&common->version, version);
}

static void step_replace(struct worker *w)
{
	uint32_t nobody = 0;

	if (!atomic_compare_exchange_strong(&common->replacing, &nobody, 1))
		return;
	write_version(w, common->version + 1);
	atomic_store(&common->replacing, 0);
}

/* It is there at any time, and never older than what was replaced before. */
static void step_read(struct worker *w)
{
	uint64_t least = atomic_load(&common->version);
	struct page *p = (struct page *)w->got;
	int fd;

	MUST_OPEN(fd, openat(w->shared, "config", O_RDONLY));
	MUST(pread(fd, p, sizeof *p, 0), sizeof *p);
	MUST(close(fd), 0);
	MUST_BE(p->version >= least);
	MUST_BE(filled(p->bytes, sizeof p->bytes, p->version));
}

/* --- a directory that is read while it changes --------------------------------------- */

static void churn_name(const struct worker *w, unsigned i, uint64_t serial,
		       char name[64])
{
	snprintf(name, 64, "c%u-%u-%lu", w->number, i, (unsigned long)serial);
}

static void step_churn(struct worker *w)
{
	unsigned i = draw(w, CHURN);
	char name[64], to[64];
	struct stat st;
	int fd;

	if (!w->churn[i]) {
		w->churn[i] = ++w->serial;
		churn_name(w, i, w->churn[i], name);
		MUST_FAIL(fstatat(w->shared, name, &st, 0), ENOENT);
		MUST_OPEN(fd, openat(w->shared, name, O_WRONLY | O_CREAT |
				     O_EXCL, 0644));
		MUST(close(fd), 0);
		return;
	}
	churn_name(w, i, w->churn[i], name);
	if (draw(w, 3) == 0) {
		churn_name(w, i, ++w->serial, to);
		MUST(renameat(w->shared, name, w->shared, to), 0);
		w->churn[i] = w->serial;
		return;
	}
	MUST(unlinkat(w->shared, name, 0), 0);
	w->churn[i] = 0;
}

struct scan {
	uint8_t stable[STABLE];
	uint8_t churn[CHURN];
	unsigned foreign;	/* of mine, but not there any more */
	int64_t mark;		/* a cookie on the way */
	int last, mark_next;	/* the stable name before, after it */
};

static void see(const struct worker *w, struct scan *s,
		const struct dirent64 *e)
{
	unsigned long serial;
	unsigned i, who;

	if (sscanf(e->d_name, "s%u", &i) == 1 && i < STABLE) {
		s->stable[i]++;
		if (s->mark_next == -2)
			s->mark_next = (int)i;
		if (!s->mark && i % 61 == w->number) {
			s->mark = e->d_off;
			s->mark_next = -2;
		}
		return;
	}
	if (sscanf(e->d_name, "c%u-%u-%lu", &who, &i, &serial) != 3 ||
	    who != w->number || i >= CHURN)
		return;
	if (w->churn[i] == serial)
		s->churn[i]++;
	else
		s->foreign++;
}

/* In small pieces, so that deaths fall between them. */
static void scan(struct worker *w, int fd, struct scan *s, unsigned pieces)
{
	_Alignas(8) char buf[PIECE];
	long n = 1;

	for (unsigned i = 0; i < pieces && n > 0; i++) {
		n = syscall(SYS_getdents64, fd, buf, sizeof buf);
		MUST(n < 0 ? n : 0, 0);
		for (long at = 0; at < n;) {
			const struct dirent64 *e = (void *)(buf + at);

			see(w, s, e);
			at += e->d_reclen;
		}
		if (draw(w, 16) == 0)
			usleep(draw(w, 1500));
	}
	MUST(n, pieces == PIECES_MAX ? 0 : n);
}

static void step_scan(struct worker *w)
{
	struct scan s = { .mark_next = -1 }, again = { .mark_next = -1 };
	int fd;

	MUST_OPEN(fd, openat(w->shared, ".", O_RDONLY | O_DIRECTORY));
	scan(w, fd, &s, PIECES_MAX);
	for (unsigned i = 0; i < STABLE; i++)
		MUST((long long)s.stable[i], 1);
	for (unsigned i = 0; i < CHURN; i++)
		MUST((long long)s.churn[i], w->churn[i] != 0);
	MUST((long long)s.foreign, 0);
	/* A place on the way that was remembered is still the same place. */
	if (s.mark && s.mark_next >= 0) {
		MUST(lseek(fd, s.mark, SEEK_SET), s.mark);
		again.mark_next = -2;
		again.mark = s.mark;
		scan(w, fd, &again, 60);
		MUST(again.mark_next, s.mark_next);
	}
	MUST(close(fd), 0);
}

void shared_step(struct worker *w)
{
	static void (*const step[])(struct worker *) = {
		step_record, step_record, step_record, step_flock, step_ofd,
		step_posix, step_holder, step_holder, step_replace, step_read,
		step_read, step_churn, step_churn, step_churn, step_churn,
	};

	if (draw(w, 100) == 0)
		step_scan(w);
	else
		step[draw(w, sizeof step / sizeof *step)](w);
}

/* --- start and end ------------------------------------------------------------- */

void shared_make(struct worker *w)
{
	uint64_t zero = 0;
	char name[32];
	int fd;

	for (enum guard g = 0; g < GUARDS; g++) {
		MUST_OPEN(fd, openat(w->shared, number_name[g],
				     O_WRONLY | O_CREAT | O_EXCL, 0644));
		MUST(write(fd, &zero, sizeof zero), sizeof zero);
		MUST(close(fd), 0);
	}
	for (unsigned i = 0; i < STABLE; i++) {
		snprintf(name, sizeof name, "s%u", i);
		MUST(mknodat(w->shared, name, S_IFREG | 0644, 0), 0);
	}
	MUST_OPEN(fd, openat(w->shared, "log", O_WRONLY | O_CREAT | O_EXCL,
			     0644));
	MUST(close(fd), 0);
	write_version(w, 1);
}

void shared_start(struct worker *w)
{
	char name[32];
	int fd;

	for (enum guard g = 0; g < GUARDS; g++)
		MUST_OPEN(w->guard_fd[g], openat(w->shared, number_name[g],
						 O_RDWR));
	MUST_OPEN(w->log_fd, openat(w->shared, "log", O_WRONLY | O_APPEND));
	snprintf(name, sizeof name, "link%u", w->number);
	MUST_OPEN(fd, openat(w->shared, name, O_WRONLY | O_CREAT | O_EXCL,
			     0644));
	MUST(close(fd), 0);
}

void shared_finish(struct worker *w)
{
	char name[64];

	for (unsigned i = 0; i < CHURN; i++) {
		if (!w->churn[i])
			continue;
		churn_name(w, i, w->churn[i], name);
		MUST(unlinkat(w->shared, name, 0), 0);
	}
	snprintf(name, sizeof name, "link%u", w->number);
	MUST(unlinkat(w->shared, name, 0), 0);
	MUST(close(w->log_fd), 0);
	/* Any close of the POSIX one would take its lock from a thread of
	 * this process that is still at work. */
	for (enum guard g = 0; g < GUARDS; g++)
		if (g != GUARD_POSIX)
			MUST(close(w->guard_fd[g]), 0);
}

void shared_check(struct worker *w, unsigned workers)
{
	char name[32];

	check_log(w, workers);
	check_numbers(w);
	for (unsigned i = 0; i < STABLE; i++) {
		snprintf(name, sizeof name, "s%u", i);
		MUST(unlinkat(w->shared, name, 0), 0);
	}
	MUST(unlinkat(w->shared, "config", 0), 0);
}
