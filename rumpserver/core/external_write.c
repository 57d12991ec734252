/*
 * external_write.c - core's tables, and proofs of what the drivers say, in the
 * external form. Changes nothing. An object's number is its place in its
 * table, so that whatever else names it (a lock's owner) stays right.
 */
#include <string.h>
#include "cells.h"
#include "channel.h"
#include "external.h"
#include "gate/fuse.h"
#include "supervisor/supervisor.h"
#include "vfs_int.h"

enum {
	PROVE_FILES = 1024,		/* of those that are open */
	PROVE_NAMES = 16,		/* of each root */
};

#define PUT(o, name, ...) do {						\
	struct rk__ext_##name put_ = { __VA_ARGS__ };			\
	rk__ext_put((o), RK_EXT_NO_##name, &put_, NULL, 0);		\
} while (0)

/* --- what was asked for ----------------------------------------------------- */

static uint32_t mount_flags(const struct rk__mount_spec *m)
{
	return m->read_only | (uint32_t)m->rw << 1 |
	       (uint32_t)m->writeback << 2 | (uint32_t)m->stay << 3 |
	       (uint32_t)m->process << 4;
}

static void put_mount(struct rk__ext_out *o, uint32_t i,
		      const struct rk__mount_spec *m, uint64_t size)
{
	const char *const text[] = { m->path, m->driver, m->source,
				     m->options };
	char all[sizeof m->path + sizeof m->driver + sizeof m->source +
		 sizeof m->options];
	struct rk__ext_mount fields = {
		.index = i, .flags = mount_flags(m), .size = size,
	};
	size_t n = 0;

	for (unsigned k = 0; k < 4; k++) {
		size_t len = strlen(text[k]) + 1;

		memcpy(all + n, text[k], len);
		n += len;
	}
	rk__ext_put(o, RK_EXT_NO_mount, &fields, all, n);
}

void rk__ext_put_config(struct rk__ext_out *o, const struct rk__config *c,
			const uint64_t *size)
{
	struct rk__ext_server server = {
		.n_mounts = c->n_mounts,
		.protocol = RK_PROTOCOL_VERSION,
		.inbox = RK_FUSE_INBOX_SIZE,
		.cells = sizeof(struct rk_cells),
		.fuse_slots = RK_FUSE_SLOTS,
		.channel_slots = RK_SLOTS_PER_CHANNEL,
		.audience = c->audience,
		.fuse = c->fuse,
		.deadline_ms = c->deadline_ms,
		.flush_ms = c->flush_ms,
		.patience = c->patience,
		.limit = c->limit,
		.kill_every_us = c->kill_every_us,
	};

	rk__ext_put(o, RK_EXT_NO_server, &server, c->name, strlen(c->name));
	for (uint32_t i = 0; i < c->n_mounts; i++)
		put_mount(o, i, &c->mount[i], size[i]);
}

/* --- files -------------------------------------------------------------------- */

static void put_roots(struct rk__ext_out *o)
{
	for (uint32_t i = 0; i < rk__core->n_mounts; i++) {
		const struct rk__mount_state *m = &rk__core->mount[i];

		PUT(o, root, .mount = i, .vnode = m->root_vnode,
		    .root = m->root, .stands_on = m->stands_on,
		    .covers = m->covers);
	}
}

/* What is being reclaimed nobody holds any more: the driver has it on a list
 * of its own, and does it when it is mounted. */
static const struct rk__vnode *held(uint32_t i)
{
	const struct rk__vnode *v = rk__vnode(i);

	return v && (v->opens || v->lookups) ? v : NULL;
}

static void put_vnodes(struct rk__ext_out *o)
{
	for (uint32_t i = 1; i < rk__core->vnode_brk; i++) {
		const struct rk__vnode *v = held(i);

		if (v)
			PUT(o, vnode, .index = i, .mount = v->mount,
			    .ino = v->ino, .lookups = v->lookups,
			    .flags = v->early | (uint32_t)v->orphan << 1 |
				     (uint32_t)v->linkable << 2,
			    .opens = v->opens);
	}
}

