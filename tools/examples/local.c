/*
 * local.c - rump-cat: prints a file of a file system image, with the driver in
 * this process: no mount, no server, no privileges.
 *
 *	rump-cat DRIVER:SOURCE[,option...] PATH...
 *
 * A path that ends with a slash is a directory to be listed. With -w the
 * standard input is written to the one file that is named.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <rump/local.h>

static const char usage[] =
"usage: rump-cat [-w] DRIVER:SOURCE[,option...] PATH...\n"
"\n"
"Prints files of an image without mounting it: rump-cat ext4:disk.img /etc/motd\n"
"A PATH that ends with / is a directory, whose names are listed.\n"
"\n"
"  -w    write the standard input to PATH, which is made if it is not there\n";

__attribute__((format(printf, 1, 2)))
static int complain(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fputs("rump-cat: ", stderr);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	return 1;
}

static int64_t print_file(struct rk_client *c, int fd)
{
	static char buf[1 << 16];
	int64_t n;

	while ((n = rk_read(c, fd, buf, sizeof buf)) > 0)
		if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
			return -errno;
	return n;
}

static int64_t print_names(struct rk_client *c, int fd)
{
	static _Alignas(8) char buf[1 << 16];
	int64_t n;

	while ((n = rk_getdents(c, fd, buf, sizeof buf)) > 0)
		for (int64_t at = 0; at < n;) {
			const struct rk_dirent *d = (void *)(buf + at);

			printf("%.*s\n", d->namelen, d->name);
			at += d->reclen;
		}
	return n;
}

static int64_t write_file(struct rk_client *c, int fd)
{
	static char buf[1 << 16];
	ssize_t n;
	int64_t r = 0;

	while (r >= 0 && (n = read(STDIN_FILENO, buf, sizeof buf)) > 0)
		r = rk_write(c, fd, buf, (uint64_t)n);
	return r < 0 ? r : n < 0 ? -errno : rk_fsync(c, fd);
}

/* Paths are those within the image. */
static int one(struct rk_client *c, const char *path, bool write)
{
	bool directory = path[0] && path[strlen(path) - 1] == '/';
	uint32_t flags = write ? O_WRONLY | O_CREAT | O_TRUNC :
			 directory ? O_RDONLY | O_DIRECTORY : O_RDONLY;
	char full[4096];
	int64_t r, fd;

	if ((size_t)snprintf(full, sizeof full, "/image/%s", path) >=
	    sizeof full)
		return complain("%.100s...: the path is too long", path);
	fd = rk_openat(c, RK_AT_FDCWD, full, flags, 0666);
	r = fd;
	if (fd >= 0) {
		r = write ? write_file(c, (int)fd) :
		    directory ? print_names(c, (int)fd) :
		    print_file(c, (int)fd);
		rk_close(c, (int)fd);
	}
	return r < 0 ? complain("%s: %s", path, strerror((int)-r)) : 0;
}

int main(int argc, char **argv)
{
	bool write = argc > 1 && !strcmp(argv[1], "-w");
	int first = write ? 2 : 1, failed = 0;
	char spec[4200], error[256];
	const char *mount = spec;
	struct rk_client *c;

	if (argc == 2 && !strcmp(argv[1], "--help")) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc < first + 2 || (write && argc != first + 2)) {
		fputs(usage, stderr);
		return 2;
	}
	if ((size_t)snprintf(spec, sizeof spec, "/image=%s%s", argv[first],
			     write ? "" : ",ro") >= sizeof spec)
		return complain("the source's name is too long");
	if (rk_local_attach(&mount, 1, &c, error, sizeof error) < 0)
		return complain("%s", error);
	for (int i = first + 1; i < argc; i++)
		failed |= one(c, argv[i], write);
	rk_detach(c);
	if (fflush(stdout))
		return complain("standard output: %s", strerror(errno));
	return failed;
}
