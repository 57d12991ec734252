/*
 * walk.c - from a path to a file.
 *
 * The walk keeps a copy of the path and goes through it component by
 * component. A symlink's target replaces what was walked: the rest follows it
 * in the same buffer, so that a path never grows beyond what one may have.
 */
#include <string.h>
#include <unistd.h>
#include "vfs_int.h"
#include "walk.h"

enum { SYMLINKS_MAX = 40 };

static char mount_path[RK_MOUNTS_MAX][RK_PATH_LEN_MAX];
static uint32_t n_paths;

void rk__walk_restart(const struct rk__family *f)
{
	uint32_t i;

	for (i = 0; i < f->n_mounts; i++) {
		size_t n = strnlen(f->mount[i].path, RK_PATH_LEN_MAX - 1);

		/* "/" begins every path: as the empty string it does so
		 * without an exception. */
		while (n > 0 && f->mount[i].path[n - 1] == '/')
			n--;
		memcpy(mount_path[i], f->mount[i].path, n);
		mount_path[i][n] = 0;
	}
	n_paths = f->n_mounts;
}

/* --- which mount ------------------------------------------------------------ */

static const char *skip_slashes(const char *p)
{
	while (*p == '/')
		p++;
	return p;
}

static bool find_mount(const char *path, uint32_t *ret)
{
	uint32_t i;

	for (i = 0; i < n_paths; i++)
		if (rk__core->mount[i].mounted && !strcmp(mount_path[i], path)) {
			*ret = i;
			return true;
		}
	return false;
}

/*
 * The mount that an absolute path leads into, and the rest of the path from
 * its root on. ".." is taken by its letters where there is no mount; within
 * one it ends the search, for there it may mean anything.
 */
static int enter(const char *path, uint32_t *ret_mount, const char **ret_rest)
{
	char seen[RK_PATH_LEN_MAX] = "";
	size_t n = 0, len;
	bool inside = find_mount("", ret_mount);
	const char *p = path;

	*ret_rest = path;
	for (p = skip_slashes(p); *p; p = skip_slashes(p + len)) {
		len = strcspn(p, "/");
		if (len == 1 && p[0] == '.')
			continue;
		if (len == 2 && p[0] == '.' && p[1] == '.') {
			if (inside)
				break;
			while (n > 0 && seen[--n] != '/')
				;
			seen[n] = 0;
			continue;
		}
		if (n + 1 + len >= sizeof seen)
			return -ENAMETOOLONG;
		seen[n++] = '/';
		memcpy(seen + n, p, len);
		n += len;
		seen[n] = 0;
		if (find_mount(seen, ret_mount)) {
			inside = true;
			*ret_rest = p + len;
		}
	}
	return inside ? 0 : -EXDEV;
}

/* --- mounts within mounts -------------------------------------------------------- */

/* The mount that the path of another one begins with, the longest. */
static bool find_below(uint32_t mount, uint32_t *ret)
{
	size_t best = 0;
	bool found = false;

	for (uint32_t i = 0; i < n_paths; i++) {
		size_t n = strlen(mount_path[i]);

		if (i == mount || (found && n < best) ||
		    !rk__core->mount[i].mounted ||
		    strncmp(mount_path[mount], mount_path[i], n) ||
		    mount_path[mount][n] != '/')
			continue;
		found = true;
		best = n;
		*ret = i;
	}
	return found;
}

void rk__walk_cover(uint32_t mount)
{
	static struct rk__walked w;
	const struct rk__cred all = {.checked = true};
	struct rk__mount_state *m = &rk__core->mount[mount];
	uint32_t below;
	const char *path;

	if (!find_below(mount, &below))
		return;
	path = skip_slashes(mount_path[mount] + strlen(mount_path[below]));
	if (rk__walk(&all, rk__node(below, rk__core->mount[below].root), path,
		     RK_WALK_FOLLOW, &w) < 0 ||
	    !S_ISDIR(w.st.mode) || w.node.mount != below)
		return;
	RK_NOTE(m);
	m->stands_on = below + 1;
	m->covers = w.node.ino;
}

/* 1: *n was covered, and is the root of what covers it now. */
static int cross(struct rk__node *n, unsigned flags)
{
	for (uint32_t i = 0; i < n_paths; i++) {
		const struct rk__mount_state *m = &rk__core->mount[i];

		if (m->stands_on != n->mount + 1 || m->covers != n->ino ||
		    !m->mounted)
			continue;
		if (flags & RK_WALK_NO_XDEV)
			return -EXDEV;
		*n = rk__node(i, m->root);
		return 1;
	}
	return 0;
}

/* --- the walk --------------------------------------------------------------- */

struct walk {
	const struct rk__cred *c;
	unsigned flags;
	unsigned symlinks;
	struct rk__node at, start;
	const char *p;			/* what is left, in out->path */
	struct rk__walked *out;
};

static int set_path(struct walk *w, const char *first, size_t n,
		    const char *rest)
{
	size_t m = strlen(rest);

	if (n + m >= sizeof w->out->path)
		return -ENAMETOOLONG;
	memmove(w->out->path + n, rest, m + 1);
	memcpy(w->out->path, first, n);
	w->p = w->out->path;
	return 0;
}

