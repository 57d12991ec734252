/*
 * sys_io.c - the bytes of open files, and directories as streams of entries.
 */
#include <linux/fs.h>
#include <string.h>
#include <unistd.h>
#include "sys.h"

/* Of O_DIRECT, as a device with sectors of this size wants it. */
enum { DIRECT_UNIT = 512 };

#define RWF_KNOWN	(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | \
	RWF_APPEND | RK_RWF_NOAPPEND)
#define RK_RWF_NOAPPEND	0x20		/* newer than some systems' headers */

/* Where one read or write goes. */
struct place {
	int64_t offset;
	bool own;			/* the descriptor's offset, which moves on */
	uint32_t rwf;
};

static bool aligned(const struct rk__ofd *o, uint64_t offset, uint64_t count)
{
	return !(o->flags & O_DIRECT) ||
	       (offset | count) % DIRECT_UNIT == 0;
}

static int check_place(const struct place *p)
{
	if (p->rwf & ~(uint32_t)RWF_KNOWN)
		return -EOPNOTSUPP;
	if ((p->rwf & RWF_APPEND) && (p->rwf & RK_RWF_NOAPPEND))
		return -EINVAL;
	return !p->own && p->offset < 0 ? -EINVAL : 0;
}

/* Of a FIFO that is said before it is looked whether it was opened for that. */
static bool has_no_places(const struct rk__ofd *o, const struct place *p)
{
	return o->pipe && !p->own && p->offset >= 0 && !(o->flags & O_PATH);
}

static int64_t read_at(struct rk__call *c, int32_t fd, void *buf,
		       uint64_t count, struct place p)
{
	struct rk__ofd *o = rk__fd(c->proc, fd);
	int64_t n;

	if (o && has_no_places(o, &p))
		return -ESPIPE;
	if (!o || !rk__ofd_reads(o))
		return -EBADF;
	if (o->flags & O_DIRECTORY)
		return -EISDIR;
	n = check_place(&p);
	if (n < 0)
		return n;
	if (o->pipe)
		return rk__fifo_read(c, o, buf, count);
	if (p.own)
		p.offset = o->offset;
	if (!aligned(o, (uint64_t)p.offset, count))
		return -EINVAL;
	n = rk__vfs_read(rk__ofd_node(o), buf, count, (uint64_t)p.offset);
	c->out_len = n < 0 ? 0 : (uint32_t)n;
	if (n > 0 && p.own)
		rk__ofd_set_offset(o, p.offset + n);
	return n;
}

int64_t rk__sys_read(struct rk__call *c, struct op_read *a)
{
	return read_at(c, a->fd, a->buf, a->count, (struct place){.own = true});
}

int64_t rk__sys_pread(struct rk__call *c, struct op_pread *a)
{
	return read_at(c, a->fd, a->buf, a->count,
		       (struct place){.offset = a->offset});
}

int64_t rk__sys_pread2(struct rk__call *c, struct op_pread2 *a)
{
	return read_at(c, a->fd, a->buf, a->count, (struct place){
		.offset = a->offset,
		.own = a->offset == -1,
		.rwf = a->flags,
	});
}

int64_t rk__call_flush(struct rk__call *c, uint32_t mount)
{
	if (c->cancelled)
		return -EINTR;
	c->outcome = rk__serve_fsync(rk__handle_now, mount);
	return rk__handle_now->result;
}

/*
 * O_SYNC and O_DSYNC: the write is a stage of its own, of which the core keeps
 * that it is done; run again, by whichever server, it only waits for the flush.
 */
static struct rk__written *written(const struct rk__call *c)
{
	return &rk__core->written[rk__handle_now->slot];
}

static bool is_written(const struct rk__call *c)
{
	const struct rk__written *w = written(c);

	return w->id == rk__handle_now->id && w->token == c->proc->token &&
	       w->result > 0;
}

/* A signal does not end it: the bytes are written. */
static int64_t wait_durable(struct rk__call *c, const struct rk__ofd *o)
{
	int64_t r;

	c->cancelled = false;
	r = rk__call_flush(c, rk__ofd_node(o).mount);
	return c->outcome == RK_DONE && r == 0 ? written(c)->result : r;
}

static int64_t end_write(struct rk__call *c, bool durable, int64_t n)
{
	struct rk__written *w = written(c);

	if (n <= 0 || !durable)
		return n;
	RK_NOTE(w);
	*w = (struct rk__written){
		.id = rk__handle_now->id,
		.token = c->proc->token,
		.result = n,
	};
	c->outcome = RK_STAGE;
	return n;
}

