/*
 * entry.c - the squashfs driver as the server sees it.
 */
#include "squashfs.h"

__attribute__((visibility("default")))
const struct rk_driver rk_driver = {
	.abi = RK_DRIVER_ABI,
	.name = "squashfs",
	.help = "squashfs 4.0 images, read-only; no options\n",
	.flags = RK_DRIVER_READ_ONLY | RK_DRIVER_REOPEN,
	.source = RK_SOURCE_FILE,
	.mount = rk__squash_mount,
	.unmount = rk__squash_unmount,
	.lookup = rk__squash_lookup,
	.getattr = rk__squash_getattr,
	.readlink = rk__squash_readlink,
	.read = rk__squash_read,
	.seek = rk__squash_seek,
	.readdir = rk__squash_readdir,
	.getxattr = rk__squash_getxattr,
	.listxattr = rk__squash_listxattr,
	.statfs = rk__squash_statfs,
};
