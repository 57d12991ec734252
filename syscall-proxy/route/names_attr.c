/*
 * names_attr.c - attributes by name: stat in all its forms, access, mode, owner,
 * times, size.
 */
#include <errno.h>
#include <linux/stat.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include "named.h"

/* Of the kernel's structs. */
enum { STAT_BYTES = 144, STATX_BYTES = 256, STATFS_BYTES = 120 };

/* --- stat ------------------------------------------------------------------------- */

/*
 * Over a mount, a file is on the device that the mount's own descriptors of it
 * say. It is asked once: what the mount says of its root, and what the server
 * does. -EXDEV: it is on another of the server's mounts.
 */
static int64_t dev_over(struct rk__task *t, const struct rk__place *p,
			uint64_t dev, uint64_t *ret)
{
	static _Atomic uint64_t known[RK__PROXY_MOUNTS][2];
	int mount = rk__mount_of(t->config, p->path);
	struct stat host;
	struct rk_stat st;
	const char *root;
	int64_t r;

	if (mount < 0)
		return -EXDEV;
	if (!known[mount][0]) {
		root = t->config->mount[mount].path;
		root = *root ? root : "/";
		r = rk_fstatat(p->client, RK_AT_FDCWD, root, &st, 0);
		if (r == 0)
			r = t->host->native(t, SYS_newfstatat,
				(const uint64_t[6]){ (uint64_t)AT_FDCWD,
					(uintptr_t)root, (uintptr_t)&host });
		if (r < 0)
			return -EXDEV;
		known[mount][1] = host.st_dev;
		known[mount][0] = st.dev;
	}
	*ret = known[mount][1];
	return known[mount][0] == dev ? 0 : -EXDEV;
}

/* What there is of a file, and st_dev of it. */
static int64_t look(struct rk__task *t, struct rk__place *p, uint32_t flags,
		    struct rk_stat *st, uint64_t *ret_dev)
{
	int64_t r = rk_fstatat(p->client, p->dirfd, p->path, st,
			       rk__at_flags(p, flags));

	*ret_dev = r < 0 ? 0 : rk__dev(p->server, st->dev);
	return r < 0 || !t->config->over_mount ? r :
	       dev_over(t, p, st->dev, ret_dev);
}

static int64_t do_stat(struct rk__task *t, const struct rk__named *n,
		       struct rk__place *p)
{
	struct rk_stat st;
	uint64_t dev;
	int64_t r = look(t, p, (uint32_t)n->arg[3], &st, &dev);

	return r < 0 ? r : rk__put_stat_on(t, n->arg[2], dev, &st);
}

static enum rk__routed stat_at(struct rk__task *t, uint64_t dirfd,
			       uint64_t path, uint64_t st, uint64_t flags,
			       int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = SYS_newfstatat, .arg = { dirfd, path, st, flags },
		.path = 1, .how = rk__how_of(flags),
		.empty = flags & AT_EMPTY_PATH, .inside = do_stat,
		.no_mount = t->host->foreign,
		.memory = { { RK__OUT, 2, STAT_BYTES } },
	}, ret);
}

enum rk__routed rk__call_stat(struct rk__task *t, long nr,
			      const uint64_t arg[6], int64_t *ret)
{
	return stat_at(t, (uint64_t)AT_FDCWD, arg[0], arg[1], 0, ret);
}

enum rk__routed rk__call_lstat(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return stat_at(t, (uint64_t)AT_FDCWD, arg[0], arg[1],
		       AT_SYMLINK_NOFOLLOW, ret);
}

enum rk__routed rk__call_newfstatat(struct rk__task *t, long nr,
				    const uint64_t arg[6], int64_t *ret)
{
	return stat_at(t, arg[0], arg[1], arg[2], (uint32_t)arg[3], ret);
}

