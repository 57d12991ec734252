/*
 * vfs_io.c - the bytes of files and the entries of directories.
 */
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>
#include "task.h"
#include "vfs_call.h"
#include "vfs_int.h"

/* Of a write, between two looks at who else waits. */
enum { PIECE = 64 << 10 };

int rk__vfs_readlink(struct rk__node n, char *buf, size_t size)
{
	const struct rk_driver *d = rk__ops(n.mount);
	RK_CLAIM(n, RK_LOOKS);

	return d->readlink ? d->readlink(rk__fs(n.mount), n.ino, buf, size) :
			     -EINVAL;
}

int64_t rk__vfs_read_stored(struct rk__node n, void *buf, size_t len,
			    uint64_t off)
{
	const struct rk_driver *d = rk__ops(n.mount);
	RK_CLAIM(n, RK_LOOKS);

	if (off > INT64_MAX)
		return -EINVAL;
	if (len > INT64_MAX - off)
		len = (size_t)(INT64_MAX - off);
	if (len == 0)
		return 0;
	return d->read ? d->read(rk__fs(n.mount), n.ino, buf, len, off) : 0;
}

int64_t rk__vfs_read(struct rk__node n, void *buf, size_t len, uint64_t off)
{
	int64_t r = rk__vfs_read_stored(n, buf, len, off);

	if (r > 0 && rk__pages)
		rk__pages->overlay(n, buf, (uint64_t)r, off);
	return r;
}

int rk__before_write(const struct rk__cred *c, struct rk__node n,
		     struct rk_stat *ret)
{
	struct rk_setattr set = {.valid = RK_SET_MODE | RK_SET_FORCE};
	uint32_t mode;
	int r = rk__writable(n.mount);

	if (r == 0)
		r = rk__vfs_getattr(n, ret);
	if (r < 0)
		return r;
	if (!S_ISREG(ret->mode))
		return S_ISDIR(ret->mode) ? -EISDIR : -EINVAL;
	mode = rk__mode_written(c, ret);
	if (mode == ret->mode)
		return 0;
	set.mode = mode & 07777;
	return rk__do_setattr(n, &set, ret);
}

/*
 * Where others may come in between, a long write goes in pieces. What failed in
 * a later piece before it changed anything is known by the bytes that are
 * missing, as write(2) has it; else all since the last commit is taken back.
 */
static int64_t write_pieces(struct rk__node n, const uint8_t *buf, size_t len,
			    uint64_t off)
{
	size_t done = 0, piece = rk__work_now ? PIECE : len;
	uint64_t changes = 0;
	int64_t r;

	do {
		if (done) {
			if (!rk__task_yield())
				break;
			changes = rk__change_count();
		}
		if (piece > len - done)
			piece = len - done;
		r = rk__do_write(n, buf + done, piece, off + done);
		if (r < 0)
			return done && changes == rk__change_count() ?
			       (int64_t)done : r;
		done += (size_t)r;
	} while ((size_t)r == piece && done < len);
	return (int64_t)done;
}

int64_t rk__vfs_write(const struct rk__cred *c, struct rk__node n,
		      const void *buf, size_t len, uint64_t off, bool append,
		      uint64_t *ret_off)
{
	const struct rk_driver *d = rk__ops(n.mount);
	RK_CLAIM(n, RK_WRITES);
	struct rk_stat st;
	int64_t done;
	int r;

	if (len == 0 || !d->write)
		return len ? -EROFS : 0;
	r = rk__before_write(c, n, &st);
	if (r < 0)
		return r;
	if (append)
		off = st.size;
	if (off >= INT64_MAX)
		return -EFBIG;
	if (len > INT64_MAX - off)
		len = (size_t)(INT64_MAX - off);
	if (ret_off)
		*ret_off = off;
	done = write_pieces(n, buf, len, off);
	if (done > 0) {
		rk__data_changed(n, off, (uint64_t)done);
		rk__pages_change(n, off, (uint64_t)done);
	}
	if (done > 0 && !rk__vfs_has_device(n.mount))
		rk__change_bytes((uint64_t)done);
	return done;
}

int rk__fallocate_mode(uint32_t mode)
{
	const uint32_t known = FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE |
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_COLLAPSE_RANGE |
		FALLOC_FL_INSERT_RANGE | FALLOC_FL_UNSHARE_RANGE;

	const uint32_t what = mode & ~FALLOC_FL_KEEP_SIZE;
	const bool keeps = mode & FALLOC_FL_KEEP_SIZE;

	/* One at a time. */
	if ((mode & ~known) || (what & (what - 1)))
		return -EOPNOTSUPP;
	if (what == FALLOC_FL_PUNCH_HOLE && !keeps)
		return -EOPNOTSUPP;
	if ((what == FALLOC_FL_COLLAPSE_RANGE ||
	     what == FALLOC_FL_INSERT_RANGE) && keeps)
		return -EOPNOTSUPP;
	return 0;
}

