/*
 * probe.c - what a library that patches its process is made of, without
 * servers: each call that arrives is counted and done by the kernel. Built
 * without libc, like librump-preload.so.
 */
#include <errno.h>
#include <sys/syscall.h>
#include "route/calls.h"
#include "preload/preload.h"
#include "preload/sites.h"
#include "probe.h"

#define EXPORT __attribute__((visibility("default")))
#define CLASS(name, class) [SYS_##name] = RK__CLASS_##class,

EXPORT const uint8_t rk__class[RK__CALLS] = {RK__NAME_CALLS(CLASS)
					      RK__FILE_CALLS(CLASS)};

EXPORT _Atomic uint64_t probe_calls[RK__CALLS];
static int magic_fd = -1;
static int64_t magic;

static bool is_new_process(long nr)
{
	return nr == SYS_clone || nr == SYS_clone3 || nr == SYS_fork ||
	       nr == SYS_vfork;
}

int64_t rk__preload_call(long nr, const uint64_t arg[6], uint64_t sp,
			 uint64_t ip)
{
	probe_calls[nr]++;
	if (is_new_process(nr))
		return rk__clone_raw(nr, arg, sp, ip);
	if (magic_fd >= 0 && arg[0] == (uint64_t)magic_fd &&
	    rk__site_class(nr) == RK__CLASS_FD0)
		return magic;
	return rk__raw(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

EXPORT int probe_patch(const void *table, size_t size, bool stub,
		       struct rk__patched *ret)
{
	int error = stub ? rk__stub_map() : 0;

	return error ? error : rk__patch(table, size, ret);
}

EXPORT void probe_ours(int fd, int64_t answer)
{
	if (magic_fd >= 0)
		rk__ours[magic_fd] = 0;
	magic_fd = fd;
	magic = answer;
	if (fd >= 0)
		rk__ours[fd] = 1;
}

EXPORT bool probe_wanted(long nr)
{
	return rk__site_wanted(nr);
}

EXPORT bool probe_check(const void *table, size_t size)
{
	return !rk__sites_check(table, size);
}
