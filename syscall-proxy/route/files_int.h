/*
 * files_int.h - what the handlers of calls on descriptors share.
 */
#ifndef RK_FILES_INT_H
#define RK_FILES_INT_H

#include <errno.h>
#include <sys/uio.h>
#include "calls.h"

#define RK__FILE_CALL(name)						\
	enum rk__routed rk__call_##name(struct rk__task *t, long nr,	\
					const uint64_t arg[6], int64_t *ret)

/* What the kernel moves in one call at most. */
#define RK__COUNT_MAX 0x7ffff000u

/* A descriptor in an argument word: the kernel looks at 32 bits. */
static inline bool rk__find(struct rk__task *t, uint64_t word,
			    struct rk__target *ret)
{
	return t->host->find(t, (int)word, ret);
}

static inline uint64_t rk__least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Gathers of any kind on a descriptor of a server: readv and its like. offset
 * -1: the descriptor's own. */
int64_t rk__vector(struct rk__task *t, const struct rk__target *f, uint64_t at,
		   uint64_t n, int64_t offset, uint32_t flags, bool write);

/* As the kernel takes a vector: -EINVAL, or its sum, of which what is too much
 * was left out. */
int64_t rk__vector_check(struct iovec *v, unsigned n);

/*
 * What a server listed, n bytes at `buf`, as the kernel would have, at most
 * `room` bytes, in the same place. How many bytes, or -EPROTO. *ret_next is the
 * cookie of the last that fit, *ret_all says whether all did.
 */
int64_t rk__dirents(uint8_t *buf, size_t n, size_t room, bool old,
		    uint64_t *ret_next, bool *ret_all);

#endif
