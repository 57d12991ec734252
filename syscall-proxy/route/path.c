/*
 * path.c - where a path leads.
 *
 * Nearly all paths of a program are the host's and lead nowhere near a mount, so
 * the first question is one that costs nothing: without a component that is
 * called as a mount is, a path leads into none by its letters, wherever it
 * starts. What remains is compared with the mounts' own paths, component by
 * component; the longest wins. In a server the rest is the server's: it knows
 * what ".." and symbolic links mean there.
 *
 * Letters do not know the host's symbolic links. A path that the kernel finds
 * leads there by none, unless the host has something where the mount is. So the
 * exact way, which asks the host about each component, is for paths that the
 * kernel does not find, for those with ".." in front of a mount's name, and for
 * those that come out of a server.
 *
 * Programs call with little stack: what is as long as a path is from malloc,
 * which where this runs inside of them is none of theirs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "path.h"

enum { LINKS_MAX = 40, PATH_SIZE = sizeof ((struct rk__place *)NULL)->path };

/* --- letters ---------------------------------------------------------------------- */

static size_t length_of(const char *component)
{
	size_t n = 0;

	while (component[n] && component[n] != '/')
		n++;
	return n;
}

/* Behind slashes, and components that stay where they are. */
static const char *skip(const char *p)
{
	while (*p == '/' || (*p == '.' && (p[1] == '/' || !p[1])))
		p++;
	return p;
}

static bool is_dotdot(const char *p, size_t n)
{
	return n == 2 && p[0] == '.' && p[1] == '.';
}

static bool has_dotdot(const char *p)
{
	for (size_t n; *(p = skip(p)); p += n) {
		n = length_of(p);
		if (is_dotdot(p, n))
			return true;
	}
	return false;
}

static const char *name_of(const char *mount, size_t *ret)
{
	const char *name = mount;

	for (const char *p = mount; *p; p++)
		if (*p == '/')
			name = p + 1;
	*ret = strlen(name);
	return name;
}

static bool has_component(const char *path, const char *name, size_t len)
{
	for (size_t n; *(path = skip(path)); path += n) {
		n = length_of(path);
		if (n == len && !memcmp(path, name, n))
			return true;
	}
	return false;
}

bool rk__may_lead(const struct rk__proxy_config *c, const char *path)
{
	for (uint32_t i = 0; i < c->n_mounts; i++) {
		size_t n;
		const char *name = name_of(c->mount[i].path, &n);

		if (!n || has_component(path, name, n))
			return true;
	}
	return false;
}

/* What of an absolute path lies behind the mount's own, or NULL. */
static const char *behind(const char *path, const char *mount)
{
	for (;;) {
		size_t n;

		while (*mount == '/')
			mount++;
		if (!*mount)
			return path;
		path = skip(path);
		n = length_of(mount);
		if (length_of(path) != n || memcmp(path, mount, n))
			return NULL;
		path += n;
		mount += n;
	}
}

int rk__mount_of(const struct rk__proxy_config *c, const char *path)
{
	const char *most = NULL;
	int found = -1;

	for (uint32_t i = 0; i < c->n_mounts; i++) {
		const char *rest = behind(path, c->mount[i].path);

		if (rest && (!most || rest > most)) {
			most = rest;
			found = (int)i;
		}
	}
	return found;
}

const char *rk__root_of(const struct rk__proxy_config *c, const char *path)
{
	int mount = path[0] == '/' ? rk__mount_of(c, path) : -1;

	return mount >= 0 && !*skip(behind(path, c->mount[mount].path)) ?
		       c->mount[mount].path : NULL;
}

/* --- the parts --------------------------------------------------------------------- */

static int in_server(struct rk__task *t, struct rk__place *p, uint32_t server,
		     int32_t dirfd)
{
	int r = t->host->client(t, server, &p->client);

	/* What connecting says is not about the path. */
	if (r < 0)
		return r == -ENOMEM || r == -EINTR || r == -ESHUTDOWN ? r : -EIO;
	p->inside = true;
	p->server = server;
	p->dirfd = dirfd;
	return 0;
}

static int in_mount(struct rk__task *t, struct rk__place *p, int mount)
{
	return in_server(t, p, t->config->mount[mount].server, RK_AT_FDCWD);
}

