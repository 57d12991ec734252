/*
 * fuse_takeover.c - the FUSE gate of a successor: answers what was committed,
 * serves what was taken, asks the kernel for the rest.
 *
 * Theory of operation. A predecessor died at some instant; its slots hold what
 * it had taken. For each of these requests one of three things is true:
 *
 *   committed	its answer is in the last record and is posted from there
 *		(rk__fuse_repost), which empties the slot;
 *   answered	it changed nothing and its answer was written, but the slot
 *		was not emptied any more;
 *   open	nothing of it happened, and it is served.
 *
 * A kernel that knows FUSE_NOTIFY_RESEND tells the last two apart: it is asked
 * first, and sends every request again that it still waits for, with bit 63 of
 * the unique set, before all others. These are read and matched with the slots
 * before anything is served, for two reasons: what is not sent again needs no
 * serving, and until a request was read again the kernel takes no answer for
 * it. FORGETs and INTERRUPTs are never sent again; they count from the slot.
 *
 * An older kernel is not asked: what stands in the slots is served, and an
 * answer that nobody waits for is refused by the kernel. An answer without data
 * is noted before it is written, and given again from there: a create that was
 * told EEXIST must not run once more behind a removal that stands beside it.
 * What has data and was not committed only read. Requests are never in neither
 * place, because a request enters its slot by the kernel's own store.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "fuse.h"

void rk__fuse_repost(const struct rk__reply_head *r, const uint8_t *bytes)
{
	struct rk__fuse *f = rk__fuse_of(r->slot / RK_FUSE_SLOTS);
	unsigned i = r->slot % RK_FUSE_SLOTS;
	struct rk__fuse_slot *s = rk__fuse_slot(f, i);

	if (!f->live || rk__fuse_held(f, i) != r->id)
		return;
	rk__fuse_answer(f, s->request->unique, r->result, bytes, r->length);
	RK_CRASHPOINT(recover_half_posted);
	rk__fuse_release(s);
}

static bool wants_answer(const struct rk__fuse_slot *s)
{
	const struct rk__fuse_op *op = rk__fuse_op(s->request->opcode);

	return !op || !(op->flags & RK_FUSE_NO_REPLY);
}

static bool ask_again(const struct rk__fuse *f)
{
	struct fuse_out_header notify = {
		.len = sizeof notify,
		.error = RK_FUSE_NOTIFY_RESEND,
	};

	return (f->flags & RK_FUSE_HAS_RESEND) &&
	       write(f->source.fd, &notify, sizeof notify) == sizeof notify;
}

/* Reads until the first request that is new. true: the kernel has said all
 * that it still waits for. */
static bool hear_again(struct rk__fuse *f)
{
	struct rk__fuse_slot *s;

	for (;;) {
		switch (rk__fuse_take(f, 0, &s)) {
		case RK_FUSE_TAKEN:
			if (wants_answer(s) &&
			    !(s->request->unique & RK_FUSE_UNIQUE_RESEND))
				return true;
			break;
		case RK_FUSE_SKIPPED:
			break;
		case RK_FUSE_FULL:
			return false;
		default:
			return true;
		}
	}
}

static void resume(struct rk__fuse *f, unsigned i, bool heard_all)
{
	struct rk__fuse_slot *s = rk__fuse_slot(f, i);
	bool committed = rk__was_committed(RK_SLOT_FUSE(f->mount, i),
					   rk__fuse_held(f, i));
	uint32_t answered = atomic_load(&f->inbox->answered[i]);

	if (!committed && answered && (s->seen || !heard_all)) {
		rk__fuse_answer(f, s->request->unique,
				-(int64_t)(answered - 1), NULL, 0);
		rk__fuse_release(s);
		return;
	}
	if (!committed && (s->seen || !heard_all || !wants_answer(s))) {
		rk__fuse_serve(s);
		return;
	}
	/* Its answer was lost for good: not to run it twice comes first. */
	if (committed && s->seen && wants_answer(s))
		rk__fuse_answer(f, s->request->unique, -EIO, NULL, 0);
	rk__fuse_release(s);
}

/* Where a request stands. */
struct held {
	uint64_t id;
	unsigned slot;
};

static int by_id(const void *a, const void *b)
{
	const struct held *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

/* In the order in which the kernel asked: who waits longest comes first. */
static unsigned list_held(const struct rk__fuse *f, struct held *ret)
{
	unsigned n = 0;

	for (unsigned i = 0; i < RK_FUSE_SLOTS; i++) {
		uint64_t id = rk__fuse_held(f, i);

		if (id)
			ret[n++] = (struct held){ .id = id, .slot = i };
	}
	qsort(ret, n, sizeof *ret, by_id);
	return n;
}

static bool interrupts(const struct rk__fuse *f, unsigned slot)
{
	return f->slot[slot].request->opcode == FUSE_INTERRUPT;
}

int rk__fuse_resume(uint32_t mount)
{
	static struct held held[RK_FUSE_SLOTS];
	struct rk__fuse *f = rk__fuse_of(mount);
	bool heard_all;
	unsigned n;

	if (!f->live)
		return -ENODEV;
	heard_all = ask_again(f) && hear_again(f);
	RK_CRASHPOINT(recover_asked);
	n = list_held(f, held);
	/* Those that interrupt others come when the others wait. */
	for (unsigned i = 0; i < n; i++)
		if (!interrupts(f, held[i].slot)) {
			resume(f, held[i].slot, heard_all);
			RK_CRASHPOINT(recover_half_resumed);
		}
	rk__serve_flush();
	for (unsigned i = 0; i < n; i++)
		if (rk__fuse_held(f, held[i].slot) == held[i].id &&
		    interrupts(f, held[i].slot))
			resume(f, held[i].slot, heard_all);
	rk__serve_flush();
	return 0;
}
