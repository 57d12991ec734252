/*
 * dirents.c - fuzzes what lays out a server's entries as the kernel's: whatever
 * it says lies within the buffer, and what is given back can be walked.
 */
#include <assert.h>
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include "route/files_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const uint8_t *buf, size_t n, size_t room, bool old)
{
	size_t at = 0;

	assert(n <= room);
	while (at < n) {
		const struct dirent *d = (const void *)(buf + at);

		assert(n - at >= 24 && d->d_reclen % 8 == 0);
		assert(d->d_reclen >= 24 && d->d_reclen <= n - at);
		assert(memchr(buf + at + (old ? 18 : 19), 0,
			      d->d_reclen - (old ? 18u : 19u)));
		at += d->d_reclen;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t n, room;
	uint64_t next;
	uint8_t *buf;
	bool all, old;
	int64_t r;

	if (size < 2)
		return 0;
	old = data[0] & 1;
	n = size - 2;
	room = data[1] < 250 ? data[1] * 8u : n;
	buf = malloc(n + 1);
	memcpy(buf, data + 2, n);
	r = rk__dirents(buf, n, room, old, &next, &all);
	if (r >= 0)
		walk(buf, (size_t)r, room, old);
	else
		assert(r == -EPROTO);
	free(buf);
	return 0;
}
