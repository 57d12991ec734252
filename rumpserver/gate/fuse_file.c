/*
 * fuse_file.c - FUSE requests about the contents of files: data, extended
 * attributes, locks. Opening needs no state of ours: the kernel keeps its
 * reference of the file while one has it open. An open file is called what the
 * request was that opened it, which is the same for whoever serves it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fuse.h"

/* --- opening and closing --------------------------------------------------------- */

/* What the kernel has in its cache is right: it hears of what changes (see
 * notice.h). */
int rk__fuse_open(struct rk__fuse_call *c)
{
	const struct fuse_open_in *in = c->arg;
	struct fuse_open_out *out = c->out;
	struct rk_stat st;
	int r;

	/* The kernel does not know of append-only and immutable files. */
	if ((in->flags & O_ACCMODE) != O_RDONLY) {
		r = rk__vfs_getattr(c->node, &st);
		if (r == 0)
			r = rk__may_open(&st, in->flags);
		if (r < 0)
			return r;
	}
	*out = (struct fuse_open_out){
		.fh = rk__fuse_new_fh(c),
		.open_flags = rk__fuse_keep(c),
	};
	return sizeof *out;
}

static _Atomic uint64_t *lister_of(const struct rk__fuse_call *c)
{
	uint64_t hash = c->in->nodeid * 0x9e3779b97f4a7c15ull;

	return &c->slot->fuse->inbox->lister[hash >> 55];
}
_Static_assert(RK_FUSE_LISTERS == 1 << 9, "lister_of takes 9 bits");

/*
 * One open directory at a time may have its names cached. The kernel compares
 * the cache with the directory only where a listing begins: one that begins
 * while another fills the cache would go on in what that one read, and miss
 * names that were made in between.
 */
static bool may_cache_names(const struct rk__fuse_call *c, uint64_t fh)
{
	uint64_t who = 0;

	if (rk__core->proc_brk || !rk__fuse_keep(c))
		return false;
	return atomic_compare_exchange_strong(lister_of(c), &who, fh) ||
	       who == fh;
}

int rk__fuse_opendir(struct rk__fuse_call *c)
{
	struct fuse_open_out *out = c->out;
	uint64_t fh = rk__fuse_new_fh(c);

	*out = (struct fuse_open_out){
		.fh = fh,
		.open_flags = may_cache_names(c, fh) ?
			FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE : 0,
	};
	return sizeof *out;
}

static void unlock_all(const struct rk__fuse_call *c, enum rk__lock_kind kind,
		       uint64_t owner)
{
	if (rk__vnode(c->vnode)->locks)
		rk__lock_release(c->vnode, kind, owner);
}

int rk__fuse_close(struct rk__fuse_call *c)
{
	const struct fuse_release_in *in = c->arg;
	uint64_t who = in->fh;

	atomic_compare_exchange_strong(lister_of(c), &who, 0);
	if (in->release_flags & FUSE_RELEASE_FLOCK_UNLOCK)
		unlock_all(c, RK_LOCK_FLOCK, in->lock_owner);
	/* The kernel does not give back what belonged to the open file (OFD);
	 * what belonged to processes went when they closed it. */
	if (rk__vnode(c->vnode)->locks)
		rk__lock_release_file(c->vnode, in->fh);
	return 0;
}

int rk__fuse_flush(struct rk__fuse_call *c)
{
	const struct fuse_flush_in *in = c->arg;

	unlock_all(c, RK_LOCK_POSIX, in->lock_owner);
	return 0;
}

int rk__fuse_fsync(struct rk__fuse_call *c)
{
	c->outcome = rk__serve_fsync(&c->slot->handle, c->mount);
	return (int)c->slot->handle.result;
}

/* --- data ------------------------------------------------------------------------ */

int rk__fuse_read(struct rk__fuse_call *c)
{
	const struct fuse_read_in *in = c->arg;

	if (in->size > c->room)
		return -EINVAL;
	return (int)rk__vfs_read(c->node, c->out, in->size, in->offset);
}