/* Puts another path in front of path + from. */
static int put_before(struct rk__place *p, size_t from, const char *first,
		      size_t n)
{
	size_t rest = strlen(p->path + from) + 1;
	bool slash = p->path[from] && p->path[from] != '/';

	if (n + slash + rest > sizeof p->path)
		return -ENAMETOOLONG;
	memmove(p->path + n + slash, p->path + from, rest);
	memcpy(p->path, first, n);
	if (slash)
		p->path[n] = '/';
	return 0;
}

/* A relative path of the host becomes absolute. */
static int make_absolute(struct rk__task *t, int dirfd, struct rk__place *p)
{
	char *base;
	int r;

	if (p->path[0] == '/')
		return 0;
	base = malloc(PATH_SIZE);
	if (!base)
		return -ENOMEM;
	r = dirfd == AT_FDCWD ? t->host->host_cwd(t, base, PATH_SIZE) :
				t->host->host_path(t, dirfd, base, PATH_SIZE);
	/* What has no path ("(unreachable)") is not near a mount. */
	if (r >= 0)
		r = base[0] == '/' ? put_before(p, 0, base, strlen(base)) :
				     -ENOENT;
	free(base);
	return r;
}

/* --- descriptors by name ------------------------------------------------------------ */

static const char *after(const char *path, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(path, prefix, n) ? NULL : path + n;
}

static const char *number(const char *p, int *ret)
{
	int n = 0;

	if (*p < '0' || *p > '9')
		return NULL;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (n > (INT32_MAX - 9) / 10)
			return NULL;
		n = n * 10 + (*p - '0');
	}
	*ret = n;
	return p;
}

/* Behind "/proc/self", and the other names of who asks. */
static const char *after_self(struct rk__task *t, const char *path)
{
	const char *p = after(path, "/proc/");
	int pid;

	if (!p)
		return NULL;
	if ((path = after(p, "self/")) || (path = after(p, "thread-self/")))
		return path;
	p = number(p, &pid);
	if (!p || *p != '/' || t->host->foreign || pid != getpid())
		return NULL;
	return p + 1;
}

static const char *fd_named(struct rk__task *t, const char *path, int *ret)
{
	static const char *const std[] = { "in", "out", "err" };
	const char *p = after(path, "/dev/"), *rest;

	if (p) {
		for (int i = 0; i < 3; i++) {
			rest = after(p, "std");
			rest = rest ? after(rest, std[i]) : NULL;
			if (rest && (!*rest || *rest == '/')) {
				*ret = i;
				return rest;
			}
		}
		rest = after(p, "fd/");
	} else {
		p = after_self(t, path);
		rest = p ? after(p, "fd/") : NULL;
	}
	rest = rest ? number(rest, ret) : NULL;
	return rest && (!*rest || *rest == '/') ? rest : NULL;
}

/* 1: a server's descriptor or working directory under the name that /proc has
 * for it. The link itself is none of ours. */
static int by_proc(struct rk__task *t, struct rk__place *p, unsigned how)
{
	struct rk__target target;
	const char *rest;
	int fd, r;

	if (p->path[0] != '/' || (p->path[1] != 'p' && p->path[1] != 'd'))
		return 0;
	rest = fd_named(t, p->path, &fd);
	if (rest && (*rest || (how & RK__FOLLOW)) &&
	    t->host->find(t, fd, &target)) {
		r = in_server(t, p, target.server, target.fd);
	} else {
		rest = after_self(t, p->path);
		rest = rest ? after(rest, "cwd") : NULL;
		if (!rest || (*rest ? *rest != '/' : !(how & RK__FOLLOW)) ||
		    !t->cwd.inside)
			return 0;
		r = in_server(t, p, t->cwd.server, t->cwd.fd);
	}
	if (r < 0)
		return r;
	while (*rest == '/')
		rest++;
	memmove(p->path, rest, strlen(rest) + 1);
	p->itself = !*rest;
	return 1;
}

int rk__place_proc(struct rk__task *t, struct rk__place *p)
{
	int r;

	p->itself = false;
	r = by_proc(t, p, RK__FOLLOW);
	return r > 0 ? p->itself : r;
}