/* Limits and alignment, which most writes know nothing of. */
static int may_write(const struct rk__call *c, const struct rk__ofd *o,
		     bool append, uint64_t offset, uint64_t *count)
{
	struct rk_stat st;
	int r = 0;

	if (c->proc->fsize > INT64_MAX && !(o->flags & O_DIRECT))
		return 0;
	if (append) {
		r = rk__vfs_getattr(rk__ofd_node(o), &st);
		offset = st.size;
	}
	if (r == 0 && !aligned(o, offset, *count))
		r = -EINVAL;
	return r < 0 ? r : rk__call_fsize(c, offset, count);
}

/* O_APPEND wins over the offset, as it does on Linux. */
static int64_t write_at(struct rk__call *c, int32_t fd, const void *buf,
			uint64_t count, struct place p)
{
	struct rk__ofd *o = rk__fd(c->proc, fd);
	bool append, durable;
	uint64_t at = 0;
	int64_t n;

	if (o && has_no_places(o, &p))
		return -ESPIPE;
	if (!o || !rk__ofd_writes(o))
		return -EBADF;
	n = check_place(&p);
	if (n < 0)
		return n;
	if (o->pipe)
		return rk__fifo_write(c, o, buf, count);
	if (is_written(c))
		return wait_durable(c, o);
	append = ((o->flags & O_APPEND) || (p.rwf & RWF_APPEND)) &&
		 !(p.rwf & RK_RWF_NOAPPEND);
	durable = (o->flags & (O_SYNC | O_DSYNC)) ||
		  (p.rwf & (RWF_SYNC | RWF_DSYNC));
	if (p.own)
		p.offset = o->offset;
	n = may_write(c, o, append, (uint64_t)p.offset, &count);
	if (n < 0)
		return n;
	n = rk__vfs_write(&c->cred, rk__ofd_node(o), buf, count,
			  (uint64_t)p.offset, append, &at);
	if (n > 0 && p.own)
		rk__ofd_set_offset(o, (int64_t)at + n);
	return end_write(c, durable, n);
}

int64_t rk__sys_write(struct rk__call *c, struct op_write *a)
{
	return write_at(c, a->fd, a->buf, a->count,
			(struct place){.own = true});
}

int64_t rk__sys_pwrite(struct rk__call *c, struct op_pwrite *a)
{
	return write_at(c, a->fd, a->buf, a->count,
			(struct place){.offset = a->offset});
}

int64_t rk__sys_pwrite2(struct rk__call *c, struct op_pwrite2 *a)
{
	return write_at(c, a->fd, a->buf, a->count, (struct place){
		.offset = a->offset,
		.own = a->offset == -1,
		.rwf = a->flags,
	});
}

/* --- offsets ------------------------------------------------------------------ */

static int64_t seek_data(const struct rk__ofd *o, int64_t offset, bool hole)
{
	uint64_t at;
	int r;

	if (o->flags & O_DIRECTORY)
		return -EINVAL;
	if (offset < 0)
		return -ENXIO;
	r = rk__vfs_seek(rk__ofd_node(o), (uint64_t)offset, hole, &at);
	return r < 0 ? r : (int64_t)at;
}

int64_t rk__sys_seek_data(struct rk__call *c, struct op_seek_data *a)
{
	const struct rk__ofd *o = rk__call_ofd(c, a->fd);

	if (!o)
		return -EBADF;
	if (o->pipe)
		return -ESPIPE;
	if (a->whence != SEEK_DATA && a->whence != SEEK_HOLE)
		return -EINVAL;
	return seek_data(o, a->offset, a->whence == SEEK_HOLE);
}

static int64_t plus(int64_t base, int64_t offset)
{
	int64_t sum;

	if (__builtin_add_overflow(base, offset, &sum))
		return -EOVERFLOW;
	return sum < 0 ? -EINVAL : sum;
}

static int64_t seek_to(const struct rk__ofd *o, int64_t offset, uint32_t whence)
{
	struct rk_stat st;
	int r;

	switch (whence) {
	case SEEK_SET:
		/* A directory's offset is a cookie of its driver, any number. */
		if (o->flags & O_DIRECTORY)
			return offset < 0 ? -EINVAL : offset;
		return plus(0, offset);
	case SEEK_CUR:
		return plus(o->offset, offset);
	case SEEK_END:
		if (o->flags & O_DIRECTORY)
			return -EINVAL;
		r = rk__vfs_getattr(rk__ofd_node(o), &st);
		return r < 0 ? r : plus((int64_t)st.size, offset);
	case SEEK_DATA:
	case SEEK_HOLE:
		return seek_data(o, offset, whence == SEEK_HOLE);
	default:
		return -EINVAL;
	}
}

