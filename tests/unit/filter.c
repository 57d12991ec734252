/*
 * filter.c - the seccomp filter, run as the kernel would for every number: what
 * is none of ours passes by its number alone, and nothing of ours is missed.
 */
#include <errno.h>
#include <string.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <criterion/criterion.h>
#include "notify/filter.h"
#include "preload/stub.h"
#include "route/route.h"

static struct sock_filter prog[RK__FILTER_MAX];
static size_t n_prog;
static bool looked_further;		/* than at arch and nr */

static uint32_t load(const struct seccomp_data *d, uint32_t at)
{
	uint32_t word;

	cr_assert(at % 4 == 0 && at < sizeof *d);
	looked_further |= at >= offsetof(struct seccomp_data,
					 instruction_pointer);
	memcpy(&word, (const char *)d + at, sizeof word);
	return word;
}

static uint32_t run(const struct seccomp_data *d)
{
	uint32_t a = 0;

	looked_further = false;
	for (size_t pc = 0; pc < n_prog; pc++) {
		const struct sock_filter *i = &prog[pc];
		bool yes = false;

		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			a = load(d, i->k);
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			a &= i->k;
			continue;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_JMP | BPF_JA:
			pc += i->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			yes = a == i->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			yes = a >= i->k;
			break;
		case BPF_JMP | BPF_JSET | BPF_K:
			yes = a & i->k;
			break;
		default:
			cr_assert_fail("unknown instruction %x", i->code);
		}
		pc += yes ? i->jt : i->jf;
	}
	cr_assert_fail("it runs off its end");
	return 0;
}

static uint32_t call(long nr, uint64_t first)
{
	struct seccomp_data d = {
		.nr = (int)nr, .arch = AUDIT_ARCH_X86_64,
		.instruction_pointer = 0x7f0000001000, .args = { first },
	};

	return run(&d);
}

static void build(uint64_t stub)
{
	n_prog = rk__filter_build(prog, stub);
	cr_assert(n_prog > 0 && n_prog <= RK__FILTER_MAX);
}

static bool is_one_of(long nr, const long *these, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (these[i] == nr)
			return true;
	return false;
}

#define IS_ONE_OF(nr, ...)						\
	is_one_of(nr, (const long[]){ __VA_ARGS__ },			\
		  sizeof((const long[]){ __VA_ARGS__ }) / sizeof(long))

/* A placeholder is none: the kernel says so itself. */
static bool is_for_others(long nr)
{
	return IS_ONE_OF(nr, SYS_accept, SYS_accept4, SYS_getpeername,
			 SYS_getsockname, SYS_getsockopt, SYS_setsockopt,
			 SYS_listen, SYS_recvfrom, SYS_recvmmsg, SYS_sendmmsg,
			 SYS_sendto, SYS_shutdown, SYS_inotify_rm_watch,
			 SYS_signalfd4, SYS_timerfd_gettime,
			 SYS_timerfd_settime, SYS_epoll_wait,
			 SYS_epoll_pwait, SYS_epoll_pwait2);
}

static bool is_data(long nr)
{
	return IS_ONE_OF(nr, SYS_read, SYS_write, SYS_pread64, SYS_pwrite64,
			 SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev,
			 SYS_preadv2, SYS_pwritev2);
}

Test(filter, every_number)
{
	build(RK__STUB_AT);
	for (long nr = 0; nr < RK__CALLS; nr++) {
		uint32_t middle = call(nr, RK__FILTER_LOW);

		if (nr == SYS_mmap || rk__class[nr] == RK__CLASS_NONE ||
		    is_for_others(nr))
			continue;
		if (is_data(nr)) {
			cr_assert_eq(middle, SECCOMP_RET_ALLOW, "%ld", nr);
			cr_assert_eq(call(nr, 0xffffffff00000003),
				     SECCOMP_RET_USER_NOTIF);
			for (int fd = 0; fd < 2 * RK__FILTER_BASE; fd++)
				cr_assert_eq(call(nr, (uint64_t)fd) ==
					     SECCOMP_RET_USER_NOTIF,
					     rk__filter_sees(fd), "%d", fd);
		} else {
			cr_assert_eq(middle, SECCOMP_RET_USER_NOTIF, "%ld", nr);
		}
	}
}

/* Then the kernel asks the filter only once. */
Test(filter, what_is_none_of_ours_passes_by_its_number)
{
	static const long none[] = {
		SYS_getppid, SYS_brk, SYS_futex, SYS_clone, SYS_rt_sigaction,
		SYS_munmap, SYS_clock_gettime, SYS_wait4, SYS_rt_sigreturn,
	};

	build(RK__STUB_AT);
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		cr_assert_eq(call(none[i], 0), SECCOMP_RET_ALLOW, "%ld",
			     none[i]);
		cr_assert_not(looked_further, "%ld", none[i]);
	}
}

Test(filter, stub_page_passes)
{
	struct seccomp_data d = { .nr = SYS_openat, .arch = AUDIT_ARCH_X86_64 };
	static const struct {
		int64_t at;
		uint32_t is;
	} row[] = {
		{ -1, SECCOMP_RET_USER_NOTIF }, { 0, SECCOMP_RET_ALLOW },
		{ RK__STUB_SIZE - 1, SECCOMP_RET_ALLOW },
		{ RK__STUB_SIZE, SECCOMP_RET_USER_NOTIF },
		{ (int64_t)1 << 32, SECCOMP_RET_USER_NOTIF },
	};

	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		d.instruction_pointer = (uint64_t)RK__STUB_AT +
					(uint64_t)row[i].at;
		build(RK__STUB_AT);
		cr_assert_eq(run(&d), row[i].is, "%zu", i);
		/* without a preload nobody keeps such a page */
		build(0);
		cr_assert_eq(run(&d), SECCOMP_RET_USER_NOTIF);
	}
}

Test(filter, mappings)
{
	struct seccomp_data d = {
		.nr = SYS_mmap, .arch = AUDIT_ARCH_X86_64,
		.args = { [3] = MAP_PRIVATE, [4] = 3 },
	};

	build(0);
	cr_assert_eq(run(&d), SECCOMP_RET_USER_NOTIF);
	d.args[4] = RK__FILTER_LOW;
	cr_assert_eq(run(&d), SECCOMP_RET_USER_NOTIF);
	d.args[4] = (uint64_t)-1;
	d.args[3] |= MAP_ANONYMOUS;
	cr_assert_eq(run(&d), SECCOMP_RET_ALLOW);
}

Test(filter, what_nobody_can_follow_is_refused)
{
	struct seccomp_data d = { .nr = SYS_read, .arch = AUDIT_ARCH_I386 };

	build(RK__STUB_AT);
	cr_assert_eq(run(&d), SECCOMP_RET_ERRNO | ENOSYS);
	cr_assert_eq(call(SYS_read | 0x40000000, 3),
		     SECCOMP_RET_ERRNO | ENOSYS);
	cr_assert_eq(call(SYS_io_uring_setup, 3), SECCOMP_RET_ERRNO | ENOSYS);
}
