/*
 * sys_pages.c - files that are read without asking, and mapped ones.
 */
#include <linux/fs.h>
#include <sys/mman.h>
#include "core/pages.h"
#include "sys.h"

#define AT_STATX (AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE)

/*
 * Whoever has a descriptor of a memfd can write it, however it was opened: so it
 * goes to those who could write the file, and to others only if it never changes.
 */
static bool may_have(const struct rk__call *c, struct rk__node n,
		     const struct rk_stat *st, bool *ret_sealed)
{
	*ret_sealed = rk__mount_read_only[n.mount];
	if (!S_ISREG(st->mode) ||
	    (st->flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)))
		return false;
	return *ret_sealed || c->cred.uid == st->uid ||
	       rk__vfs_access(&c->cred, st, W_OK) == 0;
}

static int find(const struct rk__call *c, const struct op_look *a,
		struct rk__walked *w, const struct rk__ofd **ret_ofd)
{
	int r = rk__call_flags(a->flags, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH |
			       AT_STATX);

	*ret_ofd = NULL;
	if (r < 0)
		return r;
	if (a->path[0] || !(a->flags & AT_EMPTY_PATH) ||
	    a->dirfd == RK_AT_FDCWD)
		return rk__call_walk(c, a->dirfd, a->path, (unsigned)r, w);
	*ret_ofd = rk__fd(c->proc, a->dirfd);
	if (!*ret_ofd)
		return -EBADF;
	w->node = rk__ofd_node(*ret_ofd);
	return rk__vfs_getattr(w->node, &w->st);
}

int64_t rk__sys_look(struct rk__call *c, struct op_look *a)
{
	const struct rk__ofd *o;
	struct rk__walked w;
	uint32_t want = a->want;
	bool sealed = false;
	int r;

	if (!rk__pages)
		return -EOPNOTSUPP;
	/* What is not committed is not to be seen. */
	if (rk__changed())
		return rk__call_stage(c, 1);
	r = find(c, a, &w, &o);
	if (r < 0)
		return r;
	w.st.dev = rk__mount_dev(w.node.mount);
	if (rk__vfs_outside(w.node.mount))
		return -EOPNOTSUPP;
	if (!o || !rk__ofd_reads(o) || (o->flags & O_DIRECT) || a->offset < 0 ||
	    !may_have(c, w.node, &w.st, &sealed))
		want &= ~RK_HOT_PAGES;
	r = -EAGAIN;
	if (want & RK_HOT_PAGES)
		r = rk__pages->look(w.node, &w.st, want, sealed ?
				    RK__PAGES_SEALED : RK__PAGES_READ,
				    (uint64_t)a->offset, a->length, a->hot);
	if (r < 0) {
		want &= ~RK_HOT_PAGES;
		r = rk__pages->look(w.node, &w.st, want, RK__PAGES_READ, 0, 0,
				    a->hot);
	}
	if (r < 0)
		return r;
	a->hot->flags &= want;
	if (o && (want & RK_HOT_ALONE) && o->refs == 1 && !o->pipe &&
	    !(o->flags & (O_DIRECTORY | O_PATH))) {
		a->hot->flags |= RK_HOT_ALONE;
		a->hot->offset = (uint64_t)o->offset;
	}
	if ((a->hot->flags & RK_HOT_PAGES) && (want & RK_HOT_SEND))
		rk__pages->give(a->hot);
	return 0;
}

/* --- mappings -------------------------------------------------------------------- */

static int may_map(const struct rk__call *c, const struct rk__ofd *o,
		   bool write, struct rk_stat *ret)
{
	int r;

	if (!o || (o->flags & O_PATH))
		return -EBADF;
	if (!rk__ofd_reads(o) || (write && !rk__ofd_writes(o)))
		return -EACCES;
	r = o->pipe ? -ENODEV : rk__vfs_getattr(rk__ofd_node(o), ret);
	if (r == 0 && !S_ISREG(ret->mode))
		r = -ENODEV;
	return r;
}

