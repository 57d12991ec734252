/*
 * mount.c - rows that work on the mount, one request after the other: what the
 * kernel does not cache, directories of ten thousand files, the same with and
 * without survival, and the time from a kill to the next answer.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench.h"

enum { BLOCK = 4096, FILE_BLOCKS = 4096, MANY = 10000 };

struct target {
	const char *name, *dir;
	char path[4096];
	int fd, direct;
	unsigned at;
};

static char *buffer;

static int open_target(struct target *t, const char *name, const char *dir)
{
	t->name = name;
	t->dir = dir;
	if (strcmp(dir, "-") == 0)
		return 0;
	if (!buffer && posix_memalign((void **)&buffer, BLOCK, 1 << 20))
		die("memory", ENOMEM);
	memset(buffer, 'x', 1 << 20);
	snprintf(t->path, sizeof(t->path), "%s/one-%s", dir, name);
	t->fd = open(t->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (t->fd < 0)
		die(t->path, errno);
	for (unsigned i = 0; i < FILE_BLOCKS * BLOCK >> 20; i++)
		must(write(t->fd, buffer, 1 << 20), t->path);
	must(fsync(t->fd), t->path);
	t->direct = open(t->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	if (t->direct < 0)
		die(t->path, errno);
	return 1;
}

/* A stat that the kernel may not answer by itself. */
static int run_fstat(void *arg, unsigned n)
{
	struct target *t = arg;
	struct statx st;

	for (; n > 0; n--)
		if (statx(t->fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC,
			  STATX_BASIC_STATS, &st) < 0)
			return -errno;
	return 0;
}

static int run_stat(void *arg, unsigned n)
{
	struct target *t = arg;
	struct statx st;

	for (; n > 0; n--)
		if (statx(AT_FDCWD, t->path, AT_STATX_FORCE_SYNC,
			  STATX_BASIC_STATS, &st) < 0)
			return -errno;
	return 0;
}

static int run_direct(void *arg, unsigned n)
{
	struct target *t = arg;

	for (; n > 0; n--) {
		t->at = (t->at + 7919) % FILE_BLOCKS;
		if (pread(t->direct, buffer, BLOCK, (off_t)t->at * BLOCK) !=
		    BLOCK)
			return -EIO;
	}
	return 0;
}

static int run_overwrite(void *arg, unsigned n)
{
	struct target *t = arg;

	for (; n > 0; n--) {
		t->at = (t->at + 7919) % FILE_BLOCKS;
		if (pwrite(t->fd, buffer, BLOCK, (off_t)t->at * BLOCK) != BLOCK)
			return -EIO;
	}
	return 0;
}

/* --- one request at a time ----------------------------------------------- */

static void compare_targets(const char *row, const char *kind,
			    int (*run)(void *, unsigned), struct target *t,
			    unsigned n_targets, const char *note)
{
	struct side side[SIDES_MAX] = { 0 };
	char name[64];

	for (unsigned i = 0; i < n_targets; i++)
		side[i] = (struct side){
			.name = t[i].name, .run = run, .arg = &t[i],
			.n = bench.quick ? 200 : 5000, .note = note,
		};
	snprintf(name, sizeof(name), "%s_%s", row, kind);
	compare(name, side, n_targets);
}

/* kind "bound": the caller is bound to one core, and the reference's server
 * was placed there; ours comes by itself. "free": nobody is. */
void row_uncached(const char *mount, const char *fuse2fs, const char *kind)
{
	static struct target t[2];
	unsigned n = 0;
	bool bound = strcmp(kind, "bound") == 0;
	const char *note = bound ? "caller on core 0" : "caller where it likes";

	n += open_target(&t[n], "fuse2fs", fuse2fs);
	n += open_target(&t[n], "rump", mount);
	if (bound)
		place(0, 0);
	compare_targets("fstat", kind, run_fstat, t, n, note);
	compare_targets("stat", kind, run_stat, t, n, note);
	compare_targets("direct", kind, run_direct, t, n, note);
}

/* The same with commit and inbox, and without. */
void row_survival(const char *mount, const char *fragile)
{
	static struct target t[2];
	unsigned n = open_target(&t[0], "fragile", fragile);

	n += open_target(&t[n], "rump", mount);
	place(0, 0);
	compare_targets("survival", "stat", run_stat, t, n, "caller on core 0");
	compare_targets("survival", "read", run_direct, t, n,
			"4 KiB direct; caller on core 0");
	compare_targets("survival", "write", run_overwrite, t, n,
			"4 KiB, in place; caller on core 0");
}

