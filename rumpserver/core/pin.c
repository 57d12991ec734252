/*
 * pin.c - who has mapped a file, and bringing what was written by mapping to the
 * driver.
 *
 * A pin belongs to a proc, which names it by a handle; a forked proc has its
 * parent's by the same ones. It holds the vnode, so a file without a name lives on
 * in a mapping.
 *
 * Nobody tells which pages a mapping has written, so they are compared. What
 * differs is written as any write is, and committed; run again it writes the same.
 */
#include <string.h>
#include <unistd.h>
#include "core/fd.h"
#include "core/pages_int.h"
#include "core/serve.h"

enum {
	PIECE = 64 << 10,
	WRITE_AT_ONCE = 1 << 20,
};

bool rk__pages_written_back;

static struct rk__pin *at(uint32_t k)
{
	return &rk__core->pin[k];
}

static uint32_t index_of(const struct rk__proc *p)
{
	return (uint32_t)(p - rk__core->proc);
}

static struct rk__pin *take(void)
{
	for (uint32_t k = 0; k < rk__core->pin_brk; k++)
		if (!at(k)->vnode)
			return at(k);
	if (rk__core->pin_brk == RK_PINS_MAX)
		return NULL;
	RK_NOTE(&rk__core->pin_brk);
	return at(rk__core->pin_brk++);
}

static void count(const struct rk__pin *pin, int n)
{
	uint32_t i = rk__cell_find(rk__pin_node(pin));
	struct rk__cell *c = i ? &rk__cell[i - 1] : NULL;
	bool had = c && c->writers;

	if (!c)
		return;
	c->pins += (uint32_t)n;
	if (pin->write)
		c->writers += (uint32_t)n;
	rk__cells_written += (uint32_t)(!!c->writers - had);
}

static struct rk__pin *make(uint32_t proc, uint32_t handle, uint32_t vnode,
			    bool write)
{
	struct rk__pin *pin = take();

	if (!pin)
		return NULL;
	rk__vnode_hold_open(vnode);
	RK_NOTE(pin);
	*pin = (struct rk__pin){
		.vnode = vnode, .proc = proc, .handle = handle, .write = write,
	};
	count(pin, 1);
	return pin;
}

int64_t rk__pin_make(const struct rk__proc *p, struct rk__node n, bool write)
{
	uint32_t v = rk__vnode_get(n), handle;

	if (!v)
		return -ENOMEM;
	handle = (rk__core->pin_handle + 1) & INT32_MAX;
	handle = handle ? handle : 1;
	if (!make(index_of(p), handle, v, write))
		return -ENOMEM;
	RK_NOTE(&rk__core->pin_handle);
	rk__core->pin_handle = handle;
	return handle;
}

struct rk__pin *rk__pin_find(const struct rk__proc *p, uint32_t handle)
{
	for (uint32_t k = 0; k < rk__core->pin_brk; k++)
		if (at(k)->vnode && at(k)->proc == index_of(p) &&
		    at(k)->handle == handle)
			return at(k);
	return NULL;
}

void rk__pin_end(struct rk__pin *pin)
{
	uint32_t vnode = pin->vnode;

	count(pin, -1);
	RK_NOTE(pin);
	pin->vnode = 0;
	rk__vnode_put_open(vnode);
}

void rk__pin_end_all(const struct rk__proc *p)
{
	for (uint32_t k = 0; k < rk__core->pin_brk; k++)
		if (at(k)->vnode && at(k)->proc == index_of(p))
			rk__pin_end(at(k));
}

/* One that finds no place is one that the child cannot sync: its parent does. */
void rk__pin_inherit(const struct rk__proc *child,
		     const struct rk__proc *parent)
{
	uint32_t brk = rk__core->pin_brk;

	for (uint32_t k = 0; k < brk; k++)
		if (at(k)->vnode && at(k)->proc == index_of(parent))
			make(index_of(child), at(k)->handle, at(k)->vnode,
			     at(k)->write);
}

/* --- to the driver ------------------------------------------------------------------ */

