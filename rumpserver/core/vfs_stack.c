/*
 * vfs_stack.c - the drivers of one mount, one standing on the other: mounted
 * from the lowest up, unmounted from the top down.
 *
 * Theory of operation. What most drivers return from mount lies in recoverable
 * memory, so the first server's call is the only one, and the core keeps the
 * pointer. Some keep nothing there (RK_DRIVER_REOPEN): each server mounts them
 * anew, and the pointer is its own. A standby does that before it is needed,
 * as far as nothing below is in memory that a predecessor still changes; the
 * rest is done when it takes over.
 */
#include <stdio.h>
#include <string.h>
#include "task.h"
#include "vfs_int.h"

enum { OPTIONS_MAX = 64 };

struct layer {
	const struct rk_driver *driver;
	void *fs;
	uint64_t root;
	bool up;			/* fs is what it returned */
	/* Drivers keep a pointer to it in recoverable memory: its address is
	 * the same in every server of one zygote. */
	struct rk_host host;
};

static struct layer stack[RK_MOUNTS_MAX][RK_STACK_MAX];
static char complaint[RK_SERVER_ERROR_LEN];

const struct rk_driver *rk__driver[RK_MOUNTS_MAX];
const struct rk_driver *rk__lower[RK_MOUNTS_MAX][RK_STACK_MAX - 1];
void *rk__top_fs[RK_MOUNTS_MAX];

static void complain(void *ctx, const char *sentence)
{
	snprintf(complaint, sizeof complaint, "%s", sentence);
}

static uint32_t height(uint32_t mount)
{
	uint32_t n = 0;

	while (n < RK_STACK_MAX - 1 && rk__lower[mount][n])
		n++;
	return n + 1;
}

static bool reopens(const struct layer *l)
{
	return l->driver->flags & RK_DRIVER_REOPEN;
}

/* What lies on the stack of an op that sleeps must be good in a successor:
 * where one driver is mounted anew by it, nobody may sleep. */
static bool may_sleep(uint32_t mount)
{
	for (uint32_t i = 0; i < height(mount); i++)
		if (reopens(&stack[mount][i]))
			return false;
	return true;
}

static int cannot_wait(void *ctx, const void *key)
{
	return -EDEADLK;
}

static void add_sleep(uint32_t mount)
{
	bool may = may_sleep(mount);

	for (uint32_t i = 0; i < height(mount); i++) {
		struct rk_host *host = &stack[mount][i].host;

		host->wait = may ? rk__host_wait : cannot_wait;
		host->wake = rk__host_wake;
		host->yield = rk__host_yield;
	}
}

void rk__stack_restart(const struct rk__family *f, uint32_t mount)
{
	const struct rk__mount_state *state = &rk__core->mount[mount];
	uint32_t n = height(mount);

	for (uint32_t i = 0; i < n; i++) {
		struct layer *l = &stack[mount][i];

		l->driver = i + 1 < n ? rk__lower[mount][i] : rk__driver[mount];
		rk__blockstore_host(mount, complain, &l->host);
		l->host.lasting = f->lasting ? f->lasting +
			(mount * RK_STACK_MAX + i) * RK_LASTING_SIZE : NULL;
		rk__outside_host(mount, i, l->driver, &l->host);
		if (!state->mounted || reopens(l))
			continue;
		l->fs = state->fs[i];
		l->root = state->layer_root[i];
		l->up = true;
	}
	add_sleep(mount);
	rk__top_fs[mount] = stack[mount][n - 1].fs;
}

const struct rk_host *rk__vfs_device(uint32_t mount)
{
	return &stack[mount][0].host;
}

/* --- options --------------------------------------------------------------- */

static uint32_t owner_of(const struct rk__mount_spec *spec, const char **word)
{
	size_t len = strcspn(*word, ".=");

	for (uint32_t i = 0; i < spec->n_layers && (*word)[len] == '.'; i++) {
		if (strncmp(*word, spec->layer[i], len) != 0 ||
		    spec->layer[i][len])
			continue;
		*word += len + 1;
		return i;
	}
	return 0;
}

