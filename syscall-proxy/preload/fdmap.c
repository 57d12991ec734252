/*
 * fdmap.c - which descriptors are a server's, and which we keep for ourselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "bare.h"
#include "links.h"
#include "preload_int.h"
#include "refs.h"

enum {
	OWN_USUAL = 1024,		/* more descriptors than this are rare: ours
					 * begin at three quarters of it */
};

/* An entry: this, server, descriptor; and whether its placeholder is published. */
#define ENTRY (1ull << 63)
#define PUBLISHED (1ull << 62)

static _Atomic uint64_t own_map[RK__MAP_FDS];
static struct rk__view own_view = {
	.map = own_map, .cwd = { .fd = RK_AT_FDCWD },
};
static _Thread_local struct rk__view *view;

static _Atomic int own_base = OWN_USUAL * 3 / 4;
static int generic = -1;		/* placeholder of all that is not published */
static uint64_t generic_ino;
static _Atomic int highest;		/* entries are up to here */
static _Atomic int highest_own;		/* and our own */
_Atomic bool rk__locks_taken;

static uint64_t entry_of(uint32_t server, int32_t rk)
{
	return ENTRY | (uint64_t)server << 32 | (uint32_t)rk;
}

static uint32_t server_of(uint64_t e)
{
	return (uint32_t)(e >> 32) & 0xff;
}

static int32_t rk_of(uint64_t e)
{
	return (int32_t)(uint32_t)e;
}

/* --- views ---------------------------------------------------------------------- */

struct rk__view *rk__view(void)
{
	return view ? view : &own_view;
}

static bool in_map(int64_t fd)
{
	return fd >= 0 && fd < RK__MAP_FDS;
}

static uint64_t look(int fd)
{
	return in_map(fd) ? atomic_load(&rk__view()->map[fd]) : 0;
}

/* Our own stay marked, whatever the program does with them. */
static void mark(int fd, uint8_t how)
{
	__atomic_store_n(&rk__ours[fd], how, __ATOMIC_SEQ_CST);
}

static void raise_to(_Atomic int *highest_of, int fd)
{
	int h = atomic_load(highest_of);

	while (fd > h && !atomic_compare_exchange_weak(highest_of, &h, fd))
		;
}

/* Puts an entry in the place of another, which the caller has to let go of. */
static uint64_t swap(int fd, uint64_t e)
{
	uint64_t before;

	if (!in_map(fd))
		return 0;
	if (e)
		raise_to(&highest, fd);
	before = atomic_exchange(&rk__view()->map[fd], e);
	/* In a child of vfork the mark is the parent's too: it stays. */
	if (e)
		mark(fd, RK__OURS_SERVER);
	else if (before && !view)
		mark(fd, 0);
	return before;
}

struct rk__view *rk__view_push(void)
{
	struct rk__view *v = calloc(1, sizeof *v);
	void *map = MAP_FAILED;

	if (v)
		map = mmap(NULL, sizeof own_map, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		free(v);
		return NULL;
	}
	v->borrowed = true;
	v->map = map;
	v->cwd = rk__view()->cwd;
	for (int fd = 0; fd <= atomic_load(&highest); fd++) {
		uint64_t e = look(fd);

		if (e && rk__ref(server_of(e), rk_of(e)))
			atomic_store_explicit(&v->map[fd], e,
					      memory_order_relaxed);
	}
	v->outer = view;
	view = v;
	return v;
}

static int64_t let_go(uint64_t e)
{
	return e ? rk__unref(server_of(e), rk_of(e)) : 0;
}

void rk__view_pop(struct rk__view *v)
{
	struct rk_client *c;

	if (v->cwd.inside && v->cwd.fd != RK_AT_FDCWD &&
	    rk__client_get(v->cwd.server, &c) == 0)
		(void)rk_close(c, v->cwd.fd);
	view = v->outer;
	for (int fd = 0; fd <= atomic_load(&highest); fd++) {
		uint64_t e = atomic_load(&v->map[fd]);

		if (!e)
			continue;
		(void)let_go(e);
		if (look(fd))
			continue;
		/* A mark that the child made; another thread may make it again
		 * at this moment. */
		mark(fd, 0);
		if (look(fd))
			mark(fd, RK__OURS_SERVER);
	}
	munmap(v->map, sizeof own_map);
	free(v);
}

/* --- our own --------------------------------------------------------------------- */

bool rk__fd_is_own(int fd)
{
	return in_map(fd) &&
	       __atomic_load_n(&rk__ours[fd], __ATOMIC_SEQ_CST) ==
	       RK__OURS_OWN;
}

