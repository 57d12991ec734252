/*
 * decode.c - fuzzes decode and trace of every op: the input is a header and a
 * payload, as they stand in a message. The first byte chooses a seed made by
 * the encoder, over which the rest is laid, so that deep paths are near.
 */
#include <assert.h>
#include <stdlib.h>
#include "views.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PAYLOAD = 16 << 10 };

static char long_name[200];
static uint8_t some_bytes[256];

#define SEED_FD(n)	.n = 3,
#define SEED_DIR(n)	.n = RK_AT_FDCWD,
#define SEED_I32(n)	.n = 1,
#define SEED_U32(n)	.n = 1,
#define SEED_I64(n)	.n = 4096,
#define SEED_U64(n)	.n = 4096,
#define SEED_PATH(s)	.s = long_name,
#define SEED_NAME(s)	.s = "user.name",
#define SEED_IN(b, len)	.b = some_bytes, .len = sizeof some_bytes,
#define SEED_OUT(b, size_) .b = NULL, .size_ = 512,
#define SEED_OUTS(type, b) .b = NULL,
#define SEED(...)	RK_VIEW(SEED, __VA_ARGS__)

static void make_seed(unsigned op, struct rk_request *req, uint8_t *payload)
{
	switch (op) {
#define CASE(name, ...)							\
	case RK_OP_##name: {						\
		struct op_##name a = { ARGS_##name(SEED) };		\
									\
		if (rk_encode_##name(req, payload, PAYLOAD, &a) < 0)	\
			abort();					\
		break;							\
	}
	RK_OPS(CASE)
	}
}

static void check_string(const char *s, size_t max)
{
	assert(strlen(s) < max);
}

static void check_in(const struct rk_request *req, const uint8_t *in,
		     const void *p, uint64_t len)
{
	const uint8_t *b = p;

	assert(b >= in && len <= req->in_len &&
	       b + len <= in + req->in_len);
}

#define CHECK_FD(n)
#define CHECK_DIR(n)
#define CHECK_I32(n)
#define CHECK_U32(n)
#define CHECK_I64(n)
#define CHECK_U64(n)
#define CHECK_PATH(n)	check_string(a.n, RK_PATH_LEN_MAX);
#define CHECK_NAME(n)	check_string(a.n, RK_NAME_LEN_MAX + 1);
#define CHECK_IN(p, len) check_in(req, in, a.p, a.len);
#define CHECK_OUT(p, len) assert(a.len <= req->out_len);
#define CHECK_OUTS(type, p) assert(sizeof(type) <= req->out_len);
#define CHECK(...)	RK_VIEW(CHECK, __VA_ARGS__)

static void decode(const struct rk_request *req, const uint8_t *in)
{
	char scratch[RK_SCRATCH_SIZE], line[256];

	switch (req->op) {
#define DECODE(name, ...)						\
	case RK_OP_##name: {						\
		struct op_##name a;					\
									\
		if (rk_decode_##name(req, in, scratch, sizeof scratch,	\
				     &a) == 0) {			\
			ARGS_##name(CHECK)				\
		}							\
		break;							\
	}
	RK_OPS(DECODE)
	}
	rk_trace(line, sizeof line, req, in);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t seed_payload[PAYLOAD];
	struct rk_request req = { 0 };
	uint8_t *exact;
	unsigned i;

	if (!long_name[0])
		memset(long_name, 'n', sizeof long_name - 1);
	if (size < 1)
		return 0;
	memset(seed_payload, 0, sizeof seed_payload);
	make_seed(data[0] % (RK_OP_END + 1), &req, seed_payload);
	data++;
	size--;
	/* Triples: where, and 16 bits to change there. */
	for (i = 0; i < 8 && size >= 3; i++, data += 3, size -= 3) {
		((uint8_t *)&req)[data[0] % sizeof req] ^= data[1];
		((uint8_t *)&req)[(data[0] + 4u) % sizeof req] ^= data[2];
	}
	if (req.in_len > PAYLOAD)
		return 0;
	if (size)
		memcpy(seed_payload, data, size < PAYLOAD ? size : PAYLOAD);
	/* Of exactly its length, so that a byte too many is seen. */
	exact = malloc(req.in_len + !req.in_len);
	memcpy(exact, seed_payload, req.in_len);
	decode(&req, exact);
	free(exact);
	return 0;
}
