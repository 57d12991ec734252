/*
 * vfs_mount.c - mounts: the driver gets its device and its options once, in
 * the first server; what is volatile is set anew in every server.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include "task.h"
#include "vfs_call.h"
#include "vfs_int.h"

bool rk__mount_read_only[RK_MOUNTS_MAX];
uint32_t rk__owner;
static bool has_device[RK_MOUNTS_MAX];

static void restart_mount(const struct rk__family *f, uint32_t mount)
{
	rk__mount_read_only[mount] = f->mount[mount].read_only ||
				     (f->board &&
				      atomic_load(&f->board->read_only));
	has_device[mount] = f->mount[mount].kind == RK_SOURCE_IMAGE;
	rk__stack_restart(f, mount);
}

/* One mount that says so is enough. */
static bool is_process(const struct rk__family *f)
{
	for (uint32_t i = 0; i < f->n_mounts; i++)
		if (f->mount[i].process)
			return true;
	return false;
}

void rk__vfs_restart(const struct rk__family *f)
{
	uint32_t i;

	rk__owner = f->owner;
	for (i = 0; i < f->n_mounts; i++)
		restart_mount(f, i);
	rk__calls_restart(f);
	rk__process_start(is_process(f));
	rk__name_purge_all();
	rk__lock_restart();
	rk__walk_restart(f);
}

void rk__vfs_prepare(const struct rk__family *f)
{
	char ignored[RK_SERVER_ERROR_LEN];

	if (is_process(f))
		rk__process_prepare();
	for (uint32_t i = 0; i < f->n_mounts; i++) {
		rk__stack_restart(f, i);
		/* if not now, then when it is needed, or its failure is */
		rk__stack_reopen(f, i, true, ignored, sizeof ignored);
	}
}

int rk__vfs_reopen(const struct rk__family *f, char *error, size_t error_len)
{
	int r = 0;

	for (uint32_t i = 0; i < f->n_mounts && r == 0; i++)
		if (rk__core->mount[i].mounted)
			r = rk__stack_reopen(f, i, false, error, error_len);
	return r;
}

int rk__vfs_mount(uint32_t mount, const struct rk__family *f,
		  bool *needs_recovery, char *error, size_t error_len)
{
	struct rk__mount_state state = {0};
	int r;

	*needs_recovery = false;
	restart_mount(f, mount);
	r = rk__stack_mount(f, mount, false, &state, needs_recovery, error,
			    error_len);
	if (r < 0)
		return r;
	RK_NOTE(&rk__core->mount[mount]);
	rk__core->mount[mount] = state;
	if (rk__core->n_mounts <= mount) {
		RK_NOTE(&rk__core->n_mounts);
		rk__core->n_mounts = mount + 1;
	}
	state.root_vnode = rk__vnode_get(rk__node(mount, state.root));
	rk__core->mount[mount].root_vnode = state.root_vnode;
	rk__vnode_hold_open(state.root_vnode);
	/* They may come in any order. */
	for (uint32_t i = 0; i < rk__core->n_mounts; i++)
		if (rk__core->mount[i].mounted)
			rk__walk_cover(i);
	return 0;
}

int rk__vfs_remount(uint32_t mount, const struct rk__family *f, bool resumes,
		    char *error, size_t error_len)
{
	struct rk__mount_state state = rk__core->mount[mount];
	uint64_t root = state.root;
	bool ignored = false;
	int r;

	restart_mount(f, mount);
	r = rk__stack_mount(f, mount, resumes, &state, &ignored, error,
			    error_len);
	if (r < 0)
		return r;
	if (state.root != root) {
		snprintf(error, error_len, "the root of %.100s has another "
			 "number than before", f->mount[mount].path);
		return -ESTALE;
	}
	RK_NOTE(&rk__core->mount[mount]);
	rk__core->mount[mount] = state;
	return 0;
}

bool rk__vfs_has_device(uint32_t mount)
{
	if (mount < RK_MOUNTS_MAX)
		return has_device[mount];
	for (uint32_t i = 0; i < rk__core->n_mounts; i++)
		if (has_device[i])
			return true;
	return false;
}

int rk__vfs_unmount(uint32_t mount)
{
	const struct rk_driver *d = rk__ops(mount);
	struct rk__mount_state *m = &rk__core->mount[mount];
	int r;

	/* A predecessor did, and died right after. */
	if (!m->mounted)
		return 0;
	r = d->sync ? d->sync(rk__fs(mount)) : 0;
	if (r < 0)
		return r;
	r = rk__stack_unmount(mount);
	if (r < 0)
		return r;
	rk__vnode_put_open(m->root_vnode);
	RK_NOTE(m);
	*m = (struct rk__mount_state){0};
	return 0;
}

static int sync_mount(uint32_t mount)
{
	const struct rk_driver *d = rk__ops(mount);

	if (!d->sync || !rk__core->mount[mount].mounted ||
	    rk__mount_read_only[mount])
		return 0;
	return d->sync(rk__fs(mount));
}

int rk__vfs_sync(uint32_t mount)
{
	int r = 0;

	if (mount < RK_MOUNTS_MAX)
		return sync_mount(mount);
	for (uint32_t i = 0; i < rk__core->n_mounts && r == 0; i++)
		r = sync_mount(i);
	return r;
}

int rk__vfs_statfs(uint32_t mount, struct rk_statfs *ret)
{
	const struct rk_driver *d = rk__ops(mount);
	int r;

	memset(ret, 0, sizeof *ret);
	ret->bsize = RK_PAGE;
	ret->namelen = RK_NAME_LEN_MAX;
	r = d->statfs ? d->statfs(rk__fs(mount), ret) : 0;
	if (r < 0)
		return r;
	if (rk__mount_read_only[mount])
		ret->flags |= ST_RDONLY;
	return 0;
}
