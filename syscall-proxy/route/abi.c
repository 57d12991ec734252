/*
 * abi.c - structs as the kernel gives them, which are not always libc's.
 */
#include <asm/stat.h>
#include <asm/statfs.h>
#include "calls.h"
#include "statx.h"

enum {
	DEV_MAJOR = 4095,		/* no device of the kernel has it */
	STAT_VALID = 0x20,		/* ST_VALID: libc need not look for flags */
};

static uint32_t minor_of(uint32_t server, uint64_t dev)
{
	return server << 8 | (dev & 0xff);
}

uint64_t rk__dev(uint32_t server, uint64_t dev)
{
	uint32_t minor = minor_of(server, dev);

	return (uint64_t)DEV_MAJOR << 8 | (minor & 0xff) |
	       (uint64_t)(minor & ~0xffu) << 12;
}

int rk__put_stat_on(struct rk__task *t, uint64_t at, uint64_t dev,
		    const struct rk_stat *st)
{
	struct stat s = {
		.st_dev = dev,
		.st_ino = st->ino,
		.st_nlink = st->nlink,
		.st_mode = st->mode,
		.st_uid = st->uid,
		.st_gid = st->gid,
		.st_rdev = st->rdev,
		.st_size = (long)st->size,
		.st_blksize = st->blksize,
		.st_blocks = (long)st->blocks,
		.st_atime = (unsigned long)st->atime.sec,
		.st_atime_nsec = st->atime.nsec,
		.st_mtime = (unsigned long)st->mtime.sec,
		.st_mtime_nsec = st->mtime.nsec,
		.st_ctime = (unsigned long)st->ctime.sec,
		.st_ctime_nsec = st->ctime.nsec,
	};

	return t->host->copy_out(t, at, &s, sizeof s);
}

int rk__put_stat(struct rk__task *t, uint64_t at, uint32_t server,
		 const struct rk_stat *st)
{
	return rk__put_stat_on(t, at, rk__dev(server, st->dev), st);
}

int rk__put_statx(struct rk__task *t, uint64_t at, uint64_t dev,
		  const struct rk_stat *st)
{
	struct statx x;

	rk__statx_of(st, dev, &x);
	return t->host->copy_out(t, at, &x, sizeof x);
}

int rk__put_statfs(struct rk__task *t, uint64_t at, const struct rk_statfs *st)
{
	struct statfs s = {
		.f_type = (long)st->type,
		.f_bsize = st->bsize,
		.f_blocks = (long)st->blocks,
		.f_bfree = (long)st->bfree,
		.f_bavail = (long)st->bavail,
		.f_files = (long)st->files,
		.f_ffree = (long)st->ffree,
		.f_fsid.val = { (int)st->fsid, (int)(st->fsid >> 32) },
		.f_namelen = st->namelen,
		.f_frsize = st->bsize,
		.f_flags = st->flags | STAT_VALID,
	};

	return t->host->copy_out(t, at, &s, sizeof s);
}
