/*
 * order.c - carries out what the server ordered (recovery/order.h) on all devices
 * of the family: on each of them, or on none.
 *
 * A keeper that died in the middle has a successor which does it again: a
 * checkpoint that the same order made is taken for done.
 */
#include <errno.h>
#include <string.h>
#include "keeper/store.h"

static int make(struct rk__store *store, unsigned n, const struct rk__order *o)
{
	unsigned done = 0;
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++) {
		const struct rk__undo_head *h = &store[i].undo.head;
		int had = rk__undo_find(h, o->label);

		if (store[i].overlay && had >= 0 &&
		    h->checkpoint[had].token != o->token)
			r = -EEXIST;
	}
	for (; done < n && r == 0; done++) {
		if (store[done].overlay)
			r = rk__undo_mark(&store[done].undo, o);
		RK_CRASHPOINT(order_half_done);
	}
	if (r < 0 && r != -EEXIST)
		for (unsigned i = 0; i < done; i++)
			if (store[i].overlay)
				(void)rk__undo_delete(&store[i].undo,
						      o->label);
	return r;
}

static int delete(struct rk__store *store, unsigned n,
		  const struct rk__order *o)
{
	bool any = false;
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++) {
		if (store[i].overlay)
			r = rk__undo_delete(&store[i].undo, o->label);
		RK_CRASHPOINT(order_half_done);
		any |= r == 0 && store[i].overlay;
		r = r == -ENOENT ? 0 : r;
	}
	return r == 0 && !any ? -ENOENT : r;
}

int rk__order_carry_out(struct rk__store *store, unsigned n,
			const struct rk__order *from)
{
	struct rk__order o = *from;
	char label[RK_LABEL_SIZE] = "";

	/* It may be anything, and may be changing. */
	memcpy(label, o.label, sizeof label - 1);
	memset(o.label, 0, sizeof o.label);
	strcpy(o.label, label);
	if (!rk__label_good(o.label))
		return -EINVAL;
	if (o.action == RK_ORDER_MAKE)
		return make(store, n, &o);
	return o.action == RK_ORDER_DELETE ? delete(store, n, &o) : -EINVAL;
}
