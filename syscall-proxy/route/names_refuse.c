/*
 * names_refuse.c - calls that name a file of a server and that only the kernel's
 * own files can serve. Each is refused with the error that a file system gives
 * which cannot do it; on the host's files they are the host's.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "named.h"

/* A path of a server gets `error` if there is such a file, and what the server
 * says if not. */
static int64_t refuse(struct rk__task *t, const struct rk__named *n,
		      struct rk__place *p)
{
	struct rk_stat st;
	int64_t r = rk_fstatat(p->client, p->dirfd, p->path, &st,
			       rk__at_flags(p, n->how & RK__FOLLOW ? 0 :
						       AT_SYMLINK_NOFOLLOW));

	return r < 0 ? r : (int64_t)n->arg[5];
}

static enum rk__routed refused(struct rk__task *t, long nr,
			       const uint64_t arg[6], unsigned path,
			       unsigned dirfd, int error, int64_t *ret)
{
	struct rk__named n = {
		.nr = nr, .path = (uint8_t)path, .dirfd = (uint8_t)dirfd,
		.how = RK__FOLLOW, .no_mount = true, .inside = refuse,
	};

	memcpy(n.arg, arg, 5 * sizeof n.arg[0]);
	n.arg[5] = (uint64_t)(int64_t)-error;
	return rk__named(t, &n, ret);
}

#define REFUSED(name, path, dirfd, error)				\
enum rk__routed rk__call_##name(struct rk__task *t, long nr,		\
				const uint64_t arg[6], int64_t *ret)	\
{									\
	return refused(t, nr, arg, path, dirfd, error, ret);		\
}

/* Notices are the kernel's: as if it had no room for a watch, which programs
 * answer by looking themselves. */
REFUSED(inotify_add_watch, 1, RK__NO_WORD, ENOSPC)
REFUSED(swapon, 0, RK__NO_WORD, EINVAL)
REFUSED(swapoff, 0, RK__NO_WORD, EINVAL)
REFUSED(acct, 0, RK__NO_WORD, EACCES)
REFUSED(uselib, 0, RK__NO_WORD, EACCES)
REFUSED(umount2, 0, RK__NO_WORD, EBUSY)

/* As of a file system that cannot be watched: five words are its own. */
enum rk__routed rk__call_fanotify_mark(struct rk__task *t, long nr,
				       const uint64_t arg[6], int64_t *ret)
{
	return arg[4] ? refused(t, nr, arg, 4, 3, ENODEV, ret) : RK__NATIVE;
}

/* --- what would make paths and descriptors mean something else -------------------- */

/* Paths are compared with the mounts by their letters, so the root stays what it
 * is, also if it is the host's that is named. */
enum rk__routed rk__call_chroot(struct rk__task *t, long nr,
				const uint64_t arg[6], int64_t *ret)
{
	*ret = -EPERM;
	return RK__DONE;
}

enum rk__routed rk__call_pivot_root(struct rk__task *t, long nr,
				    const uint64_t arg[6], int64_t *ret)
{
	*ret = -EPERM;
	return RK__DONE;
}

/* A process has one directory, one table of descriptors, one user for its
 * servers, in all of its threads. */
enum rk__routed rk__call_unshare(struct rk__task *t, long nr,
				 const uint64_t arg[6], int64_t *ret)
{
	*ret = -EPERM;
	return arg[0] & (CLONE_FS | CLONE_FILES | CLONE_NEWNS | CLONE_NEWUSER) ?
	       RK__DONE : RK__NATIVE;
}

enum rk__routed rk__call_setns(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	const uint64_t harmless = CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS |
				  CLONE_NEWCGROUP | CLONE_NEWPID;

	*ret = -EPERM;
	return arg[1] && !(arg[1] & ~harmless) ? RK__NATIVE : RK__DONE;
}

/* A mount of the kernel on a directory of ours would be one that nobody sees.
 * One whose place a server had to find for a foreign caller goes without
 * options. */
enum rk__routed rk__call_mount(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = nr, .path = 1, .dirfd = RK__NO_WORD, .how = RK__FOLLOW,
		.arg = { arg[0], arg[1], arg[2], arg[3],
			 t->host->foreign ? 0 : arg[4], (uint64_t)-EPERM },
		.no_mount = true, .inside = refuse,
		.memory = { { RK__STRING, 0, 0 }, { RK__STRING, 2, 0 } },
	}, ret);
}

/* --- handles ---------------------------------------------------------------------- */

/* struct file_handle, with room for what ours is made of. */
struct handle {
	uint32_t bytes;
	int32_t type;
	struct rk_file_handle file;
};

static int64_t do_handle(struct rk__task *t, const struct rk__named *n,
			 struct rk__place *p)
{
	struct handle h = { .type = RK__HANDLE_TYPE };
	const uint32_t size = sizeof h.file;
	uint32_t room;
	int32_t mount = (int32_t)p->server;
	int r = t->host->copy_in(t, &room, n->arg[2], sizeof room);
	int64_t done;

