/*
 * names_cwd.c - where a process is, and its umask.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "named.h"

/* --- going there -------------------------------------------------------------------- */

/* The descriptor that keeps the directory, where one does. */
static void forget(struct rk__task *t)
{
	struct rk_client *client;

	if (t->cwd.inside && t->cwd.fd != RK_AT_FDCWD &&
	    t->host->client(t, t->cwd.server, &client) == 0)
		(void)rk_close(client, t->cwd.fd);
}

static int64_t went_inside(struct rk__task *t, uint32_t server, int32_t fd)
{
	forget(t);
	t->cwd = (struct rk__cwd){ .inside = true, .server = server, .fd = fd };
	t->host->cwd_changed(t);
	return 0;
}

static int64_t went_outside(struct rk__task *t, int64_t r)
{
	if (r < 0 || !t->cwd.inside)
		return r;
	forget(t);
	t->cwd = (struct rk__cwd){ .inside = false, .fd = RK_AT_FDCWD };
	t->host->cwd_changed(t);
	return r;
}

/* A descriptor of a directory that one may go to. */
static int64_t directory(const struct rk__place *p)
{
	int64_t fd = p->itself ?
		rk__reopen(p, O_PATH | O_DIRECTORY) :
		rk_openat(p->client, p->dirfd, p->path, O_PATH | O_DIRECTORY,
			  0), r;

	if (fd < 0)
		return fd;
	r = rk_faccessat(p->client, (int32_t)fd, "", X_OK,
			 AT_EMPTY_PATH | AT_EACCESS);
	if (r < 0)
		(void)rk_close(p->client, (int32_t)fd);
	return r < 0 ? r : fd;
}

static int64_t enter(struct rk__task *t, const struct rk__place *p)
{
	int64_t fd, r;

	if (!t->cwd_by_fd && p->dirfd == RK_AT_FDCWD) {
		r = rk_chdir(p->client, p->itself ? "." : p->path);
		return r < 0 ? r : went_inside(t, p->server, RK_AT_FDCWD);
	}
	fd = directory(p);
	if (fd < 0 || t->cwd_by_fd)
		return fd < 0 ? fd : went_inside(t, p->server, (int32_t)fd);
	r = rk_fchdir(p->client, (int32_t)fd);
	(void)rk_close(p->client, (int32_t)fd);
	return r < 0 ? r : went_inside(t, p->server, RK_AT_FDCWD);
}

/*
 * The path is one of the host. The kernel goes there for its caller: here, or,
 * for a foreign one, when the call goes on; so it is asked beforehand whether
 * that will succeed.
 */
static enum rk__routed go_outside(struct rk__task *t, const uint64_t arg[6],
				  const struct rk__place *p, int64_t *ret)
{
	int64_t r;

	if (!t->host->foreign)
		return rk__done(ret, went_outside(t, t->host->native(t,
			SYS_chdir, p->moved ? (const uint64_t[6]){
				(uintptr_t)p->path } : arg)));
	if (p->moved)
		return rk__done(ret, went_outside(t, t->host->native(t,
			SYS_chdir, (const uint64_t[6]){ (uintptr_t)p->path })));
	r = t->host->native(t, SYS_faccessat, (const uint64_t[6]){
		(uint64_t)AT_FDCWD, (uintptr_t)p->path, X_OK });
	if (r == 0)
		(void)went_outside(t, 0);
	return RK__NATIVE;
}

static enum rk__routed go(struct rk__task *t, const uint64_t arg[6],
			  struct rk__place *p, int64_t *ret)
{
	enum rk__routed routed;
	int r = t->host->string(t, arg[0], p->path, sizeof p->path);

	if (r <= 0)
		return rk__done(ret, r < 0 ? r : -ENOENT);
	r = rk__place_letters(t, AT_FDCWD, p, RK__FOLLOW);
	if (r == 0 && !p->inside &&
	    rk__wants_exact(t, AT_FDCWD, p, RK__FOLLOW, false))
		r = rk__place_exact(t, AT_FDCWD, p, RK__FOLLOW);
	while (r >= 0) {
		if (!p->inside) {
			routed = go_outside(t, arg, p, ret);
			if (routed == RK__NATIVE || !rk__not_found(*ret) ||
			    p->moved)
				return routed;
			(void)rk__place_exact(t, AT_FDCWD, p, RK__FOLLOW);
			if (!p->inside)
				return RK__DONE;
		}
		*ret = enter(t, p);
		if (*ret != -EXDEV)
			return RK__DONE;
		r = rk__place_leave(t, p, RK__FOLLOW);
		if (r == 0)
			return RK__DONE;
	}
	return rk__done(ret, r);
}

enum rk__routed rk__call_chdir(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	enum rk__routed routed;
	struct rk__place *p;

	if (t->config->over_mount)
		return RK__NATIVE;
	p = malloc(sizeof *p);
	routed = p ? go(t, arg, p, ret) : rk__done(ret, -ENOMEM);
	free(p);
	return routed;
}

enum rk__routed rk__call_fchdir(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	struct rk__target target;

	if (t->config->over_mount)
		return RK__NATIVE;
	if (t->host->find(t, (int)arg[0], &target)) {
		struct rk__place *p = malloc(sizeof *p);
		int64_t r = -ENOMEM;

		if (p) {
			p->server = target.server;
			p->client = target.client;
			p->dirfd = target.fd;
			p->itself = true;
			r = enter(t, p);
		}
		free(p);
		return rk__done(ret, r);
	}
	if (!t->cwd.inside)
		return RK__NATIVE;
	return rk__done(ret, went_outside(t, t->host->native(t, nr, arg)));
}

/* --- being there -------------------------------------------------------------------- */

enum rk__routed rk__call_getcwd(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	struct rk_client *client;
	char *path;
	int64_t r;

	if (!t->cwd.inside)
		return RK__NATIVE;
	path = malloc(RK_PATH_LEN_MAX);
	r = path ? t->host->client(t, t->cwd.server, &client) : -ENOMEM;
	if (r == 0)
		r = t->cwd.fd == RK_AT_FDCWD ?
			rk_getcwd(client, path, RK_PATH_LEN_MAX) :
			rk_resolve(client, t->cwd.fd, "", path,
				   RK_PATH_LEN_MAX - 1,
				   AT_EMPTY_PATH | RK_RESOLVE_WHOLE);
	if (r > 0 && t->cwd.fd != RK_AT_FDCWD)
		path[r++] = 0;
	if (r > 0 && (uint64_t)r > arg[1])
		r = -ERANGE;
	if (r > 0 && t->host->copy_out(t, arg[0], path, (size_t)r) < 0)
		r = -EFAULT;
	free(path);
	return rk__done(ret, r);
}

/* Both have one, and whoever attaches later tells the server. */
enum rk__routed rk__call_umask(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	for (uint32_t i = 0; i < t->config->n_servers; i++) {
		struct rk_client *client = t->host->attached(t, i);

		if (client)
			(void)rk_umask(client, (uint32_t)arg[0] & 0777);
	}
	return RK__NATIVE;
}
