/*
 * ext4.h - the inside of the ext4 driver.
 *
 * Layout of the on-disk structures, checksums, bitmaps, extent tree changes
 * and attributes are libext2fs's; names, indexes, file data and what to write
 * when are ours. Bitmaps, group descriptors and superblock live in memory and
 * go to the device in sync(); everything else is written at once.
 *
 * Functions return 0 (or more) or a negative errno. A `struct node` is a copy
 * of an inode on the caller's stack: who changes it writes it back with
 * rk__ext4_node_write, and nobody holds two copies of one inode at a time.
 */
#ifndef RK_EXT4_H
#define RK_EXT4_H

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <ext2fs/ext2_fs.h>
#include <ext2fs/ext2fs.h>
#include "driver.h"

#define RUN_CACHE 16		/* remembered runs, by inode number */
#define DIR_VERIFIED 256	/* directory blocks known to be sound */
#define STAGED 8		/* files being truncated in stages */
#define FLAT_BLOCKS (1u << 24)	/* larger devices have tree bitmaps */
#define STAGE_BLOCKS 16384	/* freed at most between two commits */
#define NAME_LIMIT EXT2_NAME_LEN

/* A piece of a file: `len` blocks from `lblk`; pblk 0 is a hole. */
struct run {
	uint64_t lblk, pblk, len;
	bool unwritten;
};

struct node {
	ext2_ino_t ino;
	struct ext2_inode_large i;
	bool attrs;			/* it has some in the inode itself */
};

/*
 * What an op writes of this has to be copied at its commit, page by page: so
 * what changes together stands together (the superblock too is moved here),
 * and scratch lives on the caller's stack, for the time of a call.
 */
struct ext4 {
	struct rk_host host;
	ext2_filsys fs;
	bool read_only;
	bool dirty_super;
	bool keeps;			/* any in `kept` */
	unsigned block_size, block_bits;
	uint64_t goal;			/* where the last data run ended */
	uint32_t next_generation;
	/* Blocks given back since the last sync, which its state still uses. */
	ext2fs_block_bitmap kept;
	char *block[3];			/* scratch, each one block */
	char *index[3];			/* an htree's index path */
	char *raw;			/* one whole inode */
	struct gather *gather;		/* readdir's sorted leaf */
	struct ext2_super_block *super_home;	/* where libext2fs had it */
	ext2_ino_t staged[STAGED];	/* linked, and on the orphan list */
	struct {
		ext2_ino_t ino;
		struct run run;
	} run_cache[RUN_CACHE];
	uint32_t dir_verified[DIR_VERIFIED];
	struct ext2_super_block super;
	uint8_t dirty_groups[];		/* DIRTY_* a group */
};

enum {
	DIRTY_BLOCKS = 1 << 0,
	DIRTY_INODES = 1 << 1,
	DIRTY_DESC = 1 << 2,
};

/* Scratch blocks, by who may use them. */
enum {
	B_DIR,				/* the directory block being worked on */
	B_NEW,				/* the other half of a split */
	B_META,				/* extent and indirect blocks, bitmaps */
};

/* entry.c: scratch for one call */
size_t rk__ext4_scratch_size(const struct ext4 *e);
void rk__ext4_scratch_set(struct ext4 *e, uint64_t *room);
#define SCRATCH(e_)							\
	uint64_t room_[rk__ext4_scratch_size(e_) / sizeof(uint64_t)];	\
	rk__ext4_scratch_set(e_, room_)

extern const struct rk_driver rk_driver;


/* io.c */
extern struct struct_io_manager rk__ext4_io;
int rk__ext4_errno(errcode_t err);
int rk__ext4_read_at(struct ext4 *e, void *buf, size_t len, uint64_t off);
int rk__ext4_write_at(struct ext4 *e, const void *buf, size_t len,
		      uint64_t off);
/* Where rk__ext4_is_new(). */
int rk__ext4_write_new_at(struct ext4 *e, const void *buf, size_t len,
			  uint64_t off);
