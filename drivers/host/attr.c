/*
 * attr.c - attributes.
 */
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include "host.h"

#define SYS_FCHMODAT2 452	/* since Linux 6.6 */

static struct rk_time time_of(const struct statx_timestamp *t)
{
	return (struct rk_time){ .sec = t->tv_sec, .nsec = t->tv_nsec };
}

int rk__stat_fd(struct fs *fs, int fd, const char *name, struct rk_stat *ret)
{
	struct statx *x = &own(fs)->sx;
	const struct node *n;

	if (statx(fd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW |
		  AT_NO_AUTOMOUNT, STATX_BASIC_STATS | STATX_BTIME, x) < 0)
		return -errno;
	/* another file system is mounted there */
	if (x->stx_dev_major != fs->dev_major ||
	    x->stx_dev_minor != fs->dev_minor)
		return -EXDEV;
	*ret = (struct rk_stat){
		.ino = x->stx_ino, .size = x->stx_size,
		.blocks = x->stx_blocks, .mode = x->stx_mode,
		.nlink = x->stx_nlink, .uid = x->stx_uid, .gid = x->stx_gid,
		.rdev = makedev(x->stx_rdev_major, x->stx_rdev_minor),
		.blksize = x->stx_blksize, .atime = time_of(&x->stx_atime),
		.mtime = time_of(&x->stx_mtime),
		.ctime = time_of(&x->stx_ctime),
		.hints = RK_STAT_ACL,
	};
	ret->btime = x->stx_mask & STATX_BTIME ? time_of(&x->stx_btime) :
						 ret->ctime;
	n = rk__node_find(fs, ret->ino);
	if (n && n->kept)
		ret->nlink = n->directory ? 0 : ret->nlink - 1;
	return 0;
}

int rk__stat(struct fs *fs, uint64_t ino, struct rk_stat *ret)
{
	int fd = rk__path_fd(fs, ino);

	return fd < 0 ? fd : rk__stat_fd(fs, fd, "", ret);
}

/* In a request that is run again: as it was before what it did. */
static const struct rk_stat *before(struct fs *fs, uint64_t ino)
{
	const struct effect *e = rk__effect_next(fs);

	if (!e || e->kind == EFFECT_CREATE)
		return NULL;
	return e->from.ino == ino ? &e->from : e->to.ino == ino ? &e->to : NULL;
}

int rk__host_getattr(void *arg, uint64_t ino, struct rk_stat *ret)
{
	struct fs *fs = arg;
	const struct rk_stat *was;
	int r = rk__begin(fs);

	if (r < 0)
		return r;
	was = before(fs, ino);
	if (!was)
		return rk__stat(fs, ino, ret);
	*ret = *was;
	return 0;
}

/* --- changing ------------------------------------------------------------------ */

int rk__set_mode(struct fs *fs, uint64_t ino, uint32_t mode)
{
	int fd = rk__path_fd(fs, ino);

	if (fd < 0)
		return fd;
	if (syscall(SYS_FCHMODAT2, fd, "", mode & 07777, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOSYS)
		return -errno;
	fd = rk__data_fd(fs, ino, O_RDONLY);
	if (fd == -EACCES)
		fd = rk__data_fd(fs, ino, O_WRONLY);
	if (fd == -EINVAL)
		return -EOPNOTSUPP;
	if (fd < 0)
		return fd;
	return fchmod(fd, mode & 07777) < 0 ? -errno : 0;
}

static int set_owner(struct fs *fs, uint64_t ino, const struct rk_setattr *set)
{
	uid_t uid = set->valid & RK_SET_UID ? set->uid : (uid_t)-1;
	gid_t gid = set->valid & RK_SET_GID ? set->gid : (gid_t)-1;
	int fd = rk__path_fd(fs, ino);

	if (fd < 0)
		return fd;
	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

static int set_size(struct fs *fs, uint64_t ino, uint64_t size)
{
	int fd = rk__data_fd(fs, ino, O_WRONLY);

	if (fd < 0)
		return fd;
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

static struct timespec spec(const struct rk_setattr *set, uint32_t bit,
			    struct rk_time t)
{
	struct timespec s = { .tv_nsec = UTIME_OMIT };

	if (set->valid & bit)
		s = (struct timespec){ t.sec, t.nsec };
	return s;
}

static int set_times(struct fs *fs, uint64_t ino, const struct rk_setattr *set)
{
	const struct timespec t[2] = {
		spec(set, RK_SET_ATIME, set->atime),
		spec(set, RK_SET_MTIME, set->mtime),
	};
	int fd = rk__path_fd(fs, ino);

	if (fd < 0)
		return fd;
	return utimensat(fd, "", t, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

/* chown(-1, -1): only the time of change, which comes with any change. */
static int touch(struct fs *fs, uint64_t ino)
{
	const struct rk_setattr none = { .valid = 0 };
	struct rk_stat st;
	int r = rk__stat(fs, ino, &st);

	if (r < 0)
		return r;
	/* Where there is a mode it is the one that takes no bits away. */
	return S_ISLNK(st.mode) ? set_owner(fs, ino, &none) :
				  rk__set_mode(fs, ino, st.mode);
}

/* Each says what shall be, so that again is no harm. */
int rk__host_setattr(void *arg, uint64_t ino, const struct rk_setattr *set,
		     struct rk_stat *ret)
{
	struct fs *fs = arg;
	int r = rk__begin(fs);

	if (r == 0 && set->valid & RK_SET_FLAGS)
		r = -EOPNOTSUPP;
	if (r < 0)
		return r;
	change(fs);
	if (!(set->valid & (RK_SET_UID | RK_SET_GID | RK_SET_SIZE |
			    RK_SET_MODE | RK_SET_ATIME | RK_SET_MTIME)))
		r = touch(fs, ino);
	if (set->valid & (RK_SET_UID | RK_SET_GID))
		r = set_owner(fs, ino, set);
	if (r == 0 && set->valid & RK_SET_SIZE)
		r = set_size(fs, ino, set->size);
	if (r == 0 && set->valid & RK_SET_MODE)
		r = rk__set_mode(fs, ino, set->mode);
	if (r == 0 && set->valid & (RK_SET_ATIME | RK_SET_MTIME))
		r = set_times(fs, ino, set);
	rk__dirty(fs, ino);
	return r < 0 ? r : rk__stat(fs, ino, ret);
}