/* Cuts `text` at its commas and takes what is for this layer. -E2BIG: more
 * than there is room for. */
static int split_options(const struct rk__mount_spec *spec, uint32_t layer,
			 char *text, const char **option, size_t *ret_n)
{
	char *save, *word;
	size_t n = 0;

	for (word = strtok_r(text, ",", &save); word;
	     word = strtok_r(NULL, ",", &save)) {
		const char *w = word;

		if (owner_of(spec, &w) != layer)
			continue;
		if (n == OPTIONS_MAX)
			return -E2BIG;
		option[n++] = w;
	}
	*ret_n = n;
	return 0;
}

/* --- mounting -------------------------------------------------------------- */

static int call_mount(const struct rk__mount_spec *spec, struct layer *all,
		      uint32_t i, bool resumes, bool *needs_recovery)
{
	struct layer *l = &all[i];
	const char *option[OPTIONS_MAX];
	struct rk_lower lower;
	struct rk_mount_options o = {
		.read_only = spec->read_only,
		.option = option,
		.resumes = resumes,
	};
	char text[sizeof spec->options];
	int r;

	if (i) {
		lower = (struct rk_lower){
			all[i - 1].driver, all[i - 1].fs, all[i - 1].root,
		};
		o.lower = &lower;
	}
	snprintf(text, sizeof text, "%s", spec->options);
	r = split_options(spec, i, text, option, &o.n_options);
	if (r < 0) {
		complain(NULL, "there are too many options");
		return r;
	}
	r = l->driver->mount(&l->host, &o, &l->fs, &l->root, needs_recovery);
	l->up = r >= 0;
	return r;
}

static int failed(const struct rk__mount_spec *spec, uint32_t layer, int r,
		  char *error, size_t error_len)
{
	snprintf(error, error_len, "cannot mount %s with driver %s: %s",
		 spec->source[0] ? spec->source : spec->path,
		 spec->n_layers ? spec->layer[layer] : spec->driver,
		 complaint[0] ? complaint : strerror(-r));
	return r;
}

int rk__stack_mount(const struct rk__family *f, uint32_t mount, bool resumes,
		    struct rk__mount_state *ret, bool *needs_recovery,
		    char *error, size_t error_len)
{
	const struct rk__mount_spec *spec = &f->mount[mount];
	struct layer *all = stack[mount];
	uint32_t n = height(mount);

	complaint[0] = 0;
	for (uint32_t i = 0; i < n; i++) {
		int r = call_mount(spec, all, i, resumes, needs_recovery);

		if (r < 0)
			return failed(spec, i, r, error, error_len);
		ret->fs[i] = reopens(&all[i]) ? NULL : all[i].fs;
		ret->layer_root[i] = all[i].root;
	}
	ret->root = all[n - 1].root;
	ret->mounted = true;
	rk__top_fs[mount] = all[n - 1].fs;
	return 0;
}

int rk__stack_reopen(const struct rk__family *f, uint32_t mount, bool early,
		     char *error, size_t error_len)
{
	const struct rk__mount_state *state = &rk__core->mount[mount];
	const struct rk__mount_spec *spec = &f->mount[mount];
	struct layer *all = stack[mount];
	uint32_t n = height(mount);
	bool needs_recovery;

	complaint[0] = 0;
	for (uint32_t i = 0; i < n; i++) {
		int r = 0;

		if (early && !reopens(&all[i]))
			return 0;
		if (!all[i].up)
			r = call_mount(spec, all, i, false, &needs_recovery);
		if (r >= 0 && !early && all[i].root != state->layer_root[i]) {
			complain(NULL, "it is not what it was: its root has "
				 "another number");
			r = -ESTALE;
		}
		if (r < 0)
			return failed(spec, i, r, error, error_len);
	}
	rk__top_fs[mount] = all[n - 1].fs;
	return 0;
}

int rk__stack_unmount(uint32_t mount)
{
	for (uint32_t i = height(mount); i-- > 0;) {
		struct layer *l = &stack[mount][i];
		int r = l->driver->unmount ? l->driver->unmount(l->fs) : 0;

		if (r < 0)
			return r;
		l->up = false;
	}
	return 0;
}
