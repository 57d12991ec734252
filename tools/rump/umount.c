/*
 * umount.c - rump umount: finds the server by its mount point and has it
 * unmount, write everything and end.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "rump.h"
#include "supervisor/mount.h"
#include "supervisor/spec.h"

static const char help[] =
"usage: rump umount [--lazy] DIR\n"
"\n"
"Unmounts what `rump mount` mounted at DIR, waits until all of it is in the\n"
"image, and ends the server. Refused while something uses the mount.\n"
"\n"
"  --lazy   take it out of sight at once; programs that still use it get errors\n";

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
	FILE *f = setmntent("/proc/self/mounts", "re");
	struct mntent *m;
	bool found = false;

	while (f && !found && (m = getmntent(f)))
		found = !strcmp(m->mnt_type, "fuse.rump") &&
			!strcmp(m->mnt_dir, dir);
	if (f)
		endmntent(f);
	return found;
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

static int stop(const struct search *s, bool lazy)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	struct rk_status status;
	int e;

	if (lazy && rk__fuse_unmount(s->dir, true, error) < 0)
		return complain("%s", error);
	e = ask_peer(s->socket, RK_HELLO_STOP, &status);
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

int cmd_umount(int argc, char **argv)
{
	static const struct option options[] = {
		{ "lazy", no_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	char dir[PATH_MAX];
	struct search s = { 0 };
	bool lazy = false;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "lh", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 'l')
			return complain_option("umount", argv);
		lazy = true;
	}
	if (argc - optind != 1)
		return complain("umount: takes one directory; see rump umount "
				"--help");
	dir[0] = '\0';
	if (!find(argv[optind], dir, &s) && is_orphan(dir))
		return remove_orphan(dir);
	if (!s.socket[0])
		return complain("nothing of rump is mounted at %s; rump ps "
				"lists what is", argv[optind]);
	return stop(&s, lazy);
}
