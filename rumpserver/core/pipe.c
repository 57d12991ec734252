/*
 * pipe.c - the bytes between those who have a fifo open.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include "pipe.h"
#include "serve.h"
#include "vfs_int.h"

/* Notes of the core are short ones. */
enum { NOTE_MAX = 4096 };

static const char any_pipe;

const void *rk__pipe_key(const struct rk__pipe *p)
{
	return &p->used;
}

const void *rk__pipes_key(void)
{
	return &any_pipe;
}

static void changed(const struct rk__pipe *p)
{
	rk__wake(rk__pipe_key(p));
	rk__wake(&any_pipe);
}

/* All but the bytes. */
static void note_head(struct rk__pipe *p)
{
	rk__note(p, offsetof(struct rk__pipe, data));
}

static uint32_t find(uint32_t vnode)
{
	for (uint32_t i = 1; i < RK_PIPES_MAX; i++)
		if (rk__core->pipe[i].vnode == vnode)
			return i;
	return 0;
}

static uint32_t make(uint32_t vnode)
{
	uint32_t i = find(0);
	struct rk__pipe *p = &rk__core->pipe[i];

	if (!i)
		return 0;
	note_head(p);
	memset(p, 0, offsetof(struct rk__pipe, data));
	p->vnode = vnode;
	return i;
}

int rk__pipe_open(struct rk__ofd *o)
{
	uint32_t i = find(o->vnode);
	struct rk__pipe *p;

	if (!i)
		i = make(o->vnode);
	if (!i)
		return -ENFILE;
	p = &rk__core->pipe[i];
	RK_NOTE(o);
	note_head(p);
	o->pipe = i;
	/* One that is there already counts as met. */
	o->partner = rk__ofd_reads(o) ? p->writer_count - (p->writers > 0) :
					p->reader_count - (p->readers > 0);
	if (rk__ofd_reads(o)) {
		p->readers++;
		p->reader_count++;
	}
	if (rk__ofd_writes(o)) {
		p->writers++;
		p->writer_count++;
	}
	changed(p);
	return 0;
}

void rk__pipe_close(struct rk__ofd *o)
{
	struct rk__pipe *p = rk__pipe(o);

	note_head(p);
	p->readers -= rk__ofd_reads(o);
	p->writers -= rk__ofd_writes(o);
	changed(p);
	if (!p->readers && !p->writers)
		p->vnode = 0;
}

bool rk__pipe_met(const struct rk__ofd *o)
{
	const struct rk__pipe *p = rk__pipe(o);

	if (rk__ofd_reads(o))
		return p->writer_count != o->partner;
	return p->reader_count != o->partner;
}

/* --- bytes -------------------------------------------------------------------- */

uint32_t rk__pipe_read(struct rk__pipe *p, void *buf, uint64_t count)
{
	uint32_t n = count < p->used ? (uint32_t)count : p->used;
	uint32_t first = RK_PIPE_SIZE - p->start;

	if (!n)
		return 0;
	first = first < n ? first : n;
	memcpy(buf, p->data + p->start, first);
	memcpy((uint8_t *)buf + first, p->data, n - first);
	note_head(p);
	p->start = (p->start + n) % RK_PIPE_SIZE;
	p->used -= n;
	changed(p);
	return n;
}

static void put(struct rk__pipe *p, uint32_t at, const uint8_t *from,
		uint32_t n)
{
	while (n > 0) {
		uint32_t piece = n < NOTE_MAX ? n : NOTE_MAX;

		rk__note(p->data + at, piece);
		memcpy(p->data + at, from, piece);
		at += piece;
		from += piece;
		n -= piece;
	}
}

uint32_t rk__pipe_write(struct rk__pipe *p, const void *buf, uint64_t count)
{
	uint32_t room = RK_PIPE_SIZE - p->used;
	uint32_t at = (p->start + p->used) % RK_PIPE_SIZE;
	uint32_t first = RK_PIPE_SIZE - at, n;

	if (room == 0 || (count <= RK_PIPE_WHOLE && count > room))
		return 0;
	n = count < room ? (uint32_t)count : room;
	first = first < n ? first : n;
	put(p, at, buf, first);
	put(p, 0, (const uint8_t *)buf + first, n - first);
	note_head(p);
	p->used += n;
	changed(p);
	return n;
}

/* --- poll --------------------------------------------------------------------- */

unsigned rk__pipe_ready(const struct rk__ofd *o, unsigned events)
{
	const struct rk__pipe *p = rk__pipe(o);
	unsigned r = 0;

	if (rk__ofd_reads(o)) {
		if (p->used)
			r |= POLLIN | POLLRDNORM;
		if (!p->writers && p->writer_count != o->partner)
			r |= POLLHUP;
	}
	if (rk__ofd_writes(o)) {
		if (RK_PIPE_SIZE - p->used >= RK_PIPE_WHOLE)
			r |= POLLOUT | POLLWRNORM;
		if (!p->readers)
			r |= POLLERR;
	}
	return r & (events | POLLERR | POLLHUP);
}
