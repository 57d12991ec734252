/*
 * files_move.c - bytes from one descriptor to another, of which at least one is a
 * server's: copy_file_range, sendfile, splice and their like.
 *
 * Theory of operation. What can be read at an offset is read there, and the
 * offset moves on by what arrived: nothing is lost when the other side takes
 * less or fails. What comes out of a pipe or a socket is gone from there; it is
 * written on until all has arrived or the other side fails. Into a pipe go at
 * most PIPE_BUF bytes while poll says that there is room, so that a program
 * that is itself the reader never waits for itself.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "files_int.h"

#ifndef SPLICE_F_NONBLOCK
enum { SPLICE_F_NONBLOCK = 2 };
#endif

enum {
	CARRY = 64 << 10,		/* bytes at once */
	SPLICE_KNOWN = 0xf,
};

/* One side. */
struct end {
	bool ours;
	struct rk__target at;
	int host;			/* borrowed, or negative */
	bool pipe;			/* a FIFO, on either side */
	bool seeks;
	int64_t flags;			/* O_* */
	uint64_t where;			/* of the caller's offset; 0: its own */
	int64_t offset;			/* where it stands */
};

static int look_at_ours(struct end *e)
{
	struct rk_stat st;
	int64_t r = rk_getfl(e->at.client, e->at.fd);

	e->flags = r;
	if (r >= 0 && (r & O_PATH))
		return -EBADF;
	if (r >= 0)
		r = rk_fstat(e->at.client, e->at.fd, &st);
	if (r < 0)
		return (int)r;
	e->pipe = S_ISFIFO(st.mode);
	e->seeks = !e->pipe;
	if (e->seeks)
		e->offset = rk_lseek(e->at.client, e->at.fd, 0, SEEK_CUR);
	return 0;
}

static int look_at_host(struct end *e)
{
	struct stat st;

	e->flags = fcntl(e->host, F_GETFL);
	if (e->flags < 0 || (e->flags & O_PATH) || fstat(e->host, &st) < 0)
		return -EBADF;
	e->pipe = S_ISFIFO(st.st_mode);
	e->offset = e->pipe ? -1 : lseek(e->host, 0, SEEK_CUR);
	e->seeks = e->offset >= 0;
	return 0;
}

static int begin(struct rk__task *t, uint64_t word, bool writes,
		 struct end *ret)
{
	int wrong = writes ? O_RDONLY : O_WRONLY, r;

	*ret = (struct end){ .host = -1 };
	ret->ours = rk__find(t, word, &ret->at);
	if (ret->ours) {
		r = look_at_ours(ret);
	} else {
		ret->host = t->host->borrow(t, (int)word);
		r = ret->host < 0 ? -EBADF : look_at_host(ret);
	}
	return r < 0 ? r : (ret->flags & O_ACCMODE) == wrong ? -EBADF : 0;
}

static void end(struct rk__task *t, struct end *e)
{
	if (e->host >= 0)
		t->host->give_back(t, e->host);
}

/* The caller's own offset instead of the descriptor's. */
static int64_t place(struct rk__task *t, struct end *e, uint64_t where)
{
	e->where = where;
	if (!where)
		return 0;
	if (t->host->copy_in(t, &e->offset, where, sizeof e->offset) < 0)
		return -EFAULT;
	return e->offset < 0 ? -EINVAL : 0;
}

/* Says where it stands now. */
static int64_t placed(struct rk__task *t, const struct end *e)
{
	if (e->where)
		return t->host->copy_out(t, e->where, &e->offset,
					 sizeof e->offset);
	if (!e->seeks)
		return 0;
	return e->ours ? rk_lseek(e->at.client, e->at.fd, e->offset, SEEK_SET) :
			 lseek(e->host, e->offset, SEEK_SET);
}

static int64_t get(struct end *e, uint8_t *buf, uint64_t n)
{
	ssize_t r;

	if (e->ours)
		return e->seeks ? rk_pread(e->at.client, e->at.fd, buf, n,
					   e->offset) :
				  rk_read(e->at.client, e->at.fd, buf, n);
	r = e->seeks ? pread(e->host, buf, n, e->offset) :
		       read(e->host, buf, n);
	return r < 0 ? -errno : r;
}

/* With the descriptor's own offset it is write, which knows of O_APPEND. */
static int64_t put(struct end *e, const uint8_t *buf, uint64_t n)
{
	ssize_t r;

	if (e->ours)
		return e->where ? rk_pwrite(e->at.client, e->at.fd, buf, n,
					    e->offset) :
				  rk_write(e->at.client, e->at.fd, buf, n);
	r = e->where ? pwrite(e->host, buf, n, e->offset) :
		       write(e->host, buf, n);
	return r < 0 ? -errno : r;
}

