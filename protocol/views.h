/*
 * views.h - everything that follows from the op table: numbers, argument
 * structs, encoders, decoders, traces, signatures of client stubs, properties
 * of each op and the check of an answer.
 *
 * One row of ops.h makes all of them. A number used twice, a kind of argument
 * that is not known, a missing ARGS_ list, too many arguments or two outputs
 * are compile errors.
 *
 * On the wire each argument is one word of the header: numbers as they are
 * (32-bit ones zero-extended), PATH, NAME and IN as offset << 32 | length into
 * the payload, OUT and OUTS as the length wanted back. Words not used are 0.
 */
#ifndef RK_VIEWS_H
#define RK_VIEWS_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include "ops.h"
#include "request.h"
#include "types.h"

enum {
	/* Room for the strings of any one request. */
	RK_SCRATCH_SIZE = 2 * RK_PATH_LEN_MAX + RK_NAME_LEN_MAX + 1,
	/* Payload that any one request may need. */
	RK_IN_MAX = RK_IO_MAX + RK_SCRATCH_SIZE,
};

#define RK_VIEW(prefix, kind, ...) prefix##_##kind(__VA_ARGS__)

/* --- numbers --------------------------------------------------------------- */

enum rk_op {
#define RK_NUMBER(name, no, ...) RK_OP_##name = no,
	RK_OPS(RK_NUMBER)
#undef RK_NUMBER
	RK_OP_END
};

enum {
#define RK_COUNT(...) +1
	RK_OPS_COUNT = 0 RK_OPS(RK_COUNT)
#undef RK_COUNT
};
_Static_assert(RK_OPS_COUNT == RK_OP_END - 1, "op numbers have no gaps");

/* --- struct op_<name>: the arguments of one call ---------------------------- */

#define RK_FIELD_FD(n)		int32_t n;
#define RK_FIELD_DIR(n)		int32_t n;
#define RK_FIELD_I32(n)		int32_t n;
#define RK_FIELD_U32(n)		uint32_t n;
#define RK_FIELD_I64(n)		int64_t n;
#define RK_FIELD_U64(n)		uint64_t n;
#define RK_FIELD_PATH(n)	const char *n;
#define RK_FIELD_NAME(n)	const char *n;
#define RK_FIELD_IN(p, len)	const void *p; uint64_t len;
#define RK_FIELD_OUT(p, len)	void *p; uint64_t len;
#define RK_FIELD_OUTS(type, p)	type *p;
#define RK_FIELD(...)		RK_VIEW(RK_FIELD, __VA_ARGS__)

#define RK_STRUCT(name, ...)						\
	struct op_##name {						\
		ARGS_##name(RK_FIELD)					\
	};
RK_OPS(RK_STRUCT)
#undef RK_STRUCT

/* --- properties ------------------------------------------------------------- */

enum rk_route { RK_BY_NONE, RK_BY_FD, RK_BY_PATH };
enum rk_op_flags {
	RK_OP_MUTATES = 1 << 0,
	RK_OP_BLOCKS = 1 << 1,
	RK_OP_STAGES = 1 << 2,
	RK_OP_FILES = 1 << 3,
	RK_OP_PROCESS = 1 << 4,
	RK_OP_LOCKS = 1 << 5,
	RK_OP_DURABLE = 1 << 6,
};

struct rk_op_info {
	const char *name;
	enum rk_route route;
	unsigned flags;		/* enum rk_op_flags */
	unsigned words;		/* argument words used */
	bool has_in, has_out;	/* IN; OUT or OUTS */
	uint32_t out_size;	/* of OUTS, 0 otherwise */
};

#define RK_WORDS_(...)		+1
#define RK_INS_FD(n)
#define RK_INS_DIR(n)
#define RK_INS_I32(n)
#define RK_INS_U32(n)
#define RK_INS_I64(n)
#define RK_INS_U64(n)
#define RK_INS_PATH(n)
#define RK_INS_NAME(n)
#define RK_INS_IN(p, len)	+1
#define RK_INS_OUT(p, len)
#define RK_INS_OUTS(type, p)
#define RK_INS(...)		RK_VIEW(RK_INS, __VA_ARGS__)

