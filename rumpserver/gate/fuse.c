/*
 * fuse.c - the FUSE gate: reads requests of the kernel into the inbox, has
 * them served, writes the answers.
 *
 * Theory of operation. A request lives in its slot from read(2) until its
 * answer was written. read(2) fills a big slot; the slot counts as taken from
 * the moment its header's len is not 0, which is the kernel's own store, so
 * there is no instant at which a request is in nobody's hands. A small request
 * is copied to a small slot, whose id is stored last, and only then leaves the
 * big one: a death in between leaves two copies, which a successor tells by
 * their equal ids (fuse_takeover.c).
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#include "fuse.h"

static struct rk__fuse fuses[RK_MOUNTS_MAX];
/* At the same address in every server: ops that sleep keep pointers to theirs. */
static struct rk__fuse_slot slots[RK_MOUNTS_MAX][RK_FUSE_SLOTS];
static const struct rk__family *family;

static void post(struct rk__handle *h);

static const struct rk__gate_ops fuse_gate = {
	.name = "fuse",
	.caches = true,
	.exec = rk__fuse_exec,
	.post = post,
	.may_wait = rk__fuse_may_wait,
};

struct rk__fuse *rk__fuse_of(uint32_t mount)
{
	assert(mount < RK_MOUNTS_MAX);
	return &fuses[mount];
}

/* --- slots ---------------------------------------------------------------- */

/* All but writes of data go on to a small slot, if there is one. */
static struct rk__fuse_slot *move_small(struct rk__fuse_slot *from)
{
	struct rk__fuse *f = from->fuse;
	struct rk__fuse_slot *to;
	unsigned i;

	if (from->request->len > RK_FUSE_SMALL || !f->n_free_small ||
	    family->fragile)
		return from;
	to = rk__fuse_slot_take(f, false);
	i = rk__fuse_index(to);
	memcpy(to->request, from->request, from->request->len);
	atomic_store(&f->inbox->interrupted[i], 0);
	atomic_store(&f->inbox->answered[i], 0);
	atomic_store(&f->inbox->id[i], rk__fuse_id(from->request));
	RK_CRASHPOINT(request_copied);
	rk__fuse_release(from);
	return to;
}

/* --- reading -------------------------------------------------------------- */

/*
 * The kernel sends a request again that a predecessor had taken. Where it
 * still stands in a slot it is served from there, and its answer must carry
 * the unique that the kernel uses now. Where it was committed and has left its
 * slot, its answer was given; this one only must not run twice.
 */
static bool is_known(struct rk__fuse *f, struct rk__fuse_slot *again)
{
	uint64_t id = rk__fuse_id(again->request);

	struct rk__fuse_slot *s = rk__fuse_find(f, id, again);

	if (s) {
		s->request->unique = again->request->unique;
		s->seen = true;
		return true;
	}
	for (unsigned i = 0; i < RK_FUSE_SLOTS; i++) {
		if (!rk__was_committed(RK_SLOT_FUSE(f->mount, i), id))
			continue;
		rk__fuse_answer(f, again->request->unique, -EIO, NULL, 0);
		return true;
	}
	return false;
}

static enum rk__fuse_taken read_error(int error)
{
	switch (error) {
	case EAGAIN:
		return RK_FUSE_NOTHING;
	case ENODEV:
	case ECONNABORTED:
	case EPERM:
	case EBADF:
	case EINVAL:
		return RK_FUSE_ENDED;
	default:		/* ENOENT: withdrawn while it was read; EINTR */
		return RK_FUSE_SKIPPED;
	}
}

enum rk__fuse_taken rk__fuse_take(struct rk__fuse *f, unsigned leave,
				  struct rk__fuse_slot **ret)
{
	struct rk__fuse_slot *s;
	ssize_t n;

