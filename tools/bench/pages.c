/*
 * pages.c - what is read without a request: pread, fstat and stat of one file, hot,
 * against the kernel's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench.h"

enum { SIZE = 1 << 20, PIECE = 4096 };

static char buffer[SIZE];

struct file {
	struct rk_client *client;	/* NULL: the kernel's */
	int fd;
	char path[4096];
};

static int run_pread(void *arg, unsigned n)
{
	struct file *f = arg;
	int64_t r = PIECE;

	for (unsigned i = 0; i < n && r == PIECE; i++) {
		off_t off = (off_t)(i % (SIZE / PIECE)) * PIECE;

		r = f->client ? rk_pread(f->client, f->fd, buffer, PIECE, off) :
				pread(f->fd, buffer, PIECE, off);
	}
	return r == PIECE ? 0 : -EIO;
}

static int run_fstat(void *arg, unsigned n)
{
	struct file *f = arg;
	struct rk_stat ours;
	struct stat theirs;
	int64_t r = 0;

	for (unsigned i = 0; i < n && r == 0; i++)
		r = f->client ? rk_fstat(f->client, f->fd, &ours) :
				fstat(f->fd, &theirs);
	return (int)r;
}

static int run_stat(void *arg, unsigned n)
{
	struct file *f = arg;
	struct rk_stat ours;
	struct stat theirs;
	int64_t r = 0;

	for (unsigned i = 0; i < n && r == 0; i++)
		r = f->client ? rk_fstatat(f->client, RK_AT_FDCWD, f->path,
					   &ours, 0) :
				stat(f->path, &theirs);
	return (int)r;
}

static void side_by_side(const char *row, int (*run)(void *, unsigned),
			 struct file *theirs, struct file *ours)
{
	struct side side[] = {
		{ .name = "native", .run = run, .arg = theirs,
		  .n = bench.quick ? 1000 : 200000, .note = "ext4; core 0" },
		{ .name = "rump", .run = run, .arg = ours,
		  .n = bench.quick ? 1000 : 200000,
		  .note = "client core 0, no request" },
	};

	compare(row, side, 2);
}

void row_pages(const char *native)
{
	static struct file theirs, ours;

	snprintf(theirs.path, sizeof theirs.path, "%s/pages", native);
	theirs.fd = open(theirs.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC,
			 0644);
	if (theirs.fd < 0 || write(theirs.fd, buffer, SIZE) != SIZE)
		die(theirs.path, errno);
	ours.client = attach_with(RK_ATTACH_PAGES);
	snprintf(ours.path, sizeof ours.path, "%s/pages", bench.volume);
	ours.fd = (int)must(rk_openat(ours.client, RK_AT_FDCWD, ours.path,
				      O_RDWR | O_CREAT, 0644), ours.path);
	must(rk_pwrite(ours.client, ours.fd, buffer, SIZE, 0), ours.path);
	place(0, 0);
	place_server(two_cores() ? 1 : 0);
	side_by_side("pages_pread", run_pread, &theirs, &ours);
	side_by_side("pages_fstat", run_fstat, &theirs, &ours);
	side_by_side("pages_stat", run_stat, &theirs, &ours);
	close(theirs.fd);
	rk_detach(ours.client);
}
