/*
 * dir.c - directories: runs of entries under headers, sorted by name, with an
 * index to the runs of a large one.
 *
 * A cookie is a place in the list plus COOKIE_LIST, so it is as stable as the
 * image; 0 and 1 are before "." and "..".
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include "squashfs.h"

enum { COOKIE_LIST = 2, NAME_MAX_LEN = 256 };

struct walk {
	struct squash *s;
	sqfs_md_cursor cur;
	struct squashfs_dir_header head;	/* count: entries that remain */
	uint64_t at, end;
};

struct entry {
	uint64_t ino;
	uint32_t number;
	uint16_t type;
	size_t len;
	char name[NAME_MAX_LEN];
};

static void walk_begin(struct walk *w, struct squash *s, const struct inode *n)
{
	memset(w, 0, sizeof *w);
	w->s = s;
	w->cur.block = (sqfs_off_t)(n->start + s->lib.sb.directory_table_start);
	w->cur.offset = n->offset;
	w->end = n->size - 3;
}

static int take(struct walk *w, void *buf, size_t size)
{
	if (size > w->end - w->at)
		return -EUCLEAN;
	w->at += size;
	return rk__squash_md_read(w->s, &w->cur, buf, size);
}

static int take_header(struct walk *w)
{
	int r = take(w, &w->head, sizeof w->head);

	w->head.count = le32toh(w->head.count);
	w->head.start_block = le32toh(w->head.start_block);
	w->head.inode_number = le32toh(w->head.inode_number);
	/* 256 is what the format has */
	if (r == 0 && ++w->head.count > 65536)
		return -EUCLEAN;
	return r;
}

/* 1: an entry, 0: the end. */
static int walk_next(struct walk *w, struct entry *e)
{
	struct squashfs_dir_entry d;
	int r = 0;

	if (!w->head.count) {
		if (w->at >= w->end)
			return 0;
		r = take_header(w);
	}
	if (r == 0)
		r = take(w, &d, sizeof d);
	if (r < 0)
		return r;
	w->head.count--;
	e->len = le16toh(d.size) + 1u;
	if (e->len > NAME_MAX_LEN)
		return -EUCLEAN;
	r = take(w, e->name, e->len);
	if (r < 0)
		return r;
	if (memchr(e->name, 0, e->len) || memchr(e->name, '/', e->len))
		return -EUCLEAN;
	e->ino = ((uint64_t)w->head.start_block << 16 | le16toh(d.offset)) + 1;
	e->number = w->head.inode_number +
		    (uint32_t)(int16_t)le16toh(d.inode_number);
	e->type = le16toh(d.type);
	return 1;
}

static int get_dir(struct squash *s, uint64_t ino, struct inode *ret)
{
	struct inode *n;
	int r = rk__squash_inode(s, ino, &n);

	if (r < 0)
		return r;
	if (n->type != SQUASHFS_DIR_TYPE)
		return -ENOTDIR;
	*ret = *n;
	return 0;
}

/* --- looking up ---------------------------------------------------------------- */

static int compare(const char *a, size_t a_len, const char *b, size_t b_len)
{
	int c = memcmp(a, b, a_len < b_len ? a_len : b_len);

	return c ? c : a_len < b_len ? -1 : a_len > b_len;
}

/* Goes to the last run that begins with no later name. */
static int walk_skip(struct walk *w, const struct inode *n, const char *name,
		     size_t len)
{
	sqfs_md_cursor cur = n->rest;
	char first[NAME_MAX_LEN];

	for (unsigned i = 0; i < n->n_index; i++) {
		struct squashfs_dir_index x;
		size_t first_len;
		int r = rk__squash_md_read(w->s, &cur, &x, sizeof x);

		if (r < 0)
			return r;
		first_len = (size_t)le32toh(x.size) + 1;
		if (first_len > sizeof first)
			return -EUCLEAN;
		r = rk__squash_md_read(w->s, &cur, first, first_len);
		if (r < 0)
			return r;
		if (compare(first, first_len, name, len) > 0)
			break;
		w->at = le32toh(x.index);
		if (w->at > w->end)
			return -EUCLEAN;
		w->cur.block = (sqfs_off_t)(le32toh(x.start_block) +
			       w->s->lib.sb.directory_table_start);
		w->cur.offset = (n->offset + w->at) % SQUASHFS_METADATA_SIZE;
	}
	return 0;
}

static int find(struct squash *s, const struct inode *n, const char *name,
		size_t len, uint64_t *ret)
{
	struct entry e;
	struct walk w;
	int r;

	walk_begin(&w, s, n);
	r = walk_skip(&w, n, name, len);
	while (r >= 0 && (r = walk_next(&w, &e)) == 1) {
		int c = compare(e.name, e.len, name, len);

		if (c == 0) {
			*ret = e.ino;
			return 0;
		}
		if (c > 0)
			return -ENOENT;
	}
	return r < 0 ? r : -ENOENT;
}

/* --- parents -------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static int note_dir(struct squash *s, size_t *room, uint32_t number,
		    uint64_t ino)
{
	struct numbered *grown;

	/* more than there are inodes: a circle */
	if (s->n_dirs >= s->lib.sb.inodes)
		return -EUCLEAN;
	if (s->n_dirs == *room) {
		*room = *room ? 2 * *room : 64;
		grown = realloc(s->dir, *room * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		s->dir = grown;
	}
	s->dir[s->n_dirs++] = (struct numbered){ number, ino };
	return 0;
}

/* Visits every directory once: an image without an export table does not say
 * where a directory's parent is. */
