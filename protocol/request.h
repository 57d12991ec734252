/*
 * request.h - one forwarded call as bytes: the same in a slot of a channel
 * and in a message on a socket.
 *
 * A request is a fixed header and a payload. Argument words that stand for
 * memory hold offsets into the payload, never pointers. Both sides are of one
 * machine, so words are in host order.
 */
#ifndef RK_REQUEST_H
#define RK_REQUEST_H

#include <stdint.h>

#define RK_PROTOCOL_VERSION 3

enum {
	RK_ARGS_MAX = 8,
	RK_NAME_LEN_MAX = 255,
	RK_PATH_LEN_MAX = 4096,		/* with the final NUL, as PATH_MAX */
	RK_IO_MAX = 1 << 20,		/* bytes one request may carry each way */
	RK_XATTR_SIZE_MAX = 65536,
	RK_MESSAGE_MAX = 128 << 10,	/* header and payload on a socket */
};

/* request.flags */
enum {
	RK_REQ_CANCELLED = 1 << 0,	/* the caller no longer waits */
};

/*
 * seq identifies the request within its slot: strictly increasing, never 0,
 * never reused. The server answers each seq once; a seq that was committed is
 * answered again from its record, never run again.
 */
struct rk_request {
	uint16_t op;			/* enum rk_op */
	uint16_t flags;
	uint32_t in_len;		/* payload bytes that go to the server */
	uint64_t seq;
	uint64_t arg[RK_ARGS_MAX];
	uint32_t out_len;		/* room for bytes that come back */
	uint32_t reserved[11];
};
_Static_assert(sizeof(struct rk_request) == 128, "request header is 128 bytes");

/* Bytes that come back start here, so that the request stays readable until
 * its answer is committed. */
static inline uint32_t rk_out_offset(uint32_t in_len)
{
	return (in_len + 63) & ~63u;
}

struct rk_answer {
	uint64_t seq;			/* of the request it answers */
	int64_t result;			/* >= 0, or a negative errno */
	uint32_t out_len;		/* bytes that came back */
	uint32_t reserved[3];
};
_Static_assert(sizeof(struct rk_answer) == 32, "answer is 32 bytes");

#endif