static void put_pipes(struct rk__ext_out *o)
{
	static uint8_t bytes[RK_PIPE_SIZE];

	for (uint32_t i = 1; i < RK_PIPES_MAX; i++) {
		const struct rk__pipe *p = &rk__core->pipe[i];
		struct rk__ext_pipe fields = {
			.index = i, .vnode = p->vnode,
			.reader_count = p->reader_count,
			.writer_count = p->writer_count,
		};

		for (uint32_t k = 0; p->vnode && k < p->used; k++)
			bytes[k] = p->data[(p->start + k) % RK_PIPE_SIZE];
		if (p->vnode)
			rk__ext_put(o, RK_EXT_NO_pipe, &fields, bytes,
				    p->used);
	}
}

static void put_ofds(struct rk__ext_out *o)
{
	for (uint32_t i = 1; i < rk__core->ofd_brk; i++) {
		const struct rk__ofd *f = &rk__core->ofd[i];

		if (f->vnode)
			PUT(o, ofd, .index = i, .vnode = f->vnode,
			    .flags = f->flags, .refs = f->refs,
			    .offset = f->offset, .pipe = f->pipe,
			    .partner = f->partner);
	}
}

/* --- procs -------------------------------------------------------------------- */

static void put_proc(struct rk__ext_out *o, uint32_t i,
		     const struct rk__proc *p)
{
	struct rk__ext_proc fields = {
		.index = i, .pid = p->pid, .token = p->token, .uid = p->uid,
		.gid = p->gid, .umask = p->umask, .cwd = p->cwd,
		.nofile = p->nofile, .n_groups = p->n_groups,
		.fsize = p->fsize,
	};

	rk__ext_put(o, RK_EXT_NO_proc, &fields, p->group,
		    p->n_groups * sizeof p->group[0]);
}

static void put_procs(struct rk__ext_out *o)
{
	const struct rk__proc *p = rk__core->proc;

	for (uint32_t i = 0; i < rk__core->proc_brk; i++)
		if (p[i].used)
			put_proc(o, i, &p[i]);
	for (uint32_t i = 0; i < rk__core->proc_brk; i++)
		for (uint32_t fd = 0; p[i].used && fd < RK_FDS_MAX; fd++)
			if (p[i].fd[fd])
				PUT(o, fd, .proc = i, .fd = fd,
				    .ofd = p[i].fd[fd],
				    .flags = p[i].fd_flags[fd]);
	for (uint32_t i = 0; i < RK_CHANNELS_MAX; i++)
		if (rk__core->channel_proc[i])
			PUT(o, channel, .channel = i,
			    .proc = rk__core->channel_proc[i] - 1);
}

static void put_locks(struct rk__ext_out *o)
{
	for (uint32_t i = 1; i < rk__core->vnode_brk; i++) {
		const struct rk__vnode *v = held(i);
		uint32_t k = v ? v->locks : 0;

		for (; k; k = rk__core->lock[k].next) {
			const struct rk__lock *l = &rk__core->lock[k];

			PUT(o, lock, .vnode = i, .kind = l->kind,
			    .exclusive = l->exclusive, .pid = l->pid,
			    .owner = l->owner, .file = l->file,
			    .start = l->start, .end = l->end);
		}
	}
}

static void put_pins_and_offers(struct rk__ext_out *o)
{
	for (uint32_t i = 0; i < rk__core->pin_brk; i++) {
		const struct rk__pin *p = &rk__core->pin[i];

		if (p->vnode)
			PUT(o, pin, .index = i, .vnode = p->vnode,
			    .proc = p->proc, .handle = p->handle,
			    .write = p->write);
	}
	for (uint32_t i = 0; i < rk__core->offer_brk; i++) {
		const struct rk__offer *f = &rk__core->offer[i];

		if (f->ofd)
			PUT(o, offer, .index = i, .ofd = f->ofd,
			    .proc = f->proc, .hi = f->ticket.word[0],
			    .lo = f->ticket.word[1], .order = f->order);
	}
}

