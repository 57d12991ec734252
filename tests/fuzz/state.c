/*
 * state.c - fuzz target: a state in its external form that may say anything.
 * The input is taken as it is, and as records of which only the sums are put
 * right; what is accepted can be written again, and let go of.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "core/external.h"
#include "core/fd.h"
#include "core/syscalls.h"
#include "recovery/commit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { STREAM_MAX = 4 << 20 };

struct stream {
	uint8_t bytes[STREAM_MAX];
	size_t n;
};

static int put(void *ctx, const void *bytes, size_t n)
{
	struct stream *s = ctx;

	if (n > STREAM_MAX - s->n)
		return -1;
	memcpy(s->bytes + s->n, bytes, n);
	s->n += n;
	return 0;
}

static int read_all(const uint8_t *bytes, size_t n)
{
	char error[RK_SERVER_ERROR_LEN];
	struct rk__ext_item item;
	struct rk__ext_in in;
	int e = rk__ext_open(&in, bytes, n, error);

	while (!e && (e = rk__ext_next(&in, &item)) == 1)
		e = rk__ext_read(&in, &item);
	e = e ? e : rk__ext_read_end(&in);
	assert(!e || memchr(error, 0, sizeof error));
	return e;
}

/* Each: a byte that says which, one how much follows, and the fields. */
static void make(struct stream *s, const uint8_t *data, size_t size)
{
	struct rk__ext_out o = { .put = put, .ctx = s };
	union rk__ext_any any;
	unsigned n = 0;

	while (rk__ext_records[n].name)
		n++;
	s->n = 0;
	rk__ext_begin(&o);
	while (size >= 2) {
		const struct rk__ext_record *r = &rk__ext_records[data[0] % n];
		size_t tail = r->tail ? data[1] : 0;

		data += 2;
		size -= 2;
		if (size < r->bytes + tail)
			break;
		memcpy(&any, data, r->bytes);
		if (r->number != RK_EXT_NO_end)
			rk__ext_put(&o, r->number, &any, data + r->bytes,
				    tail);
		data += r->bytes + tail;
		size -= r->bytes + tail;
	}
	rk__ext_end(&o);
}

static void let_go(void)
{
	uint32_t at = 0, channel;

	while (rk__proc_channel_next(&at, &channel))
		rk__proc_detach(channel);
}

static void fresh(void)
{
	static bool mapped;

	if (!mapped) {
		void *p = mmap((void *)RK_CORE_AT, RK_CORE_SIZE,
			       PROT_READ | PROT_WRITE, MAP_PRIVATE |
			       MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
			       MAP_NORESERVE, -1, 0);

		if (p == MAP_FAILED)
			abort();
		mapped = true;
	}
	rk__notes_clear();
	madvise((void *)RK_CORE_AT, RK_CORE_SIZE, MADV_DONTNEED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct stream s;

	fresh();
	(void)read_all(data, size);
	fresh();
	make(&s, data, size);
	if (read_all(s.bytes, s.n) == 0)
		let_go();
	return 0;
}
