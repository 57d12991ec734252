/*
 * maps.c - which of the process's memory is a server's file. The memory itself
 * is of a memfd that the server keeps right, or a copy, of which nothing is
 * known here; a mapping of the former lasts until the last of it is unmapped.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bare.h"
#include "preload_int.h"

enum { PAGE = 4096, MAX_RANGES = 1 << 20 };

struct range {
	uint64_t from, to;		/* addresses */
	int64_t offset;			/* in the file, of `from` */
	uint32_t server, handle;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct range *ranges;
static unsigned n_room;
static _Atomic unsigned n_ranges;

bool rk__maps_any(void)
{
	return atomic_load_explicit(&n_ranges, memory_order_relaxed) > 0;
}

void rk__maps_lock(bool on)
{
	if (on)
		pthread_mutex_lock(&lock);
	else
		pthread_mutex_unlock(&lock);
}

static bool room_for(unsigned n)
{
	struct range *more;
	unsigned room = n_room ? 2 * n_room : 64;

	if (n <= n_room)
		return true;
	if (room > MAX_RANGES)
		return false;
	more = realloc(ranges, room * sizeof *more);
	if (!more)
		return false;
	ranges = more;
	n_room = room;
	return true;
}

static bool add(const struct range *r)
{
	bool ok;

	pthread_mutex_lock(&lock);
	ok = room_for(n_ranges + 1);
	if (ok)
		ranges[n_ranges++] = *r;
	pthread_mutex_unlock(&lock);
	return ok;
}

static bool has_handle(const struct range *gone)
{
	for (unsigned i = 0; i < n_ranges; i++)
		if (ranges[i].handle == gone->handle &&
		    ranges[i].server == gone->server)
			return true;
	return false;
}

/*
 * Takes [from, to) out of the ranges; the first that has nothing left of its
 * mapping is in *ret. False: nobody lost his last.
 */
static bool cut_one(uint64_t from, uint64_t to, struct range *ret)
{
	for (unsigned i = 0; i < n_ranges; i++) {
		struct range *r = &ranges[i], whole = *r;

		if (r->to <= from || r->from >= to)
			continue;
		if (r->from < from && r->to > to && room_for(n_ranges + 1)) {
			r = &ranges[i];
			r->to = from;
			ranges[n_ranges++] = (struct range){
				.from = to, .to = whole.to,
				.offset = whole.offset +
					  (int64_t)(to - whole.from),
				.server = whole.server, .handle = whole.handle,
			};
		} else if (r->from < from) {
			r->to = from;
		} else if (r->to > to) {
			r->offset += (int64_t)(to - r->from);
			r->from = to;
		} else {
			*r = ranges[--n_ranges];
			i--;
			if (!has_handle(&whole)) {
				*ret = whole;
				return true;
			}
		}
	}
	return false;
}

static void cut(uint64_t from, uint64_t to)
{
	struct rk_client *c;
	struct range last;
	bool found;

	do {
		pthread_mutex_lock(&lock);
		found = cut_one(from, to, &last);
		pthread_mutex_unlock(&lock);
		if (found && rk__client_get(last.server, &c) == 0)
			(void)rk_unmap(c, last.handle);
	} while (found);
}

