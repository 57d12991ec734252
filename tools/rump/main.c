/*
 * main.c - the rump command: which subcommand, help, and small things that
 * they share.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "run_proxy.h"
#include "rump.h"
#include "supervisor/loader.h"

static const char help[] =
"usage: rump COMMAND [options]\n"
"\n"
"Runs kernel-style drivers in ordinary, sandboxed processes that may be killed\n"
"at any instant without the programs that use them noticing.\n"
"\n"
"commands:\n"
"  run      run a program with file systems mounted for it alone\n"
"  start    start a server that programs share\n"
"  stop     stop it\n"
"  restart  stop it and start it again, by its config\n"
"  status   tell all that is known of servers\n"
"  mount    mount a file system for the whole host\n"
"  umount   unmount it and stop its server\n"
"  export   write what a server holds, with its images, to a file\n"
"  import   start a server from such a file\n"
"  upgrade  have another build take the place of a server that runs\n"
"  ls       list servers and what they mount\n"
"  ps       list servers and their processes\n"
"  events   print what happened to servers, and what happens\n"
"  recover  bring an image to its last flush point after a power cut\n"
"  checkpoint   name what the images of a server hold now, to go back to it\n"
"  checkpoints  list such names\n"
"  restore      bring an image, or a copy, back to a checkpoint\n"
"  drivers  list the drivers that there are, and their options\n"
"\n"
"  rump COMMAND --help says more about each; --version tells the version.\n"
"\n"
"examples:\n"
"  rump run -m /vol=ext4:disk.img -- sh -c 'echo hello > /vol/file'\n"
"  rump run --kill-every 50ms -m /vol=ext4:disk.img -- sqlite3 /vol/app.db\n"
"  rump start vol ext4:disk.img; rump run -s vol -- ls /vol; rump stop vol\n"
"  rump run --root ext4:rootfs.img -- /bin/sh\n"
"  rump mount ext4:disk.img /mnt/disk; ls /mnt/disk; rump umount /mnt/disk\n"
"\n"
"exit status: the program's own for run; 125 if rump itself fails, 126 if the\n"
"program cannot be executed, 127 if it is not found.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} command[] = {
	{ "run", cmd_run }, { "mount", cmd_mount }, { "umount", cmd_umount },
	{ "start", cmd_start }, { "stop", cmd_stop },
	{ "restart", cmd_restart }, { "status", cmd_status },
	{ "ls", cmd_ls }, { "ps", cmd_ps }, { "recover", cmd_recover },
	{ "drivers", cmd_drivers }, { "events", cmd_events },
	{ "upgrade", cmd_upgrade }, { "take-over", cmd_take_over },
	{ "checkpoint", cmd_checkpoint }, { "checkpoints", cmd_checkpoints },
	{ "restore", cmd_restore },
	{ "export", cmd_export }, { "import", cmd_import },
};

int complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("rump: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	return RUMP_FAILED;
}

int complain_option(const char *name, char **argv)
{
	if (optopt && optopt < 256)
		return complain("%s: option -%c is unknown, or lacks its "
				"argument; see rump %s --help", name, optopt,
				name);
	return complain("%s: option %s is unknown, or its argument is wrong; "
			"see rump %s --help", name, argv[optind - 1], name);
}

int take_help(const char *name, const char *text, int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o != 'h')
			return complain_option(name, argv);
		fputs(text, stdout);
		exit(0);
	}
	return 0;
}

void default_config(struct rk__config *ret)
{
	memset(ret, 0, sizeof *ret);
	ret->fuse = true;
	ret->deadline_ms = 10000;
	ret->flush_ms = 5000;
	find_drivers(ret->driver_dir, sizeof ret->driver_dir);
}

static bool try_beside(const char *exe, const char *where, char *ret,
		       size_t size)
{
	char path[PATH_MAX * 2], real[PATH_MAX];

	snprintf(path, sizeof path, "%s/%s", exe, where);
	if (!realpath(path, real) || strlen(real) >= size)
		return false;
	strcpy(ret, real);
	return true;
}

void find_drivers(char *ret, size_t size)
{
	/* in a build tree, and where it was installed or moved to */
	static const char *const beside[] = {
		"../../drivers", "../drivers", RUMP_DRIVER_BESIDE,
	};
	const char *given = getenv("RUMP_DRIVER_DIR");
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

	if (given && *given) {
		snprintf(ret, size, "%s", given);
		return;
	}
	exe[n > 0 ? n : 0] = 0;
	if (strrchr(exe, '/'))
		*strrchr(exe, '/') = 0;
	for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
		if (try_beside(exe, beside[i], ret, size))
			return;
	snprintf(ret, size, "%s", RUMP_DRIVER_DIR);
}

void raise_limits(struct rlimit *ret_old)
{
	struct rlimit now;

	if (getrlimit(RLIMIT_NOFILE, ret_old) < 0)
		return;
	now = *ret_old;
	now.rlim_cur = now.rlim_max;
	setrlimit(RLIMIT_NOFILE, &now);
}

int make_absolute(const char *path, char *ret, size_t size)
{
	char cwd[PATH_MAX];
	int n;

	if (*path == '/')
		n = snprintf(ret, size, "%s", path);
	else if (!getcwd(cwd, sizeof cwd))
		return -errno;
	else
		n = snprintf(ret, size, "%s/%s", cwd, path);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const char *self = argc > 0 ? basename(argv[0]) : "";

	if (argc > 0)
		argv[0] = (char *)self;
	if (strcmp(self, PROXY_TRAMPOLINE) == 0 && argc > 1)
		return proxy_trampoline(argv);
	if (strcmp(self, "mount.fuse.rump") == 0)
		return cmd_mount_helper(argc, argv);
	if (strcmp(self, "umount.fuse.rump") == 0)
		return cmd_umount_helper(argc, argv);
	if (strcmp(self, "rumpserver") == 0)
		return cmd_server(argc, argv);
	if (!*name || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
	    strcmp(name, "help") == 0) {
		fputs(help, *name ? stdout : stderr);
		return *name ? 0 : RUMP_FAILED;
	}
	if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
		puts("rump " RUMP_VERSION);
		return 0;
	}
	for (size_t i = 0; i < sizeof command / sizeof *command; i++)
		if (strcmp(name, command[i].name) == 0)
			return command[i].run(argc - 1, argv + 1);
	return complain("there is no command '%s'; see rump --help", name);
}
