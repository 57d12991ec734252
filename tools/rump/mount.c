/*
 * mount.c - rump mount: a file system for the whole host, served by a daemon
 * that is its supervisor. What goes wrong before the mount is up is said to
 * the caller; afterwards there is nobody to say it to.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include "rump.h"
#include "supervisor/mount.h"
#include "supervisor/spec.h"

static const char help[] =
"usage: rump mount [options] DRIVER:SOURCE[,option...] DIR\n"
"\n"
"Mounts SOURCE at the directory DIR and returns when it is usable; servers in\n"
"the background go on until rump umount DIR (or umount DIR). As root the mount\n"
"is for everybody, otherwise for you alone.\n"
"\n"
"  SOURCE            an image or a block device; options after a comma:\n"
"                    ro         nothing is written\n"
"                    writeback  the kernel gathers small writes and is asked to\n"
"                               write them later, as for a local file system\n"
"                    stay       servers neither follow their callers' CPU nor\n"
"                               poll before they sleep\n"
"                    and those of the driver\n"
"  --foreground      stay, and stop cleanly at SIGINT, SIGTERM or SIGHUP\n"
"  --name NAME       of the server, for rump ps and the library (its pid)\n"
"  --deadline TIME   a call that computes longer is a hang, its server is\n"
"                    replaced (10s)\n";

static struct rk__supervisor *supervisor;

/* A mount that is gone already is what was wanted. */
static int unmount(void *ctx, bool lazy)
{
	const struct rk__config *c = ctx;
	char error[RK_SERVER_ERROR_LEN];
	int e = 0, r;

	for (uint32_t i = 0; i < c->n_mounts; i++) {
		r = rk__fuse_unmount(c->mount[i].path, lazy, error);
		if (r < 0 && r != -EINVAL && r != -ENOENT)
			e = r;
	}
	return e;
}

static void asked_to_end(void *ctx, int sig)
{
	rk__supervisor_ask_stop(supervisor);
}

static int make_mount(const struct rk__config *c, uint32_t i, char *error)
{
	const struct rk__mount_spec *m = &c->mount[i];
	int fd, e;

	e = rk__fuse_mount(m->path, m->source, m->read_only, geteuid() == 0,
			   &fd, error);
	if (e < 0)
		return e;
	e = rk__supervisor_fuse(supervisor, i, fd, error);
	if (e < 0)
		rk__fuse_unmount(m->path, true, (char[RK_SERVER_ERROR_LEN]){ 0 });
	return e;
}

static int start(struct rk__config *c, char *error)
{
	static const int end[] = { SIGINT, SIGTERM, SIGHUP };
	char ignored[RK_SERVER_ERROR_LEN];
	struct rlimit old;
	int e;

	raise_limits(&old);
	e = rk__supervisor_start(c, &supervisor, error);
	if (e < 0)
		return e;
	for (size_t i = 0; i < sizeof end / sizeof *end; i++)
		rk__supervisor_signal(supervisor, end[i], asked_to_end, NULL);
	e = make_mount(c, 0, error);
	if (e < 0)
		rk__supervisor_stop(supervisor, NULL, ignored);
	else
		rk__supervisor_on_stop(supervisor, unmount, c);
	return e;
}

static int serve(char *error)
{
	char stop_error[RK_SERVER_ERROR_LEN] = "";
	int e = rk__supervisor_run(supervisor, error);

	if (rk__supervisor_stop(supervisor, NULL, stop_error) < 0 && e == 0) {
		memcpy(error, stop_error, sizeof stop_error);
		e = -EIO;
	}
	return e;
}

static int in_foreground(struct rk__config *c)
{
	char error[RK_SERVER_ERROR_LEN] = "";

	if (start(c, error) < 0 || serve(error) < 0)
		return complain("%s", error);
	return 0;
}

static void leave_terminal(bool stderr_too)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	if (stderr_too)
		dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

/* The daemon. tell: a sentence goes there, or nothing if all is well. */
static _Noreturn void daemon_main(struct rk__config *c, int tell)
{
	char error[RK_SERVER_ERROR_LEN] = "";

	setsid();
	leave_terminal(false);
	if (start(c, error) < 0) {
		(void)!write(tell, error, strlen(error) + 1);
		_exit(RUMP_FAILED);
	}
	(void)!chdir("/");
	leave_terminal(true);
	(void)!write(tell, "", 1);
	close(tell);
	_exit(serve(error) < 0 ? RUMP_FAILED : 0);
}

static int in_background(struct rk__config *c)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	int fd[2];
	ssize_t n;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) < 0)
		return complain("no pipe: %s", strerror(errno));
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		daemon_main(c, fd[1]);
	}
	close(fd[1]);
	if (pid < 0)
		return complain("cannot fork: %s", strerror(errno));
	do
		n = read(fd[0], error, sizeof error - 1);
	while (n < 0 && errno == EINTR);
	if (n == 1 && !error[0])
		return 0;
	waitpid(pid, NULL, 0);
	return complain("%s", n > 0 ? error : "the server ended while it "
			"started");
}

/* Names become absolute: the daemon leaves this directory. */
static int read_spec(struct rk__config *c, char *source, char *dir,
		     char *error)
{
	struct rk__mount_spec *m = &c->mount[0];
	char real[PATH_MAX], absolute[PATH_MAX];
	struct stat st;
	int e = rk__spec_source(source, m, error);

	if (e < 0)
		return e;
	if (make_absolute(m->source, absolute, sizeof absolute) < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN,
			 "the path of the source is too long");
		return -ENAMETOOLONG;
	}
	strcpy(m->source, absolute);
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
	c->n_mounts = 1;
	e = rk__spec_path(real, m, error);
	return e < 0 ? e : check_drivers(c, error);
}

static int read_options(int argc, char **argv, struct rk__config *c,
			bool *ret_foreground, char *error)
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
			*ret_foreground = true;
			break;
		case 'n':
			snprintf(c->name, sizeof c->name, "%s", optarg);
			break;
		case 'd':
			if (rk__spec_time("--deadline", optarg, &us, error) < 0)
				return complain("%s", error);
			c->deadline_ms = (us + 999) / 1000;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			return complain_option("mount", argv);
		}
	}
	return 0;
}

int cmd_mount(int argc, char **argv)
{
	static struct rk__config c;
	char error[RK_SERVER_ERROR_LEN] = "";
	bool foreground = false;
	int e;

	default_config(&c);
	e = read_options(argc, argv, &c, &foreground, error);
	if (e)
		return e;
	if (argc - optind != 2)
		return complain("mount: takes DRIVER:SOURCE and a directory; "
				"see rump mount --help");
	if (read_spec(&c, argv[optind], argv[optind + 1], error) < 0)
		return complain("%s", error);
	return foreground ? in_foreground(&c) : in_background(&c);
}
