/*
 * stress.c - stress DIR SEED PROCESSES COUNT: many processes, calls at random.
 *
 * Three of four calls of each process are in a directory of its own, where what
 * they return follows from the seed: that is printed, and so is the tree that
 * they leave, as sums, for a comparison with another file system. The others
 * are in a directory that all share, where anything may happen and nothing may
 * break.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <xxhash.h>

enum { ROOM = 200000, PATHS = 4096 };

static unsigned char buffer[ROOM];
static uint64_t sum;
static bool shared;			/* this call is in the shared directory */
static unsigned seeds[2];		/* of the own and the shared calls */

static long r(long n)
{
	return rand_r(&seeds[shared]) % n;
}

static void mix(const void *p, size_t n)
{
	if (!shared)
		sum = XXH3_64bits_withSeed(p, n, sum);
}

/* What a call returned. */
static void note(long result)
{
	long told = result < 0 ? -errno : result;

	mix(&told, sizeof told);
}

/* a to e, up to three of them deep. */
static const char *name(int i)
{
	static char path[2][64];
	int n = snprintf(path[i], sizeof path[i], "%s%c",
			 shared ? "../shared/" : "", (int)('a' + r(5)));

	while (n < 30 && r(5) < 2)
		n += snprintf(path[i] + n, sizeof path[i] - (size_t)n, "/%c",
			      (int)('a' + r(5)));
	return path[i];
}

static void fill(long n)
{
	memset(buffer, (int)r(256), (size_t)n);
}

static int open_some(int flags)
{
	return open(name(0), flags | O_CLOEXEC | O_NONBLOCK, 0600 | r(0100));
}

static void write_some(int fd)
{
	long off = r(ROOM), n = r(60000);

	fill(n);
	note(pwrite(fd, buffer, (size_t)n, off));
}

static void read_some(int fd)
{
	long n = pread(fd, buffer, (size_t)r(60000), r(ROOM));

	note(n);
	if (n > 0)
		mix(buffer, (size_t)n);
}

static void map_some(int fd)
{
	struct stat st;
	long n = 1 + r(20000);
	void *p;

	/* Where others cut files, a mapping may end in a signal. */
	if (shared || fstat(fd, &st) < 0 || st.st_size < n)
		return;
	p = mmap(NULL, (size_t)n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		note(-1);
		return;
	}
	mix(p, (size_t)n);
	memset(p, (int)r(256), (size_t)n);
	munmap(p, (size_t)n);
}

static void on_file(void)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	};
	static const int flags[] = {
		O_RDWR | O_CREAT, O_RDWR | O_CREAT | O_TRUNC, O_RDWR,
		O_RDWR | O_APPEND,
	};
	long what = r(8), off, n;
	int fd = open_some(flags[r(4)]);

	note(fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	switch (what) {
	case 0: case 1: case 2:
		write_some(fd);
		break;
	case 3: case 4:
		read_some(fd);
		break;
	case 5:
		note(ftruncate(fd, r(ROOM)));
		break;
	case 6:
		off = r(ROOM);
		n = 1 + r(60000);
		note(fallocate(fd, modes[r(4)], off, n));
		break;
	case 7:
		map_some(fd);
		break;
	}
	if (r(20) == 0)
		note(r(2) ? fsync(fd) : fdatasync(fd));
	close(fd);
}

static void on_names(void)
{
	const char *a = name(0), *b = name(1);

	switch (r(12)) {
	case 0: case 1: case 2:
		note(mkdir(a, 0700 | r(0100)));
		break;
	case 3:
		note(rmdir(a));
		break;
	case 4: case 5:
		note(unlink(a));
		break;
	case 6:
		note(link(a, b));
		break;
	case 7:
		note(symlink("f", a));
		break;
	case 8: case 9:
		note(rename(a, b));
		break;
	case 10:
		note(renameat2(AT_FDCWD, a, AT_FDCWD, b, r(2) ?
			       RENAME_EXCHANGE : RENAME_NOREPLACE));
		break;
	case 11:
		note(mknod(a, S_IFIFO | 0600, 0));
		break;
	}
}

static void list(const char *dir)
{
	DIR *d = opendir(dir);
	long n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	note(d ? n : -1);
}

static void on_attributes(void)
{
	const char *a = name(0);
	struct stat st;
	long n;

	switch (r(6)) {
	case 0:
		note(fchmodat(AT_FDCWD, a, (mode_t)(0600 | r(0200)), 0));
		break;
	case 1:
		fill(n = r(300));
		note(lsetxattr(a, r(2) ? "user.a" : "user.b", buffer,
			       (size_t)n, 0));
		break;
	case 2:
		n = lgetxattr(a, "user.a", buffer, 400);
		note(n);
		mix(buffer, n > 0 ? (size_t)n : 0);
		break;
	case 3:
		note(lremovexattr(a, "user.a"));
		break;
	case 4:
		n = lstat(a, &st);
		note(n < 0 ? -1 : (long)st.st_nlink);
		break;
	case 5:
		list(a);
		break;
	}
}

static void life(long count)
{
	for (long i = 0; i < count; i++) {
		long what;

		shared = false;
		shared = r(4) == 0;
		what = r(10);
		if (what < 5)
			on_file();
		else if (what < 8)
			on_names();
		else
			on_attributes();
	}
	shared = false;
}

/* --- the tree that is left ---------------------------------------------------- */

static int is_entry(const struct dirent *e)
{
	return strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
}

static void sum_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	long n;

	while ((n = read(fd, buffer, ROOM)) > 0)
		mix(buffer, (size_t)n);
	note(n);
	close(fd);
}

static void sum_tree(const char *dir)
{
	struct dirent **e;
	char path[PATHS];
	struct stat st;
	int n = scandir(dir, &e, is_entry, alphasort);

	note(n);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, e[i]->d_name);
		mix(e[i]->d_name, strlen(e[i]->d_name));
		note(lstat(path, &st));
		note(st.st_mode);
		note((long)st.st_nlink);
		if (S_ISREG(st.st_mode))
			sum_file(path);
		else if (S_ISDIR(st.st_mode))
			sum_tree(path);
		free(e[i]);
	}
	if (n >= 0)
		free(e);
}

/* Its result is in a file: the order of ends is chance. */
static int child(int i, long count)
{
	char own[32];

	snprintf(own, sizeof own, "own-%d", i);
	if (mkdir(own, 0755) < 0 || chdir(own) < 0)
		return 1;
	seeds[0] += (unsigned)i * 7919;
	seeds[1] = seeds[0] + 1;
	life(count);
	printf("process %d calls %016lx", i, (unsigned long)sum);
	sum = 0;
	sum_tree(".");
	printf(" tree %016lx\n", (unsigned long)sum);
	return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
	int n, status, bad = 0;

	if (argc != 5 || chdir(argv[1]) < 0 || mkdir("shared", 0777) < 0) {
		fprintf(stderr, "usage: stress DIR SEED PROCESSES COUNT\n");
		return 2;
	}
	seeds[0] = (unsigned)atoi(argv[2]);
	n = atoi(argv[3]);
	for (int i = 0; i < n; i++)
		if (fork() == 0)
			return child(i, atol(argv[4]));
	while (wait(&status) > 0)
		bad += status != 0;
	/* Whatever it is, it can be walked and read. */
	sum_tree("shared");
	return bad != 0;
}
