/*
 * external_read.c - from the external form into a fresh core region. Nothing
 * is believed: each number is bounded, each object that another names must be
 * there, and what can be counted is counted again and must come out the same.
 */
#include <string.h>
#include "external.h"
#include "fd.h"
#include "vfs_int.h"

enum { COPY_MAX = 4096 };		/* bytes of one note */

/* As the stream has them: for each that there is. */
static struct {
	uint32_t opens[RK_VNODES_MAX];
	uint32_t refs[RK_OFDS_MAX];
} said;

#define REFUSE(in, ...) rk__ext_refuse((in), "the state is not consistent: " \
				       __VA_ARGS__)
#define NOTE_MAX_OF(word, value) do {					\
	if ((word) < (value)) {						\
		RK_NOTE(&(word));					\
		(word) = (value);					\
	}								\
} while (0)

/* --- finding ------------------------------------------------------------------- */

static bool is_proc(uint32_t i)
{
	return i < RK_PROCS_MAX && rk__core->proc[i].used;
}

static bool is_ofd(uint32_t i)
{
	return i > 0 && i < RK_OFDS_MAX && rk__core->ofd[i].vnode;
}

static void hold_open(uint32_t vnode)
{
	rk__vnode_hold_open(vnode);
}

static void hold_ofd(uint32_t ofd)
{
	RK_NOTE(&rk__core->ofd[ofd].refs);
	rk__core->ofd[ofd].refs++;
}

/* --- files ---------------------------------------------------------------------- */

static int take_root(struct rk__ext_in *in, const struct rk__ext_root *r)
{
	struct rk__mount_state *m = &rk__core->mount[r->mount % RK_MOUNTS_MAX];

	if (r->mount >= RK_MOUNTS_MAX || m->root ||
	    r->stands_on > RK_MOUNTS_MAX)
		return REFUSE(in, "mount %u", r->mount);
	RK_NOTE(m);
	NOTE_MAX_OF(rk__core->n_mounts, r->mount + 1);
	m->root = r->root;
	m->root_vnode = r->vnode;
	m->stands_on = r->stands_on;
	m->covers = r->covers;
	return 0;
}

static int take_vnode(struct rk__ext_in *in, const struct rk__ext_vnode *r)
{
	struct rk__node n = rk__node(r->mount, r->ino);

	if (r->index == 0 || r->index >= RK_VNODES_MAX || r->flags > 7 ||
	    r->mount >= rk__core->n_mounts || !r->ino ||
	    rk__core->vnode[r->index].used || rk__vnode_find(n))
		return REFUSE(in, "file %u", r->index);
	NOTE_MAX_OF(rk__core->vnode_brk, r->index + 1);
	rk__vnode_place(r->index, n);
	rk__core->vnode[r->index].lookups = r->lookups;
	rk__core->vnode[r->index].early = r->flags & 1;
	rk__core->vnode[r->index].orphan = r->flags & 2;
	rk__core->vnode[r->index].linkable = r->flags & 4;
	said.opens[r->index] = r->opens;
	return 0;
}

static int take_pipe(struct rk__ext_in *in, const struct rk__ext_item *item)
{
	const struct rk__ext_pipe *r = &item->as.pipe;
	struct rk__pipe *p = &rk__core->pipe[r->index % RK_PIPES_MAX];

	if (r->index == 0 || r->index >= RK_PIPES_MAX || p->vnode ||
	    item->tail_len > RK_PIPE_SIZE || !rk__vnode(r->vnode))
		return REFUSE(in, "pipe %u", r->index);
	for (uint32_t i = 1; i < RK_PIPES_MAX; i++)
		if (rk__core->pipe[i].vnode == r->vnode)
			return REFUSE(in, "a fifo is two pipes");
	rk__note(p, offsetof(struct rk__pipe, data));
	p->vnode = r->vnode;
	p->reader_count = r->reader_count;
	p->writer_count = r->writer_count;
	p->used = item->tail_len;
	for (uint32_t at = 0; at < item->tail_len; at += COPY_MAX) {
		uint32_t n = item->tail_len - at;

		n = n < COPY_MAX ? n : COPY_MAX;
		rk__note(p->data + at, n);
		memcpy(p->data + at, item->tail + at, n);
	}
	return 0;
}

static bool pipe_fits(const struct rk__ext_ofd *r)
{
	return !r->pipe || (r->pipe < RK_PIPES_MAX &&
			    rk__core->pipe[r->pipe].vnode == r->vnode);
}

static int take_ofd(struct rk__ext_in *in, const struct rk__ext_ofd *r)
{
	struct rk__ofd *o = &rk__core->ofd[r->index % RK_OFDS_MAX];

	if (r->index == 0 || r->index >= RK_OFDS_MAX || o->vnode ||
	    !rk__vnode(r->vnode) || !pipe_fits(r) || r->offset < 0)
		return REFUSE(in, "open file %u", r->index);
	NOTE_MAX_OF(rk__core->ofd_brk, r->index + 1);
	RK_NOTE(o);
	*o = (struct rk__ofd){
		.vnode = r->vnode, .flags = r->flags, .offset = r->offset,
		.pipe = r->pipe, .partner = r->partner,
	};
	said.refs[r->index] = r->refs;
	hold_open(r->vnode);
	if (r->pipe) {
		struct rk__pipe *p = &rk__core->pipe[r->pipe];

		RK_NOTE(&p->readers);
		RK_NOTE(&p->writers);
		p->readers += rk__ofd_reads(o);
		p->writers += rk__ofd_writes(o);
	}
	return 0;
}

