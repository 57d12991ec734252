/*
 * hot.h - what is read without a request: cells and pages (cells.h), as one client
 * knows them.
 */
#ifndef RK_HOT_H
#define RK_HOT_H

#include "cells.h"
#include "client_int.h"

enum {
	RK_HOT_FDS = 1024,
	RK_HOT_PATHS = 256,
	RK_HOT_PATH_LEN = 88,
};

/* What a descriptor or a path is: generation << 32 | cell << 8 | flags. */
#define RK_HOT_KNOWN	1u
#define RK_HOT_READS	2u
#define RK_HOT_REFUSED	4u		/* there is no cell, or no pages */

struct rk__hot_fd {
	_Atomic uint64_t word;
	_Atomic uint32_t version;	/* moves when it is another file */
	_Atomic uint32_t asked;		/* for how often it was read or looked at */
	_Atomic uint32_t reads;		/* at its own offset, by request */
	_Atomic uint64_t place;		/* hot_offset.c */
};

/* A page in front of where pages are mapped. */
struct rk__hot_view {
	uint64_t size;			/* that can be read behind it */
	uint32_t generation;
};

/* Pages of a cell that were sent to us. */
struct rk__hot_pages {
	_Atomic uint64_t held;		/* generation << 32 | descriptor + 1 */
	struct rk__hot_view *_Atomic view; /* NULL: they are not mapped */
	_Atomic uint32_t users;
	_Atomic uint32_t changing;	/* somebody puts others in their place */
	/* What somebody still used: */
	_Atomic int32_t old;		/* descriptor + 1 */
	struct rk__hot_view *_Atomic old_view;
};

struct rk__hot_path {
	_Atomic uint32_t version;	/* odd: it is being written */
	uint32_t flags;
	uint64_t hash, names, word;
	int32_t dirfd;
	uint32_t start;			/* version of where it starts */
	char path[RK_HOT_PATH_LEN];
};

struct rk__hot {
	const struct rk_cells *cells;
	_Atomic uint32_t cwd;		/* moves with the working directory */
	_Atomic uint32_t shared;	/* forks under way */
	struct rk__hot_fd fd[RK_HOT_FDS];
	struct rk__hot_pages pages[RK_CELLS];
	struct rk__hot_path path[RK_HOT_PATHS];
};

static inline uint32_t rk__hot_generation_of(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline const struct rk_cell *rk__hot_cell_of(const struct rk__hot *h, uint64_t word)
{
	return &h->cells->cell[(word >> 8) % RK_CELLS];
}

static inline struct rk__hot_pages *rk__hot_pages_of(struct rk__hot *h,
						     uint64_t word)
{
	return &h->pages[(word >> 8) % RK_CELLS];
}

static inline uint64_t rk__hot_word_of(const struct rk_hot *hot)
{
	return (uint64_t)hot->generation << 32 |
	       (uint64_t)(hot->cell % RK_CELLS) << 8 | RK_HOT_KNOWN |
	       (hot->flags & RK_HOT_PAGES ? RK_HOT_READS : 0);
}

/* No answer: ask the server. */
#define RK_HOT_COLD INT64_MIN

int64_t rk__hot_pread(struct rk_client *c, int32_t fd, void *buf,
		      uint64_t count, int64_t offset);
int64_t rk__hot_read(struct rk_client *c, int32_t fd, void *buf,
		     uint64_t count);
int64_t rk__hot_lseek(struct rk_client *c, int32_t fd, int64_t offset,
		      uint32_t whence);
/* The descriptor is another file's, or none. */
void rk__hot_lost(struct rk__hot_fd *f);
/* NULL: it is not one to be hot. */
struct rk__hot_fd *rk__hot_fd_of(const struct rk_client *c, int32_t fd);
int64_t rk__hot_fstat(struct rk_client *c, int32_t fd, struct rk_stat *ret);
int64_t rk__hot_fstatat(struct rk_client *c, int32_t dirfd, const char *path,
			struct rk_stat *ret, uint32_t flags);

/*
 * A call whose answer says where something is to be had (look, pin): takes what
 * comes with it. call is encoded; the link is given back.
 */
int64_t rk__hot_ask(struct rk_client *c, struct rk__call *call,
		    struct rk_hot *hot);
int64_t rk__hot_look(struct rk_client *c, struct op_look *a,
		     struct rk_hot *hot);
/* The attributes in a cell, if it is still what the word says. */
bool rk__hot_stat(const struct rk_cell *cell, uint64_t word,
		  struct rk_stat *ret);

/* --- hot_pages.c: pages that are held --------------------------------------- */

/* In the place of those that were; takes over fd. -1: none. */
void rk__hot_hold(struct rk__hot_pages *p, uint32_t generation, int fd);
/* Their descriptor, or -1; none of them goes away until rk__hot_let_go(), which
 * is due in any case. */
int rk__hot_use(struct rk__hot_pages *p, uint64_t word);
void rk__hot_let_go(struct rk__hot_pages *p);
/* Of pages in use, which stand there: whether they are mapped, and were copied. */
bool rk__hot_copy(const struct rk__hot_pages *p, uint64_t word, void *buf,
		  uint64_t n, uint64_t offset);
void rk__hot_pages_end(struct rk__hot_pages *p);
/* A descriptor of the pages of a cell, of our own; -ESTALE. */
int rk__hot_dup(struct rk_client *c, const struct rk_hot *hot);
bool rk__hot_has(const struct rk_client *c, const struct rk_hot *hot,
		 uint64_t from, uint64_t to);

#endif
