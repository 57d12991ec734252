/*
 * hot_offset.c - read and lseek without a request: offsets that are kept here.
 *
 * Theory of operation. The offset of an open file is the server's, as it may be
 * shared by many. While one descriptor of this process is all that refers to the
 * open file, nobody else can tell: then it is *borrowed*, and kept in a word here. A
 * read takes the bytes at the offset, and claims them by moving it: who is too late
 * reads again from where it stands by then.
 *
 * Every other call that needs the offset, or lets others have the open file, gives it
 * back first, over its own link: all such calls pass rk__hot_give_back, and are
 * counted in the word while they are under way, so that nobody borrows meanwhile. A
 * call that was left by longjmp is counted for ever, and its descriptor asks.
 *
 *	bit 63		borrowed
 *	bit 62		being given back: others wait
 *	48..61		calls under way; while it is borrowed, a count of seeks, so that
 *			nobody claims what he read before one
 *	0..47		offset, while it is borrowed; else a count of changes
 */
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>
#include "hot.h"

#define BORROWED	(1ull << 63)
#define RETURNING	(1ull << 62)
#define CALL		(1ull << 48)
#define CALLS		(RETURNING - CALL)
#define OFFSET		(CALL - 1)

enum { OFTEN = 3 };

static _Atomic uint64_t *place_of(const struct rk_client *c, uint64_t fd)
{
	return fd < RK_HOT_FDS ? &c->hot->fd[fd].place : NULL;
}

/* --- giving back ---------------------------------------------------------------- */

/* Signals are blocked, so that no handler waits for what it interrupted. */
static void give_back(struct rk__link *l, uint64_t fd, uint64_t offset)
{
	struct rk_request req = {
		.op = RK_OP_lseek, .arg = { fd, offset, SEEK_SET },
	};

	(void)rk__call_between(l, &req);
}

/* One more call is under way, if nobody has to be waited for. */
static bool count(_Atomic uint64_t *p)
{
	uint64_t word = atomic_load(p);

	while (!(word & (BORROWED | RETURNING))) {
		if ((word & CALLS) == CALLS ||
		    atomic_compare_exchange_weak(p, &word, word + CALL + 1))
			return true;
	}
	return false;
}

static void enter(struct rk_client *c, struct rk__link *l, uint64_t fd)
{
	_Atomic uint64_t *p = place_of(c, fd);
	uint64_t word, mask;

	if (!p || count(p))
		return;
	mask = rk__block_signals();
	while (!count(p)) {
		word = atomic_load(p);
		if (word & RETURNING) {
			sched_yield();
		} else if ((word & BORROWED) &&
			   atomic_compare_exchange_strong(p, &word,
							  word | RETURNING)) {
			give_back(l, fd, word & OFFSET);
			atomic_store(p, 0);
		}
	}
	rk__restore_signals(mask);
}

static void leave(struct rk_client *c, uint64_t fd)
{
	_Atomic uint64_t *p = place_of(c, fd);
	uint64_t word = p ? atomic_load(p) : 0;

	while (p && (word & CALLS) && (word & CALLS) != CALLS &&
	       !(word & BORROWED) &&
	       !atomic_compare_exchange_weak(p, &word, word - CALL + 1))
		;
}

/* Which descriptors' offsets a call is about. */
static unsigned offsets_of(const struct rk_request *req, uint64_t ret[2])
{
	switch (req->op) {
	case RK_OP_read:
	case RK_OP_write:
	case RK_OP_lseek:
	case RK_OP_getdents:
	case RK_OP_dup:
	case RK_OP_fcntl:
	case RK_OP_pread2:
	case RK_OP_pwrite2:
	case RK_OP_offer:
		ret[0] = req->arg[0];
		return 1;
	case RK_OP_dup3:
		/* It may fail, and the second stay what it is. */
		ret[0] = req->arg[0];
		ret[1] = req->arg[1];
		return 2;
	case RK_OP_copy_file_range:
		ret[0] = req->arg[0];
		ret[1] = req->arg[2];
		return 2;
	default:
		return 0;
	}
}

void rk__hot_give_back(struct rk_client *c, struct rk__link *l,
		       const struct rk_request *req)
{
	uint64_t fd[2];
	unsigned n = offsets_of(req, fd);

	for (unsigned i = 0; i < n; i++)
		enter(c, l, fd[i]);
	for (uint64_t k = req->arg[0]; req->op == RK_OP_close_range &&
	     k <= req->arg[1] && k < RK_HOT_FDS; k++)
		if (atomic_load(place_of(c, k)) & BORROWED) {
			enter(c, l, k);
			leave(c, k);
		}
}

