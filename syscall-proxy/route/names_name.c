/*
 * names_name.c - calls that make, remove or read one name.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "named.h"

/* --- make ------------------------------------------------------------------------- */

static int64_t do_mkdir(struct rk__task *t, const struct rk__named *n,
			struct rk__place *p)
{
	return rk_mkdirat(p->client, p->dirfd, p->path, (uint32_t)n->arg[2]);
}

enum rk__routed rk__call_mkdirat(struct rk__task *t, long nr,
				 const uint64_t arg[6], int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = SYS_mkdirat, .arg = { arg[0], arg[1], arg[2] }, .path = 1,
		.how = RK__PARENT, .creates = true, .inside = do_mkdir,
	}, ret);
}

enum rk__routed rk__call_mkdir(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return rk__call_mkdirat(t, nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, arg[0], arg[1] }, ret);
}

static int64_t do_mknod(struct rk__task *t, const struct rk__named *n,
			struct rk__place *p)
{
	return rk_mknodat(p->client, p->dirfd, p->path,
			  (uint32_t)n->arg[2], (uint32_t)n->arg[3]);
}

enum rk__routed rk__call_mknodat(struct rk__task *t, long nr,
				 const uint64_t arg[6], int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = SYS_mknodat, .arg = { arg[0], arg[1], arg[2], arg[3] },
		.path = 1, .how = RK__PARENT, .creates = true,
		.inside = do_mknod,
	}, ret);
}

enum rk__routed rk__call_mknod(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return rk__call_mknodat(t, nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, arg[0], arg[1], arg[2] }, ret);
}

/* The target is any text. */
static int64_t do_symlink(struct rk__task *t, const struct rk__named *n,
			  struct rk__place *p)
{
	char *target = malloc(RK_PATH_LEN_MAX);
	int64_t r = target ? t->host->string(t, n->arg[0], target,
					     RK_PATH_LEN_MAX) : -ENOMEM;

	if (r >= 0)
		r = rk_symlinkat(p->client, target, p->dirfd, p->path);
	free(target);
	return r;
}

enum rk__routed rk__call_symlinkat(struct rk__task *t, long nr,
				   const uint64_t arg[6], int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = SYS_symlinkat, .arg = { arg[0], arg[1], arg[2] },
		.path = 2, .dirfd = 1, .how = RK__PARENT, .creates = true,
		.inside = do_symlink, .memory = { { RK__STRING, 0, 0 } },
	}, ret);
}

enum rk__routed rk__call_symlink(struct rk__task *t, long nr,
				 const uint64_t arg[6], int64_t *ret)
{
	return rk__call_symlinkat(t, nr, (const uint64_t[6]){
		arg[0], (uint64_t)AT_FDCWD, arg[1] }, ret);
}

/* --- remove ----------------------------------------------------------------------- */

static int64_t do_unlink(struct rk__task *t, const struct rk__named *n,
			 struct rk__place *p)
{
	return rk_unlinkat(p->client, p->dirfd, p->path, (uint32_t)n->arg[2]);
}

enum rk__routed rk__call_unlinkat(struct rk__task *t, long nr,
				  const uint64_t arg[6], int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = SYS_unlinkat, .arg = { arg[0], arg[1], arg[2] },
		.path = 1, .how = RK__PARENT, .inside = do_unlink,
	}, ret);
}

enum rk__routed rk__call_unlink(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	return rk__call_unlinkat(t, nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, arg[0], 0 }, ret);
}

enum rk__routed rk__call_rmdir(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return rk__call_unlinkat(t, nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, arg[0], AT_REMOVEDIR }, ret);
}

/* --- read ------------------------------------------------------------------------- */

static int64_t do_readlink(struct rk__task *t, const struct rk__named *n,
			   struct rk__place *p)
{
	uint64_t size = n->arg[3] < sizeof p->path ? n->arg[3] : sizeof p->path;
	int64_t r;

	if ((int32_t)n->arg[3] <= 0)
		return -EINVAL;
	r = rk_readlinkat(p->client, p->dirfd, p->path, p->path,
			  sizeof p->path);
	if (r < 0)
		return r;
	size = (uint64_t)r < size ? (uint64_t)r : size;
	r = t->host->copy_out(t, n->arg[2], p->path, size);
	return r < 0 ? r : (int64_t)size;
}

/* Whether the path is the name that /proc has for a descriptor or the working
 * directory that a server has: then *ret is what readlink says. */
static bool proc_link(struct rk__task *t, uint64_t at, uint64_t buf,
		      uint64_t size, int64_t *ret)
{
	struct rk__place *p = malloc(sizeof *p);
	bool found = p && t->host->string(t, at, p->path, sizeof p->path) > 0 &&
		     rk__place_proc(t, p) > 0;
	int64_t r;

	if (found) {
		r = (int32_t)size <= 0 ? -EINVAL :
				rk__path_of(p, p->path, sizeof p->path);
		if (r > 0) {
			size = (uint64_t)r < size ? (uint64_t)r : size;
			r = t->host->copy_out(t, buf, p->path, size);
			r = r < 0 ? r : (int64_t)size;
		}
		*ret = r;
	}
	free(p);
	return found;
}

enum rk__routed rk__call_readlinkat(struct rk__task *t, long nr,
				    const uint64_t arg[6], int64_t *ret)
{
	uint64_t size = (uint32_t)arg[3];

	if (!t->config->over_mount && proc_link(t, arg[1], arg[2], size, ret))
		return RK__DONE;
	return rk__named(t, &(struct rk__named){
		.nr = SYS_readlinkat, .arg = { arg[0], arg[1], arg[2], size },
		.path = 1, .empty = true, .inside = do_readlink,
		.memory = { { RK__OUT_BY, 2, 3 } },
	}, ret);
}

enum rk__routed rk__call_readlink(struct rk__task *t, long nr,
				  const uint64_t arg[6], int64_t *ret)
{
	return rk__call_readlinkat(t, nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, arg[0], arg[1], arg[2] }, ret);
}