int64_t rk__sys_lseek(struct rk__call *c, struct op_lseek *a)
{
	struct rk__ofd *o = rk__call_ofd(c, a->fd);
	int64_t to;

	if (!o)
		return -EBADF;
	if (o->pipe)
		return -ESPIPE;
	to = seek_to(o, a->offset, a->whence);
	if (to >= 0)
		rk__ofd_set_offset(o, to);
	return to;
}

/* --- sizes ---------------------------------------------------------------------- */

static int64_t set_size(struct rk__call *c, struct rk__node n, int64_t length)
{
	const struct rk_setattr set = {
		.valid = RK_SET_SIZE,
		.size = (uint64_t)length,
	};
	struct rk_stat st;
	int r = 0;

	if ((uint64_t)length > c->proc->fsize) {
		r = rk__vfs_getattr(n, &st);
		if (r == 0)
			r = rk__call_new_size(c, st.size, (uint64_t)length);
	}
	return r < 0 ? r :
	       rk__call_stage(c, rk__vfs_setattr(&c->cred, n, &set, &st));
}

int64_t rk__sys_ftruncate(struct rk__call *c, struct op_ftruncate *a)
{
	const struct rk__ofd *o = rk__call_ofd(c, a->fd);

	if (!o)
		return -EBADF;
	if (a->length < 0 || !rk__ofd_writes(o) || o->pipe)
		return -EINVAL;
	return set_size(c, rk__ofd_node(o), a->length);
}

int64_t rk__sys_truncate(struct rk__call *c, struct op_truncate *a)
{
	struct rk__walked w;
	int r;

	if (a->length < 0)
		return -EINVAL;
	r = rk__call_walk(c, RK_AT_FDCWD, a->path, RK_WALK_FOLLOW, &w);
	if (r == 0 && !S_ISREG(w.st.mode))
		r = S_ISDIR(w.st.mode) ? -EISDIR : -EINVAL;
	if (r == 0)
		r = rk__vfs_access(&c->cred, &w.st, W_OK);
	return r < 0 ? r : set_size(c, w.node, a->length);
}

static int may_allocate(const struct rk__call *c, const struct rk__ofd *o,
			const struct op_fallocate *a)
{
	struct rk_stat st;
	uint64_t end;
	int r;

	if ((a->mode & FALLOC_FL_KEEP_SIZE) || c->proc->fsize > INT64_MAX ||
	    __builtin_add_overflow((uint64_t)a->offset, (uint64_t)a->length,
				   &end))
		return 0;
	r = rk__vfs_getattr(rk__ofd_node(o), &st);
	return r < 0 ? r : rk__call_new_size(c, st.size, end);
}

int64_t rk__sys_fallocate(struct rk__call *c, struct op_fallocate *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);
	int r;

	if (!o || (o->flags & O_PATH))
		return -EBADF;
	if (a->offset < 0 || a->length <= 0)
		return -EINVAL;
	r = rk__fallocate_mode(a->mode);
	if (r == 0 && !rk__ofd_writes(o))
		r = -EBADF;
	if (r == 0 && o->pipe)
		r = -ESPIPE;
	if (r == 0)
		r = may_allocate(c, o, a);
	if (r < 0)
		return r;
	return rk__call_stage(c, rk__vfs_fallocate(&c->cred, rk__ofd_node(o),
			      a->mode, (uint64_t)a->offset,
			      (uint64_t)a->length));
}

/* Offset -1: the descriptor's own, which moves on. */
int64_t rk__sys_copy_file_range(struct rk__call *c,
				struct op_copy_file_range *a)
{
	struct rk__ofd *in = rk__fd(c->proc, a->fd_in);
	struct rk__ofd *out = rk__fd(c->proc, a->fd_out);
	int64_t from = a->off_in, to = a->off_out, n;

	if (!in || !out || ((in->flags | out->flags) & O_PATH))
		return -EBADF;
	if (a->flags || from < -1 || to < -1)
		return -EINVAL;
	if ((in->flags | out->flags) & O_DIRECTORY)
		return -EISDIR;
	if (in->pipe || out->pipe)
		return -EINVAL;
	if (!rk__ofd_reads(in) || !rk__ofd_writes(out) ||
	    (out->flags & O_APPEND))
		return -EBADF;
	from = from < 0 ? in->offset : from;
	to = to < 0 ? out->offset : to;
	/* Longer ones come in pieces: say what fits, and no more. */
	if (a->count > RK_IO_MAX)
		a->count = RK_IO_MAX;
	n = rk__call_fsize(c, (uint64_t)to, &a->count);
	if (n < 0)
		return n;
	n = rk__vfs_copy(&c->cred, rk__ofd_node(in), (uint64_t)from,
			 rk__ofd_node(out), (uint64_t)to, a->count);
	if (n <= 0)
		return n;
	if (a->off_in < 0)
		rk__ofd_set_offset(in, from + n);
	if (a->off_out < 0)
		rk__ofd_set_offset(out, to + n);
	return n;
}

