/*
 * files_map.c - mmap of a file of a server: what is mapped is the memfd that has
 * its pages.
 */
#include <sys/mman.h>
#include <unistd.h>
#include "files_int.h"

enum { PAGE = 4096 };

static int64_t map(struct rk__task *t, const struct rk__target *f,
		   const uint64_t arg[6])
{
	uint64_t length = arg[1], offset = arg[5], at;
	int64_t handle, r;
	int memfd;

	if (offset % PAGE || !length)
		return -EINVAL;
	if (!t->host->map)
		return -ENODEV;
	handle = rk_map(f->client, f->fd, (int64_t)offset, length,
			(int)arg[2], (int)arg[3], &memfd, &at);
	if (handle < 0)
		return handle;
	r = t->host->map(t, arg, memfd, at);
	close(memfd);
	if (r < 0 && handle)
		(void)rk_unmap(f->client, (uint32_t)handle);
	else if (handle)
		t->host->mapped(t, (uint64_t)r, length, f, (uint32_t)handle,
				(int64_t)offset);
	return r;
}

RK__FILE_CALL(mmap)
{
	struct rk__target f;

	if ((arg[3] & MAP_ANONYMOUS) || !rk__find(t, arg[4], &f))
		return RK__NATIVE;
	return rk__done(ret, map(t, &f, arg));
}