	if (f->n_free_big <= leave)
		return RK_FUSE_FULL;
	s = rk__fuse_slot_take(f, true);
	atomic_store(&f->inbox->interrupted[rk__fuse_index(s)], 0);
	atomic_store(&f->inbox->answered[rk__fuse_index(s)], 0);
	n = read(f->source.fd, s->request, RK_FUSE_READ_SIZE);
	if (n <= 0) {
		int error = n < 0 ? errno : ENODEV;

		rk__fuse_release(s);
		return read_error(error);
	}
	s->seen = false;
	if ((size_t)n < sizeof *s->request || s->request->len != n ||
	    !rk__fuse_id(s->request) ||
	    ((s->request->unique & RK_FUSE_UNIQUE_RESEND) && is_known(f, s))) {
		rk__fuse_release(s);
		return RK_FUSE_SKIPPED;
	}
	if (s->request->opcode == FUSE_FORGET ||
	    s->request->opcode == FUSE_BATCH_FORGET)
		RK_CRASHPOINT(forget_taken);
	*ret = move_small(s);
	(*ret)->seen = true;
	rk__fuse_enlist(*ret);
	return RK_FUSE_TAKEN;
}

/* --- serving -------------------------------------------------------------- */

/*
 * The caller of a request got a signal. Only waiting for a lock ends by it;
 * the mark outlives us, so that a successor does not give the lock to somebody
 * who was told EINTR.
 */
static void end_wait(struct rk__fuse_slot *s)
{
	const struct rk__fuse_op *op = rk__fuse_op(s->request->opcode);

	/* Or in a driver. */
	if (!s->waits && (!op || !(op->flags & RK_FUSE_INTERRUPTIBLE)))
		return;
	atomic_store(&s->fuse->inbox->interrupted[rk__fuse_index(s)], 1);
	s->handle.interrupted = true;
	if (rk__unpark(&s->handle))
		rk__serve(&s->handle);
}

bool rk__fuse_interrupted(const struct rk__fuse_slot *s)
{
	return atomic_load(&s->fuse->inbox->interrupted[rk__fuse_index(s)]);
}

/*
 * Those who wait must not take the slots that go on without them: of the small
 * ones those that unlocking needs, of the big ones one to serve and the one
 * that is left free.
 */
bool rk__fuse_may_wait(struct rk__handle *h)
{
	struct rk__fuse_slot *s = (struct rk__fuse_slot *)h;

	if (!s->waits)
		s->waits = rk__fuse_index(s) < RK_FUSE_BIG_SLOTS ?
			s->fuse->n_free_big > 2 :
			s->fuse->n_free_small >= RK_FUSE_RESERVE;
	if (s->buffer && !s->fuse->n_free_buffer)
		s->waits = false;
	return s->waits;
}

static void interrupt(struct rk__fuse *f, const struct rk__fuse_slot *s)
{
	const struct fuse_interrupt_in *in = (const void *)(s->request + 1);
	struct rk__fuse_slot *other;

	if (s->request->len < sizeof *s->request + sizeof *in)
		return;
	other = rk__fuse_find(f, in->unique & ~RK_FUSE_UNIQUE_RESEND, NULL);
	if (other)
		end_wait(other);
}

void rk__fuse_serve(struct rk__fuse_slot *s)
{
	struct rk__fuse *f = s->fuse;
	const struct rk__fuse_op *op = rk__fuse_op(s->request->opcode);

	if (s->request->opcode == FUSE_INTERRUPT) {
		interrupt(f, s);
		rk__fuse_release(s);
		return;
	}
	if (op && (op->flags & RK_FUSE_BUFFER)) {
		if (!f->n_free_buffer)
			rk__serve_flush();
		rk__fuse_get_buffer(s);
		assert(s->buffer);
	}
	s->waits = false;
	s->handle = (struct rk__handle){
		.gate = &fuse_gate,
		.slot = RK_SLOT_FUSE(f->mount, rk__fuse_index(s)),
		.id = rk__fuse_id(s->request),
		.op = s->request->opcode | RK_OP_OF_FUSE,
	};
	rk__serve(&s->handle);
}

void rk__fuse_answer(const struct rk__fuse *f, uint64_t unique, int64_t result,
		     const void *data, uint32_t len)
{
	struct fuse_out_header head = {
		.len = (uint32_t)sizeof head + (result < 0 ? 0 : len),
		.error = result < 0 ? (int32_t)result : 0,
		.unique = unique,
	};
	struct iovec iov[2] = {
		{ &head, sizeof head },
		{ (void *)(uintptr_t)data, result < 0 ? 0 : len },
	};

	(void)!writev(f->source.fd, iov, iov[1].iov_len ? 2 : 1);
}

