/*
 * reader.c - libarchive over the host's file, from any place in it.
 *
 * A server can open no files, so what the C library reads from files when it is
 * first asked (time zone, character sets, a locale) is asked for when the
 * driver is loaded. It looks again for a time zone that nobody has named; so in
 * the server the usual one is named, and only there.
 */
#include <iconv.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "archive.h"

enum { BUFFER = 64 << 10 };

#define ZONE ":/etc/localtime"

static locale_t ours, before;

__attribute__((constructor))
static void warm_up(void)
{
	iconv_t cd = iconv_open("UTF-8", "UTF-8");
	bool unnamed = !getenv("TZ");

	if (cd != (iconv_t)-1)
		iconv_close(cd);
	if (unnamed)
		setenv("TZ", ZONE, 1);
	tzset();
	if (unnamed)
		unsetenv("TZ");
	ours = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

void rk__locale_enter(void)
{
	setenv("TZ", ZONE, 0);
	if (ours)
		before = uselocale(ours);
}

void rk__locale_leave(void)
{
	if (ours)
		uselocale(before);
}

static la_ssize_t take(struct archive *a, void *ctx, const void **ret)
{
	struct reader *r = ctx;
	const struct rk_host *h = &r->t->host;
	uint64_t size = h->size(h->ctx);
	size_t n = BUFFER;

	if (r->at >= size)
		return 0;
	if (n > size - r->at)
		n = (size_t)(size - r->at);
	if (h->read(h->ctx, r->buffer, n, r->at) < 0) {
		archive_set_error(a, EIO, "the file cannot be read");
		return ARCHIVE_FATAL;
	}
	r->at += n;
	*ret = r->buffer;
	return (la_ssize_t)n;
}

static la_int64_t skip(struct archive *a, void *ctx, la_int64_t n)
{
	struct reader *r = ctx;
	uint64_t size = r->t->host.size(r->t->host.ctx);

	if (n <= 0 || r->at >= size)
		return 0;
	if ((uint64_t)n > size - r->at)
		n = (la_int64_t)(size - r->at);
	r->at += (uint64_t)n;
	return n;
}

static la_int64_t seek(struct archive *a, void *ctx, la_int64_t off, int whence)
{
	struct reader *r = ctx;
	int64_t size = (int64_t)(r->t->host.size(r->t->host.ctx) - r->base);
	int64_t from = whence == SEEK_SET ? 0 :
		       whence == SEEK_CUR ? (int64_t)(r->at - r->base) : size;

	if (__builtin_add_overflow(from, off, &off) || off < 0 || off > size)
		return ARCHIVE_FATAL;
	r->at = r->base + (uint64_t)off;
	return off;
}

/* None of these starts a program, as some filters of libarchive do. */
static void support(struct archive *a, bool whole)
{
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_lzma(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_filter_lz4(a);
	archive_read_support_filter_compress(a);
	archive_read_support_format_tar(a);
	archive_read_support_format_cpio(a);
	archive_read_support_format_zip_streamable(a);
	/* the one that finds its members from the end of the file */
	if (whole)
		archive_read_support_format_zip_seekable(a);
}

void rk__reader_close(struct reader *r)
{
	if (r->a)
		archive_read_free(r->a);
	free(r->buffer);
	*r = (struct reader){ 0 };
}

int rk__reader_open(struct tree *t, struct reader *r, uint64_t base,
		    bool whole)
{
	*r = (struct reader){ .t = t, .base = base, .at = base,
			      .whole = whole };
	r->buffer = malloc(BUFFER);
	r->a = archive_read_new();
	if (!r->buffer || !r->a) {
		rk__reader_close(r);
		return -ENOMEM;
	}
	support(r->a, whole);
	archive_read_set_callback_data(r->a, r);
	archive_read_set_read_callback(r->a, take);
	archive_read_set_skip_callback(r->a, skip);
	if (whole)
		archive_read_set_seek_callback(r->a, seek);
	return archive_read_open1(r->a) == ARCHIVE_FATAL ? -EIO : 0;
}

int rk__reader_next(struct reader *r, struct archive_entry **ret)
{
	int e;

	do {
		e = archive_read_next_header(r->a, ret);
	} while (e == ARCHIVE_RETRY);
	if (e == ARCHIVE_EOF)
		return 0;
	if (e == ARCHIVE_FATAL || e == ARCHIVE_FAILED)
		return -EIO;
	r->member++;
	r->off = 0;
	return 1;
}

void rk__reader_sentence(struct reader *r, const char *what, char *buf,
			 size_t size)
{
	const char *said = r->a ? archive_error_string(r->a) : NULL;

	snprintf(buf, size, "%s%s%.120s", what, said ? ": " : "",
		 said ? said : "");
	for (; *buf; buf++)
		if ((unsigned char)*buf < ' ')
			*buf = ' ';
}
