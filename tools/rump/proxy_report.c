/*
 * proxy_report.c - rump run --proxy-report: which way the program's calls went,
 * and what nobody looked at.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <seccomp.h>
#include "run.h"
#include "broker/broker.h"

enum { SHOWN = 12 };

/* The calls that the notifier saw most of. */
static void print_calls(const struct rk__proxy_counts *c)
{
	bool done[512] = { false };
	const char *before = "rump: proxy: most often seen by the notifier: ";

	for (int k = 0; k < SHOWN; k++) {
		unsigned best = 0;
		char *name;

		for (unsigned i = 1; i < 512; i++)
			if (!done[i] && (done[best] ||
					 c->by_nr[i] > c->by_nr[best]))
				best = i;
		if (done[best] || !c->by_nr[best])
			break;
		done[best] = true;
		name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_X86_64, best);
		fprintf(stderr, "%s%s %" PRIu64, before, name ? name : "?",
			c->by_nr[best]);
		free(name);
		before = ", ";
	}
	if (before[0] == ',')
		fputc('\n', stderr);
}

static void print_missed(const struct proxy *p)
{
	const struct rk__proxy_counts *c = p->counts;

	if (c->refused)
		fprintf(stderr, "rump: proxy: %" PRIu64 " calls could not be "
			"served, and were refused\n", c->refused);
	if (p->net)
		fprintf(stderr, "rump: proxy: nothing was missed: what was not "
			"patched, the notifier saw\n");
	else
		fprintf(stderr, "rump: proxy: not seen: static programs, calls "
			"that are not made by libc or the loader, and those of "
			"%" PRIu64 " places that were left alone\n",
			c->sites_left);
}

void proxy_report(const struct proxy *p)
{
	const struct rk__proxy_counts *c = p->counts;

	if (p->kind == PROXY_PRELOAD)
		fprintf(stderr, "rump: proxy: in %" PRIu64 " processes %" PRIu64
			" calls were served and %" PRIu64 " looked at and passed "
			"on (%" PRIu64 " came through symbols); system calls in "
			"libc and loader: %" PRIu64 " patched, %" PRIu64
			" left\n", c->processes, c->served, c->passed,
			c->by_symbol, c->sites, c->sites_left);
	if (p->net)
		fprintf(stderr, "rump: proxy: the notifier served %" PRIu64
			" calls and let %" PRIu64 " go on\n", c->notified,
			c->continued);
	if (p->net)
		print_calls(c);
	print_missed(p);
}
