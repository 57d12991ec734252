/*
 * pages.c - cells: which file has one, and how they follow what is committed.
 *
 * Theory of operation. While ops run, the files that they change are only listed.
 * Before the commit the cells of these are made odd, with the bytes that change:
 * so whoever dies from here on leaves a mark. After the commit, before any answer,
 * what the driver says now is copied to pages and cells, and they are even. Nothing
 * is needed of the op itself, so it is the same for a successor that finds a cell
 * odd, and for every gate.
 *
 * A rolled back op leaves files on the list that did not change: they are copied
 * for nothing.
 */
#include <assert.h>
#include <string.h>
#include <xxhash.h>
#include "core/fd.h"
#include "core/pages_int.h"

enum { BUCKETS = 8192 };

struct rk_cells *rk__cells;
struct rk__cell rk__cell[RK_CELLS];
struct rk__pages_links rk__pages_links;
uint32_t rk__cells_written;

static struct {
	uint32_t bucket[BUCKETS];	/* cell + 1 */
	uint32_t dirty[RK_CELLS], n_dirty;
	uint32_t hand;			/* whose turn it is to go */
	uint32_t n_used;
	bool names, urgent;
} pages;

/* --- finding --------------------------------------------------------------------- */

static uint32_t *bucket(struct rk__node n)
{
	uint64_t key[2] = { n.mount, n.ino };

	return &pages.bucket[XXH3_64bits(key, sizeof key) % BUCKETS];
}

uint32_t rk__cell_find(struct rk__node n)
{
	uint32_t i = pages.n_used ? *bucket(n) : 0;

	while (i && !rk__same_node(rk__cell_node(i - 1), n))
		i = rk__cell[i - 1].next;
	return i;
}

static void hash(uint32_t i)
{
	uint32_t *head = bucket(rk__cell_node(i));

	rk__cell[i].next = *head;
	*head = i + 1;
	pages.n_used++;
}

static void unhash(uint32_t i)
{
	uint32_t *at = bucket(rk__cell_node(i));

	while (*at != i + 1) {
		assert(*at);
		at = &rk__cell[*at - 1].next;
	}
	*at = rk__cell[i].next;
	pages.n_used--;
}

/* --- one cell ---------------------------------------------------------------------- */

void rk__cell_begin(uint32_t i)
{
	struct rk_cell *c = rk__cell_shared(i);
	uint64_t seq = atomic_load_explicit(&c->seq, memory_order_relaxed);

	atomic_store(&c->seq, seq | 1);
	atomic_thread_fence(memory_order_seq_cst);
}

void rk__cell_end(uint32_t i)
{
	struct rk_cell *c = rk__cell_shared(i);
	uint64_t seq = atomic_load_explicit(&c->seq, memory_order_relaxed);

	c->changed_from = c->changed_to = 0;
	atomic_store_explicit(&c->seq, (seq | 1) + 1, memory_order_release);
}

static void clear(uint32_t i)
{
	struct rk_cell *c = rk__cell_shared(i);

	rk__cell_begin(i);
	c->generation++;
	c->flags = 0;
	rk__cell_end(i);
	rk__pages_end(i);
}

void rk__cell_drop(uint32_t i)
{
	unhash(i);
	clear(i);
}

static void drop(struct rk__node n)
{
	uint32_t i = rk__cell_find(n);

	if (i && !rk__cell[i - 1].pins)
		rk__cell_drop(i - 1);
}

/* Clients do not tell what they read, so each goes when its turn comes. */
uint32_t rk__cell_victim(bool with_pages)
{
	for (unsigned n = 0; n < RK_CELLS; n++) {
		uint32_t i = pages.hand++ % RK_CELLS;

		if (!rk__cell[i].pins && !rk__cell[i].dirty &&
		    (!with_pages || rk__cell[i].fd >= 0))
			return i + 1;
	}
	return 0;
}

