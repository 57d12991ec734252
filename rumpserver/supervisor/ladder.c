/*
 * ladder.c - what is said when the ladder has come to its end: which rungs were
 * tried, and why each was left.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "supervisor/internal.h"

static const char *const rung_name[] = {
	[RK_LADDER_WARM] = "warm", [RK_LADDER_COLD] = "cold",
	[RK_LADDER_READ_ONLY] = "read-only", [RK_LADDER_SALVAGE] = "salvage",
	[RK_LADDER_FLUSHED] = "last flush point", [RK_LADDER_STOP] = "stop",
};

static const char *const cause_name[] = {
	[RK_CAUSE_NONE] = "refused", [RK_CAUSE_FAULT] = "crashed",
	[RK_CAUSE_DEADLINE] = "hung", [RK_CAUSE_NO_MEMORY] = "no memory",
	[RK_CAUSE_STOP] = "stopped", [RK_CAUSE_MOUNT_FAILED] = "no mount",
	[RK_CAUSE_NEEDS_RECOVERY] = "needs e2fsck",
	[RK_CAUSE_BROKEN] = "state refused",
};

__attribute__((format(printf, 3, 4)))
static size_t add(char *text, size_t at, const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text + at, RK_SERVER_ERROR_LEN - at, format, ap);
	va_end(ap);
	at += n > 0 ? (size_t)n : 0;
	return at < RK_SERVER_ERROR_LEN ? at : RK_SERVER_ERROR_LEN - 1;
}

static size_t add_rung(char *text, size_t at, const struct rk__tried *t)
{
	at = add(text, at, "%s (%s", rung_name[t->rung], cause_name[t->cause]);
	if (t->cause == RK_CAUSE_FAULT && t->signal)
		at = add(text, at, ", signal %d", t->signal);
	if (t->id)
		at = add(text, at, ", request %llu of slot %u",
			 (unsigned long long)t->id, t->slot);
	return add(text, at, ")");
}

void rk__ladder_report(const struct rk__policy *p, const char *last, char *ret)
{
	size_t at = add(ret, 0, "given up after %llu deaths; tried: ",
			(unsigned long long)p->deaths);

	for (uint32_t i = 0; i < p->n_tried; i++) {
		at = add_rung(ret, at, &p->tried[i]);
		at = add(ret, at, i + 1 < p->n_tried ? ", " : "");
	}
	if (!p->can_cold)
		at = add(ret, at, "; not cold: a driver's state is on no "
			 "device");
	if (*last)
		add(ret, at, "; %s", last);
}
