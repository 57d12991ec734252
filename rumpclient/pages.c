/*
 * pages.c - files that are mapped, and read without a request.
 */
#include <errno.h>
#include "client_int.h"

int64_t rk_map(struct rk_client *client, int32_t fd, int64_t offset,
	       uint64_t length, int prot, int flags, int *ret_memfd,
	       uint64_t *ret_offset)
{
	return -ENOTSUP;
}

int rk_map_sync(struct rk_client *client, uint32_t map, int64_t offset,
		uint64_t length, int wait)
{
	return map ? -EINVAL : 0;
}

int rk_unmap(struct rk_client *client, uint32_t map)
{
	return map ? -EINVAL : 0;
}
