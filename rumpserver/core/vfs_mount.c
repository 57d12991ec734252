/*
 * vfs_mount.c - mounts: the driver gets its device and its options once, in
 * the first server; what is volatile is set anew in every server.
 */
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include "vfs_int.h"

enum { OPTIONS_MAX = 64 };

/* Drivers keep a pointer to it in recoverable memory: its address is the same
 * in every server of one zygote. */
static struct rk_host hosts[RK_MOUNTS_MAX];
static char complaint[RK_SERVER_ERROR_LEN];

const struct rk_driver *rk__driver[RK_MOUNTS_MAX];
bool rk__mount_read_only[RK_MOUNTS_MAX];

static void complain(void *ctx, const char *sentence)
{
	snprintf(complaint, sizeof complaint, "%s", sentence);
}

static void restart_mount(const struct rk__family *f, uint32_t mount)
{
	rk__mount_read_only[mount] = f->mount[mount].read_only;
	rk__blockstore_host(mount, complain, &hosts[mount]);
}

void rk__vfs_restart(const struct rk__family *f)
{
	uint32_t i;

	for (i = 0; i < f->n_mounts; i++)
		restart_mount(f, i);
	rk__name_purge_all();
	rk__lock_restart();
	rk__walk_restart(f);
}

/* Cuts `text` at its commas. -E2BIG: more than there is room for. */
static int split_options(char *text, const char **option, size_t *ret_n)
{
	char *save, *word;
	size_t n = 0;

	for (word = strtok_r(text, ",", &save); word;
	     word = strtok_r(NULL, ",", &save)) {
		if (n == OPTIONS_MAX)
			return -E2BIG;
		option[n++] = word;
	}
	*ret_n = n;
	return 0;
}

static int call_mount(const struct rk__mount_spec *spec, uint32_t mount,
		      struct rk__mount_state *state, bool *needs_recovery)
{
	const struct rk_driver *d = rk__ops(mount);
	const char *option[OPTIONS_MAX];
	struct rk_mount_options o = {
		.read_only = spec->read_only,
		.option = option,
	};
	char text[sizeof spec->options];
	int r;

	snprintf(text, sizeof text, "%s", spec->options);
	r = split_options(text, option, &o.n_options);
	if (r < 0) {
		complain(NULL, "there are too many options");
		return r;
	}
	return d->mount(&hosts[mount], &o, &state->fs, &state->root,
			needs_recovery);
}

int rk__vfs_mount(uint32_t mount, const struct rk__family *f,
		  bool *needs_recovery, char *error, size_t error_len)
{
	const struct rk__mount_spec *spec = &f->mount[mount];
	struct rk__mount_state state = {0};
	int r;

	*needs_recovery = false;
	complaint[0] = 0;
	restart_mount(f, mount);
	r = call_mount(spec, mount, &state, needs_recovery);
	if (r < 0) {
		snprintf(error, error_len, "cannot mount %s with driver %s: %s",
			 spec->source, spec->driver,
			 complaint[0] ? complaint : strerror(-r));
		return r;
	}
	RK_NOTE(&rk__core->mount[mount]);
	rk__core->mount[mount] = state;
	if (rk__core->n_mounts <= mount) {
		RK_NOTE(&rk__core->n_mounts);
		rk__core->n_mounts = mount + 1;
	}
	state.root_vnode = rk__vnode_get(rk__node(mount, state.root));
	rk__core->mount[mount].root_vnode = state.root_vnode;
	rk__vnode_hold_open(state.root_vnode);
	return 0;
}

int rk__vfs_unmount(uint32_t mount)
{
	const struct rk_driver *d = rk__ops(mount);
	struct rk__mount_state *m = &rk__core->mount[mount];
	int r;

	r = d->sync ? d->sync(m->fs) : 0;
	if (r < 0)
		return r;
	r = d->unmount ? d->unmount(m->fs) : 0;
	if (r < 0)
		return r;
	rk__vnode_put_open(m->root_vnode);
	RK_NOTE(m);
	*m = (struct rk__mount_state){0};
	return 0;
}

int rk__vfs_sync_all(void)
{
	uint32_t i;
	int r;

	for (i = 0; i < rk__core->n_mounts; i++) {
		const struct rk_driver *d = rk__ops(i);

		if (!d->sync || !rk__core->mount[i].fs ||
		    rk__mount_read_only[i])
			continue;
		r = d->sync(rk__fs(i));
		if (r < 0)
			return r;
	}
	return 0;
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
