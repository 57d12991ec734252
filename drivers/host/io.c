/*
 * io.c - bytes of files, entries of directories, and what is made durable.
 */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "host.h"

struct dirent_64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

int64_t rk__host_read(void *arg, uint64_t ino, void *buf, size_t len,
		      uint64_t off)
{
	struct fs *fs = arg;
	int r = rk__begin(fs), fd = r < 0 ? r : rk__data_fd(fs, ino, O_RDONLY);
	size_t done = 0;

	if (fd < 0)
		return fd;
	while (done < len) {
		ssize_t n = pread(fd, (char *)buf + done, len - done,
				  (off_t)(off + done));

		if (n < 0)
			return done ? (int64_t)done : -errno;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static int64_t write_all(int fd, const char *buf, size_t len, uint64_t off)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = pwrite(fd, buf + done, len - done,
				   (off_t)(off + done));

		if (n < 0)
			return done ? (int64_t)done : -errno;
		done += (size_t)n;
	}
	return (int64_t)done;
}

/* The same bytes in the same place again are no harm; but where the end of the
 * file was before must be known (O_APPEND). */
int64_t rk__host_write(void *arg, uint64_t ino, const void *buf, size_t len,
		       uint64_t off)
{
	struct fs *fs = arg;
	struct effect *e, intent = { .kind = EFFECT_WRITE };
	int64_t n;
	int r = rk__begin(fs), fd = r < 0 ? r : rk__data_fd(fs, ino, O_WRONLY);

	if (fd < 0)
		return fd;
	intent.digest = rk__digest(ino ^ len << 20, &off, sizeof off);
	e = rk__effect_again(fs, EFFECT_WRITE, intent.digest);
	if (!e) {
		r = rk__stat_fd(fs, fd, "", &intent.from);
		if (r < 0)
			return r;
		e = rk__effect_intend(fs, &intent);
	}
	n = e->state == EFFECT_DONE ? e->result : write_all(fd, buf, len, off);
	if (n < 0)
		return rk__effect_failed(fs, e, (int)n);
	rk__effect_done(fs, e, n);
	rk__dirty(fs, ino);
	return n;
}

int rk__host_fallocate(void *arg, uint64_t ino, uint32_t mode, uint64_t off,
		       uint64_t len)
{
	struct fs *fs = arg;
	int r = rk__begin(fs), fd = r < 0 ? r : rk__data_fd(fs, ino, O_WRONLY);

	if (fd < 0)
		return fd;
	/* twice would be another thing */
	if (mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE))
		return -EOPNOTSUPP;
	change(fs);
	rk__dirty(fs, ino);
	return fallocate(fd, (int)mode, (off_t)off, (off_t)len) < 0 ? -errno : 0;
}

int rk__host_seek(void *arg, uint64_t ino, uint64_t off, bool hole,
		  uint64_t *ret)
{
	struct fs *fs = arg;
	int r = rk__begin(fs), fd = r < 0 ? r : rk__data_fd(fs, ino, O_RDONLY);
	off_t at;

	if (fd < 0)
		return fd;
	at = lseek(fd, (off_t)off, hole ? SEEK_HOLE : SEEK_DATA);
	if (at < 0)
		return -errno;
	*ret = (uint64_t)at;
	return 0;
}

/* --- directories -------------------------------------------------------------------- */

/* 1: the caller has enough. */
static int give(struct fs *fs, uint64_t dir, const struct dirent_64 *d,
		rk_emit_fn *emit, void *arg)
{
	size_t len = strlen(d->name);
	uint64_t ino = d->ino;
	const struct node *n;

	if (is_hidden_name(fs, dir, d->name, len))
		return 0;
	if (len == 2 && !memcmp(d->name, "..", 2)) {
		n = rk__node_find(fs, dir);
		ino = dir == fs->root || !n ? fs->root : n->parent;
	}
	return emit(arg, d->name, len, ino, d->type, (uint64_t)d->off);
}

/*
 * A descriptor of ext4 whose first reading was at the end (which is where a
 * successor may have to go on) says at the beginning once more that it is the
 * end (seen on Linux 6.18). Asked again, it begins anew.
 */
long rk__dirents(struct fs *fs, int fd, uint64_t cookie)
{
	for (bool again = false;; again = true) {
		long n;

		/* whoever else lists it has moved the descriptor */
		if (lseek(fd, (off_t)cookie, SEEK_SET) < 0)
			return -errno;
		n = syscall(SYS_getdents64, fd, own(fs)->dirents, DIRENTS);
		if (n < 0)
			return -errno;
		if (n > 0 || cookie || again)
			return n;
	}
}

int rk__host_readdir(void *fs_, uint64_t dir, uint64_t cookie,
		     rk_emit_fn *emit, void *arg)
{
	struct fs *fs = fs_;
	int r = rk__begin(fs);

	while (r == 0) {
		struct own *o = own(fs);
		int fd = rk__data_fd(fs, dir, O_RDONLY);
		long n;

		if (fd < 0)
			return fd == -EINVAL ? -ENOTDIR : fd;
		n = rk__dirents(fs, fd, cookie);
		if (n <= 0)
			return (int)n;
		for (long at = 0; at < n && r == 0;) {
			struct dirent_64 *d = (void *)(o->dirents + at);

			r = give(fs, dir, d, emit, arg);
			cookie = (uint64_t)d->off;
			at += d->reclen;
		}
	}
	return r < 0 ? r : 0;
}

int rk__host_statfs(void *arg, struct rk_statfs *ret)
{
	struct fs *fs = arg;
	struct statfs *s;
	int r = rk__begin(fs);

	if (r < 0)
		return r;
	s = (struct statfs *)own(fs)->dirents;
	if (fstatfs(fs->host->dirfd, s) < 0)
		return -errno;
	*ret = (struct rk_statfs){
		.type = (uint64_t)s->f_type, .bsize = (uint32_t)s->f_bsize,
		.blocks = s->f_blocks, .bfree = s->f_bfree,
		.bavail = s->f_bavail, .files = s->f_files,
		.ffree = s->f_ffree, .namelen = NAME_LEN_MAX,
		.flags = (uint32_t)s->f_flags,
	};
	return 0;
}

/* --- durable -------------------------------------------------------------------------- */

static int sync_one(struct fs *fs, uint64_t ino)
{
	int fd = rk__data_fd(fs, ino, O_RDONLY);

	if (fd == -EACCES)
		fd = rk__data_fd(fs, ino, O_WRONLY);
	/* it is gone, or it is nothing that could be synced */
	if (fd < 0)
		return fd == -EIO ? fd : 0;
	return fsync(fd) < 0 ? -errno : 0;
}

int rk__host_sync(void *arg)
{
	struct fs *fs = arg;
	struct own *o;
	int r = rk__own_begin(fs);

	if (r < 0)
		return r;
	o = own(fs);
	if (o->n_dirty > DIRTY_MAX)
		r = syncfs(fs->host->dirfd) < 0 ? -errno : 0;
	else
		for (unsigned i = 0; i < o->n_dirty && r == 0; i++)
			r = sync_one(fs, o->dirty[i]);
	if (r == 0)
		o->n_dirty = 0;
	return r;
}
