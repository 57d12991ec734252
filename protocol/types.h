/*
 * types.h - structs that cross the boundary as answers: what stat, statfs,
 * F_GETLK and getdents give. Fixed layout, host order, no padding holes.
 */
#ifndef RK_TYPES_H
#define RK_TYPES_H

#include <stdint.h>

#define RK_AT_FDCWD (-100)

struct rk_time {
	int64_t sec;
	uint32_t nsec;
	uint32_t reserved;
};

/* mode, flags and device numbers are encoded as Linux on x86-64 does. */
struct rk_stat {
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;		/* of 512 bytes */
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint64_t rdev;			/* makedev() of st_rdev */
	uint64_t dev;			/* identifies the mount */
	uint32_t blksize;
	uint32_t generation;
	struct rk_time atime, mtime, ctime, btime;
	uint32_t flags;			/* FS_*_FL, as FS_IOC_GETFLAGS has them */
	uint32_t hints;			/* RK_STAT_* */
};

/* It may have a POSIX access list that says more than the mode. */
#define RK_STAT_ACL 1u

struct rk_statfs {
	uint64_t type;
	uint64_t blocks, bfree, bavail;	/* of bsize bytes */
	uint64_t files, ffree;
	uint64_t fsid;
	uint32_t bsize;
	uint32_t namelen;
	uint32_t flags;			/* ST_RDONLY ... */
	uint32_t reserved;
};

struct rk_flock {
	uint32_t type;			/* F_RDLCK, F_WRLCK, F_UNLCK */
	uint32_t pid;
	int64_t start;
	int64_t length;			/* 0: to the end of the file */
};

/* Names a file of a mount for as long as the file lives. */
struct rk_file_handle {
	uint64_t ino;
	uint32_t generation;
	uint32_t reserved;
};

/* An open file on its way to another process: unguessable, good once. */
struct rk_ticket {
	uint64_t word[2];		/* hi, lo */
};
#define RK_TICKETS_OF_PROC 64u		/* at a time; more: the oldest ends */

/* resolve: as a call that makes or removes a name looks at it. The last component
 * need not be there, and is not followed for the slashes behind it. */
#define RK_RESOLVE_PARENT 1u
/* resolve: gives the path also where it stays, without links and dots. A
 * nameless file, and one that only a descriptor names, is -ENOENT. */
#define RK_RESOLVE_WHOLE 2u

/* Where a file can be read without a request (cells.h). */
struct rk_hot {
	struct rk_stat st;
	uint32_t cell, generation;
	uint64_t offset;		/* of the open file */
	uint32_t flags;			/* RK_HOT_* */
	uint32_t reserved;
};

/* What is asked of `hot`, and what there is. */
#define RK_HOT_PAGES	1u		/* the bytes asked for, not just attributes */
#define RK_HOT_SEND	2u		/* the memfd: the caller has it not */
#define RK_HOT_SENT	4u		/* it is on its way (struct rk_gift) */
#define RK_HOT_ALONE	8u		/* nobody else has this open file */

/* As struct pollfd. */
struct rk_poll_fd {
	int32_t fd;
	uint16_t events, revents;
};

/* getdents: records follow each other, each 8-byte aligned. */
struct rk_dirent {
	uint64_t ino;
	uint64_t cookie;		/* where to go on after this entry */
	uint16_t reclen;		/* of the whole record */
	uint8_t type;			/* DT_REG ... */
	uint8_t namelen;
	uint32_t reserved;
	char name[];			/* NUL-terminated */
};

#endif