static void fill(uint32_t i, struct rk__node n, const struct rk_stat *st)
{
	struct rk_cell *c = rk__cell_shared(i);

	rk__cell_begin(i);
	c->generation++;
	c->flags = RK_CELL_USED;
	c->mount = n.mount;
	c->st = *st;
	c->st.dev = rk__mount_dev(n.mount);
	for (unsigned k = 0; k < RK_CELL_PARTS / 64; k++)
		c->valid[k] = 0;
	rk__cell_end(i);
	hash(i);
}

/* Index + 1. */
static uint32_t make(struct rk__node n, const struct rk_stat *st)
{
	uint32_t i = rk__cell_victim(false);

	if (!i)
		return 0;
	if (rk__cell_shared(i - 1)->flags & RK_CELL_USED)
		rk__cell_drop(i - 1);
	fill(i - 1, n, st);
	return i;
}

static int look(struct rk__node n, const struct rk_stat *st, uint32_t want,
		enum rk__pages_kind kind, uint64_t off, uint64_t len,
		struct rk_hot *ret)
{
	uint32_t i = rk__cell_find(n);
	int r = 0;

	if (!i)
		i = make(n, st);
	if (!i)
		return -EAGAIN;
	if (want & RK_HOT_PAGES) {
		if (rk__cell[i - 1].pins)
			kind = RK__PAGES_MAPPED;
		/* not evicted by what it has to make room for itself */
		rk__cell[i - 1].pins++;
		r = rk__pages_make(i - 1, kind);
		if (r == 0)
			r = rk__pages_fill(i - 1, off, off + len);
		rk__cell[i - 1].pins--;
	}
	if (r < 0)
		return r;
	*ret = (struct rk_hot){
		.st = *st, .cell = i - 1,
		.generation = rk__cell_shared(i - 1)->generation,
		.flags = rk__cell_shared(i - 1)->flags & RK_CELL_PAGES ?
			 RK_HOT_PAGES : 0,
	};
	return 0;
}

/* --- what changes --------------------------------------------------------------------- */

/* Index + 1 */
static uint32_t list(struct rk__node n)
{
	uint32_t i = rk__cell_find(n);

	if (i && !rk__cell[i - 1].dirty) {
		rk__cell[i - 1].dirty = true;
		rk__cell[i - 1].from = rk__cell[i - 1].to = 0;
		pages.dirty[pages.n_dirty++] = i - 1;
	}
	return i;
}

static void touch(struct rk__node n)
{
	list(n);
}

static void change(struct rk__node n, uint64_t off, uint64_t len)
{
	uint32_t i = list(n);
	uint64_t to = len ? off + len : UINT64_MAX;
	struct rk__cell *c;

	if (!i || rk__pages_written_back)
		return;
	c = &rk__cell[i - 1];
	if (c->from == c->to) {
		c->from = off;
		c->to = to;
	} else {
		c->from = c->from < off ? c->from : off;
		c->to = c->to > to ? c->to : to;
	}
	/* What lies between two changes is for its mappings to say. */
	if (c->writers)
		pages.urgent = true;
}

static void names(void)
{
	pages.names = true;
}

static bool urgent(void)
{
	return pages.urgent;
}

/* --- around a commit ----------------------------------------------------------------- */

static void before_commit(void)
{
	if (pages.n_dirty)
		RK_CRASHPOINT(pages_unmarked);
	if (pages.names)
		atomic_fetch_add(&rk__cells->names, 1);
	for (uint32_t k = 0; k < pages.n_dirty; k++) {
		uint32_t i = pages.dirty[k];
		struct rk_cell *c = rk__cell_shared(i);

		if (!(c->flags & RK_CELL_USED))
			continue;
		rk__cell_begin(i);
		c->changed_from = rk__cell[i].from;
		c->changed_to = rk__cell[i].to;
	}
	if (pages.n_dirty)
		RK_CRASHPOINT(pages_marked);
}

