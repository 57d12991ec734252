/*
 * recover.c - rump recover: replays the journal of an image by hand.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "keeper/keeper.h"
#include "rump.h"
#include "supervisor/make.h"

static const char help[] =
"usage: rump recover IMAGE\n"
"\n"
"After a power cut, or when a whole family of processes was killed: brings the\n"
"image to its last flush point, which is what every later start does by itself.\n"
"Needed to use the image without rump, or read-only. The file system's own\n"
"journal, if it has one, is left to e2fsck.\n";

static int recover(const char *source)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	struct rk__image image;
	unsigned n;
	int e = open_image(source, &image);

	if (e)
		return e;
	if (image.journal_new) {
		rk__image_settled(&image);
		printf("%s: nothing to recover, it has no journal\n", source);
		return 0;
	}
	if (rk__journal_replay(image.rw_fd, image.journal_fd, image.undo_fd,
			       &n, error) < 0)
		return complain("%s", error);
	rk__image_settled(&image);
	if (n)
		printf("%s: %u flush point%s replayed\n", source, n,
		       n == 1 ? "" : "s");
	else
		printf("%s: nothing to recover, its journal was empty\n",
		       source);
	return 0;
}

int cmd_recover(int argc, char **argv)
{
	int e = take_help("recover", help, argc, argv);

	if (e)
		return e;
	if (argc - optind != 1)
		return complain("recover: takes one image; see rump recover "
				"--help");
	return recover(argv[optind]);
}
