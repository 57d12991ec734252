/*
 * pages.c - files that are mapped: their own pages, or a copy.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "hot.h"

/* --- a copy for this caller ---------------------------------------------------------- */

static int64_t read_all(struct rk_client *c, int32_t fd, uint8_t *to,
			uint64_t length, int64_t offset)
{
	int64_t r = 0;
	uint64_t done = 0;

	while (done < length) {
		r = rk_pread(c, fd, to + done, length - done,
			     offset + (int64_t)done);
		if (r <= 0)
			break;
		done += (uint64_t)r;
	}
	return r < 0 ? r : 0;
}

static int64_t copy_to(struct rk_client *c, int32_t fd, int64_t offset,
		       uint64_t length, int memfd)
{
	int64_t r;
	void *p;

	if (ftruncate(memfd, (off_t)length) < 0)
		return -ENOMEM;
	if (!length)
		return 0;
	p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	r = read_all(c, fd, p, length, offset);
	munmap(p, length);
	return r;
}

static int64_t copy(struct rk_client *c, int32_t fd, int64_t offset,
		    uint64_t length, uint64_t size, int *ret_memfd,
		    uint64_t *ret_offset)
{
	uint64_t there = (uint64_t)offset < size ? size - (uint64_t)offset : 0;
	int memfd = memfd_create("rump-copy", MFD_CLOEXEC);
	int64_t r;

	if (memfd < 0)
		return -errno;
	r = copy_to(c, fd, offset, length < there ? length : there, memfd);
	if (r < 0) {
		close(memfd);
		return r;
	}
	*ret_memfd = memfd;
	*ret_offset = 0;
	return 0;
}

/* --- its own pages ---------------------------------------------------------------------- */

static int64_t pin(struct rk_client *c, int32_t fd, int prot, int flags,
		   struct rk_hot *hot)
{
	struct op_pin a = {
		.fd = fd, .prot = (uint32_t)prot, .flags = (uint32_t)flags,
	};
	struct rk__call call;
	int r = rk__call_begin(c, &call);

	if (r < 0)
		return r;
	r = rk_encode_pin(&call.req, call.payload, call.room, &a);
	if (r == 0)
		return rk__hot_ask(c, &call, hot);
	rk__link_put(call.link);
	return r;
}

/* The server does a megabyte a call. */
static int64_t fill(struct rk_client *c, int32_t fd, const struct rk_hot *hot,
		    uint64_t from, uint64_t to)
{
	struct rk_hot now;
	int64_t r;

	to = to < hot->st.size ? to : hot->st.size;
	while (from < to) {
		r = rk_look(c, fd, "", AT_EMPTY_PATH, (int64_t)from, to - from,
			    RK_HOT_PAGES, &now);
		if (r < 0)
			return r;
		if (!(now.flags & RK_HOT_PAGES))
			return -ENOMEM;
		from += RK_IO_MAX;
	}
	return 0;
}

static bool has_type(int flags)
{
	int type = flags & MAP_TYPE;

	return type == MAP_SHARED || type == MAP_PRIVATE ||
	       type == MAP_SHARED_VALIDATE;
}

int64_t rk_map(struct rk_client *client, int32_t fd, int64_t offset,
	       uint64_t length, int prot, int flags, int *ret_memfd,
	       uint64_t *ret_offset)
{
	bool write = (prot & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE;
	int before = errno, memfd;
	struct rk_hot hot;
	int64_t handle, r;

	if (offset < 0 || length == 0 || !has_type(flags)) {
		r = rk_getfl(client, fd);
		return r >= 0 && !(r & O_PATH) ? -EINVAL : -EBADF;
	}
	if (length > INT64_MAX - (uint64_t)offset)
		return -EOVERFLOW;
	handle = pin(client, fd, prot, flags, &hot);
	if (handle < 0)
		return handle;
	if (handle == 0) {
		r = copy(client, fd, offset, length, hot.st.size, ret_memfd,
			 ret_offset);
		errno = before;
		return r;
	}
	r = memfd = rk__hot_dup(client, &hot);
	if (r >= 0)
		r = fill(client, fd, &hot, (uint64_t)offset,
			 (uint64_t)offset + length);
	if (r >= 0) {
		*ret_memfd = memfd;
		*ret_offset = (uint64_t)offset;
		return handle;
	}
	if (memfd >= 0)
		close(memfd);
	(void)rk_unpin(client, (uint32_t)handle);
	/* There is no room for its pages. */
	if (!write)
		r = copy(client, fd, offset, length, hot.st.size, ret_memfd,
			 ret_offset);
	errno = before;
	return r;
}

int rk_map_sync(struct rk_client *client, uint32_t map, int64_t offset,
		uint64_t length, int wait)
{
	return map ? (int)rk_pin_sync(client, map, offset, length, wait != 0) :
		     0;
}

int rk_unmap(struct rk_client *client, uint32_t map)
{
	return map ? (int)rk_unpin(client, map) : 0;
}
