/*
 * pages_int.h - what pages.c (cells), pages_file.c (their memfds) and pin.c share.
 */
#ifndef RK_PAGES_INT_H
#define RK_PAGES_INT_H

#include "core/pages.h"
#include "vfs_int.h"

/* What of a cell is volatile. */
struct rk__cell {
	uint32_t next;			/* of its bucket, + 1 */
	int fd;				/* of its pages, -1 */
	uint32_t fd_generation;		/* whose they are */
	uint32_t pins, writers;
	bool dirty;
	uint64_t from, to;		/* what changed, if from < to */
};
extern struct rk_cells *rk__cells;
extern struct rk__cell rk__cell[RK_CELLS];
extern struct rk__pages_links rk__pages_links;
extern uint32_t rk__cells_written;	/* with writers */

static inline struct rk_cell *rk__cell_shared(uint32_t i)
{
	return &rk__cells->cell[i];
}

static inline struct rk__node rk__cell_node(uint32_t i)
{
	return rk__node(rk__cell_shared(i)->mount, rk__cell_shared(i)->st.ino);
}

/* Index + 1, 0: it has none. */
uint32_t rk__cell_find(struct rk__node n);
void rk__cell_begin(uint32_t i);	/* seq is odd */
void rk__cell_end(uint32_t i);
void rk__cell_drop(uint32_t i);
/* A cell that has pages and could do without; index + 1, 0: none. */
uint32_t rk__cell_victim(bool with_pages);

/* --- pages_file.c; nothing may be uncommitted ---------------------------------- */

int rk__pages_make(uint32_t i, enum rk__pages_kind kind);
void rk__pages_end(uint32_t i);
void rk__pages_adopt(uint32_t i);	/* a predecessor's: counts them */
/* The file is as long as st says now, and [from, to) changed. */
int rk__pages_follow(uint32_t i, const struct rk_stat *st, uint64_t from,
		     uint64_t to);
int rk__pages_fill(uint32_t i, uint64_t from, uint64_t to);

void rk__pages_give(struct rk_hot *hot);
void rk__pages_overlay(struct rk__node n, void *buf, uint64_t len,
		       uint64_t off);

/* --- pin.c ------------------------------------------------------------------------ */

int64_t rk__pin_make(const struct rk__proc *p, struct rk__node n, bool write);
struct rk__pin *rk__pin_find(const struct rk__proc *p, uint32_t handle);
void rk__pin_end(struct rk__pin *pin);
void rk__pin_end_all(const struct rk__proc *p);
void rk__pin_inherit(const struct rk__proc *child,
		     const struct rk__proc *parent);
static inline struct rk__node rk__pin_node(const struct rk__pin *pin)
{
	const struct rk__vnode *v = &rk__core->vnode[pin->vnode];

	return rk__node(v->mount, v->ino);
}
uint32_t rk__pages_written(struct rk__node n);
bool rk__pages_next_written(uint32_t mount, uint32_t *at_cell);
int64_t rk__pages_write_back(uint32_t cell, uint64_t from, uint64_t to,
			     uint64_t *ret_at);
/* That runs: what it changes is in the pages. */
extern bool rk__pages_written_back;

#endif
