/*
 * hot.c - pread, fstat and fstatat without a request.
 *
 * Theory of operation. A descriptor that is read again and again is looked up at
 * the server once more, to hear in which cell its file is, and to be sent its
 * pages. From then on a read is a pread of these between two looks at the cell. All
 * that a call changes about descriptors and the working directory is seen as it
 * goes through rk__call_end, before and after: what was found out in between is not
 * kept, which versions tell.
 *
 * Nothing here waits for another thread, or for what a signal handler interrupted:
 * what is in the way of an answer is reason enough to ask the server.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "hot.h"

enum {
	OFTEN = 3,			/* so many times are once more too many */
	AHEAD = 256 << 10,		/* asked for with what is read */
};

struct rk__hot_fd *rk__hot_fd_of(const struct rk_client *c, int32_t fd)
{
	return c->hot && fd >= 0 && fd < RK_HOT_FDS && !rk__is_guest() ?
	       &c->hot->fd[fd] : NULL;
}

/* --- a cell ------------------------------------------------------------------------ */

static bool begin(const struct rk_cell *cell, uint64_t word, uint64_t *ret_seq)
{
	*ret_seq = atomic_load_explicit(&cell->seq, memory_order_acquire);
	return !(*ret_seq & 1) && cell->generation == rk__hot_generation_of(word);
}

static bool is_same(const struct rk_cell *cell, uint64_t seq)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&cell->seq, memory_order_relaxed) == seq;
}

bool rk__hot_stat(const struct rk_cell *cell, uint64_t word,
		  struct rk_stat *ret)
{
	struct rk_stat st;
	uint64_t seq;

	if (!begin(cell, word, &seq))
		return false;
	st = cell->st;
	if (!is_same(cell, seq))
		return false;
	*ret = st;
	return true;
}

/* It is about another file by now, or has other pages. */
static bool is_gone(const struct rk_cell *cell, uint64_t word)
{
	return !(atomic_load(&cell->seq) & 1) &&
	       cell->generation != rk__hot_generation_of(word);
}

bool rk__hot_has(const struct rk_client *c, const struct rk_hot *hot,
		 uint64_t from, uint64_t to)
{
	const struct rk_cell *cell = &c->hot->cells->cell[hot->cell];
	uint64_t size = cell->st.size;

	return cell->generation == hot->generation &&
	       rk_cell_has(cell, from, to < size ? to : size);
}

/* --- asking ------------------------------------------------------------------------------ */

/* Older ones are of calls that a server answered twice, or left. */
static int receive(int sock, uint64_t id)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct rk_gift gift;
	struct iovec iov = { &gift, sizeof gift };
	ssize_t n;
	int fd;

	for (;;) {
		struct msghdr msg = {
			.msg_iov = &iov, .msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof control,
		};
		struct cmsghdr *c;

		n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n <= 0)
			return -1;
		c = CMSG_FIRSTHDR(&msg);
		if (!c || c->cmsg_level != SOL_SOCKET ||
		    c->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
		if (n == sizeof gift && gift.id == id)
			return fd;
		close(fd);
	}
}

int64_t rk__hot_ask(struct rk_client *c, struct rk__call *call,
		    struct rk_hot *hot)
{
	struct rk__link *l = call->link;
	int before = errno, fd;
	uint32_t got;
	int64_t r;

	/* The link stays ours: what was sent comes over it. */
	call->ringing = true;
	r = rk__call_end(call, hot, &got);
	if (r >= 0 && (hot->flags & RK_HOT_SENT)) {
		fd = receive(l->fd, call->req.seq);
		if (fd >= 0 && c->hot && !rk__is_guest())
			rk__hot_hold(&c->hot->pages[hot->cell % RK_CELLS],
				     hot->generation, fd);
		else if (fd >= 0)
			close(fd);
	}
	rk__link_put(l);
	errno = before;
	return r;
}

int64_t rk__hot_look(struct rk_client *c, struct op_look *a,
		     struct rk_hot *hot)
{
	struct rk__call call;
	int r = rk__call_begin(c, &call);

	if (r < 0)
		return r;
	r = rk_encode_look(&call.req, call.payload, call.room, a);
	if (r == 0)
		return rk__hot_ask(c, &call, hot);
	rk__link_put(call.link);
	return r;
}

