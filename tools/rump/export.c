/*
 * export.c - rump export: what a server holds at an instant, in its external
 * form (docs/state.md), as a file. Two streams follow each other in it, the
 * plan (config and mounts) and the state with the images.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "rump.h"
#include "runtime.h"

static const char help[] =
"usage: rump export [--no-images] NAME FILE\n"
"\n"
"Writes what the server NAME (rump ls) holds at this instant to FILE: mounts,\n"
"processes, open files, locks, and each block of its images that is not zero.\n"
"The server pauses for as long as that takes, and goes on. rump import starts a\n"
"server from FILE.\n"
"\n"
"  --no-images   leave the images out: to look at; it cannot be imported\n";

/* Whole or not at all. */
static int export(const char *name, const char *file, bool images)
{
	char path[4096], part[4096 + 8];
	struct rk_status status;
	int fd, e = rk_runtime_socket(name, path, sizeof path);

	if (!e)
		e = ask_peer(path, RK_HELLO_STATUS, 0, &status);
	if (e == -EACCES)
		return complain("no permission to ask the server '%s'", name);
	if (e < 0)
		return complain_unknown(name);
	if ((size_t)snprintf(part, sizeof part, "%s.part", file) >=
	    sizeof part)
		return complain("the name of the file is too long");
	fd = open(part, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return complain("cannot write %s: %s", part, strerror(errno));
	e = order_peer(path, images ? RK_ORDER_EXPORT_IMAGES :
		       RK_ORDER_EXPORT, "", fd, &status);
	if (e < 0)
		complain("'%s' ended while it was exported", name);
	else if (status.error)
		e = complain("'%s' was not exported: %s", name,
			     status.message[0] ? status.message :
			     strerror(-status.error));
	else if (fsync(fd) < 0 || rename(part, file) < 0)
		e = complain("cannot write %s: %s", file, strerror(errno));
	close(fd);
	if (e)
		unlink(part);
	return e ? RUMP_FAILED : 0;
}

int cmd_export(int argc, char **argv)
{
	static const struct option options[] = {
		{ "no-images", no_argument, NULL, 'n' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	bool images = true;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 'n')
			return complain_option("export", argv);
		images = false;
	}
	if (argc - optind != 2)
		return complain("export: takes a name and a file; see rump "
				"export --help");
	return export(argv[optind], argv[optind + 1], images);
}
