/*
 * named.c - a call that names one file.
 *
 * What is outside of the servers is the kernel's. In the caller's own process it
 * is tried, and if the kernel finds no such file, the host's symbolic links are
 * looked at: they may lead to a mount that the kernel does not know. For another
 * process that is done beforehand, since the kernel's answer is not seen.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "named.h"

/* --- outside ----------------------------------------------------------------------- */

static enum rk__hides most_hidden(const struct rk__proxy_config *c)
{
	uint32_t most = RK__HIDES_NOTHING;

	for (uint32_t i = 0; i < c->n_mounts; i++)
		if (c->mount[i].hides > most)
			most = c->mount[i].hides;
	return most;
}

bool rk__wants_exact(struct rk__task *t, int dirfd, const struct rk__place *p,
		     unsigned how, bool creates)
{
	enum rk__hides hides = most_hidden(t->config);
	char target[8];
	int64_t r;

	if (hides == RK__HIDES_FILES || (creates && hides))
		return true;
	if (!t->host->foreign && !((how & RK__FOLLOW) && (hides || creates)))
		return false;
	r = t->host->native(t, SYS_readlinkat, (const uint64_t[6]){
		(uint64_t)(int64_t)dirfd, (uintptr_t)p->path,
		(uintptr_t)target, sizeof target });
	if (r >= 0)
		return how & RK__FOLLOW;
	return t->host->foreign && rk__not_found(r);
}

static bool comes_out(unsigned points)
{
	return points == RK__OUT || points == RK__OUT_BY || points == RK__INOUT;
}

static uint64_t lent(struct rk__task *t, const struct rk__named *n,
		     unsigned i, char *string, uint64_t *ret_size)
{
	unsigned points = n->memory[i].points;
	uint64_t at = n->arg[n->memory[i].word], size = n->memory[i].size;
	void *room;

	if (points == RK__STRING)
		return t->host->string(t, at, string, RK_PATH_LEN_MAX) < 0 ?
			       0 : (uintptr_t)string;
	if (points == RK__IN_BY || points == RK__OUT_BY)
		size = n->arg[size];
	*ret_size = size = size < RK_XATTR_SIZE_MAX ? size : RK_XATTR_SIZE_MAX;
	if (!comes_out(points))
		return (uintptr_t)t->host->in(t, at, size);
	room = t->host->out(t, at, size);
	if (room && points == RK__INOUT &&
	    t->host->copy_in(t, room, at, size) < 0) {
		(void)t->host->out_done(t, at, room, 0);
		room = NULL;
	}
	return (uintptr_t)room;
}

/* The host's own call, for a foreign caller: in a process whose stack is ours. */
__attribute__((noinline))
static int64_t native_foreign(struct rk__task *t, const struct rk__named *n,
			      uint64_t arg[6])
{
	char string[2][RK_PATH_LEN_MAX];
	uint64_t size[2] = { 0, 0 };
	int64_t r = 0;

	for (unsigned i = 0; i < 2; i++) {
		uint8_t word = n->memory[i].word;

		if (n->memory[i].points == RK__NOWHERE || !n->arg[word])
			continue;
		arg[word] = lent(t, n, i, string[i], &size[i]);
		if (!arg[word])
			r = -EFAULT;
	}
	if (r == 0)
		r = t->host->native(t, n->nr, arg);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t word = n->memory[i].word, points = n->memory[i].points;
		uint64_t used = r < 0 && points != RK__INOUT ? 0 : size[i];
		int e;

		if (!comes_out(points) || !n->arg[word] || !arg[word])
			continue;
		if (points == RK__OUT_BY && (uint64_t)r < used)
			used = (uint64_t)r;
		e = t->host->out_done(t, n->arg[word],
				      (void *)(uintptr_t)arg[word], used);
		r = e < 0 ? e : r;
	}
	if (n->opens && r >= 0)
		r = t->host->install_host(t, (int)r, n->cloexec ? O_CLOEXEC : 0);
	return r;
}

static int64_t native_moved(struct rk__task *t, const struct rk__named *n,
			    const struct rk__place *p)
{
	uint64_t arg[6];

	memcpy(arg, n->arg, sizeof arg);
	arg[n->path] = (uintptr_t)p->path;
	if (n->dirfd != RK__NO_WORD)
		arg[n->dirfd] = (uint64_t)AT_FDCWD;
	return t->host->foreign ? native_foreign(t, n, arg) :
				  t->host->native(t, n->nr, arg);
}