/* Ready at once, or after a wait? */
static int64_t ready(const struct end *e, bool writes, bool wait)
{
	struct rk_pollfd p = {
		.client = e->ours ? e->at.client : NULL,
		.fd = e->ours ? e->at.fd : e->host,
		.events = writes ? POLLOUT : POLLIN,
	};
	int r = rk_poll(&p, 1, wait ? -1 : 0);

	return r == 0 ? -EAGAIN : r < 0 ? r : 0;
}

/* What was taken from a pipe has to arrive. */
static int64_t put_all(struct end *to, const uint8_t *buf, uint64_t n)
{
	uint64_t done = 0;
	int64_t r = 0;

	while (done < n) {
		r = put(to, buf + done, n - done);
		if (r == -EAGAIN)
			r = ready(to, true, true);
		if (r < 0)
			break;
		done += (uint64_t)r;
		if (to->where)
			to->offset += r;
	}
	return done ? (int64_t)done : r;
}

static int64_t carry_piece(struct end *from, struct end *to, uint8_t *buf,
			   uint64_t n)
{
	int64_t got = get(from, buf, n), r;

	if (got <= 0)
		return got;
	if (!from->seeks)
		return put_all(to, buf, (uint64_t)got);
	r = put(to, buf, (uint64_t)got);
	if (r > 0) {
		from->offset += r;
		if (to->where)
			to->offset += r;
	}
	return r;
}

/* Goes on while pieces come whole; into a pipe, while there is room. */
static int64_t carry(struct end *from, struct end *to, uint64_t count)
{
	uint8_t *buf = malloc(CARRY);
	uint64_t done = 0, n, most = to->pipe ? PIPE_BUF : CARRY;
	int64_t r = buf ? 0 : -ENOMEM;

	while (buf && done < count) {
		if (to->pipe && done && ready(to, true, false) < 0)
			break;
		n = rk__least(count - done, most);
		r = carry_piece(from, to, buf, n);
		if (r > 0)
			done += (uint64_t)r;
		if (r < 0 || (uint64_t)r < n)
			break;
		if (from->pipe && ready(from, false, false) < 0)
			break;
	}
	free(buf);
	return done ? (int64_t)done : r;
}

static int64_t moved(struct rk__task *t, struct end *from, struct end *to,
		     int64_t r)
{
	if (r <= 0)
		return r;
	if (from->seeks && placed(t, from) == -EFAULT)
		return -EFAULT;
	if (to->where && placed(t, to) == -EFAULT)
		return -EFAULT;
	return r;
}

/* --- sendfile ---------------------------------------------------------------------- */

static int64_t send_file(struct rk__task *t, const uint64_t arg[6])
{
	struct end from, to = { .host = -1 };
	int64_t r = begin(t, arg[1], false, &from);

	if (r == 0)
		r = begin(t, arg[0], true, &to);
	if (r == 0)
		r = place(t, &from, arg[2]);
	if (r == 0 && from.where && !from.seeks)
		r = -ESPIPE;
	if (r == 0 && (!from.seeks || (to.flags & O_APPEND)))
		r = -EINVAL;
	if (r == 0)
		r = moved(t, &from, &to,
			  carry(&from, &to, rk__least(arg[3],
						      RK__COUNT_MAX)));
	end(t, &from);
	end(t, &to);
	/* Of a directory it is not said what it is. */
	return r == -EISDIR ? -EINVAL : r;
}

RK__FILE_CALL(sendfile)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f) && !rk__find(t, arg[1], &f))
		return RK__NATIVE;
	return rk__done(ret, send_file(t, arg));
}

/* --- splice ------------------------------------------------------------------------ */

static int64_t check_splice(struct rk__task *t, struct end *from,
			    struct end *to, const uint64_t arg[6])
{
	int64_t r;

	if (!from->pipe && !to->pipe)
		return -EINVAL;
	if ((from->pipe && arg[1]) || (to->pipe && arg[3]))
		return -ESPIPE;
	if ((arg[1] && !from->seeks) || (arg[3] && !to->seeks) ||
	    (to->flags & O_APPEND))
		return -EINVAL;
	r = place(t, from, arg[1]);
	return r < 0 ? r : place(t, to, arg[3]);
}

static int64_t splice_ends(struct end *from, struct end *to, uint64_t count,
			   uint32_t flags)
{
	bool pipe_waits = !((from->pipe ? from->flags : to->flags) &
			    O_NONBLOCK);
	bool wait = pipe_waits && !(flags & SPLICE_F_NONBLOCK);
	int64_t r = 0;

	if (from->pipe)
		r = ready(from, false, wait);
	if (r == 0 && to->pipe)
		r = ready(to, true, wait);
	return r < 0 ? r : carry(from, to, rk__least(count, CARRY));
}