/* As the driver has it now, which is committed. */
static void follow(uint32_t i)
{
	struct rk_cell *c = rk__cell_shared(i);
	struct rk_stat st;
	int r = rk__vfs_getattr(rk__cell_node(i), &st);

	if (r == 0 && (c->flags & RK_CELL_PAGES))
		r = rk__pages_follow(i, &st, c->changed_from, c->changed_to);
	/* Of a mapped file, only what is of no use to its mappings. */
	if (r < 0 && (!rk__cell[i].pins || r == -EROFS)) {
		rk__cell_drop(i);
		return;
	}
	RK_CRASHPOINT(pages_not_even);
	if (r == 0)
		c->st = st;
	rk__cell_end(i);
}

static void after_commit(void)
{
	for (uint32_t k = 0; k < pages.n_dirty; k++) {
		uint32_t i = pages.dirty[k];

		rk__cell[i].dirty = false;
		/* its file is no more */
		if (rk__cell_shared(i)->flags & RK_CELL_USED)
			follow(i);
	}
	pages.n_dirty = 0;
	pages.names = pages.urgent = false;
}

/* --- a server's start ---------------------------------------------------------------- */

static void recount(void)
{
	rk__cells_written = 0;
	for (uint32_t i = 0; i < RK_CELLS; i++)
		rk__cell[i].pins = rk__cell[i].writers = 0;
	for (uint32_t k = 0; k < rk__core->pin_brk; k++) {
		const struct rk__pin *p = &rk__core->pin[k];
		uint32_t i = p->vnode ? rk__cell_find(rk__pin_node(p)) : 0;

		if (!i)
			continue;
		rk__cell[i - 1].pins++;
		if (p->write && !rk__cell[i - 1].writers++)
			rk__cells_written++;
	}
}

/* A cell as a predecessor left it. */
static void take_over(uint32_t i)
{
	struct rk_cell *c = rk__cell_shared(i);
	bool odd = atomic_load(&c->seq) & 1;
	bool has = rk__cell[i].fd >= 0 &&
		   rk__cell[i].fd_generation == c->generation;

	if (!has && rk__cell[i].fd >= 0)
		rk__pages_end(i);
	if (!(c->flags & RK_CELL_USED)) {
		if (odd)
			rk__cell_end(i);
		return;
	}
	hash(i);
	if ((c->flags & RK_CELL_PAGES) && !has)
		rk__cell_drop(i);
	else if (has)
		rk__pages_adopt(i);
}

void rk__pages_resume(void)
{
	if (!rk__pages)
		return;
	for (uint32_t i = 0; i < RK_CELLS; i++)
		take_over(i);
	recount();
	for (uint32_t i = 0; i < RK_CELLS; i++) {
		struct rk_cell *c = rk__cell_shared(i);

		if (!(atomic_load(&c->seq) & 1))
			continue;
		/* What nobody has mapped is made again when it is asked for: a
		 * driver that fails here would fail each successor. */
		if (rk__cell[i].pins)
			follow(i);
		else
			rk__cell_drop(i);
	}
}

void rk__pages_start(struct rk_cells *cells,
		     const struct rk__pages_links *links)
{
	static const struct rk__pages all = {
		.touch = touch, .change = change, .names = names, .drop = drop,
		.before_commit = before_commit, .after_commit = after_commit,
		.rolled_back = recount, .urgent = urgent,
		.overlay = rk__pages_overlay, .look = look,
		.give = rk__pages_give, .pin = rk__pin_make,
		.find_pin = rk__pin_find, .unpin = rk__pin_end,
		.unpin_all = rk__pin_end_all, .inherit = rk__pin_inherit,
		.written = rk__pages_written,
		.next_written = rk__pages_next_written,
		.write_back = rk__pages_write_back,
	};

	rk__pages_links = *links;
	memset(&pages, 0, sizeof pages);
	for (uint32_t i = 0; i < RK_CELLS; i++)
		rk__cell[i] = (struct rk__cell){ .fd = -1 };
	rk__cells = cells;
	rk__pages = cells ? &all : NULL;
}
