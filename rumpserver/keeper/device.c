/*
 * device.c - the only calls that write to images and journals. A test that
 * wants to see, or to fail, what reaches a device links its own instead.
 *
 * A device that says ENOMEM failed like any other: it is told as EIO, so that
 * -ENOMEM means that this process has none, and touched no device.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "keeper/journal.h"

static int failure(void)
{
	return errno == ENOMEM ? -EIO : -errno;
}

int rk__device_write(int fd, const void *buf, size_t len, uint64_t off)
{
	const char *p = buf;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? failure() : -EIO;
		p += n;
		off += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int rk__device_read(int fd, void *buf, size_t len, uint64_t off)
{
	char *p = buf;

	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return failure();
		if (n == 0) {
			memset(p, 0, len);
			return 0;
		}
		p += n;
		off += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int rk__device_sync(int fd)
{
	int r;

	do
		r = fdatasync(fd);
	while (r < 0 && errno == EINTR);
	return r < 0 ? failure() : 0;
}

uint64_t rk__device_size(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);

	return end < 0 ? 0 : (uint64_t)end;
}

void rk__device_punch(int fd, uint64_t off, uint64_t len)
{
	if (len)
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)off, (off_t)len);
}