void rk__hot_gave_back(struct rk_client *c, const struct rk_request *req)
{
	uint64_t fd[2];
	unsigned n = offsets_of(req, fd);

	for (unsigned i = 0; i < n; i++)
		leave(c, fd[i]);
}

/* A fork: nobody may borrow until it is done. */
void rk__hot_share(struct rk_client *c)
{
	if (!c->hot)
		return;
	atomic_fetch_add(&c->hot->shared, 1);
	for (int32_t fd = 0; fd < RK_HOT_FDS; fd++)
		if (atomic_load(&c->hot->fd[fd].place) & BORROWED)
			(void)rk_lseek(c, fd, 0, SEEK_CUR);
}

void rk__hot_shared(struct rk_client *c)
{
	/* One that was attached since has not been told. */
	if (c->hot && atomic_load(&c->hot->shared))
		atomic_fetch_sub(&c->hot->shared, 1);
}

/* --- borrowing -------------------------------------------------------------------- */

static bool may_borrow(const struct rk_client *c)
{
	return !atomic_load(&c->hot->shared);
}

static void borrow(struct rk_client *c, int32_t fd)
{
	struct rk__hot_fd *f = &c->hot->fd[fd];
	uint64_t word = atomic_load(&f->place);
	struct rk_hot hot;

	if ((word & ~OFFSET) || !may_borrow(c))
		return;
	if (rk_look(c, fd, "", AT_EMPTY_PATH, 0, 0, RK_HOT_ALONE, &hot) < 0 ||
	    !(hot.flags & RK_HOT_ALONE) ||
	    hot.offset > OFFSET / 2)
		return;
	if (!atomic_compare_exchange_strong(&f->place, &word,
					    BORROWED | hot.offset))
		return;
	/* Somebody forks, and may have looked already. */
	if (!may_borrow(c))
		(void)rk_lseek(c, fd, 0, SEEK_CUR);
}

int64_t rk__hot_read(struct rk_client *c, int32_t fd, void *buf,
		     uint64_t count)
{
	struct rk__hot_fd *f = rk__hot_fd_of(c, fd);
	uint64_t word;
	int64_t r;

	if (!f || count > OFFSET / 2)
		return RK_HOT_COLD;
	word = atomic_load(&f->place);
	if (!(word & BORROWED)) {
		if (atomic_fetch_add_explicit(&f->reads, 1,
					      memory_order_relaxed) < OFTEN)
			return RK_HOT_COLD;
		atomic_store_explicit(&f->reads, 0, memory_order_relaxed);
		borrow(c, fd);
		word = atomic_load(&f->place);
	}
	while ((word & BORROWED) && !(word & RETURNING) && may_borrow(c)) {
		r = rk__hot_pread(c, fd, buf, count, (int64_t)(word & OFFSET));
		if (r == RK_HOT_COLD)
			return r;
		if (atomic_compare_exchange_strong(&f->place, &word,
						   word + (uint64_t)r))
			return r;
	}
	return RK_HOT_COLD;
}

int64_t rk__hot_lseek(struct rk_client *c, int32_t fd, int64_t offset,
		      uint32_t whence)
{
	struct rk__hot_fd *f = rk__hot_fd_of(c, fd);
	uint64_t word = f ? atomic_load(&f->place) : 0, seeks;
	int64_t to;

	while ((word & BORROWED) && !(word & RETURNING) && may_borrow(c)) {
		to = offset;
		if (whence == SEEK_CUR && __builtin_add_overflow(
			    offset, (int64_t)(word & OFFSET), &to))
			break;
		if (whence > SEEK_CUR || to < 0 || to > (int64_t)(OFFSET / 2))
			break;
		seeks = (word & CALLS) == CALLS ? 0 : (word & CALLS) + CALL;
		if (atomic_compare_exchange_strong(&f->place, &word, BORROWED |
						   seeks | (uint64_t)to))
			return to;
	}
	return RK_HOT_COLD;
}

/* Its descriptor is gone, and what it was about with it. */
void rk__hot_lost(struct rk__hot_fd *f)
{
	uint64_t word = atomic_load(&f->place);

	while (!atomic_compare_exchange_weak(&f->place, &word, word & BORROWED ?
					     1 : word + 1))
		;
	atomic_store_explicit(&f->reads, 0, memory_order_relaxed);
}