int rk__ext4_zero_at(struct ext4 *e, uint64_t off, uint64_t len);
/* Which device the next ext2fs_open() talks to. */
void rk__ext4_io_bind(const struct rk_host *host);

/* feature.c: 0, or complains by name. */
int rk__ext4_features(const struct rk_host *host,
		      const struct ext2_super_block *sb, bool read_only,
		      bool *needs_recovery);
void rk__ext4_complain(const struct rk_host *host, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* super.c */
int rk__ext4_mount(const struct rk_host *host,
		   const struct rk_mount_options *opt, void **ret_fs,
		   uint64_t *ret_root, bool *needs_recovery);
int rk__ext4_unmount(void *fs);
int rk__ext4_sync(void *fs);
int rk__ext4_statfs(void *fs, struct rk_statfs *ret);

/* inode.c */
int rk__ext4_node_read(struct ext4 *e, uint64_t ino, struct node *ret);
int rk__ext4_node_write(struct ext4 *e, struct node *n);
/* All of it, into e->raw. */
int rk__ext4_raw_read(struct ext4 *e, ext2_ino_t ino);
/* Before libext2fs reads or writes inodes: it forgets what it knows of them.
 */
static inline void lib_enter(struct ext4 *e)
{
	(void)ext2fs_flush_icache(e->fs);
}

/* Reads it whatever it says: for orphans and freed inodes. */
int rk__ext4_node_read_raw(struct ext4 *e, uint64_t ino, struct node *ret);
void rk__ext4_stat(struct ext4 *e, const struct node *n, struct rk_stat *ret);
enum { T_ATIME = 1, T_MTIME = 2, T_CTIME = 4, T_CRTIME = 8 };
void rk__ext4_set_time(struct ext4 *e, struct node *n, int which,
		       const struct rk_time *t);
void rk__ext4_touch(struct ext4 *e, struct node *n, int which);
int rk__ext4_new_node(struct ext4 *e, const struct node *dir,
		      const struct rk_new *what, struct node *ret);
int rk__ext4_free_node(struct ext4 *e, struct node *n);
uint64_t rk__ext4_size(const struct node *n);
void rk__ext4_size_set(struct ext4 *e, struct node *n, uint64_t size);
unsigned rk__ext4_nlink(const struct node *n);
/* -EMLINK when the directory or file can have no more. */
int rk__ext4_nlink_add(struct ext4 *e, struct node *n, int delta);

static inline struct ext2_inode *small(struct node *n)
{
	return (struct ext2_inode *)&n->i;
}

/* As the kernel's driver has them, of which libext2fs knows fewer. */
#define FLAGS_VISIBLE 0x725bdfffu
#define FLAGS_MODIFIABLE 0x604bc0ffu

/* -EPERM if one of these flags forbids a change to it. */
static inline int guarded(const struct node *n, uint32_t flags)
{
	return n->i.i_flags & flags ? -EPERM : 0;
}
#define IMMUTABLE EXT2_IMMUTABLE_FL
#define FROZEN (EXT2_IMMUTABLE_FL | EXT2_APPEND_FL)

static inline bool has_inline(const struct node *n)
{
	return n->i.i_flags & EXT4_INLINE_DATA_FL;
}

/* csum.c: of e->raw, of a block of an extent tree, of a directory block */
bool rk__ext4_inode_sum_ok(struct ext4 *e, ext2_ino_t ino);
void rk__ext4_inode_sum(struct ext4 *e, ext2_ino_t ino);
bool rk__ext4_extent_sum_ok(struct ext4 *e, const struct node *n,
			    struct ext3_extent_header *h);
void rk__ext4_extent_sum(struct ext4 *e, const struct node *n,
			 struct ext3_extent_header *h);
bool rk__ext4_dir_sum_ok(struct ext4 *e, const struct node *dir, char *buf);
bool rk__ext4_dir_sum(struct ext4 *e, const struct node *dir, char *buf);

/* attr.c */
int rk__ext4_getattr(void *fs, uint64_t ino, struct rk_stat *ret);
int rk__ext4_setattr(void *fs, uint64_t ino, const struct rk_setattr *set,
		     struct rk_stat *ret);

/* alloc.c */
/* At most `want` blocks in a row near the goal; marks them used. */
int rk__ext4_alloc(struct ext4 *e, uint64_t goal, uint64_t want,
		   uint64_t *ret_blk, uint64_t *ret_len);
/* Free blocks that file data may take, and those that it may not. */
uint64_t rk__ext4_room(struct ext4 *e);
uint64_t rk__ext4_reserve(struct ext4 *e);
int rk__ext4_free_blocks(struct ext4 *e, uint64_t blk, uint64_t len);
void rk__ext4_watch_alloc(struct ext4 *e);
/* Blocks that are free by now, and in use if all crashes now. */
void rk__ext4_keep(struct ext4 *e, uint64_t blk, uint64_t len);
/* No block that was allocated in this op is kept. */
bool rk__ext4_is_new(struct ext4 *e, uint64_t blk, uint64_t len);
int rk__ext4_alloc_inode(struct ext4 *e, ext2_ino_t near, bool dir,
			 ext2_ino_t *ret);
void rk__ext4_free_inode(struct ext4 *e, ext2_ino_t ino, bool dir);
uint64_t rk__ext4_goal(struct ext4 *e, struct node *n, uint64_t lblk);
bool rk__ext4_block_ok(struct ext4 *e, uint64_t blk, uint64_t len);

/* map.c */
/* The leaf of an extent tree where lblk is or would be: in the inode (*ret_blk
 * 0) or in B_META; NULL if lblk is in front of all. *ret_limit: where what
 * the leaf can hold ends. */
int rk__ext4_leaf(struct ext4 *e, struct node *n, uint64_t lblk,
		  struct ext3_extent_header **ret, uint64_t *ret_blk,
		  uint64_t *ret_limit);
/* Index of the last entry that begins at or before lblk; -1 if none does.
 * Extents and indexes both begin with their first block. */
int rk__ext4_last_before(const struct ext3_extent_header *h, uint64_t lblk);
static inline uint64_t extent_len(const struct ext3_extent *x)
{
	return x->ee_len > EXT_INIT_MAX_LEN ? x->ee_len - EXT_INIT_MAX_LEN
					    : x->ee_len;
}

static inline uint64_t extent_start(const struct ext3_extent *x)
{
	return x->ee_start | (uint64_t)x->ee_start_hi << 32;
}

/* The run that begins at lblk; a hole's length may be understated. */
int rk__ext4_map(struct ext4 *e, struct node *n, uint64_t lblk,
		 struct run *ret);
void rk__ext4_map_forget(struct ext4 *e, ext2_ino_t ino);
/* A node of an extent tree, checked; and whether the root is sound. */
int rk__ext4_read_tree(struct ext4 *e, struct node *n, uint64_t blk,
		       unsigned depth, struct ext3_extent_header *ret);
int rk__ext4_check_root(const struct node *n);
/* The empty map of a new file. */
void rk__ext4_map_init(struct ext4 *e, struct node *n);
/* Highest number of blocks that the inode's kind of map can hold. */
uint64_t rk__ext4_max_blocks(struct ext4 *e, const struct node *n);

/* extent.c: change the map; the caller writes n. */
int rk__ext4_map_insert(struct ext4 *e, struct node *n, const struct run *r);
int rk__ext4_map_convert(struct ext4 *e, struct node *n, uint64_t lblk,
			 uint64_t len, bool unwritten);

/* punch.c: 1: stages remain. The caller writes n. */
int rk__ext4_punch_tree(struct ext4 *e, struct node *n, uint64_t first,
			uint64_t last);

/* trunc.c */
/* Frees the blocks [first, last]; last ~0 is the end. 1: stages remain. */
int rk__ext4_punch(struct ext4 *e, struct node *n, uint64_t first,
		   uint64_t last);
/* The end of a truncation whose stages somebody did not wait for. */
int rk__ext4_settle(struct ext4 *e, struct node *n);
/* 1: stages remain (the size is already set). */
int rk__ext4_resize(struct ext4 *e, struct node *n, uint64_t size);
int rk__ext4_zero_range(struct ext4 *e, struct node *n, uint64_t off,
			uint64_t end);
int rk__ext4_expand_inline(struct ext4 *e, struct node *n);

/* file.c */
int64_t rk__ext4_read(void *fs, uint64_t ino, void *buf, size_t len,
		      uint64_t off);
int64_t rk__ext4_write(void *fs, uint64_t ino, const void *buf, size_t len,
		       uint64_t off);
int rk__ext4_readlink(void *fs, uint64_t ino, char *buf, size_t size);
int64_t rk__ext4_put(struct ext4 *e, struct node *n, const char *buf,
		     size_t len, uint64_t off);

/* range.c */
int rk__ext4_fallocate(void *fs, uint64_t ino, uint32_t mode, uint64_t off,
		       uint64_t len);
int rk__ext4_fiemap(void *fs, uint64_t ino, uint64_t off, uint64_t end,
		    rk_extent_fn *emit, void *arg);
int rk__ext4_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		  uint64_t *ret);

