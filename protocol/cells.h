/*
 * cells.h - cells: what a server says of files so that clients need not ask.
 *
 * One memfd for each family of servers, made by the supervisor, which all
 * servers of it inherit mapped and nobody else can write (F_SEAL_FUTURE_WRITE);
 * clients map it. A cell is about one file: its attributes and, if it has pages,
 * which parts of the file stand in a memfd of their own, at the same offsets.
 *
 * Where nobody has mapped the file, the memfd is sealed against being cut, so that
 * clients may look at it by mappings of their own: a file that gets shorter gets
 * other pages.
 *
 * A cell is read between two looks at `seq`: even and equal both times, or what
 * was read counts for nothing. The same for a pread of the memfd. `generation`
 * moves when a cell is about another file or other pages. A part is there if its
 * bit in `valid` is set; parts are 1 << shift bytes, and the last ends with the
 * file.
 *
 * What a cell and its pages say is committed, and is never older than any answer:
 * before a commit the server makes the cells of files that it changes odd, with
 * what bytes change, and after it, before any answer, pages and cell follow and
 * are even again. A successor does it for cells that it finds odd.
 *
 * `names` moves before every commit that changes where a path leads, or who may
 * follow it. What a path was found to be holds as long as names stays.
 */
#ifndef RK_CELLS_H
#define RK_CELLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "types.h"

#define RK_CELLS_MAGIC 0x6c656372u		/* "rcel" */

enum {
	RK_CELLS = 4096,
	RK_CELL_PARTS = 512,
	RK_CELL_SHIFT_MIN = 16,
};

/* cell.flags */
enum {
	RK_CELL_USED = 1 << 0,
	RK_CELL_PAGES = 1 << 1,
	RK_CELL_SEALED = 1 << 2,	/* they are all there, and never change */
	RK_CELL_UNCUT = 1 << 3,		/* they never get shorter */
};

struct rk_cell {
	_Atomic uint64_t seq;
	uint32_t generation;
	uint16_t flags, shift;
	_Atomic uint64_t valid[RK_CELL_PARTS / 64];
	struct rk_stat st;
	/* The server's own: the bytes that change while seq is odd. */
	uint64_t changed_from, changed_to;
	uint32_t mount;
	uint32_t reserved[5];
};
_Static_assert(sizeof(struct rk_cell) == 256, "a cell is four cache lines");

struct rk_cells {
	uint32_t magic, reserved;
	_Alignas(64) _Atomic uint64_t names;
	_Alignas(4096) struct rk_cell cell[RK_CELLS];
};

static inline bool rk_cell_has(const struct rk_cell *c, uint64_t from,
			       uint64_t to)
{
	for (uint64_t i = from >> c->shift; i << c->shift < to; i++)
		if (i >= RK_CELL_PARTS ||
		    !(atomic_load_explicit(&c->valid[i / 64],
					   memory_order_acquire) >>
		      i % 64 & 1))
			return false;
	return true;
}

/* Comes over the connection of a channel with the memfd, when an answer says
 * RK_HOT_SENT. */
struct rk_gift {
	uint64_t id;			/* of the request: its seq */
	uint32_t cell, generation;
};

#endif
