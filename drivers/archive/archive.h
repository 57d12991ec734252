/*
 * archive.h - what the files of the archive driver share.
 *
 * Theory of operation. At mount the archive is read once, header by header,
 * and makes a tree of names and objects in memory. An object's number is the
 * order in which it first appears, so it is the same after each reopen.
 *
 * Bytes are found in one of three ways, the first that is possible:
 * - in place: the member stands in the file as it is (tar, cpio, and members of
 *   zip that are not packed), so a read is a read of the file;
 * - by a reader that begins at the member's own header (zip, sparse files of
 *   tar);
 * - by a reader that has to come from the beginning, because all of the archive
 *   is packed as one stream (.tar.gz). What it passes on its way is kept.
 * What readers unpack is kept in chunks, the latest CACHE bytes of it; and some
 * readers are kept where they stand, so that reading on is no new beginning.
 */
#ifndef RK_ARCHIVE_H
#define RK_ARCHIVE_H

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include "driver.h"

enum {
	CHUNK = 128 << 10,
	CHUNK_BUCKETS = 4096,
	READERS = 4,
	CACHE_MIB = 64,			/* if the option does not say */
	OBJECTS_MAX = 16 << 20,
	PATH_LEN_MAX = 4096,
	ROOT = 1,
};

#define NOWHERE UINT64_MAX

struct xattr {
	struct xattr *next;
	size_t size;
	char *value;
	char name[];
};

struct object {
	uint32_t mode, uid, gid, nlink;
	uint64_t size, rdev;
	struct rk_time atime, mtime, ctime, btime;
	char *target;			/* of a symlink */
	struct xattr *xattr;
	/* A directory's. */
	uint32_t parent;
	uint32_t first, last;		/* names in it */
	/* A file's bytes. */
	uint32_t member;		/* counted from 1; 0: it has none */
	bool encrypted, sparse;
	uint64_t header;		/* where a reader may begin */
	uint64_t in_place;		/* where the bytes stand as they are */
};

struct name {
	uint32_t dir, object;
	uint32_t next;			/* in the same directory */
	uint32_t hash_next;
	uint16_t len;
	char *text;
};

struct chunk {
	struct chunk *newer, *older, *hash_next;
	uint32_t object;
	uint64_t number;
	size_t len;
	uint8_t *bytes;			/* behind it */
};

/* One way through the archive: where it stands, and how it sees the file. */
struct reader {
	struct archive *a;		/* NULL: none */
	struct tree *t;
	uint64_t base, at;		/* of the file */
	uint32_t member;		/* the one whose bytes come next */
	uint64_t off;			/* of these bytes */
	bool whole;			/* began at the beginning */
	uint64_t used;
	uint8_t *buffer;
};

struct tree {
	struct rk_host host;
	struct object *object;		/* from ROOT on */
	uint32_t n_objects, objects_room;
	struct name *name;		/* from 1 on */
	uint32_t n_names, names_room;
	uint32_t *bucket;		/* of names; a power of two of them */
	uint32_t n_buckets;
	uint32_t *of_member;		/* object that has the bytes */
	uint32_t n_members, members_room;
	bool packed;			/* all of it is one stream */
	struct rk_time newest;
	uint64_t bytes;

	struct chunk *chunk[CHUNK_BUCKETS];
	struct chunk newest_chunk;	/* ends of the list by age */
	size_t cached, cache_max;
	struct reader reader[READERS];
	uint64_t clock;
};

/* reader.c: libarchive over the host's file. */
int rk__reader_open(struct tree *t, struct reader *r, uint64_t base,
		    bool whole);
void rk__reader_close(struct reader *r);
/* 1: *ret, valid until the next call; 0: the end; or an error. */
int rk__reader_next(struct reader *r, struct archive_entry **ret);
/* What libarchive said last, in one line. */
void rk__reader_sentence(struct reader *r, const char *before, char *buf,
			 size_t size);
/* libarchive looks at the locale; ours reads every name as it is. */
void rk__locale_enter(void);
void rk__locale_leave(void);

/* tree.c */
int rk__tree_init(struct tree *t);
void rk__tree_finish(struct tree *t);
uint32_t rk__tree_find(const struct tree *t, uint32_t dir, const char *name,
		       size_t len);	/* of a name; 0: none */
/* The object of a path, 0: there is none. */
uint32_t rk__tree_path(const struct tree *t, const char *path);
/* Cleans a path: no empty parts, no "."; -EINVAL with "..", or if it is too
 * long. Returns the length. */
int rk__tree_clean(const char *path, char *ret);
/* The name of a clean path, its directories made if need be. */
int rk__tree_place(struct tree *t, const char *path, uint32_t *ret_name);
int rk__tree_object(struct tree *t, uint32_t *ret);
/* Makes the name mean that object, whatever it meant before. */
void rk__tree_set(struct tree *t, uint32_t name, uint32_t object);

/* index.c */
int rk__index_make(struct tree *t);

/* object.c */
int rk__object_take(struct tree *t, struct object *o, struct archive_entry *e);
void rk__object_clear(struct object *o);
struct object *rk__object(struct tree *t, uint64_t ino);
int rk__archive_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		       struct rk_stat *ret);
int rk__archive_getattr(void *fs, uint64_t ino, struct rk_stat *ret);
int rk__archive_readlink(void *fs, uint64_t ino, char *buf, size_t size);
int rk__archive_readdir(void *fs, uint64_t dir, uint64_t cookie,
			rk_emit_fn *emit, void *arg);
int rk__archive_getxattr(void *fs, uint64_t ino, const char *name, void *buf,
			 size_t size);
int rk__archive_listxattr(void *fs, uint64_t ino, char *list, size_t size);
int rk__archive_statfs(void *fs, struct rk_statfs *ret);

/* data.c */
int64_t rk__archive_read(void *fs, uint64_t ino, void *buf, size_t len,
			 uint64_t off);
void rk__data_forget(struct tree *t);

#endif
