/*
 * entry.c - the driver's table: each function asks the rules, calls the driver
 * below, and lets the rules have its answer.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fault.h"

static const char help[] =
"makes the driver below it fail by rules, as in fault+ext4:disk.img\n"
"rule=OP[@NAME]:WHEN:WHAT   may be repeated\n"
"    OP    a function of driver.h, several with | between, or *\n"
"    WHEN  always, once, at=N, after=N, every=N, p=0.01\n"
"    WHAT  error=ENAME, crash, abort, hang, slow=TIME, short, wrong; with late-\n"
"          before it, it comes after the call has done its work\n"
"seed=N                     for p and wrong (0)\n";

/* missing: what the server takes for a function that is not there. */
#define CALL(op, file, file_len, missing, ...)				\
	struct fault *f = fs;						\
	struct plan plan;						\
	int r_ = rk__fault_before(f, OP_##op, file, file_len, &plan);	\
									\
	if (r_ < 0)							\
		return r_;						\
	return (int)rk__fault_after(&plan, f->lower.driver->op ?	\
		f->lower.driver->op(f->lower.fs, __VA_ARGS__) : (missing))

static int fault_lookup(void *fs, uint64_t dir, const char *name, size_t len,
			struct rk_stat *ret)
{
	CALL(lookup, name, len, -ENOENT, dir, name, len, ret);
}

static int fault_getattr(void *fs, uint64_t ino, struct rk_stat *ret)
{
	CALL(getattr, NULL, 0, -EIO, ino, ret);
}

static int fault_setattr(void *fs, uint64_t ino, const struct rk_setattr *set,
			 struct rk_stat *ret)
{
	CALL(setattr, NULL, 0, -EROFS, ino, set, ret);
}

static int fault_create(void *fs, uint64_t dir, const char *name, size_t len,
			const struct rk_new *what, struct rk_stat *ret)
{
	CALL(create, name, len, -EROFS, dir, name, len, what, ret);
}

static int fault_tmpfile(void *fs, uint64_t dir, const struct rk_new *what,
			 struct rk_stat *ret)
{
	CALL(tmpfile, NULL, 0, -EOPNOTSUPP, dir, what, ret);
}

static int fault_link(void *fs, uint64_t ino, uint64_t dir, const char *name,
		      size_t len, struct rk_stat *ret)
{
	CALL(link, name, len, -EROFS, ino, dir, name, len, ret);
}

static int fault_unlink(void *fs, uint64_t dir, const char *name, size_t len,
			bool directory, struct rk_stat *ret)
{
	CALL(unlink, name, len, -EROFS, dir, name, len, directory, ret);
}

static int fault_rename(void *fs, uint64_t dir, const char *name, size_t len,
			uint64_t newdir, const char *newname, size_t newlen,
			uint32_t flags, struct rk_stat *victim)
{
	CALL(rename, name, len, -EROFS, dir, name, len, newdir, newname,
	     newlen, flags, victim);
}

static int fault_reclaim(void *fs, uint64_t ino)
{
	CALL(reclaim, NULL, 0, 0, ino);
}

static int fault_readlink(void *fs, uint64_t ino, char *buf, size_t size)
{
	CALL(readlink, NULL, 0, -EINVAL, ino, buf, size);
}

static int fault_fallocate(void *fs, uint64_t ino, uint32_t mode, uint64_t off,
			   uint64_t len)
{
	CALL(fallocate, NULL, 0, -EOPNOTSUPP, ino, mode, off, len);
}

static int all_data(struct fault *f, uint64_t ino, uint64_t off, bool hole,
		    uint64_t *ret)
{
	struct rk_stat st;
	int r = f->lower.driver->getattr(f->lower.fs, ino, &st);

	*ret = hole ? st.size : off;
	return r;
}

static int fault_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		      uint64_t *ret)
{
	CALL(seek, NULL, 0, all_data(f, ino, off, hole, ret), ino, off, hole,
	     ret);
}

static int fault_readdir(void *fs, uint64_t dir, uint64_t cookie,
			 rk_emit_fn *emit, void *arg)
{
	CALL(readdir, NULL, 0, -ENOTDIR, dir, cookie, emit, arg);
}

static int fault_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
			  size_t size)
{
	CALL(getxattr, NULL, 0, -EOPNOTSUPP, ino, name, buf, size);
}

static int fault_setxattr(void *fs, uint64_t ino, const char *name,
			  const void *value, size_t size, uint32_t flags)
{
	CALL(setxattr, NULL, 0, -EOPNOTSUPP, ino, name, value, size, flags);
}

static int fault_listxattr(void *fs, uint64_t ino, char *list, size_t size)
{
	CALL(listxattr, NULL, 0, -EOPNOTSUPP, ino, list, size);
}

static int fault_removexattr(void *fs, uint64_t ino, const char *name)
{
	CALL(removexattr, NULL, 0, -EOPNOTSUPP, ino, name);
}

static int fault_statfs(void *fs, struct rk_statfs *ret)
{
	CALL(statfs, NULL, 0, 0, ret);
}

/* Without a further argument. */
static int sync_lower(struct fault *f)
{
	return f->lower.driver->sync ? f->lower.driver->sync(f->lower.fs) : 0;
}