#define RK_OUTN_FD(n)
#define RK_OUTN_DIR(n)
#define RK_OUTN_I32(n)
#define RK_OUTN_U32(n)
#define RK_OUTN_I64(n)
#define RK_OUTN_U64(n)
#define RK_OUTN_PATH(n)
#define RK_OUTN_NAME(n)
#define RK_OUTN_IN(p, len)
#define RK_OUTN_OUT(p, len)	+1
#define RK_OUTN_OUTS(type, p)	+1
#define RK_OUTN(...)		RK_VIEW(RK_OUTN, __VA_ARGS__)

#define RK_OUTSIZE_FD(n)
#define RK_OUTSIZE_DIR(n)
#define RK_OUTSIZE_I32(n)
#define RK_OUTSIZE_U32(n)
#define RK_OUTSIZE_I64(n)
#define RK_OUTSIZE_U64(n)
#define RK_OUTSIZE_PATH(n)
#define RK_OUTSIZE_NAME(n)
#define RK_OUTSIZE_IN(p, len)
#define RK_OUTSIZE_OUT(p, len)
#define RK_OUTSIZE_OUTS(type, p) + sizeof(type)
#define RK_OUTSIZE(...)		RK_VIEW(RK_OUTSIZE, __VA_ARGS__)

#define RK_LIMITS(name, ...)						\
	_Static_assert(0 ARGS_##name(RK_WORDS_) <= RK_ARGS_MAX,		\
		       #name " has too many arguments");		\
	_Static_assert(0 ARGS_##name(RK_OUTN) <= 1,			\
		       #name " has two outputs");			\
	_Static_assert(0 ARGS_##name(RK_INS) <= 1,			\
		       #name " has two inputs");
RK_OPS(RK_LIMITS)
#undef RK_LIMITS

/* NULL if there is no such op. */
static inline const struct rk_op_info *rk_op_info(unsigned op)
{
	/* The table's own words, known only here. */
	enum {
		MUTATES = RK_OP_MUTATES,
		BLOCKS = RK_OP_BLOCKS,
		STAGES = RK_OP_STAGES,
		FILES = RK_OP_FILES,
		PROCESS = RK_OP_PROCESS,
		LOCKS = RK_OP_LOCKS,
		DURABLE = RK_OP_DURABLE,
	};
#define RK_INFO(name_, no, route_, flags_)				\
	[no] = {							\
		.name = #name_,						\
		.route = RK_##route_,					\
		.flags = flags_,					\
		.words = 0 ARGS_##name_(RK_WORDS_),			\
		.has_in = 0 ARGS_##name_(RK_INS),			\
		.has_out = 0 ARGS_##name_(RK_OUTN),			\
		.out_size = 0 ARGS_##name_(RK_OUTSIZE),			\
	},
	static const struct rk_op_info info[RK_OP_END] = {
		RK_OPS(RK_INFO)
	};
#undef RK_INFO

	return op < RK_OP_END && info[op].name ? &info[op] : NULL;
}

/* --- rk_encode_<name>: the client's side ------------------------------------- */

/* Writes to header and payload only, reads neither: both may be shared. The
 * error sticks: use it freely, ask once at the end. */
struct rk_encoder {
	struct rk_request *req;
	uint8_t *payload;
	size_t room;
	uint32_t in_len, out_len;
	unsigned next;
	int error;
};

static inline void rk__put_word(struct rk_encoder *e, uint64_t word)
{
	e->req->arg[e->next++] = word;
}

static inline void rk__put_bytes(struct rk_encoder *e, const void *p,
				 uint64_t len)
{
	uint32_t at = e->in_len;

	if (!e->error && len && !p)
		e->error = -EFAULT;
	if (!e->error && (len > RK_IO_MAX || len > e->room - at))
		e->error = -EMSGSIZE;
	if (e->error)
		return;
	if (len)
		memcpy(e->payload + at, p, len);
	e->in_len = at + (uint32_t)len;
	rk__put_word(e, (uint64_t)at << 32 | len);
}

static inline void rk__put_string(struct rk_encoder *e, const char *s,
				  size_t max)
{
	size_t len;

	if (!s) {
		e->error = e->error ? e->error : -EFAULT;
		return;
	}
	len = strlen(s) + 1;
	if (len > max && !e->error)
		e->error = -ENAMETOOLONG;
	rk__put_bytes(e, s, len);
}

static inline void rk__put_out(struct rk_encoder *e, uint64_t len)
{
	if (len > RK_IO_MAX && !e->error)
		e->error = -EMSGSIZE;
	e->out_len = (uint32_t)len;
	rk__put_word(e, len);
}

static inline int rk__put_end(struct rk_encoder *e, enum rk_op op)
{
	if (!e->error && (uint64_t)rk_out_offset(e->in_len) + e->out_len >
	    e->room && e->out_len)
		e->error = -EMSGSIZE;
	if (e->error)
		return e->error;
	while (e->next < RK_ARGS_MAX)
		e->req->arg[e->next++] = 0;
	e->req->op = (uint16_t)op;
	e->req->flags = 0;
	e->req->in_len = e->in_len;
	e->req->out_len = e->out_len;
	return 0;
}

#define RK_PUT_FD(n)		rk__put_word(&e_, (uint32_t)a_->n);
#define RK_PUT_DIR(n)		rk__put_word(&e_, (uint32_t)a_->n);
#define RK_PUT_I32(n)		rk__put_word(&e_, (uint32_t)a_->n);
#define RK_PUT_U32(n)		rk__put_word(&e_, a_->n);
#define RK_PUT_I64(n)		rk__put_word(&e_, (uint64_t)a_->n);
#define RK_PUT_U64(n)		rk__put_word(&e_, a_->n);
#define RK_PUT_PATH(n)		rk__put_string(&e_, a_->n, RK_PATH_LEN_MAX);
#define RK_PUT_NAME(n)		rk__put_string(&e_, a_->n, RK_NAME_LEN_MAX + 1);
#define RK_PUT_IN(p, len)	rk__put_bytes(&e_, a_->p, a_->len);
#define RK_PUT_OUT(p, len)	rk__put_out(&e_, a_->len);
#define RK_PUT_OUTS(type, p)	rk__put_out(&e_, sizeof(type));
#define RK_PUT(...)		RK_VIEW(RK_PUT, __VA_ARGS__)

/*
 * Fills op, flags, lengths and argument words of *req_ and the payload; seq,
 * and the reserved words stay the caller's. room_: bytes of payload, in
 * and out together. 0, -EFAULT (NULL given), -ENAMETOOLONG, or -EMSGSIZE.
 */
#define RK_ENCODE(name, ...)						\
static inline int rk_encode_##name(struct rk_request *req_,		\
				   uint8_t *payload_, size_t room_,	\
				   const struct op_##name *a_)		\
{									\
	struct rk_encoder e_ = {					\
		.req = req_, .payload = payload_, .room = room_,	\
	};								\
	(void)a_;							\
	ARGS_##name(RK_PUT)						\
	return rk__put_end(&e_, RK_OP_##name);				\
}
RK_OPS(RK_ENCODE)
#undef RK_ENCODE

/* --- rk_decode_<name>: the server's side ------------------------------------- */

struct rk_decoder {
	const struct rk_request *req;
	const uint8_t *in;
	char *scratch;
	size_t room;
	uint32_t out_len;
	unsigned next;
	int error;
};

static inline void rk__bad(struct rk_decoder *d, int error)
{
	if (!d->error)
		d->error = error;
}

static inline uint64_t rk__get_word(struct rk_decoder *d)
{
	return d->req->arg[d->next++];
}

static inline uint32_t rk__get_u32(struct rk_decoder *d)
{
	uint64_t word = rk__get_word(d);

	if (word > UINT32_MAX)
		rk__bad(d, -EBADMSG);
	return (uint32_t)word;
}

/* NULL if it does not lie within the payload. */
static inline const uint8_t *rk__get_bytes(struct rk_decoder *d, uint32_t max,
					   uint32_t *ret_len)
{
	uint64_t word = rk__get_word(d);
	uint64_t at = word >> 32, len = (uint32_t)word;

	*ret_len = 0;
	if (at + len > d->req->in_len) {
		rk__bad(d, -EBADMSG);
		return NULL;
	}
	if (len > max) {
		rk__bad(d, -EMSGSIZE);
		return NULL;
	}
	*ret_len = (uint32_t)len;
	return d->in + at;
}

/* Copied first, looked at then: the client may change it at any time. */
static inline const char *rk__get_string(struct rk_decoder *d, uint32_t max)
{
	uint32_t len;
	const uint8_t *p = rk__get_bytes(d, max, &len);
	char *s = d->scratch;

	if (d->error)
		return NULL;
	if (len > d->room) {
		rk__bad(d, -EMSGSIZE);
		return NULL;
	}
	if (len)
		memcpy(s, p, len);
	if (!len || s[len - 1] || memchr(s, 0, len - 1)) {
		rk__bad(d, -EBADMSG);
		return NULL;
	}
	d->scratch += len;
	d->room -= len;
	return s;
}

static inline uint64_t rk__get_in(struct rk_decoder *d, const void **ret)
{
	uint32_t len;

	*ret = rk__get_bytes(d, RK_IO_MAX, &len);
	return len;
}

static inline uint64_t rk__get_out(struct rk_decoder *d)
{
	uint64_t len = rk__get_word(d);

	if (len > RK_IO_MAX)
		rk__bad(d, -EMSGSIZE);
	else if (len > d->req->out_len)
		rk__bad(d, -EBADMSG);
	d->out_len = d->req->out_len;
	return len;
}

static inline void rk__get_outs(struct rk_decoder *d, size_t size)
{
	if (rk__get_out(d) != size)
		rk__bad(d, -EBADMSG);
}

static inline int rk__get_end(struct rk_decoder *d)
{
	const struct rk_request *req = d->req;
	uint64_t rest = 0;

	while (d->next < RK_ARGS_MAX)
		rest |= req->arg[d->next++];
	for (size_t i = 0; i < sizeof req->reserved / sizeof *req->reserved;
	     i++)
		rest |= req->reserved[i];
	/* Room asked for by an op that has no output is no request of ours. */
	if (rest || req->out_len != d->out_len)
		rk__bad(d, -EBADMSG);
	if (req->in_len > RK_IN_MAX || req->out_len > RK_IO_MAX)
		rk__bad(d, -EMSGSIZE);
	return d->error;
}

#define RK_GET_FD(n)		a_->n = (int32_t)rk__get_u32(&d_);
#define RK_GET_DIR(n)		a_->n = (int32_t)rk__get_u32(&d_);
#define RK_GET_I32(n)		a_->n = (int32_t)rk__get_u32(&d_);
#define RK_GET_U32(n)		a_->n = rk__get_u32(&d_);
#define RK_GET_I64(n)		a_->n = (int64_t)rk__get_word(&d_);
#define RK_GET_U64(n)		a_->n = rk__get_word(&d_);
#define RK_GET_PATH(n)		a_->n = rk__get_string(&d_, RK_PATH_LEN_MAX);
#define RK_GET_NAME(n)		a_->n = rk__get_string(&d_, RK_NAME_LEN_MAX + 1);
#define RK_GET_IN(p, len)	a_->len = rk__get_in(&d_, &a_->p);
#define RK_GET_OUT(p, len)	a_->p = NULL; a_->len = rk__get_out(&d_);
#define RK_GET_OUTS(type, p)	a_->p = NULL; rk__get_outs(&d_, sizeof(type));
#define RK_GET(...)		RK_VIEW(RK_GET, __VA_ARGS__)

/*
 * *req_ is a private copy of the header, whose op and lengths the gate has
 * checked against the room that there is; in_ its payload, which may change
 * at any time. Strings are copied to scratch_ (RK_SCRATCH_SIZE is enough for
 * any op) and point there; IN points into in_; OUT and OUTS are NULL, for the
 * dispatcher to set. 0, -EBADMSG, or -EMSGSIZE; *a_ is valid only after 0.
 */
#define RK_DECODE(name, ...)						\
static inline int rk_decode_##name(const struct rk_request *req_,	\
				   const uint8_t *in_, char *scratch_,	\
				   size_t scratch_len_,			\
				   struct op_##name *a_)		\
{									\
	struct rk_decoder d_ = {					\
		.req = req_, .in = in_,					\
		.scratch = scratch_, .room = scratch_len_,		\
	};								\
	(void)a_;							\
	ARGS_##name(RK_GET)						\
	return rk__get_end(&d_);					\
}
RK_OPS(RK_DECODE)
#undef RK_DECODE

/* --- rk_trace: one line for people -------------------------------------------- */

struct rk_trace {
	char *buf;
	size_t size, len;	/* len counts what did not fit, too */
};

__attribute__((format(printf, 2, 3)))
static inline void rk__show(struct rk_trace *t, const char *format, ...)
{
	bool room = t->len < t->size;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(room ? t->buf + t->len : NULL,
		      room ? t->size - t->len : 0, format, args);
	va_end(args);
	t->len += n > 0 ? (size_t)n : 0;
}

/* A client chose these bytes: nothing of them may reach a terminal raw. */
static inline void rk__show_string(struct rk_trace *t, const char *name,
				   const char *s)
{
	rk__show(t, " %s=\"", name);
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (c < ' ' || c > '~' || c == '"' || c == '\\')
			rk__show(t, "\\x%02x", c);
		else
			rk__show(t, "%c", c);
	}
	rk__show(t, "\"");
}

#define RK_SHOW_FD(n)		rk__show(&t_, " " #n "=%" PRId32, a_->n);
#define RK_SHOW_DIR(n)		rk__show(&t_, " " #n "=%" PRId32, a_->n);
#define RK_SHOW_I32(n)		rk__show(&t_, " " #n "=%" PRId32, a_->n);
#define RK_SHOW_U32(n)		rk__show(&t_, " " #n "=%#" PRIx32, a_->n);
#define RK_SHOW_I64(n)		rk__show(&t_, " " #n "=%" PRId64, a_->n);
#define RK_SHOW_U64(n)		rk__show(&t_, " " #n "=%" PRIu64, a_->n);
#define RK_SHOW_PATH(n)		rk__show_string(&t_, #n, a_->n);
#define RK_SHOW_NAME(n)		rk__show_string(&t_, #n, a_->n);
#define RK_SHOW_IN(p, len)	rk__show(&t_, " " #p "=<%" PRIu64 ">", a_->len);
#define RK_SHOW_OUT(p, len)	rk__show(&t_, " " #p "[%" PRIu64 "]", a_->len);
#define RK_SHOW_OUTS(type, p)	rk__show(&t_, " " #p);
#define RK_SHOW(...)		RK_VIEW(RK_SHOW, __VA_ARGS__)

/* As snprintf: returns the length of the whole line, writes what fits. */
#define RK_TRACE(name, ...)						\
static inline int rk_trace_##name(char *buf_, size_t size_,		\
				  const struct op_##name *a_)		\
{									\
	struct rk_trace t_ = { buf_, size_, 0 };			\
	(void)a_;							\
	rk__show(&t_, "%s", #name);					\
	ARGS_##name(RK_SHOW)						\
	return (int)t_.len;						\
}
RK_OPS(RK_TRACE)
#undef RK_TRACE

/* The same from a request. Says so if it does not decode. */
static inline int rk_trace(char *buf, size_t size,
			   const struct rk_request *req, const uint8_t *in)
{
	char scratch[RK_SCRATCH_SIZE];
	int r;

	switch (req->op) {
#define RK_CASE(name, ...)						\
	case RK_OP_##name: {						\
		struct op_##name a;					\
									\
		r = rk_decode_##name(req, in, scratch, sizeof scratch, &a); \
		if (r < 0)						\
			return snprintf(buf, size, #name " (bad: %d)", r); \
		return rk_trace_##name(buf, size, &a);			\
	}
	RK_OPS(RK_CASE)
#undef RK_CASE
	}
	return snprintf(buf, size, "op %u (unknown)", req->op);
}

/* --- the client's stubs --------------------------------------------------------- */

/* Parameters after the first, and the initialisers of struct op_<name>. */
#define RK_SIG_FD(n)		, int32_t n
#define RK_SIG_DIR(n)		, int32_t n
#define RK_SIG_I32(n)		, int32_t n
#define RK_SIG_U32(n)		, uint32_t n
#define RK_SIG_I64(n)		, int64_t n
#define RK_SIG_U64(n)		, uint64_t n
#define RK_SIG_PATH(n)		, const char *n
#define RK_SIG_NAME(n)		, const char *n
#define RK_SIG_IN(p, len)	, const void *p, uint64_t len
#define RK_SIG_OUT(p, len)	, void *p, uint64_t len
#define RK_SIG_OUTS(type, p)	, type *p
#define RK_SIG(...)		RK_VIEW(RK_SIG, __VA_ARGS__)

#define RK_SET_FD(n)		.n = n,
#define RK_SET_DIR(n)		.n = n,
#define RK_SET_I32(n)		.n = n,
#define RK_SET_U32(n)		.n = n,
#define RK_SET_I64(n)		.n = n,
#define RK_SET_U64(n)		.n = n,
#define RK_SET_PATH(n)		.n = n,
#define RK_SET_NAME(n)		.n = n,
#define RK_SET_IN(p_, len_)	.p_ = p_, .len_ = len_,
#define RK_SET_OUT(p_, len_)	.p_ = p_, .len_ = len_,
#define RK_SET_OUTS(type, p_)	.p_ = p_,
#define RK_SET(...)		RK_VIEW(RK_SET, __VA_ARGS__)

/* Where the bytes that come back belong: an expression, NULL without output. */
#define RK_BACK_FD(n)
#define RK_BACK_DIR(n)
#define RK_BACK_I32(n)
#define RK_BACK_U32(n)
#define RK_BACK_I64(n)
#define RK_BACK_U64(n)
#define RK_BACK_PATH(n)
#define RK_BACK_NAME(n)
#define RK_BACK_IN(p, len)
#define RK_BACK_OUT(p, len)	p ? (void *)p :
#define RK_BACK_OUTS(type, p)	p ? (void *)p :
#define RK_BACK(...)		RK_VIEW(RK_BACK, __VA_ARGS__)

/* --- answers --------------------------------------------------------------------- */

/*
 * What a client may believe of an answer to an op that asked for out_len
 * bytes: 0, or -EPROTO. A struct comes whole; of a buffer no more than was
 * asked for, and no fewer bytes than the result claims (a result beyond an
 * empty buffer is the size that would have been needed).
 */
static inline int rk_answer_check(unsigned op, uint32_t out_len,
				  int64_t result, uint32_t got)
{
	const struct rk_op_info *info = rk_op_info(op);

	if (!info || got > out_len || result < -4095)
		return -EPROTO;
	if (result < 0)
		return got ? -EPROTO : 0;
	if (info->out_size)
		return got == info->out_size ? 0 : -EPROTO;
	if (info->has_out && out_len && result > (int64_t)got)
		return -EPROTO;
	return 0;
}

#endif
