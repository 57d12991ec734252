/*
 * upgrade.c - a server's two parts in an upgrade (supervisor/upgrade.h): to
 * write what it holds, and to begin with what another one wrote.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "driver.h"
#include "core/external.h"
#include "core/pages.h"
#include "core/serve.h"
#include "core/vfs.h"
#include "gate/gate.h"
#include "server/loop.h"

enum {
	BUFFER = 256 << 10,
	RECLAIM_MAX = 64,
	PIECE = 1024,			/* records that one commit takes in */
};

/* --- writing ------------------------------------------------------------------ */

static struct {
	uint8_t bytes[BUFFER];
	size_t n;
	off_t at;
	int fd;
} file;

static int drain_file(void)
{
	for (size_t done = 0; done < file.n;) {
		ssize_t n = pwrite(file.fd, file.bytes + done, file.n - done,
				   file.at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
		file.at += n;
	}
	file.n = 0;
	return 0;
}

static int put(void *ctx, const void *bytes, size_t n)
{
	const uint8_t *from = bytes;

	while (n) {
		size_t room = sizeof file.bytes - file.n;
		int e = room ? 0 : drain_file();

		if (e < 0)
			return e;
		room = sizeof file.bytes - file.n;
		room = room < n ? room : n;
		memcpy(file.bytes + file.n, from, room);
		file.n += room;
		from += room;
		n -= room;
	}
	return 0;
}

static int write_state(const struct rk__family *f, int fd, off_t at,
		       bool images)
{
	struct rk__ext_out o = { .put = put };
	int e;

	file.fd = fd;
	file.at = at;
	file.n = 0;
	rk__ext_begin(&o);
	e = rk__ext_write_core(&o);
	for (uint32_t i = 0; images && i < f->n_mounts && !e; i++)
		if (f->mount[i].kind == RK_SOURCE_IMAGE)
			e = rk__ext_write_image(&o, i);
	if (!e)
		e = rk__ext_end(&o);
	return e ? e : drain_file();
}

int rk__upgrade_write(const struct rk__family *f, int fd, off_t at,
		      bool images)
{
	int e;

	rk__fuse_settle();
	rk__serve_flush();
	rk__serve_held(true);
	rk__pages_write_back_all();
	for (unsigned i = 0; i < RECLAIM_MAX && rk__vnode_reclaim_some(); i++)
		rk__serve_flush();
	atomic_store(&f->board->unflushed, 1);
	e = rk__vfs_sync(RK_MOUNTS_MAX);
	if (e < 0) {
		rk__rollback();
		return e;
	}
	if (rk__changed())
		rk__commit(NULL, 0, 0, NULL);
	RK_CRASHPOINT(upgrade_paused);
	e = write_state(f, fd, at, images);
	if (!e)
		rk__recovery_drain();
	RK_CRASHPOINT(upgrade_written);
	return e;
}

/* --- reading ------------------------------------------------------------------ */

static int read_core(struct rk__ext_in *in)
{
	struct rk__ext_item item;
	unsigned n = 0;
	int e;

	while ((e = rk__ext_next(in, &item)) == 1) {
		e = rk__ext_read(in, &item);
		if (e < 0)
			return e;
		if (++n % PIECE == 0 && rk__changed())
			rk__commit(NULL, 0, 0, NULL);
	}
	return e < 0 ? e : rk__ext_read_end(in);
}

static int prove(struct rk__ext_in *in)
{
	struct rk__ext_item item;
	int e;

	while ((e = rk__ext_next(in, &item)) == 1) {
		e = rk__ext_prove(in, &item);
		if (e < 0)
			return e;
	}
	return e;
}

static int read_all(const struct rk__family *f, const uint8_t *bytes, size_t n,
		    char *error)
{
	struct rk__ext_in in;
	int e = rk__ext_open(&in, bytes, n, error);

	if (!e)
		e = read_core(&in);
	RK_CRASHPOINT(upgrade_read);
	rk__vfs_restart(f);
	for (uint32_t i = 0; !e && i < f->n_mounts; i++)
		e = rk__vfs_remount(i, f, false, error,
				    RK_SERVER_ERROR_LEN);
	if (!e)
		e = rk__ext_open(&in, bytes, n, error);
	return e ? e : prove(&in);
}

int rk__upgrade_read(const struct rk__family *f, int fd, char *error)
{
	uint8_t *bytes;
	size_t n;
	int e = rk__ext_load(fd, &bytes, &n);

	if (e < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot read the state: "
			 "%s", strerror(-e));
		return e;
	}
	/* what the drivers' data holds before anything was done with it */
	rk__commit_boot();
	e = read_all(f, bytes, n, error);
	free(bytes);
	if (e < 0)
		return e;
	rk__commit_boot();
	atomic_store(&f->board->unflushed, 1);
	RK_CRASHPOINT(upgrade_canaried);
	return 0;
}
