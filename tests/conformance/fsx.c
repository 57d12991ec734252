/*
 * fsx.c - fsx FILE SEED COUNT: operations at random on one file, each compared
 * with what a copy in memory says that it must be. Two descriptors and a
 * mapping look at the same file; now and then all are opened anew.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ROOM = 300000 };

static unsigned char model[ROOM], buffer[ROOM];
static long size;
static int fd[2];
static const char *path;
static unsigned long step;

static void fail(const char *what, long off, long len)
{
	fprintf(stderr, "fsx: step %lu: %s at %ld+%ld, size %ld: %s\n", step,
		what, off, len, size, strerror(errno));
	exit(1);
}

static void open_both(void)
{
	for (int i = 0; i < 2; i++) {
		fd[i] = open(path, O_RDWR | O_CREAT, 0644);
		if (fd[i] < 0)
			fail("open", 0, 0);
	}
}

static void grow(long to)
{
	if (to > size)
		size = to;
}

static void compare(const void *got, const char *what, long off, long len)
{
	if (memcmp(got, model + off, (size_t)len)) {
		errno = EILSEQ;
		fail(what, off, len);
	}
}

static void do_read(long off, long len)
{
	long want = off >= size ? 0 : len < size - off ? len : size - off;

	if (pread(fd[rand() & 1], buffer, (size_t)len, off) != want)
		fail("read", off, len);
	compare(buffer, "read", off, want);
}

static void do_write(long off, long len)
{
	memset(model + off, rand(), (size_t)len);
	grow(off + len);
	if (pwrite(fd[rand() & 1], model + off, (size_t)len, off) != len)
		fail("write", off, len);
}

static void do_map(long off, long len, bool change)
{
	long from = off & ~4095l;
	unsigned char *p;

	if (off + len > size)
		len = size - off;
	if (len <= 0)
		return;
	p = mmap(NULL, (size_t)(off - from + len), PROT_READ | PROT_WRITE,
		 MAP_SHARED, fd[0], from);
	if (p == MAP_FAILED)
		fail("mmap", off, len);
	if (change) {
		memset(model + off, rand(), (size_t)len);
		memcpy(p + off - from, model + off, (size_t)len);
	} else {
		compare(p + off - from, "map", off, len);
	}
	munmap(p, (size_t)(off - from + len));
}

static void do_truncate(long to)
{
	if (ftruncate(fd[1], to) < 0)
		fail("truncate", to, 0);
	if (to < size)
		memset(model + to, 0, (size_t)(ROOM - to));
	size = to;
}

static void do_fallocate(int mode, long off, long len)
{
	if (fallocate(fd[0], mode, off, len) < 0)
		fail("fallocate", off, len);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grow(off + len);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(model + off, 0, (size_t)len);
}

static void do_copy(long off, long len)
{
	off_t from = rand() % ROOM, to = off;
	long n;

	if (from + len > size || labs((long)from - off) < len || len == 0)
		return;
	n = copy_file_range(fd[0], &from, fd[1], &to, (size_t)len, 0);
	if (n <= 0)
		fail("copy", off, len);
	memmove(model + off, model + (from - n), (size_t)n);
	grow(off + n);
}

static void do_step(void)
{
	static const int modes[] = {
		0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
	};
	long off = rand() % ROOM, len = rand() % 30000 + 1;

	if (rand() % 3 == 0)
		off &= ~4095l;
	if (off + len > ROOM)
		len = ROOM - off;
	switch (rand() % 12) {
	case 0: case 1: case 2:
		do_read(off, len);
		break;
	case 3: case 4: case 5:
		do_write(off, len);
		break;
	case 6:
		do_map(off, len, false);
		break;
	case 7:
		do_map(off, len, true);
		break;
	case 8:
		do_truncate(off);
		break;
	case 9:
		do_fallocate(modes[rand() % 5], off, len);
		break;
	case 10:
		do_copy(off, len);
		break;
	case 11:
		if (fsync(fd[0]) < 0)
			fail("fsync", 0, 0);
		close(fd[0]);
		close(fd[1]);
		open_both();
		break;
	}
}

int main(int argc, char **argv)
{
	struct stat st;

	if (argc != 4) {
		fprintf(stderr, "usage: fsx FILE SEED COUNT\n");
		return 2;
	}
	path = argv[1];
	srand((unsigned)atoi(argv[2]));
	open_both();
	for (; step < strtoul(argv[3], NULL, 10); step++) {
		do_step();
		if (fstat(fd[step & 1], &st) < 0 || st.st_size != size)
			fail("stat", (long)st.st_size, 0);
	}
	do_read(0, ROOM);
	return 0;
}