int64_t rk__path_of(const struct rk__place *p, char *ret, size_t size)
{
	return rk_resolve(p->client, p->dirfd,
			  p->dirfd == RK_AT_FDCWD ? "." : "", ret, size,
			  AT_EMPTY_PATH | RK_RESOLVE_WHOLE);
}

/* --- the exact way ------------------------------------------------------------------ */

/* A directory that is there because a mount is below it. */
static bool leads_to_mount(const struct rk__proxy_config *c, const char *path)
{
	size_t n = strlen(path);

	for (uint32_t i = 0; i < c->n_mounts; i++)
		if (!strncmp(c->mount[i].path, path, n) &&
		    c->mount[i].path[n] == '/')
			return true;
	return false;
}

static int find_mount(const struct rk__proxy_config *c, const char *path)
{
	for (uint32_t i = 0; i < c->n_mounts; i++)
		if (!strcmp(c->mount[i].path, path))
			return (int)i;
	return -1;
}

/*
 * What was walked is path[0, *done), without a slash at its end; the rest stands
 * behind. 1: the link at path[0, end) was followed; 0: it is none; -ENOENT:
 * nobody finds it.
 */
static int follow_link(struct rk__task *t, struct rk__place *p, size_t *done,
		       size_t end, char target[PATH_SIZE])
{
	char was = p->path[end];
	int64_t n;
	int r;

	p->path[end] = 0;
	n = t->host->native(t, SYS_readlink, (const uint64_t[6]){
		(uintptr_t)p->path, (uintptr_t)target, PATH_SIZE - 1 });
	if (n == -ENOENT && leads_to_mount(t->config, p->path))
		n = -EINVAL;
	p->path[end] = was;
	if (n == -EINVAL)
		return 0;
	if (n <= 0)
		return -ENOENT;
	target[n] = 0;
	if (target[0] == '/') {
		*done = 0;
	} else if (*done + 1 + (size_t)n < PATH_SIZE) {
		memmove(target + *done + 1, target, (size_t)n + 1);
		memcpy(target, p->path, *done);
		target[*done] = '/';
		n += (int64_t)*done + 1;
	} else {
		return -ENAMETOOLONG;
	}
	r = put_before(p, end, target, (size_t)n);
	return r < 0 ? r : 1;
}

/* Takes the last component off. */
static size_t parent_of(const char *path, size_t done)
{
	while (done > 0 && path[--done] != '/')
		;
	return done;
}

static bool in_proc(const char *path)
{
	const char *rest = after(path, "/proc");

	return rest && (!*rest || *rest == '/');
}

static int exact(struct rk__task *t, struct rk__place *p, unsigned how,
		 char target[PATH_SIZE])
{
	unsigned links = 0;
	size_t done = 0, n;
	int r;

	for (;;) {
		char *at = p->path + done;
		const char *next = skip(at);
		bool last;

		if (!*next)
			return 0;
		n = length_of(next);
		if (is_dotdot(next, n)) {
			done = parent_of(p->path, done);
			memmove(p->path + done, next + n, strlen(next + n) + 1);
			continue;
		}
		memmove(at + 1, next, strlen(next) + 1);
		*at = '/';
		at += 1 + n;
		n = (size_t)(at - p->path);
		last = !*at;
		p->path[n] = 0;
		r = find_mount(t->config, p->path);
		if (!last)
			p->path[n] = '/';
		if (r >= 0)
			return in_mount(t, p, rk__mount_of(t->config, p->path));
		if (in_proc(p->path)) {
			r = by_proc(t, p, how);
			return r < 0 ? r : 0;
		}
		if (last && !(how & RK__FOLLOW))
			return 0;
		r = follow_link(t, p, &done, n, target);
		if (r == 0)
			done = n;
		else if (r < 0)
			return r == -ENOENT ? 0 : r;
		else if (++links > LINKS_MAX)
			return -ELOOP;
	}
}

int rk__place_exact(struct rk__task *t, int dirfd, struct rk__place *p,
		    unsigned how)
{
	int r = make_absolute(t, dirfd, p);
	char *target;

	if (r < 0)
		return r == -ENAMETOOLONG || r == -ENOMEM ? r : 0;
	target = malloc(PATH_SIZE);
	if (!target)
		return -ENOMEM;
	r = exact(t, p, how, target);
	free(target);
	return r;
}

/* --- a mount of another server below ------------------------------------------------ */

