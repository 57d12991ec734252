/*
 * notifier.c - the process that tells the kernel which pages of a mount are
 * not what its file holds any more: see notice.h.
 */
#include <errno.h>
#include <linux/futex.h>
#include <seccomp.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "fuse.h"
#include "notice.h"

static const int allowed[] = {
	SCMP_SYS(write), SCMP_SYS(futex), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(restart_syscall), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static int enter_sandbox(void)
{
	scmp_filter_ctx ctx;
	int r = 0;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	if (RK_SANITIZED)
		return 0;
	ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return -ENOMEM;
	for (unsigned i = 0; i < sizeof allowed / sizeof allowed[0] && !r; i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
	if (!r)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}

/* A file that the kernel does not know any more needs no telling. */
static void tell(int fd, const struct rk__notice *n)
{
	struct {
		struct fuse_out_header head;
		struct fuse_notify_inval_inode_out out;
	} m = {
		.head = {
			.len = sizeof m,
			.error = FUSE_NOTIFY_INVAL_INODE,
		},
		.out = {
			.ino = n->nodeid,
			.off = (int64_t)n->off,
			.len = (int64_t)n->len,
		},
	};

	if (n->nodeid == RK_NOTICE_ALL_NAMES)
		m.head = (struct fuse_out_header){
			.len = sizeof m.head, .error = RK_FUSE_NOTIFY_EPOCH,
		};
	(void)!write(fd, &m, m.head.len);
}

static void sleep_until_rung(struct rk__notices *n)
{
	uint32_t bell = atomic_load(&n->bell);

	atomic_store(&n->asleep, 1);
	if (atomic_load(&n->done) >= atomic_load(&n->put))
		syscall(SYS_futex, &n->bell, FUTEX_WAIT, bell, NULL, NULL, 0);
	atomic_store(&n->asleep, 0);
}

_Noreturn void rk__notifier_run(const struct rk__family *f, uint32_t mount,
				int fuse_fd)
{
	void *inbox = mmap(NULL, RK_FUSE_INBOX_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED, f->inbox_fd[mount], 0);
	const uint64_t event = 1;
	struct rk__notices *n;
	uint64_t done;

	if (inbox == MAP_FAILED || enter_sandbox() < 0)
		_exit(1);
	n = rk__notices_at(inbox);
	for (;;) {
		struct rk__notice one;

		done = atomic_load(&n->done);
		if (done >= atomic_load_explicit(&n->put,
						 memory_order_acquire)) {
			sleep_until_rung(n);
			continue;
		}
		one = n->ring[done % RK_NOTICES];
		atomic_store(&n->begun, done + 1);
		tell(fuse_fd, &one);
		atomic_store_explicit(&n->done, done + 1, memory_order_release);
		if (atomic_exchange(&n->waiting, 0))
			(void)!write(f->keeper_event, &event, sizeof event);
	}
}