/* Pages of `ours` that differ from the driver's, each run of them in one write. */
static int64_t write_piece(struct rk__node n, const uint8_t *ours,
			   const uint8_t *stored, size_t len, uint64_t off)
{
	const struct rk__cred mapper = { .checked = true };
	int64_t sum = 0, r;

	for (size_t from = 0, to; from < len; from = to) {
		bool differs = false;

		for (to = from; to < len; to += RK_PAGE) {
			size_t m = len - to < RK_PAGE ? len - to : RK_PAGE;
			bool d = memcmp(ours + to, stored + to, m) != 0;

			if (to > from && d != differs)
				break;
			differs = d;
		}
		to = to < len ? to : len;
		if (!differs)
			continue;
		r = rk__vfs_write(&mapper, n, ours + from, to - from,
				  off + from, false, NULL);
		if (r < 0)
			return r;
		sum += r;
	}
	return sum;
}

static int64_t compare_piece(uint32_t i, size_t len, uint64_t off)
{
	static uint8_t ours[PIECE], stored[PIECE];
	struct rk__node n = rk__cell_node(i);
	ssize_t got = pread(rk__cell[i].fd, ours, len, (off_t)off);
	int64_t r, had;

	if (got <= 0)
		return 0;
	had = rk__vfs_read_stored(n, stored, (size_t)got, off);
	if (had < 0)
		return had;
	memset(stored + had, 0, (size_t)(got - had));
	/* Its own bytes: to copy them back might undo what comes meanwhile. */
	rk__pages_written_back = true;
	r = write_piece(n, ours, stored, (size_t)got, off);
	rk__pages_written_back = false;
	return r;
}

int64_t rk__pages_write_back(uint32_t i, uint64_t from, uint64_t to,
			     uint64_t *ret_at)
{
	const struct rk_cell *c = rk__cell_shared(i);
	uint64_t size = c->st.size;
	int64_t sum = 0, r;

	to = to < size ? to : size;
	from &= ~(uint64_t)(PIECE - 1);
	for (; from < to && sum < WRITE_AT_ONCE; from += PIECE) {
		size_t len = size - from < PIECE ? (size_t)(size - from) :
						   PIECE;

		if (!rk_cell_has(c, from, from + len))
			continue;
		r = compare_piece(i, len, from);
		if (r < 0)
			return r;
		sum += r;
	}
	*ret_at = from < to ? from : UINT64_MAX;
	return sum;
}

uint32_t rk__pages_written(struct rk__node n)
{
	uint32_t i = rk__cells_written ? rk__cell_find(n) : 0;

	return i && rk__cell[i - 1].writers ? i : 0;
}

static void write_back_now(uint32_t i)
{
	uint64_t from = 0;

	rk__serve_flush();
	while (from != UINT64_MAX) {
		int64_t r = rk__pages_write_back(i, from, UINT64_MAX, &from);

		if (r < 0) {
			rk__rollback();
			rk__name_purge_all();
			rk__pages_rolled_back();
			return;
		}
		if (rk__changed())
			rk__serve_flush();
	}
}

bool rk__pages_next_written(uint32_t mount, uint32_t *at_cell)
{
	if (!rk__cells_written)
		return false;
	for (; *at_cell < RK_CELLS; ++*at_cell)
		if (rk__cell[*at_cell].writers &&
		    (mount == RK_MOUNTS_MAX ||
		     rk__cell_shared(*at_cell)->mount == mount))
			return true;
	return false;
}

void rk__pages_write_back_all(void)
{
	for (uint32_t i = 0; rk__pages &&
	     rk__pages_next_written(RK_MOUNTS_MAX, &i); i++)
		write_back_now(i);
}

void rk__pages_client_gone(uint32_t channel)
{
	const struct rk__proc *p = rk__proc_of_channel(channel);

	if (!rk__pages || !p || p->channels != 1)
		return;
	for (uint32_t k = 0; k < rk__core->pin_brk; k++) {
		const struct rk__pin *pin = at(k);
		uint32_t i;

		if (!pin->vnode || pin->proc != index_of(p) || !pin->write)
			continue;
		i = rk__cell_find(rk__pin_node(pin));
		if (i)
			write_back_now(i - 1);
	}
}
