/*
 * files_ctl.c - locks, fcntl and ioctl.
 */
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include "files_int.h"

#ifndef F_OFD_GETLK
enum { F_OFD_GETLK = 36, F_OFD_SETLK, F_OFD_SETLKW };
#endif

RK__FILE_CALL(flock)
{
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	switch ((uint32_t)arg[1] & ~(uint32_t)LOCK_NB) {
	case LOCK_SH:
	case LOCK_EX:
	case LOCK_UN:
		return rk__done(ret, rk_flock(f.client, f.fd,
					      (uint32_t)arg[1]));
	default:
		return rk__done(ret, -EINVAL);
	}
}

/* --- record locks ------------------------------------------------------------------ */

/* struct flock of the kernel. */
struct range {
	int16_t type, whence;
	int64_t start, length;
	int32_t pid;
};

static int64_t get_lock(struct rk__task *t, const struct rk__target *f,
			uint64_t at, struct range *l, bool ofd)
{
	struct rk_flock found;
	int64_t r = rk_getlk(f->client, f->fd, &found,
			     (uint32_t)(uint16_t)l->type, l->start, l->length,
			     (uint32_t)(uint16_t)l->whence, ofd);

	if (r < 0)
		return r;
	l->type = (int16_t)found.type;
	if (found.type != F_UNLCK) {
		l->whence = SEEK_SET;
		l->start = found.start;
		l->length = found.length;
		l->pid = (int32_t)found.pid;
	}
	return t->host->copy_out(t, at, l, sizeof *l);
}

static int64_t lock(struct rk__task *t, const struct rk__target *f,
		    uint32_t cmd, uint64_t at)
{
	bool ofd = cmd == F_OFD_GETLK || cmd == F_OFD_SETLK ||
		   cmd == F_OFD_SETLKW;
	struct range l;
	uint32_t type, whence;

	if (t->host->copy_in(t, &l, at, sizeof l) < 0)
		return -EFAULT;
	if (ofd && l.pid)
		return -EINVAL;
	if (cmd == F_GETLK || cmd == F_OFD_GETLK)
		return get_lock(t, f, at, &l, ofd);
	type = (uint16_t)l.type;
	whence = (uint16_t)l.whence;
	if (cmd == F_SETLKW || cmd == F_OFD_SETLKW)
		return rk_setlkw(f->client, f->fd, type, l.start, l.length,
				 whence, ofd);
	return rk_setlk(f->client, f->fd, type, l.start, l.length, whence,
			ofd);
}

/* --- fcntl --------------------------------------------------------------------------- */

RK__FILE_CALL(fcntl)
{
	uint32_t cmd = (uint32_t)arg[1];
	struct rk__target f;

	/* What is the descriptor's, not the file's, is its keeper's. */
	if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_GETFD ||
	    cmd == F_SETFD || !rk__find(t, arg[0], &f))
		return RK__NATIVE;
	switch (cmd) {
	case F_GETFL:
		return rk__done(ret, rk_getfl(f.client, f.fd));
	case F_SETFL:
		return rk__done(ret, rk_setfl(f.client, f.fd,
					      (uint32_t)arg[2]));
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return rk__done(ret, lock(t, &f, cmd, arg[2]));
	case F_GETLEASE:
		/* There are none. */
		return rk__done(ret, F_UNLCK);
	default:
		return rk__done(ret, rk_fcntl(f.client, f.fd, cmd, arg[2]));
	}
}

/* --- ioctl --------------------------------------------------------------------------- */

enum { EXTENTS_MAX = 1024 };		/* that one answer has */

/* The commands that move bytes, and how many. Those of ext2's family say long
 * and mean int. */
static const struct command {
	uint32_t cmd;
	uint16_t in, out;
} commands[] = {
	{ FIONREAD, 0, sizeof(int) },
	{ FIONBIO, sizeof(int), 0 },
	{ FIOQSIZE, 0, sizeof(int64_t) },
	{ FIGETBSZ, 0, sizeof(int) },
	{ FS_IOC_GETFLAGS, 0, sizeof(int) },
	{ FS_IOC_SETFLAGS, sizeof(int), 0 },
	{ FS_IOC_GETVERSION, 0, sizeof(int) },
	{ FS_IOC_FSGETXATTR, 0, sizeof(struct fsxattr) },
	{ FS_IOC_FSSETXATTR, sizeof(struct fsxattr), 0 },
};

