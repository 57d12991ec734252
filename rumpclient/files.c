/*
 * files.c - calls of the system that are made of others here: gathers, statx,
 * and bytes that cross the border between server and host.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "client_int.h"
#include "statx.h"

enum { CARRY = 64 << 10 };		/* bytes that cross the border at once */

/* --- gathers ------------------------------------------------------------------ */

static int64_t total_of(const struct iovec *iov, int n)
{
	uint64_t sum = 0;

	if (n < 0 || n > IOV_MAX)
		return -EINVAL;
	for (int i = 0; i < n; i++)
		if (__builtin_add_overflow(sum, iov[i].iov_len, &sum) ||
		    sum > INT64_MAX)
			return -EINVAL;
	return (int64_t)sum;
}

/* Copies between the bytes [at, at + n) of all buffers and one. */
static void copy_part(const struct iovec *iov, uint64_t at, uint8_t *one,
		      uint64_t n, bool to_iov)
{
	for (; n > 0; iov++) {
		uint64_t len = iov->iov_len - at;

		if (at >= iov->iov_len) {
			at -= iov->iov_len;
			continue;
		}
		len = len < n ? len : n;
		if (to_iov)
			memcpy((uint8_t *)iov->iov_base + at, one, len);
		else
			memcpy(one, (uint8_t *)iov->iov_base + at, len);
		one += len;
		n -= len;
		at = 0;
	}
}

struct gather {
	struct rk_client *client;
	int32_t fd;
	const struct iovec *iov;
	int64_t offset;
	uint32_t flags;
	bool write;
};

static int64_t one_piece(const struct gather *g, uint8_t *buf, uint64_t piece,
			 uint64_t done)
{
	int64_t at = g->offset < 0 ? g->offset : g->offset + (int64_t)done, r;

	if (g->write) {
		copy_part(g->iov, done, buf, piece, false);
		return rk_pwrite2(g->client, g->fd, buf, piece, at, g->flags);
	}
	r = rk_pread2(g->client, g->fd, buf, piece, at, g->flags);
	if (r > 0)
		copy_part(g->iov, done, buf, (uint64_t)r, true);
	return r;
}

static int64_t gather(const struct gather *g, int n)
{
	int64_t total = total_of(g->iov, n), r = 0;
	uint64_t piece, done = 0;
	uint8_t *buf;

	if (total < 0)
		return total;
	if (g->offset < -1)
		return -EINVAL;
	buf = malloc(rk__piece_of(g->client, (uint64_t)total) + 1);
	if (!buf)
		return -ENOMEM;
	do {
		piece = rk__piece_of(g->client, (uint64_t)total - done);
		r = one_piece(g, buf, piece, done);
		if (r > 0)
			done += (uint64_t)r;
	} while (r > 0 && (uint64_t)r == piece && done < (uint64_t)total);
	free(buf);
	return done ? (int64_t)done : r;
}

int64_t rk_preadv2(struct rk_client *client, int32_t fd,
		   const struct iovec *iov, int n, int64_t offset,
		   uint32_t flags)
{
	return gather(&(struct gather){
		.client = client, .fd = fd, .iov = iov, .offset = offset,
		.flags = flags,
	}, n);
}

int64_t rk_pwritev2(struct rk_client *client, int32_t fd,
		    const struct iovec *iov, int n, int64_t offset,
		    uint32_t flags)
{
	return gather(&(struct gather){
		.client = client, .fd = fd, .iov = iov, .offset = offset,
		.flags = flags, .write = true,
	}, n);
}

int64_t rk_readv(struct rk_client *client, int32_t fd, const struct iovec *iov,
		 int n)
{
	return rk_preadv2(client, fd, iov, n, -1, 0);
}

int64_t rk_writev(struct rk_client *client, int32_t fd,
		  const struct iovec *iov, int n)
{
	return rk_pwritev2(client, fd, iov, n, -1, 0);
}

/* --- statx -------------------------------------------------------------------- */

int rk_statx(struct rk_client *client, int32_t dirfd, const char *path,
	     uint32_t flags, uint32_t mask, struct statx *ret)
{
	struct rk_stat st;
	int64_t r;

	if (mask & STATX__RESERVED)
		return -EINVAL;
	r = rk_fstatat(client, dirfd, path, &st, flags);
	if (r < 0)
		return (int)r;
	rk__statx_of(&st, st.dev, ret);
	return 0;
}

/* --- across the border ---------------------------------------------------------- */

static int64_t write_host(int host, const uint8_t *buf, uint64_t n)
{
	ssize_t r = write(host, buf, n);

	return r < 0 ? -errno : r;
}

int64_t rk_send_to_host(struct rk_client *client, int host, int32_t fd,
			int64_t *offset, uint64_t count)
{
	int64_t at = offset ? *offset : rk_lseek(client, fd, 0, SEEK_CUR), r = 0;
	uint64_t done = 0, piece;
	uint8_t *buf = malloc(CARRY);

	if (at < 0 || !buf) {
		free(buf);
		return at < 0 ? at : -ENOMEM;
	}
	while (done < count) {
		piece = count - done < CARRY ? count - done : CARRY;
		r = rk_pread(client, fd, buf, piece, at + (int64_t)done);
		if (r > 0)
			r = write_host(host, buf, (uint64_t)r);
		if (r <= 0)
			break;
		done += (uint64_t)r;
		if ((uint64_t)r < piece)
			break;
	}
	free(buf);
	at += (int64_t)done;
	if (offset)
		*offset = at;
	else if (done)
		(void)rk_lseek(client, fd, at, SEEK_SET);
	return done ? (int64_t)done : r;
}

int64_t rk_receive_from_host(struct rk_client *client, int32_t fd,
			     int64_t *offset, int host, uint64_t count)
{
	uint64_t done = 0, piece;
	uint8_t *buf = malloc(CARRY);
	int64_t r = 0;

	if (!buf)
		return -ENOMEM;
	while (done < count) {
		piece = count - done < CARRY ? count - done : CARRY;
		r = read(host, buf, piece);
		if (r < 0)
			r = -errno;
		else if (r > 0)
			r = offset ? rk_pwrite(client, fd, buf, (uint64_t)r,
					       *offset + (int64_t)done) :
				     rk_write(client, fd, buf, (uint64_t)r);
		if (r <= 0)
			break;
		done += (uint64_t)r;
		if ((uint64_t)r < piece)
			break;
	}
	free(buf);
	if (offset)
		*offset += (int64_t)done;
	return done ? (int64_t)done : r;
}
