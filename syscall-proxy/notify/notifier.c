/*
 * notifier.c - see notify.h.
 */
#include <errno.h>
#include "notify/notify.h"

int rk__notifier_create(const struct rk__notifier_how *how,
			struct rk__notifier **ret)
{
	return -ENOSYS;
}

bool rk__notifier_tick(struct rk__notifier *n, int *ret_next_ms)
{
	return false;
}

int rk__notifier_fd(const struct rk__notifier *n)
{
	return -1;
}

int rk__notifier_cwd(struct rk__notifier *n, pid_t pid, uint32_t *ret_server,
		     struct rk_ticket *ret)
{
	return -ENOENT;
}

void rk__notifier_destroy(struct rk__notifier *n)
{
}
