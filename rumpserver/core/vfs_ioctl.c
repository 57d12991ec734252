/*
 * vfs_ioctl.c - ioctl on files: their flags, in both forms that the kernel has
 * for them, their version, and where they lie on the device.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <string.h>
#include "vfs_int.h"

static const struct {
	uint32_t flag, xflag;
} pairs[] = {
	{ FS_SYNC_FL, FS_XFLAG_SYNC },
	{ FS_IMMUTABLE_FL, FS_XFLAG_IMMUTABLE },
	{ FS_APPEND_FL, FS_XFLAG_APPEND },
	{ FS_NODUMP_FL, FS_XFLAG_NODUMP },
	{ FS_NOATIME_FL, FS_XFLAG_NOATIME },
	{ FS_PROJINHERIT_FL, FS_XFLAG_PROJINHERIT },
};

struct ioctl {
	const struct rk__cred *c;
	struct rk__node n;
	const void *in;
	size_t in_len;
	void *out;
	size_t room;
};

/* Some are declared to hold a long, and programs give room for the int that
 * they do hold: not a byte more. */
static int give(const struct ioctl *a, const void *data, size_t len)
{
	if (a->room < len)
		return -EINVAL;
	memcpy(a->out, data, len);
	return (int)len;
}

static int set_flags(const struct ioctl *a, const struct rk_stat *st,
		     uint32_t flags)
{
	const uint32_t roots = FS_IMMUTABLE_FL | FS_APPEND_FL;
	const struct rk_setattr set = { .valid = RK_SET_FLAGS, .flags = flags };
	struct rk_stat after;
	int r = rk__may_own(a->c, st);

	if (r == 0 && ((st->flags ^ flags) & roots) && !a->c->checked &&
	    a->c->uid != 0)
		r = -EPERM;
	if (r == 0)
		r = rk__vfs_setattr(a->c, a->n, &set, &after);
	return r < 0 ? r : 0;
}

static int get_xflags(const struct ioctl *a, const struct rk_stat *st)
{
	struct fsxattr x = { 0 };

	for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if (st->flags & pairs[i].flag)
			x.fsx_xflags |= pairs[i].xflag;
	return give(a, &x, sizeof x);
}

static int set_xflags(const struct ioctl *a, const struct rk_stat *st)
{
	uint32_t flags = st->flags;
	struct fsxattr x;

	if (a->in_len < sizeof x)
		return -EINVAL;
	memcpy(&x, a->in, sizeof x);
	if (x.fsx_projid || x.fsx_extsize || x.fsx_cowextsize)
		return -EOPNOTSUPP;
	for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		flags &= ~pairs[i].flag;
		if (x.fsx_xflags & pairs[i].xflag)
			flags |= pairs[i].flag;
		x.fsx_xflags &= ~pairs[i].xflag;
	}
	if (x.fsx_xflags & ~(uint32_t)FS_XFLAG_HASATTR)
		return -EOPNOTSUPP;
	return set_flags(a, st, flags);
}

/* --- where a file lies ------------------------------------------------------- */

struct extents {
	struct fiemap_extent *at;
	uint32_t n, room;		/* room 0: they are only counted */
	uint64_t end;
	bool more;
};

static int add_extent(void *arg, uint64_t logical, uint64_t physical,
		      uint64_t len, uint32_t flags)
{
	struct extents *x = arg;

	if (logical >= x->end || (x->room && x->n == x->room)) {
		x->more = true;
		return 1;
	}
	if (x->room)
		x->at[x->n] = (struct fiemap_extent){
			.fe_logical = logical,
			.fe_physical = physical,
			.fe_length = len,
			.fe_flags = flags,
		};
	x->n++;
	return 0;
}

/* The driver is asked for all there is from the start on, so that the last
 * extent of the file is known when it comes. */
static int fiemap(const struct ioctl *a)
{
	const struct rk_driver *d = rk__ops(a->n.mount);
	struct extents x = { 0 };
	struct fiemap m;
	int r;

	if (a->in_len < sizeof m || a->room < sizeof m)
		return -EINVAL;
	memcpy(&m, a->in, sizeof m);
	if (!d->fiemap)
		return -EOPNOTSUPP;
	if (m.fm_length == 0)
		return -EINVAL;
	if (m.fm_start > INT64_MAX)
		return -EFBIG;
	if (m.fm_flags & ~(uint32_t)(FIEMAP_FLAG_SYNC | FIEMAP_FLAG_CACHE))
		return -EBADR;
	if (m.fm_extent_count > (a->room - sizeof m) / sizeof *x.at)
		return -EINVAL;
	x.at = (struct fiemap_extent *)((uint8_t *)a->out + sizeof m);
	x.room = m.fm_extent_count;
	x.end = m.fm_length > INT64_MAX - m.fm_start ? INT64_MAX :
		m.fm_start + m.fm_length;
	r = d->fiemap(rk__fs(a->n.mount), a->n.ino, m.fm_start, UINT64_MAX,
		      add_extent, &x);
	if (r < 0)
		return r;
	if (x.room && x.n && !x.more)
		x.at[x.n - 1].fe_flags |= FIEMAP_EXTENT_LAST;
	m.fm_mapped_extents = x.n;
	memcpy(a->out, &m, sizeof m);
	return (int)(sizeof m + (x.room ? x.n : 0) * sizeof *x.at);
}

int rk__vfs_ioctl(const struct rk__cred *c, struct rk__node n, uint32_t cmd,
		  const void *in, size_t in_len, void *out, size_t room)
{
	const struct ioctl a = {
		.c = c, .n = n, .in = in, .in_len = in_len,
		.out = out, .room = room,
	};
	struct rk_stat st;
	uint32_t flags;
	int r = rk__vfs_getattr(n, &st);

	if (r < 0)
		return r;
	switch (cmd) {
	case FS_IOC_GETFLAGS:
		return give(&a, &st.flags, sizeof st.flags);
	case FS_IOC_GETVERSION:
		return give(&a, &st.generation, sizeof st.generation);
	case FS_IOC_FSGETXATTR:
		return get_xflags(&a, &st);
	case FS_IOC_SETFLAGS:
		if (in_len < sizeof flags)
			return -EINVAL;
		memcpy(&flags, in, sizeof flags);
		return set_flags(&a, &st, flags);
	case FS_IOC_FSSETXATTR:
		return set_xflags(&a, &st);
	case FS_IOC_FIEMAP:
		return fiemap(&a);
	default:
		return -ENOTTY;
	}
}
