/*
 * umount.c - rump umount: finds the server by its mount point and has it
 * unmount, write everything and end.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "rump.h"
#include "supervisor/mount.h"
#include "supervisor/spec.h"

static const char help[] =
"usage: rump umount [--lazy] [--force] DIR\n"
"\n"
"Unmounts what `rump mount` mounted at DIR, waits until all of it is in the\n"
"image, and ends the server. Refused while something uses the mount.\n"
"\n"
"  --lazy   take it out of sight at once; programs that still use it get errors\n"
"  --force  the same, and every call that waits for it ends with an error: for a\n"
"           server that no longer answers\n";

enum {
	FORCED_WAIT_S = 10,
	SUCCESSOR_LOOKS = 20,		/* 50 ms each */
};

struct search {
	const char *dir;
	char socket[4096];
};

static int match(void *arg, const char *path, const struct rk_status *status)
{
	struct search *s = arg;
	size_t len = strlen(s->dir);

	for (const char *m = status->mounts; *m; m += strcspn(m, "\n"),
	     m += *m == '\n') {
		if (strncmp(m, s->dir, len) != 0 || m[len] != '=')
			continue;
		snprintf(s->socket, sizeof s->socket, "%s", path);
		return 1;
	}
	return 0;
}

/* By its name first: looking at the path would ask the server. */
static int find(const char *dir, char *ret_dir, struct search *ret)
{
	char absolute[PATH_MAX], real[PATH_MAX];
	struct rk__mount_spec m;
	char error[RK_SERVER_ERROR_LEN];

	if (make_absolute(dir, absolute, sizeof absolute) < 0 ||
	    rk__spec_path(absolute, &m, error) < 0)
		return 0;
	strcpy(ret_dir, m.path);
	ret->dir = ret_dir;
	if (for_each_peer(match, ret))
		return 1;
	if (!realpath(absolute, real))
		return 0;
	strcpy(ret_dir, real);
	return for_each_peer(match, ret);
}

/* A mount that outlived its supervisor: the kernel still lists it. */
static bool is_orphan(const char *dir)
{
	struct rk__mounted m;

	return rk__mount_find(dir, &m) == 0 && !strcmp(m.type, "fuse.rump");
}

static int remove_orphan(const char *dir)
{
	char error[RK_SERVER_ERROR_LEN] = "";

	if (rk__fuse_unmount(dir, true, error) < 0)
		return complain("%s", error);
	fprintf(stderr, "rump: the server of %s had been killed; its mount is "
		"removed, and the next start or rump recover brings the image "
		"to its last flush\n", dir);
	return 0;
}

static int stop(const struct search *s, const struct umount_how *how)
{
	unsigned timeout_s = how->force ? FORCED_WAIT_S : 0;
	char error[RK_SERVER_ERROR_LEN] = "";
	struct rk_status status;
	int e;

	/* -EINVAL: it was taken out of sight before, and is still in use */
	if (how->force) {
		e = rk__fuse_abort(s->dir, error);
		if (e < 0 && e != -EINVAL)
			return complain("%s", error);
	}
	if (how->lazy && !how->force &&
	    rk__fuse_unmount(s->dir, true, error) < 0)
		return complain("%s", error);
	e = ask_peer(s->socket, RK_HELLO_STOP, timeout_s, &status);
	if (e == -EAGAIN)
		return complain("%s is unmounted, but its server has not ended "
				"yet; it will when its deadline is over",
				s->dir);
	/* one that saw the mount go has begun to end before we asked */
	if (e < 0 && (how->lazy || how->force))
		return 0;
	if (e < 0)
		return complain("the server of %s ended without an answer: %s",
				s->dir, strerror(-e));
	if (status.error == 0)
		return 0;
	if (status.error == -EBUSY)
		return complain("%s is in use; end what uses it, or use "
				"rump umount --lazy", s->dir);
	return complain("%s: %s", s->dir, status.message[0] ? status.message :
			strerror(-status.error));
}

int umount_dir(const char *name, const struct umount_how *how)
{
	const struct timespec look = { .tv_nsec = 50000000 };
	char dir[PATH_MAX] = "";
	struct search s = { 0 };
	bool orphan = false;

	/* a supervisor that was killed just now is being replaced */
	for (int i = 0; i < SUCCESSOR_LOOKS && !find(name, dir, &s); i++) {
		orphan = is_orphan(dir);
		if (!orphan)
			break;
		nanosleep(&look, NULL);
	}
	if (s.socket[0])
		return stop(&s, how);
	if (orphan)
		return remove_orphan(dir);
	return complain("nothing of rump is mounted at %s; rump ps lists what "
			"is", name);
}

int cmd_umount(int argc, char **argv)
{
	static const struct option options[] = {
		{ "lazy", no_argument, NULL, 'l' },
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	struct umount_how how = { 0 };
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "lfh", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 'l' && o != 'f')
			return complain_option("umount", argv);
		how.lazy |= o == 'l';
		how.force |= o == 'f';
	}
	if (argc - optind != 1)
		return complain("umount: takes one directory; see rump umount "
				"--help");
	return umount_dir(argv[optind], &how);
}
