/*
 * verifier.h - the verifier from inside: threads of several processes that do
 * what programs do with files, and know exactly what each call must return.
 */
#ifndef VERIFIER_H
#define VERIFIER_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	WORKERS_MAX = 64,
	STABLE = 400,		/* files of the shared directory that stay */
	CHURN = 24,		/* names of each worker that come and go there */
	HELD_BLOCKS = 16,
	BLOCK = 4096,
};

/* Ways to keep the others out; each guards a number in a file of its own. */
enum guard {
	GUARD_FLOCK,
	GUARD_OFD,
	GUARD_POSIX,
	GUARD_EXCL,		/* whoever makes the file holds it */
	GUARD_LINK,
	GUARD_MKDIR,
	GUARDS
};

/* What all processes share. */
struct common {
	_Atomic bool stop;
	_Atomic uint64_t ops, errors;
	_Atomic uint32_t inside[GUARDS];	/* worker + 1, 0: nobody */
	_Atomic uint64_t count[GUARDS];		/* what the file must hold */
	_Atomic uint32_t replacing;
	_Atomic uint64_t version;	/* of the replaced file, at least */
	uint64_t records[WORKERS_MAX];	/* in the shared log */
	uint64_t appended[WORKERS_MAX];	/* in the worker's own */
};

struct worker {
	unsigned number;
	unsigned process;
	uint64_t random;
	uint64_t serial;	/* of names that were never used before */
	int own, shared;	/* directories */
	int log_fd, append_fd, held_fd;
	int guard_fd[GUARDS];
	unsigned held_version[HELD_BLOCKS];
	uint64_t churn[CHURN];	/* serial of the name that is there, 0: none */
	uint8_t buf[64 << 10], got[64 << 10];
};

extern struct common *common;

uint32_t draw(struct worker *w, uint32_t below);
/* Counts one op; says what is wrong if it is. */
bool verify(struct worker *w, const char *what, int line, long long got,
	    long long want);

#define OR_ERRNO(call) ({						\
	long long r_ = (long long)(call);				\
	r_ < 0 ? -(long long)errno : r_; })

/* The step ends if it is not what it must be: what follows knows nothing. */
#define MUST(call, want) do {						\
	if (!verify(w, #call, __LINE__, OR_ERRNO(call), (want)))	\
		return;							\
} while (0)

/* Opens into fd, or ends the step. */
#define MUST_OPEN(fd, call) do {					\
	(fd) = (int)OR_ERRNO(call);					\
	if (!verify(w, #call, __LINE__, (fd) < 0 ? (fd) : 0, 0))	\
		return;							\
} while (0)

#define MUST_FAIL(call, error) MUST(call, -(long long)(error))
#define MUST_BE(condition) do {						\
	if (!verify(w, #condition, __LINE__, (condition) ? 0 : -1, 0))	\
		return;							\
} while (0)

void fill(uint8_t *to, size_t len, uint64_t seed);
bool filled(const uint8_t *p, size_t len, uint64_t seed);

/* What a worker needs open, and one random step. */
void own_start(struct worker *w);
void own_step(struct worker *w);
/* Compares what is left, and removes it. */
void own_finish(struct worker *w);

/* Once, before all workers. */
void shared_make(struct worker *w);
void shared_start(struct worker *w);
void shared_step(struct worker *w);
void shared_finish(struct worker *w);
/* Once, after all workers: compares all that they shared, and removes it. */
void shared_check(struct worker *w, unsigned workers);

/* Locks: waits that signals end, holders that die. */
void lock_step(struct worker *w);

#endif