/* --- directories ---------------------------------------------------------------- */

struct listing {
	uint8_t *at, *end;
	uint64_t cookie;
	bool full;
};

static int add_entry(void *arg, const char *name, size_t len, uint64_t ino,
		     uint8_t dt_type, uint64_t cookie)
{
	struct listing *l = arg;
	size_t size = (sizeof(struct rk_dirent) + len + 1 + 7) & ~7ul;
	struct rk_dirent *d = (struct rk_dirent *)l->at;

	if (len > RK_NAME_LEN_MAX)
		return 0;
	if (size > (size_t)(l->end - l->at)) {
		l->full = true;
		return 1;
	}
	memset(d, 0, size);
	d->ino = ino;
	d->cookie = cookie;
	d->reclen = (uint16_t)size;
	d->type = dt_type;
	d->namelen = (uint8_t)len;
	memcpy(d->name, name, len);
	l->at += size;
	l->cookie = cookie;
	return 0;
}

int64_t rk__sys_getdents(struct rk__call *c, struct op_getdents *a)
{
	struct rk__ofd *o = rk__call_ofd(c, a->fd);
	struct listing l = {.at = a->buf};
	int r;

	if (!o)
		return -EBADF;
	if (!(o->flags & O_DIRECTORY))
		return -ENOTDIR;
	l.end = l.at + a->size;
	l.cookie = (uint64_t)o->offset;
	r = rk__vfs_readdir(rk__ofd_node(o), l.cookie, add_entry, &l);
	if (r < 0)
		return r;
	c->out_len = (uint32_t)(l.at - (uint8_t *)a->buf);
	if (c->out_len == 0 && l.full)
		return -EINVAL;
	rk__ofd_set_offset(o, (int64_t)l.cookie);
	return c->out_len;
}

/* --- durability ----------------------------------------------------------------- */

static int64_t sync_file(struct rk__call *c, int32_t fd)
{
	const struct rk__ofd *o = rk__call_ofd(c, fd);
	int64_t r;

	if (!o)
		return -EBADF;
	if (o->pipe)
		return -EINVAL;
	if (!rk__call_write_back(c, rk__ofd_node(o), 0, UINT64_MAX, &r))
		return r;
	return rk__call_flush(c, rk__ofd_node(o).mount);
}

int64_t rk__sys_fsync(struct rk__call *c, struct op_fsync *a)
{
	return sync_file(c, a->fd);
}

int64_t rk__sys_fdatasync(struct rk__call *c, struct op_fdatasync *a)
{
	return sync_file(c, a->fd);
}

int64_t rk__sys_sync(struct rk__call *c, struct op_sync *a)
{
	int64_t r;

	if (!rk__call_write_back_all(c, RK_MOUNTS_MAX, &r))
		return r;
	return rk__call_flush(c, RK_MOUNTS_MAX);
}

int64_t rk__sys_syncfs(struct rk__call *c, struct op_syncfs *a)
{
	const struct rk__ofd *o = rk__fd(c->proc, a->fd);
	int64_t r;

	if (!o)
		return -EBADF;
	if (!rk__call_write_back_all(c, rk__ofd_node(o).mount, &r))
		return r;
	return rk__call_flush(c, rk__ofd_node(o).mount);
}

/* Whoever waits gets more than was asked for: a flush point. */
int64_t rk__sys_sync_file_range(struct rk__call *c,
				struct op_sync_file_range *a)
{
	const uint32_t waits = SYNC_FILE_RANGE_WAIT_BEFORE |
			       SYNC_FILE_RANGE_WAIT_AFTER;
	const struct rk__ofd *o = rk__call_ofd(c, a->fd);
	int64_t end;

	if (!o)
		return -EBADF;
	if (a->offset < 0 || a->count < 0 ||
	    __builtin_add_overflow(a->offset, a->count, &end) ||
	    (a->flags & ~(waits | SYNC_FILE_RANGE_WRITE)))
		return -EINVAL;
	if (o->pipe)
		return -ESPIPE;
	return a->flags & waits ? sync_file(c, a->fd) : 0;
}