/* What the file of fd is; bytes if want says so. */
static void look_at(struct rk_client *c, int32_t fd, uint32_t want,
		    uint64_t offset)
{
	struct rk__hot_fd *f = &c->hot->fd[fd];
	uint32_t version = atomic_load(&f->version);
	uint64_t had = atomic_load(&f->word), word;
	const struct rk__hot_pages *p = rk__hot_pages_of(c->hot, had);
	struct rk_hot hot;
	struct op_look a = {
		.dirfd = fd, .path = "", .flags = AT_EMPTY_PATH,
		.offset = (int64_t)offset, .length = AHEAD, .want = want,
	};

	if ((want & RK_HOT_PAGES) &&
	    (!(had & RK_HOT_READS) ||
	     rk__hot_generation_of(atomic_load(&p->held)) != rk__hot_generation_of(had)))
		a.want |= RK_HOT_SEND;
	if (rk__hot_look(c, &a, &hot) < 0)
		word = RK_HOT_REFUSED;
	else
		word = rk__hot_word_of(&hot);
	if ((want & RK_HOT_PAGES) && !(word & RK_HOT_READS))
		word |= RK_HOT_REFUSED;
	/* fd may have become another file meanwhile. */
	atomic_compare_exchange_strong(&f->word, &had, word);
	if (atomic_load(&f->version) != version)
		atomic_compare_exchange_strong(&f->word, &word, 0);
}

/* Counted, and looked at when it is time. */
static bool looked(struct rk_client *c, int32_t fd, uint32_t want,
		   uint64_t offset)
{
	struct rk__hot_fd *f = &c->hot->fd[fd];

	if (atomic_load_explicit(&f->word, memory_order_relaxed) &
	    RK_HOT_REFUSED)
		return false;
	if (atomic_fetch_add_explicit(&f->asked, 1, memory_order_relaxed) <
	    OFTEN)
		return false;
	atomic_store_explicit(&f->asked, 0, memory_order_relaxed);
	look_at(c, fd, want, offset);
	return true;
}

static void forget(struct rk__hot *h, struct rk__hot_fd *f, uint64_t word)
{
	struct rk__hot_pages *p = rk__hot_pages_of(h, word);

	if (!is_gone(rk__hot_cell_of(h, word), word))
		return;
	atomic_compare_exchange_strong(&f->word, &word, 0);
	if (rk__hot_generation_of(atomic_load(&p->held)) ==
	    rk__hot_generation_of(word))
		rk__hot_hold(p, 0, -1);
}

/* --- reading ------------------------------------------------------------------------------- */

static int64_t read_pages(struct rk__hot *h, uint64_t word, void *buf,
			  uint64_t count, uint64_t offset, bool *ret_missing)
{
	const struct rk_cell *cell = rk__hot_cell_of(h, word);
	struct rk__hot_pages *p = rk__hot_pages_of(h, word);
	int64_t r = RK_HOT_COLD;
	uint64_t seq, size, n;
	int fd = rk__hot_use(p, word);

	/* Those that were sent last could not be kept. */
	*ret_missing = fd < 0;
	if (fd < 0 || !begin(cell, word, &seq))
		goto out;
	size = cell->st.size;
	n = offset >= size ? 0 : count < size - offset ? count : size - offset;
	if (!rk_cell_has(cell, offset, offset + n)) {
		*ret_missing = true;
		goto out;
	}
	if (n && !rk__hot_copy(p, word, buf, n, offset) &&
	    pread(fd, buf, n, (off_t)offset) != (ssize_t)n)
		goto out;
	if (is_same(cell, seq))
		r = (int64_t)n;
out:
	rk__hot_let_go(p);
	return r;
}

int64_t rk__hot_pread(struct rk_client *c, int32_t fd, void *buf,
		      uint64_t count, int64_t offset)
{
	struct rk__hot_fd *f = rk__hot_fd_of(c, fd);
	bool missing = false;
	int64_t r = RK_HOT_COLD;
	uint64_t word;
	int before;

	if (!f || offset < 0 || count > INT64_MAX - (uint64_t)offset)
		return RK_HOT_COLD;
	word = atomic_load_explicit(&f->word, memory_order_acquire);
	if (!(word & RK_HOT_READS)) {
		looked(c, fd, RK_HOT_PAGES, (uint64_t)offset);
		return RK_HOT_COLD;
	}
	before = errno;
	r = read_pages(c->hot, word, buf, count, (uint64_t)offset, &missing);
	if (r != RK_HOT_COLD &&
	    atomic_load_explicit(&f->word, memory_order_relaxed) != word)
		r = RK_HOT_COLD;
	if (r == RK_HOT_COLD) {
		if (missing)
			looked(c, fd, RK_HOT_PAGES, (uint64_t)offset);
		forget(c->hot, f, word);
		errno = before;
	}
	return r;
}

int64_t rk__hot_fstat(struct rk_client *c, int32_t fd, struct rk_stat *ret)
{
	struct rk__hot_fd *f = rk__hot_fd_of(c, fd);
	uint64_t word;

	if (!f)
		return RK_HOT_COLD;
	word = atomic_load_explicit(&f->word, memory_order_acquire);
	if (!(word & RK_HOT_KNOWN)) {
		looked(c, fd, 0, 0);
		return RK_HOT_COLD;
	}
	if (rk__hot_stat(rk__hot_cell_of(c->hot, word), word, ret) &&
	    atomic_load_explicit(&f->word, memory_order_relaxed) == word)
		return 0;
	forget(c->hot, f, word);
	return RK_HOT_COLD;
}
