/*
 * fuse_ops.c - what the kernel may ask of a mount: one row an opcode, what is
 * checked before its handler runs, and how its answer is made.
 */
#include <errno.h>
#include <string.h>
#include "fuse.h"

#define CALL(op, fn, in, n_names, fl)					\
	[op] = { .name = #fn, .run = rk__fuse_##fn, .in_size = (in),	\
		 .names = (n_names), .flags = (fl) }
#define BUFFER		RK_FUSE_BUFFER
#define NO_NODE		RK_FUSE_NO_NODE
#define NO_REPLY	RK_FUSE_NO_REPLY

static const struct rk__fuse_op ops[] = {
CALL(FUSE_LOOKUP,	lookup,		0, 1, RK_FUSE_MAY_BE_GONE),
CALL(FUSE_FORGET,	forget,		sizeof(struct fuse_forget_in), 0,
							NO_REPLY | NO_NODE),
CALL(FUSE_GETATTR,	getattr,	sizeof(struct fuse_getattr_in), 0, 0),
CALL(FUSE_SETATTR,	setattr,	sizeof(struct fuse_setattr_in), 0, 0),
CALL(FUSE_READLINK,	readlink,	0, 0, BUFFER),
CALL(FUSE_SYMLINK,	symlink,	0, 2, 0),
CALL(FUSE_MKNOD,	mknod,		sizeof(struct fuse_mknod_in), 1, 0),
CALL(FUSE_MKDIR,	mkdir,		sizeof(struct fuse_mkdir_in), 1, 0),
CALL(FUSE_UNLINK,	unlink,		0, 1, 0),
CALL(FUSE_RMDIR,	rmdir,		0, 1, 0),
CALL(FUSE_RENAME,	rename,		sizeof(struct fuse_rename_in), 2, 0),
CALL(FUSE_LINK,		link,		sizeof(struct fuse_link_in), 1, 0),
CALL(FUSE_OPEN,		open,		sizeof(struct fuse_open_in), 0, 0),
CALL(FUSE_READ,		read,		sizeof(struct fuse_read_in), 0, BUFFER),
CALL(FUSE_WRITE,	write,		sizeof(struct fuse_write_in), 0, 0),
CALL(FUSE_STATFS,	statfs,		0, 0, NO_NODE),
CALL(FUSE_RELEASE,	close,		sizeof(struct fuse_release_in), 0, 0),
CALL(FUSE_FSYNC,	fsync,		sizeof(struct fuse_fsync_in), 0, 0),
CALL(FUSE_SETXATTR,	setxattr,	FUSE_COMPAT_SETXATTR_IN_SIZE, 1, 0),
CALL(FUSE_GETXATTR,	getxattr,	sizeof(struct fuse_getxattr_in), 1,
							BUFFER),
CALL(FUSE_LISTXATTR,	listxattr,	sizeof(struct fuse_getxattr_in), 0,
							BUFFER),
CALL(FUSE_REMOVEXATTR,	removexattr,	0, 1, 0),
CALL(FUSE_FLUSH,	flush,		sizeof(struct fuse_flush_in), 0, 0),
CALL(FUSE_OPENDIR,	opendir,	sizeof(struct fuse_open_in), 0, 0),
CALL(FUSE_READDIR,	readdir,	sizeof(struct fuse_read_in), 0, BUFFER),
CALL(FUSE_RELEASEDIR,	close,		sizeof(struct fuse_release_in), 0, 0),
CALL(FUSE_FSYNCDIR,	fsync,		sizeof(struct fuse_fsync_in), 0, 0),
CALL(FUSE_GETLK,	getlk,		sizeof(struct fuse_lk_in), 0, 0),
CALL(FUSE_SETLK,	setlk,		sizeof(struct fuse_lk_in), 0, 0),
CALL(FUSE_SETLKW,	setlkw,		sizeof(struct fuse_lk_in), 0,
							RK_FUSE_INTERRUPTIBLE),
CALL(FUSE_CREATE,	create,		sizeof(struct fuse_create_in), 1, 0),
/* The gate does it itself: it is about another request. */
[FUSE_INTERRUPT] = { .name = "interrupt", .flags = NO_REPLY | NO_NODE },
CALL(FUSE_DESTROY,	destroy,	0, 0, NO_NODE),
CALL(FUSE_BATCH_FORGET,	batch_forget,	sizeof(struct fuse_batch_forget_in), 0,
							NO_REPLY | NO_NODE),
CALL(FUSE_FALLOCATE,	fallocate,	sizeof(struct fuse_fallocate_in), 0, 0),
CALL(FUSE_READDIRPLUS,	readdirplus,	sizeof(struct fuse_read_in), 0, BUFFER),
CALL(FUSE_RENAME2,	rename2,	sizeof(struct fuse_rename2_in), 2, 0),
CALL(FUSE_LSEEK,	seek,		sizeof(struct fuse_lseek_in), 0, 0),
CALL(FUSE_COPY_FILE_RANGE, copy,
			sizeof(struct fuse_copy_file_range_in), 0, 0),
CALL(FUSE_SYNCFS,	fsync,		sizeof(struct fuse_syncfs_in), 0, 0),
CALL(FUSE_IOCTL,	ioctl,		sizeof(struct fuse_ioctl_in), 0, 0),
CALL(RK_FUSE_TMPFILE,	tmpfile,	sizeof(struct fuse_create_in), 1, 0),
CALL(RK_FUSE_STATX,	statx,		sizeof(struct rk__fuse_statx_in), 0, 0),
CALL(RK_FUSE_COPY_FILE_RANGE_64, copy_64,
			sizeof(struct fuse_copy_file_range_in), 0, 0),
};

