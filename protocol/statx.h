/*
 * statx.h - what a server says of a file, as statx(2) gives it: for the library
 * and for who stands in for the call itself. Without libc.
 */
#ifndef RK_STATX_H
#define RK_STATX_H

#include <linux/fs.h>
#include <linux/stat.h>
#include "types.h"

static inline struct statx_timestamp rk__statx_time(const struct rk_time *t)
{
	return (struct statx_timestamp){ .tv_sec = t->sec, .tv_nsec = t->nsec };
}

static inline void rk__statx_attributes(uint32_t flags, struct statx *x)
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

	for (unsigned i = 0; i < sizeof known / sizeof *known; i++) {
		x->stx_attributes_mask |= known[i].attribute;
		if (flags & known[i].flag)
			x->stx_attributes |= known[i].attribute;
	}
}

/* Of a device number, as the kernel packs it into 32 bits: 12 and 20 bits. */
static inline uint32_t rk__dev_major(uint64_t dev)
{
	return (uint32_t)(dev >> 8) & 0xfff;
}

static inline uint32_t rk__dev_minor(uint64_t dev)
{
	return (uint32_t)(dev & 0xff) | ((uint32_t)(dev >> 12) & 0xfff00);
}

/* dev: of the file system, as the caller shall see it. */
static inline void rk__statx_of(const struct rk_stat *st, uint64_t dev,
				struct statx *ret)
{
	*ret = (struct statx){
		.stx_mask = STATX_BASIC_STATS | STATX_MNT_ID,
		.stx_blksize = st->blksize,
		.stx_nlink = st->nlink,
		.stx_uid = st->uid,
		.stx_gid = st->gid,
		.stx_mode = (uint16_t)st->mode,
		.stx_ino = st->ino,
		.stx_size = st->size,
		.stx_blocks = st->blocks,
		.stx_atime = rk__statx_time(&st->atime),
		.stx_btime = rk__statx_time(&st->btime),
		.stx_ctime = rk__statx_time(&st->ctime),
		.stx_mtime = rk__statx_time(&st->mtime),
		.stx_rdev_major = rk__dev_major(st->rdev),
		.stx_rdev_minor = rk__dev_minor(st->rdev),
		.stx_dev_major = rk__dev_major(dev),
		.stx_dev_minor = rk__dev_minor(dev),
		.stx_mnt_id = dev,
	};
	if (st->btime.sec || st->btime.nsec)
		ret->stx_mask |= STATX_BTIME;
	rk__statx_attributes(st->flags, ret);
}

#endif
