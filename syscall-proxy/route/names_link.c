/*
 * names_link.c - calls with two names: rename and link. Both lead into one
 * server, or both to the host; everything else is another file system.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "named.h"

struct pair {
	long nr;			/* SYS_renameat2 or SYS_linkat */
	uint64_t arg[6];
	unsigned how[2];
	bool empty;			/* the first may be a descriptor alone */
	struct rk__place p[2];
	int dirfd[2];
};

/* One of the names is none, and `why` not; but the kernel may have something to
 * say before. */
static int native_without(struct rk__task *t, struct pair *c, int why)
{
	uint64_t path = (uintptr_t)c->p[0].path;
	int64_t r;

	memset(c->p[0].path, '/', sizeof c->p[0].path);
	r = t->host->native(t, c->nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, path, (uint64_t)AT_FDCWD, path, c->arg[4] });
	return r == -ENAMETOOLONG || r >= 0 ? why : (int)r;
}

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
		if (r >= 0 && !p->path[0] && !(c->empty && i == 0))
			r = -ENOENT;
		if (r < 0)
			return t->cwd.inside ? native_without(t, c, r) : 1;
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

/* The directory in which a name of the host is. */
static int64_t ask_host(struct rk__task *t, const struct pair *c, unsigned i)
{
	const struct rk__place *p = &c->p[i];
	size_t n = strlen(p->path);
	char *dir;
	int64_t r;

	while (n > 0 && p->path[n - 1] == '/')
		n--;
	while (n > 0 && p->path[n - 1] != '/')
		n--;
	if (!n)
		return 0;
	dir = malloc(n + 1);
	if (!dir)
		return -ENOMEM;
	memcpy(dir, p->path, n);
	dir[n] = 0;
	r = t->host->native(t, SYS_faccessat, (const uint64_t[6]){
		(uint64_t)(int64_t)(p->moved ? AT_FDCWD : c->dirfd[i]),
		(uintptr_t)dir, F_OK });
	free(dir);
	return r;
}

static int64_t ask_server(const struct pair *c, unsigned i)
{
	const struct rk__place *p = &c->p[i];
	char none[1];
	int64_t r;

	if (p->itself)
		return 0;
	r = rk_resolve(p->client, p->dirfd, p->path, none, sizeof none,
		       AT_SYMLINK_NOFOLLOW | RK_RESOLVE_PARENT);
	return r == -ERANGE ? -EXDEV : r < 0 ? r : 0;
}

/* Whether there is such a file. */
static bool is_there(struct rk__task *t, const struct pair *c, unsigned i)
{
	const struct rk__place *p = &c->p[i];
	bool follow = c->how[i] & RK__FOLLOW;
	struct rk_stat st;
	char target[8];

	if (p->inside)
		return rk_fstatat(p->client, p->dirfd, p->path, &st,
				  rk__at_flags(p, follow ? 0 :
					       AT_SYMLINK_NOFOLLOW)) == 0;
	return !rk__not_found(t->host->native(t, SYS_readlinkat,
		(const uint64_t[6]){
			(uint64_t)(int64_t)(p->moved ? AT_FDCWD : c->dirfd[i]),
			(uintptr_t)p->path, (uintptr_t)target,
			sizeof target }));
}

/*
 * Of two file systems. In the kernel's order: rename finds both directories
 * first; link finds its file, then that the new name is free.
 */
static int64_t apart(struct rk__task *t, const struct pair *c)
{
	for (unsigned i = 0; i < 2; i++) {
		int64_t r = c->p[i].inside ? ask_server(c, i) :
					     ask_host(t, c, i);

		if (r < 0)
			return r;
		if (c->nr == SYS_linkat && is_there(t, c, i) != (i == 0))
			return i == 0 ? -ENOENT : -EEXIST;
	}
	return -EXDEV;
}

/* In which file system the directory is that holds a name: a server, or -1. A
 * mount's root is a name of what it is mounted on. */
static int holder(struct rk__task *t, const struct rk__place *p)
{
	const char *root = p->inside && p->dirfd == RK_AT_FDCWD ?
				   rk__root_of(t->config, p->path) : NULL;
	int found = -1;

	if (!p->inside || (!root && !p->itself))
		return p->inside ? (int)p->server : -1;
	if (!root)
		return -2;
	for (uint32_t i = 0; i < t->config->n_mounts; i++) {
		const char *path = t->config->mount[i].path;
		size_t n = strlen(path);

		if (path != root && !strncmp(root, path, n) && root[n] == '/')
			found = (int)t->config->mount[i].server;
	}
	return found;
}

/* A rename of, or onto, a mount's root: -EBUSY, if both are names of one file
 * system. 0: neither is one. */
static int64_t rename_root(struct rk__task *t, const struct pair *c)
{
	bool root = false;

	for (unsigned i = 0; i < 2; i++)
		root |= c->p[i].inside && !c->p[i].itself &&
			c->p[i].dirfd == RK_AT_FDCWD &&
			rk__root_of(t->config, c->p[i].path);
	if (!root)
		return 0;
	return holder(t, &c->p[0]) == holder(t, &c->p[1]) ? -EBUSY : -EXDEV;
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

static enum rk__routed go(struct rk__task *t, struct pair *c, int64_t *ret)
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
		*ret = c->nr == SYS_renameat2 ? rename_root(t, c) : 0;
		if (*ret < 0)
			return RK__DONE;
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

static enum rk__routed pair(struct rk__task *t, long nr, const uint64_t arg[6],
			    unsigned first, bool empty, int64_t *ret)
{
	struct pair *c = malloc(sizeof *c);
	enum rk__routed routed;

	if (!c)
		return rk__done(ret, -ENOMEM);
	c->nr = nr;
	memcpy(c->arg, arg, sizeof c->arg);
	c->arg[4] = (uint32_t)arg[4];
	c->how[0] = first;
	c->how[1] = RK__PARENT;
	c->empty = empty;
	routed = go(t, c, ret);
	free(c);
	return routed;
}

enum rk__routed rk__call_renameat2(struct rk__task *t, long nr,
				   const uint64_t arg[6], int64_t *ret)
{
	return pair(t, SYS_renameat2, arg, RK__PARENT, false, ret);
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
	return pair(t, SYS_linkat, arg,
		    arg[4] & AT_SYMLINK_FOLLOW ? RK__FOLLOW : 0,
		    arg[4] & AT_EMPTY_PATH, ret);
}

enum rk__routed rk__call_link(struct rk__task *t, long nr,
			      const uint64_t arg[6], int64_t *ret)
{
	return rk__call_linkat(t, nr, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, arg[0], (uint64_t)AT_FDCWD, arg[1], 0 },
		ret);
}