/* What is left is an absolute path that leads to no mount. */
static int outside(struct walk *w)
{
	int r = set_path(w, "", 0, w->p);

	w->out->outside = r == 0;
	return r < 0 ? r : -EXDEV;
}

/* An absolute path stands in the buffer: begin at its mount. */
static int start_absolute(struct walk *w)
{
	uint32_t mount;
	int r;

	if (w->flags & RK_WALK_BENEATH)
		return -EXDEV;
	if (w->flags & RK_WALK_IN_ROOT) {
		w->at = w->start;
		return 0;
	}
	r = enter(w->p, &mount, &w->p);
	if (r == -EXDEV)
		return outside(w);
	if (r == 0)
		w->at = rk__node(mount, rk__core->mount[mount].root);
	return r;
}

/* The target of a symlink may lead to another mount. */
static int start_again(struct walk *w)
{
	uint32_t mount = w->at.mount;
	int r = start_absolute(w);

	return r == 0 && (w->flags & RK_WALK_NO_XDEV) &&
	       w->at.mount != mount ? -EXDEV : r;
}

static int follow(struct walk *w, struct rk__node link, const char *rest)
{
	char target[RK_PATH_LEN_MAX];
	int n, r;

	if (++w->symlinks > SYMLINKS_MAX || (w->flags & RK_WALK_NO_SYMLINKS))
		return -ELOOP;
	n = rk__vfs_readlink(link, target, sizeof target);
	if (n < 0)
		return n;
	if (n == 0)
		return -ENOENT;
	if (memchr(target, 0, (size_t)n))
		return -EUCLEAN;
	r = set_path(w, target, (size_t)n, rest);
	if (r == 0 && w->p[0] == '/')
		r = start_again(w);
	return r;
}

/* ".." at the root of a mount: 1 if the path goes on in another mount. */
static int leave_mount(struct walk *w, const char *rest)
{
	const char *path = mount_path[w->at.mount];
	const char *slash = strrchr(path, '/'), *to;
	char whole[RK_PATH_LEN_MAX];
	size_t n = slash ? (size_t)(slash - path) : 0;
	uint32_t mount;
	int r;

	if (w->at.ino != rk__core->mount[w->at.mount].root || !slash)
		return 0;
	rest = skip_slashes(rest);
	if (n + 1 + strlen(rest) >= sizeof whole)
		return -ENAMETOOLONG;
	memcpy(whole, path, n);
	whole[n] = '/';
	strcpy(whole + n + 1, rest);
	r = enter(whole, &mount, &to);
	if (r == -EXDEV && !(w->flags & RK_WALK_NO_XDEV)) {
		r = set_path(w, whole, n + 1, rest);
		return r < 0 ? r : outside(w);
	}
	if (r < 0)
		return r;
	if ((w->flags & RK_WALK_NO_XDEV) && mount != w->at.mount)
		return -EXDEV;
	w->at = rk__node(mount, rk__core->mount[mount].root);
	r = set_path(w, "", 0, to);
	return r < 0 ? r : 1;
}

/* The walk ends at a directory that no component names. */
static int end_at(struct walk *w, enum rk__last last)
{
	struct rk__walked *o = w->out;

	o->last = last;
	o->dir = o->node = w->at;
	o->found = true;
	return rk__vfs_getattr(w->at, &o->st);
}

static bool follows(const struct walk *w, bool last)
{
	if (!last || (w->flags & RK_WALK_FOLLOW))
		return true;
	return w->out->slash && !(w->flags & RK_WALK_PARENT);
}

/* One component. 1: go on; 0: the walk is over. */
static int step(struct walk *w, const char *name, size_t len)
{
	struct rk__walked *o = w->out;
	const char *rest = name + len;
	bool last = *skip_slashes(rest) == 0;
	struct rk__node to;
	int r;

	o->slash = last && *rest;
	r = rk__vfs_lookup(w->c, w->at, name, len, &o->st);
	if (r == -ENOENT && last && (w->flags & RK_WALK_PARENT)) {
		o->dir = w->at;
		o->name = name;
		o->len = len;
		return 0;
	}
	if (r < 0)
		return r;
	if (S_ISLNK(o->st.mode) && follows(w, last)) {
		r = follow(w, rk__node(w->at.mount, o->st.ino), rest);
		return r < 0 ? r : 1;
	}
	if (!S_ISDIR(o->st.mode) &&
	    (!last || (o->slash && !(w->flags & RK_WALK_PARENT))))
		return -ENOTDIR;
	to = rk__node(w->at.mount, o->st.ino);
	r = S_ISDIR(o->st.mode) ? cross(&to, w->flags) : 0;
	if (r > 0)
		r = rk__vfs_getattr(to, &o->st);
	if (r < 0)
		return r;
	if (last) {
		o->dir = w->at;
		o->node = to;
		o->name = name;
		o->len = len;
		o->found = true;
		return 0;
	}
	w->at = to;
	w->p = rest;
	return 1;
}

