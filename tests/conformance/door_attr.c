/*
 * door_attr.c - attributes and directories through librumpclient: see door.h.
 */
#define DOOR_ITSELF
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "door_int.h"

/* --- attributes --------------------------------------------------------------- */

static struct timespec time_of(struct rk_time t)
{
	return (struct timespec){ .tv_sec = t.sec, .tv_nsec = t.nsec };
}

static void convert(const struct rk_stat *s, struct stat *ret)
{
	*ret = (struct stat){
		.st_ino = s->ino, .st_mode = s->mode, .st_nlink = s->nlink,
		.st_uid = s->uid, .st_gid = s->gid, .st_rdev = s->rdev,
		.st_size = (off_t)s->size, .st_blksize = s->blksize,
		.st_blocks = (blkcnt_t)s->blocks,
		.st_atim = time_of(s->atime), .st_mtim = time_of(s->mtime),
		.st_ctim = time_of(s->ctime),
	};
}

int door_fstatat(int dir, const char *path, struct stat *st, int flags)
{
	struct rk_stat s;
	int r = AT(fstatat, dir, path, &s, (uint32_t)flags);

	if (r == 0)
		convert(&s, st);
	return r;
}

int door_fstat(int fd, struct stat *st)
{
	struct rk_stat s;
	long r = FD(fstat, fd, &s);

	if (r == 0)
		convert(&s, st);
	return (int)r;
}

int door_statx(int dir, const char *path, int flags, unsigned what,
	       struct statx *ret)
{
	return AT(statx, dir, path, (uint32_t)flags, what, ret);
}

int door_statfs(const char *path, struct statfs *st)
{
	struct rk_statfs s;
	long r = door_answer(rk_statfs(door_me(), path, &s));

	if (r == 0)
		*st = (struct statfs){
			.f_bsize = s.bsize, .f_frsize = s.bsize,
			.f_blocks = s.blocks, .f_files = s.files,
			.f_ffree = s.ffree, .f_namelen = s.namelen,
		};
	return (int)r;
}

int door_fchmodat(int dir, const char *path, mode_t mode, int flags)
{
	return AT(fchmodat, dir, path, mode, (uint32_t)flags);
}

int door_fchmod(int fd, mode_t mode)
{
	return (int)FD(fchmod, fd, mode);
}

int door_fchownat(int dir, const char *path, uid_t uid, gid_t gid, int flags)
{
	return AT(fchownat, dir, path, uid, gid, (uint32_t)flags);
}

int door_fchown(int fd, uid_t uid, gid_t gid)
{
	return (int)FD(fchown, fd, uid, gid);
}

int door_utimensat(int dir, const char *path, const struct timespec t[2],
		   int flags)
{
	return AT(utimensat, dir, path, t[0].tv_sec, (uint32_t)t[0].tv_nsec,
		  t[1].tv_sec, (uint32_t)t[1].tv_nsec, (uint32_t)flags);
}

int door_futimens(int fd, const struct timespec t[2])
{
	return (int)FD(utimensat, fd, "", t[0].tv_sec, (uint32_t)t[0].tv_nsec,
		       t[1].tv_sec, (uint32_t)t[1].tv_nsec, AT_EMPTY_PATH);
}

#define NOFOLLOW AT_SYMLINK_NOFOLLOW

ssize_t door_getxattr(const char *p, const char *name, void *buf, size_t n)
{
	return door_answer(rk_getxattr(door_me(), p, name, buf, (uint32_t)n, 0));
}

ssize_t door_lgetxattr(const char *p, const char *name, void *buf, size_t n)
{
	return door_answer(rk_getxattr(door_me(), p, name, buf, (uint32_t)n, NOFOLLOW));
}

ssize_t door_llistxattr(const char *p, char *buf, size_t n)
{
	return door_answer(rk_listxattr(door_me(), p, buf, (uint32_t)n, NOFOLLOW));
}

int door_setxattr(const char *p, const char *name, const void *v, size_t n,
		  int flags)
{
	return (int)door_answer(rk_setxattr(door_me(), p, name, v, (uint32_t)n,
				       (uint32_t)flags, 0));
}

int door_lsetxattr(const char *p, const char *name, const void *v, size_t n,
		   int flags)
{
	return (int)door_answer(rk_setxattr(door_me(), p, name, v, (uint32_t)n,
				       (uint32_t)flags, NOFOLLOW));
}

int door_removexattr(const char *p, const char *name)
{
	return (int)door_answer(rk_removexattr(door_me(), p, name, 0));
}

int door_lremovexattr(const char *p, const char *name)
{
	return (int)door_answer(rk_removexattr(door_me(), p, name, NOFOLLOW));
}

/* --- directories ---------------------------------------------------------------- */

struct door_dir {
	int fd;
	long at, next;			/* bytes of buf */
	long n;
	long cookie;			/* of the next entry */
	struct dirent entry;
	_Alignas(8) uint8_t buf[2048];
};

door_dir *door_opendir(const char *path)
{
	door_dir *d = calloc(1, sizeof *d);

	d->fd = door_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0);
	if (d->fd >= 0)
		return d;
	free(d);
	return NULL;
}

struct dirent *door_readdir(door_dir *d)
{
	const struct rk_dirent *e;

	if (d->at >= d->n) {
		d->n = FD(getdents, d->fd, d->buf, sizeof d->buf);
		d->at = 0;
		if (d->n <= 0)
			return NULL;
	}
	e = (const void *)(d->buf + d->at);
	d->at += e->reclen;
	d->cookie = (long)e->cookie;
	d->entry.d_type = e->type;
	snprintf(d->entry.d_name, sizeof d->entry.d_name, "%s", e->name);
	return &d->entry;
}

int door_closedir(door_dir *d)
{
	int r = door_close(d->fd);

	free(d);
	return r;
}

int door_dirfd(door_dir *d)
{
	return d->fd;
}

long door_telldir(door_dir *d)
{
	return d->cookie;
}

void door_seekdir(door_dir *d, long to)
{
	d->at = d->n = 0;
	d->cookie = to;
	door_lseek(d->fd, to, SEEK_SET);
}
