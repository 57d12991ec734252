/*
 * entry.c - the driver's table, mounting, and its options.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>
#include "mem.h"

static const char help[] =
"files in memory, as in a tmpfs\n"
"size=BYTES    of data at most, with k, m or g, or N% of the memory (25%)\n"
"nr_inodes=N   files, directories and further names at most, with k or m\n"
"              (one for each page of size)\n"
"mode=OCTAL    of the root directory (1777)\n"
"uid=N, gid=N  its owner and group (0)\n";

struct options {
	uint64_t size, inodes;
	uint32_t mode, uid, gid;
};

__attribute__((format(printf, 2, 3)))
static int refuse(const struct rk_host *host, const char *format, ...)
{
	char text[200];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	host->complain(host->ctx, text);
	return -EINVAL;
}

static uint64_t memory(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) * PAGE;
}

static bool read_number(const char *text, unsigned base, uint64_t max,
			uint64_t *ret, const char **end)
{
	uint64_t n = 0;
	const char *p = text;

	for (; *p >= '0' && (unsigned)(*p - '0') < base; p++) {
		if (n > (max - (uint64_t)(*p - '0')) / base)
			return false;
		n = n * base + (uint64_t)(*p - '0');
	}
	*ret = n;
	*end = p;
	return p > text;
}

/* "10m": with k, m or g behind it; "25%" of `whole`, if there is one. */
static bool read_size(const char *text, uint64_t whole, uint64_t *ret)
{
	static const char unit[] = "kmg";
	const char *end, *u;

	if (!read_number(text, 10, UINT64_MAX >> 31, ret, &end))
		return false;
	if (whole && strcmp(end, "%") == 0 && *ret <= 100) {
		*ret = whole / 100 * *ret;
		return true;
	}
	u = *end ? strchr(unit, tolower((unsigned char)*end)) : NULL;
	if (u) {
		*ret <<= 10 * (u - unit + 1);
		end++;
	}
	return !*end;
}

static bool read_id(const char *text, uint32_t *ret, unsigned base,
		    uint64_t max)
{
	const char *end;
	uint64_t n;

	if (!read_number(text, base, max, &n, &end) || *end)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* What follows the name's '=', or NULL if it is another's. */
static const char *value_of(const char *option, const char *name)
{
	size_t len = strlen(name);

	return strncmp(option, name, len) == 0 && option[len] == '=' ?
	       option + len + 1 : NULL;
}

static int read_option(const struct rk_host *host, const char *option,
		       struct options *o)
{
	const char *v;
	bool good;

	if ((v = value_of(option, "size")))
		good = read_size(v, memory(), &o->size);
	else if ((v = value_of(option, "nr_inodes")))
		good = read_size(v, 0, &o->inodes);
	else if ((v = value_of(option, "mode")))
		good = read_id(v, &o->mode, 8, 07777);
	else if ((v = value_of(option, "uid")))
		good = read_id(v, &o->uid, 10, UINT32_MAX - 1);
	else if ((v = value_of(option, "gid")))
		good = read_id(v, &o->gid, 10, UINT32_MAX - 1);
	else
		return refuse(host, "mem: unknown option '%.100s'; there are "
			      "size, nr_inodes, mode, uid and gid", option);
	return good ? 0 : refuse(host, "mem: '%.100s' is no %.*s", option,
				 (int)(v - option - 1), option);
}

static int read_options(const struct rk_host *host,
			const struct rk_mount_options *opt, struct options *o)
{
	for (size_t i = 0; i < opt->n_options; i++) {
		int r = read_option(host, opt->option[i], o);

		if (r < 0)
			return r;
	}
	if (o->size > SIZE_MAX_BYTES)
		return refuse(host, "mem: size is at most %llu bytes",
			      SIZE_MAX_BYTES);
	if (!o->size) {
		o->size = memory() / 4 & ~(uint64_t)(PAGE - 1);
		if (o->size > SIZE_MAX_BYTES)
			o->size = SIZE_MAX_BYTES;
	}
	if (!o->inodes)
		o->inodes = o->size / PAGE + 1;
	return 0;
}

static int make_root(struct mem *m, const struct options *o)
{
	const struct rk_new what = {
		.mode = S_IFDIR | o->mode, .uid = o->uid, .gid = o->gid,
	};
	struct inode *root;
	int r = rk__mem_inode_new(m, NULL, &what, &root);

	if (r < 0)
		return r;
	root->nlink = 2;
	root->dir.parent = root;
	m->inodes_used = 1;
	return 0;
}

static int mem_mount(const struct rk_host *host,
		     const struct rk_mount_options *opt, void **ret_fs,
		     uint64_t *ret_root, bool *needs_recovery)
{
	struct options o = { .mode = 01777 };
	struct rk_time now = host->now(host->ctx);
	int r = read_options(host, opt, &o);
	struct mem *m;

	if (r < 0)
		return r;
	host->change(host->ctx);
	m = calloc(1, sizeof *m);
	if (!m)
		return -ENOMEM;
	m->host = *host;
	m->read_only = opt->read_only;
	m->next_ino = ROOT;
	m->seed = ((uint64_t)now.sec << 30 ^ now.nsec) * 0x9e3779b97f4a7c15ull;
	m->limit = o.size;
	m->inodes_limit = o.inodes;
	r = make_root(m, &o);
	if (r < 0)
		return r;
	*ret_fs = m;
	*ret_root = ROOT;
	return 0;
}

/* Only what is large: to go through all the rest would make the last commit
 * larger than a commit may be. */
static int mem_unmount(void *fs)
{
	struct mem *m = fs;

	rk__mem_pool_free(&m->pool);
	return 0;
}

static int mem_statfs(void *fs, struct rk_statfs *ret)
{
	const struct mem *m = fs;

	ret->type = MAGIC;
	ret->bsize = PAGE;
	ret->namelen = NAME_LIMIT;
	ret->blocks = m->limit / PAGE;
	ret->bfree = (m->limit - m->used) / PAGE;
	ret->bavail = ret->bfree;
	ret->files = m->inodes_limit;
	ret->ffree = m->inodes_limit - m->inodes_used;
	return 0;
}

__attribute__((visibility("default")))
const struct rk_driver rk_driver = {
	.abi = RK_DRIVER_ABI,
	.source = RK_SOURCE_NONE,
	.name = "mem",
	.help = help,
	.mount = mem_mount,
	.unmount = mem_unmount,
	.lookup = rk__mem_lookup,
	.getattr = rk__mem_getattr,
	.setattr = rk__mem_setattr,
	.create = rk__mem_create,
	.tmpfile = rk__mem_tmpfile,
	.link = rk__mem_link,
	.unlink = rk__mem_unlink,
	.rename = rk__mem_rename,
	.reclaim = rk__mem_reclaim,
	.readlink = rk__mem_readlink,
	.read = rk__mem_read,
	.write = rk__mem_write,
	.fallocate = rk__mem_fallocate,
	.seek = rk__mem_seek,
	.readdir = rk__mem_readdir,
	.getxattr = rk__mem_getxattr,
	.setxattr = rk__mem_setxattr,
	.listxattr = rk__mem_listxattr,
	.removexattr = rk__mem_removexattr,
	.statfs = mem_statfs,
};
