/*
 * outside.c - for drivers that change what no rollback undoes
 * (RK_DRIVER_OUTSIDE): which request runs, whether one was committed, whether
 * somebody holds a file, and a place for what a server has to itself.
 */
#include "serve.h"
#include "vfs_int.h"

static void *own[RK_MOUNTS_MAX][RK_STACK_MAX];

static void request(void *ctx, struct rk_running *ret)
{
	rk__serve_request(ret);
}

static bool committed(void *ctx, uint64_t slot, uint64_t id)
{
	return slot < RK_SLOTS_ALL && rk__was_committed((uint32_t)slot, id);
}

static bool held(void *ctx, uint64_t ino)
{
	return rk__vnode_find(rk__node((uint32_t)(uintptr_t)ctx, ino)) != 0;
}

void rk__outside_host(uint32_t mount, uint32_t layer,
		      const struct rk_driver *d, struct rk_host *host)
{
	if (layer == 0)
		rk__mount_outside[mount] = d->flags & RK_DRIVER_OUTSIDE;
	host->own = &own[mount][layer];
	host->request = request;
	host->committed = committed;
	host->held = held;
}

bool rk__vfs_outside(uint32_t mount)
{
	return rk__mount_outside[mount];
}

bool rk__any_outside(void)
{
	for (uint32_t i = 0; i < RK_MOUNTS_MAX; i++)
		if (rk__mount_outside[i])
			return true;
	return false;
}
