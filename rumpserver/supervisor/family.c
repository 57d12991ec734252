/*
 * family.c - makes what the processes of one driver set share: board, log,
 * region images, inboxes, overlays, and the two views of them (make.h). All
 * memfds are sparse: what is not used costs nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "driver.h"
#include "gate/fuse.h"
#include "cells.h"
#include "recovery/calls.h"
#include "recovery/recovery.h"
#include "supervisor/upgrade.h"

_Static_assert(sizeof(struct rk__board) <= RK_PAGE, "the board is one page");

enum { LASTING_SIZE = RK_MOUNTS_MAX * RK_STACK_MAX * RK_LASTING_SIZE };

static int make_memfd(const char *name, uint64_t size)
{
	int e, fd = memfd_create(name, MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size) < 0) {
		e = -errno;
		close(fd);
		return e;
	}
	return fd;
}

/* One memfd for both views, the server's descriptor only reads. */
static int make_pair(const char *name, uint64_t size, int *rw, int *ro)
{
	char path[32];
	int fd = make_memfd(name, size);

	if (fd < 0)
		return fd;
	*rw = fd;
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	*ro = open(path, O_RDONLY | O_CLOEXEC);
	return *ro < 0 ? -errno : 0;
}

/* Mapped, and known to all by inheritance. */
static void *make_mapping(const char *name, size_t size)
{
	int fd = make_memfd(name, size);
	void *p;

	if (fd < 0)
		return NULL;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/*
 * Servers write it by the mapping that they inherit, and nobody else can: not with
 * a descriptor, and not with a mapping of his own.
 */
static int make_cells(struct rk__family *k, struct rk__family *s)
{
	int fd = memfd_create("rump-cells", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct rk_cells *p;

	if (fd < 0)
		return -errno;
	k->cells_fd = s->cells_fd = fd;
	if (ftruncate(fd, sizeof *p) < 0)
		return -errno;
	p = mmap(NULL, sizeof *p, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	k->cells = s->cells = p;
	p->magic = RK_CELLS_MAGIC;
	/* Before Linux 5.1 there is no such seal: nobody gets it then. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
		  F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		close(fd);
		k->cells_fd = s->cells_fd = -1;
	}
	return 0;
}

static int make_shared(struct rk__views *v)
{
	struct rk__family *k = &v->keeper, *s = &v->server;
	int e;

	k->board = s->board = make_mapping("rump-board", RK_PAGE);
	k->lasting = s->lasting = make_mapping("rump-lasting", LASTING_SIZE);
	if (!s->board || !s->lasting)
		return -ENOMEM;
	e = make_cells(k, s);
	if (e < 0)
		return e;
	e = make_pair("rump-core", RK_CORE_SIZE, &k->core_fd, &s->core_fd);
	if (e < 0)
		return e;
	e = make_pair("rump-driver", RK_DRIVER_SIZE, &k->driver_fd,
		      &s->driver_fd);
	if (e < 0)
		return e;
	e = make_memfd("rump-log", RK_LOG_RING_AT + RK_LOG_SIZE);
	if (e < 0)
		return e;
	k->log_fd = s->log_fd = e;
	e = make_pair("rump-calls", RK_CALLS_AT + RK_CALLS_MAX, &k->calls_fd,
		      &s->calls_fd);
	if (e < 0)
		return e;
	e = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (e < 0)
		return -errno;
	k->keeper_event = s->keeper_event = e;
	return 0;
}

static void adopt_device(struct rk__views *v, unsigned n,
			 const struct rk__handed *h)
{
	struct rk__device *k = &v->keeper.device[n], *s = &v->server.device[n];

	v->server.inbox_fd[n] = h->inbox[n];
	k->overlay_fd = h->overlay[n][0];
	s->overlay_fd = h->overlay[n][1];
	k->bitmap_fd = h->overlay[n][2];
	s->bitmap_fd = h->overlay[n][3];
}

static int make_memory(struct rk__views *v, unsigned n, uint64_t size)
{
	struct rk__device *k = &v->keeper.device[n], *s = &v->server.device[n];
	uint64_t blocks = (size + RK_PAGE - 1) / RK_PAGE;
	uint64_t bitmap = (blocks + 7) / 8;
	int e = make_memfd("rump-inbox", RK_FUSE_INBOX_SIZE);

	if (e < 0)
		return e;
	v->server.inbox_fd[n] = e;
	if (v->server.mount[n].kind != RK_SOURCE_IMAGE)
		return 0;
	e = make_pair("rump-overlay", blocks * RK_PAGE, &k->overlay_fd,
		      &s->overlay_fd);
	if (e < 0)
		return e;
	bitmap = (bitmap + RK_PAGE - 1) / RK_PAGE * RK_PAGE;
	return make_pair("rump-bitmap", bitmap, &k->bitmap_fd, &s->bitmap_fd);
}

/* handed: another family's memory, or NULL: to be made. */
static int make_device(struct rk__views *v, unsigned n,
		       const struct rk__image *i,
		       const struct rk__handed *handed)
{
	struct rk__device *k = &v->keeper.device[n], *s = &v->server.device[n];

	k->fd = i->rw_fd;
	k->journal_fd = i->journal_fd;
	k->undo_fd = i->undo_fd;
	s->fd = i->ro_fd;
	k->size = s->size = i->size;
	if (!handed)
		return make_memory(v, n, i->size);
	adopt_device(v, n, handed);
	return 0;
}

static void blank(struct rk__family *f)
{
	memset(f, 0, sizeof *f);
	f->owner = geteuid();
	f->core_fd = f->driver_fd = f->log_fd = f->keeper_event = -1;
	f->cells_fd = f->calls_fd = -1;
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++) {
		f->inbox_fd[i] = f->fuse_fd[i] = -1;
		f->device[i] = (struct rk__device){
			.fd = -1, .journal_fd = -1, .undo_fd = -1,
			.overlay_fd = -1, .bitmap_fd = -1,
		};
	}
}

static bool same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 &&
	       x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* The lock would refuse it too, but name us as the other server. */
static int refuse_twice(const struct rk__config *c, unsigned n,
			const struct rk__image *image, char *error)
{
	int e = 0, fd = -1;

	if (c->mount[n].kind == RK_SOURCE_IMAGE)
		fd = open(c->mount[n].source, O_PATH | O_CLOEXEC);
	for (unsigned i = 0; fd >= 0 && i < n; i++)
		if (same_file(fd, image[i].ro_fd))
			e = -EINVAL;
	if (fd >= 0)
		close(fd);
	if (e < 0)
		snprintf(error, RK_SERVER_ERROR_LEN, "%s is given twice",
			 c->mount[n].source);
	return e;
}

int rk__views_init(const struct rk__config *c, struct rk__views *v,
		   struct rk__image *image, char *error)
{
	const char *fragile = getenv("RUMP_FRAGILE");
	int e;

	blank(&v->keeper);
	blank(&v->server);
	v->server.fragile = fragile && strcmp(fragile, "1") == 0;
	v->server.imports = c->state_fd > 0;
	e = make_shared(v);
	if (e < 0)
		goto no_memory;
	for (unsigned i = 0; i < c->n_mounts; i++) {
		e = refuse_twice(c, i, image, error);
		if (e < 0)
			goto fail;
		e = rk__image_open(&c->mount[i], &image[i], error);
		if (e < 0)
			goto fail;
		v->keeper.mount[i] = v->server.mount[i] = c->mount[i];
		v->keeper.n_mounts = v->server.n_mounts = i + 1;
		e = make_device(v, i, &image[i], NULL);
		if (e < 0)
			goto no_memory;
	}
	return 0;
no_memory:
	snprintf(error, RK_SERVER_ERROR_LEN,
		 "cannot make the shared memory: %s", strerror(-e));
fail:
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++)
		rk__image_unmake(&image[i]);
	rk__views_finish(v);
	return e;
}

/* Descriptors of the mounts stay the caller's if it fails: his process ends. */
int rk__views_adopt(const struct rk__config *c, struct rk__views *v,
		    const struct rk__handed *handed, char *error)
{
	int e;

	blank(&v->keeper);
	blank(&v->server);
	v->server.imports = true;
	e = make_shared(v);
	for (unsigned i = 0; i < c->n_mounts && !e; i++) {
		v->keeper.mount[i] = v->server.mount[i] = c->mount[i];
		v->keeper.n_mounts = v->server.n_mounts = i + 1;
		e = make_device(v, i, &handed->image[i], handed);
	}
	if (e < 0)
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "cannot make the shared memory: %s", strerror(-e));
	else
		atomic_store(&v->server.board->devices_held, 1);
	return e;
}

/* Every descriptor of a view, in a fixed order. */
enum { FDS_MAX = 6 + RK_MOUNTS_MAX * 7 };

static void list_fds(const struct rk__family *f, int *ret)
{
	int *p = ret;

	*p++ = f->core_fd;
	*p++ = f->driver_fd;
	*p++ = f->log_fd;
	*p++ = f->keeper_event;
	*p++ = f->cells_fd;
	*p++ = f->calls_fd;
	for (unsigned i = 0; i < RK_MOUNTS_MAX; i++) {
		*p++ = f->inbox_fd[i];
		*p++ = f->fuse_fd[i];
		*p++ = f->device[i].fd;
		*p++ = f->device[i].journal_fd;
		*p++ = f->device[i].undo_fd;
		*p++ = f->device[i].overlay_fd;
		*p++ = f->device[i].bitmap_fd;
	}
}

static int compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void rk__views_only(const struct rk__views *v, int fd)
{
	int keep[2 * FDS_MAX + 1], next = STDERR_FILENO + 1;

	list_fds(&v->keeper, keep);
	list_fds(&v->server, keep + FDS_MAX);
	keep[2 * FDS_MAX] = fd;
	qsort(keep, 2 * FDS_MAX + 1, sizeof *keep, compare);
	for (unsigned i = 0; i <= 2 * FDS_MAX; i++) {
		if (keep[i] > next)
			syscall(SYS_close_range, next, keep[i] - 1, 0);
		if (keep[i] >= next)
			next = keep[i] + 1;
	}
	syscall(SYS_close_range, next, ~0u, 0);
}

static void close_other(const struct rk__family *mine,
			const struct rk__family *other)
{
	int keep[FDS_MAX], drop[FDS_MAX];

	list_fds(mine, keep);
	list_fds(other, drop);
	for (unsigned i = 0; i < FDS_MAX; i++)
		if (drop[i] >= 0 && drop[i] != keep[i])
			close(drop[i]);
}

const struct rk__family *rk__views_keep(struct rk__views *v, bool keeper)
{
	if (keeper)
		close_other(&v->keeper, &v->server);
	else
		close_other(&v->server, &v->keeper);
	return keeper ? &v->keeper : &v->server;
}

void rk__views_unlock(struct rk__views *v)
{
	/* the lock is of the description that the keeper writes by, or, of a
	 * read-only image, the server's */
	for (unsigned i = 0; i < v->keeper.n_mounts; i++)
		flock(v->keeper.device[i].fd >= 0 ? v->keeper.device[i].fd :
		      v->server.device[i].fd, LOCK_UN);
}

void rk__views_finish(struct rk__views *v)
{
	struct rk__family none;

	blank(&none);
	close_other(&v->server, &v->keeper);
	close_other(&none, &v->server);
	if (v->server.board)
		munmap(v->server.board, RK_PAGE);
	if (v->server.lasting)
		munmap(v->server.lasting, LASTING_SIZE);
	if (v->server.cells)
		munmap(v->server.cells, sizeof *v->server.cells);
	blank(&v->keeper);
	blank(&v->server);
}
