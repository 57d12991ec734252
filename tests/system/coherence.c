/*
 * coherence.c - two doors to one server: what is done through the library is
 * seen through the mount by the very next call, in the page cache and in maps
 * too, and the other way round; while somebody reads the same files and keeps
 * their pages busy.
 *
 *	system-coherence DIR [ROUNDS], with $RUMP_SOCKET; DIR is the mount
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/utsname.h>
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

/*
 * What the kernel was told while nobody else was there it believes for long:
 * names, names of nothing, attributes, by path and by descriptor. The first
 * client of the library takes that away.
 */
enum { EARLY = 400 };

static int early_fd[EARLY];
static DIR *early_dir;

static const char *early(const char *dir, const char *kind, unsigned i)
{
	static char path[4096];

	snprintf(path, sizeof path, "%s/%s-%u", dir, kind, i);
	return path;
}

static bool early_lists(const char *name)
{
	bool found = false;
	struct dirent *e;

	rewinddir(early_dir);
	while ((e = readdir(early_dir)))
		found |= strcmp(e->d_name, name) == 0;
	return found;
}

static void before_the_first(const char *dir)
{
	struct stat st;

	early_dir = opendir(dir);
	must(early_dir && !early_lists("none-0") && !early_lists("none-0"),
	     "early directory", 0);

	for (unsigned i = 0; i < EARLY; i++) {
		early_fd[i] = open(early(dir, "early", i), O_RDWR | O_CREAT,
				   0600);
		must(early_fd[i] >= 0 && fstat(early_fd[i], &st) == 0 &&
		     stat(early(dir, "none", i), &st) < 0, "early", i);
	}
}

static void after_the_first(const char *dir, bool epochs)
{
	struct stat st;

	/* A kernel that cannot be told may believe it for a second. */
	if (!epochs)
		usleep(1100000);
	for (unsigned i = 0; i < EARLY; i++) {
		must(rk_fchmodat(client, RK_AT_FDCWD, early(dir, "early", i),
				 0640, 0) == 0, "chmod", i);
		must(fstat(early_fd[i], &st) == 0 &&
		     (st.st_mode & 0777) == 0640, "early attributes", i);
		must(rk_mknodat(client, RK_AT_FDCWD, early(dir, "none", i),
				S_IFREG | 0600, 0) == 0, "mknod", i);
		must(stat(early(dir, "none", i), &st) == 0, "early none", i);
		must(early_lists(strrchr(early(dir, "none", i), '/') + 1),
		     "early list", i);
		must(rk_unlinkat(client, RK_AT_FDCWD, early(dir, "early", i),
				 0) == 0, "unlink", i);
		must(stat(early(dir, "early", i), &st) < 0 &&
		     fstat(early_fd[i], &st) == 0 && st.st_nlink == 0,
		     "early name", i);
		close(early_fd[i]);
	}
	closedir(early_dir);
}

static bool kernel_knows_epochs(void)
{
	unsigned major = 0, minor = 0;
	struct utsname u;

	return uname(&u) == 0 &&
	       sscanf(u.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 16));
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
	before_the_first(argv[1]);
	must(rk_socket_path(NULL, socket, sizeof socket) == 0 &&
	     rk_attach(socket, 0, &client) == 0, "attach", 0);
	after_the_first(argv[1], kernel_knows_epochs());
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