void rk__fdmap_limit(void)
{
	struct rlimit limit;
	rlim_t n = OWN_USUAL;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < n)
		n = limit.rlim_cur;
	atomic_store(&own_base, (int)n * 3 / 4);
}

static void own_at(int fd)
{
	if (!in_map(fd))
		return;
	raise_to(&highest_own, fd);
	mark(fd, RK__OURS_OWN);
}

int rk__own(int fd)
{
	int base = atomic_load(&own_base);
	long moved = fd;

	if (fd < 0)
		return fd;
	/* Near its limit the program may have left no room up there. */
	while (fd < base) {
		moved = RK__R3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, base);
		if (moved >= 0 || base < 8)
			break;
		base = base / 2;
	}
	if (moved < 0 || moved == fd) {
		moved = fd;
	} else {
		(void)RK__R1(SYS_close, fd);
	}
	own_at((int)moved);
	return (int)moved;
}

int rk__own_close(int fd)
{
	if (rk__fd_is_own(fd))
		mark(fd, 0);
	return (int)RK__R1(SYS_close, fd);
}

/* The program wants the number of one of our own for itself. */
static int give_way(int fd)
{
	long to = RK__R3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, fd + 1);

	if (to < 0)
		to = RK__R3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, fd / 2);
	if (to < 0)
		return (int)to;
	own_at((int)to);
	if (fd == generic)
		generic = (int)to;
	if (fd == rk__nowhere)
		rk__nowhere = (int)to;
	rk__fd_moved(fd, (int)to);
	return rk__own_close(fd);
}

/* --- a server's ------------------------------------------------------------------ */

bool rk__fd_find(int fd, uint32_t *ret_server, int32_t *ret_rk)
{
	uint64_t e = look(fd);

	if (!e)
		return false;
	*ret_server = server_of(e);
	*ret_rk = rk_of(e);
	return true;
}

bool rk__fd_any(void)
{
	for (int fd = 0; fd <= atomic_load(&highest); fd++)
		if (look(fd))
			return true;
	return false;
}

int rk__fdmap_init(void)
{
	rk__fdmap_limit();
	generic = rk__placeholder(&generic_ino);
	return generic < 0 ? generic : 0;
}

bool rk__fd_generic(uint64_t ino)
{
	return ino == generic_ino;
}

void rk__fdmap_forget(void)
{
	for (int fd = 0; fd <= atomic_load(&highest); fd++)
		(void)swap(fd, 0);
	rk__refs_forget();
}

int rk__fd_install(uint32_t server, int32_t rk, int flags, int at,
		   uint64_t ino)
{
	long r = rk__ref_first(server, rk, ino);

	if (r == 0)
		r = at >= 0 ? at : RK__R3(SYS_fcntl, generic,
					  flags & O_CLOEXEC ? F_DUPFD_CLOEXEC :
					  F_DUPFD, 0);
	if (r >= RK__MAP_FDS) {
		(void)RK__R1(SYS_close, r);
		r = -EMFILE;
	}
	if (r < 0)
		(void)rk__unref(server, rk);
	else
		(void)let_go(swap((int)r, entry_of(server, rk) |
					  (at >= 0 ? PUBLISHED : 0)));
	return (int)r;
}

void rk__fd_adopt(int fd, uint32_t server, int32_t rk)
{
	(void)let_go(swap(fd, entry_of(server, rk) | PUBLISHED));
}

void rk__fd_fresh(int fd)
{
	if (look(fd))
		(void)let_go(swap(fd, 0));
}

/*
 * The program's locks on the file are gone, though another descriptor of it is
 * open still.
 */
static void drop_locks(uint64_t e)
{
	struct rk_client *c;

	if (e && !view && atomic_load(&rk__locks_taken) &&
	    rk__client_get(server_of(e), &c) == 0)
		(void)rk_setlk(c, rk_of(e), F_UNLCK, 0, 0, 0, 0);
}

/*
 * It is no longer in the kernel's table. What closing says is for the last. The
 * broker has one of its own for a published one: if this was the last, it has
 * been told by now, and has closed it when it answers whatever it is asked.
 */
static int64_t closed(uint64_t e)
{
	int64_t r;

	drop_locks(e);
	r = let_go(e);
	if (e & PUBLISHED && !view)
		rk__settle(generic);
	return r;
}

void rk__fd_end(void)
{
	bool any = false;

	for (int fd = 0; fd <= atomic_load(&highest); fd++) {
		if (!(look(fd) & PUBLISHED))
			continue;
		(void)RK__R1(SYS_close, fd);
		any = true;
	}
	if (any)
		rk__settle(generic);
}