static void put_slot(struct rk__ext_out *o, uint32_t i)
{
	if (rk__core->committed[i])
		PUT(o, slot, .slot = i, .id = rk__core->committed[i]);
}

static void put_written(struct rk__ext_out *o, uint32_t i)
{
	const struct rk__written *w = &rk__core->written[i];

	if (w->id)
		PUT(o, written, .slot = i, .id = w->id, .token = w->token,
		    .result = w->result);
}

/* Of mounts, and of channels that there are: the tables are large and hardly
 * used, and where nobody ever looked should stay no memory. */
static void put_slots(struct rk__ext_out *o)
{
	for (uint32_t i = 0; i < rk__core->n_mounts * RK_FUSE_SLOTS; i++)
		put_slot(o, i);
	for (uint32_t c = 0; c < RK_CHANNELS_MAX; c++)
		for (uint32_t i = 0; rk__core->channel_proc[c] &&
		     i < RK_SLOTS_PER_CHANNEL; i++) {
			put_slot(o, RK_SLOT_CHANNEL(c, i));
			put_written(o, RK_SLOT_CHANNEL(c, i));
		}
}

/* --- proofs ------------------------------------------------------------------- */

static void put_attributes(struct rk__ext_out *o, struct rk__node n)
{
	struct rk_stat st;

	if (rk__vfs_getattr(n, &st) < 0)
		return;
	PUT(o, attributes, .mount = n.mount, .mode = st.mode, .ino = n.ino,
	    .size = st.size, .nlink = st.nlink, .uid = st.uid, .gid = st.gid,
	    .generation = st.generation, .rdev = st.rdev,
	    .mtime_sec = st.mtime.sec, .mtime_nsec = (uint32_t)st.mtime.nsec,
	    .ctime_sec = st.ctime.sec, .ctime_nsec = (uint32_t)st.ctime.nsec);
}

struct names {
	struct rk__ext_out *out;
	struct rk__node dir;
	unsigned n;
};

static int put_name(void *arg, const char *name, size_t len, uint64_t ino,
		    uint8_t type, uint64_t cookie)
{
	struct names *s = arg;
	struct rk__ext_name fields = {
		.mount = s->dir.mount, .dir = s->dir.ino, .ino = ino,
	};

	if (s->n == PROVE_NAMES)
		return 1;
	if (rk__is_dots(name, len))
		return 0;
	rk__ext_put(s->out, RK_EXT_NO_name, &fields, name, len);
	s->n++;
	return 0;
}

static void put_proofs(struct rk__ext_out *o)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < rk__core->n_mounts; i++) {
		struct names s = {
			o, rk__node(i, rk__core->mount[i].root), 0,
		};
		struct rk_statfs st;

		put_attributes(o, s.dir);
		rk__vfs_readdir(s.dir, 0, put_name, &s);
		if (rk__vfs_statfs(i, &st) == 0)
			PUT(o, statfs, .mount = i, .bsize = st.bsize,
			    .type = st.type, .blocks = st.blocks,
			    .files = st.files, .fsid = st.fsid);
	}
	for (uint32_t i = 1; i < rk__core->vnode_brk && n < PROVE_FILES; i++) {
		const struct rk__vnode *v = held(i);

		if (!v || !(v->opens || v->orphan))
			continue;
		put_attributes(o, rk__node(v->mount, v->ino));
		n++;
	}
}

static bool somebody_sleeps(void)
{
	for (uint32_t i = 0; i < rk__core->task_brk; i++)
		if (rk__core->task[i].asleep)
			return true;
	return false;
}

int rk__ext_write_core(struct rk__ext_out *o)
{
	if (somebody_sleeps())
		return -EBUSY;
	put_roots(o);
	put_vnodes(o);
	put_pipes(o);
	put_ofds(o);
	put_procs(o);
	put_locks(o);
	put_pins_and_offers(o);
	put_slots(o);
	put_proofs(o);
	return o->error;
}
