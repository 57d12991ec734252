/*
 * view.c - what a program of rump run sees of the host.
 *
 * Theory of operation. Copies of what is to be seen elsewhere are taken first,
 * as trees that hang nowhere: then it does not matter what covers what. With a
 * mount at "/" that one is mounted where /proc was, of which there is a copy,
 * and becomes the root; everything else is attached inside it, by the paths of
 * the program. The server serves already, so what is not there can be made.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "run.h"
#include "supervisor/graft.h"
#include "supervisor/mount.h"
#include "supervisor/namespace.h"

#define HANG_AT "/proc"

/* What every program expects, and no image has. */
static const char *const of_host[] = { "/proc", "/dev", "/sys" };

enum { OF_HOST = sizeof of_host / sizeof *of_host };

struct view {
	const struct run *run;
	bool root;
	int host[OF_HOST], bind[BINDS_MAX];	/* trees, -1: not there */
	int (*mounted)(void *arg, uint32_t i, int fuse);
	void *arg;
	char *error;
};

static bool is_root(const char *path)
{
	return strcmp(path, "/") == 0;
}

void view_each_path(const struct run *r,
		    void (*fn)(void *arg, const char *path), void *arg)
{
	if (!r->config.fuse && !proxy_is_on(r))
		return;
	for (uint32_t i = 0; i < r->config.n_mounts; i++)
		fn(arg, r->config.mount[i].path);
	for (unsigned i = 0; i < r->n_uses; i++)
		for (unsigned k = 0; k < r->use[i].n; k++)
			fn(arg, r->use[i].path[k]);
}

static void note_root(void *arg, const char *path)
{
	*(bool *)arg |= is_root(path);
}

bool view_has_root(const struct run *r)
{
	bool found = false;

	view_each_path(r, note_root, &found);
	return found;
}

static void note_any(void *arg, const char *path)
{
	*(bool *)arg = true;
}

bool view_is_own(const struct run *r)
{
	bool found = r->n_binds > 0;

	if (r->config.fuse)
		view_each_path(r, note_any, &found);
	return found;
}

/* --- the namespace ---------------------------------------------------------------- */

static void add_point(void *arg, const char *path)
{
	struct rk__points *p = arg;

	if (p->n < RK_POINTS_MAX)
		p->path[p->n++] = path;
}

/* Files are bound to files that are there. */
static void add_binds(const struct run *r, struct rk__points *ret)
{
	struct stat st;

	for (unsigned i = 0; i < r->n_binds; i++)
		if (stat(r->bind[i].source, &st) == 0 && S_ISDIR(st.st_mode))
			add_point(ret, r->bind[i].path);
}

static bool inside_any(const struct rk__points *p, const char *path)
{
	for (unsigned i = 0; i < p->n; i++) {
		size_t len = strlen(p->path[i]);

		if (strncmp(path, p->path[i], len) == 0 && path[len] == '/')
			return true;
	}
	return false;
}

static int enter(const struct view *v)
{
	struct rk__points mounts = { .n = 0 }, binds = { .n = 0 };

	if (v->root)
		return rk__namespace_enter(&mounts, v->error);
	view_each_path(v->run, add_point, &mounts);
	add_binds(v->run, &binds);
	/* what is inside a mount is made there */
	for (unsigned i = 0; i < binds.n; i++)
		if (!inside_any(&mounts, binds.path[i]))
			add_point(&mounts, binds.path[i]);
	return rk__namespace_enter(&mounts, v->error);
}

/* --- copies ------------------------------------------------------------------------- */

static int copy_host(struct view *v)
{
	for (unsigned i = 0; i < OF_HOST; i++) {
		v->host[i] = v->root ? rk__graft_clone(of_host[i]) : -ENOENT;
		if (v->host[i] >= 0 || v->host[i] == -ENOENT)
			continue;
		snprintf(v->error, RK_SERVER_ERROR_LEN, "cannot take %s along: "
			 "%s", of_host[i], strerror(-v->host[i]));
		return v->host[i];
	}
	return 0;
}