static int64_t do_statx(struct rk__task *t, const struct rk__named *n,
			struct rk__place *p)
{
	struct rk_stat st;
	uint32_t flags = (uint32_t)n->arg[2], mask = (uint32_t)n->arg[3];
	uint64_t dev;
	int64_t r;

	if ((mask & STATX__RESERVED) ||
	    (flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE)
		return -EINVAL;
	r = look(t, p, flags, &st, &dev);
	return r < 0 ? r : rk__put_statx(t, n->arg[4], dev, &st);
}

enum rk__routed rk__call_statx(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	struct rk__named n = {
		.nr = nr, .path = 1, .how = rk__how_of(arg[2]),
		.empty = arg[2] & AT_EMPTY_PATH, .inside = do_statx,
		.no_mount = t->host->foreign,
		.memory = { { RK__OUT, 4, STATX_BYTES } },
	};

	memcpy(n.arg, arg, sizeof n.arg);
	return rk__named(t, &n, ret);
}

static int64_t do_statfs(struct rk__task *t, const struct rk__named *n,
			 struct rk__place *p)
{
	struct rk_statfs st;
	int64_t r = p->itself && p->dirfd != RK_AT_FDCWD ?
			    rk_fstatfs(p->client, p->dirfd, &st) :
			    rk_statfs(p->client, p->itself ? "." : p->path, &st);

	return r < 0 ? r : rk__put_statfs(t, n->arg[1], &st);
}

enum rk__routed rk__call_statfs(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = nr, .arg = { arg[0], arg[1] }, .dirfd = RK__NO_WORD,
		.how = RK__FOLLOW, .inside = do_statfs,
		.memory = { { RK__OUT, 1, STATFS_BYTES } },
	}, ret);
}

/* --- access ----------------------------------------------------------------------- */

static int64_t do_access(struct rk__task *t, const struct rk__named *n,
			 struct rk__place *p)
{
	return rk_faccessat(p->client, p->dirfd, p->path, (uint32_t)n->arg[2],
			    rk__at_flags(p, n->arg[3]));
}

static enum rk__routed access_at(struct rk__task *t, long nr, uint64_t dirfd,
				 uint64_t path, uint64_t mode, uint64_t flags,
				 int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = nr, .arg = { dirfd, path, mode, flags }, .path = 1,
		.how = rk__how_of(flags), .empty = flags & AT_EMPTY_PATH,
		.inside = do_access,
	}, ret);
}

enum rk__routed rk__call_access(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	return access_at(t, SYS_faccessat, (uint64_t)AT_FDCWD, arg[0], arg[1],
			 0, ret);
}

enum rk__routed rk__call_faccessat(struct rk__task *t, long nr,
				   const uint64_t arg[6], int64_t *ret)
{
	return access_at(t, nr, arg[0], arg[1], arg[2], 0, ret);
}

enum rk__routed rk__call_faccessat2(struct rk__task *t, long nr,
				    const uint64_t arg[6], int64_t *ret)
{
	return access_at(t, nr, arg[0], arg[1], arg[2], (uint32_t)arg[3], ret);
}

/* --- mode and owner ----------------------------------------------------------------- */

/*
 * Of an open file the kernel goes by the mode, owner and size that it knows, and
 * does not ask again whether they still hold. So over a mount they are changed
 * through the mount.
 */
static int64_t do_chmod(struct rk__task *t, const struct rk__named *n,
			struct rk__place *p)
{
	return rk_fchmodat(p->client, p->dirfd, p->path, (uint32_t)n->arg[2],
			   rk__at_flags(p, n->arg[3]));
}

static enum rk__routed chmod_at(struct rk__task *t, long nr, uint64_t dirfd,
				uint64_t path, uint64_t mode, uint64_t flags,
				int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = nr, .arg = { dirfd, path, mode, flags }, .path = 1,
		.how = rk__how_of(flags), .empty = flags & AT_EMPTY_PATH,
		.no_mount = true, .inside = do_chmod,
	}, ret);
}

