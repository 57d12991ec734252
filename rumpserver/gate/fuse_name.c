/*
 * fuse_name.c - FUSE requests about names and attributes. Permissions were
 * checked by the kernel (default_permissions); every answer that gives the
 * kernel a file takes a reference, which FORGET gives back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include "fuse.h"

/* Device numbers go over the wire as the kernel's new_encode_dev() has them. */
uint32_t rk__fuse_rdev(uint64_t dev)
{
	uint32_t low = minor(dev);

	return (low & 0xff) | major(dev) << 8 | (low & ~0xffu) << 12;
}

static uint64_t decode_rdev(uint32_t dev)
{
	return makedev((dev >> 8) & 0xfff, (dev & 0xff) | ((dev >> 12) & ~0xffu));
}

/* --- attributes --------------------------------------------------------------- */

static int give_attr(struct rk__fuse_call *c, const struct rk_stat *st)
{
	struct fuse_attr_out *out = c->out;

	*out = (struct fuse_attr_out){ 
		.attr_valid = rk__fuse_valid(c->slot->fuse),
	};
	rk__fuse_attr(st, &out->attr);
	return sizeof *out;
}

int rk__fuse_getattr(struct rk__fuse_call *c)
{
	struct rk_stat st;
	int r = rk__vfs_getattr(c->node, &st);

	return r < 0 ? r : give_attr(c, &st);
}

static struct rk__fuse_sx_time sx_time(struct rk_time t)
{
	return (struct rk__fuse_sx_time){ .tv_sec = t.sec, .tv_nsec = t.nsec };
}

/* STATX_ATTR_* that are FS_*_FL, bit for bit. */
#define STATX_FLAGS (STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE | \
	STATX_ATTR_NODUMP)

int rk__fuse_statx(struct rk__fuse_call *c)
{
	struct rk__fuse_statx_out *out = c->out;
	struct rk_stat st;
	int r = rk__vfs_getattr(c->node, &st);

	if (r < 0)
		return r;
	*out = (struct rk__fuse_statx_out){
		.attr_valid = rk__fuse_valid(c->slot->fuse),
		.stat = {
			.mask = STATX_BASIC_STATS | STATX_BTIME,
			.blksize = st.blksize,
			.attributes = st.flags & STATX_FLAGS,
			.attributes_mask = STATX_FLAGS,
			.nlink = st.nlink,
			.uid = st.uid,
			.gid = st.gid,
			.mode = (uint16_t)st.mode,
			.ino = st.ino,
			.size = st.size,
			.blocks = st.blocks,
			.atime = sx_time(st.atime),
			.btime = sx_time(st.btime),
			.ctime = sx_time(st.ctime),
			.mtime = sx_time(st.mtime),
			.rdev_major = major(st.rdev),
			.rdev_minor = minor(st.rdev),
		},
	};
	return sizeof *out;
}

static struct rk_time time_of(const struct fuse_setattr_in *in, uint32_t now,
			      uint64_t sec, uint32_t nsec)
{
	struct timespec t;

	if (!(in->valid & now))
		return (struct rk_time){ .sec = (int64_t)sec, .nsec = nsec };
	clock_gettime(CLOCK_REALTIME, &t);
	return (struct rk_time){ .sec = t.tv_sec, .nsec = (uint32_t)t.tv_nsec };
}

static void wanted_attr(const struct fuse_setattr_in *in,
			struct rk_setattr *set)
{
	static const struct {
		uint32_t fuse, ours;
	} bits[] = {
		{ FATTR_MODE, RK_SET_MODE }, { FATTR_UID, RK_SET_UID },
		{ FATTR_GID, RK_SET_GID }, { FATTR_SIZE, RK_SET_SIZE },
		{ FATTR_ATIME, RK_SET_ATIME }, { FATTR_MTIME, RK_SET_MTIME },
		{ FATTR_CTIME, RK_SET_CTIME },
	};

	*set = (struct rk_setattr){
		.mode = in->mode & 07777,
		.uid = in->uid,
		.gid = in->gid,
		.size = in->size,
		.atime = time_of(in, FATTR_ATIME_NOW, in->atime, in->atimensec),
		.mtime = time_of(in, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
		.ctime = time_of(in, 0, in->ctime, in->ctimensec),
	};
	for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++)
		if (in->valid & bits[i].fuse)
			set->valid |= bits[i].ours;
	if ((in->valid & FATTR_ATIME_NOW) && (in->valid & FATTR_MTIME_NOW))
		set->valid |= RK_SET_TOUCH;
}

#define ATTRIBUTES (FATTR_MODE | FATTR_UID | FATTR_GID | FATTR_SIZE | \
	FATTR_ATIME | FATTR_MTIME)

/* A change of nothing may be the kernel's, before a write, or that of anybody
 * at all who calls chown(-1, -1): a stranger who might not write must not take
 * the bits away. If it was a write after all, that one takes them. */
static bool may_drop(const struct rk__cred *c, const struct rk_stat *st)
{
	return c->uid == 0 || c->uid == st->uid ||
	       (st->mode & (S_IWGRP | S_IWOTH));
}