/* --- ten thousand files ----------------------------------------------------- */

static int make_many(const char *dir, unsigned n)
{
	char path[4096];

	for (unsigned i = 0; i < n; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/many/%u", dir, i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0 || close(fd) < 0)
			return -errno;
	}
	return 0;
}

static int remove_many(const char *dir, unsigned n)
{
	char path[4096];

	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/many/%u", dir, i);
		if (unlink(path) < 0)
			return -errno;
	}
	return 0;
}

void row_many(const char *mount, const char *native, const char *fuse2fs)
{
	const char *dir[] = { fuse2fs, native, mount };
	const char *name[] = { "fuse2fs", "native", "rump" };
	unsigned n = bench.quick ? 100 : MANY;
	unsigned rounds = bench.rounds < 3 ? bench.rounds : 3;
	double made[3][3], removed[3][3];
	char path[4096];

	place(0, 0);
	for (unsigned r = 0; r < rounds; r++)
		for (unsigned s = 0; s < 3; s++) {
			uint64_t start, middle;

			if (strcmp(dir[s], "-") == 0)
				continue;
			snprintf(path, sizeof(path), "%s/many", dir[s]);
			must(mkdir(path, 0755), path);
			start = now_ns();
			must(make_many(dir[s], n), name[s]);
			middle = now_ns();
			must(remove_many(dir[s], n), name[s]);
			made[s][r] = (double)(middle - start) / n;
			removed[s][r] = (double)(now_ns() - middle) / n;
			must(rmdir(path), path);
		}
	for (unsigned s = 0; s < 3; s++) {
		if (strcmp(dir[s], "-") == 0)
			continue;
		print_values("many_create", name[s], made[s], rounds, "ns",
			     "caller on core 0");
		print_values("many_unlink", name[s], removed[s], rounds, "ns",
			     "caller on core 0");
	}
}

/* --- what the kernel answers by itself ---------------------------------------- */

static int run_hot_stat(void *arg, unsigned n)
{
	struct target *t = arg;
	struct stat st;

	for (; n > 0; n--)
		if (stat(t->path, &st) < 0)
			return -errno;
	return 0;
}

/* As `ls -l` does: every name of the directory, and what it is. */
static int run_list(void *arg, unsigned n)
{
	struct target *t = arg;
	unsigned files = 0;

	for (; n > 0; n--) {
		DIR *d = opendir(t->path);
		struct dirent *e;
		struct stat st;

		if (!d)
			return -errno;
		while ((e = readdir(d)))
			if (fstatat(dirfd(d), e->d_name, &st,
				    AT_SYMLINK_NOFOLLOW) < 0)
				return -errno;
			else
				files++;
		closedir(d);
	}
	return files ? 0 : -ENOENT;
}

void row_hot(const char *mount, const char *native)
{
	static struct target t[2] = {
		{ .name = "native" }, { .name = "rump" },
	};
	const char *dir[] = { native, mount };
	struct side side[2];
	unsigned n = bench.quick ? 100 : MANY;

	place(0, 0);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(t[i].path, sizeof(t[i].path), "%s/many", dir[i]);
		must(mkdir(t[i].path, 0755), t[i].path);
		must(make_many(dir[i], n), t[i].path);
		side[i] = (struct side){
			.name = t[i].name, .run = run_list, .arg = &t[i],
			.n = bench.quick ? 2 : 20,
			.note = "names and attributes of 10,000 files; core 0",
		};
	}
	compare("hot_list", side, 2);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(t[i].path, sizeof(t[i].path), "%s/many/7", dir[i]);
		side[i].run = run_hot_stat;
		side[i].n = bench.quick ? 1000 : 200000;
		side[i].note = "caller on core 0";
	}
	compare("hot_stat", side, 2);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(t[i].path, sizeof(t[i].path), "%s/many", dir[i]);
		must(remove_many(dir[i], n), t[i].path);
		must(rmdir(t[i].path), t[i].path);
	}
}

/* --- from a kill to the next answer ----------------------------------------- */

static int next_answer(void *arg)
{
	return run_fstat(arg, 1);
}

void row_kill_mount(const char *mount)
{
	static struct target t;

	open_target(&t, "kill", mount);
	measure_kills("kill_mount", next_answer, &t, "fstat on the mount");
}