static uint64_t round_up(uint64_t n)
{
	return (n + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

void rk__maps_gone(uint64_t at, uint64_t size)
{
	rk__memory_gone();
	if (rk__maps_any())
		cut(at, at + round_up(size));
}

static int64_t map(uint32_t server, int32_t fd, const uint64_t arg[6])
{
	struct rk_client *c;
	uint64_t offset;
	int memfd, error;
	int64_t handle, r;

	/* Of whole pages; the rest is looked at by who maps. */
	if (arg[5] & (PAGE - 1))
		return -EINVAL;
	r = rk__client_get(server, &c);
	if (r < 0)
		return r;
	handle = rk_map(c, fd, (int64_t)arg[5], arg[1], (int)arg[2],
			(int)arg[3], &memfd, &offset);
	if (handle < 0)
		return handle;
	r = RK__R6(SYS_mmap, arg[0], arg[1], arg[2], arg[3], memfd, offset);
	error = r < 0 && r >= -4095;
	close(memfd);
	if (!error)
		rk__maps_gone((uint64_t)r, arg[1]);
	if (!error && handle > 0 && !add(&(struct range){
		.from = (uint64_t)r, .to = (uint64_t)r + round_up(arg[1]),
		.offset = (int64_t)arg[5], .server = server,
		.handle = (uint32_t)handle,
	})) {
		(void)RK__R2(SYS_munmap, r, arg[1]);
		r = -ENOMEM;
		error = true;
	}
	if (error && handle > 0)
		(void)rk_unmap(c, (uint32_t)handle);
	return r;
}

bool rk__do_mmap(const uint64_t arg[6], int64_t *ret)
{
	uint32_t server;
	int32_t fd;

	if (arg[3] & MAP_ANONYMOUS)
		return false;
	if (rk__fd_is_own((int)arg[4])) {
		*ret = -EBADF;
		return true;
	}
	if (!rk__fd_find((int)arg[4], &server, &fd))
		return false;
	*ret = map(server, fd, arg);
	return true;
}

int64_t rk__do_munmap(const uint64_t arg[6])
{
	int64_t r = RK__RAW(SYS_munmap, arg);

	if (r == 0)
		rk__maps_gone(arg[0], arg[1]);
	return r;
}

/* What the memory at an address is; false: nothing of a server. */
static bool range_at(uint64_t from, uint64_t to, struct range *ret)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; !found && i < n_ranges; i++) {
		const struct range *r = &ranges[i];

		found = r->from < to && r->to > from;
		if (found)
			*ret = *r;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

int64_t rk__do_mremap(const uint64_t arg[6])
{
	struct range was;
	bool ours = rk__maps_any() &&
		    range_at(arg[0], arg[0] + round_up(arg[1]), &was);
	int64_t r = RK__RAW(SYS_mremap, arg);

	if (r < 0 && r >= -4095)
		return r;
	rk__memory_gone();
	if (!ours) {
		rk__maps_gone((uint64_t)r, arg[2]);
		return r;
	}
	was.offset += (int64_t)(arg[0] - was.from);
	was.from = (uint64_t)r;
	was.to = was.from + round_up(arg[2]);
	/* The new first: it must not lose its last. */
	if ((uint64_t)r != arg[0]) {
		(void)add(&was);
		cut(arg[0], arg[0] + round_up(arg[1]));
	} else if (arg[2] > arg[1]) {
		was.offset += (int64_t)round_up(arg[1]);
		was.from += round_up(arg[1]);
		(void)add(&was);
	} else {
		cut((uint64_t)r + round_up(arg[2]),
		    arg[0] + round_up(arg[1]));
	}
	return r;
}

/* Range i, as far as it is within these addresses. */
static bool range_within(unsigned i, uint64_t from, uint64_t to,
			 struct range *ret)
{
	bool found = false;

	pthread_mutex_lock(&lock);
	if (i < n_ranges && ranges[i].from < to && ranges[i].to > from) {
		*ret = ranges[i];
		if (ret->from < from) {
			ret->offset += (int64_t)(from - ret->from);
			ret->from = from;
		}
		ret->to = ret->to < to ? ret->to : to;
		found = true;
	}
	pthread_mutex_unlock(&lock);
	return found;
}

int64_t rk__do_msync(const uint64_t arg[6])
{
	int64_t r = RK__RAW(SYS_msync, arg);
	struct rk_client *c;
	struct range x;

	for (unsigned i = 0; r == 0 && i < atomic_load(&n_ranges); i++) {
		if (!range_within(i, arg[0], arg[0] + round_up(arg[1]), &x))
			continue;
		r = rk__client_get(x.server, &c);
		if (r == 0)
			r = rk_map_sync(c, x.handle, x.offset, x.to - x.from,
					(int)arg[2] & MS_SYNC);
	}
	return r;
}