/* HANDLE_KILLPRIV_V2: the kernel leaves it to us to take set-id bits away when
 * the owner changes, and when one without CAP_FSETID cuts the file. A change
 * of nothing is a change of the owner to what it was. */
static int kill_privileges(struct rk__fuse_call *c, struct rk_setattr *set)
{
	const struct fuse_setattr_in *in = c->arg;
	uint32_t drop = S_ISUID;
	struct rk_stat st;
	int r;

	if (!(c->slot->fuse->flags & FUSE_HANDLE_KILLPRIV_V2) ||
	    (set->valid & RK_SET_MODE) ||
	    (!(in->valid & (FATTR_UID | FATTR_GID | FATTR_KILL_SUIDGID)) &&
	     (in->valid & ATTRIBUTES)))
		return 0;
	r = rk__vfs_getattr(c->node, &st);
	if (r < 0)
		return r;
	if ((st.mode & S_IXGRP) || (c->cred.uid != 0 && c->cred.gid != st.gid))
		drop |= S_ISGID;
	if (S_ISDIR(st.mode) || !(st.mode & drop))
		return 0;
	if (!(in->valid & (ATTRIBUTES | FATTR_KILL_SUIDGID)) &&
	    !may_drop(&c->cred, &st))
		return 0;
	set->valid |= RK_SET_MODE;
	set->mode = st.mode & 07777 & ~drop;
	return 0;
}

int rk__fuse_setattr(struct rk__fuse_call *c)
{
	struct rk_setattr set;
	struct rk_stat st;
	int r;

	wanted_attr(c->arg, &set);
	r = kill_privileges(c, &set);
	if (r < 0)
		return r;
	r = rk__vfs_setattr(&c->cred, c->node, &set, &st);
	if (r > 0)
		c->outcome = RK_STAGE;
	return r ? r : give_attr(c, &st);
}

int rk__fuse_statfs(struct rk__fuse_call *c)
{
	struct fuse_statfs_out *out = c->out;
	struct rk_statfs st;
	int r = rk__vfs_statfs(c->mount, &st);

	if (r < 0)
		return r;
	*out = (struct fuse_statfs_out){ .st = {
		.blocks = st.blocks,
		.bfree = st.bfree,
		.bavail = st.bavail,
		.files = st.files,
		.ffree = st.ffree,
		.bsize = st.bsize,
		.frsize = st.bsize,
		.namelen = st.namelen,
	} };
	return sizeof *out;
}

/* --- finding and forgetting ----------------------------------------------------- */

static bool is_dot(const struct rk__fuse_call *c)
{
	return c->name_len[0] == 1 && c->name[0][0] == '.';
}

/* Somebody kept a file handle for longer than the kernel kept the file. That
 * we still hold it means nothing: what the kernel forgets, it says later. */
static int find_again(struct rk__fuse_call *c, struct rk_stat *ret)
{
	return rk__vfs_getattr(c->node, ret) < 0 || !ret->nlink ? -ESTALE : 0;
}

int rk__fuse_lookup(struct rk__fuse_call *c)
{
	struct fuse_entry_out *out = c->out;
	struct rk_stat st;
	int r = -ESTALE;

	if (is_dot(c))
		r = find_again(c, &st);
	else if (c->vnode)
		r = rk__vfs_lookup(&c->cred, c->node, c->name[0],
				   c->name_len[0], &st);

	if (r == -ENOENT) {
		*out = (struct fuse_entry_out){
			.entry_valid = rk__fuse_valid(c->slot->fuse),
		};
		return sizeof *out;
	}
	return r < 0 ? r : rk__fuse_enter(c, &st, out);
}

static void forget(struct rk__fuse_call *c, uint64_t nodeid, uint64_t n)
{
	uint32_t index = rk__fuse_vnode(c->mount, nodeid);

	if (index && nodeid != FUSE_ROOT_ID)
		rk__vnode_put_lookup(index, n);
}

int rk__fuse_forget(struct rk__fuse_call *c)
{
	const struct fuse_forget_in *in = c->arg;

	forget(c, c->in->nodeid, in->nlookup);
	return 0;
}

int rk__fuse_batch_forget(struct rk__fuse_call *c)
{
	const struct fuse_batch_forget_in *in = c->arg;
	const struct fuse_forget_one *one = (const void *)c->data;

	if (in->count > c->data_len / sizeof *one)
		return -EINVAL;
	for (uint32_t i = 0; i < in->count; i++)
		forget(c, one[i].nodeid, one[i].nlookup);
	return 0;
}

int rk__fuse_destroy(struct rk__fuse_call *c)
{
	(void)c;
	return 0;
}

/* --- making and removing names ---------------------------------------------------- */

/* Without DONT_MASK the kernel has applied it. */
static void take_umask(struct rk__fuse_call *c, uint32_t umask)
{
	if (c->slot->fuse->flags & FUSE_DONT_MASK)
		c->cred.umask = umask;
}

