/*
 * map.c - mappings of files in a mount. Only the caller can map, and only
 * what its descriptor is: so for the time of its call the number is a copy of
 * what it asks for, at the same offset (for a shared mapping, the pages of the
 * file itself, where they are to be had), and its placeholder again when it comes
 * back. Reads and writes of the number are shown to us in between, so that nobody
 * but a child that is forked in that moment can take one for the other; a copy
 * cannot be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "notify/notify_int.h"

enum { PAGE = 4096, PIECE = 1 << 20, LATE_NS = 20 * 1000 * 1000 };

static int fill(int memfd, const struct rk__target *f, int64_t offset,
		uint64_t length, uint64_t size)
{
	char *p = malloc(PIECE);
	int64_t end = (int64_t)size, at = offset, n = 1;
	int e = p ? 0 : -ENOMEM;

	if (length < size - (uint64_t)offset)
		end = offset + (int64_t)length;
	while (e == 0 && n > 0 && at < end) {
		n = rk_pread(f->client, f->fd, p, end - at < PIECE ?
			     (uint64_t)(end - at) : PIECE, at);
		if (n < 0)
			e = n == -EBADF ? -EACCES : (int)n;
		else if (pwrite(memfd, p, (size_t)n, at) != n)
			e = -ENOMEM;
		at += n;
	}
	free(p);
	return e;
}

static int copy_of(const struct rk__target *f, int64_t offset, uint64_t length)
{
	struct rk_stat st;
	int64_t e = rk_fstat(f->client, f->fd, &st);
	int memfd;

	if (e < 0)
		return (int)e;
	if (!S_ISREG(st.mode))
		return -ENODEV;
	memfd = memfd_create("mapping", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memfd < 0)
		return -errno;
	e = ftruncate(memfd, (off_t)st.size) < 0 ? -errno : 0;
	if (e == 0 && (uint64_t)offset < st.size)
		e = fill(memfd, f, offset, length, st.size);
	if (e == 0)
		(void)fcntl(memfd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK |
			    F_SEAL_GROW | F_SEAL_WRITE);
	if (e == 0)
		return memfd;
	close(memfd);
	return (int)e;
}

/* For reading alone, or else the kernel asks what is sealed why it is shared. */
static int shared_copy_of(const struct rk__target *f, int64_t offset,
			  uint64_t length)
{
	int memfd = copy_of(f, offset, length), fd;
	char path[32];

	if (memfd < 0)
		return memfd;
	snprintf(path, sizeof path, "/proc/self/fd/%d", memfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	close(memfd);
	return fd < 0 ? -ENODEV : fd;
}

static int file_of(struct call *c, const struct rk__target *f)
{
	const uint64_t *a = c->arg;
	int fd;

	if (((int)a[3] & MAP_TYPE) == MAP_PRIVATE)
		return copy_of(f, (int64_t)a[5], a[1]);
	/* Where a write would not be shown, it would be one that nobody sees. */
	if (!rk__filter_sees((int)a[4]))
		return -ENODEV;
	fd = pinned_pages(c, f, (int64_t)a[5], a[1], (int)a[2], (int)a[3]);
	return fd == -ENOENT ? shared_copy_of(f, (int64_t)a[5], a[1]) : fd;
}

/* O_CLOEXEC if the caller's descriptor is. */
static uint32_t flags_of(const struct call *c, int fd)
{
	char path[48], text[256] = "";
	const char *at;
	int info;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", c->task->pid, fd);
	info = open(path, O_RDONLY | O_CLOEXEC);
	if (info >= 0) {
		(void)!read(info, text, sizeof text - 1);
		close(info);
	}
	at = strstr(text, "flags:");
	return at ? (uint32_t)strtoul(at + 6, NULL, 8) & O_CLOEXEC : 0;
}

static int swap(struct call *c, int fd, int memfd)
{
	struct swap *s = c->task->swap;
	uint32_t flags;
	int e;

	pthread_mutex_lock(&c->task->lock);
	while (s < c->task->swap + SWAPS && s->placeholder >= 0)
		s++;
	e = s == c->task->swap + SWAPS ? -EAGAIN : fds_borrow(&c->base, fd);
	if (e >= 0) {
		ids_leave(c);
		flags = flags_of(c, fd);
		*s = (struct swap){ fd, e, flags, c->tid, now(), { 0, 0 } };
		(void)rk__placeholder_mark(memfd, &s->copy);
		e = fds_replace(c, memfd, fd, flags);
		if (e < 0) {
			close(s->placeholder);
			s->placeholder = -1;
		} else {
			c->task->swapped = true;
		}
		ids_enter(c);
	}
	pthread_mutex_unlock(&c->task->lock);
	return e < 0 ? e : 0;
}

static bool has_type(int flags)
{
	flags &= MAP_TYPE;
	return flags == MAP_PRIVATE || flags == MAP_SHARED ||
	       flags == MAP_SHARED_VALIDATE;
}

bool map_file(struct call *c, int64_t *ret)
{
	const uint64_t *a = c->arg;
	struct rk__target f;
	int64_t flags;
	int memfd, e;

	if ((int)a[3] & MAP_ANONYMOUS || !fds_find(&c->base, (int)a[4], &f))
		return false;
	/* What the kernel says before it looks at the file. */
	c->go_on = a[5] % PAGE;
	if (c->go_on)
		return true;
	flags = rk_getfl(f.client, f.fd);
	if (flags < 0 || flags & O_PATH) {
		*ret = flags < 0 ? flags : -EBADF;
		return true;
	}
	c->go_on = !has_type((int)a[3]) || !a[1] || a[5] + a[1] < a[1] ||
		   (int64_t)(a[5] + a[1]) < 0;
	if (c->go_on)
		return true;
	memfd = file_of(c, &f);
	e = memfd < 0 ? memfd : swap(c, (int)a[4], memfd);
	if (memfd >= 0)
		close(memfd);
	c->go_on = e == 0;
	*ret = e;
	return true;
}

void map_restore(struct call *c)
{
	bool left = false;
	struct rk__mark m;

	pthread_mutex_lock(&c->task->lock);
	for (struct swap *s = c->task->swap; s < c->task->swap + SWAPS; s++) {
		if (s->placeholder < 0)
			continue;
		/* Its thread may still be in the call. */
		if (s->tid != c->tid && now() - s->at < LATE_NS) {
			left = true;
			continue;
		}
		if (fds_mark(c, s->fd, &m) == 0 && m.ino == s->copy.ino &&
		    m.dev == s->copy.dev)
			(void)fds_replace(c, s->placeholder, s->fd, s->flags);
		close(s->placeholder);
		s->placeholder = -1;
	}
	c->task->swapped = left;
	pthread_mutex_unlock(&c->task->lock);
}
