/*
 * files_io.c - read, write and their like.
 *
 * Theory of operation. Bytes go in pieces of at most RK_IO_MAX, which is also
 * what one request carries: where the caller's memory is another process's, so
 * much is copied at once. A piece that comes back short ends the call, and what
 * was moved before a failure is its answer. Memory that is not there is only
 * spoken of after the server had its say about the descriptor, as the kernel
 * does it.
 */
#include <stdlib.h>
#include <unistd.h>
#include "files_int.h"

enum { VECTOR_MAX = 1024, VECTOR_FEW = 8 };

static uint8_t nothing;			/* what a length of 0 points to */

static void *room(struct rk__task *t, uint64_t at, uint64_t n)
{
	return n ? t->host->out(t, at, n) : &nothing;
}

static const void *bytes(struct rk__task *t, uint64_t at, uint64_t n)
{
	return n ? t->host->in(t, at, n) : &nothing;
}

/* --- one buffer ----------------------------------------------------------------- */

struct plain {
	struct rk__task *t;
	struct rk__target f;
	uint64_t at;
	int64_t offset;
	bool own;			/* the descriptor's offset */
};

static int64_t read_piece(const struct plain *p, uint64_t done, uint64_t n)
{
	const struct rk__host *host = p->t->host;
	void *to = room(p->t, p->at + done, n);
	int64_t at = (int64_t)((uint64_t)p->offset + done), r;

	if (!to)
		return -EFAULT;
	r = p->own ? rk_read(p->f.client, p->f.fd, to, n) :
		     rk_pread(p->f.client, p->f.fd, to, n, at);
	if (n && host->out_done(p->t, p->at + done, to,
				r > 0 ? (size_t)r : 0) < 0)
		return -EFAULT;
	return r;
}

static int64_t write_piece(const struct plain *p, uint64_t done, uint64_t n)
{
	const void *from = bytes(p->t, p->at + done, n);
	int64_t at = (int64_t)((uint64_t)p->offset + done);

	if (!from)
		return -EFAULT;
	return p->own ? rk_write(p->f.client, p->f.fd, from, n) :
			rk_pwrite(p->f.client, p->f.fd, from, n, at);
}

static int64_t plain(const struct plain *p, uint64_t count, bool write)
{
	uint64_t done = 0, n;
	int64_t r = -EFAULT;

	/* So long a buffer lies in nobody's memory. */
	if (count <= INT64_MAX) {
		count = rk__least(count, RK__COUNT_MAX);
		do {
			n = rk__least(count - done, RK_IO_MAX);
			r = write ? write_piece(p, done, n) :
				    read_piece(p, done, n);
			if (r > 0)
				done += (uint64_t)r;
		} while (r > 0 && (uint64_t)r == n && done < count);
	}
	if (done)
		return (int64_t)done;
	if (r == -EFAULT) {
		r = write ? write_piece(p, 0, 0) : read_piece(p, 0, 0);
		r = r < 0 ? r : -EFAULT;
	}
	return r;
}

static enum rk__routed own(struct rk__task *t, const uint64_t arg[6],
			   int64_t *ret, bool write)
{
	struct plain p = { .t = t, .at = arg[1], .own = true };

	if (!rk__find(t, arg[0], &p.f))
		return RK__NATIVE;
	return rk__done(ret, plain(&p, arg[2], write));
}

static enum rk__routed placed(struct rk__task *t, const uint64_t arg[6],
			      int64_t *ret, bool write)
{
	struct plain p = {
		.t = t, .at = arg[1], .offset = (int64_t)arg[3],
	};

	if (!rk__find(t, arg[0], &p.f))
		return RK__NATIVE;
	if (p.offset < 0)
		return rk__done(ret, -EINVAL);
	return rk__done(ret, plain(&p, arg[2], write));
}

RK__FILE_CALL(read)
{
	return own(t, arg, ret, false);
}

RK__FILE_CALL(write)
{
	return own(t, arg, ret, true);
}

RK__FILE_CALL(pread64)
{
	return placed(t, arg, ret, false);
}

RK__FILE_CALL(pwrite64)
{
	return placed(t, arg, ret, true);
}

/* --- gathers -------------------------------------------------------------------- */

/* The caller's vector, and the part of it that is on its way. */
struct vector {
	struct rk__task *t;
	struct iovec *theirs, *here;
	uint64_t *at;			/* of here[i] at the caller's */
	unsigned n, n_here;
	unsigned next;			/* of theirs; */
	uint64_t next_at;		/* its bytes that are done */
	bool write;
	struct {
		struct iovec theirs[VECTOR_FEW], here[VECTOR_FEW];
		uint64_t at[VECTOR_FEW];
	} few;
};

static int make_room(struct vector *v)
{
	uint8_t *p;

	v->theirs = v->few.theirs;
	v->here = v->few.here;
	v->at = v->few.at;
	if (v->n <= VECTOR_FEW)
		return 0;
	p = calloc(v->n, 2 * sizeof(struct iovec) + sizeof(uint64_t));
	if (!p)
		return -ENOMEM;
	v->theirs = (struct iovec *)p;
	v->here = v->theirs + v->n;
	v->at = (uint64_t *)(v->here + v->n);
	return 0;
}

static void finish(struct vector *v)
{
	if (v->theirs != v->few.theirs)
		free(v->theirs);
}

int64_t rk__vector_check(struct iovec *v, unsigned n)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < n; i++) {
		if (v[i].iov_len > INT64_MAX)
			return -EINVAL;
		v[i].iov_len = rk__least(v[i].iov_len, RK__COUNT_MAX - sum);
		sum += v[i].iov_len;
	}
	return (int64_t)sum;
}