static int make(struct rk__fuse_call *c, uint32_t mode, uint64_t rdev,
		const char *target, struct rk_stat *st)
{
	struct rk_new what = {
		.mode = mode,
		.uid = c->cred.uid,
		.gid = c->cred.gid,
		.rdev = rdev,
		.target = target,
	};

	return rk__vfs_create(&c->cred, c->node, c->name[0], c->name_len[0],
			      &what, st);
}

static int make_entry(struct rk__fuse_call *c, uint32_t mode, uint64_t rdev,
		      const char *target)
{
	struct rk_stat st;
	int r = make(c, mode, rdev, target, &st);

	return r < 0 ? r : rk__fuse_enter(c, &st, c->out);
}

int rk__fuse_symlink(struct rk__fuse_call *c)
{
	return make_entry(c, S_IFLNK | 0777, 0, c->name[1]);
}

int rk__fuse_mknod(struct rk__fuse_call *c)
{
	const struct fuse_mknod_in *in = c->arg;

	take_umask(c, in->umask);
	return make_entry(c, in->mode, decode_rdev(in->rdev), NULL);
}

int rk__fuse_mkdir(struct rk__fuse_call *c)
{
	const struct fuse_mkdir_in *in = c->arg;

	take_umask(c, in->umask);
	return make_entry(c, S_IFDIR | (in->mode & 07777), 0, NULL);
}

/* The kernel took the name for new, or did not look: open what is there. */
static int find_or_make(struct rk__fuse_call *c, struct rk_stat *st)
{
	const struct fuse_create_in *in = c->arg;
	int r = rk__vfs_lookup(&c->cred, c->node, c->name[0], c->name_len[0],
			       st);

	take_umask(c, in->umask);
	if (r == -ENOENT)
		return make(c, S_IFREG | (in->mode & 07777), 0, NULL, st);
	if (r < 0)
		return r;
	if (in->flags & O_EXCL)
		return -EEXIST;
	/* Not for CREATE to open; the kernel looks the name up anew. */
	return S_ISREG(st->mode) ? rk__may_open(st, in->flags) : -ESTALE;
}

static int give_open(struct rk__fuse_call *c, const struct rk_stat *st)
{
	struct {
		struct fuse_entry_out entry;
		struct fuse_open_out open;
	} *out = c->out;
	int r = rk__fuse_enter(c, st, &out->entry);

	if (r < 0)
		return r;
	out->open = (struct fuse_open_out){
		.fh = rk__fuse_new_fh(c),
		.open_flags = rk__fuse_keep(c),
	};
	return sizeof *out;
}

int rk__fuse_create(struct rk__fuse_call *c)
{
	struct rk_stat st;
	int r = find_or_make(c, &st);

	return r < 0 ? r : give_open(c, &st);
}

int rk__fuse_tmpfile(struct rk__fuse_call *c)
{
	const struct fuse_create_in *in = c->arg;
	struct rk_new what = { .mode = S_IFREG | (in->mode & 07777) };
	struct rk_stat st;
	int r;

	take_umask(c, in->umask);
	r = rk__vfs_tmpfile(&c->cred, c->node, &what, !(in->flags & O_EXCL),
			    &st);
	return r < 0 ? r : give_open(c, &st);
}

int rk__fuse_link(struct rk__fuse_call *c)
{
	const struct fuse_link_in *in = c->arg;
	uint32_t index = rk__fuse_vnode(c->mount, in->oldnodeid);
	struct rk__node from = { .mount = c->mount };
	struct rk_stat st;
	int r;

	if (!index)
		return -ESTALE;
	from.ino = rk__vnode(index)->ino;
	r = rk__vfs_link(&c->cred, from, c->node, c->name[0], c->name_len[0],
			 &st);
	return r < 0 ? r : rk__fuse_enter(c, &st, c->out);
}

int rk__fuse_unlink(struct rk__fuse_call *c)
{
	return rk__vfs_unlink(&c->cred, c->node, c->name[0], c->name_len[0],
			      false);
}

int rk__fuse_rmdir(struct rk__fuse_call *c)
{
	return rk__vfs_unlink(&c->cred, c->node, c->name[0], c->name_len[0],
			      true);
}

static int move(struct rk__fuse_call *c, uint64_t newdir, uint32_t flags)
{
	uint32_t index = rk__fuse_vnode(c->mount, newdir);
	struct rk__node to = { .mount = c->mount };

	if (!index)
		return -ESTALE;
	to.ino = rk__vnode(index)->ino;
	return rk__vfs_rename(&c->cred, c->node, c->name[0], c->name_len[0],
			      to, c->name[1], c->name_len[1], flags);
}

int rk__fuse_rename(struct rk__fuse_call *c)
{
	const struct fuse_rename_in *in = c->arg;

	return move(c, in->newdir, 0);
}

int rk__fuse_rename2(struct rk__fuse_call *c)
{
	const struct fuse_rename2_in *in = c->arg;

	return move(c, in->newdir, in->flags);
}

int rk__fuse_readlink(struct rk__fuse_call *c)
{
	return rk__vfs_readlink(c->node, c->out, RK_PATH_LEN_MAX - 1);
}
