/*
 * external_image.c - the device of a mount in the external form: which it is,
 * and each of its blocks that is not zero, as the server sees them now.
 */
#include <string.h>
#include <xxhash.h>
#include "external.h"
#include "vfs_int.h"

enum { PIECE = 64 << 10 };

static bool is_zero(const uint8_t *p, size_t n)
{
	return !p[0] && memcmp(p, p + 1, n - 1) == 0;
}

static int read_piece(const struct rk_host *h, uint8_t *buf, uint64_t off,
		      uint64_t size)
{
	uint64_t n = size - off < PIECE ? size - off : PIECE;

	memset(buf + n, 0, PIECE - n);
	return h->read(h->ctx, buf, n, off);
}

static void put_blocks(struct rk__ext_out *o, uint32_t mount,
		       const uint8_t *piece, uint64_t off)
{
	for (size_t at = 0; at < PIECE; at += RK_PAGE) {
		struct rk__ext_block b = {
			.mount = mount, .block = (off + at) / RK_PAGE,
		};

		if (!is_zero(piece + at, RK_PAGE))
			rk__ext_put(o, RK_EXT_NO_block, &b, piece + at,
				    RK_PAGE);
	}
}

int rk__ext_write_image(struct rk__ext_out *o, uint32_t mount)
{
	static uint8_t piece[PIECE];
	const struct rk_host *h = rk__vfs_device(mount);
	uint64_t size = h->size(h->ctx);
	struct rk__ext_image image = { .mount = mount, .size = size };
	int e = 0;

	rk__ext_put(o, RK_EXT_NO_image, &image, NULL, 0);
	for (uint64_t off = 0; off < size && !e && !o->error; off += PIECE) {
		e = read_piece(h, piece, off, size);
		if (!e)
			put_blocks(o, mount, piece, off);
	}
	return e ? e : o->error;
}