int rk__fuse_write(struct rk__fuse_call *c)
{
	const struct fuse_write_in *in = c->arg;
	struct fuse_write_out *out = c->out;
	struct rk__cred cred = c->cred;
	uint64_t at;
	int64_t n;

	if (in->size != c->data_len)
		return -EINVAL;
	/* The kernel says whether this writer may leave set-id bits. */
	if ((c->slot->fuse->flags & FUSE_HANDLE_KILLPRIV_V2) &&
	    !(in->write_flags & FUSE_WRITE_KILL_SUIDGID))
		cred.uid = 0;
	n = rk__vfs_write(&cred, c->node, c->data, c->data_len, in->offset,
			  false, &at);
	if (n < 0)
		return (int)n;
	*out = (struct fuse_write_out){ .size = (uint32_t)n };
	return sizeof *out;
}

int rk__fuse_fallocate(struct rk__fuse_call *c)
{
	const struct fuse_fallocate_in *in = c->arg;
	int r = rk__vfs_fallocate(&c->cred, c->node, in->mode, in->offset,
				  in->length);

	if (r > 0)
		c->outcome = RK_STAGE;
	return r;
}

static int64_t copy(struct rk__fuse_call *c)
{
	const struct fuse_copy_file_range_in *in = c->arg;
	uint32_t index = rk__fuse_vnode(c->mount, in->nodeid_out);
	struct rk__node to = { .mount = c->mount };

	if (!index)
		return -ESTALE;
	if (in->flags)
		return -EINVAL;
	to.ino = rk__vnode(index)->ino;
	return rk__vfs_copy(&c->cred, c->node, in->off_in, to, in->off_out,
			    in->len);
}

int rk__fuse_copy(struct rk__fuse_call *c)
{
	struct fuse_write_out *out = c->out;
	int64_t n = copy(c);

	if (n < 0)
		return (int)n;
	*out = (struct fuse_write_out){ .size = (uint32_t)n };
	return sizeof *out;
}

int rk__fuse_copy_64(struct rk__fuse_call *c)
{
	struct rk__fuse_copy_out *out = c->out;
	int64_t n = copy(c);

	if (n < 0)
		return (int)n;
	*out = (struct rk__fuse_copy_out){ .bytes_copied = (uint64_t)n };
	return sizeof *out;
}

int rk__fuse_seek(struct rk__fuse_call *c)
{
	const struct fuse_lseek_in *in = c->arg;
	struct fuse_lseek_out *out = c->out;
	int r;

	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return -EINVAL;
	r = rk__vfs_seek(c->node, in->offset, in->whence == SEEK_HOLE,
			 &out->offset);
	return r < 0 ? r : (int)sizeof *out;
}

/* --- extended attributes ------------------------------------------------------------ */

/* Size 0 asks how long the answer would be. */
static int give_xattr(struct rk__fuse_call *c, uint32_t size, int r)
{
	struct fuse_getxattr_out *out = c->out;

	if (r < 0 || size)
		return r;
	*out = (struct fuse_getxattr_out){ .size = (uint32_t)r };
	return sizeof *out;
}

static uint32_t xattr_room(const struct fuse_getxattr_in *in)
{
	return in->size < RK_XATTR_SIZE_MAX ? in->size : RK_XATTR_SIZE_MAX;
}

int rk__fuse_getxattr(struct rk__fuse_call *c)
{
	const struct fuse_getxattr_in *in = c->arg;

	return give_xattr(c, in->size,
			  rk__vfs_getxattr(&c->cred, c->node, c->name[0],
					   c->out, xattr_room(in)));
}

int rk__fuse_listxattr(struct rk__fuse_call *c)
{
	const struct fuse_getxattr_in *in = c->arg;

	return give_xattr(c, in->size,
			  rk__vfs_listxattr(&c->cred, c->node, c->out,
					    xattr_room(in)));
}

/* An access list was set by one who may not have a set-gid file. */
static int kill_sgid(struct rk__fuse_call *c)
{
	struct rk_setattr set = { .valid = RK_SET_MODE };
	struct rk_stat st;
	int r = rk__vfs_getattr(c->node, &st);

	if (r < 0 || !(st.mode & S_ISGID))
		return r;
	set.mode = st.mode & 07777 & ~(uint32_t)S_ISGID;
	return rk__vfs_setattr(&c->cred, c->node, &set, &st);
}

