/*
 * hot_path.c - what paths were found to be: an entry holds as long as the count of
 * changes of names stands where it stood before the path was looked up. One that
 * was seen once is only marked; from the second time on the server is asked where
 * the attributes are to be had.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include "hot.h"

enum { AT_KNOWN = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH };

struct wanted {
	const char *path;
	uint64_t hash;
	uint32_t flags, start;
	int32_t dirfd;
};

/* false: it is not one to be remembered. */
static bool want_path(const struct rk_client *c, int32_t dirfd,
		      const char *path, uint32_t flags, struct wanted *ret)
{
	uint64_t hash = 0xcbf29ce484222325u;
	unsigned n;

	if (!c->hot || !path || (flags & ~(uint32_t)(AT_KNOWN |
						     AT_NO_AUTOMOUNT)) ||
	    rk__is_guest())
		return false;
	for (n = 0; path[n]; n++) {
		if (n == RK_HOT_PATH_LEN - 1)
			return false;
		hash = (hash ^ (uint8_t)path[n]) * 0x100000001b3u;
	}
	if (n == 0 || (path[0] != '/' && dirfd != RK_AT_FDCWD &&
		       (dirfd < 0 || dirfd >= RK_HOT_FDS)))
		return false;
	*ret = (struct wanted){
		.path = path, .flags = flags & AT_KNOWN, .dirfd = dirfd,
	};
	if (path[0] == '/')
		ret->dirfd = -1;
	else if (dirfd == RK_AT_FDCWD)
		ret->start = atomic_load(&c->hot->cwd);
	else
		ret->start = atomic_load(&c->hot->fd[dirfd].version);
	ret->hash = hash ^ (uint64_t)(uint32_t)ret->dirfd << 20 ^ ret->flags;
	return true;
}

static struct rk__hot_path *place_of(const struct rk__hot *h,
				     const struct wanted *w)
{
	return (struct rk__hot_path *)&h->path[(w->hash ^ w->hash >> 32) %
					       RK_HOT_PATHS];
}

static bool find(const struct rk__hot *h, const struct wanted *w,
		 uint64_t *ret_word, uint64_t *ret_names)
{
	const struct rk__hot_path *p = place_of(h, w);
	uint32_t version = atomic_load_explicit(&p->version,
						memory_order_acquire);
	bool same = !(version & 1) && p->hash == w->hash &&
		    p->flags == w->flags && p->dirfd == w->dirfd &&
		    p->start == w->start &&
		    !strncmp(p->path, w->path, RK_HOT_PATH_LEN);

	*ret_word = p->word;
	*ret_names = p->names;
	atomic_thread_fence(memory_order_acquire);
	return same && atomic_load_explicit(&p->version, memory_order_relaxed)
	       == version;
}

static void enter(struct rk__hot *h, const struct wanted *w, uint64_t word,
		  uint64_t names)
{
	struct rk__hot_path *p = place_of(h, w);
	uint32_t version = atomic_load(&p->version);

	if ((version & 1) || !atomic_compare_exchange_strong(&p->version,
							     &version,
							     version + 1))
		return;
	atomic_thread_fence(memory_order_seq_cst);
	p->hash = w->hash;
	p->flags = w->flags;
	p->dirfd = w->dirfd;
	p->start = w->start;
	p->word = word;
	p->names = names;
	strcpy(p->path, w->path);
	atomic_store_explicit(&p->version, version + 2, memory_order_release);
}

static int64_t look_for(struct rk_client *c, const struct wanted *w,
			int32_t dirfd, uint64_t names, struct rk_stat *ret)
{
	struct rk_hot hot;
	struct op_look a = {
		.dirfd = dirfd, .path = w->path, .flags = w->flags,
	};
	int64_t r = rk__hot_look(c, &a, &hot);

	if (r == -EOPNOTSUPP || r == -EAGAIN) {
		enter(c->hot, w, RK_HOT_REFUSED, names);
		return RK_HOT_COLD;
	}
	if (r < 0)
		return r;
	enter(c->hot, w, rk__hot_word_of(&hot), names);
	*ret = hot.st;
	return 0;
}

int64_t rk__hot_fstatat(struct rk_client *c, int32_t dirfd, const char *path,
			struct rk_stat *ret, uint32_t flags)
{
	uint64_t word, then, names;
	struct wanted w;

	if (path && !path[0] && (flags & AT_EMPTY_PATH) && dirfd >= 0 &&
	    !(flags & ~(uint32_t)AT_KNOWN))
		return rk__hot_fstat(c, dirfd, ret);
	if (!want_path(c, dirfd, path, flags, &w))
		return RK_HOT_COLD;
	names = atomic_load_explicit(&c->hot->cells->names,
				     memory_order_acquire);
	if (!find(c->hot, &w, &word, &then)) {
		enter(c->hot, &w, 0, names);
		return RK_HOT_COLD;
	}
	if ((word & RK_HOT_REFUSED) && then == names)
		return RK_HOT_COLD;
	if ((word & RK_HOT_KNOWN) && then == names &&
	    rk__hot_stat(rk__hot_cell_of(c->hot, word), word, ret) &&
	    atomic_load_explicit(&c->hot->cells->names,
				 memory_order_acquire) == names)
		return 0;
	return look_for(c, &w, dirfd, names, ret);
}
