/*
 * restore.c - rump restore: an image, or a copy of it, goes back to a checkpoint.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "keeper/keeper.h"
#include "keeper/undo.h"
#include "rump.h"
#include "supervisor/make.h"

static const char help[] =
"usage: rump restore [--to FILE] IMAGE LABEL\n"
"\n"
"Brings an image that no server uses back to what it was at a checkpoint. It may\n"
"be interrupted at any instant: then nothing was done, or the next start, or rump\n"
"recover, completes it. All checkpoints stay, those that are newer too.\n"
"\n"
"  -t, --to FILE   make FILE, a new image of what was then, and leave the image\n"
"                  as it is\n";

enum { PIECE = 1 << 20 };

int open_image(const char *source, struct rk__image *ret)
{
	struct rk__mount_spec m = { .read_only = false };
	char error[RK_SERVER_ERROR_LEN] = "";

	if ((size_t)snprintf(m.source, sizeof m.source, "%s", source) >=
	    sizeof m.source)
		return complain("the path of the image is too long");
	return rk__image_open(&m, ret, error) < 0 ? complain("%s", error) : 0;
}

/* --- in place ----------------------------------------------------------------- */

static int restore(struct rk__image *image, const char *source,
		   const char *label)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	size_t n = 0;
	int e = rk__undo_restore(image->rw_fd, image->journal_fd,
				 image->undo_fd, label, &n, error);

	if (e < 0) {
		/* unless there is something in it */
		if (rk__device_size(image->journal_fd) == 0)
			rk__image_unmake(image);
		return complain("%s: %s", source, error);
	}
	rk__image_settled(image);
	printf("%s: is what it was at '%s', %zu block%s restored\n", source,
	       label, n, n == 1 ? "" : "s");
	return 0;
}

/* --- into a copy ---------------------------------------------------------------- */

/* [at, end), which has data in the one and nothing in the other. */
static int copy_data(int from, int to, off_t at, off_t end)
{
	static uint8_t buf[PIECE];

	while (at < end) {
		size_t len = end - at < PIECE ? (size_t)(end - at) : PIECE;
		int e = rk__device_read(from, buf, len, (uint64_t)at);

		if (e == 0)
			e = rk__device_write(to, buf, len, (uint64_t)at);
		if (e < 0)
			return e;
		at += (off_t)len;
	}
	return 0;
}

static int copy_image(int from, int to, off_t size)
{
	off_t at = 0, end;
	int e = 0;

	if (ioctl(to, FICLONE, from) == 0)
		return 0;
	if (ftruncate(to, size) < 0)
		return -errno;
	while (at < size && e == 0) {
		off_t data = lseek(from, at, SEEK_DATA);

		if (data < 0 && errno == ENXIO)
			break;
		/* what cannot tell holes from data is data */
		at = data < 0 ? at : data;
		end = data < 0 ? size : lseek(from, at, SEEK_HOLE);
		e = copy_data(from, to, at, end < 0 ? size : end);
		at = end < 0 ? size : end;
	}
	return e;
}

static int fill_copy(const struct rk__image *image, const char *label, int fd,
		     const char *to, char *error)
{
	int e = copy_image(image->rw_fd, fd, (off_t)image->size);

	if (e == 0)
		e = rk__undo_restore_copy(image->rw_fd, image->undo_fd, label,
					  fd, error);
	if (e == 0 && fsync(fd) < 0)
		e = -errno;
	if (e < 0 && !*error)
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot write %.128s: %s",
			 to, strerror(-e));
	return e;
}

static int restore_to(struct rk__image *image, const char *source,
		      const char *label, const char *to)
{
	char error[RK_SERVER_ERROR_LEN] = "";
	unsigned n;
	int fd, e = 0;

	if (!image->journal_new)
		e = rk__journal_replay(image->rw_fd, image->journal_fd,
				       image->undo_fd, &n, error);
	if (e < 0)
		return complain("%s", error);
	fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return complain(errno == EEXIST ? "%s exists already" :
				"cannot make %s: %m", to);
	e = fill_copy(image, label, fd, to, error);
	close(fd);
	rk__image_settled(image);
	if (e == 0)
		return 0;
	unlink(to);
	return complain("%s: %s", source, error);
}

static int run(const char *source, const char *label, const char *to)
{
	struct rk__image image;
	int e;

	if (!is_image(source))
		return complain("no such image: %s; of a server, give the image, "
				"and stop it first", source);
	e = open_image(source, &image);
	if (e)
		return e;
	e = to ? restore_to(&image, source, label, to) :
		 restore(&image, source, label);
	rk__image_close(&image);
	return e;
}

int cmd_restore(int argc, char **argv)
{
	static const struct option options[] = {
		{ "to", required_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	const char *to = NULL;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "t:h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 't')
			return complain_option("restore", argv);
		to = optarg;
	}
	if (argc - optind != 2)
		return complain("restore: takes an image and a label; see rump "
				"restore --help");
	if (!rk__label_good(argv[optind + 1]))
		return complain_label(argv[optind + 1]);
	return run(argv[optind], argv[optind + 1], to);
}