int rk__fuse_setxattr(struct rk__fuse_call *c)
{
	const struct fuse_setxattr_in *in = c->arg;
	int r;

	if (in->size != c->data_len || in->size > RK_XATTR_SIZE_MAX)
		return -EINVAL;
	r = rk__vfs_setxattr(&c->cred, c->node, c->name[0], c->data,
			     c->data_len, in->flags);
	if (r == 0 && (c->slot->fuse->flags & FUSE_SETXATTR_EXT) &&
	    (in->setxattr_flags & FUSE_SETXATTR_ACL_KILL_SGID) &&
	    !strcmp(c->name[0], "system.posix_acl_access"))
		r = kill_sgid(c);
	return r;
}

int rk__fuse_removexattr(struct rk__fuse_call *c)
{
	return rk__vfs_removexattr(&c->cred, c->node, c->name[0]);
}

/* --- locks ---------------------------------------------------------------------- */

/* The kernel's "to the end" is the largest offset. */
static int wanted_lock(const struct rk__fuse_call *c,
		       struct rk__lock_request *r)
{
	const struct fuse_lk_in *in = c->arg;
	bool whole = in->lk_flags & FUSE_LK_FLOCK;

	if (in->lk.type != F_RDLCK && in->lk.type != F_WRLCK &&
	    in->lk.type != F_UNLCK)
		return -EINVAL;
	if (!whole && (in->lk.start > in->lk.end || in->lk.start > INT64_MAX))
		return -EINVAL;

	*r = (struct rk__lock_request){
		.kind = whole ? RK_LOCK_FLOCK : RK_LOCK_POSIX,
		.owner = in->owner,
		.file = in->fh,
		.pid = in->lk.pid,
		.type = in->lk.type,
		.start = whole ? 0 : in->lk.start,
		.end = whole || in->lk.end >= INT64_MAX ? UINT64_MAX :
			in->lk.end,
	};
	return 0;
}

int rk__fuse_getlk(struct rk__fuse_call *c)
{
	struct fuse_lk_out *out = c->out;
	struct rk__lock_request want;
	struct rk_flock found;
	int r = wanted_lock(c, &want);

	if (r < 0)
		return r;
	rk__lock_test(c->vnode, &want, &found);
	*out = (struct fuse_lk_out){ .lk = {
		.type = found.type,
		.pid = found.pid,
		.start = (uint64_t)found.start,
		.end = found.length ?
			(uint64_t)(found.start + found.length - 1) : INT64_MAX,
	} };
	return sizeof *out;
}

int rk__fuse_setlk(struct rk__fuse_call *c)
{
	struct rk__lock_request want;
	int r = wanted_lock(c, &want);

	if (r == 0)
		r = rk__lock_set(c->vnode, &want);
	/* flock(2) gives up what it wanted to convert even if it fails. */
	if (r == -EAGAIN && want.kind == RK_LOCK_FLOCK &&
	    rk__lock_wait(c->vnode, &want) > 0) {
		c->outcome = RK_STAGE;
		return 0;
	}
	return r;
}

int rk__fuse_setlkw(struct rk__fuse_call *c)
{
	struct rk__fuse_slot *s = c->slot;
	struct rk__lock_request want;
	int r = wanted_lock(c, &want);

	if (r < 0)
		return r;
	r = rk__fuse_interrupted(s) ? -EINTR : rk__lock_set(c->vnode, &want);
	if (r == -EAGAIN)
		r = rk__fuse_may_wait(&s->handle) ? rk__lock_wait(c->vnode, &want) : -ENOLCK;
	else if (r == 0)
		return 0;
	if (r < 0) {
		rk__lock_wait_end(c->vnode, &want);
		return r;
	}
	if (r > 0) {
		c->outcome = RK_STAGE;
		return 0;
	}
	rk__park_lock(&s->handle, c->vnode, 0, &want);
	c->outcome = RK_PARKED;
	return 0;
}
