/*
 * fault.h - a driver that fails on purpose, from inside: rules, and what is
 * done at a call that one of them matches.
 *
 * Rules count the calls that they match in rk_host.lasting, which no rollback
 * touches and every successor finds again: a crash that is to come once comes
 * once, although the call that it killed is made again.
 */
#ifndef RK_FAULT_H
#define RK_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "driver.h"

#define FAULT_OPS							\
	X(lookup) X(getattr) X(setattr) X(create) X(tmpfile) X(link)	\
	X(unlink) X(rename) X(reclaim) X(readlink) X(read) X(write)	\
	X(fallocate) X(seek) X(readdir) X(getxattr) X(setxattr)	\
	X(listxattr) X(removexattr) X(statfs) X(sync) X(fiemap)

enum op {
#define X(name) OP_##name,
	FAULT_OPS
#undef X
	OPS
};

enum when { ALWAYS, AT, AFTER, EVERY, CHANCE };
enum what { ERROR, CRASH, ABORT, HANG, SLOW, SHORT, WRONG };

enum { NAME_ROOM = 256, RULES_MAX = 64, SENTENCE = 240 };

struct rule {
	uint32_t ops;			/* a bit for each */
	char name[NAME_ROOM];		/* "" : whatever the name is */
	enum when when;
	uint64_t n;			/* CHANCE: of 2^32 */
	enum what what;
	bool late;			/* after the call, not instead of it */
	int error;			/* negative */
	uint64_t ns;			/* SLOW */
};

struct fault {
	struct rk_lower lower;
	struct rule rule[RULES_MAX];
	unsigned n_rules;
	uint64_t seed;
	uint64_t *count;		/* of each rule; host.lasting */
};
_Static_assert(RULES_MAX * sizeof(uint64_t) <= RK_LASTING_SIZE, "they fit");

/* "OP[@NAME]:WHEN:WHAT". -EINVAL with a sentence that names what is wrong. */
int rk__fault_rule(const char *text, struct rule *ret, char *sentence);

/* What a call of the driver below is to suffer. */
struct plan {
	struct fault *fault;
	uint64_t late;			/* rules to carry out after it, a bit each */
	bool cut, wrong;
	uint64_t dice;			/* for where it is wrong */
};

/* 0 or the error that comes instead of the call; may not return. name: NULL
 * if the op has none. */
int rk__fault_before(struct fault *f, enum op op, const char *name, size_t len,
		     struct plan *ret);
/* The answer that takes the place of r. */
int64_t rk__fault_after(const struct plan *p, int64_t r);
/* Flips a bit. */
void rk__fault_spoil(const struct plan *p, void *buf, size_t len);

#endif
