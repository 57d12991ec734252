/*
 * files.c - rows that work on the mount: small files and large ones, against
 * fuse2fs on the same kind of image and the kernel's own ext4. A side whose
 * directory is "-" is left out.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "bench.h"

enum { SMALL = 4096, PIECE = 128 << 10 };

static char buffer[PIECE];

static int run_create(void *arg, unsigned n)
{
	char path[4096];

	for (unsigned i = 0; i < n; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/small-%u", (char *)arg, i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
		if (fd < 0)
			return -errno;
		if (write(fd, buffer, SMALL) != SMALL || close(fd) < 0 ||
		    unlink(path) < 0)
			return -errno;
	}
	return 0;
}

void row_create(const char *mount, const char *native, const char *fuse2fs)
{
	unsigned n = bench.quick ? 20 : 1000, sides = 0;
	struct side side[SIDES_MAX] = { 0 };
	const char *dir[] = { fuse2fs, native, mount };
	const char *name[] = { "fuse2fs", "native", "rump" };
	const char *note[] = {
		"program and server core 0", "ext4; core 0",
		"program and server core 0",
	};

	for (unsigned i = 0; i < 3; i++)
		if (strcmp(dir[i], "-") != 0)
			side[sides++] = (struct side){
				.name = name[i], .run = run_create,
				.arg = (void *)(uintptr_t)dir[i], .n = n,
				.note = note[i],
			};
	place(0, 0);
	if (strcmp(mount, "-") != 0)
		place_server(0);
	compare("create", side, sides);
}

/* --- programs ------------------------------------------------------------- */

struct program {
	const char *script, *name, *dir;
};

static int run_program(void *arg, unsigned n)
{
	const struct program *p = arg;

	for (; n > 0; n--) {
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			execl(p->script, p->script, p->name, "run", p->dir,
			      (char *)NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			return -errno;
		if (status != 0)
			return -EIO;
	}
	return 0;
}

void row_program(const char *script, const char *name, const char *mount,
		 const char *native, const char *fuse2fs)
{
	const char *dir[] = { native, mount, fuse2fs };
	const char *side_name[] = { "native", "rump", "fuse2fs" };
	struct side side[SIDES_MAX] = { 0 };
	struct program program[3];
	unsigned n = 0;

	for (unsigned i = 0; i < 3; i++) {
		if (strcmp(dir[i], "-") == 0)
			continue;
		program[n] = (struct program){ script, name, dir[i] };
		side[n] = (struct side){
			.name = side_name[i], .run = run_program,
			.arg = &program[n], .n = 1, .note = "nobody is placed",
		};
		n++;
	}
	compare(name, side, n);
}

/* --- one large file ------------------------------------------------------ */

static int run_write(void *arg, unsigned n)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/large", (char *)arg);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	for (unsigned i = 0; i < n; i++)
		if (write(fd, buffer, PIECE) != PIECE)
			return -errno;
	return close(fd) < 0 ? -errno : 0;
}

static int run_read(void *arg, unsigned n)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/large", (char *)arg);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (unsigned i = 0; i < n; i++)
		if (read(fd, buffer, PIECE) != PIECE)
			return -errno;
	return close(fd) < 0 ? -errno : 0;
}

/* What one side left does not cost the next: off the disk's queue, then gone. */
static void clean(const char *dir)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/large", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		fdatasync(fd);
		close(fd);
	}
	unlink(path);
}

void row_sequential(const char *mount, const char *native, const char *fuse2fs)
{
	unsigned n = (bench.quick ? 4u << 20 : 1u << 30) / PIECE;
	unsigned rounds = bench.rounds < 3 ? bench.rounds : 3;
	const char *dir[] = { fuse2fs, native, mount };
	const char *name[] = { "fuse2fs", "native", "rump" };
	double v[3][3][ROUNDS_MAX];

	place(0, 0);
	if (strcmp(mount, "-") != 0)
		place_server(two_cores() ? 1 : 0);
	for (unsigned r = 0; r < rounds; r++)
		for (unsigned i = 0; i < 3; i++) {
			unsigned s = (i + r) % 3;
			uint64_t start = now_ns(), middle;

			if (strcmp(dir[s], "-") == 0)
				continue;
			must(run_write((void *)(uintptr_t)dir[s], n), name[s]);
			middle = now_ns();
			must(run_read((void *)(uintptr_t)dir[s], n), name[s]);
			v[s][0][r] = (double)(middle - start);
			v[s][1][r] = (double)(now_ns() - middle);
			v[s][2][r] = (double)(now_ns() - start);
			clean(dir[s]);
		}
	for (unsigned s = 0; s < 3; s++) {
		const char *note = "program core 0, server core 1";

		if (strcmp(dir[s], "-") == 0)
			continue;
		if (s == 1)
			note = "ext4; core 0";
		print_values("sequential_write", name[s], v[s][0],
			     rounds, "ns", note);
		print_values("sequential_read", name[s], v[s][1],
			     rounds, "ns", note);
		print_values("sequential", name[s], v[s][2], rounds,
			     "ns", note);
	}
}
