/*
 * squashfs.h - what the files of the squashfs driver share.
 *
 * libsquashfuse opens the image, reads blocks and unpacks them. What the
 * blocks say is followed here, with every offset checked, because the library
 * believes its image. It reads by sqfs_pread(), which is ours (super.c).
 *
 * An object's number is its place in the inode table plus one: it needs no
 * table of numbers, and is the same after each reopen.
 */
#ifndef RK_SQUASHFS_H
#define RK_SQUASHFS_H

#include <errno.h>
#include <squashfuse/squashfuse.h>
#include <squashfuse/fs.h>
#include "driver.h"

enum {
	MD_BLOCKS = 256,		/* metadata blocks in memory, 8 KiB each */
	DATA_BYTES = 16 << 20,		/* of data blocks in memory */
	DATA_BLOCKS = 128,
	INODES = 512,
	HINTS = 8,			/* directories being listed */
	MAPS = 8,			/* large files being read */
};

struct md_block {
	uint64_t pos, next;		/* next: where the next one begins */
	sqfs_block *block;		/* NULL: free */
};

struct data_block {
	uint64_t pos, used;
	uint32_t header;
	sqfs_block *block;
};

struct inode {
	uint64_t ino;			/* 0: free */
	uint16_t type;			/* 1..7: the long types are folded */
	uint32_t mode, uid, gid, mtime, nlink, number, xattr;
	uint64_t size, holes;
	uint64_t start;			/* data; block of a directory's list */
	uint32_t fragment, offset;	/* where in fragment or block */
	uint32_t parent;		/* number */
	uint16_t n_index;
	uint32_t rdev;
	sqfs_md_cursor rest;		/* block list, index or target */
};

/* Where readdir may go on without walking there. */
struct hint {
	uint64_t ino, at, used;
	sqfs_md_cursor cur;
	struct squashfs_dir_header head;
};

/* Places in the block list of a file, every MAP_STEP blocks. */
enum { MAP_STEP = 256 };
struct map {
	uint64_t ino, used;
	struct map_mark {
		sqfs_md_cursor cur;
		uint64_t pos;
	} *mark;
	size_t n, room;
};

/* A directory's number and its inode, for images without an export table. */
struct numbered {
	uint32_t number;
	uint64_t ino;
};

struct squash {
	sqfs lib;
	struct rk_host host;
	uint64_t clock;			/* for what was used last */
	struct md_block md[MD_BLOCKS];
	struct data_block data[DATA_BLOCKS];
	size_t data_bytes;
	struct inode inode[INODES];
	struct hint hint[HINTS];
	struct map map[MAPS];
	struct numbered *dir;
	size_t n_dirs;
	bool dirs_known;
};

/* super.c */
int rk__squash_mount(const struct rk_host *host,
		     const struct rk_mount_options *opt, void **ret_fs,
		     uint64_t *ret_root, bool *needs_recovery);
int rk__squash_unmount(void *fs);
int rk__squash_statfs(void *fs, struct rk_statfs *ret);

/* meta.c: -EUCLEAN where the image contradicts itself, -EIO where it ends. */
int rk__squash_md_read(struct squash *s, sqfs_md_cursor *cur, void *buf,
		       size_t size);	/* buf NULL: skips */
int rk__squash_table_get(struct squash *s, const sqfs_table *t, uint64_t count,
			 uint64_t index, void *buf);
/* Unpacked; stays until the next call of this function. */
int rk__squash_data(struct squash *s, uint64_t pos, uint32_t header,
		    const sqfs_block **ret);
void rk__squash_forget(struct squash *s);

/* inode.c */
int rk__squash_inode(struct squash *s, uint64_t ino, struct inode **ret);
int rk__squash_getattr(void *fs, uint64_t ino, struct rk_stat *ret);
int rk__squash_readlink(void *fs, uint64_t ino, char *buf, size_t size);

/* dir.c */
int rk__squash_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		      struct rk_stat *ret);
int rk__squash_readdir(void *fs, uint64_t dir, uint64_t cookie,
		       rk_emit_fn *emit, void *arg);

/* file.c */
int64_t rk__squash_read(void *fs, uint64_t ino, void *buf, size_t len,
			uint64_t off);
int rk__squash_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		    uint64_t *ret);

/* xattr.c */
int rk__squash_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
			size_t size);
int rk__squash_listxattr(void *fs, uint64_t ino, char *list, size_t size);

#endif