enum rk__routed rk__call_chmod(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return chmod_at(t, SYS_fchmodat, (uint64_t)AT_FDCWD, arg[0], arg[1], 0,
			ret);
}

enum rk__routed rk__call_fchmodat(struct rk__task *t, long nr,
				  const uint64_t arg[6], int64_t *ret)
{
	return chmod_at(t, nr, arg[0], arg[1], arg[2], 0, ret);
}

enum rk__routed rk__call_fchmodat2(struct rk__task *t, long nr,
				   const uint64_t arg[6], int64_t *ret)
{
	return chmod_at(t, nr, arg[0], arg[1], arg[2], (uint32_t)arg[3], ret);
}

static int64_t do_chown(struct rk__task *t, const struct rk__named *n,
			struct rk__place *p)
{
	return rk_fchownat(p->client, p->dirfd, p->path, (uint32_t)n->arg[2],
			   (uint32_t)n->arg[3], rk__at_flags(p, n->arg[4]));
}

static enum rk__routed chown_at(struct rk__task *t, uint64_t dirfd,
				const uint64_t *arg, uint64_t flags,
				int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = SYS_fchownat,
		.arg = { dirfd, arg[0], arg[1], arg[2], flags }, .path = 1,
		.how = rk__how_of(flags), .empty = flags & AT_EMPTY_PATH,
		.no_mount = true, .inside = do_chown,
	}, ret);
}

enum rk__routed rk__call_chown(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return chown_at(t, (uint64_t)AT_FDCWD, arg, 0, ret);
}

enum rk__routed rk__call_lchown(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	return chown_at(t, (uint64_t)AT_FDCWD, arg, AT_SYMLINK_NOFOLLOW, ret);
}

enum rk__routed rk__call_fchownat(struct rk__task *t, long nr,
				  const uint64_t arg[6], int64_t *ret)
{
	return chown_at(t, arg[0], arg + 1, (uint32_t)arg[4], ret);
}

/* --- times ------------------------------------------------------------------------ */

/* From the caller's memory, in the form of the call. */
static int read_times(struct rk__task *t, const struct rk__named *n,
		      struct timespec ret[2])
{
	uint64_t at = n->arg[n->memory[0].word];
	int64_t word[4];
	bool micro = n->nr == SYS_utimes || n->nr == SYS_futimesat;
	int r;

	if (!at) {
		ret[0].tv_nsec = ret[1].tv_nsec = UTIME_NOW;
		ret[0].tv_sec = ret[1].tv_sec = 0;
		return 0;
	}
	r = t->host->copy_in(t, word, at, n->memory[0].size);
	if (r < 0)
		return r;
	if (n->nr == SYS_utime) {
		ret[0] = (struct timespec){ .tv_sec = word[0] };
		ret[1] = (struct timespec){ .tv_sec = word[1] };
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		if (micro && (word[2 * i + 1] < 0 || word[2 * i + 1] > 999999))
			return -EINVAL;
		ret[i] = (struct timespec){
			.tv_sec = word[2 * i],
			.tv_nsec = micro ? word[2 * i + 1] * 1000 :
					   word[2 * i + 1],
		};
	}
	return 0;
}

static int64_t set_times(struct rk_client *client, int32_t dirfd,
			 const char *path, const struct timespec time[2],
			 uint32_t flags)
{
	for (int i = 0; i < 2; i++)
		if ((uint64_t)time[i].tv_nsec > UINT32_MAX)
			return -EINVAL;
	return rk_utimensat(client, dirfd, path, time[0].tv_sec,
			    (uint32_t)time[0].tv_nsec, time[1].tv_sec,
			    (uint32_t)time[1].tv_nsec, flags);
}

static int64_t do_utimens(struct rk__task *t, const struct rk__named *n,
			  struct rk__place *p)
{
	uint64_t flags = n->nr == SYS_utimensat ? n->arg[3] : 0;
	struct timespec time[2];
	int r = read_times(t, n, time);