static int copy_binds(struct view *v)
{
	for (unsigned i = 0; i < v->run->n_binds; i++) {
		const char *source = v->run->bind[i].source;

		v->bind[i] = rk__graft_clone(source);
		if (v->bind[i] >= 0)
			continue;
		snprintf(v->error, RK_SERVER_ERROR_LEN, "cannot bind %.150s: "
			 "%s", source, strerror(-v->bind[i]));
		return v->bind[i];
	}
	return 0;
}

/* --- mounts ------------------------------------------------------------------------- */

static int mount_own(struct view *v, uint32_t i, const char *at)
{
	const struct rk__mount_spec *m = &v->run->config.mount[i];
	struct rk__mount_how how = {
		.source = m->source[0] ? m->source : m->driver,
		.flags = RK_MOUNT_FLAGS | (m->read_only ? MS_RDONLY : 0),
		.allow_other = geteuid() == 0,
	};
	int fuse = -1, e = rk__fuse_mount(at, &how, &fuse, v->error);

	if (!e)
		e = v->mounted(v->arg, i, fuse);
	if (fuse >= 0)
		close(fuse);
	return e;
}

/* Whichever server has it. */
static int mount_root(struct view *v)
{
	const struct run *r = v->run;

	for (uint32_t i = 0; i < r->config.n_mounts; i++)
		if (is_root(r->config.mount[i].path))
			return mount_own(v, i, HANG_AT);
	for (unsigned i = 0; i < r->n_uses; i++)
		for (unsigned k = 0; k < r->use[i].n; k++)
			if (is_root(r->use[i].path[k]))
				return rk__graft_attach(r->use[i].tree[k],
							HANG_AT, false,
							v->error);
	return -ENOENT;
}

static int attach_host(struct view *v)
{
	int e = mount_root(v);

	if (!e)
		e = rk__namespace_pivot(HANG_AT, v->error);
	for (unsigned i = 0; i < OF_HOST && !e; i++)
		if (v->host[i] >= 0)
			e = rk__graft_attach(v->host[i], of_host[i], false,
					     v->error);
	return e;
}

static int attach_uses(struct view *v)
{
	const struct run *r = v->run;
	int e = 0;

	for (unsigned i = 0; i < r->n_uses; i++)
		for (unsigned k = 0; k < r->use[i].n && !e; k++)
			if (!is_root(r->use[i].path[k]))
				e = rk__graft_attach(r->use[i].tree[k],
						     r->use[i].path[k], false,
						     v->error);
	return e;
}

static int mount_others(struct view *v)
{
	const struct rk__config *c = &v->run->config;
	int e = 0;

	for (uint32_t i = 0; i < c->n_mounts && !e; i++) {
		const char *path = c->mount[i].path;

		if (is_root(path))
			continue;
		if (v->root)
			e = rk__graft_directory(path, v->error);
		if (!e)
			e = mount_own(v, i, path);
	}
	return e;
}

static int attach_binds(struct view *v)
{
	const struct run *r = v->run;
	int e = 0;

	for (unsigned i = 0; i < r->n_binds && !e; i++)
		e = rk__graft_attach(v->bind[i], r->bind[i].path,
				     r->bind[i].read_only, v->error);
	return e;
}

int view_make(const struct run *r,
	      int (*mounted)(void *arg, uint32_t i, int fuse), void *arg,
	      char *error)
{
	struct view v = {
		.run = r, .root = view_has_root(r), .mounted = mounted,
		.arg = arg, .error = error,
	};
	char cwd[PATH_MAX];
	int e;

	if (!getcwd(cwd, sizeof cwd))
		cwd[0] = '\0';
	e = enter(&v);
	if (!e)
		e = copy_host(&v);
	if (!e)
		e = copy_binds(&v);
	if (!e && v.root)
		e = attach_host(&v);
	if (!e)
		e = attach_uses(&v);
	if (!e && r->config.fuse)
		e = mount_others(&v);
	if (!e)
		e = attach_binds(&v);
	/* the same path, if the program can see it */
	if (!e && v.root && cwd[0] == '/')
		(void)!chdir(cwd);
	return e;
}
