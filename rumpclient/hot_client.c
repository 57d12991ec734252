/*
 * hot_client.c - what is hot of a client: its beginning and end, and which calls
 * make what is known of descriptors and directories void.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hot.h"

/* --- what calls change ------------------------------------------------------------------------- */

static void change(struct rk__hot *h, uint64_t fd)
{
	if (fd >= RK_HOT_FDS)
		return;
	atomic_fetch_add(&h->fd[fd].version, 1);
	atomic_store(&h->fd[fd].word, 0);
	atomic_store(&h->fd[fd].asked, 0);
}

/* It is closed, or was a moment ago. */
static void lose(struct rk__hot *h, uint64_t fd)
{
	if (fd >= RK_HOT_FDS)
		return;
	change(h, fd);
	rk__hot_lost(&h->fd[fd]);
}

static void change_all(struct rk__hot *h)
{
	for (unsigned i = 0; i < RK_HOT_FDS; i++)
		change(h, i);
}

void rk__hot_around(struct rk_client *c, const struct rk_request *req)
{
	struct rk__hot *h = c->hot;

	switch (req->op) {
	case RK_OP_close:
		lose(h, req->arg[0]);
		break;
	case RK_OP_dup3:
		change(h, req->arg[1]);
		break;
	case RK_OP_close_range:
		for (uint64_t fd = req->arg[0]; fd <= req->arg[1] &&
		     fd < RK_HOT_FDS; fd++)
			change(h, fd);
		break;
	case RK_OP_chdir:
	case RK_OP_fchdir:
		atomic_fetch_add(&h->cwd, 1);
		break;
	}
}

static bool is_dup(const struct rk_request *req)
{
	return req->op == RK_OP_fcntl && (req->arg[1] == F_DUPFD ||
					  req->arg[1] == F_DUPFD_CLOEXEC);
}

void rk__hot_result(struct rk_client *c, const struct rk_request *req,
		    int64_t result)
{
	if (result < 0)
		return;
	switch (req->op) {
	case RK_OP_openat:
	case RK_OP_openat2:
	case RK_OP_open_by_handle_at:
	case RK_OP_dup:
	case RK_OP_dup3:
	case RK_OP_take:
	case RK_OP_reopen:
		lose(c->hot, (uint64_t)result);
		break;
	case RK_OP_fcntl:
		if (is_dup(req))
			lose(c->hot, (uint64_t)result);
		break;
	}
}

/* Which of them is not known any more. */
void rk__hot_completed(struct rk_client *c, uint32_t op, int64_t result)
{
	const struct rk_request req = { .op = (uint16_t)op };

	if (op == RK_OP_close || op == RK_OP_dup3 || op == RK_OP_fcntl ||
	    op == RK_OP_close_range)
		change_all(c->hot);
	if (op == RK_OP_chdir || op == RK_OP_fchdir)
		atomic_fetch_add(&c->hot->cwd, 1);
	rk__hot_result(c, &req, result);
}

void rk__hot_refresh(struct rk_client *c)
{
	if (c->hot)
		atomic_fetch_add(&c->hot->cwd, 1);
	for (unsigned i = 0; c->hot && i < RK_HOT_PATHS; i++)
		c->hot->path[i].word = 0;
}

void rk__hot_moved(struct rk_client *c, int from, int to)
{
	for (unsigned i = 0; c->hot && i < RK_CELLS; i++) {
		struct rk__hot_pages *p = &c->hot->pages[i];
		uint64_t held = atomic_load(&p->held);
		int32_t old = from + 1;

		if ((uint32_t)held == (uint32_t)(from + 1))
			atomic_compare_exchange_strong(&p->held, &held,
				held - (uint32_t)held + (uint32_t)(to + 1));
		atomic_compare_exchange_strong(&p->old, &old, to + 1);
	}
}

/* --- beginning and end ---------------------------------------------------------------------------- */

void rk__hot_begin(struct rk_client *c, int cells)
{
	const struct rk_cells *p;
	struct rk__hot *h;
	struct stat st;

	if (c->hot || cells < 0)
		return;
	/* Nobody may take it away from under us, or write it but its servers. */
	if (fstat(cells, &st) < 0 || st.st_size < (off_t)sizeof *p ||
	    !(fcntl(cells, F_GET_SEALS) & F_SEAL_SHRINK))
		return;
	p = mmap(NULL, sizeof *p, PROT_READ, MAP_SHARED, cells, 0);
	if (p == MAP_FAILED)
		return;
	h = mmap(NULL, sizeof *h, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (h == MAP_FAILED || p->magic != RK_CELLS_MAGIC) {
		munmap((void *)p, sizeof *p);
		return;
	}
	h->cells = p;
	c->hot = h;
}

void rk__hot_end(struct rk_client *c)
{
	struct rk__hot *h = c->hot;

	if (!h)
		return;
	c->hot = NULL;
	for (unsigned i = 0; i < RK_CELLS; i++)
		rk__hot_pages_end(&h->pages[i]);
	munmap((void *)h->cells, sizeof *h->cells);
	munmap(h, sizeof *h);
}
