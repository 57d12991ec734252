/*
 * fsx.c - fsx FILE SEED COUNT: operations at random on one file, each compared
 * with what a copy in memory says that it must be. Two descriptors, one that
 * appends, one past the page cache and a mapping look at the same file; now and
 * then all are opened anew.
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
		if (rand() % 2 && msync(p, (size_t)(off - from + len),
					rand() % 2 ? MS_SYNC : MS_ASYNC) < 0)
			fail("msync", off, len);
	} else {
		compare(p + off - from, "map", off, len);
	}
	munmap(p, (size_t)(off - from + len));
}

/* Behind the end of the file, in its last page, a mapping sees zeros. */
static void do_map_end(void)
{
	long from = size & ~4095l;
	unsigned char *p;

	if (size == 0 || size % 4096 == 0)
		return;
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd[1], from);
	if (p == MAP_FAILED)
		fail("mmap", from, 4096);
	for (long i = size % 4096; i < 4096; i++) {
		if (p[i]) {
			errno = EILSEQ;
			fail("bytes behind the end", from + i, 1);
		}
	}
	munmap(p, 4096);
}

static void do_append(long len)
{
	int a = open(path, O_WRONLY | O_APPEND);

	if (size + len > ROOM)
		len = ROOM - size;
	memset(model + size, rand(), (size_t)len);
	/* The offset that is asked for is not the one that counts. */
	if (a < 0 || pwrite(a, model + size, (size_t)len, rand() % ROOM) != len)
		fail("append", size, len);
	size += len;
	close(a);
}

static void do_direct(long off, long len)
{
	static unsigned char aligned[32768] __attribute__((aligned(4096)));
	int d = open(path, O_RDWR | O_DIRECT);
	long want;

	off &= ~4095l;
	len = ((len + 4095) & ~4095l) % 32768;
	if (d < 0)
		fail("open O_DIRECT", off, len);
	if (off + len <= ROOM && rand() % 2) {
		memset(aligned, rand(), (size_t)len);
		memcpy(model + off, aligned, (size_t)len);
		if (pwrite(d, aligned, (size_t)len, off) != len)
			fail("direct write", off, len);
		if (len)
			grow(off + len);
	} else {
		want = off >= size ? 0 : len < size - off ? len : size - off;
		if (pread(d, aligned, (size_t)len, off) != want)
			fail("direct read", off, len);
		compare(aligned, "direct read", off, want);
	}
	close(d);
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
	switch (rand() % 15) {
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
	case 12:
		do_append(len);
		break;
	case 13:
		do_direct(off, len);
		break;
	case 14:
		do_map_end();
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