/* --- procs ---------------------------------------------------------------------- */

static bool token_is_new(uint64_t token)
{
	for (uint32_t i = 0; i < rk__core->proc_brk; i++)
		if (rk__core->proc[i].used && rk__core->proc[i].token == token)
			return false;
	return token != 0;
}

static int take_proc(struct rk__ext_in *in, const struct rk__ext_item *item)
{
	const struct rk__ext_proc *r = &item->as.proc;
	struct rk__proc *p = &rk__core->proc[r->index % RK_PROCS_MAX];

	if (r->index >= RK_PROCS_MAX || p->used || !token_is_new(r->token) ||
	    r->n_groups > RK_GROUPS_MAX || r->nofile > RK_FDS_MAX ||
	    item->tail_len != r->n_groups * sizeof p->group[0] ||
	    (r->cwd && !rk__vnode(r->cwd)))
		return REFUSE(in, "process %u", r->index);
	NOTE_MAX_OF(rk__core->proc_brk, r->index + 1);
	rk__note(p, offsetof(struct rk__proc, group) + item->tail_len);
	p->used = 1;
	p->token = r->token;
	p->uid = r->uid;
	p->gid = r->gid;
	p->n_groups = r->n_groups;
	p->pid = r->pid;
	p->umask = r->umask & 0777;
	p->cwd = r->cwd;
	p->nofile = r->nofile;
	p->fsize = r->fsize;
	memcpy(p->group, item->tail, item->tail_len);
	if (r->cwd)
		hold_open(r->cwd);
	return 0;
}

static int take_fd(struct rk__ext_in *in, const struct rk__ext_fd *r)
{
	struct rk__proc *p = &rk__core->proc[r->proc % RK_PROCS_MAX];

	if (!is_proc(r->proc) || r->fd >= RK_FDS_MAX || p->fd[r->fd] ||
	    !is_ofd(r->ofd) || r->flags > FD_CLOEXEC)
		return REFUSE(in, "descriptor %u of process %u", r->fd,
			      r->proc);
	rk__fd_set(p, (int)r->fd, r->ofd, r->flags ? O_CLOEXEC : 0);
	hold_ofd(r->ofd);
	return 0;
}

static int take_channel(struct rk__ext_in *in,
			const struct rk__ext_channel *r)
{
	uint32_t *word = &rk__core->channel_proc[r->channel % RK_CHANNELS_MAX];

	if (r->channel >= RK_CHANNELS_MAX || *word || !is_proc(r->proc))
		return REFUSE(in, "channel %u", r->channel);
	RK_NOTE(word);
	RK_NOTE(&rk__core->proc[r->proc].channels);
	*word = r->proc + 1;
	rk__core->proc[r->proc].channels++;
	return 0;
}

/* --- locks, pins, offers, slots --------------------------------------------------- */

static int take_lock(struct rk__ext_in *in, const struct rk__ext_lock *r)
{
	struct rk__lock_request q = {
		.kind = r->kind, .owner = r->owner, .file = r->file,
		.pid = r->pid, .type = r->exclusive ? F_WRLCK : F_RDLCK,
		.start = r->start, .end = r->end,
	};

	if (!rk__vnode(r->vnode) || r->kind < RK_LOCK_POSIX ||
	    r->kind > RK_LOCK_FLOCK || r->start > r->end ||
	    rk__lock_set(r->vnode, &q) < 0)
		return REFUSE(in, "a lock of file %u", r->vnode);
	return 0;
}

static int take_pin(struct rk__ext_in *in, const struct rk__ext_pin *r)
{
	struct rk__pin *p = &rk__core->pin[r->index % RK_PINS_MAX];

	if (r->index >= RK_PINS_MAX || p->vnode || !rk__vnode(r->vnode) ||
	    !is_proc(r->proc) || !r->handle || r->handle > INT32_MAX ||
	    r->write > 1)
		return REFUSE(in, "mapping %u", r->index);
	NOTE_MAX_OF(rk__core->pin_brk, r->index + 1);
	NOTE_MAX_OF(rk__core->pin_handle, r->handle);
	RK_NOTE(p);
	*p = (struct rk__pin){
		.vnode = r->vnode, .proc = r->proc, .handle = r->handle,
		.write = r->write,
	};
	hold_open(r->vnode);
	return 0;
}

