/*
 * pages.h - files that clients read without asking: the server's side of
 * protocol/cells.h.
 *
 * What stands in a cell and its pages is made of what is committed, and can be
 * made again: so none of it is recoverable memory. It outlives a server in the
 * cells themselves, which are shared, and in memfds that the supervisor keeps. In
 * recoverable memory is only who has pinned a file (struct rk__pin): its pages
 * stay, and where it was pinned to be written, they and not the driver say what
 * the file holds.
 *
 * Others reach all of it by rk__pages, which is NULL where there are no cells: in
 * librumplocal, and in servers of the model `process`.
 */
#ifndef RK_CORE_PAGES_H
#define RK_CORE_PAGES_H

#include "cells.h"
#include "core/vfs.h"

/* Who keeps pages, and hands them to clients. Set by the server's loop. */
struct rk__pages_links {
	/* For a successor; fd -1: no more. fd stays ours. */
	void (*keep)(uint32_t cell, uint32_t generation, int fd);
	/* To the client of a channel; false: it cannot have it. */
	bool (*give)(uint32_t channel, const struct rk_gift *gift, int fd);
};

/* What memfd a file's pages are. */
enum rk__pages_kind {
	RK__PAGES_READ,			/* never cut */
	RK__PAGES_SEALED,		/* never changed: clients could not write the
					 * file */
	RK__PAGES_MAPPED,		/* as the file, whatever happens to it */
};

struct rk__pages {
	/* --- what changes; said while the op runs --- */
	void (*touch)(struct rk__node n);	/* the attributes of a file */
	/* Its bytes; len 0: to the end. */
	void (*change)(struct rk__node n, uint64_t off, uint64_t len);
	void (*names)(void);		/* where paths lead, who may follow them */
	void (*drop)(struct rk__node n); /* the file is no more */

	/* --- around a commit --- */
	void (*before_commit)(void);
	void (*after_commit)(void);
	void (*rolled_back)(void);	/* pins are as they were */
	/* A file that is written through mappings changed: commit before the
	 * next op. */
	bool (*urgent)(void);

	/* Into what was read of a file: what mappings made of it. */
	void (*overlay)(struct rk__node n, void *buf, uint64_t len,
			uint64_t off);
	/*
	 * The cell of a file, made if need be. Nothing may be uncommitted. want:
	 * RK_HOT_PAGES: pages too, of which [off, off + len) is there afterwards,
	 * or the first megabyte of it.
	 */
	int (*look)(struct rk__node n, const struct rk_stat *st, uint32_t want,
		    enum rk__pages_kind kind, uint64_t off, uint64_t len,
		    struct rk_hot *ret);
	/* Sends the pages of a cell to whoever asks now. */
	void (*give)(struct rk_hot *hot);

	/* --- pins, by their procs and handles --- */
	/* The file that was looked at; it is held from then on. A handle, or
	 * -ENOMEM. */
	int64_t (*pin)(const struct rk__proc *p, struct rk__node n, bool write);
	struct rk__pin *(*find_pin)(const struct rk__proc *p, uint32_t handle);
	void (*unpin)(struct rk__pin *pin);
	void (*unpin_all)(const struct rk__proc *p);
	void (*inherit)(const struct rk__proc *child,
			const struct rk__proc *parent);

	/* --- what is written by mapping --- */
	/* Cell + 1 of a file that is; 0: it is not. */
	uint32_t (*written)(struct rk__node n);
	/* The next of a mount, or of all (RK_MOUNTS_MAX), from *at on. */
	bool (*next_written)(uint32_t mount, uint32_t *at);
	/*
	 * Writes to the driver what mappings made of [from, to) of a file, as any
	 * change; a megabyte at most. *ret_at: how far it came, UINT64_MAX: to
	 * its end. Bytes, or an error.
	 */
	int64_t (*write_back)(uint32_t cell, uint64_t from, uint64_t to,
			      uint64_t *ret_at);
};
extern const struct rk__pages *rk__pages;

static inline void rk__pages_touch(struct rk__node n)
{
	if (rk__pages)
		rk__pages->touch(n);
}

static inline void rk__pages_change(struct rk__node n, uint64_t off,
				    uint64_t len)
{
	if (rk__pages)
		rk__pages->change(n, off, len);
}

static inline void rk__pages_names(void)
{
	if (rk__pages)
		rk__pages->names();
}

static inline void rk__pages_drop(struct rk__node n)
{
	if (rk__pages)
		rk__pages->drop(n);
}

static inline void rk__pages_rolled_back(void)
{
	if (rk__pages)
		rk__pages->rolled_back();
}

/* --- the server's loop -------------------------------------------------------- */

/* Each server at its start, also as a standby. NULL: there are none. */
void rk__pages_start(struct rk_cells *cells,
		     const struct rk__pages_links *links);
/* What a predecessor had: takes over fd. -1: no more. */
void rk__pages_kept(uint32_t cell, uint32_t generation, int fd);
/* A successor, before it answers anybody: what was left in the middle. */
void rk__pages_resume(void);
/* Between requests, with commits of its own: of all, or of those that the client of
 * a channel has. What cannot be written is left. */
void rk__pages_write_back_all(void);
void rk__pages_client_gone(uint32_t channel);

#endif
