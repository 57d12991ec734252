/*
 * call.c - where patched calls and interposed symbols arrive. What changes the
 * descriptor table or the process is served here, the rest by the router, and
 * what is none of ours by the kernel.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "bare.h"
#include "preload_int.h"
#include "links.h"
#include "sites.h"

static void count(_Atomic uint64_t *what)
{
	if (rk__counts)
		atomic_fetch_add_explicit(what, 1, memory_order_relaxed);
}

/* A placeholder that somebody gave us, and that nobody has looked at yet. */
static bool claim_any(const uint64_t arg[6])
{
	static const uint8_t descriptors[] = { 0, 1, 2, 4 };
	bool found = false;

	for (unsigned i = 0; i < sizeof descriptors; i++)
		if (arg[descriptors[i]] < RK__MAP_FDS)
			found |= rk__fd_claim((int)arg[descriptors[i]]);
	return found;
}

static bool makes_descriptor(long nr)
{
	return nr == SYS_open || nr == SYS_openat || nr == SYS_openat2 ||
	       nr == SYS_creat;
}

static bool names_own(long nr, const uint64_t arg[6])
{
	/* libc's fstat is fstatat with no path. */
	bool by_fd = nr == SYS_newfstatat ? arg[3] & AT_EMPTY_PATH :
		     nr == SYS_statx	  ? arg[2] & AT_EMPTY_PATH :
		     nr >= 0 && nr < RK__CALLS &&
			     rk__class[nr] == RK__CLASS_FD0;

	return by_fd && arg[0] < RK__MAP_FDS && rk__fd_is_own((int)arg[0]);
}

static int64_t route(struct rk__task *t, long nr, const uint64_t arg[6])
{
	int64_t r;

	if (names_own(nr, arg))
		return -EBADF;
	if (rk__route(t, nr, arg, &r) == RK__DONE) {
		count(&rk__counts->served);
		return r;
	}
	count(&rk__counts->passed);
	r = RK__RAW(nr, arg);
	if (r >= 0 && makes_descriptor(nr))
		rk__fd_fresh((int)r);
	return r;
}

static int64_t do_fcntl(struct rk__task *t, const uint64_t arg[6])
{
	int64_t r;

	switch ((int)arg[1]) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return rk__fd_dup(SYS_fcntl, arg);
	case F_GETFD:
	case F_SETFD:
		return rk__fd_is_own((int)arg[0]) ? -EBADF :
		       RK__RAW(SYS_fcntl, arg);
	case F_SETLK:
	case F_SETLKW:
		r = route(t, SYS_fcntl, arg);
		if (r >= 0)
			atomic_store(&rk__locks_taken, true);
		return r;
	default:
		return route(t, SYS_fcntl, arg);
	}
}

/* The call by the kernel; then the servers hear who we are now. */
static int64_t ids_changed(long nr, const uint64_t arg[6])
{
	int64_t r = RK__RAW(nr, arg);

	if (r >= 0)
		rk__clients_refresh();
	return r;
}

static int64_t do_limit(long nr, const uint64_t arg[6])
{
	bool set = nr == SYS_setrlimit || arg[2] != 0;
	int64_t r = RK__RAW(nr, arg);

	if (r < 0 || !set)
		return r;
	rk__fdmap_limit();
	rk__clients_refresh();
	return r;
}

static int64_t do_mmap(struct rk__task *t, const uint64_t arg[6])
{
	int64_t r;

	if (rk__do_mmap(arg, &r))
		return r;
	r = RK__RAW(SYS_mmap, arg);
	if (r >= 0 || r < -4095)
		rk__maps_gone((uint64_t)r, arg[1]);
	return r;
}

static int64_t call(struct rk__task *t, long nr, const uint64_t arg[6],
		    uint64_t sp, uint64_t ip)
{
	switch (nr) {
	case SYS_close:
		return rk__fd_close((int)arg[0]);
	case SYS_close_range:
		return rk__fd_close_range((unsigned)arg[0], (unsigned)arg[1],
					  (unsigned)arg[2]);
	case SYS_dup:
		return rk__fd_dup(nr, arg);
	case SYS_dup2:
		return rk__fd_dup3(nr, (int)arg[0], (int)arg[1], 0);
	case SYS_dup3:
		return rk__fd_dup3(nr, (int)arg[0], (int)arg[1], (int)arg[2]);
	case SYS_fcntl:
		return do_fcntl(t, arg);
	case SYS_fork:
	case SYS_vfork:
	case SYS_clone:
	case SYS_clone3:
		return rk__do_fork(nr, arg, sp, ip);
	case SYS_execve:
	case SYS_execveat:
		return rk__do_exec(t, nr, arg);
	case SYS_exit_group:
		rk__process_ends();
		return RK__RAW(nr, arg);
	case SYS_exit:
		rk__thread_end();
		return RK__RAW(nr, arg);
	case SYS_sendmsg:
	case SYS_sendmmsg:
		return rk__do_sendmsg(t, nr, arg);
	case SYS_recvmsg:
	case SYS_recvmmsg:
		return rk__do_recvmsg(t, nr, arg);
	case SYS_mmap:
		return do_mmap(t, arg);
	case SYS_munmap:
		return rk__do_munmap(arg);
	case SYS_mremap:
		return rk__do_mremap(arg);
	case SYS_msync:
		return rk__do_msync(arg);
	case SYS_setuid: case SYS_setgid: case SYS_setreuid: case SYS_setregid:
	case SYS_setresuid: case SYS_setresgid: case SYS_setgroups:
	case SYS_setfsuid: case SYS_setfsgid:
		return ids_changed(nr, arg);
	case SYS_setrlimit:
	case SYS_prlimit64:
		return do_limit(nr, arg);
	case SYS_io_uring_setup:
		/* Its requests would reach the kernel by no call at all. */
		return -ENOSYS;
	default:
		return route(t, nr, arg);
	}
}

__attribute__((visibility("default")))
int64_t rk__preload_call(long nr, const uint64_t arg[6], uint64_t sp,
			 uint64_t ip)
{
	struct rk__task t = {
		.host = &rk__preload_host,
		.config = &rk__config,
	};
	int before;
	int64_t r;

	if (!rk__active)
		return RK__RAW(nr, arg);
	if (!sp)
		count(&rk__counts->by_symbol);
	before = errno;
	t.cwd = rk__view()->cwd;
	t.cwd_by_fd = rk__view()->borrowed;
	r = call(&t, nr, arg, sp, ip);
	if (r == -EBADF && claim_any(arg))
		r = call(&t, nr, arg, sp, ip);
	errno = before;
	return r;
}
