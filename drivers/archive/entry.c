/*
 * entry.c - the archive driver as the server sees it; its mount.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "archive.h"

static int take_option(struct tree *t, const char *option)
{
	char text[160], *end;
	unsigned long mib;

	if (strncmp(option, "cache=", 6) == 0) {
		mib = strtoul(option + 6, &end, 10);
		if (end != option + 6 && !*end && mib >= 1 && mib <= 65536) {
			t->cache_max = (size_t)mib << 20;
			return 0;
		}
		snprintf(text, sizeof text, "cache= takes a number of MiB from "
			 "1 to 65536, not '%.40s'", option + 6);
	} else {
		snprintf(text, sizeof text, "archive has no option '%.80s'; "
			 "there is cache=MIB", option);
	}
	t->host.complain(t->host.ctx, text);
	return -EINVAL;
}

static int archive_unmount(void *fs)
{
	struct tree *t = fs;

	rk__data_forget(t);
	rk__tree_finish(t);
	free(t);
	return 0;
}

static int archive_mount(const struct rk_host *host,
			 const struct rk_mount_options *opt, void **ret_fs,
			 uint64_t *ret_root, bool *needs_recovery)
{
	struct tree *t = calloc(1, sizeof *t);
	int r;

	if (!t)
		return -ENOMEM;
	t->host = *host;
	t->cache_max = (size_t)CACHE_MIB << 20;
	t->newest_chunk.newer = t->newest_chunk.older = &t->newest_chunk;
	r = rk__tree_init(t);
	for (size_t i = 0; r == 0 && i < opt->n_options; i++)
		r = take_option(t, opt->option[i]);
	if (r == 0)
		r = rk__index_make(t);
	if (r < 0) {
		archive_unmount(t);
		return r;
	}
	*ret_fs = t;
	*ret_root = ROOT;
	return 0;
}

__attribute__((visibility("default")))
const struct rk_driver rk_driver = {
	.abi = RK_DRIVER_ABI,
	.name = "archive",
	.help = "tar (also packed by gzip, bzip2, xz, zstd, lz4), zip, cpio; "
		"read-only\n"
		"cache=MIB  memory for what was unpacked (64)\n",
	.flags = RK_DRIVER_READ_ONLY | RK_DRIVER_REOPEN,
	.source = RK_SOURCE_FILE,
	.mount = archive_mount,
	.unmount = archive_unmount,
	.lookup = rk__archive_lookup,
	.getattr = rk__archive_getattr,
	.readlink = rk__archive_readlink,
	.read = rk__archive_read,
	.readdir = rk__archive_readdir,
	.getxattr = rk__archive_getxattr,
	.listxattr = rk__archive_listxattr,
	.statfs = rk__archive_statfs,
};
