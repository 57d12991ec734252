/*
 * worker.c - the side of a comparison that runs in a process of its own, as
 * that process is what differs: without a proxy, or under one. Knows nothing of
 * rump, and is linked dynamically and statically.
 *
 *	worker DIRECTORY [COMMAND]
 *
 * Reads lines "WHAT N", does WHAT N times in DIRECTORY (`load`: runs COMMAND),
 * and answers each with a line: 0, or an errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCK = 4096, BLOCKS = 256 };

static char path[PATH_MAX], create_path[PATH_MAX], buffer[BLOCK];
static const char *command;
static int file = -1, host = -1;

static int do_getppid(unsigned n)
{
	for (; n > 0; n--)
		if (getppid() < 0)
			return errno;
	return 0;
}

static int read_blocks(int fd, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (pread(fd, buffer, BLOCK, (off_t)(i * 7919 % BLOCKS) *
			  BLOCK) != BLOCK)
			return errno ? errno : EIO;
	return 0;
}

static int do_host(unsigned n)
{
	return read_blocks(host, n);
}

static int do_pread(unsigned n)
{
	return read_blocks(file, n);
}

static int do_fstat(unsigned n)
{
	struct stat st;

	for (; n > 0; n--)
		if (fstat(file, &st) < 0)
			return errno;
	return 0;
}

static int do_stat(unsigned n)
{
	struct stat st;

	for (; n > 0; n--)
		if (stat(path, &st) < 0)
			return errno;
	return 0;
}

static int do_create(unsigned n)
{
	int fd;

	for (; n > 0; n--) {
		fd = open(create_path, O_RDWR | O_CREAT | O_EXCL, 0644);
		if (fd < 0 || write(fd, buffer, BLOCK) != BLOCK ||
		    close(fd) < 0 || unlink(create_path) < 0)
			return errno;
	}
	return 0;
}

static int do_load(unsigned n)
{
	int status;

	for (; n > 0; n--) {
		status = system(command);
		if (status)
			return WIFEXITED(status) ? EIO : EINTR;
	}
	return 0;
}

static const struct {
	const char *name;
	int (*run)(unsigned n);
} work[] = {
	{ "getppid", do_getppid }, { "host", do_host }, { "pread", do_pread },
	{ "fstat", do_fstat }, { "stat", do_stat }, { "create", do_create },
	{ "load", do_load },
};

static int make_file(const char *name)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

	for (unsigned i = 0; fd >= 0 && i < BLOCKS; i++)
		if (write(fd, buffer, BLOCK) != BLOCK)
			return -1;
	return fd;
}

static int open_files(const char *dir)
{
	char name[] = "/tmp/rump-worker.XXXXXX";

	snprintf(path, sizeof path, "%s/worker-file", dir);
	snprintf(create_path, sizeof create_path, "%s/worker-new", dir);
	file = make_file(path);
	host = mkstemp(name);
	if (file < 0 || host < 0)
		return -1;
	close(host);
	host = make_file(name);
	unlink(name);
	return host;
}

static int run(const char *name, unsigned n)
{
	for (size_t i = 0; i < sizeof work / sizeof *work; i++)
		if (strcmp(name, work[i].name) == 0)
			return work[i].run(n);
	return EINVAL;
}

int main(int argc, char **argv)
{
	char name[32];
	unsigned n;

	memset(buffer, 'x', sizeof buffer);
	command = argc > 2 ? argv[2] : "false";
	if (argc < 2 || open_files(argv[1]) < 0) {
		perror(argc < 2 ? "worker" : argv[1]);
		return 1;
	}
	while (scanf("%31s %u", name, &n) == 2) {
		printf("%d\n", run(name, n));
		fflush(stdout);
	}
	unlink(path);
	return 0;
}
