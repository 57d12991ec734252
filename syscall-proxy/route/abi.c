/*
 * abi.c - structs as the kernel gives them, which are not always libc's.
 */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fs.h>
#include <linux/stat.h>
#include "calls.h"

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

static struct statx_timestamp time_of(const struct rk_time *t)
{
	return (struct statx_timestamp){ .tv_sec = t->sec, .tv_nsec = t->nsec };
}

static uint64_t attributes_of(const struct rk_stat *st, uint64_t *ret_known)
{
	static const struct {
		uint32_t flag, attribute;
	} known[] = {
		{ FS_COMPR_FL, STATX_ATTR_COMPRESSED },
		{ FS_IMMUTABLE_FL, STATX_ATTR_IMMUTABLE },
		{ FS_APPEND_FL, STATX_ATTR_APPEND },
		{ FS_NODUMP_FL, STATX_ATTR_NODUMP },
		{ FS_ENCRYPT_FL, STATX_ATTR_ENCRYPTED },
		{ FS_VERITY_FL, STATX_ATTR_VERITY },
	};
	uint64_t has = 0;

	*ret_known = 0;
	for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
		*ret_known |= known[i].attribute;
		if (st->flags & known[i].flag)
			has |= known[i].attribute;
	}
	return has;
}

/* As the kernel's own encoding of a device number: 12 and 20 bits. */
int rk__put_statx(struct rk__task *t, uint64_t at, uint64_t dev,
		  const struct rk_stat *st)
{
	uint64_t known_attributes;
	struct statx x = {
		.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID,
		.stx_blksize = st->blksize,
		.stx_nlink = st->nlink,
		.stx_uid = st->uid,
		.stx_gid = st->gid,
		.stx_mode = (uint16_t)st->mode,
		.stx_ino = st->ino,
		.stx_size = st->size,
		.stx_blocks = st->blocks,
		.stx_atime = time_of(&st->atime),
		.stx_btime = time_of(&st->btime),
		.stx_ctime = time_of(&st->ctime),
		.stx_mtime = time_of(&st->mtime),
		.stx_rdev_major = (uint32_t)(st->rdev >> 8) & 0xfff,
		.stx_rdev_minor = (uint32_t)(st->rdev & 0xff) |
				  ((uint32_t)(st->rdev >> 12) & 0xfff00),
		.stx_dev_major = (uint32_t)(dev >> 8) & 0xfff,
		.stx_dev_minor = (uint32_t)(dev & 0xff) |
				 ((uint32_t)(dev >> 12) & 0xfff00),
		.stx_mnt_id = dev,
	};

	if (st->btime.sec || st->btime.nsec)
		x.stx_mask |= STATX_BTIME;
	x.stx_attributes = attributes_of(st, &known_attributes);
	x.stx_attributes_mask = known_attributes;
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
