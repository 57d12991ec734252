/*
 * views.c - every op of the table: what is encoded decodes to the same, what is
 * cut short or changed is refused or decodes to something within bounds.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include "views.h"

static char text[RK_NAME_LEN_MAX + 1];
static uint8_t bytes[3000];

/* A value for each argument; no two in a row are alike. */
static uint64_t counter;
#define MAKE_FD(n)	a->n = (int32_t)++counter;
#define MAKE_DIR(n)	a->n = counter++ & 1 ? RK_AT_FDCWD : 7;
#define MAKE_I32(n)	a->n = -(int32_t)++counter;
#define MAKE_U32(n)	a->n = 0xf0000000u + (uint32_t)++counter;
#define MAKE_I64(n)	a->n = -(int64_t)(++counter << 33);
#define MAKE_U64(n)	a->n = ++counter << 40;
#define MAKE_PATH(n)	a->n = text + ++counter % 100;
#define MAKE_NAME(n)	a->n = text + ++counter % 100;
#define MAKE_IN(p, len)	a->p = bytes; a->len = sizeof bytes;
#define MAKE_OUT(p, len) a->p = NULL; a->len = 100 + ++counter % 1000;
#define MAKE_OUTS(type, p) a->p = NULL;
#define MAKE(...)	RK_VIEW(MAKE, __VA_ARGS__)

#define SAME_FD(n)	cr_assert_eq(a.n, b.n);
#define SAME_DIR	SAME_FD
#define SAME_I32	SAME_FD
#define SAME_U32	SAME_FD
#define SAME_I64	SAME_FD
#define SAME_U64	SAME_FD
#define SAME_PATH(n)	cr_assert_str_eq(a.n, b.n);
#define SAME_NAME	SAME_PATH
#define SAME_IN(p, len)	cr_assert_eq(a.len, b.len); \
			cr_assert_eq(memcmp(a.p, b.p, a.len), 0);
#define SAME_OUT(p, len) cr_assert_eq(a.len, b.len); cr_assert_null(b.p);
#define SAME_OUTS(type, p) cr_assert_null(b.p);
#define SAME(...)	RK_VIEW(SAME, __VA_ARGS__)

/* What a decoder hands out must lie where it may. */
#define WITHIN_FD(n)
#define WITHIN_DIR(n)
#define WITHIN_I32(n)
#define WITHIN_U32(n)
#define WITHIN_I64(n)
#define WITHIN_U64(n)
#define WITHIN_PATH(n)	cr_assert(strlen(b.n) < RK_PATH_LEN_MAX);
#define WITHIN_NAME(n)	cr_assert(strlen(b.n) <= RK_NAME_LEN_MAX);
#define WITHIN_IN(p, len) cr_assert((const uint8_t *)b.p >= in && \
	(const uint8_t *)b.p + b.len <= in + req->in_len);
#define WITHIN_OUT(p, len) cr_assert(b.len <= req->out_len);
#define WITHIN_OUTS(type, p) cr_assert(sizeof(type) <= req->out_len);
#define WITHIN(...)	RK_VIEW(WITHIN, __VA_ARGS__)

struct sample {
	struct rk_request req;
	uint8_t payload[64 << 10];
};

#define MAKERS(name, ...)						\
static void make_##name(struct op_##name *a)				\
{									\
	(void)a;							\
	ARGS_##name(MAKE)						\
}									\
static void sample_##name(struct sample *s)				\
{									\
	struct op_##name a;						\
									\
	memset(s, 0, sizeof *s);					\
	make_##name(&a);						\
	cr_assert_eq(rk_encode_##name(&s->req, s->payload,		\
				      sizeof s->payload, &a), 0, #name);	\
}									\
static int decode_##name(const struct rk_request *req, const uint8_t *in) \
{									\
	char scratch[RK_SCRATCH_SIZE];					\
	struct op_##name b;						\
	int r = rk_decode_##name(req, in, scratch, sizeof scratch, &b);	\
									\
	if (r < 0)							\
		return r;						\
	ARGS_##name(WITHIN)						\
	return 0;							\
}									\
static void trip_##name(struct sample *s)				\
{									\
	char scratch[RK_SCRATCH_SIZE];					\
	struct op_##name a, b;						\
									\
	memset(s, 0, sizeof *s);					\
	make_##name(&a);						\
	cr_assert_eq(rk_encode_##name(&s->req, s->payload,		\
				      sizeof s->payload, &a), 0);	\
	cr_assert_eq(s->req.op, RK_OP_##name);				\
	cr_assert_eq(rk_decode_##name(&s->req, s->payload, scratch,	\
				      sizeof scratch, &b), 0, #name);	\
	ARGS_##name(SAME)						\
}
RK_OPS(MAKERS)

static int decode(const struct rk_request *req, const uint8_t *in)
{
	switch (req->op) {
#define CASE(name, ...) case RK_OP_##name: return decode_##name(req, in);
	RK_OPS(CASE)
	}
	return -ENOSYS;
}