static int64_t begin(struct vector *v, uint64_t at, uint64_t n)
{
	int r;

	v->theirs = v->few.theirs;
	if (n > VECTOR_MAX)
		return -EINVAL;
	v->n = (unsigned)n;
	r = make_room(v);
	if (r == 0 && n)
		r = v->t->host->copy_in(v->t, v->theirs, at,
					n * sizeof *v->theirs);
	return r < 0 ? r : rk__vector_check(v->theirs, v->n);
}

/* The next piece of at most RK_IO_MAX: how many bytes. It ends before memory
 * that is not there; -EFAULT if it begins with it. */
static int64_t next_piece(struct vector *v)
{
	uint64_t sum = 0;

	v->n_here = 0;
	while (v->next < v->n && sum < RK_IO_MAX) {
		const struct iovec *i = &v->theirs[v->next];
		uint64_t at = (uintptr_t)i->iov_base + v->next_at;
		uint64_t n = rk__least(i->iov_len - v->next_at,
				       RK_IO_MAX - sum);
		void *p = v->write ? (void *)(uintptr_t)bytes(v->t, at, n) :
				     room(v->t, at, n);

		if (!p)
			return sum ? (int64_t)sum : -EFAULT;
		if (n) {
			v->at[v->n_here] = at;
			v->here[v->n_here++] = (struct iovec){ p, n };
		}
		sum += n;
		v->next_at += n;
		if (v->next_at == i->iov_len) {
			v->next++;
			v->next_at = 0;
		}
	}
	return (int64_t)sum;
}

/* Hands over what was read. */
static int piece_done(struct vector *v, int64_t got)
{
	uint64_t left = got > 0 ? (uint64_t)got : 0, n;
	int r = 0;

	for (unsigned i = 0; !v->write && i < v->n_here; i++) {
		n = rk__least(left, v->here[i].iov_len);
		if (v->t->host->out_done(v->t, v->at[i], v->here[i].iov_base,
					 n) < 0)
			r = -EFAULT;
		left -= n;
	}
	return r;
}

static int64_t move(const struct vector *v, const struct rk__target *f,
		    int64_t offset, uint32_t flags)
{
	int n = (int)v->n_here;

	/* One buffer needs no gathering, and so no copy. */
	if (n == 1 && !flags && v->write)
		return offset < 0 ? rk_write(f->client, f->fd,
					     v->here->iov_base,
					     v->here->iov_len) :
				    rk_pwrite(f->client, f->fd,
					      v->here->iov_base,
					      v->here->iov_len, offset);
	if (n == 1 && !flags)
		return offset < 0 ? rk_read(f->client, f->fd,
					    v->here->iov_base,
					    v->here->iov_len) :
				    rk_pread(f->client, f->fd,
					     v->here->iov_base,
					     v->here->iov_len, offset);
	return v->write ?
		rk_pwritev2(f->client, f->fd, v->here, n, offset, flags) :
		rk_preadv2(f->client, f->fd, v->here, n, offset, flags);
}

int64_t rk__vector(struct rk__task *t, const struct rk__target *f, uint64_t at,
		   uint64_t n, int64_t offset, uint32_t flags, bool write)
{
	struct vector v = { .t = t, .write = write };
	int64_t total = begin(&v, at, n), r, piece;
	uint64_t done = 0;

	r = total;
	while (r >= 0) {
		piece = next_piece(&v);
		if (piece < 0)
			v.n_here = 0;
		r = move(&v, f, offset < 0 ? -1 : offset + (int64_t)done,
			 flags);
		if (r >= 0 && piece < 0)
			r = piece;
		if (piece_done(&v, r) < 0)
			r = -EFAULT;
		if (r > 0)
			done += (uint64_t)r;
		if (r != piece || done >= (uint64_t)total)
			break;
	}
	finish(&v);
	return done ? (int64_t)done : r;
}

static enum rk__routed vector(struct rk__task *t, const uint64_t arg[6],
			      int64_t *ret, int64_t offset, uint32_t flags,
			      bool write)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	/* -1 is only readv's way to say that the offset is the descriptor's. */
	if (offset < -1)
		return rk__done(ret, -EINVAL);
	return rk__done(ret, rk__vector(t, &f, arg[1], arg[2], offset, flags,
					write));
}

RK__FILE_CALL(readv)
{
	return vector(t, arg, ret, -1, 0, false);
}

RK__FILE_CALL(writev)
{
	return vector(t, arg, ret, -1, 0, true);
}

/* Of the two words of the offset the second is for machines of 32 bits. */
RK__FILE_CALL(preadv)
{
	int64_t offset = (int64_t)arg[3];

	return vector(t, arg, ret, offset < 0 ? -2 : offset, 0, false);
}

RK__FILE_CALL(pwritev)
{
	int64_t offset = (int64_t)arg[3];

	return vector(t, arg, ret, offset < 0 ? -2 : offset, 0, true);
}

RK__FILE_CALL(preadv2)
{
	return vector(t, arg, ret, (int64_t)arg[3], (uint32_t)arg[5], false);
}

RK__FILE_CALL(pwritev2)
{
	return vector(t, arg, ret, (int64_t)arg[3], (uint32_t)arg[5], true);
}

RK__FILE_CALL(lseek)
{
	struct rk__target f;
	int64_t r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	r = rk_lseek(f.client, f.fd, (int64_t)arg[1], (uint32_t)arg[2]);
	/* What is no way to seek is none of a FIFO either. */
	if (r == -ESPIPE && (uint32_t)arg[2] > SEEK_HOLE)
		r = -EINVAL;
	return rk__done(ret, r);
}