static int learn_dirs(struct squash *s)
{
	uint64_t root = sqfs_inode_root(&s->lib) + 1;
	struct inode n;
	size_t room = 0;
	int r = get_dir(s, root, &n);

	s->n_dirs = 0;
	if (r == 0)
		r = note_dir(s, &room, n.number, root);
	for (size_t i = 0; r == 0 && i < s->n_dirs; i++) {
		struct entry e;
		struct walk w;

		r = get_dir(s, s->dir[i].ino, &n);
		if (r < 0)
			break;
		walk_begin(&w, s, &n);
		while ((r = walk_next(&w, &e)) == 1)
			if (e.type == SQUASHFS_DIR_TYPE &&
			    (r = note_dir(s, &room, e.number, e.ino)) < 0)
				break;
	}
	if (r < 0)
		return r;
	qsort(s->dir, s->n_dirs, sizeof *s->dir, by_number);
	s->dirs_known = true;
	return 0;
}

static int parent(struct squash *s, const struct inode *n, uint64_t *ret)
{
	struct numbered key = { .number = n->parent }, *found;
	uint64_t id;
	int r;

	if (n->ino == sqfs_inode_root(&s->lib) + 1) {
		*ret = n->ino;
		return 0;
	}
	if (sqfs_export_ok(&s->lib)) {
		r = rk__squash_table_get(s, &s->lib.export_table,
					 s->lib.sb.inodes, n->parent - 1ull,
					 &id);
		*ret = le64toh(id) + 1;
		return r;
	}
	r = s->dirs_known ? 0 : learn_dirs(s);
	if (r < 0)
		return r;
	found = bsearch(&key, s->dir, s->n_dirs, sizeof key, by_number);
	if (!found)
		return -EUCLEAN;
	*ret = found->ino;
	return 0;
}

int rk__squash_lookup(void *fs, uint64_t dir, const char *name, size_t len,
		      struct rk_stat *ret)
{
	struct squash *s = fs;
	struct inode n;
	uint64_t ino = dir;
	int r = get_dir(s, dir, &n);

	if (r < 0)
		return r;
	if (len == 2 && !memcmp(name, "..", 2))
		r = parent(s, &n, &ino);
	else if (len != 1 || *name != '.')
		r = find(s, &n, name, len, &ino);
	return r < 0 ? r : rk__squash_getattr(s, ino, ret);
}

/* --- listing --------------------------------------------------------------------- */

static void leave_hint(struct squash *s, uint64_t ino, const struct walk *w)
{
	struct hint *h = &s->hint[0];

	for (unsigned i = 0; i < HINTS; i++) {
		if (s->hint[i].ino == ino) {
			h = &s->hint[i];
			break;
		}
		if (s->hint[i].used < h->used)
			h = &s->hint[i];
	}
	*h = (struct hint){ ino, w->at, ++s->clock, w->cur, w->head };
}

static int walk_to(struct walk *w, uint64_t ino, uint64_t at)
{
	struct squash *s = w->s;
	struct entry e;
	int r = 1;

	for (unsigned i = 0; i < HINTS; i++) {
		if (s->hint[i].ino != ino || s->hint[i].at != at)
			continue;
		w->at = at;
		w->cur = s->hint[i].cur;
		w->head = s->hint[i].head;
		return 0;
	}
	while (r == 1 && w->at < at)
		r = walk_next(w, &e);
	return r < 0 ? r : 0;
}

static uint8_t dt_type(uint16_t type)
{
	static const uint8_t dt[] = {
		[SQUASHFS_DIR_TYPE] = DT_DIR, [SQUASHFS_REG_TYPE] = DT_REG,
		[SQUASHFS_SYMLINK_TYPE] = DT_LNK,
		[SQUASHFS_BLKDEV_TYPE] = DT_BLK,
		[SQUASHFS_CHRDEV_TYPE] = DT_CHR,
		[SQUASHFS_FIFO_TYPE] = DT_FIFO,
		[SQUASHFS_SOCKET_TYPE] = DT_SOCK,
	};

	return type < sizeof dt ? dt[type] : DT_UNKNOWN;
}

/* 0, or 1 when there is no room for one of them. */
static int list_dots(struct squash *s, const struct inode *n, uint64_t *cookie,
		     rk_emit_fn *emit, void *arg)
{
	uint64_t up;
	int r = parent(s, n, &up);

	if (r < 0)
		return r;
	if (*cookie == 0 && emit(arg, ".", 1, n->ino, DT_DIR, 1))
		return 1;
	if (emit(arg, "..", 2, up, DT_DIR, COOKIE_LIST))
		return 1;
	*cookie = COOKIE_LIST;
	return 0;
}

int rk__squash_readdir(void *fs, uint64_t dir, uint64_t cookie,
		       rk_emit_fn *emit, void *arg)
{
	struct squash *s = fs;
	struct walk w, before;
	struct inode n;
	struct entry e;
	int r = get_dir(s, dir, &n);

	if (r == 0 && cookie < COOKIE_LIST)
		r = list_dots(s, &n, &cookie, emit, arg);
	if (r)
		return r < 0 ? r : 0;
	walk_begin(&w, s, &n);
	r = walk_to(&w, dir, cookie - COOKIE_LIST);
	if (r < 0)
		return r;
	for (before = w; (r = walk_next(&w, &e)) == 1; before = w)
		if (emit(arg, e.name, e.len, e.ino, dt_type(e.type),
			 w.at + COOKIE_LIST))
			break;
	leave_hint(s, dir, &before);
	return r < 0 ? r : 0;
}
