/*
 * abi.c - structs as the kernel gives them, which are not always libc's.
 */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <sys/sysmacros.h>
#include "calls.h"

enum {
	DEV_MAJOR = 4095,		/* no device of the kernel has it */
	DEV_MOUNTS = 256,		/* of one server */
	STAT_VALID = 0x20,		/* ST_VALID: libc need not look for flags */
};

uint64_t rk__dev(uint32_t server, uint64_t dev)
{
	return makedev(DEV_MAJOR, server * DEV_MOUNTS + dev % DEV_MOUNTS);
}

/* As huge_encode_dev() of the kernel: what stat(2) hands out on 64-bit. */
int rk__put_stat(struct rk__task *t, uint64_t at, uint32_t server,
		 const struct rk_stat *st)
{
	struct stat s = {
		.st_dev = rk__dev(server, st->dev),
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
