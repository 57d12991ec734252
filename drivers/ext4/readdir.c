/*
 * readdir.c - listing a directory, with cookies that stay valid.
 *
 * A linear directory's cookie is the byte offset of the next entry: entries
 * never move in it. In a directory that is indexed, or will be when it grows,
 * entries do move, so the order is that of their hashes and the cookie is the
 * hash: 31 bits of the major one, 28 of the minor one, and 4 to tell apart
 * names that agree in both. All names of one hash are taken together, also
 * where they fill more than one leaf.
 */
#include <stdlib.h>
#include "ext4.h"

#define MAX_CHAIN 64		/* leaves with the same hash */
#define FIRST 16		/* below it: "." and ".." */
#define END ((uint64_t)INT64_MAX)

struct item {
	uint64_t pos;
	uint32_t off;
};

struct gather {
	char *buf;
	struct item *item;
	void *more;			/* both, when malloc's */
	unsigned n, blocks, room;	/* room: blocks that fit */
};

static const uint8_t dt_of[] = { 0, 8, 4, 2, 6, 1, 12, 10 };

static unsigned items_per_block(const struct ext4 *e)
{
	return e->block_size / 12 + 1;
}

/* The first block's room is scratch, more than that is malloc's. */
static int make_room(struct ext4 *e, struct gather *g, unsigned blocks)
{
	size_t items = blocks * items_per_block(e) * sizeof(struct item);
	struct item *item;
	char *buf;

	if (blocks <= g->room)
		return 0;
	if (blocks > MAX_CHAIN)
		return -EUCLEAN;
	buf = malloc(items + ((size_t)blocks << e->block_bits));
	if (!buf)
		return -ENOMEM;
	item = (struct item *)buf;
	memcpy(item, g->item, g->n * sizeof(*item));
	memcpy(buf + items, g->buf, (size_t)g->blocks << e->block_bits);
	free(g->more);
	g->more = buf;
	g->item = item;
	g->buf = buf + items;
	g->room = blocks;
	return 0;
}

size_t rk__ext4_gather_size(const struct ext4 *e)
{
	return sizeof(struct gather) + e->block_size +
	       items_per_block(e) * sizeof(struct item);
}

static void init(struct ext4 *e)
{
	struct gather *g = e->gather;

	g->item = (struct item *)(g + 1);
	g->buf = (char *)(g->item + items_per_block(e));
	g->more = NULL;
	g->n = g->blocks = 0;
	g->room = 1;
}

static bool is_dots(const struct ext2_dir_entry *d)
{
	unsigned n = d->name_len & 0xff;

	return n <= 2 && d->name[0] == '.' && (n == 1 || d->name[1] == '.');
}

/* The legacy hash has no minor part. */
static uint32_t other_hash(const char *name, size_t len)
{
	uint32_t h = 2166136261u;

	while (len--)
		h = (h ^ (uint8_t)*name++) * 16777619u;
	return h;
}

static uint64_t position(struct ext4 *e, int version, const char *name,
			 size_t len)
{
	struct hash h;

	rk__ext4_hash(e, version, name, len, &h);
	if (!h.minor)
		h.minor = other_hash(name, len);
	return ((uint64_t)(h.major >> 1) << 32 | (h.minor & ~15u)) + FIRST;
}

/* Takes in the block at the end of g->buf. */
static int take_block(struct ext4 *e, struct gather *g, int version)
{
	unsigned base = g->blocks << e->block_bits, off, len;

	for (off = 0; off < e->block_size; off += len) {
		struct ext2_dir_entry *d = rk__ext4_dirent(g->buf + base, off);

		if (rk__ext4_dirent_check(e, g->buf + base, off, &len))
			return -EUCLEAN;
		if (!d->inode || !(d->name_len & 0xff) || is_dots(d))
			continue;
		g->item[g->n++] = (struct item){
			position(e, version, d->name, d->name_len & 0xff),
			base + off,
		};
	}
	g->blocks++;
	return 0;
}

static int by_position(const void *a, const void *b, void *buf)
{
	const struct item *x = a, *y = b;
	const struct ext2_dir_entry *p, *q;
	unsigned n, m;
	int rc;

	if (x->pos != y->pos)
		return x->pos < y->pos ? -1 : 1;
	p = (void *)((char *)buf + x->off);
	q = (void *)((char *)buf + y->off);
	n = p->name_len & 0xff;
	m = q->name_len & 0xff;
	rc = memcmp(p->name, q->name, n < m ? n : m);
	return rc ? rc : (int)n - (int)m;
}

static void sort(struct gather *g)
{
	unsigned i, rank = 0;

	qsort_r(g->item, g->n, sizeof(*g->item), by_position, g->buf);
	for (i = 1; i < g->n; i++) {
		rank = (g->item[i].pos & ~15ull) ==
		       (g->item[i - 1].pos & ~15ull) ? rank + 1 : 0;
		g->item[i].pos |= rank < 15 ? rank : 15;
	}
}

/* All entries of the leaf for `major`, and of those that go on with its last
 * hash. *ret_next: the first position behind them. */
