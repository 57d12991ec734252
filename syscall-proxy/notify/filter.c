/*
 * filter.c - see filter.h. Numbers fall into stretches of one kind; the filter
 * walks them in order, and each kind has its code at the end.
 *
 * What no proxy can follow is refused with ENOSYS, so that it is not missed in
 * silence: system calls of 32 bits, x32, and io_uring, whose requests are none.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include "notify/filter.h"
#include "preload/stub.h"
#include "route/route.h"

enum kind { ALLOW, DATA_FD0, ANY, MAPS, REFUSE, KINDS };

enum { X32_BIT = 0x40000000 };

static enum kind kind_of(long nr)
{
	switch (nr) {
	case SYS_mmap:
		return MAPS;
	case SYS_io_uring_setup:
		return REFUSE;
	case SYS_read:
	case SYS_write:
	case SYS_pread64:
	case SYS_pwrite64:
	case SYS_readv:
	case SYS_writev:
	case SYS_preadv:
	case SYS_pwritev:
	case SYS_preadv2:
	case SYS_pwritev2:
		return DATA_FD0;
	/* of a placeholder the kernel says what it would of the file */
	case SYS_accept:
	case SYS_accept4:
	case SYS_getpeername:
	case SYS_getsockname:
	case SYS_getsockopt:
	case SYS_setsockopt:
	case SYS_listen:
	case SYS_recvfrom:
	case SYS_recvmmsg:
	case SYS_sendmmsg:
	case SYS_sendto:
	case SYS_shutdown:
	case SYS_inotify_rm_watch:
	case SYS_signalfd4:
	case SYS_timerfd_gettime:
	case SYS_timerfd_settime:
	case SYS_epoll_wait:
	case SYS_epoll_pwait:
	case SYS_epoll_pwait2:
		return ALLOW;
	/* what ends, or is copied; pages of a file; a program inside of a mount; who exits with children that have not
	 * been seen; ids and limits that the servers go by */
	case SYS_close:
	case SYS_dup:
	case SYS_dup2:
	case SYS_dup3:
	case SYS_execve:
	case SYS_execveat:
	case SYS_msync:
	case SYS_close_range:
	case SYS_exit_group:
	case SYS_setrlimit:
	case SYS_prlimit64:
		return ANY;
	}
	return rk__changes_ids(nr) ||
	       (nr < RK__CALLS && rk__class[nr] != RK__CLASS_NONE) ? ANY : ALLOW;
}

/* --- the program -------------------------------------------------------------- */

#define DATA(field) ((uint32_t)offsetof(struct seccomp_data, field))
#define LOAD(at) ((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at))
#define IF(op, k, yes, no)						\
	((struct sock_filter)BPF_JUMP(BPF_JMP | (op) | BPF_K, k, yes, no))
#define RETURN(what) ((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what))

struct code {
	struct sock_filter *f;
	size_t n;
};

static void put(struct code *c, struct sock_filter i)
{
	c->f[c->n++] = i;
}

/* Calls from the stub page pass. */
static void put_stub(struct code *c, uint64_t stub)
{
	if (!stub)
		return;
	put(c, LOAD(DATA(instruction_pointer) + 4));
	put(c, IF(BPF_JEQ, (uint32_t)(stub >> 32), 0, 4));
	put(c, LOAD(DATA(instruction_pointer)));
	put(c, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K,
					    ~(uint32_t)(RK__STUB_SIZE - 1)));
	put(c, IF(BPF_JEQ, (uint32_t)stub, 0, 1));
	put(c, RETURN(SECCOMP_RET_ALLOW));
}

static void put_descriptor(struct code *c)
{
	put(c, LOAD(DATA(args)));
	put(c, IF(BPF_JGE, RK__FILTER_BASE, 1, 0));
	put(c, IF(BPF_JGE, RK__FILTER_LOW, 1, 0));
	put(c, RETURN(SECCOMP_RET_USER_NOTIF));
	put(c, RETURN(SECCOMP_RET_ALLOW));
}

static void put_kind(struct code *c, enum kind k, uint64_t stub)
{
	switch (k) {
	case ALLOW:
	case KINDS:
		put(c, RETURN(SECCOMP_RET_ALLOW));
		break;
	case REFUSE:
		put(c, RETURN(SECCOMP_RET_ERRNO | ENOSYS));
		break;
	case ANY:
		put_stub(c, stub);
		put(c, RETURN(SECCOMP_RET_USER_NOTIF));
		break;
	case DATA_FD0:
		put_stub(c, stub);
		put_descriptor(c);
		break;
	case MAPS:
		put_stub(c, stub);
		put(c, LOAD(DATA(args) + 3 * 8));
		put(c, IF(BPF_JSET, MAP_ANONYMOUS, 0, 1));
		put(c, RETURN(SECCOMP_RET_ALLOW));
		put(c, RETURN(SECCOMP_RET_USER_NOTIF));
		break;
	}
}

size_t rk__filter_build(struct sock_filter ret[RK__FILTER_MAX], uint64_t stub)
{
	size_t jump_at[RK__CALLS + 1], at[KINDS], n_jumps = 0;
	enum kind kind[RK__CALLS + 1];
	struct code c = { ret, 0 };
	long end;

	put(&c, LOAD(DATA(arch)));
	put(&c, IF(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0));
	put(&c, RETURN(SECCOMP_RET_ERRNO | ENOSYS));
	put(&c, LOAD(DATA(nr)));
	put(&c, IF(BPF_JGE, X32_BIT, 0, 1));
	put(&c, RETURN(SECCOMP_RET_ERRNO | ENOSYS));
	for (long nr = 0; nr < RK__CALLS; nr = end) {
		kind[n_jumps] = kind_of(nr);
		for (end = nr; end < RK__CALLS &&
			       kind_of(end) == kind[n_jumps]; end++)
			;
		put(&c, IF(BPF_JGE, (uint32_t)end, 1, 0));
		jump_at[n_jumps++] = c.n;
		put(&c, (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, 0));
	}
	for (enum kind k = ALLOW; k < KINDS; k++) {
		at[k] = c.n;
		put_kind(&c, k, stub);
	}
	for (size_t i = 0; i < n_jumps; i++)
		ret[jump_at[i]].k = (uint32_t)(at[kind[i]] - jump_at[i] - 1);
	return c.n;
}

int rk__filter_install(bool no_new_privs, const struct rk__proxy_config *c)
{
	static struct sock_filter f[RK__FILTER_MAX];
	struct sock_fprog prog = { .filter = f };
	long fd;

	prog.len = (unsigned short)rk__filter_build(f, c->patch ? RK__STUB_AT :
						    0);
	if (no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* A signal in the middle of a call that is being done would have it
	 * done again. */
	fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
		     SECCOMP_FILTER_FLAG_NEW_LISTENER |
		     SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &prog);
	return fd < 0 ? -errno : (int)fd;
}
