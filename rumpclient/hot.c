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
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hot.h"

enum {
	OFTEN = 3,			/* so many times are once more too many */
	AHEAD = 256 << 10,		/* asked for with what is read */
	AT_KNOWN = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH,
};

static uint32_t generation_of(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static const struct rk_cell *cell_of(const struct rk__hot *h, uint64_t word)
{
	return &h->cells->cell[(word >> 8) % RK_CELLS];
}

static struct rk__hot_pages *pages_of(struct rk__hot *h, uint64_t word)
{
	return &h->pages[(word >> 8) % RK_CELLS];
}

static struct rk__hot_fd *fd_of(const struct rk_client *c, int32_t fd)
{
	return c->hot && fd >= 0 && fd < RK_HOT_FDS && !rk__is_guest() ?
	       &c->hot->fd[fd] : NULL;
}

/* --- a cell ------------------------------------------------------------------------ */

static bool begin(const struct rk_cell *cell, uint64_t word, uint64_t *ret_seq)
{
	*ret_seq = atomic_load_explicit(&cell->seq, memory_order_acquire);
	return !(*ret_seq & 1) && cell->generation == generation_of(word);
}

static bool is_same(const struct rk_cell *cell, uint64_t seq)
{
	atomic_thread_fence(memory_order_acquire);
	return atomic_load_explicit(&cell->seq, memory_order_relaxed) == seq;
}

static bool read_stat(const struct rk_cell *cell, uint64_t word,
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
	       cell->generation != generation_of(word);
}

/* --- pages that are held -------------------------------------------------------------- */

/* Closed when nobody uses it; what is used is closed the next time. */
static void close_old(struct rk__hot_pages *p)
{
	int32_t old;

	if (atomic_load(&p->users))
		return;
	old = atomic_exchange(&p->old, 0);
	if (old)
		close(old - 1);
}

/* Takes over fd; -1: nothing more. */
static void hold(struct rk__hot_pages *p, uint32_t generation, int fd)
{
	uint64_t had;
	int32_t none = 0;

	close_old(p);
	if (atomic_load(&p->old)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	had = atomic_exchange(&p->held, fd < 0 ? 0 : (uint64_t)generation << 32 |
			      (uint32_t)(fd + 1));
	if ((uint32_t)had &&
	    !atomic_compare_exchange_strong(&p->old, &none, (int32_t)had))
		close((int)(uint32_t)had - 1);
	close_old(p);
}

/* The descriptor, or -1. To be let go in any case. */
static int use(struct rk__hot_pages *p, uint64_t word)
{
	uint64_t held;

	atomic_fetch_add(&p->users, 1);
	held = atomic_load(&p->held);
	return generation_of(held) == generation_of(word) ?
	       (int)(uint32_t)held - 1 : -1;
}

static void let_go(struct rk__hot_pages *p)
{
	atomic_fetch_sub_explicit(&p->users, 1, memory_order_release);
}

int rk__hot_dup(struct rk_client *c, const struct rk_hot *hot)
{
	uint64_t word = (uint64_t)hot->generation << 32 | hot->cell << 8;
	struct rk__hot_pages *p;
	int fd;

	if (!c->hot)
		return -ESTALE;
	p = pages_of(c->hot, word);
	fd = use(p, word);
	fd = fd < 0 ? -ESTALE : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	let_go(p);
	return fd == -1 ? -errno : fd;
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
			hold(&c->hot->pages[hot->cell % RK_CELLS],
			     hot->generation, fd);
		else if (fd >= 0)
			close(fd);
	}
	rk__link_put(l);
	errno = before;
	return r;
}

static int64_t look(struct rk_client *c, struct op_look *a, struct rk_hot *hot)
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

static uint64_t word_of(const struct rk_hot *hot)
{
	return (uint64_t)hot->generation << 32 |
	       (uint64_t)(hot->cell % RK_CELLS) << 8 | RK_HOT_KNOWN |
	       (hot->flags & RK_HOT_PAGES ? RK_HOT_READS : 0);
}

/* What the file of fd is; bytes if want says so. */
static void look_at(struct rk_client *c, int32_t fd, uint32_t want,
		    uint64_t offset)
{
	struct rk__hot_fd *f = &c->hot->fd[fd];
	uint32_t version = atomic_load(&f->version);
	uint64_t had = atomic_load(&f->word), word;
	struct rk__hot_pages *p = pages_of(c->hot, had);
	struct rk_hot hot;
	struct op_look a = {
		.dirfd = fd, .path = "", .flags = AT_EMPTY_PATH,
		.offset = (int64_t)offset, .length = AHEAD, .want = want,
	};

	if ((want & RK_HOT_PAGES) &&
	    (!(had & RK_HOT_READS) ||
	     generation_of(atomic_load(&p->held)) != generation_of(had)))
		a.want |= RK_HOT_SEND;
	if (look(c, &a, &hot) < 0)
		word = RK_HOT_REFUSED;
	else
		word = word_of(&hot);
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
	if (!is_gone(cell_of(h, word), word))
		return;
	atomic_compare_exchange_strong(&f->word, &word, 0);
	if (generation_of(atomic_load(&pages_of(h, word)->held)) ==
	    generation_of(word))
		hold(pages_of(h, word), 0, -1);
}

/* --- reading ------------------------------------------------------------------------------- */

static int64_t read_pages(struct rk__hot *h, uint64_t word, void *buf,
			  uint64_t count, uint64_t offset, bool *ret_missing)
{
	const struct rk_cell *cell = cell_of(h, word);
	struct rk__hot_pages *p = pages_of(h, word);
	int64_t r = RK_HOT_COLD;
	uint64_t seq, size, n;
	int fd = use(p, word);

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
	if (n && pread(fd, buf, n, (off_t)offset) != (ssize_t)n)
		goto out;
	if (is_same(cell, seq))
		r = (int64_t)n;
out:
	let_go(p);
	return r;
}

int64_t rk__hot_pread(struct rk_client *c, int32_t fd, void *buf,
		      uint64_t count, int64_t offset)
{
	struct rk__hot_fd *f = fd_of(c, fd);
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
	struct rk__hot_fd *f = fd_of(c, fd);
	uint64_t word;

	if (!f)
		return RK_HOT_COLD;
	word = atomic_load_explicit(&f->word, memory_order_acquire);
	if (!(word & RK_HOT_KNOWN)) {
		looked(c, fd, 0, 0);
		return RK_HOT_COLD;
	}
	if (read_stat(cell_of(c->hot, word), word, ret) &&
	    atomic_load_explicit(&f->word, memory_order_relaxed) == word)
		return 0;
	forget(c->hot, f, word);
	return RK_HOT_COLD;
}

/* --- paths ------------------------------------------------------------------------------------ */

struct wanted {
	const char *path;
	uint64_t hash;
	uint32_t flags, start;
	int32_t dirfd;
};

/* false: it is not one to be remembered. */
static bool want_path(const struct rk_client *c, int32_t dirfd,
		      const char *path, uint32_t flags, struct wanted *ret)
{
	uint64_t hash = 0xcbf29ce484222325u;
	unsigned n;

	if (!c->hot || !path || (flags & ~(uint32_t)(AT_KNOWN |
						     AT_NO_AUTOMOUNT)) ||
	    rk__is_guest())
		return false;
	for (n = 0; path[n]; n++) {
		if (n == RK_HOT_PATH_LEN - 1)
			return false;
		hash = (hash ^ (uint8_t)path[n]) * 0x100000001b3u;
	}
	if (n == 0 || (path[0] != '/' && dirfd != RK_AT_FDCWD &&
		       (dirfd < 0 || dirfd >= RK_HOT_FDS)))
		return false;
	*ret = (struct wanted){
		.path = path, .flags = flags & AT_KNOWN, .dirfd = dirfd,
	};
	if (path[0] == '/')
		ret->dirfd = -1;
	else if (dirfd == RK_AT_FDCWD)
		ret->start = atomic_load(&c->hot->cwd);
	else
		ret->start = atomic_load(&c->hot->fd[dirfd].version);
	ret->hash = hash ^ (uint64_t)(uint32_t)ret->dirfd << 20 ^ ret->flags;
	return true;
}

static struct rk__hot_path *place_of(const struct rk__hot *h,
				     const struct wanted *w)
{
	return (struct rk__hot_path *)&h->path[(w->hash ^ w->hash >> 32) %
					       RK_HOT_PATHS];
}

static bool find(const struct rk__hot *h, const struct wanted *w,
		 uint64_t *ret_word, uint64_t *ret_names)
{
	const struct rk__hot_path *p = place_of(h, w);
	uint32_t version = atomic_load_explicit(&p->version,
						memory_order_acquire);
	bool same = !(version & 1) && p->hash == w->hash &&
		    p->flags == w->flags && p->dirfd == w->dirfd &&
		    p->start == w->start &&
		    !strncmp(p->path, w->path, RK_HOT_PATH_LEN);

	*ret_word = p->word;
	*ret_names = p->names;
	atomic_thread_fence(memory_order_acquire);
	return same && atomic_load_explicit(&p->version, memory_order_relaxed)
	       == version;
}

static void enter(struct rk__hot *h, const struct wanted *w, uint64_t word,
		  uint64_t names)
{
	struct rk__hot_path *p = place_of(h, w);
	uint32_t version = atomic_load(&p->version);

	if ((version & 1) || !atomic_compare_exchange_strong(&p->version,
							     &version,
							     version + 1))
		return;
	atomic_thread_fence(memory_order_seq_cst);
	p->hash = w->hash;
	p->flags = w->flags;
	p->dirfd = w->dirfd;
	p->start = w->start;
	p->word = word;
	p->names = names;
	strcpy(p->path, w->path);
	atomic_store_explicit(&p->version, version + 2, memory_order_release);
}

static int64_t look_for(struct rk_client *c, const struct wanted *w,
			int32_t dirfd, uint64_t names, struct rk_stat *ret)
{
	struct rk_hot hot;
	struct op_look a = {
		.dirfd = dirfd, .path = w->path, .flags = w->flags,
	};
	int64_t r = look(c, &a, &hot);

	if (r == -EOPNOTSUPP || r == -EAGAIN) {
		enter(c->hot, w, RK_HOT_REFUSED, names);
		return RK_HOT_COLD;
	}
	if (r < 0)
		return r;
	enter(c->hot, w, word_of(&hot), names);
	*ret = hot.st;
	return 0;
}

int64_t rk__hot_fstatat(struct rk_client *c, int32_t dirfd, const char *path,
			struct rk_stat *ret, uint32_t flags)
{
	uint64_t word, then, names;
	struct wanted w;

	if (path && !path[0] && (flags & AT_EMPTY_PATH) && dirfd >= 0 &&
	    !(flags & ~(uint32_t)AT_KNOWN))
		return rk__hot_fstat(c, dirfd, ret);
	if (!want_path(c, dirfd, path, flags, &w))
		return RK_HOT_COLD;
	names = atomic_load_explicit(&c->hot->cells->names,
				     memory_order_acquire);
	if (!find(c->hot, &w, &word, &then)) {
		enter(c->hot, &w, 0, names);
		return RK_HOT_COLD;
	}
	if ((word & RK_HOT_REFUSED) && then == names)
		return RK_HOT_COLD;
	if ((word & RK_HOT_KNOWN) && then == names &&
	    read_stat(cell_of(c->hot, word), word, ret) &&
	    atomic_load_explicit(&c->hot->cells->names,
				 memory_order_acquire) == names)
		return 0;
	return look_for(c, &w, dirfd, names, ret);
}

/* --- what calls change ------------------------------------------------------------------------- */

static void change(struct rk__hot *h, uint64_t fd)
{
	if (fd >= RK_HOT_FDS)
		return;
	atomic_fetch_add(&h->fd[fd].version, 1);
	atomic_store(&h->fd[fd].word, 0);
	atomic_store(&h->fd[fd].asked, 0);
}

static void change_all(struct rk__hot *h)
{
	for (unsigned i = 0; i < RK_HOT_FDS; i++)
		change(h, i);
}

void rk__hot_around(struct rk_client *c, const struct rk_request *req)
{
	struct rk__hot *h = c->hot;

	switch (req->op) {
	case RK_OP_close:
		change(h, req->arg[0]);
		break;
	case RK_OP_dup3:
		change(h, req->arg[1]);
		break;
	case RK_OP_close_range:
		for (uint64_t fd = req->arg[0]; fd <= req->arg[1] &&
		     fd < RK_HOT_FDS; fd++)
			change(h, fd);
		break;
	case RK_OP_chdir:
	case RK_OP_fchdir:
		atomic_fetch_add(&h->cwd, 1);
		break;
	}
}

void rk__hot_result(struct rk_client *c, uint32_t op, int64_t result)
{
	switch (op) {
	case RK_OP_openat:
	case RK_OP_openat2:
	case RK_OP_open_by_handle_at:
	case RK_OP_dup:
	case RK_OP_dup3:
	case RK_OP_take:
	case RK_OP_reopen:
	case RK_OP_fcntl:
		/* Of fcntl it may be none: then one is asked for anew. */
		if (result >= 0)
			change(c->hot, (uint64_t)result);
		break;
	}
}

/* Which of them is not known any more. */
void rk__hot_completed(struct rk_client *c, uint32_t op, int64_t result)
{
	if (op == RK_OP_close || op == RK_OP_dup3 || op == RK_OP_close_range)
		change_all(c->hot);
	if (op == RK_OP_chdir || op == RK_OP_fchdir)
		atomic_fetch_add(&c->hot->cwd, 1);
	rk__hot_result(c, op, result);
}

void rk__hot_refresh(struct rk_client *c)
{
	if (c->hot)
		atomic_fetch_add(&c->hot->cwd, 1);
	for (unsigned i = 0; c->hot && i < RK_HOT_PATHS; i++)
		c->hot->path[i].word = 0;
}

void rk__hot_moved(struct rk_client *c, int from, int to)
{
	for (unsigned i = 0; c->hot && i < RK_CELLS; i++) {
		struct rk__hot_pages *p = &c->hot->pages[i];
		uint64_t held = atomic_load(&p->held);
		int32_t old = from + 1;

		if ((uint32_t)held == (uint32_t)(from + 1))
			atomic_compare_exchange_strong(&p->held, &held,
				held - (uint32_t)held + (uint32_t)(to + 1));
		atomic_compare_exchange_strong(&p->old, &old, to + 1);
	}
}

/* --- beginning and end ---------------------------------------------------------------------------- */

void rk__hot_begin(struct rk_client *c, int cells)
{
	const struct rk_cells *p;
	struct rk__hot *h;
	struct stat st;

	if (c->hot || cells < 0)
		return;
	/* Nobody may take it away from under us, or write it but its servers. */
	if (fstat(cells, &st) < 0 || st.st_size < (off_t)sizeof *p ||
	    !(fcntl(cells, F_GET_SEALS) & F_SEAL_SHRINK))
		return;
	p = mmap(NULL, sizeof *p, PROT_READ, MAP_SHARED, cells, 0);
	if (p == MAP_FAILED)
		return;
	h = mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED || p->magic != RK_CELLS_MAGIC) {
		munmap((void *)p, sizeof *p);
		return;
	}
	h->cells = p;
	c->hot = h;
}

void rk__hot_end(struct rk_client *c)
{
	struct rk__hot *h = c->hot;

	if (!h)
		return;
	c->hot = NULL;
	for (unsigned i = 0; i < RK_CELLS; i++) {
		uint32_t held = (uint32_t)atomic_load(&h->pages[i].held);

		if (held)
			close((int)held - 1);
		if (h->pages[i].old)
			close(h->pages[i].old - 1);
	}
	munmap((void *)h->cells, sizeof *h->cells);
	munmap(h, sizeof *h);
}