/*
 * No path was read, and `why` not; but the kernel may have something to say
 * before. What it would read now may be another: it gets one that is too long,
 * and has no end.
 */
static int64_t native_without(struct rk__task *t, const struct rk__named *n,
			      struct rk__place *p, int why)
{
	int64_t r;

	memset(p->path, '/', sizeof p->path);
	r = native_moved(t, n, p);
	return r == -ENAMETOOLONG || r == -ENOSYS ? why : r;
}

/* p->inside afterwards: it is none of the host's after all. */
static enum rk__routed outside(struct rk__task *t, const struct rk__named *n,
			       int dirfd, struct rk__place *p, int64_t *ret)
{
	int r;

	if (p->moved)
		return rk__done(ret, native_moved(t, n, p));
	if (rk__wants_exact(t, dirfd, p, n->how, n->creates)) {
		r = rk__place_exact(t, dirfd, p, n->how);
		return r < 0 ? rk__done(ret, r) : RK__NATIVE;
	}
	if (t->host->foreign)
		return RK__NATIVE;
	*ret = t->host->native(t, n->nr, n->arg);
	if (rk__not_found(*ret))
		(void)rk__place_exact(t, dirfd, p, n->how);
	return RK__DONE;
}

/* --- everywhere ---------------------------------------------------------------------- */

int rk__place_first(struct rk__task *t, int dirfd, struct rk__place *p,
		    unsigned how)
{
	if (!t->config->over_mount)
		return rk__place_letters(t, dirfd, p, how);
	if (p->path[0] != '/' || rk__mount_of(t->config, p->path) < 0)
		return 1;
	return rk__place_letters(t, dirfd, p, how);
}

static int read_path(struct rk__task *t, const struct rk__named *n,
		     struct rk__place *p)
{
	uint64_t at = n->arg[n->path];
	int r = 0;

	/* Linux 6.11 takes NULL for "". */
	if (!at && n->empty)
		p->path[0] = 0;
	else
		r = t->host->string(t, at, p->path, sizeof p->path);
	return r < 0 ? r : p->path[0] || n->empty ? 0 : -ENOENT;
}

/* 1: it is for the kernel, as it is. */
static int begin(struct rk__task *t, const struct rk__named *n, int dirfd,
		 struct rk__place *p)
{
	int r;

	if (t->config->over_mount && n->no_mount)
		return 1;
	r = rk__place_first(t, dirfd, p, n->how);
	if (r == 0 && !p->path[0]) {
		if (!p->inside)
			return 1;
		p->itself = true;
	}
	return r;
}

static enum rk__routed go(struct rk__task *t, const struct rk__named *n,
			  struct rk__place *p, int64_t *ret)
{
	int dirfd = n->dirfd == RK__NO_WORD ? AT_FDCWD : (int)n->arg[n->dirfd];
	int r = read_path(t, n, p);

	/* The kernel says the same, or has something to say before. */
	if (r < 0)
		return t->cwd.inside && t->host->foreign ?
			       rk__done(ret, native_without(t, n, p, r)) :
			       RK__NATIVE;
	r = begin(t, n, dirfd, p);
	if (r != 0)
		return r > 0 ? RK__NATIVE : rk__done(ret, r);
	for (;;) {
		enum rk__routed routed = RK__DONE;

		if (!p->inside)
			routed = outside(t, n, dirfd, p, ret);
		if (!p->inside)
			return routed;
		*ret = n->inside(t, n, p);
		if (*ret != -EXDEV || n->bound)
			return RK__DONE;
		if (t->config->over_mount)
			return RK__NATIVE;
		r = rk__place_leave(t, p, n->how);
		if (r <= 0)
			return rk__done(ret, r < 0 ? r : -EXDEV);
	}
}

enum rk__routed rk__named(struct rk__task *t, const struct rk__named *n,
			  int64_t *ret)
{
	struct rk__place *p = malloc(sizeof *p);
	enum rk__routed routed = p ? go(t, n, p, ret) : rk__done(ret, -ENOMEM);

	free(p);
	return routed;
}
