/*
 * fuse_ioctl.c - IOCTL, as far as the kernel lets it through: it does FIONREAD
 * and its like by itself, and refuses FIEMAP without asking us. Who may change
 * the flags of a file is the kernel's to check.
 */
#include <errno.h>
#include "fuse.h"

int rk__fuse_ioctl(struct rk__fuse_call *c)
{
	const struct fuse_ioctl_in *in = c->arg;
	struct fuse_ioctl_out *out = c->out;
	uint32_t room = c->room - (uint32_t)sizeof *out;
	int r;

	*out = (struct fuse_ioctl_out){ 0 };
	r = rk__vfs_ioctl(&c->cred, c->node, in->cmd, c->data, c->data_len,
			  out + 1, in->out_size < room ? in->out_size : room);
	return r < 0 ? r : (int)sizeof *out + r;
}