	if (r < 0)
		return r;
	if (room > 128)
		return -EINVAL;
	done = rk_name_to_handle_at(p->client, p->dirfd, p->path, &h.file,
		(uint32_t)n->arg[4] | (p->itself ? AT_EMPTY_PATH : 0));
	if (done < 0)
		return done;
	h.bytes = size;
	r = t->host->copy_out(t, n->arg[3], &mount, sizeof mount);
	if (r == 0)
		r = t->host->copy_out(t, n->arg[2], &h,
				      room < size ? 8 : sizeof h);
	return r < 0 ? r : room < size ? -EOVERFLOW : 0;
}

enum rk__routed rk__call_name_to_handle_at(struct rk__task *t, long nr,
					   const uint64_t arg[6], int64_t *ret)
{
	return rk__named(t, &(struct rk__named){
		.nr = nr, .arg = { arg[0], arg[1], arg[2], arg[3], arg[4] },
		.path = 1, .how = arg[4] & AT_SYMLINK_FOLLOW ? RK__FOLLOW : 0,
		.empty = arg[4] & AT_EMPTY_PATH, .no_mount = true,
		.inside = do_handle,
		.memory = { { RK__INOUT, 2, 8 + 128 }, { RK__OUT, 3, 4 } },
	}, ret);
}

/* --- sockets ---------------------------------------------------------------------- */

/*
 * The kernel finds a socket by its own inode, so none can be bound to, or found
 * by, a name of a server. As of a file system that has no sockets.
 */
static int64_t no_name(const struct rk__place *p)
{
	char none[1];
	struct rk_stat st;
	int64_t r = rk_resolve(p->client, p->dirfd, p->path, none, sizeof none,
			       AT_SYMLINK_NOFOLLOW | RK_RESOLVE_PARENT);

	if (r < 0)
		return r == -ERANGE ? -EXDEV : r;
	r = rk_fstatat(p->client, p->dirfd, p->path, &st, AT_SYMLINK_NOFOLLOW);
	return r == 0 ? -EADDRINUSE : -EADDRNOTAVAIL;
}

static int64_t no_peer(const struct rk__place *p)
{
	struct rk_stat st;
	int64_t r = rk_fstatat(p->client, p->dirfd, p->path, &st, 0);

	return r < 0 ? r : -ECONNREFUSED;
}

/* Out of a server, to a name of the host. */
static int64_t moved(struct rk__task *t, long nr, const uint64_t arg[6],
		     const struct rk__place *p)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	size_t n = strlen(p->path) + 1;

	if (n > sizeof a.sun_path)
		return -ENAMETOOLONG;
	memcpy(a.sun_path, p->path, n);
	return t->host->native(t, nr, (const uint64_t[6]){
		arg[0], (uintptr_t)&a, sizeof a.sun_family + n });
}

/* 1: *ret says it; 0: it is the kernel's; or a negative errno. */
static int at_name(struct rk__task *t, long nr, const uint64_t arg[6],
		   struct rk__place *p, int64_t *ret)
{
	unsigned how = nr == SYS_connect ? RK__FOLLOW : RK__PARENT;
	int r = rk__place(t, AT_FDCWD, p->path, how, p);

	while (r >= 0) {
		if (!p->inside && p->moved)
			*ret = moved(t, nr, arg, p);
		if (!p->inside)
			return p->moved;
		*ret = nr == SYS_connect ? no_peer(p) : no_name(p);
		if (*ret != -EXDEV)
			return 1;
		r = rk__place_leave(t, p, how);
		if (r == 0)
			return 1;
	}
	return r;
}

static enum rk__routed address(struct rk__task *t, long nr,
			       const uint64_t arg[6], int64_t *ret)
{
	struct sockaddr_un a;
	size_t size = (uint32_t)arg[2];
	struct rk__place *p;
	int r;

	if (t->config->over_mount || size <= sizeof a.sun_family ||
	    size > sizeof a ||
	    t->host->copy_in(t, &a, arg[1], size) < 0 ||
	    a.sun_family != AF_UNIX || !a.sun_path[0])
		return RK__NATIVE;
	p = malloc(sizeof *p);
	if (!p)
		return rk__done(ret, -ENOMEM);
	size = strnlen(a.sun_path, size - sizeof a.sun_family);
	memcpy(p->path, a.sun_path, size);
	p->path[size] = 0;
	r = at_name(t, nr, arg, p, ret);
	free(p);
	return r < 0 ? rk__done(ret, r) : r ? RK__DONE : RK__NATIVE;
}

enum rk__routed rk__call_bind(struct rk__task *t, long nr,
			      const uint64_t arg[6], int64_t *ret)
{
	return address(t, nr, arg, ret);
}

enum rk__routed rk__call_connect(struct rk__task *t, long nr,
				 const uint64_t arg[6], int64_t *ret)
{
	return address(t, nr, arg, ret);
}
