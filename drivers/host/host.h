/*
 * host.h - what the files of the host driver share.
 *
 * Theory of operation. An object's number is the inode number of the host; one
 * file system of the host is one mount, what is mounted below is out of reach.
 * Recoverable memory has, for each number that was given out, where it was
 * found: directory and name (a node). Descriptors are not recoverable: a
 * successor opens anew, by the path of nodes beneath the one directory that it
 * was given, and looks whether it found the same inode.
 *
 * What is done to the host is not rolled back with a server. So each effect is
 * noted twice in memory that outlives servers (effect.c): before it is done,
 * and after. A successor that runs the same request again finds there what was
 * done, and gives the same answers instead of doing it again.
 *
 * A name that is removed while somebody holds the object becomes another name,
 * HIDDEN and its number, in the top directory, until the object is reclaimed:
 * so it can be opened again after a restart, and its number is not given to
 * another.
 *
 * No system call writes to recoverable memory: buffers are in struct own.
 */
#ifndef RK_HOST_DRIVER_H
#define RK_HOST_DRIVER_H

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>
#include "driver.h"

#define HIDDEN ".rump-"

enum {
	BUCKETS = 1 << 14,
	NODES_MAX = 1 << 17,		/* then those that nobody holds go */
	FD_SETS = 32, FD_WAYS = 8,
	DIRENTS = 32 << 10,
	DIRTY_MAX = 64,
	NAME_LEN_MAX = 255,
	PATH_LEN_MAX = 4096,
};

/* Recoverable: where an object is. */
struct node {
	struct node *hash_next;
	uint64_t ino, parent;		/* 0: it has no name any more */
	uint32_t children;		/* nodes that have it as parent */
	bool kept;			/* it has a hidden name, too or alone */
	bool directory;
	uint8_t len;
	char name[];
};

struct fs {
	const struct rk_host *host;
	uint64_t root;
	uint32_t dev_major, dev_minor;
	uint32_t n_nodes, sweep;	/* bucket where the next sweep begins */
	struct node *bucket[BUCKETS];
};

enum effect_kind {
	EFFECT_NONE, EFFECT_CREATE, EFFECT_LINK, EFFECT_UNLINK, EFFECT_RENAME,
	EFFECT_WRITE, EFFECT_SETXATTR, EFFECT_REMOVEXATTR,
};

enum effect_state { EFFECT_FREE, EFFECT_INTENT, EFFECT_DONE };

/* One thing done to the host, in memory that outlives servers. */
struct effect {
	uint32_t state;			/* written last */
	uint32_t kind, seq, epoch;
	uint64_t slot, id;		/* the request */
	uint64_t commits;		/* when it was done */
	uint64_t digest;		/* of its arguments */
	uint64_t name, newname;		/* of (directory, name) */
	int64_t began_ns;		/* by the clock of files */
	int64_t result;
	struct rk_stat from, to;	/* as they were before */
};

struct journal {
	uint32_t epochs;		/* servers that used it */
	uint32_t reserved;
	struct effect effect[(RK_LASTING_SIZE - 8) / sizeof(struct effect)];
};

/* Descriptors of one object. */
struct slot {
	uint64_t ino, used;
	int path, data;			/* -1: none */
	int access;			/* of data: O_RDONLY, O_WRONLY, O_RDWR */
};

/* What this server has to itself. */
struct own {
	uint32_t epoch;
	struct rk_running request;	/* that runs */
	uint32_t seq;			/* effects of it so far */
	bool again;			/* it was run before, and had some */
	uint64_t clock;
	struct slot slot[FD_SETS][FD_WAYS];
	uint64_t dirty[DIRTY_MAX];	/* to be synced */
	unsigned n_dirty;		/* more than that: all of it */
	struct statx sx;
	char path[PATH_LEN_MAX];
	char dirents[DIRENTS];
};

static inline struct own *own(struct fs *fs)
{
	return *fs->host->own;
}

static inline void change(struct fs *fs)
{
	fs->host->change(fs->host->ctx);
}

static inline bool held(struct fs *fs, uint64_t ino)
{
	return fs->host->held(fs->host->ctx, ino);
}

/* A name of the host's top directory that is ours, and nobody's business. */
static inline bool is_hidden_name(const struct fs *fs, uint64_t dir,
				  const char *name, size_t len)
{
	return dir == fs->root && len >= sizeof HIDDEN - 1 &&
	       memcmp(name, HIDDEN, sizeof HIDDEN - 1) == 0;
}