int64_t rk__fd_close(int fd)
{
	uint64_t e;
	int64_t r, said;

	if (rk__fd_is_own(fd))
		return -EBADF;
	e = swap(fd, 0);
	if (!e && !view && in_map(fd))
		mark(fd, 0);
	r = RK__R1(SYS_close, fd);
	said = closed(e);
	return r < 0 ? r : said;
}

int64_t rk__fd_dup(long nr, const uint64_t arg[6])
{
	int fd = (int)arg[0];
	uint64_t e = look(fd);
	int64_t r;

	if (rk__fd_is_own(fd))
		return -EBADF;
	if (e && !rk__ref(server_of(e), rk_of(e)))
		return -EBADF;
	r = RK__R3(nr, fd, arg[1], arg[2]);
	if (r >= RK__MAP_FDS && e) {
		(void)RK__R1(SYS_close, r);
		r = -EMFILE;
	}
	if (r < 0)
		(void)let_go(e);
	else
		(void)closed(swap((int)r, e));
	return r;
}

int64_t rk__fd_dup3(long nr, int from, int to, int flags)
{
	uint64_t e = look(from);
	int64_t r;

	if (rk__fd_is_own(from))
		return -EBADF;
	if (rk__fd_is_own(to) && from != to) {
		r = give_way(to);
		if (r < 0)
			return r;
	}
	if (from == to)
		return RK__R3(nr, from, to, flags);
	if (e && !in_map(to))
		return -EBADF;
	if (e && !rk__ref(server_of(e), rk_of(e)))
		return -EBADF;
	r = RK__R3(nr, from, to, flags);
	if (r < 0)
		(void)let_go(e);
	else
		(void)closed(swap(to, e));
	return r;
}

/* A range without any of our own in it. */
static int64_t close_part(unsigned first, unsigned last, unsigned flags)
{
	int64_t r;

	if (first > last)
		return 0;
	if (flags & CLOSE_RANGE_CLOEXEC)
		return RK__R3(SYS_close_range, first, last, flags);
	for (unsigned fd = first; fd <= last &&
	     fd <= (unsigned)atomic_load(&highest); fd++)
		if (look((int)fd))
			(void)rk__fd_close((int)fd);
	r = RK__R3(SYS_close_range, first, last, flags);
	return r;
}

int64_t rk__fd_close_range(unsigned first, unsigned last, unsigned flags)
{
	int64_t r = 0;
	unsigned from = first;

	if (flags & ~(unsigned)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) ||
	    first > last)
		return -EINVAL;
	for (unsigned fd = first; r == 0 && fd <= last &&
	     fd <= (unsigned)atomic_load(&highest_own); fd++) {
		if (!rk__fd_is_own((int)fd))
			continue;
		r = fd > from ? close_part(from, fd - 1, flags) : 0;
		from = fd + 1;
	}
	return r < 0 ? r : close_part(from, last, flags);
}

/* --- through exec and sockets ------------------------------------------------------ */

/* All descriptors of the process for one of a server get this placeholder. */
static int replace(uint64_t e, int with)
{
	for (int fd = 0; fd <= atomic_load(&highest); fd++) {
		long flags, r;

		if (look(fd) != e)
			continue;
		flags = RK__R3(SYS_fcntl, fd, F_GETFD, 0);
		if (flags < 0)
			continue;
		r = RK__R3(SYS_dup3, with, fd,
			   flags & FD_CLOEXEC ? O_CLOEXEC : 0);
		if (r < 0)
			return (int)r;
		atomic_store(&rk__view()->map[fd], e | PUBLISHED);
	}
	return 0;
}

int rk__fd_publish(int fd)
{
	uint64_t e = look(fd), ino;
	int memfd, r;

	if (!e || e & PUBLISHED)
		return 0;
	memfd = rk__placeholder(&ino);
	if (memfd < 0)
		return memfd;
	r = rk__publish(server_of(e), rk_of(e), memfd);
	if (r == 0)
		r = replace(e, memfd);
	/* A child of vfork has a table of its own: its parent's is as it was. */
	if (r == 0 && !view)
		rk__ref_set_ino(server_of(e), rk_of(e), ino);
	rk__own_close(memfd);
	return r;
}

int rk__fd_publish_all(void)
{
	int r = 0;

	for (int fd = 0; r == 0 && fd <= atomic_load(&highest); fd++) {
		long flags = look(fd) ? RK__R3(SYS_fcntl, fd, F_GETFD, 0) :
			     FD_CLOEXEC;

		if (flags >= 0 && !(flags & FD_CLOEXEC))
			r = rk__fd_publish(fd);
	}
	return r;
}