int64_t rk__sys_pin(struct rk__call *c, struct op_pin *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);
	bool write = (a->prot & PROT_WRITE) &&
		     (a->flags & MAP_TYPE) != MAP_PRIVATE;
	bool sealed = false;
	struct rk_stat st;
	struct rk__node n;
	int r = may_map(c, o, write, &st);

	if (r < 0)
		return r;
	*a->hot = (struct rk_hot){ .st = st };
	n = rk__ofd_node(o);
	if (!rk__pages || rk__vfs_outside(n.mount) ||
	    !may_have(c, n, &st, &sealed) || sealed)
		return write ? -ENODEV : 0;
	if (rk__changed())
		return rk__call_stage(c, 1);
	r = rk__pages->look(n, &st, RK_HOT_PAGES, RK__PAGES_MAPPED, 0, 0,
			    a->hot);
	if (r < 0)
		return write ? r == -EAGAIN ? -ENOMEM : r : 0;
	rk__pages->give(a->hot);
	if (!(a->hot->flags & RK_HOT_SENT))
		return write ? -ENODEV : 0;
	return rk__pages->pin(c->proc, n, write);
}

/* How far a request of several stages came: a successor compares anew. */
static struct {
	uint32_t slot, cell;
	uint64_t id, at;
} back;

/*
 * What was written by mapping to [from, to) of a file is at the driver. false: the
 * request is not done with it, or failed.
 */
static bool write_back(struct rk__call *c, uint32_t cell, uint64_t from,
		       uint64_t to, int64_t *ret)
{
	const struct rk__handle *h = rk__handle_now;
	bool again = back.slot == h->slot && back.id == h->id;

	/* It waits for the device already. */
	if (h->flush_seq || (again && back.cell > cell))
		return true;
	if (again && back.cell == cell && back.at == UINT64_MAX)
		return true;
	if (again && back.cell == cell)
		from = back.at;
	*ret = rk__pages->write_back(cell, from, to, &from);
	if (*ret <= 0 && from == UINT64_MAX)
		return *ret == 0;
	if (*ret < 0)
		return false;
	back.slot = h->slot;
	back.id = h->id;
	back.cell = cell;
	back.at = from;
	*ret = rk__call_stage(c, 1);
	return false;
}

bool rk__call_write_back(struct rk__call *c, struct rk__node n, uint64_t from,
			 uint64_t to, int64_t *ret)
{
	uint32_t cell = rk__pages ? rk__pages->written(n) : 0;

	return !cell || write_back(c, cell - 1, from, to, ret);
}

bool rk__call_write_back_all(struct rk__call *c, uint32_t mount, int64_t *ret)
{
	for (uint32_t i = 0; rk__pages && rk__pages->next_written(mount, &i);
	     i++)
		if (!write_back(c, i, 0, UINT64_MAX, ret))
			return false;
	return true;
}

static struct rk__pin *find_pin(const struct rk__call *c, uint32_t handle)
{
	return rk__pages ? rk__pages->find_pin(c->proc, handle) : NULL;
}

static struct rk__node node_of(const struct rk__pin *pin)
{
	const struct rk__vnode *v = rk__vnode(pin->vnode);

	return rk__node(v->mount, v->ino);
}

int64_t rk__sys_pin_sync(struct rk__call *c, struct op_pin_sync *a)
{
	const struct rk__pin *pin = find_pin(c, a->pin);
	uint64_t from = (uint64_t)a->offset, to;
	struct rk__node n;
	int64_t r;

	if (!pin || a->offset < 0)
		return -EINVAL;
	if (!a->wait || !pin->write)
		return 0;
	if (!a->length || __builtin_add_overflow(from, a->length, &to))
		to = UINT64_MAX;
	n = node_of(pin);
	if (!rk__call_write_back(c, n, from, to, &r))
		return r;
	return rk__call_flush(c, n.mount);
}

int64_t rk__sys_unpin(struct rk__call *c, struct op_unpin *a)
{
	struct rk__pin *pin = find_pin(c, a->pin);
	int64_t r;

	if (!pin)
		return -EINVAL;
	/* What cannot be written now is lost, as with munmap(2). */
	if (pin->write && !rk__call_write_back(c, node_of(pin), 0,
					       UINT64_MAX, &r) &&
	    c->outcome == RK_STAGE)
		return r;
	rk__pages->unpin(pin);
	return 0;
}