/* NUL-terminated copy. -ENAMETOOLONG; of a hidden name `hidden`. */
static inline int take_name(const struct fs *fs, uint64_t dir,
			    const char *name, size_t len, int hidden, char *ret)
{
	if (len > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	if (is_hidden_name(fs, dir, name, len))
		return hidden;
	memcpy(ret, name, len);
	ret[len] = 0;
	return 0;
}

/* The C library's own makes another system call of it now and then. */
static inline int rename_at(int from, const char *name, int to,
			    const char *newname, uint32_t flags)
{
	return (int)syscall(SYS_renameat2, from, name, to, newname, flags);
}

/* node.c */
struct node *rk__node_find(struct fs *fs, uint64_t ino);
/* The object is there: makes its node or moves it. */
int rk__node_put(struct fs *fs, uint64_t ino, uint64_t parent, const char *name,
		 size_t len, bool directory);
void rk__node_drop(struct fs *fs, uint64_t ino);
void rk__hidden_name(uint64_t ino, char *ret);

/* fd.c */
int rk__own_begin(struct fs *fs);
/* At the beginning of each op. */
int rk__begin(struct fs *fs);
/* An O_PATH descriptor; stays open until the next call of these. -ESTALE. */
int rk__path_fd(struct fs *fs, uint64_t ino);
/* One for reading, writing or both, of a regular file or a directory. */
/* What a directory lists from a cookie on, into own(fs)->dirents: bytes, 0 at
 * its end. */
long rk__dirents(struct fs *fs, int fd, uint64_t cookie);
int rk__data_fd(struct fs *fs, uint64_t ino, int access);
void rk__fd_keep(struct fs *fs, uint64_t ino, int data, int access);
void rk__fd_drop(struct fs *fs, uint64_t ino);
void rk__dirty(struct fs *fs, uint64_t ino);

/* effect.c */
void rk__effect_begin(struct fs *fs);
/* What comes next in a request that is run again; NULL: nothing. */
const struct effect *rk__effect_next(struct fs *fs);
/* The same effect, if it was begun before (its state says how far). Otherwise
 * NULL, and what was noted of another course of things is forgotten. */
struct effect *rk__effect_again(struct fs *fs, enum effect_kind kind,
				uint64_t digest);
/* Notes that it will be done. The caller fills from, to, name, newname of
 * *what first. */
struct effect *rk__effect_intend(struct fs *fs, const struct effect *what);
void rk__effect_done(struct fs *fs, struct effect *e, int64_t result);
/* It failed: nothing was done. Returns error. */
int rk__effect_failed(struct fs *fs, struct effect *e, int error);
uint64_t rk__digest(uint64_t a, const void *p, size_t n);
static inline uint64_t rk__name_digest(uint64_t dir, const char *name,
				       size_t len)
{
	return rk__digest(dir, name, len);
}

/* attr.c */
/* Without a look at what was done before. */
int rk__stat_fd(struct fs *fs, int fd, const char *name, struct rk_stat *ret);
int rk__stat(struct fs *fs, uint64_t ino, struct rk_stat *ret);
int rk__host_getattr(void *fs, uint64_t ino, struct rk_stat *ret);
int rk__host_setattr(void *fs, uint64_t ino, const struct rk_setattr *set,
		     struct rk_stat *ret);
int rk__set_mode(struct fs *fs, uint64_t ino, uint32_t mode);

/* xattr.c */
int rk__host_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
		      size_t size);
int rk__host_setxattr(void *fs, uint64_t ino, const char *name,
		      const void *value, size_t size, uint32_t flags);
int rk__host_listxattr(void *fs, uint64_t ino, char *list, size_t size);
int rk__host_removexattr(void *fs, uint64_t ino, const char *name);

/* name.c */
int rk__find(struct fs *fs, uint64_t dir, const char *name,
	     struct rk_stat *ret);
int rk__host_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		    struct rk_stat *ret);
int rk__host_create(void *fs, uint64_t dir, const char *name, size_t len,
		    const struct rk_new *what, struct rk_stat *ret);
int rk__host_link(void *fs, uint64_t ino, uint64_t dir, const char *name,
		  size_t len, struct rk_stat *ret);
int rk__host_readlink(void *fs, uint64_t ino, char *buf, size_t size);

/* remove.c */
int rk__host_unlink(void *fs, uint64_t dir, const char *name, size_t len,
		    bool directory, struct rk_stat *ret);
int rk__host_reclaim(void *fs, uint64_t ino);
/* Removes the hidden names that a machine without power left behind. */
void rk__sweep_hidden(struct fs *fs);
/* The object lost the name dir/name. *st: before it; gives it after. */
void rk__lost_name(struct fs *fs, uint64_t dir, const char *name,
		   struct rk_stat *st);

/* rename.c */
int rk__host_rename(void *fs, uint64_t dir, const char *name, size_t len,
		    uint64_t newdir, const char *newname, size_t newlen,
		    uint32_t flags, struct rk_stat *victim);

/* io.c */
int64_t rk__host_read(void *fs, uint64_t ino, void *buf, size_t len,
		      uint64_t off);
int64_t rk__host_write(void *fs, uint64_t ino, const void *buf, size_t len,
		       uint64_t off);
int rk__host_fallocate(void *fs, uint64_t ino, uint32_t mode, uint64_t off,
		       uint64_t len);
int rk__host_seek(void *fs, uint64_t ino, uint64_t off, bool hole,
		  uint64_t *ret);
int rk__host_readdir(void *fs, uint64_t dir, uint64_t cookie,
		     rk_emit_fn *emit, void *arg);
int rk__host_statfs(void *fs, struct rk_statfs *ret);
int rk__host_sync(void *fs);

#endif