static int gather_leaf(struct ext4 *e, struct node *dir, uint32_t major,
		       uint64_t *ret_next)
{
	struct gather *g = e->gather;
	uint32_t next = 0;
	uint64_t lblk;
	int version, rc, err;

	g->n = g->blocks = 0;
	do {
		rc = rk__ext4_htree_leaf(e, dir, next ? next : major, &lblk,
					 &next, &version);
		err = rc < 0 ? rc : make_room(e, g, g->blocks + 1);
		if (!err)
			err = rk__ext4_dir_read(e, dir, lblk, g->buf +
				((size_t)g->blocks << e->block_bits), NULL);
		if (!err)
			err = take_block(e, g, version);
		if (err)
			return err;
	} while (rc == 1 && (next & 1));
	*ret_next = rc ? ((uint64_t)(next >> 1) << 32) + FIRST : END;
	return 0;
}

static int gather_single(struct ext4 *e, struct node *dir)
{
	struct gather *g = e->gather;
	int err, version = e->fs->super->s_def_hash_version;

	if (version > EXT2_HASH_TEA)
		version = EXT2_HASH_HALF_MD4;
	g->n = g->blocks = 0;
	if (has_inline(dir))
		err = rk__ext4_dir_inline(e, dir, g->buf);
	else
		err = rk__ext4_dir_read(e, dir, 0, g->buf, NULL);
	return err ? err : take_block(e, g, rk__ext4_htree_version(e,
								   version));
}

static int emit_entry(const struct ext2_dir_entry *d, uint64_t cookie,
		      rk_emit_fn *emit, void *arg)
{
	unsigned type = d->name_len >> 8;

	return emit(arg, d->name, d->name_len & 0xff, d->inode,
		    type < sizeof(dt_of) ? dt_of[type] : 0, cookie);
}

/* 1: full. */
static int emit_sorted(struct gather *g, uint64_t cookie, rk_emit_fn *emit,
		       void *arg)
{
	unsigned i, lo = 0, hi;

	sort(g);
	for (hi = g->n; lo < hi;) {
		unsigned mid = (lo + hi) / 2;

		if (g->item[mid].pos < cookie)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (i = lo; i < g->n; i++) {
		const struct item *x = &g->item[i];

		if (emit_entry((void *)(g->buf + x->off), x->pos + 1, emit,
			       arg))
			return 1;
	}
	return 0;
}

static int emit_dots(struct ext4 *e, struct node *dir, uint64_t cookie,
		     rk_emit_fn *emit, void *arg)
{
	struct slot s;
	int err;

	if (cookie == 0 && emit(arg, ".", 1, dir->ino, 4, 1))
		return 1;
	if (cookie > 1)
		return 0;
	err = rk__ext4_dir_find(e, dir, "..", 2, &s);
	if (err)
		return err == -ENOENT ? 0 : err;
	return emit(arg, "..", 2, s.ino, 4, 2) ? 1 : 0;
}

static int read_hashed(struct ext4 *e, struct node *dir, uint64_t cookie,
		       rk_emit_fn *emit, void *arg)
{
	uint64_t left = rk__ext4_dir_blocks(e, dir), next;
	int rc = emit_dots(e, dir, cookie, emit, arg);

	if (rc)
		return rc < 0 ? rc : 0;
	if (!rk__ext4_dir_indexed(e, dir)) {
		rc = gather_single(e, dir);
		return rc ? rc : (emit_sorted(e->gather, cookie, emit, arg),
				  0);
	}
	if (cookie < FIRST)
		cookie = FIRST;
	while (cookie < END && left--) {
		rc = gather_leaf(e, dir, (cookie - FIRST) >> 32 << 1, &next);
		if (rc)
			return rc;
		if (emit_sorted(e->gather, cookie, emit, arg))
			return 0;
		if (next <= cookie)
			return -EUCLEAN;
		cookie = next;
	}
	return 0;
}

static int read_linear(struct ext4 *e, struct node *dir, uint64_t cookie,
		       rk_emit_fn *emit, void *arg)
{
	uint64_t lblk = cookie >> e->block_bits;
	char *buf = e->gather->buf;
	unsigned off, len;
	int err;

	for (; lblk < rk__ext4_dir_blocks(e, dir); lblk++) {
		uint64_t base = lblk << e->block_bits;

		err = rk__ext4_dir_read(e, dir, lblk, buf, NULL);
		if (err)
			return err;
		for (off = 0; off < e->block_size; off += len) {
			struct ext2_dir_entry *d = rk__ext4_dirent(buf, off);

			if (rk__ext4_dirent_check(e, buf, off, &len))
				return -EUCLEAN;
			if (!d->inode || !(d->name_len & 0xff) ||
			    base + off < cookie)
				continue;
			if (emit_entry(d, base + off + len, emit, arg))
				return 0;
		}
	}
	return 0;
}

static int list(struct ext4 *e, struct node *dir, uint64_t cookie,
		rk_emit_fn *emit, void *arg)
{
	if (has_inline(dir) || rk__ext4_dir_indexed(e, dir) ||
	    (ext2fs_has_feature_dir_index(e->fs->super) &&
	     rk__ext4_dir_blocks(e, dir) == 1))
		return read_hashed(e, dir, cookie, emit, arg);
	return read_linear(e, dir, cookie, emit, arg);
}

int rk__ext4_readdir(void *fs, uint64_t ino, uint64_t cookie,
		     rk_emit_fn *emit, void *arg)
{
	struct ext4 *e = fs;
	struct node dir;
	int err = rk__ext4_dir_node(e, ino, &dir);

	if (err)
		return err;
	init(e);
	err = list(e, &dir, cookie, emit, arg);
	free(e->gather->more);
	return err;
}