/* Without a row: ACCESS (the kernel checks), BMAP (where a file lies on the
 * image is nobody's business), POLL (regular files are always ready). The
 * kernel does without them once it was told ENOSYS. */
const struct rk__fuse_op *rk__fuse_op(uint32_t opcode)
{
	if (opcode >= sizeof ops / sizeof ops[0] || !ops[opcode].name)
		return NULL;
	return &ops[opcode];
}

/* --- files as the kernel names them ------------------------------------------ */

/*
 * A nodeid is the inode number, so that a file handle of somebody who kept one
 * (NFS, open_by_handle_at) is good for as long as the file lives, and longer
 * than the kernel's own memory of it; the generation that goes with it is the
 * file's. FUSE wants the root to be 1: the root and whatever is 1 change
 * places. A number is not used again while the kernel holds a reference.
 */
static uint64_t swap_root(uint32_t mount, uint64_t n)
{
	uint64_t root = rk__core->mount[mount].root;

	return n == root ? FUSE_ROOT_ID : n == FUSE_ROOT_ID ? root : n;
}

uint32_t rk__fuse_vnode(uint32_t mount, uint64_t nodeid)
{
	struct rk__node n = { .mount = mount };

	if (nodeid == FUSE_ROOT_ID)
		return rk__core->mount[mount].root_vnode;
	n.ino = swap_root(mount, nodeid);
	return rk__vnode_find(n);
}

uint64_t rk__fuse_nodeid(uint32_t vnode)
{
	const struct rk__vnode *v = rk__vnode(vnode);

	return swap_root(v->mount, v->ino);
}

uint64_t rk__fuse_new_fh(const struct rk__fuse_call *c)
{
	return c->in->unique & ~RK_FUSE_UNIQUE_RESEND;
}

uint32_t rk__fuse_keep(const struct rk__fuse_call *c)
{
	return rk__vfs_outside(c->mount) ? 0 : FOPEN_KEEP_CACHE;
}

uint32_t rk__fuse_valid(const struct rk__fuse *f)
{
	if (rk__core->proc_brk || rk__vfs_outside(f->mount))
		return 0;
	return f->flags & RK_FUSE_HAS_EPOCH ? RK_FUSE_VALID_S :
					      RK_FUSE_VALID_BLIND_S;
}

void rk__fuse_attr(const struct rk_stat *st, struct fuse_attr *a)
{
	*a = (struct fuse_attr){
		.ino = st->ino,
		.size = st->size,
		.blocks = st->blocks,
		.atime = (uint64_t)st->atime.sec,
		.mtime = (uint64_t)st->mtime.sec,
		.ctime = (uint64_t)st->ctime.sec,
		.atimensec = st->atime.nsec,
		.mtimensec = st->mtime.nsec,
		.ctimensec = st->ctime.nsec,
		.mode = st->mode,
		.nlink = st->nlink,
		.uid = st->uid,
		.gid = st->gid,
		.rdev = rk__fuse_rdev(st->rdev),
		.blksize = st->blksize,
	};
}

int rk__fuse_enter(struct rk__fuse_call *c, const struct rk_stat *st,
		   struct fuse_entry_out *e)
{
	struct rk__node n = { .mount = c->mount, .ino = st->ino };
	uint32_t index = rk__vnode_get(n);

	if (!index)
		return -ENFILE;
	*e = (struct fuse_entry_out){
		.nodeid = rk__fuse_nodeid(index),
		.generation = st->generation,
		.entry_valid = rk__fuse_valid(c->slot->fuse),
		.attr_valid = rk__fuse_valid(c->slot->fuse),
	};
	rk__fuse_attr(st, &e->attr);
	if (e->nodeid != FUSE_ROOT_ID)
		rk__vnode_hold_lookup(index);
	return sizeof *e;
}

/* --- one request ------------------------------------------------------------- */