static int fault_sync(void *fs)
{
	struct plan plan;
	int r = rk__fault_before(fs, OP_sync, NULL, 0, &plan);

	return r < 0 ? r : (int)rk__fault_after(&plan, sync_lower(fs));
}

static int fault_fiemap(void *fs, uint64_t ino, uint64_t off, uint64_t end,
			rk_extent_fn *emit, void *arg)
{
	CALL(fiemap, NULL, 0, -EOPNOTSUPP, ino, off, end, emit, arg);
}

/* --- data ------------------------------------------------------------------------ */

static size_t cut(const struct plan *p, size_t len)
{
	return p->cut && len > 1 ? len / 2 : len;
}

static int64_t fault_read(void *fs, uint64_t ino, void *buf, size_t len,
			  uint64_t off)
{
	struct fault *f = fs;
	const struct rk_driver *d = f->lower.driver;
	struct plan plan;
	int64_t n = rk__fault_before(f, OP_read, NULL, 0, &plan);

	if (n < 0)
		return n;
	n = d->read ? d->read(f->lower.fs, ino, buf, cut(&plan, len), off) : 0;
	if (plan.wrong && n > 0)
		rk__fault_spoil(&plan, buf, (size_t)n);
	return rk__fault_after(&plan, n);
}

static int64_t write_lower(struct fault *f, const struct plan *plan,
			   uint64_t ino, const void *buf, size_t len,
			   uint64_t off)
{
	const struct rk_driver *d = f->lower.driver;
	void *copy = plan->wrong ? malloc(len) : NULL;
	int64_t n;

	if (plan->wrong && !copy)
		return -ENOMEM;
	if (copy) {
		memcpy(copy, buf, len);
		rk__fault_spoil(plan, copy, len);
	}
	n = d->write(f->lower.fs, ino, copy ? copy : buf, len, off);
	free(copy);
	return n;
}

static int64_t fault_write(void *fs, uint64_t ino, const void *buf, size_t len,
			   uint64_t off)
{
	struct fault *f = fs;
	struct plan plan;
	int64_t n = rk__fault_before(f, OP_write, NULL, 0, &plan);

	if (n < 0)
		return n;
	if (!f->lower.driver->write)
		return -EROFS;
	n = write_lower(f, &plan, ino, buf, cut(&plan, len), off);
	return rk__fault_after(&plan, n);
}

/* --- mounting ---------------------------------------------------------------------- */

static int refuse(const struct rk_host *host, const char *option,
		  const char *why)
{
	char text[SENTENCE + 16];

	snprintf(text, sizeof text, "fault: %s%s", why, option);
	host->complain(host->ctx, text);
	return -EINVAL;
}

static int read_seed(const struct rk_host *host, const char *text,
		     uint64_t *ret)
{
	char *end;

	*ret = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && !*end)
		return 0;
	return refuse(host, text, "the seed is no number: ");
}

static int read_option(struct fault *f, const struct rk_host *host,
		       const char *option)
{
	char sentence[SENTENCE] = "";

	if (strncmp(option, "seed=", 5) == 0)
		return read_seed(host, option + 5, &f->seed);
	if (strncmp(option, "rule=", 5) != 0)
		return refuse(host, option, "there are the options rule= and "
			      "seed=, not ");
	if (f->n_rules == RULES_MAX)
		return refuse(host, "", "there are more than 64 rules");
	if (rk__fault_rule(option + 5, &f->rule[f->n_rules], sentence) < 0)
		return refuse(host, "", sentence);
	f->n_rules++;
	return 0;
}

static int fault_mount(const struct rk_host *host,
		       const struct rk_mount_options *opt, void **ret_fs,
		       uint64_t *ret_root, bool *needs_recovery)
{
	struct fault *f = calloc(1, sizeof *f);
	int r = f ? 0 : -ENOMEM;

	for (size_t i = 0; i < opt->n_options && !r; i++)
		r = read_option(f, host, opt->option[i]);
	if (r < 0) {
		free(f);
		return r;
	}
	f->lower = *opt->lower;
	f->count = host->lasting;
	*ret_fs = f;
	*ret_root = f->lower.root;
	return 0;
}

static int fault_unmount(void *fs)
{
	free(fs);
	return 0;
}

__attribute__((visibility("default")))
const struct rk_driver rk_driver = {
	.abi = RK_DRIVER_ABI,
	.flags = RK_DRIVER_STACKS | RK_DRIVER_REOPEN,
	.name = "fault",
	.help = help,
	.mount = fault_mount,
	.unmount = fault_unmount,
	.lookup = fault_lookup,
	.getattr = fault_getattr,
	.setattr = fault_setattr,
	.create = fault_create,
	.tmpfile = fault_tmpfile,
	.link = fault_link,
	.unlink = fault_unlink,
	.rename = fault_rename,
	.reclaim = fault_reclaim,
	.readlink = fault_readlink,
	.read = fault_read,
	.write = fault_write,
	.fallocate = fault_fallocate,
	.seek = fault_seek,
	.readdir = fault_readdir,
	.getxattr = fault_getxattr,
	.setxattr = fault_setxattr,
	.listxattr = fault_listxattr,
	.removexattr = fault_removexattr,
	.statfs = fault_statfs,
	.sync = fault_sync,
	.fiemap = fault_fiemap,
};
