/*
 * names_link.c - calls with two names: rename and link. Both lead into one
 * server, or both to the host; everything else is another file system.
 */
#include <errno.h>
#include <string.h>
#include "named.h"

struct pair {
	long nr;			/* SYS_renameat2 or SYS_linkat */
	uint64_t arg[6];
	unsigned how[2];
	bool empty;			/* the first may be a descriptor alone */
	struct rk__place p[2];
	int dirfd[2];
};

/* 1: it is for the kernel, as it is. Both names are looked at before either is
 * looked for. */
static int begin(struct rk__task *t, struct pair *c)
{
	int r;

	for (unsigned i = 0; i < 2; i++) {
		struct rk__place *p = &c->p[i];

		c->dirfd[i] = (int)c->arg[2 * i];
		r = t->host->string(t, c->arg[2 * i + 1], p->path,
				    sizeof p->path);
		if (r < 0)
			return t->cwd.inside ? r : 1;
		if (!p->path[0] && !(c->empty && i == 0))
			return t->cwd.inside ? -ENOENT : 1;
	}
	for (unsigned i = 0; i < 2; i++) {
		r = rk__place_first(t, c->dirfd[i], &c->p[i], c->how[i]);
		if (r != 0)
			return r;
		if (!c->p[i].path[0])
			c->p[i].itself = c->p[i].inside;
	}
	return 0;
}

/* Whether the kernel knows a directory in which a name of the host is to be:
 * what it says of that comes before that it is another file system. */
static int64_t ask_host(struct rk__task *t, const struct pair *c, unsigned i)
{
	const struct rk__place *p = &c->p[i];
	char target[8];
	int64_t r = t->host->native(t, SYS_readlinkat, (const uint64_t[6]){
		(uint64_t)(int64_t)(p->moved ? AT_FDCWD : c->dirfd[i]),
		(uintptr_t)p->path, (uintptr_t)target, sizeof target });

	if (r == -EINVAL || (r == -ENOENT && i == 1))
		return 0;
	return r < 0 ? r : 0;
}

static int64_t ask_server(const struct pair *c, unsigned i)
{
	const struct rk__place *p = &c->p[i];
	struct rk_stat st;
	int64_t r = rk_fstatat(p->client, p->dirfd, p->path, &st,
			       rk__at_flags(p, c->how[i] & RK__FOLLOW ? 0 :
						       AT_SYMLINK_NOFOLLOW));

	return r == -ENOENT && i == 1 ? 0 : r < 0 ? r : 0;
}

/* Of two file systems: the kernel finds both names' directories first, so what
 * is wrong with the first is said before. */
static int64_t apart(struct rk__task *t, const struct pair *c)
{
	for (unsigned i = 0; i < 2; i++) {
		int64_t r = c->p[i].inside ? ask_server(c, i) :
					     ask_host(t, c, i);

		if (r < 0 && r != -EXDEV)
			return r;
	}
	return -EXDEV;
}

static int64_t together(const struct pair *c)
{
	const struct rk__place *from = &c->p[0], *to = &c->p[1];
	uint32_t flags = (uint32_t)c->arg[4];

	if (c->nr == SYS_renameat2)
		return rk_renameat2(from->client, from->dirfd, from->path,
				    to->dirfd, to->path, flags);
	/* By the name that /proc has for it: with both flags, a descriptor
	 * alone is enough. */
	if (from->itself && !c->empty)
		flags |= AT_EMPTY_PATH | AT_SYMLINK_FOLLOW;
	else if (from->itself)
		flags &= ~(uint32_t)AT_SYMLINK_FOLLOW;
	return rk_linkat(from->client, from->dirfd, from->path, to->dirfd,
			 to->path, flags);
}

static int64_t on_host(struct rk__task *t, const struct pair *c)
{
	uint64_t arg[6];

	memcpy(arg, c->arg, sizeof arg);
	for (unsigned i = 0; i < 2; i++) {
		if (c->p[i].moved)
			arg[2 * i] = (uint64_t)AT_FDCWD;
		if (c->p[i].moved || t->host->foreign)
			arg[2 * i + 1] = (uintptr_t)c->p[i].path;
	}
	return t->host->native(t, c->nr, arg);
}