static int64_t splice_files(struct rk__task *t, const uint64_t arg[6])
{
	struct end from, to = { .host = -1 };
	int64_t r;

	if (!arg[4])
		return 0;
	if (arg[5] & ~(uint64_t)SPLICE_KNOWN)
		return -EINVAL;
	r = begin(t, arg[0], false, &from);
	if (r == 0)
		r = begin(t, arg[2], true, &to);
	if (r == 0)
		r = check_splice(t, &from, &to, arg);
	if (r == 0)
		r = moved(t, &from, &to, splice_ends(&from, &to, arg[4],
						     (uint32_t)arg[5]));
	end(t, &from);
	end(t, &to);
	return r == -EISDIR ? -EINVAL : r;
}

RK__FILE_CALL(splice)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f) && !rk__find(t, arg[2], &f))
		return RK__NATIVE;
	return rk__done(ret, splice_files(t, arg));
}

/* What lies in a FIFO of a server cannot be looked at and left there. */
RK__FILE_CALL(tee)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f) && !rk__find(t, arg[1], &f))
		return RK__NATIVE;
	return rk__done(ret, -EINVAL);
}

/* Into a FIFO, or out of it, with a copy. */
RK__FILE_CALL(vmsplice)
{
	struct end e;
	struct rk__target f;
	int64_t r;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	e = (struct end){ .ours = true, .at = f, .host = -1 };
	r = look_at_ours(&e);
	if (r == 0 && !e.pipe)
		r = -EBADF;
	if (r == 0)
		r = rk__vector(t, &f, arg[1], arg[2], -1, 0,
			       (e.flags & O_ACCMODE) != O_RDONLY);
	return rk__done(ret, r);
}

/* --- copy_file_range ----------------------------------------------------------------- */

/* *ret -1 is the descriptor's own; what the caller gives is looked at as the
 * kernel does, which takes it for a large number. */
static int64_t copy_offset(struct rk__task *t, uint64_t where, uint64_t count,
			   int64_t *ret)
{
	*ret = -1;
	if (!where)
		return 0;
	if (t->host->copy_in(t, ret, where, sizeof *ret) < 0)
		return -EFAULT;
	if ((uint64_t)*ret + count < count)
		return -EOVERFLOW;
	return *ret < 0 ? -EINVAL : 0;
}

/* Where no file ends, nothing is copied: it is for the server to say why. */
static uint64_t until_end(int64_t offset, uint64_t count)
{
	return offset < 0 ? count :
			    rk__least(count, (uint64_t)(INT64_MAX - offset));
}

static int64_t copy_pieces(const struct rk__target *in,
			   const struct rk__target *out, int64_t *from,
			   int64_t *to, uint64_t count, uint32_t flags)
{
	uint64_t done = 0, n;
	int64_t r;

	do {
		n = rk__least(count - done, RK_IO_MAX);
		r = rk_copy_file_range(in->client, in->fd, *from, out->fd, *to,
				       n, flags);
		if (r <= 0)
			break;
		done += (uint64_t)r;
		*from += *from < 0 ? 0 : r;
		*to += *to < 0 ? 0 : r;
	} while ((uint64_t)r == n && done < count);
	return done ? (int64_t)done : r;
}

static int64_t copy_range(struct rk__task *t, const struct rk__target *in,
			  const struct rk__target *out, const uint64_t arg[6])
{
	uint64_t count = arg[4];
	int64_t from, to, r = copy_offset(t, arg[1], count, &from);

	if (r == 0)
		r = copy_offset(t, arg[3], count, &to);
	if (r == 0 && to == INT64_MAX && count)
		r = -EFBIG;
	if (r == 0) {
		count = until_end(from, until_end(to, count));
		r = copy_pieces(in, out, &from, &to,
				rk__least(count, RK__COUNT_MAX),
				(uint32_t)arg[5]);
	}
	if (r > 0 && arg[1] &&
	    t->host->copy_out(t, arg[1], &from, sizeof from) < 0)
		r = -EFAULT;
	if (r > 0 && arg[3] &&
	    t->host->copy_out(t, arg[3], &to, sizeof to) < 0)
		r = -EFAULT;
	return r;
}

/* Between file systems the kernel refuses it too. */
static int64_t copy_across(struct rk__task *t, const uint64_t arg[6])
{
	struct end from, to = { .host = -1 };
	int64_t r = begin(t, arg[0], false, &from);

	if (r == 0)
		r = begin(t, arg[2], true, &to);
	end(t, &from);
	end(t, &to);
	return r < 0 ? r : (uint32_t)arg[5] ? -EINVAL : -EXDEV;
}

RK__FILE_CALL(copy_file_range)
{
	struct rk__target in, out;
	bool has_in = rk__find(t, arg[0], &in);
	bool has_out = rk__find(t, arg[2], &out);

	if (!has_in && !has_out)
		return RK__NATIVE;
	return rk__done(ret, has_in && has_out && in.server == out.server ?
				     copy_range(t, &in, &out, arg) :
				     copy_across(t, arg));
}
