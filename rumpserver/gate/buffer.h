/*
 * buffer.h - private output of requests in work, taken from a small pool, so
 * that a read does not cost an mmap.
 */
#ifndef RK_BUFFER_H
#define RK_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

/* bytes is NULL while there is none. */
struct rk__buffer {
	uint8_t *bytes;
	bool large;
};

/* At least `size` bytes, at most RK_IO_MAX; false: no memory. One that is
 * there already stays. */
bool rk__buffer_get(struct rk__buffer *b, uint32_t size);
void rk__buffer_put(struct rk__buffer *b);

#endif
