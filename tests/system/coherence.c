/*
 * coherence.c - two doors to one server: what is done through the library is
 * seen through the mount by the very next call, in the page cache and in maps
 * too, and the other way round; while somebody reads the same files and keeps
 * their pages busy.
 *
 *	system-coherence DIR [ROUNDS], with $RUMP_SOCKET; DIR is the mount
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rump/client.h>

enum { PAGE = 4096, PAGES = 64 };

static struct rk_client *client;
static char file[4096], other[4096], moved[4096];
static uint8_t buf[PAGE], got[PAGE];

static void must(int ok, const char *what, unsigned round)
{
	if (ok)
		return;
	fprintf(stderr, "coherence: round %u: %s (%s)\n", round, what,
		strerror(errno));
	exit(1);
}

static void bytes(int mount_fd, const uint8_t *map, int64_t fd, unsigned i)
{
	unsigned page = i * 7 % PAGES;
	off_t at = (off_t)page * PAGE;

	must(pread(mount_fd, got, PAGE, at) == PAGE, "read", i);
	memset(buf, (int)(i * 2 % 251), PAGE);
	must(rk_pwrite(client, (int)fd, buf, PAGE, (uint64_t)at) == PAGE,
	     "library write", i);
	must(pread(mount_fd, got, PAGE, at) == PAGE && !memcmp(got, buf, PAGE),
	     "the mount reads what was there before", i);
	must(!memcmp(map + at, buf, PAGE),
	     "the map holds what was there before", i);
	memset(buf, (int)((i * 2 + 1) % 251), PAGE);
	must(pwrite(mount_fd, buf, PAGE, at) == PAGE, "write", i);
	must(rk_pread(client, (int)fd, got, PAGE, (uint64_t)at) == PAGE &&
	     !memcmp(got, buf, PAGE),
	     "the library reads what was there before", i);
}

static void sizes(int mount_fd, int64_t fd, unsigned i)
{
	uint64_t size = PAGES * PAGE + i % 3 * 100;
	struct stat st;

	must(rk_ftruncate(client, (int)fd, size) == 0, "library truncate", i);
	must(fstat(mount_fd, &st) == 0 && (uint64_t)st.st_size == size,
	     "the mount has the size before", i);
	must(rk_fchmod(client, (int)fd, 0600 + i % 8) == 0, "chmod", i);
	must(stat(file, &st) == 0 && (st.st_mode & 0777) == 0600 + i % 8,
	     "the mount has the mode before", i);
}

static void names(unsigned i)
{
	struct stat st;
	int64_t fd;

	must(stat(other, &st) < 0 && errno == ENOENT, "a name too many", i);
	fd = rk_openat(client, RK_AT_FDCWD, other, O_CREAT | O_EXCL | O_RDWR,
		       0644);
	must(fd >= 0 && rk_close(client, (int)fd) == 0, "library create", i);
	must(stat(other, &st) == 0, "the mount misses what was made", i);
	must(rk_renameat2(client, RK_AT_FDCWD, other, RK_AT_FDCWD, moved, 0) ==
	     0, "library rename", i);
	must(stat(other, &st) < 0 && stat(moved, &st) == 0,
	     "the mount has the names before", i);
	must(rk_unlinkat(client, RK_AT_FDCWD, moved, 0) == 0, "unlink", i);
	must(stat(moved, &st) < 0, "the mount has what was removed", i);
	must(mkdir(other, 0755) == 0 && rmdir(other) == 0, "mkdir", i);
}

/* Reads all the time, from the server. */
static pid_t start_reader(void)
{
	pid_t pid = fork();
	int fd;

	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open(file, O_RDONLY);
	for (;;) {
		for (unsigned i = 0; i < PAGES; i++)
			if (pread(fd, got, PAGE, (off_t)i * PAGE) < 0)
				_exit(1);
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 2 ? (unsigned)atoi(argv[2]) : 500;
	char socket[4096];
	const uint8_t *map;
	int mount_fd;
	int64_t fd;
	pid_t reader;

	if (argc < 2)
		return 2;
	snprintf(file, sizeof file, "%s/file", argv[1]);
	snprintf(other, sizeof other, "%s/other", argv[1]);
	snprintf(moved, sizeof moved, "%s/moved", argv[1]);
	mount_fd = open(file, O_RDWR | O_CREAT, 0644);
	must(mount_fd >= 0 && ftruncate(mount_fd, PAGES * PAGE) == 0, "make", 0);
	map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_SHARED, mount_fd, 0);
	must(map != MAP_FAILED, "map", 0);
	must(rk_socket_path(NULL, socket, sizeof socket) == 0 &&
	     rk_attach(socket, 0, &client) == 0, "attach", 0);
	/* What the kernel was told before may be believed for a second. */
	usleep(1100000);
	fd = rk_openat(client, RK_AT_FDCWD, file, O_RDWR, 0);
	must(fd >= 0, "library open", 0);
	reader = start_reader();
	for (unsigned i = 0; i < rounds; i++) {
		bytes(mount_fd, map, fd, i);
		if (i % 8 == 0)
			sizes(mount_fd, fd, i);
		if (i % 8 == 1)
			names(i);
	}
	kill(reader, SIGKILL);
	waitpid(reader, NULL, 0);
	rk_detach(client);
	return 0;
}
