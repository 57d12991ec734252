/*
 * external.h - the state in its external form: a stream of records that
 * another build, or another host, can read. docs/state.md is its description.
 *
 *	"rumpstat", u32 version, u32 0
 *	records: u16 number, u16 version, u32 bytes that follow, u64 check;
 *		 the fields in the table's order, then what follows them
 *
 * Everything is little-endian. A record's check is XXH3 of its first 8 bytes
 * and of what follows the check; that of the end record runs over the checks
 * of all before it. No struct of ours is in it: fields are written one by one
 * as the table says (external_table.h).
 */
#ifndef RK_EXTERNAL_H
#define RK_EXTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "external_table.h"

enum {
	RK_EXT_VERSION = 1,
	RK_EXT_RECORD_MAX = 1 << 20,	/* bytes of one record */
};

enum rk__ext_number {
#define RK_EXT_NUMBER(number, version, name, what, tail) \
	RK_EXT_NO_##name = number,
	RK_EXT_RECORDS(RK_EXT_NUMBER)
#undef RK_EXT_NUMBER
};

typedef uint32_t rk__ext_u32;
typedef uint64_t rk__ext_u64;
typedef int64_t rk__ext_i64;

/* A record's fields in memory: struct rk__ext_vnode ..., without gaps. */
#define RK_EXT_FIELD(type, name, what) rk__ext_##type name;
#define RK_EXT_STRUCT(number, version, name, what, tail) \
	struct rk__ext_##name { RK_EXT_##name(RK_EXT_FIELD) } \
		__attribute__((packed));
RK_EXT_RECORDS(RK_EXT_STRUCT)
#undef RK_EXT_STRUCT
#undef RK_EXT_FIELD

struct rk__ext_field {
	const char *type, *name, *what;
	uint16_t width;			/* bytes */
};

struct rk__ext_record {
	uint16_t number, version;
	const char *name, *what, *tail;
	const struct rk__ext_field *field;
	uint16_t n_fields, bytes;	/* bytes of the fields in the stream */
};

/* All records, in the order of the table; ends with one without a name. */
extern const struct rk__ext_record rk__ext_records[];
const struct rk__ext_record *rk__ext_find(unsigned number);

/* What this build writes and reads: RUMP_STATE_VERSION in the environment
 * plays another one. */
uint32_t rk__ext_version(void);

/* --- writing --------------------------------------------------------------- */

struct rk__ext_out {
	/* Takes the next bytes. 0 or a negative errno. */
	int (*put)(void *ctx, const void *bytes, size_t n);
	void *ctx;
	uint64_t records, sum;
	int error;			/* the first of put; nothing is put then */
};

void rk__ext_begin(struct rk__ext_out *o);
/* One record; fields: its struct. tail may be NULL if tail_len is 0. */
void rk__ext_put(struct rk__ext_out *o, enum rk__ext_number number,
		 const void *fields, const void *tail, size_t tail_len);
/* The end record. 0, or the first error. */
int rk__ext_end(struct rk__ext_out *o);

/* --- reading: believes nothing --------------------------------------------- */

union rk__ext_any {
#define RK_EXT_MEMBER(number, version, name, what, tail) \
	struct rk__ext_##name name;
	RK_EXT_RECORDS(RK_EXT_MEMBER)
#undef RK_EXT_MEMBER
};

struct rk__ext_in {
	const uint8_t *bytes;		/* all of the stream; must not change */
	size_t length, at;
	uint64_t records, sum;
	char *error;			/* RK_SERVER_ERROR_LEN: the sentence */
	bool more;			/* something may follow its end, at `at` */
};

struct rk__ext_item {
	const struct rk__ext_record *record;
	union rk__ext_any as;
	const uint8_t *tail;
	uint32_t tail_len;
};

/* All bytes of a file, to be freed. 0 or a negative errno. */
int rk__ext_load(int fd, uint8_t **ret, size_t *ret_len);
/* 0, or -EPROTO with a sentence: foreign, or of another version. */
int rk__ext_open(struct rk__ext_in *in, const void *bytes, size_t length,
		 char *error);
/* 1: *ret is the next record; 0: that was the end, and the sums hold; -EPROTO
 * with a sentence: truncated, damaged, or unknown to this build. */
int rk__ext_next(struct rk__ext_in *in, struct rk__ext_item *ret);
/* Puts a sentence and returns -EPROTO. */
int rk__ext_refuse(struct rk__ext_in *in, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* --- the core's tables (external_write.c, external_read.c) ------------------- */

struct rk__config;

/* What was asked for: the records `server` and `mount`. */
void rk__ext_put_config(struct rk__ext_out *o, const struct rk__config *c,
			const uint64_t *size);

/*
 * All that core holds, and proofs: what getattr, statfs and lookup answer
 * now. Nothing may be uncommitted, queued or asleep; blocks on nothing.
 * -EBUSY: an op sleeps in the middle of a driver (execution=process).
 */
int rk__ext_write_core(struct rk__ext_out *o);
/* The device of a mount (RK_SOURCE_IMAGE), with all its blocks. */
int rk__ext_write_image(struct rk__ext_out *o, uint32_t mount);

/*
 * One record into a fresh core region: 0 or -EPROTO with a sentence. Those it
 * does not know (server, mount, image, block) are the caller's. Proofs are
 * kept for rk__ext_prove().
 */
int rk__ext_read(struct rk__ext_in *in, const struct rk__ext_item *item);
/* After the last: what counts, counted again; lists and hashes. */
int rk__ext_read_end(struct rk__ext_in *in);

/* With the drivers mounted: does what is asked answer as it was written? 0, or
 * -EPROTO with a sentence. */
int rk__ext_prove(struct rk__ext_in *in, const struct rk__ext_item *item);

#endif
