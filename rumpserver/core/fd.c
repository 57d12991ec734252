/*
 * fd.c - descriptors and open file descriptions. A descriptor is a word of its
 * proc that names an ofd; an ofd counts the descriptors that name it, of all
 * procs, and holds the vnode.
 */
#include <assert.h>
#include <errno.h>
#include "fd.h"
#include "pipe.h"
#include "serve.h"
#include "vfs_int.h"

static struct rk__ofd *ofd_at(uint32_t i)
{
	return &rk__core->ofd[i];
}

static uint32_t index_of(const struct rk__ofd *o)
{
	return (uint32_t)(o - rk__core->ofd);
}

struct rk__ofd *rk__fd(const struct rk__proc *p, int32_t fd)
{
	if (fd < 0 || fd >= RK_FDS_MAX || !p->fd[fd])
		return NULL;
	return ofd_at(p->fd[fd]);
}

struct rk__node rk__ofd_node(const struct rk__ofd *o)
{
	const struct rk__vnode *v = rk__vnode(o->vnode);

	assert(v);
	return rk__node(v->mount, v->ino);
}

uint64_t rk__ofd_owner(const struct rk__ofd *o)
{
	return index_of(o);
}

int rk__fd_lowest(const struct rk__proc *p, uint32_t minimum)
{
	uint32_t fd;

	for (fd = minimum; fd < p->nofile; fd++)
		if (!p->fd[fd])
			return (int)fd;
	return -EMFILE;
}

static uint32_t take(void)
{
	uint32_t i = rk__core->ofd_free;

	if (i) {
		RK_NOTE(&rk__core->ofd_free);
		rk__core->ofd_free = ofd_at(i)->next_free;
		return i;
	}
	i = rk__core->ofd_brk ? rk__core->ofd_brk : 1;
	if (i == RK_OFDS_MAX)
		return 0;
	RK_NOTE(&rk__core->ofd_brk);
	rk__core->ofd_brk = i + 1;
	return i;
}

void rk__fd_set(struct rk__proc *p, int fd, uint32_t ofd, uint32_t flags)
{
	RK_NOTE(&p->fd[fd]);
	RK_NOTE(&p->fd_flags[fd]);
	p->fd[fd] = ofd;
	p->fd_flags[fd] = flags & O_CLOEXEC ? FD_CLOEXEC : 0;
}

int rk__fd_open(struct rk__proc *p, int fd, struct rk__node n, uint32_t flags)
{
	uint32_t v = rk__vnode_get(n), i = v ? take() : 0;
	struct rk__ofd *o = ofd_at(i);

	if (!i)
		return -ENFILE;
	rk__vnode_hold_open(v);
	RK_NOTE(o);
	*o = (struct rk__ofd){.vnode = v, .refs = 1, .flags = flags};
	rk__fd_set(p, fd, i, flags);
	o->flags &= ~(uint32_t)O_CLOEXEC;
	return fd;
}

static void hold(uint32_t ofd)
{
	RK_NOTE(&ofd_at(ofd)->refs);
	ofd_at(ofd)->refs++;
}

void rk__fd_share(struct rk__proc *p, int from, int fd, uint32_t flags)
{
	hold(p->fd[from]);
	rk__fd_set(p, fd, p->fd[from], flags);
}

void rk__fd_set_cloexec(struct rk__proc *p, int fd, bool on)
{
	RK_NOTE(&p->fd_flags[fd]);
	p->fd_flags[fd] = on ? FD_CLOEXEC : 0;
}

static void put(struct rk__ofd *o)
{
	RK_NOTE(o);
	if (--o->refs)
		return;
	rk__lock_release(o->vnode, RK_LOCK_OFD, rk__ofd_owner(o));
	rk__lock_release(o->vnode, RK_LOCK_FLOCK, rk__ofd_owner(o));
	/* Requests of other threads that wait with it find it closed. */
	rk__wake_ofd(o->vnode, index_of(o));
	if (o->pipe)
		rk__pipe_close(o);
	rk__vnode_put_open(o->vnode);
	RK_NOTE(&rk__core->ofd_free);
	o->vnode = 0;
	o->next_free = rk__core->ofd_free;
	rk__core->ofd_free = index_of(o);
}

uint32_t rk__fd_hold(const struct rk__proc *p, int32_t fd)
{
	if (!rk__fd(p, fd))
		return 0;
	hold(p->fd[fd]);
	return p->fd[fd];
}

void rk__ofd_put(uint32_t ofd)
{
	put(ofd_at(ofd));
}

void rk__fd_close(struct rk__proc *p, int fd)
{
	struct rk__ofd *o = rk__fd(p, fd);

	assert(o);
	if (!(o->flags & O_PATH))
		rk__lock_release(o->vnode, RK_LOCK_POSIX, p->token);
	rk__fd_set(p, fd, 0, 0);
	put(o);
}

void rk__fd_inherit(struct rk__proc *child, const struct rk__proc *parent)
{
	int fd;

	for (fd = 0; fd < RK_FDS_MAX; fd++) {
		if (!parent->fd[fd])
			continue;
		hold(parent->fd[fd]);
		rk__fd_set(child, fd, parent->fd[fd],
			   parent->fd_flags[fd] & FD_CLOEXEC ? O_CLOEXEC : 0);
	}
}

void rk__ofd_set_offset(struct rk__ofd *o, int64_t offset)
{
	if (o->offset == offset)
		return;
	RK_NOTE(&o->offset);
	o->offset = offset;
}