/* The room before an answer is for its header: one buffer, one write. */
static void answer(struct rk__fuse_slot *s)
{
	const struct rk__handle *h = &s->handle;
	uint32_t len = h->result < 0 ? 0 : h->out_len;
	struct fuse_out_header *head = &s->out.head;

	if (len && s->buffer)
		head = (struct fuse_out_header *)s->buffer - 1;
	assert(!len || h->out == head + 1);
	*head = (struct fuse_out_header){
		.len = (uint32_t)sizeof *head + len,
		.error = h->result < 0 ? (int32_t)h->result : 0,
		.unique = s->request->unique,
	};
	if (!len) {
		atomic_store_explicit(&s->fuse->inbox->answered[rk__fuse_index(s)],
				      1 + (uint32_t)-head->error,
				      memory_order_release);
		RK_CRASHPOINT(answer_noted);
	}
	(void)!write(s->fuse->source.fd, head, head->len);
}

static void post(struct rk__handle *h)
{
	struct rk__fuse_slot *s = (struct rk__fuse_slot *)h;
	const struct rk__fuse_op *op = rk__fuse_op(s->request->opcode);

	if (!op || !(op->flags & RK_FUSE_NO_REPLY)) {
		answer(s);
		RK_CRASHPOINT(reply_half_posted);
	}
	rk__fuse_release(s);
}

/* The mount is gone, and with it every reference that the kernel held. */
void rk__fuse_end(struct rk__fuse *f)
{
	if (!f->live)
		return;
	f->live = false;
	rk__fuse_settle_one(f);
	rk__serve_flush();
	for (unsigned i = 0; i < RK_FUSE_SLOTS; i++)
		if (rk__fuse_held(f, i))
			end_wait(rk__fuse_slot(f, i));
	rk__serve_flush();
	rk__vnode_drop_lookups(f->mount);
	rk__serve_flush();
	if (!f->paused)
		rk__loop_remove(&f->source);
	f->paused = false;
}

static void ready(struct rk__source *source, uint32_t events)
{
	struct rk__fuse *f = (struct rk__fuse *)source;

	(void)events;
	rk__fuse_poll(f->mount);
}

/* --- the life of the gate in one server ------------------------------------- */

/* A page that is not mapped when a SIGKILL comes makes read(2) fail, and the
 * kernel gives the application EIO: what is read into is mapped beforehand,
 * and kept so when memory is short, where the limits allow it. */
static int map_inbox(struct rk__fuse *f, int fd)
{
	void *p = mmap(NULL, RK_FUSE_INBOX_SIZE, PROT_READ | PROT_WRITE,
		       family->fragile ? MAP_PRIVATE | MAP_ANONYMOUS :
		       MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return -errno;
	f->inbox = p;
	if (mlock(p, RK_FUSE_SMALL_AT) < 0 &&
	    madvise(p, RK_FUSE_SMALL_AT, MADV_POPULATE_WRITE) < 0)
		for (size_t at = 0; at < RK_FUSE_SMALL_AT; at += RK_PAGE)
			(void)*((volatile uint8_t *)p + at);
	return 0;
}

static int make_buffers(struct rk__fuse *f)
{
	size_t size = RK_PAGE + RK_FUSE_MAX_WRITE;
	uint8_t *p = mmap(NULL, RK_FUSE_BUFFERS * size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	for (unsigned i = 0; i < RK_FUSE_BUFFERS; i++)
		f->free_buffer[i] = p + i * size + RK_PAGE;
	f->n_free_buffer = RK_FUSE_BUFFERS;
	return 0;
}

int rk__fuse_prepare(const struct rk__family *fam, uint32_t mount)
{
	struct rk__fuse *f = rk__fuse_of(mount);
	int r;

	family = fam;
	rk__notice_start();
	f->mount = mount;
	f->slot = slots[mount];
	r = map_inbox(f, fam->inbox_fd[mount]);
	if (r == 0)
		r = make_buffers(f);
	return r;
}

int rk__fuse_start(uint32_t mount, bool first)
{
	struct rk__fuse *f = rk__fuse_of(mount);
	int fd = family->fuse_fd[mount], flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	f->source = (struct rk__source){ .fd = fd, .ready = ready };
	f->flags = family->fuse_init[mount];
	f->live = true;
	f->paused = false;
	rk__fuse_slots_start(f, first);
	return rk__loop_add(&f->source, EPOLLIN);
}