static const struct command *command_of(uint32_t cmd)
{
	for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (commands[i].cmd == cmd)
			return &commands[i];
	return NULL;
}

static int64_t simple(struct rk__task *t, const struct rk__target *f,
		      const struct command *c, uint64_t at)
{
	uint8_t in[sizeof(struct fsxattr)], out[sizeof(struct fsxattr)];
	int64_t r;

	if (c->in && t->host->copy_in(t, in, at, c->in) < 0)
		return -EFAULT;
	memset(out, 0, sizeof out);
	r = rk_ioctl(f->client, f->fd, c->cmd, in, c->in, out, c->out);
	if (r >= 0 && c->out && t->host->copy_out(t, at, out, c->out) < 0)
		return -EFAULT;
	return r;
}

/* The head says how many extents there is room for; so many come at once that
 * one answer has room, and the last of the file says that it is it. */
static int64_t fiemap(struct rk__task *t, const struct rk__target *f,
		      uint64_t at)
{
	struct fiemap m, *back;
	uint32_t asked;
	uint64_t size;
	int64_t r;

	if (t->host->copy_in(t, &m, at, sizeof m) < 0)
		return -EFAULT;
	asked = m.fm_extent_count;
	if (asked > UINT32_MAX / sizeof(struct fiemap_extent))
		return -EINVAL;
	m.fm_extent_count = (uint32_t)rk__least(asked, EXTENTS_MAX);
	size = sizeof m + m.fm_extent_count * sizeof(struct fiemap_extent);
	back = calloc(1, size);
	if (!back)
		return -ENOMEM;
	r = rk_ioctl(f->client, f->fd, FS_IOC_FIEMAP, &m, sizeof m, back,
		     size);
	if (r >= 0) {
		if (back->fm_mapped_extents < m.fm_extent_count)
			size = sizeof m + back->fm_mapped_extents *
						  sizeof(struct fiemap_extent);
		back->fm_extent_count = asked;
		if (t->host->copy_out(t, at, back, asked ? size : sizeof m) < 0)
			r = -EFAULT;
	}
	free(back);
	return r;
}

/* The flag is that of the caller's own descriptor. */
static int64_t set_cloexec(struct rk__task *t, uint64_t fd, uint64_t flag)
{
	return t->host->native(t, SYS_fcntl,
			       (const uint64_t[6]){ fd, F_SETFD, flag });
}

static int64_t clone_of(struct rk__task *t, const struct rk__target *f,
			uint64_t from)
{
	struct rk__target other;

	/* No driver shares blocks. */
	return rk__find(t, from, &other) && other.server == f->server ?
		-EOPNOTSUPP : -EXDEV;
}

static int64_t clone_range(struct rk__task *t, const struct rk__target *f,
			   uint64_t at)
{
	struct file_clone_range c;

	if (t->host->copy_in(t, &c, at, sizeof c) < 0)
		return -EFAULT;
	return clone_of(t, f, (uint64_t)c.src_fd);
}

/* 'T': terminals, which programs ask every file that they open whether it is. */
static bool of_terminals(uint32_t cmd)
{
	return _IOC_TYPE(cmd) == 'T' && cmd != FIONREAD && cmd != FIONBIO &&
	       cmd != FIOQSIZE;
}

RK__FILE_CALL(ioctl)
{
	uint32_t cmd = (uint32_t)arg[1];
	const struct command *c;
	struct rk__target f;

	if (!rk__find(t, arg[0], &f))
		return RK__NATIVE;
	switch (cmd) {
	case FIOCLEX:
		return rk__done(ret, set_cloexec(t, arg[0], FD_CLOEXEC));
	case FIONCLEX:
		return rk__done(ret, set_cloexec(t, arg[0], 0));
	case FS_IOC_FIEMAP:
		return rk__done(ret, fiemap(t, &f, arg[2]));
	case FICLONE:
		return rk__done(ret, clone_of(t, &f, arg[2]));
	case FICLONERANGE:
		return rk__done(ret, clone_range(t, &f, arg[2]));
	default:
		break;
	}
	if (of_terminals(cmd))
		return rk__done(ret, -ENOTTY);
	c = command_of(cmd);
	return rk__done(ret, c ? simple(t, &f, c, arg[2]) :
				 rk_ioctl(f.client, f.fd, cmd, NULL, 0, NULL,
					  0));
}
