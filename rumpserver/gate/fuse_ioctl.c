/*
 * fuse_ioctl.c - IOCTL: the flags of a file, in both forms that the kernel has
 * for them, and its version. Who may change them is the kernel's to check.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include "fuse.h"

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

static int give(struct rk__fuse_call *c, const void *data, uint32_t len)
{
	const struct fuse_ioctl_in *in = c->arg;
	struct fuse_ioctl_out *out = c->out;

	if (in->out_size < len)
		return -EINVAL;
	/* Some are declared to hold a long, and programs give room for the int
	 * that they do hold: not a byte more. */
	*out = (struct fuse_ioctl_out){ 0 };
	memcpy(out + 1, data, len);
	return (int)(sizeof *out + len);
}

static int set_flags(struct rk__fuse_call *c, uint32_t flags)
{
	const struct rk_setattr set = { .valid = RK_SET_FLAGS, .flags = flags };
	struct rk_stat st;
	int r = rk__vfs_setattr(&c->cred, c->node, &set, &st);

	return r < 0 ? r : give(c, "", 0);
}

static int get_xflags(struct rk__fuse_call *c, const struct rk_stat *st)
{
	struct fsxattr x = { 0 };

	for (unsigned i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
		if (st->flags & pairs[i].flag)
			x.fsx_xflags |= pairs[i].xflag;
	return give(c, &x, sizeof x);
}

static int set_xflags(struct rk__fuse_call *c, const struct rk_stat *st)
{
	uint32_t flags = st->flags;
	struct fsxattr x;

	if (c->data_len < sizeof x)
		return -EINVAL;
	memcpy(&x, c->data, sizeof x);
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
	return set_flags(c, flags);
}

int rk__fuse_ioctl(struct rk__fuse_call *c)
{
	const struct fuse_ioctl_in *in = c->arg;
	struct rk_stat st;
	uint32_t flags;
	int r = rk__vfs_getattr(c->node, &st);

	if (r < 0)
		return r;
	switch (in->cmd) {
	case FS_IOC_GETFLAGS:
		return give(c, &st.flags, sizeof st.flags);
	case FS_IOC_GETVERSION:
		return give(c, &st.generation, sizeof st.generation);
	case FS_IOC_FSGETXATTR:
		return get_xflags(c, &st);
	case FS_IOC_SETFLAGS:
		if (c->data_len < sizeof flags)
			return -EINVAL;
		memcpy(&flags, c->data, sizeof flags);
		return set_flags(c, flags);
	case FS_IOC_FSSETXATTR:
		return set_xflags(c, &st);
	default:
		return -ENOTTY;
	}
}
