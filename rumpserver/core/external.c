/*
 * external.c - the external form as a stream: records put and taken field by
 * field, as the table has them. What they say is no concern of this file.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <sys/stat.h>
#include "external.h"
#include "../recovery/family.h"

#define MAGIC "rumpstat"

enum {
	HEAD = 16,			/* of the stream */
	RECORD_HEAD = 16,
	FIELDS_MAX = 128,		/* bytes of a record's fields */
};

/* --- the table ------------------------------------------------------------- */

#define FIELD(type_, name_, what_) {					\
	.type = #type_, .name = #name_, .what = what_,			\
	.width = sizeof(rk__ext_##type_),				\
},
#define WIDTH(type_, name_, what_) + sizeof(rk__ext_##type_)

#define FIELDS(number, version, name, what, tail)			\
	static const struct rk__ext_field field_##name[] = {		\
		RK_EXT_##name(FIELD)					\
	};
RK_EXT_RECORDS(FIELDS)

#define RECORD(number_, version_, name_, what_, tail_) {		\
	.number = number_, .version = version_, .name = #name_,		\
	.what = what_, .tail = tail_, .field = field_##name_,		\
	.n_fields = sizeof field_##name_ / sizeof field_##name_[0],	\
	.bytes = 0 RK_EXT_##name_(WIDTH),				\
},

const struct rk__ext_record rk__ext_records[] = {
	RK_EXT_RECORDS(RECORD)
	{ .name = NULL },
};

#define FITS(number, version, name, what, tail)				\
	_Static_assert((0 RK_EXT_##name(WIDTH)) <= FIELDS_MAX, #name);
RK_EXT_RECORDS(FITS)

const struct rk__ext_record *rk__ext_find(unsigned number)
{
	for (const struct rk__ext_record *r = rk__ext_records; r->name; r++)
		if (r->number == number)
			return r;
	return NULL;
}

uint32_t rk__ext_version(void)
{
	const char *other = getenv("RUMP_STATE_VERSION");

	return other ? (uint32_t)strtoul(other, NULL, 10) : RK_EXT_VERSION;
}

/* --- words ----------------------------------------------------------------- */

static void store(uint8_t *to, uint64_t value, unsigned width)
{
	for (unsigned i = 0; i < width; i++)
		to[i] = (uint8_t)(value >> 8 * i);
}

static uint64_t fetch(const uint8_t *from, unsigned width)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < width; i++)
		value |= (uint64_t)from[i] << 8 * i;
	return value;
}

/* The fields of a struct lie as in the stream, but in this machine's order. */
static void store_fields(const struct rk__ext_record *r, uint8_t *to,
			 const uint8_t *fields)
{
	for (unsigned i = 0; i < r->n_fields; i++) {
		unsigned width = r->field[i].width;
		uint64_t wide;
		uint32_t narrow;

		memcpy(&narrow, fields, sizeof narrow);
		wide = narrow;
		if (width == sizeof wide)
			memcpy(&wide, fields, sizeof wide);
		store(to, wide, width);
		fields += width;
		to += width;
	}
}

static void fetch_fields(const struct rk__ext_record *r, uint8_t *fields,
			 const uint8_t *from)
{
	for (unsigned i = 0; i < r->n_fields; i++) {
		unsigned width = r->field[i].width;
		uint64_t wide = fetch(from, width);
		uint32_t narrow = (uint32_t)wide;

		if (width == sizeof wide)
			memcpy(fields, &wide, sizeof wide);
		else
			memcpy(fields, &narrow, sizeof narrow);
		fields += width;
		from += width;
	}
}

/* Of a record's head and of what follows it. */
static uint64_t check_of(const uint8_t *head, const uint8_t *fields, size_t n,
			 const void *tail, size_t tail_len)
{
	uint64_t part[3];

	part[0] = fetch(head, 8);
	part[1] = XXH3_64bits(fields, n);
	part[2] = XXH3_64bits(tail ? tail : "", tail_len);
	return XXH3_64bits(part, sizeof part);
}

static uint64_t add(uint64_t sum, uint64_t check)
{
	uint64_t both[2] = { sum, check };

	return XXH3_64bits(both, sizeof both);
}

/* --- writing ---------------------------------------------------------------- */

static void put(struct rk__ext_out *o, const void *bytes, size_t n)
{
	if (!o->error && n)
		o->error = o->put(o->ctx, bytes, n);
}

void rk__ext_begin(struct rk__ext_out *o)
{
	uint8_t head[HEAD] = MAGIC;

	o->records = o->sum = 0;
	o->error = 0;
	store(head + 8, rk__ext_version(), 4);
	put(o, head, sizeof head);
}