static int take_offer(struct rk__ext_in *in, const struct rk__ext_offer *r)
{
	struct rk__offer *o = &rk__core->offer[r->index % RK_TICKETS_MAX];

	if (r->index >= RK_TICKETS_MAX || o->ofd || !is_ofd(r->ofd) ||
	    !is_proc(r->proc))
		return REFUSE(in, "offer %u", r->index);
	NOTE_MAX_OF(rk__core->offer_brk, r->index + 1);
	NOTE_MAX_OF(rk__core->offer_order, r->order);
	RK_NOTE(o);
	*o = (struct rk__offer){
		.ticket = {{ r->hi, r->lo }}, .ofd = r->ofd, .proc = r->proc,
		.order = r->order,
	};
	hold_ofd(r->ofd);
	return 0;
}

static int take_slot(struct rk__ext_in *in, uint32_t slot, uint64_t id)
{
	if (slot > RK_SLOTS_ALL || !id)
		return REFUSE(in, "slot %u", slot);
	RK_NOTE(&rk__core->committed[slot]);
	rk__core->committed[slot] = id;
	return 0;
}

static int take_written(struct rk__ext_in *in,
			const struct rk__ext_written *r)
{
	struct rk__written *w = &rk__core->written[r->slot %
						   (RK_SLOTS_ALL + 1)];

	if (r->slot > RK_SLOTS_ALL || !r->id)
		return REFUSE(in, "slot %u", r->slot);
	RK_NOTE(w);
	*w = (struct rk__written){
		.id = r->id, .token = r->token, .result = r->result,
	};
	return 0;
}

/* --- all of it --------------------------------------------------------------------- */

int rk__ext_read(struct rk__ext_in *in, const struct rk__ext_item *item)
{
	switch ((enum rk__ext_number)item->record->number) {
	case RK_EXT_NO_root:
		return take_root(in, &item->as.root);
	case RK_EXT_NO_vnode:
		return take_vnode(in, &item->as.vnode);
	case RK_EXT_NO_pipe:
		return take_pipe(in, item);
	case RK_EXT_NO_ofd:
		return take_ofd(in, &item->as.ofd);
	case RK_EXT_NO_proc:
		return take_proc(in, item);
	case RK_EXT_NO_fd:
		return take_fd(in, &item->as.fd);
	case RK_EXT_NO_channel:
		return take_channel(in, &item->as.channel);
	case RK_EXT_NO_lock:
		return take_lock(in, &item->as.lock);
	case RK_EXT_NO_pin:
		return take_pin(in, &item->as.pin);
	case RK_EXT_NO_offer:
		return take_offer(in, &item->as.offer);
	case RK_EXT_NO_slot:
		return take_slot(in, item->as.slot.slot, item->as.slot.id);
	case RK_EXT_NO_written:
		return take_written(in, &item->as.written);
	case RK_EXT_NO_server:
	case RK_EXT_NO_mount:
	case RK_EXT_NO_attributes:
	case RK_EXT_NO_statfs:
	case RK_EXT_NO_name:
	case RK_EXT_NO_image:
	case RK_EXT_NO_block:
	case RK_EXT_NO_end:
		break;
	}
	return 0;
}

static int end_roots(struct rk__ext_in *in)
{
	for (uint32_t i = 0; i < rk__core->n_mounts; i++) {
		const struct rk__mount_state *m = &rk__core->mount[i];
		const struct rk__vnode *v = rk__vnode(m->root_vnode);

		if (!v || v->mount != i || v->ino != m->root)
			return REFUSE(in, "the root of mount %u", i);
		hold_open(m->root_vnode);
	}
	return 0;
}

/* Those between that nobody uses are free. */
static int end_vnodes(struct rk__ext_in *in)
{
	for (uint32_t i = 1; i < rk__core->vnode_brk; i++) {
		struct rk__vnode *v = &rk__core->vnode[i];

		if (v->used && (v->opens != said.opens[i] ||
				!(v->opens || v->lookups)))
			return REFUSE(in, "references of file %u", i);
		if (v->used)
			continue;
		RK_NOTE(v);
		RK_NOTE(&rk__core->vnode_free);
		v->hash_next = rk__core->vnode_free;
		rk__core->vnode_free = i;
	}
	return 0;
}

static int end_ofds(struct rk__ext_in *in)
{
	for (uint32_t i = 1; i < rk__core->ofd_brk; i++) {
		struct rk__ofd *o = &rk__core->ofd[i];

		if (o->vnode && (!o->refs || o->refs != said.refs[i]))
			return REFUSE(in, "references of open file %u", i);
		if (o->vnode)
			continue;
		RK_NOTE(o);
		RK_NOTE(&rk__core->ofd_free);
		o->next_free = rk__core->ofd_free;
		rk__core->ofd_free = i;
	}
	return 0;
}

static int end_pipes(struct rk__ext_in *in)
{
	for (uint32_t i = 1; i < RK_PIPES_MAX; i++) {
		const struct rk__pipe *p = &rk__core->pipe[i];

		if (p->vnode && !p->readers && !p->writers)
			return REFUSE(in, "nobody has pipe %u open", i);
	}
	return 0;
}

int rk__ext_read_end(struct rk__ext_in *in)
{
	int e = end_roots(in);

	if (!e)
		e = end_vnodes(in);
	if (!e)
		e = end_ofds(in);
	return e ? e : end_pipes(in);
}