static uint32_t fixed_size(const struct rk__fuse_call *c,
			   const struct rk__fuse_op *op)
{
	if (c->in->opcode == FUSE_SETXATTR &&
	    (c->slot->fuse->flags & FUSE_SETXATTR_EXT))
		return sizeof(struct fuse_setxattr_in);
	return op->in_size;
}

/* Cuts the request into its fixed part, strings, and the bytes after them. */
static int cut(struct rk__fuse_call *c, const struct rk__fuse_op *op)
{
	const char *p = (const char *)(c->in + 1), *end;
	size_t len = c->in->len - sizeof *c->in;
	size_t extra = c->in->total_extlen * 8u, fixed = fixed_size(c, op);

	if (extra > len || len - extra < fixed)
		return -EINVAL;
	len -= extra + fixed;
	c->arg = p;
	p += fixed;
	for (unsigned i = 0; i < op->names; i++) {
		end = memchr(p, '\0', len);
		if (!end)
			return -EINVAL;
		c->name[i] = p;
		c->name_len[i] = (uint32_t)(end - p);
		len -= c->name_len[i] + 1;
		p = end + 1;
	}
	c->data = (const uint8_t *)p;
	c->data_len = (uint32_t)len;
	return 0;
}

static int find_node(struct rk__fuse_call *c, const struct rk__fuse_op *op)
{
	if (op->flags & RK_FUSE_NO_NODE)
		return 0;
	c->node = (struct rk__node){
		.mount = c->mount,
		.ino = swap_root(c->mount, c->in->nodeid),
	};
	c->vnode = rk__fuse_vnode(c->mount, c->in->nodeid);
	/* A lookup may be about a file that nobody holds any more. */
	return c->vnode || (op->flags & RK_FUSE_MAY_BE_GONE) ? 0 : -ESTALE;
}

static int run(struct rk__fuse_call *c, const struct rk__fuse_op *op)
{
	int r;

	if (!op || !op->run)
		return -ENOSYS;
	r = cut(c, op);
	if (r == 0)
		r = find_node(c, op);
	return r < 0 ? r : op->run(c);
}

static int call(struct rk__fuse_slot *s, const struct fuse_in_header *in,
		void *out, enum rk__outcome *ret)
{
	struct rk__fuse_call c = {
		.slot = s,
		.in = in,
		.mount = s->fuse->mount,
		.cred = { .uid = in->uid, .gid = in->gid, .pid = in->pid,
			  .checked = true },
		.out = out,
		.room = s->buffer ? RK_FUSE_MAX_WRITE : RK_FUSE_OUT_SMALL,
		.outcome = RK_DONE,
	};
	int r = run(&c, rk__fuse_op(in->opcode));

	*ret = c.outcome;
	return r;
}

/* --- as a task ----------------------------------------------------------------- */

struct task_call {
	struct rk__fuse_slot *slot;	/* at the same address in each server */
	int result;
};

static void body(struct rk__work *w)
{
	struct task_call *t = (struct task_call *)w->arg;

	t->result = call(t->slot, (struct fuse_in_header *)w->in, w->out,
			 &w->outcome);
}

static int call_in_task(struct rk__fuse_slot *s, void *out,
			enum rk__outcome *ret)
{
	bool asleep;
	struct rk__work *w = rk__tasks->begin(&s->handle, s->request,
					      s->request->len, &asleep);
	struct task_call *t = (struct task_call *)w->arg;

	if (!asleep) {
		*t = (struct task_call){ .slot = s };
		w->out_len = s->buffer ? RK_FUSE_MAX_WRITE : RK_FUSE_OUT_SMALL;
		w->body = body;
	}
	*ret = rk__tasks->run(w);
	if (*ret == RK_DONE && t->result > 0)
		memcpy(out, w->out, (size_t)t->result);
	return t->result;
}

enum rk__outcome rk__fuse_exec(struct rk__handle *h)
{
	struct rk__fuse_slot *s = (struct rk__fuse_slot *)h;
	const struct rk__fuse_op *op = rk__fuse_op(s->request->opcode);
	enum rk__outcome outcome;
	void *out;
	int r;

	if (op && (op->flags & RK_FUSE_BUFFER) && !rk__fuse_get_buffer(s)) {
		rk__requeue(h);		/* until answers have left theirs */
		return RK_PARKED;
	}
	out = s->buffer ? s->buffer : s->out.data;
	h->interrupted = rk__fuse_interrupted(s);
	rk__notice_own(true);
	r = rk__tasks ? call_in_task(s, out, &outcome) :
			call(s, s->request, out, &outcome);
	rk__notice_own(false);
	if (outcome == RK_PARKED)
		rk__fuse_put_buffer(s);
	if (outcome != RK_DONE)
		return outcome;
	h->result = r < 0 ? r : 0;
	h->out = out;
	h->out_len = r > 0 ? (uint32_t)r : 0;
	return op && (op->flags & RK_FUSE_NO_REPLY) ? RK_NO_REPLY : RK_DONE;
}