/* Looks for symlinks of the host in those that are outside. Whether one is in a
 * server now. */
static int exactly(struct rk__task *t, struct pair *c)
{
	bool found = false;

	for (unsigned i = 0; i < 2; i++) {
		int r;

		if (c->p[i].inside || c->p[i].moved)
			continue;
		r = rk__place_exact(t, c->dirfd[i], &c->p[i], c->how[i]);
		if (r < 0)
			return r;
		found |= c->p[i].inside;
	}
	return found;
}

/* Both are outside. 1: not any more. */
static int outside(struct rk__task *t, struct pair *c, enum rk__routed *routed,
		   int64_t *ret)
{
	bool moved = c->p[0].moved || c->p[1].moved;
	int r = 0;

	*routed = RK__DONE;
	if (rk__wants_exact(t, c->dirfd[0], &c->p[0], c->how[0], true) ||
	    rk__wants_exact(t, c->dirfd[1], &c->p[1], c->how[1], true)) {
		r = exactly(t, c);
		if (r != 0) {
			*ret = r;
			return r > 0;
		}
	}
	if (t->host->foreign && !moved) {
		*routed = RK__NATIVE;
		return 0;
	}
	*ret = on_host(t, c);
	if (rk__not_found(*ret))
		r = exactly(t, c);
	return r > 0;
}

/* Whoever leaves goes there. 1: somebody did. */
static int leave(struct rk__task *t, struct pair *c)
{
	int left = 0;

	for (unsigned i = 0; i < 2; i++) {
		int r;

		if (!c->p[i].inside)
			continue;
		r = rk__place_leave(t, &c->p[i], c->how[i]);
		if (r < 0)
			return r;
		left |= r;
	}
	return left;
}

static enum rk__routed pair(struct rk__task *t, struct pair *c, int64_t *ret)
{
	enum rk__routed routed;
	int r = begin(t, c);

	if (r != 0)
		return r > 0 ? RK__NATIVE : rk__done(ret, r);
	for (;;) {
		const struct rk__place *a = &c->p[0], *b = &c->p[1];

		if (!a->inside && !b->inside && !outside(t, c, &routed, ret))
			return routed;
		if (a->inside != b->inside) {
			r = exactly(t, c);
			if (r < 0)
				return rk__done(ret, r);
		}
		*ret = a->inside && b->inside && a->server == b->server ?
			       together(c) : apart(t, c);
		if (*ret != -EXDEV)
			return RK__DONE;
		if (t->config->over_mount)
			return RK__NATIVE;
		r = leave(t, c);
		if (r <= 0)
			return rk__done(ret, r < 0 ? r : -EXDEV);
	}
}

enum rk__routed rk__call_renameat2(struct rk__task *t, long nr,
				   const uint64_t arg[6], int64_t *ret)
{
	return pair(t, &(struct pair){
		.nr = SYS_renameat2,
		.arg = { arg[0], arg[1], arg[2], arg[3], (uint32_t)arg[4] },
		.how = { RK__PARENT, RK__PARENT },
	}, ret);
}

enum rk__routed rk__call_renameat(struct rk__task *t, long nr,
				  const uint64_t arg[6], int64_t *ret)
{
	return rk__call_renameat2(t, nr, (const uint64_t[6]){
		arg[0], arg[1], arg[2], arg[3], 0 }, ret);
}

enum rk__routed rk__call_rename(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	return rk__call_renameat2(t, nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, arg[0], (uint64_t)AT_FDCWD, arg[1], 0 },
		ret);
}

enum rk__routed rk__call_linkat(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	return pair(t, &(struct pair){
		.nr = SYS_linkat,
		.arg = { arg[0], arg[1], arg[2], arg[3], (uint32_t)arg[4] },
		.how = { arg[4] & AT_SYMLINK_FOLLOW ? RK__FOLLOW : 0,
			 RK__PARENT },
		.empty = arg[4] & AT_EMPTY_PATH,
	}, ret);
}

enum rk__routed rk__call_link(struct rk__task *t, long nr,
			      const uint64_t arg[6], int64_t *ret)
{
	return rk__call_linkat(t, nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, arg[0], (uint64_t)AT_FDCWD, arg[1], 0 },
		ret);
}
