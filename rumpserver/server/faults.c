/*
 * faults.c - how a server's death is noticed and what it was of.
 *
 * The lock word of the board is a robust futex: the kernel walks the list when
 * the thread ends, before it takes the address space down, which is what makes
 * a death known in 20 us however much memory the server had. A fault signal
 * leaves its number on the board first; SIGKILL cannot, and so counts against
 * nobody.
 */
#include <assert.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "server/loop.h"
#include "recovery/region.h"

static struct rk__board *board;

void rk__board_lock(struct rk__board *b)
{
	static struct robust_list node;
	static struct robust_list_head head;
	uint32_t owner = (uint32_t)syscall(SYS_gettid) | FUTEX_WAITERS;

	node.next = &head.list;
	head.list.next = &node;
	head.futex_offset = (char *)&b->lock - (char *)&node;
	head.list_op_pending = NULL;
	syscall(SYS_set_robust_list, &head, sizeof head);
	atomic_store(&b->lock, owner);
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	(void)context;
	if (sig == SIGSEGV && rk__track_fault(info->si_addr))
		return;
	if (sig == SIGBUS)
		rk__blockstore_fault();
	if (atomic_load(&board->cause) == RK_CAUSE_NONE) {
		atomic_store(&board->cause_signal, (uint32_t)sig);
		atomic_store(&board->cause, RK_CAUSE_FAULT);
	}
	/* Returns to the same fault, which now kills; but a system call that
	 * was refused is over. */
	signal(sig, SIG_DFL);
	if (info->si_code <= 0 || sig == SIGSYS)
		raise(sig);
}

void rk__faults_install(struct rk__board *b)
{
	static const int fault[] = {
		SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP,
	};
	static uint8_t stack[65536];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof stack };
	struct sigaction act = {
		.sa_sigaction = on_fault,
		/* A jump out of the handler must not leave it blocked. */
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
	};

	board = b;
	sigaltstack(&alt, NULL);
	for (unsigned i = 0; i < sizeof fault / sizeof fault[0]; i++)
		sigaction(fault[i], &act, NULL);
}
