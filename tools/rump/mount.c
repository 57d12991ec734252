/*
 * mount.c - rump mount: the command line of a file system for the whole host.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include "config.h"
#include "driver.h"
#include "supervisor/drivers.h"
#include "supervisor/spec.h"

static const char help[] =
"usage: rump mount [options] DRIVER:SOURCE[,option...] DIR\n"
"       rump mount [options] NAME | FILE.conf [DIR]\n"
"\n"
"Mounts SOURCE at the directory DIR and returns when it is usable; servers in\n"
"the background go on until rump umount DIR (or umount DIR). As root the mount\n"
"is for everybody, otherwise for you alone. By a config (rump.conf(5)) it is what\n"
"that says, at DIR or at the path of its mount.\n"
"\n"
"  DRIVER            or several, the topmost first: fault+ext4\n"
"  SOURCE            what the driver wants: an image or a block device, a file,\n"
"                    a directory, or nothing; options after a comma:\n"
"                    ro         nothing is written\n"
"                    writeback  the kernel gathers small writes and is asked to\n"
"                               write them later, as for a local file system\n"
"                    stay       servers neither follow their callers' CPU nor\n"
"                               poll before they sleep\n"
"                    execution=process\n"
"                               calls have stacks of their own: drivers may wait\n"
"                               in the middle, long calls let others in between\n"
"                    and those of the driver; of several drivers, NAME.option\n"
"                    is for the driver NAME and others for the last\n"
"  --foreground      stay, and stop cleanly at SIGINT, SIGTERM or SIGHUP\n"
"  --name NAME       of the server, for rump ps and the library (its pid)\n"
"  --deadline TIME   a call that computes longer is a hang, its server is\n"
"                    replaced (10s)\n"
"\n"
"drivers, with what their SOURCE is (rump drivers NAME tells the options):\n";

/* What is below a mount of something else is hidden on purpose; two of ours,
 * one on the other, are a mistake. */
static int refuse_covered(const char *dir, char *error)
{
	struct rk__mounted there;

	if (rk__mount_find(dir, &there) < 0 ||
	    strcmp(there.type, "fuse.rump") != 0)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "%.100s is mounted on %.100s "
		 "already; rump umount takes it away", there.source, dir);
	return -EBUSY;
}

/* Names become absolute: the daemon leaves this directory. */
int mount_prepare(struct mount_request *q, const char *dir, char *error)
{
	struct rk__mount_spec *m = &q->config.mount[0];
	char real[PATH_MAX], absolute[PATH_MAX];
	struct stat st;
	int e = rk__drivers_load(&q->config, error);

	if (e < 0)
		return e;
	if (m->kind == RK_SOURCE_NONE)
		strcpy(absolute, m->source);
	else if (make_absolute(m->source, absolute, sizeof absolute) < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "the path of the source is too long");
		return -ENAMETOOLONG;
	}
	strcpy(m->source, absolute);
	snprintf(q->label, sizeof q->label, "%s:%s", m->driver, m->source);
	stale_clear_dir(dir);
	if (!realpath(dir, real) || stat(real, &st) < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "%.150s: %s", dir,
			 errno == ENOENT ? "no such directory" :
			 strerror(errno));
		return -errno;
	}
	if (!S_ISDIR(st.st_mode)) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "%.150s is not a directory", dir);
		return -ENOTDIR;
	}
	e = rk__spec_path(real, m, error);
	return e < 0 ? e : refuse_covered(m->path, error);
}

int mount_read_spec(struct mount_request *q, const char *source,
		    const char *dir, char *error)
{
	int e = rk__spec_source(source, &q->config.mount[0], error);

	q->config.n_mounts = 1;
	return e < 0 ? e : mount_prepare(q, dir, error);
}

static int read_options(int argc, char **argv, struct mount_request *q,
			char *error)
{
	static const struct option options[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "name", required_argument, NULL, 'n' },
		{ "deadline", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	uint64_t us;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "fh", options, NULL)) != -1) {
		switch (o) {
		case 'f':
			q->foreground = true;
			break;
		case 'n':
			snprintf(q->config.name, sizeof q->config.name, "%s", optarg);
			break;
		case 'd':
			if (rk__spec_time("--deadline", optarg, &us, error) < 0)
				return complain("%s", error);
			q->config.deadline_ms = (us + 999) / 1000;
			break;
		case 'h':
			fputs(help, stdout);
			list_drivers("  ");
			exit(0);
		default:
			return complain_option("mount", argv);
		}
	}
	return 0;
}

void mount_request_init(struct mount_request *ret)
{
	default_config(&ret->config);
	ret->config.audience = RK_AUDIENCE_HOST;
	ret->how = (struct rk__mount_how){
		.flags = RK_MOUNT_FLAGS, .allow_other = geteuid() == 0,
		.source = ret->label,
	};
	ret->foreground = false;
	memset(&ret->shared, -1, sizeof ret->shared);
}

/* By a config, whoever it means it for. dir: NULL if not given. */
static int mount_config(struct mount_request *q, const char *what,
			const char *dir, char *error)
{
	struct rk__config *c = &q->config;
	char name[sizeof c->name];
	uint32_t deadline_ms = c->deadline_ms;

	strcpy(name, c->name);
	if (config_request(what, q, error))
		return RUMP_FAILED;
	if (c->n_mounts != 1)
		return complain("%s has %u mounts, and one mount of the host "
				"is one; use rump start and rump run -s",
				what, c->n_mounts);
	if (name[0])
		strcpy(c->name, name);
	if (deadline_ms)
		c->deadline_ms = deadline_ms;
	c->audience = RK_AUDIENCE_HOST;
	c->fuse = true;
	if (dir && strlen(dir) < sizeof c->mount[0].path)
		strcpy(c->mount[0].path, dir);
	return request_start(q, error) < 0 ? complain("%s", error) : 0;
}

int cmd_mount(int argc, char **argv)
{
	static struct mount_request q;
	char error[RK_SERVER_ERROR_LEN] = "";
	uint32_t deadline_ms;
	int e, n;

	mount_request_init(&q);
	deadline_ms = q.config.deadline_ms;
	q.config.deadline_ms = 0;
	e = read_options(argc, argv, &q, error);
	if (e)
		return e;
	n = argc - optind;
	argv += optind;
	if ((n == 1 || n == 2) && !strchr(argv[0], ':'))
		return mount_config(&q, argv[0], argv[1], error);
	if (n != 2)
		return complain("mount: takes DRIVER:SOURCE and a directory, "
				"or the name of a config; see rump mount "
				"--help");
	if (!q.config.deadline_ms)
		q.config.deadline_ms = deadline_ms;
	if (mount_read_spec(&q, argv[0], argv[1], error) < 0 ||
	    daemon_start(&q, error) < 0)
		return complain("%s", error);
	return 0;
}
