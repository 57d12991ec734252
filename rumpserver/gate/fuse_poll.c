/*
 * fuse_poll.c - when the FUSE gate reads, and in which order it serves.
 *
 * With one client at a time, looking for a second request before the first is
 * answered would cost a system call for nothing; with many, one commit for all
 * that are ready is what makes it fast. So a poll goes by how many there were
 * the last time.
 *
 * Nobody waits for a FORGET, but the last one of a file changes something and
 * costs a commit. So it stays in its slot until there are many, or a request
 * comes that needs what it frees, or nothing comes for a while.
 */
#include "fuse.h"

enum {
	LOOK_FOR_CROWD_EVERY = 8,
	LOOK_AGAIN_EVERY = 16,
	LUCK_MAX = 8,
	ROUNDS = 64,			/* before others have their turn */
	RECLAIM_ROUNDS = 4,
};

/* --- forgets that wait ----------------------------------------------------- */

static bool is_forget(const struct rk__fuse_slot *s)
{
	return s->request->opcode == FUSE_FORGET ||
	       s->request->opcode == FUSE_BATCH_FORGET;
}

void rk__fuse_settle_one(struct rk__fuse *f)
{
	unsigned n = f->n_forget;

	f->n_forget = 0;
	for (unsigned i = 0; i < n; i++)
		rk__fuse_serve(f->forget[i]);
}

/* What a FORGET frees is there for what comes after it; of a large file that is
 * freed in stages, a part. */
static void make_room(struct rk__fuse *f)
{
	rk__fuse_settle_one(f);
	rk__serve_flush();
	for (unsigned i = 0; i < RECLAIM_ROUNDS && rk__vnode_reclaim_some();
	     i++)
		rk__serve_flush();
}

/* What neither takes room nor can see what a FORGET frees. */
static bool goes_before_forgets(uint32_t opcode)
{
	switch (opcode) {
	case FUSE_LOOKUP:
	case FUSE_GETATTR:
	case RK_FUSE_STATX:
	case FUSE_READLINK:
	case FUSE_OPEN:
	case FUSE_READ:
	case FUSE_FLUSH:
	case FUSE_RELEASE:
	case FUSE_GETXATTR:
	case FUSE_LISTXATTR:
	case FUSE_OPENDIR:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
	case FUSE_RELEASEDIR:
	case FUSE_LSEEK:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		return true;
	default:
		return false;
	}
}

/* Clients of the library would not wait for what a FORGET frees. */
static bool may_wait(const struct rk__fuse *f)
{
	return f->n_forget < RK_FUSE_FORGETS && rk__core->proc_brk == 0;
}

static void serve_taken(struct rk__fuse *f, struct rk__fuse_slot *s)
{
	if (is_forget(s) && may_wait(f)) {
		f->forget[f->n_forget++] = s;
		return;
	}
	rk__place_request(s->request->pid);
	if (f->n_forget && !goes_before_forgets(s->request->opcode))
		make_room(f);
	rk__fuse_serve(s);
}

bool rk__fuse_forgets_wait(void)
{
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++)
		if (rk__fuse_of(i)->n_forget)
			return true;
	return false;
}

void rk__fuse_settle(void)
{
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++)
		rk__fuse_settle_one(rk__fuse_of(i));
	rk__serve_flush();
}

/* --- reading and serving, as long as there is something --------------------- */

static unsigned batch_limit(struct rk__fuse *f)
{
	if (f->crowd <= 1 && ++f->polls % LOOK_FOR_CROWD_EVERY)
		return 1;
	return RK_FUSE_BATCH;
}

static bool poll_once(struct rk__fuse *f)
{
	unsigned n = 0, limit = batch_limit(f);
	struct rk__fuse_slot *s;
	enum rk__fuse_taken t = RK_FUSE_SKIPPED;

	if (!f->live || f->paused)
		return false;
	while (n < limit) {
		t = rk__fuse_take(f, 1, &s);
		if (t == RK_FUSE_NOTHING || t == RK_FUSE_ENDED)
			break;
		if (t == RK_FUSE_FULL) {
			rk__serve_flush();
			if (f->n_free_big > 1)
				continue;
			/* All wait; the first that ends lets us go on. */
			f->paused = true;
			rk__loop_remove(&f->source);
			break;
		}
		n++;
		if (t == RK_FUSE_TAKEN)
			serve_taken(f, s);
	}
	f->crowd = n;
	rk__serve_flush();
	if (t == RK_FUSE_ENDED)
		rk__fuse_end(f);
	return n > 0;
}

/* Where caller and server share a CPU, the answer lets the caller run, and its
 * next request is there when we go on: then epoll needs not be asked. */
bool rk__fuse_poll(uint32_t mount)
{
	struct rk__fuse *f = rk__fuse_of(mount);
	bool any = poll_once(f);

	for (unsigned i = 0; any && i < ROUNDS; i++) {
		if (!f->luck && ++f->looks % LOOK_AGAIN_EVERY)
			break;
		if (poll_once(f)) {
			f->luck = LUCK_MAX;
			continue;
		}
		if (f->luck)
			f->luck--;
		break;
	}
	return any;
}