/* dirblock.c: one directory block */
struct slot {
	uint64_t lblk, pblk;
	unsigned off, prev;		/* prev == off: first in its block */
	ext2_ino_t ino;
	uint8_t type;			/* EXT2_FT_* */
};

struct ext2_dir_entry *rk__ext4_dirent(char *buf, unsigned off);
unsigned rk__ext4_rec_len(struct ext4 *e, const struct ext2_dir_entry *d);
void rk__ext4_set_rec_len(struct ext4 *e, struct ext2_dir_entry *d,
			  unsigned len);
static inline unsigned dirent_size(unsigned name_len)
{
	return (8 + name_len + 3) & ~3u;
}
/* Bytes of a leaf that hold entries. */
unsigned rk__ext4_dir_usable(struct ext4 *e);
/* 0, or -EUCLEAN if the entry at off does not fit. *len: its length. */
int rk__ext4_dirent_check(struct ext4 *e, char *buf, unsigned off,
			  unsigned *len);
int rk__ext4_dir_read(struct ext4 *e, struct node *dir, uint64_t lblk,
		      char *buf, uint64_t *ret_pblk);
int rk__ext4_dir_write(struct ext4 *e, struct node *dir, uint64_t pblk,
		       char *buf);
/* 1 found, 0 not, or negative. */
int rk__ext4_leaf_find(struct ext4 *e, char *buf, const char *name, size_t len,
		       struct slot *ret);