void rk__ext_put(struct rk__ext_out *o, enum rk__ext_number number,
		 const void *fields, const void *tail, size_t tail_len)
{
	const struct rk__ext_record *r = rk__ext_find(number);
	uint8_t bytes[RECORD_HEAD + FIELDS_MAX];
	uint64_t check;

	if (tail_len > (size_t)RK_EXT_RECORD_MAX - r->bytes) {
		o->error = o->error ? o->error : -EFBIG;
		return;
	}
	store_fields(r, bytes + RECORD_HEAD, fields);
	store(bytes, r->number, 2);
	store(bytes + 2, r->version, 2);
	store(bytes + 4, r->bytes + tail_len, 4);
	check = check_of(bytes, bytes + RECORD_HEAD, r->bytes, tail, tail_len);
	store(bytes + 8, check, 8);
	o->sum = add(o->sum, check);
	o->records++;
	put(o, bytes, RECORD_HEAD + r->bytes);
	put(o, tail, tail_len);
}

int rk__ext_end(struct rk__ext_out *o)
{
	struct rk__ext_end end = { .records = o->records, .check = o->sum };

	rk__ext_put(o, RK_EXT_NO_end, &end, NULL, 0);
	return o->error;
}

int rk__ext_load(int fd, uint8_t **ret, size_t *ret_len)
{
	struct stat st;
	size_t done = 0;
	uint8_t *p;

	if (fstat(fd, &st) < 0)
		return -errno;
	p = malloc(st.st_size ? (size_t)st.st_size : 1);
	if (!p)
		return -ENOMEM;
	while (done < (size_t)st.st_size) {
		ssize_t n = pread(fd, p + done, (size_t)st.st_size - done,
				  (off_t)done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	*ret = p;
	*ret_len = done;
	return 0;
}

/* --- reading ---------------------------------------------------------------- */

int rk__ext_refuse(struct rk__ext_in *in, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(in->error, RK_SERVER_ERROR_LEN, format, list);
	va_end(list);
	return -EPROTO;
}

int rk__ext_open(struct rk__ext_in *in, const void *bytes, size_t length,
		 char *error)
{
	uint32_t version;

	*in = (struct rk__ext_in){
		.bytes = bytes, .length = length, .at = HEAD, .error = error,
	};
	if (length < HEAD || memcmp(bytes, MAGIC, 8) != 0)
		return rk__ext_refuse(in, "it is no exported state");
	version = (uint32_t)fetch(in->bytes + 8, 4);
	if (version != rk__ext_version())
		return rk__ext_refuse(in, "it is a state of version %u, and "
				      "this build reads version %u", version,
				      rk__ext_version());
	return 0;
}

static int truncated(struct rk__ext_in *in)
{
	return rk__ext_refuse(in, "the state is truncated after %zu bytes",
			      in->length);
}

static int take_fields(struct rk__ext_in *in, const uint8_t *head,
		       uint32_t length, struct rk__ext_item *ret)
{
	const struct rk__ext_record *r = ret->record;

	fetch_fields(r, (uint8_t *)&ret->as, head + RECORD_HEAD);
	ret->tail = head + RECORD_HEAD + r->bytes;
	ret->tail_len = length - r->bytes;
	if (ret->tail_len && !r->tail)
		return rk__ext_refuse(in, "a record '%s' of the state is too "
				      "long", r->name);
	return 0;
}

static int take_end(struct rk__ext_in *in, const struct rk__ext_item *item)
{
	if (item->as.end.records != in->records ||
	    item->as.end.check != in->sum)
		return rk__ext_refuse(in, "records are missing in the state");
	if (in->at != in->length && !in->more)
		return rk__ext_refuse(in, "something follows the end of the "
				      "state");
	return 0;
}

int rk__ext_next(struct rk__ext_in *in, struct rk__ext_item *ret)
{
	const uint8_t *head = in->bytes + in->at;
	size_t left = in->length - in->at;
	uint64_t check;
	uint32_t length;
	int e;

	if (left < RECORD_HEAD)
		return truncated(in);
	length = (uint32_t)fetch(head + 4, 4);
	if (length > left - RECORD_HEAD)
		return truncated(in);
	ret->record = rk__ext_find((unsigned)fetch(head, 2));
	if (!ret->record || fetch(head + 2, 2) != ret->record->version)
		return rk__ext_refuse(in, "the state has records that this "
				      "build does not know (%u, version %u)",
				      (unsigned)fetch(head, 2),
				      (unsigned)fetch(head + 2, 2));
	if (length < ret->record->bytes || length > RK_EXT_RECORD_MAX)
		return rk__ext_refuse(in, "the state is damaged at byte %zu",
				      in->at);
	e = take_fields(in, head, length, ret);
	if (e < 0)
		return e;
	check = fetch(head + 8, 8);
	if (check != check_of(head, head + RECORD_HEAD, ret->record->bytes,
			      ret->tail, ret->tail_len))
		return rk__ext_refuse(in, "the state is damaged at byte %zu",
				      in->at);
	in->at += RECORD_HEAD + length;
	if (ret->record->number == RK_EXT_NO_end)
		return take_end(in, ret);
	in->records++;
	in->sum = add(in->sum, check);
	return 1;
}