/*
 * A relative path that starts in a server, and names a mount: another server's
 * may be below it, which the first does not know. 1: there it leads; *p is as it
 * was otherwise.
 */
static int nested(struct rk__task *t, struct rk__place *p)
{
	char *base;
	int64_t n;
	int mount;

	if (t->config->n_servers < 2 || !rk__may_lead(t->config, p->path))
		return 0;
	base = malloc(PATH_SIZE);
	if (!base)
		return -ENOMEM;
	n = rk_resolve(p->client, p->dirfd, p->dirfd == RK_AT_FDCWD ? "." : "",
		       base, PATH_SIZE, AT_EMPTY_PATH | RK_RESOLVE_WHOLE);
	mount = n > 0 ? put_before(p, 0, base, (size_t)n) : -1;
	free(base);
	if (mount < 0)
		return 0;
	mount = rk__mount_of(t->config, p->path);
	if (mount < 0 || t->config->mount[mount].server == p->server) {
		memmove(p->path, p->path + n + 1, strlen(p->path + n));
		return 0;
	}
	n = in_mount(t, p, mount);
	return n < 0 ? (int)n : 1;
}

/* --- all together ------------------------------------------------------------------- */

int rk__place_letters(struct rk__task *t, int dirfd, struct rk__place *p,
		      unsigned how)
{
	bool apart = t->cwd_apart && dirfd == AT_FDCWD && p->path[0] &&
		     p->path[0] != '/';
	struct rk__target target;
	int mount, r;

	p->inside = p->itself = p->moved = false;
	p->leaves = 0;
	p->dirfd = RK_AT_FDCWD;
	if (p->path[0] == '/') {
		r = by_proc(t, p, how);
		if (r != 0)
			return r < 0 ? r : 0;
	} else if (dirfd == AT_FDCWD ? t->cwd.inside :
				       t->host->find(t, dirfd, &target)) {
		r = dirfd == AT_FDCWD ?
			in_server(t, p, t->cwd.server, t->cwd.fd) :
			in_server(t, p, target.server, target.fd);
		if (r == 0 && p->path[0])
			r = nested(t, p);
		return r < 0 ? r : 0;
	}
	if (!apart && !rk__may_lead(t->config, p->path))
		return 0;
	r = make_absolute(t, dirfd, p);
	if (r < 0)
		return apart || r == -ENAMETOOLONG || r == -ENOMEM ? r : 0;
	p->moved = apart;
	mount = rk__mount_of(t->config, p->path);
	if (mount >= 0)
		return in_mount(t, p, mount);
	return has_dotdot(p->path) ?
		rk__place_exact(t, AT_FDCWD, p, how) : 0;
}

int rk__place(struct rk__task *t, int dirfd, const char *path, unsigned how,
	      struct rk__place *ret)
{
	size_t n = strlen(path) + 1;
	int r;

	if (n > sizeof ret->path)
		return -ENAMETOOLONG;
	memmove(ret->path, path, n);
	r = rk__place_letters(t, dirfd, ret, how);
	return r < 0 || ret->inside ? r : rk__place_exact(t, dirfd, ret, how);
}

int rk__place_leave(struct rk__task *t, struct rk__place *p, unsigned how)
{
	uint32_t flags = (how & RK__FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW) |
			 (how & RK__PARENT ? RK_RESOLVE_PARENT : 0);
	uint8_t leaves = p->leaves;
	int64_t r;
	int mount;

	if (p->itself)
		return 0;
	r = rk_resolve(p->client, p->dirfd, p->path, p->path,
		       sizeof p->path - 1, flags);
	if (r <= 0)
		return r == -EXDEV ? 0 : (int)r;
	if ((uint64_t)r >= sizeof p->path)
		return -EPROTO;
	if (++leaves > LINKS_MAX)
		return -ELOOP;
	p->path[r] = 0;
	p->inside = false;
	p->moved = true;
	p->leaves = leaves;
	p->dirfd = RK_AT_FDCWD;
	/* Another server's, most likely; its own would not have said so. */
	mount = rk__mount_of(t->config, p->path);
	r = mount >= 0 ? in_mount(t, p, mount) :
			 rk__place_exact(t, AT_FDCWD, p, how);
	return r < 0 ? (int)r : 1;
}