/* ".." at the start of a walk that is bound to it. 1: it means "." there. */
static int leave_start(const struct walk *w)
{
	if (!rk__same_node(w->at, w->start))
		return 0;
	if (w->flags & RK_WALK_BENEATH)
		return -EXDEV;
	return w->flags & RK_WALK_IN_ROOT ? 1 : 0;
}

/* "." or "..". 1: go on; 0: the walk is over. */
static int step_dots(struct walk *w, const char *name, size_t len)
{
	const char *rest = name + len;
	struct rk_stat st;
	int r = len == 2 ? leave_start(w) : 0;

	if (r > 0)
		len = 1;
	if (r == 0 && len == 2)
		r = leave_mount(w, rest);
	if (r < 0 || (r > 0 && len == 2))
		return r;
	r = rk__vfs_lookup(w->c, w->at, name, len, &st);
	if (r < 0)
		return r;
	w->at.ino = st.ino;
	w->p = rest;
	if (*skip_slashes(rest))
		return 1;
	return end_at(w, len == 1 ? RK_LAST_DOT : RK_LAST_DOTDOT);
}

static int go(struct walk *w)
{
	size_t len;
	int r;

	do {
		w->p = skip_slashes(w->p);
		len = strcspn(w->p, "/");
		if (len == 0)
			return end_at(w, RK_LAST_ROOT);
		r = rk__is_dots(w->p, len) ? step_dots(w, w->p, len) :
					     step(w, w->p, len);
	} while (r > 0);
	return r;
}

static int check_start(struct walk *w)
{
	int r = rk__vfs_getattr(w->at, &w->out->st);

	return r < 0 || S_ISDIR(w->out->st.mode) ? r : -ENOTDIR;
}

int rk__walk(const struct rk__cred *c, struct rk__node start, const char *path,
	     unsigned flags, struct rk__walked *ret)
{
	struct walk w = {
		.c = c, .flags = flags, .at = start, .start = start,
		.out = ret,
	};
	int r;

	ret->last = RK_LAST_NAME;
	ret->found = ret->slash = ret->outside = false;
	if (!path[0])
		return flags & RK_WALK_EMPTY ? end_at(&w, RK_LAST_ROOT) :
					       -ENOENT;
	r = set_path(&w, path, strlen(path), "");
	if (r == 0 && (path[0] != '/' || (flags & RK_WALK_IN_ROOT)))
		r = check_start(&w);
	if (r == 0 && path[0] == '/')
		r = start_absolute(&w);
	return r < 0 ? r : go(&w);
}

uint32_t rk__walked_home(const struct rk__walked *w)
{
	uint32_t mount = w->dir.mount, on = rk__core->mount[mount].stands_on;

	if (w->last != RK_LAST_ROOT || !mount_path[mount][0])
		return mount;
	return on ? on - 1 : RK_MOUNTS_MAX;
}

/* --- the way back ------------------------------------------------------------- */

struct search {
	uint64_t ino;
	size_t len;			/* 0: not found */
	char name[RK_NAME_LEN_MAX];
};

static int match(void *arg, const char *name, size_t len, uint64_t ino,
		 uint8_t dt_type, uint64_t cookie)
{
	struct search *s = arg;

	if (ino != s->ino || rk__is_dots(name, len) || len > sizeof s->name)
		return 0;
	memcpy(s->name, name, len);
	s->len = len;
	return 1;
}

/* Writes "/name" of `dir` before *at and goes to its parent. */
static int climb(struct rk__node *dir, const char *buf, char **at)
{
	const struct rk__cred all = {.checked = true};
	struct search s = {.ino = dir->ino};
	struct rk_stat st;
	int r = rk__vfs_lookup(&all, *dir, "..", 2, &st);

	if (r == 0) {
		dir->ino = st.ino;
		r = rk__vfs_readdir(*dir, 0, match, &s);
	}
	if (r < 0)
		return r;
	if (!s.len)
		return -ENOENT;
	if ((size_t)(*at - buf) < s.len + 1)
		return -ERANGE;
	*at -= s.len;
	memcpy(*at, s.name, s.len);
	*--*at = '/';
	return 0;
}

int rk__walk_path(struct rk__node dir, char *buf, size_t size)
{
	char path[RK_PATH_LEN_MAX], *at = path + sizeof path - 1;
	const char *top = mount_path[dir.mount];
	uint32_t v = rk__vnode_find(dir);
	size_t n, m = strlen(top);
	int r;

	if (v && rk__core->vnode[v].orphan)
		return -ENOENT;
	*at = 0;
	while (dir.ino != rk__core->mount[dir.mount].root) {
		r = climb(&dir, path, &at);
		if (r < 0)
			return r;
	}
	if (!m && !*at)
		*--at = '/';
	n = strlen(at) + 1;
	if (m + n > size)
		return -ERANGE;
	memcpy(buf, top, m);
	memcpy(buf + m, at, n);
	return (int)(m + n);
}
