/*
 * entry.c - the host driver as the server sees it; its mount.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "host.h"

static int host_mount(const struct rk_host *host,
		      const struct rk_mount_options *opt, void **ret_fs,
		      uint64_t *ret_root, bool *needs_recovery)
{
	struct fs *fs;
	struct statx x;
	char text[160];
	int r;

	if (opt->n_options) {
		snprintf(text, sizeof text, "host has no option '%.80s'",
			 opt->option[0]);
		host->complain(host->ctx, text);
		return -EINVAL;
	}
	fs = calloc(1, sizeof *fs);
	if (!fs)
		return -ENOMEM;
	fs->host = host;
	r = rk__own_begin(fs);
	if (r < 0)
		return r;
	if (statx(host->dirfd, "", AT_EMPTY_PATH, STATX_BASIC_STATS,
		  &own(fs)->sx) < 0)
		return -errno;
	x = own(fs)->sx;
	fs->root = x.stx_ino;
	fs->dev_major = x.stx_dev_major;
	fs->dev_minor = x.stx_dev_minor;
	r = rk__node_put(fs, fs->root, 0, "", 0, true);
	if (r < 0)
		return r;
	if (!opt->read_only)
		rk__sweep_hidden(fs);
	*ret_fs = fs;
	*ret_root = fs->root;
	return 0;
}

/* Hidden objects of those who never let go. */
static int host_unmount(void *arg)
{
	struct fs *fs = arg;
	char hidden[32];

	for (unsigned i = 0; i < BUCKETS; i++)
		for (struct node *n = fs->bucket[i]; n; n = n->hash_next) {
			if (!n->kept)
				continue;
			rk__hidden_name(n->ino, hidden);
			unlinkat(fs->host->dirfd, hidden,
				 n->directory ? AT_REMOVEDIR : 0);
		}
	return 0;
}

__attribute__((visibility("default")))
const struct rk_driver rk_driver = {
	.abi = RK_DRIVER_ABI,
	.name = "host",
	.help = "a directory of the host; no options\n",
	.flags = RK_DRIVER_OUTSIDE,
	.source = RK_SOURCE_DIRECTORY,
	.mount = host_mount,
	.unmount = host_unmount,
	.lookup = rk__host_lookup,
	.getattr = rk__host_getattr,
	.setattr = rk__host_setattr,
	.create = rk__host_create,
	.link = rk__host_link,
	.unlink = rk__host_unlink,
	.rename = rk__host_rename,
	.reclaim = rk__host_reclaim,
	.readlink = rk__host_readlink,
	.read = rk__host_read,
	.write = rk__host_write,
	.fallocate = rk__host_fallocate,
	.seek = rk__host_seek,
	.readdir = rk__host_readdir,
	.getxattr = rk__host_getxattr,
	.setxattr = rk__host_setxattr,
	.listxattr = rk__host_listxattr,
	.removexattr = rk__host_removexattr,
	.statfs = rk__host_statfs,
	.sync = rk__host_sync,
};