/* 1 added, 0 no room, or negative. */
int rk__ext4_leaf_add(struct ext4 *e, char *buf, const char *name, size_t len,
		      ext2_ino_t ino, unsigned type);
void rk__ext4_leaf_init(struct ext4 *e, char *buf);
/* A new last block of the directory, mapped but not yet written. */
int rk__ext4_dir_grow(struct ext4 *e, struct node *dir, uint64_t *ret_lblk,
		      uint64_t *ret_pblk);

/* dir.c: a directory of any kind */
int rk__ext4_dir_find(struct ext4 *e, struct node *dir, const char *name,
		      size_t len, struct slot *ret);	/* -ENOENT */
int rk__ext4_dir_add(struct ext4 *e, struct node *dir, const char *name,
		     size_t len, ext2_ino_t ino, unsigned type);
int rk__ext4_dir_remove(struct ext4 *e, struct node *dir,
			const struct slot *s);
int rk__ext4_dir_set(struct ext4 *e, struct node *dir, const struct slot *s,
		     ext2_ino_t ino, unsigned type);
int rk__ext4_dir_empty(struct ext4 *e, struct node *dir);	/* 1: it is */
/* An inline directory as the block it would be. */
int rk__ext4_dir_inline(struct ext4 *e, struct node *dir, char *buf);
int rk__ext4_dir_make(struct ext4 *e, struct node *dir, ext2_ino_t parent);
bool rk__ext4_dir_indexed(struct ext4 *e, const struct node *dir);
uint64_t rk__ext4_dir_blocks(struct ext4 *e, const struct node *dir);
unsigned rk__ext4_file_type(struct ext4 *e, unsigned mode);