static void (*const samples[])(struct sample *) = {
#define ENTRY(name, ...) sample_##name,
	RK_OPS(ENTRY)
};

static struct sample s;

static void setup(void)
{
	memset(text, 'x', sizeof text - 1);
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)i;
}

TestSuite(views, .init = setup);

Test(views, round_trip)
{
#define TRIP(name, ...) trip_##name(&s);
	RK_OPS(TRIP)
}

Test(views, every_truncation_is_refused)
{
	for (size_t i = 0; i < RK_OPS_COUNT; i++) {
		samples[i](&s);
		for (uint32_t cut = s.req.in_len; cut-- > 0;) {
			s.req.in_len = cut;
			cr_assert_lt(decode(&s.req, s.payload), 0);
		}
	}
}

Test(views, surplus_words_are_refused)
{
	for (size_t i = 0; i < RK_OPS_COUNT; i++) {
		const struct rk_op_info *info;

		samples[i](&s);
		info = rk_op_info(s.req.op);
		for (unsigned w = info->words; w < RK_ARGS_MAX; w++) {
			s.req.arg[w] = 1;
			cr_assert_eq(decode(&s.req, s.payload), -EBADMSG);
			s.req.arg[w] = 0;
		}
		if (!info->has_out) {
			s.req.out_len = 1;
			cr_assert_eq(decode(&s.req, s.payload), -EBADMSG);
		}
	}
}

Test(views, mutations_stay_within_bounds)
{
	static const uint64_t odd[] = {
		0, 1, UINT32_MAX, UINT64_MAX, 1ull << 32, 1ull << 63,
		0xffffffff00000001ull, 0x00000001ffffffffull,
	};

	srandom(1);
	for (size_t i = 0; i < RK_OPS_COUNT; i++) {
		for (unsigned n = 0; n < 2000; n++) {
			uint64_t *word;

			samples[i](&s);
			word = (uint64_t *)&s.req + 1 + random() % 15;
			*word = n & 1 ? odd[(size_t)random() % 8] :
				*word ^ 1ull << random() % 64;
			/* As a gate does, before it hands over. */
			if (s.req.in_len > sizeof s.payload)
				continue;
			decode(&s.req, s.payload);
		}
	}
}

Test(views, encoder_refuses_what_is_too_long)
{
	static char longer[RK_PATH_LEN_MAX + 2];
	struct op_openat open = { .path = longer };
	struct op_pwrite write = { .buf = bytes, .count = RK_IO_MAX + 1 };
	struct op_pread read = { .count = RK_IO_MAX + 1 };

	memset(longer, 'y', RK_PATH_LEN_MAX);
	cr_assert_eq(rk_encode_openat(&s.req, s.payload, sizeof s.payload,
				      &open), -ENAMETOOLONG);
	cr_assert_eq(rk_encode_pwrite(&s.req, s.payload, sizeof s.payload,
				      &write), -EMSGSIZE);
	cr_assert_eq(rk_encode_pread(&s.req, s.payload, sizeof s.payload,
				     &read), -EMSGSIZE);
	open.path = NULL;
	cr_assert_eq(rk_encode_openat(&s.req, s.payload, sizeof s.payload,
				      &open), -EFAULT);
	write.count = 100;
	cr_assert_eq(rk_encode_pwrite(&s.req, s.payload, 99, &write),
		     -EMSGSIZE);
}

Test(views, answers)
{
	cr_assert_eq(rk_answer_check(RK_OP_pread, 100, 100, 100), 0);
	cr_assert_eq(rk_answer_check(RK_OP_pread, 100, 101, 100), -EPROTO);
	cr_assert_eq(rk_answer_check(RK_OP_pread, 100, 101, 101), -EPROTO);
	cr_assert_eq(rk_answer_check(RK_OP_pread, 100, -EIO, 0), 0);
	cr_assert_eq(rk_answer_check(RK_OP_pread, 100, -EIO, 1), -EPROTO);
	cr_assert_eq(rk_answer_check(RK_OP_pread, 100, -5000, 0), -EPROTO);
	cr_assert_eq(rk_answer_check(RK_OP_getxattr, 0, 70, 0), 0);
	cr_assert_eq(rk_answer_check(RK_OP_fstat, sizeof(struct rk_stat), 0, 8),
		     -EPROTO);
	cr_assert_eq(rk_answer_check(RK_OP_END, 0, 0, 0), -EPROTO);
}

Test(views, trace_tells_no_raw_bytes)
{
	struct op_openat a = { .dirfd = 3, .path = "a\033[1m\"b" };
	char line[200];
	int n = rk_trace_openat(line, sizeof line, &a);

	cr_assert_eq(n, (int)strlen(line));
	cr_assert_str_eq(line, "openat dirfd=3 path=\"a\\x1b[1m\\x22b\" "
			 "flags=0 mode=0");
	cr_assert_eq(rk_trace_openat(line, 4, &a), n);
	cr_assert_str_eq(line, "ope");
}