	return r < 0 ? r : set_times(p->client, p->dirfd, p->path, time,
				     rk__at_flags(p, flags));
}

static enum rk__routed times_of(struct rk__task *t, long nr,
				const uint64_t arg[6], bool dirfd,
				uint32_t size, uint64_t flags, int64_t *ret)
{
	struct rk__named n = {
		.nr = nr, .path = dirfd, .dirfd = dirfd ? 0 : RK__NO_WORD,
		.how = rk__how_of(flags), .empty = flags & AT_EMPTY_PATH,
		.inside = do_utimens,
		.memory = { { RK__IN, dirfd + 1, size } },
	};

	memcpy(n.arg, arg, sizeof n.arg);
	return rk__named(t, &n, ret);
}

enum rk__routed rk__call_utime(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return times_of(t, nr, arg, false, 16, 0, ret);
}

enum rk__routed rk__call_utimes(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	return times_of(t, nr, arg, false, 32, 0, ret);
}

/* Without a path, the descriptor's own. */
static enum rk__routed times_of_fd(struct rk__task *t, long nr,
				   const uint64_t arg[6], int64_t *ret)
{
	const struct rk__named n = {
		.nr = nr, .arg = { 0, 0, arg[2] },
		.memory = { { RK__IN, 2, 32 } },
	};
	struct rk__target target;
	struct timespec time[2];
	int64_t r;

	if (!t->host->find(t, (int)arg[0], &target))
		return RK__NATIVE;
	if (nr == SYS_utimensat && (uint32_t)arg[3])
		return rk__done(ret, -EINVAL);
	/* Of O_PATH it would be by AT_EMPTY_PATH alone. */
	r = rk_getfl(target.client, target.fd);
	if (r < 0 || (r & O_PATH))
		return rk__done(ret, r < 0 ? r : -EBADF);
	r = read_times(t, &n, time);
	if (r == 0)
		r = set_times(target.client, target.fd, "", time,
			      AT_EMPTY_PATH);
	return rk__done(ret, r);
}

enum rk__routed rk__call_futimesat(struct rk__task *t, long nr,
				   const uint64_t arg[6], int64_t *ret)
{
	return arg[1] ? times_of(t, nr, arg, true, 32, 0, ret) :
			times_of_fd(t, nr, arg, ret);
}

enum rk__routed rk__call_utimensat(struct rk__task *t, long nr,
				   const uint64_t arg[6], int64_t *ret)
{
	return arg[1] || (int)arg[0] == AT_FDCWD ?
		       times_of(t, nr, arg, true, 32, (uint32_t)arg[3], ret) :
		       times_of_fd(t, nr, arg, ret);
}

/* --- size ------------------------------------------------------------------------- */

static int64_t do_truncate(struct rk__task *t, const struct rk__named *n,
			   struct rk__place *p)
{
	int64_t fd, r;

	if (!p->itself && p->dirfd == RK_AT_FDCWD)
		return rk_truncate(p->client, p->path, (int64_t)n->arg[1]);
	if ((int64_t)n->arg[1] < 0)
		return -EINVAL;
	fd = p->itself ? rk__reopen(p, O_WRONLY) :
			 rk_openat(p->client, p->dirfd, p->path, O_WRONLY, 0);
	if (fd < 0)
		return fd;
	r = rk_ftruncate(p->client, (int32_t)fd, (int64_t)n->arg[1]);
	(void)rk_close(p->client, (int32_t)fd);
	return r;
}

enum rk__routed rk__call_truncate(struct rk__task *t, long nr,
				  const uint64_t arg[6], int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = nr, .arg = { arg[0], arg[1] }, .dirfd = RK__NO_WORD,
		.how = RK__FOLLOW, .no_mount = true, .inside = do_truncate,
	}, ret);
}