/* htree.c */
struct hash {
	uint32_t major, minor;
};

void rk__ext4_hash(struct ext4 *e, int version, const char *name, size_t len,
		   struct hash *ret);
int rk__ext4_htree_version(struct ext4 *e, int on_disk);
int rk__ext4_htree_find(struct ext4 *e, struct node *dir, const char *name,
			size_t len, struct slot *ret);
int rk__ext4_htree_add(struct ext4 *e, struct node *dir, const char *name,
		       size_t len, ext2_ino_t ino, unsigned type);
/* Turns a directory of one full block into an indexed one. */
int rk__ext4_htree_make(struct ext4 *e, struct node *dir);
/* The leaf for hash `major`, and the hash at which the one after it begins
 * (*ret_next, with bit 0 set if that one goes on with the same hash); 1 if
 * there is one after it. */
int rk__ext4_htree_leaf(struct ext4 *e, struct node *dir, uint32_t major,
			uint64_t *ret_lblk, uint32_t *ret_next,
			int *ret_version);

/* readdir.c */
int rk__ext4_readdir(void *fs, uint64_t dir, uint64_t cookie,
		     rk_emit_fn *emit, void *arg);
size_t rk__ext4_gather_size(const struct ext4 *e);

/* namei.c */
int rk__ext4_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		    struct rk_stat *ret);
int rk__ext4_create(void *fs, uint64_t dir, const char *name, size_t len,
		    const struct rk_new *what, struct rk_stat *ret);
int rk__ext4_tmpfile(void *fs, uint64_t dir, const struct rk_new *what,
		     struct rk_stat *ret);
int rk__ext4_link(void *fs, uint64_t ino, uint64_t dir, const char *name,
		  size_t len, struct rk_stat *ret);
int rk__ext4_unlink(void *fs, uint64_t dir, const char *name, size_t len,
		    bool directory, struct rk_stat *ret);
int rk__ext4_dir_node(struct ext4 *e, uint64_t ino, struct node *ret);
int rk__ext4_name_check(const char *name, size_t len);
/* One link of n fewer; at 0 it becomes an orphan. Writes it. */
int rk__ext4_drop_link(struct ext4 *e, struct node *n);

/* rename.c */
int rk__ext4_rename(void *fs, uint64_t dir, const char *name, size_t len,
		    uint64_t newdir, const char *newname, size_t newlen,
		    uint32_t flags, struct rk_stat *victim);

/* orphan.c */
/* Of a linked file whose truncation goes on; false: no room to note it. */
bool rk__ext4_is_staged(struct ext4 *e, ext2_ino_t ino);
int rk__ext4_stage(struct ext4 *e, struct node *n);
int rk__ext4_unstage(struct ext4 *e, struct node *n);
int rk__ext4_orphan_add(struct ext4 *e, struct node *n);
/* It gets a name again; the caller writes it. */
int rk__ext4_orphan_back(struct ext4 *e, struct node *n);
int rk__ext4_reclaim(void *fs, uint64_t ino);
/* An earlier mount's, which goes on: all stay. */
int rk__ext4_orphan_resume(struct ext4 *e);
/* Reclaims what an earlier mount left. */
int rk__ext4_orphan_replay(struct ext4 *e);

/* xattr.c */
int rk__ext4_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
		      size_t size);
int rk__ext4_setxattr(void *fs, uint64_t ino, const char *name,
		      const void *value, size_t size, uint32_t flags);
int rk__ext4_listxattr(void *fs, uint64_t ino, char *list, size_t size);
int rk__ext4_removexattr(void *fs, uint64_t ino, const char *name);

#endif