int rk__vfs_fallocate(const struct rk__cred *c, struct rk__node n,
		      uint32_t mode, uint64_t off, uint64_t len)
{
	const struct rk_driver *d = rk__ops(n.mount);
	RK_CLAIM(n, RK_WRITES);
	struct rk_stat st;
	int r;

	if (off > INT64_MAX || len == 0 || len > INT64_MAX)
		return -EINVAL;
	r = rk__fallocate_mode(mode);
	if (r < 0)
		return r;
	if (len > INT64_MAX - off)
		return -EFBIG;
	if (!d->fallocate)
		return -EOPNOTSUPP;
	r = rk__before_write(c, n, &st);
	if (r < 0)
		return r;
	r = rk__do_fallocate(n, mode, off, len);
	/* What comes after it may have moved. */
	if (r >= 0) {
		rk__data_changed(n, off, 0);
		rk__pages_change(n, off, mode & (FALLOC_FL_COLLAPSE_RANGE |
						 FALLOC_FL_INSERT_RANGE) ?
				 0 : len);
	}
	return r;
}

int rk__vfs_seek(struct rk__node n, uint64_t off, bool hole, uint64_t *ret)
{
	const struct rk_driver *d = rk__ops(n.mount);
	RK_CLAIM(n, RK_LOOKS);
	struct rk_stat st;
	int r = rk__vfs_getattr(n, &st);

	if (r < 0)
		return r;
	if (off >= st.size)
		return -ENXIO;
	if (d->seek)
		return d->seek(rk__fs(n.mount), n.ino, off, hole, ret);
	*ret = hole ? st.size : off;
	return 0;
}

/* Makes *len what there is to copy: only that must not overlap. */
static int copy_check(struct rk__node from, uint64_t off_from,
		      struct rk__node to, uint64_t off_to, uint64_t *len)
{
	struct rk_stat st;
	int r;

	if (from.mount != to.mount)
		return -EXDEV;
	if (off_from > INT64_MAX || off_to > INT64_MAX)
		return -EINVAL;
	if (*len > INT64_MAX - off_from || *len > INT64_MAX - off_to)
		return -EOVERFLOW;
	r = rk__vfs_getattr(from, &st);
	if (r < 0)
		return r;
	if (!S_ISREG(st.mode))
		return S_ISDIR(st.mode) ? -EISDIR : -EINVAL;
	if (off_from >= st.size)
		*len = 0;
	else if (*len > st.size - off_from)
		*len = st.size - off_from;
	if (*len && rk__same_node(from, to) && off_from < off_to + *len &&
	    off_to < off_from + *len)
		return -EINVAL;
	return 0;
}

int64_t rk__vfs_copy(const struct rk__cred *c, struct rk__node from,
		     uint64_t off_from, struct rk__node to, uint64_t off_to,
		     uint64_t len)
{
	uint8_t *buf = rk__room(RK_ROOM_DATA);
	int64_t n = copy_check(from, off_from, to, off_to, &len);

	if (n < 0)
		return n;
	if (len > RK_IO_MAX)
		len = RK_IO_MAX;
	n = rk__vfs_read(from, buf, (size_t)len, off_from);
	if (n <= 0)
		return n;
	return rk__vfs_write(c, to, buf, (size_t)n, off_to, false, NULL);
}

/* --- directories ------------------------------------------------------------ */

struct listing {
	struct rk__node dir;
	rk_emit_fn *emit;
	void *arg;
};

/* Whoever lists a directory often looks at each entry next. */
static int emit_and_remember(void *arg, const char *name, size_t len,
			     uint64_t ino, uint8_t dt_type, uint64_t cookie)
{
	struct listing *l = arg;
	int r = l->emit(l->arg, name, len, ino, dt_type, cookie);

	if (r == 0)
		rk__name_enter(l->dir, name, len, ino);
	return r;
}

int rk__vfs_readdir(struct rk__node dir, uint64_t cookie, rk_emit_fn *emit,
		    void *arg)
{
	const struct rk_driver *d = rk__ops(dir.mount);
	RK_CLAIM(dir, RK_READS);
	struct listing l = {.dir = dir, .emit = emit, .arg = arg};
	uint32_t v = rk__vnode_find(dir);

	if (!d->readdir)
		return -ENOTDIR;
	/* Nothing is in a removed directory, not even "." (as on Linux). */
	if (v && rk__core->vnode[v].orphan)
		return 0;
	return d->readdir(rk__fs(dir.mount), dir.ino, cookie,
			  emit_and_remember, &l);
}
