/*
 * hot_pages.c - pages of cells that were sent to this client.
 *
 * They are a memfd. One that nobody can cut (F_SEAL_SHRINK) is mapped, so that
 * reading it is a copy and no call; another is read with pread, as what lies beyond
 * its end would be a signal. Files that somebody has mapped have the latter.
 *
 * Others come in the place of those that are held while they may be in use, by other
 * threads or by what a handler interrupted. So they are counted, and what is in use
 * goes the next time. Nobody waits for that: if the place is not free, what was
 * sent is not kept.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "hot.h"

enum {
	HEAD = 4096,
	VIEW_MAX = 256 << 20,		/* larger files leave the program its addresses */
};

static uint64_t length_of(const struct rk__hot_view *v)
{
	return HEAD + v->size;
}

/* As long as the memfd is now: it may grow, and then is read beyond by pread.
 * NULL: it is not to be mapped, or cannot be. */
static struct rk__hot_view *map(int fd, uint32_t generation)
{
	struct rk__hot_view *v;
	struct stat st;
	uint64_t size;
	int seals = fcntl(fd, F_GET_SEALS);

	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 ||
	    st.st_size <= 0 || st.st_size > VIEW_MAX)
		return NULL;
	size = (uint64_t)st.st_size;
	v = mmap(NULL, HEAD + size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (v == MAP_FAILED)
		return NULL;
	*v = (struct rk__hot_view){ .size = size, .generation = generation };
	if (mmap((uint8_t *)v + HEAD, size, PROT_READ, MAP_SHARED | MAP_FIXED,
		 fd, 0) == MAP_FAILED) {
		munmap(v, length_of(v));
		return NULL;
	}
	/* It is no part of the program. */
	(void)madvise(v, length_of(v), MADV_DONTDUMP);
	return v;
}

static void drop(int32_t fd, struct rk__hot_view *v)
{
	if (fd)
		close(fd - 1);
	if (v)
		munmap(v, length_of(v));
}

/* By who is changing them. False: they are in use still. */
static bool drop_old(struct rk__hot_pages *p)
{
	bool any = atomic_load(&p->old) || atomic_load(&p->old_view);

	if (!any)
		return true;
	if (atomic_load(&p->users))
		return false;
	drop(atomic_exchange(&p->old, 0), atomic_exchange(&p->old_view, NULL));
	return true;
}

void rk__hot_hold(struct rk__hot_pages *p, uint32_t generation, int fd)
{
	uint32_t none = 0;
	uint64_t had;

	if (!atomic_compare_exchange_strong(&p->changing, &none, 1)) {
		if (fd >= 0)
			close(fd);
		return;
	}
	if (drop_old(p)) {
		had = atomic_exchange(&p->held, fd < 0 ? 0 :
				      (uint64_t)generation << 32 |
				      (uint32_t)(fd + 1));
		atomic_store(&p->old, (int32_t)(uint32_t)had);
		atomic_store(&p->old_view,
			     atomic_exchange(&p->view, fd < 0 ? NULL :
					     map(fd, generation)));
		(void)drop_old(p);
	} else if (fd >= 0) {
		close(fd);
	}
	atomic_store(&p->changing, 0);
}

int rk__hot_use(struct rk__hot_pages *p, uint64_t word)
{
	uint64_t held;

	atomic_fetch_add(&p->users, 1);
	held = atomic_load(&p->held);
	return rk__hot_generation_of(held) == rk__hot_generation_of(word) ?
	       (int)(uint32_t)held - 1 : -1;
}

void rk__hot_let_go(struct rk__hot_pages *p)
{
	atomic_fetch_sub_explicit(&p->users, 1, memory_order_release);
}

bool rk__hot_copy(const struct rk__hot_pages *p, uint64_t word, void *buf,
		  uint64_t n, uint64_t offset)
{
	const struct rk__hot_view *v = atomic_load(&p->view);

	if (!v || v->generation != rk__hot_generation_of(word) ||
	    offset > v->size || n > v->size - offset)
		return false;
	memcpy(buf, (const uint8_t *)v + HEAD + offset, n);
	return true;
}

void rk__hot_pages_end(struct rk__hot_pages *p)
{
	drop((int32_t)(uint32_t)atomic_load(&p->held), atomic_load(&p->view));
	drop(atomic_load(&p->old), atomic_load(&p->old_view));
}

int rk__hot_dup(struct rk_client *c, const struct rk_hot *hot)
{
	uint64_t word = (uint64_t)hot->generation << 32 | hot->cell << 8;
	struct rk__hot_pages *p;
	int fd;

	if (!c->hot)
		return -ESTALE;
	p = rk__hot_pages_of(c->hot, word);
	fd = rk__hot_use(p, word);
	fd = fd < 0 ? -ESTALE : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	rk__hot_let_go(p);
	return fd == -1 ? -errno : fd;
}
