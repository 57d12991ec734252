/*
 * replay_data.c - the calls about what is in files, and locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "replay.h"

enum { ROOM = 4 << 20 };

/* Aligned, for O_DIRECT. */
static char *buffer(long n, char fill)
{
	static char *b;

	if (!b && posix_memalign((void **)&b, 4096, ROOM))
		abort();
	if (n > ROOM || n < 0)
		abort();
	if (fill)
		memset(b, fill, (size_t)n);
	return b;
}

static long c_write(char **a)		/* FD COUNT CHARACTER */
{
	long n = number(a[1]);

	return write(descriptor(a[0]), buffer(n, *a[2]), (size_t)n);
}

static long c_pwrite(char **a)		/* FD OFFSET COUNT CHARACTER */
{
	long n = number(a[2]);

	return pwrite(descriptor(a[0]), buffer(n, *a[3]), (size_t)n,
		      number(a[1]));
}

static long c_read(char **a)
{
	long n = number(a[1]);
	char *b = buffer(n, 0);
	long r = read(descriptor(a[0]), b, (size_t)n);

	tell(" %016lx", hash(b, r));
	return r;
}

static long c_pread(char **a)
{
	long n = number(a[2]);
	char *b = buffer(n, 0);
	long r = pread(descriptor(a[0]), b, (size_t)n, number(a[1]));

	tell(" %016lx", hash(b, r));
	return r;
}

static long c_sum(char **a)
{
	int fd = open(a[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	long n, sum = 0;
	uint64_t all = 0;

	if (fd < 0)
		return -1;
	while ((n = read(fd, buffer(ROOM, 0), ROOM)) > 0) {
		all = all * 31 + hash(buffer(ROOM, 0), n);
		sum += n;
	}
	close(fd);
	tell(" %016lx", all);
	return n < 0 ? n : sum;
}

static long c_lseek(char **a)
{
	return lseek(descriptor(a[0]), number(a[1]), (int)number(a[2]));
}

static long c_truncate(char **a)
{
	return truncate(a[0], number(a[1]));
}

static long c_ftruncate(char **a)
{
	return ftruncate(descriptor(a[0]), number(a[1]));
}

static long c_fallocate(char **a)
{
	return fallocate(descriptor(a[0]), (int)number(a[1]), number(a[2]),
			 number(a[3]));
}

static long c_posix_fallocate(char **a)
{
	errno = posix_fallocate(descriptor(a[0]), number(a[1]), number(a[2]));
	return errno ? -1 : 0;
}

static long c_copy(char **a)		/* FD OFF FD OFF COUNT */
{
	off_t from = number(a[1]), to = number(a[3]);

	return copy_file_range(descriptor(a[0]), &from, descriptor(a[2]), &to,
			       (size_t)number(a[4]), 0);
}

static long c_fsync(char **a)
{
	return fsync(descriptor(a[0]));
}

static long c_syncfs(char **a)
{
	return syncfs(descriptor(a[0]));
}

static char *map(char **a, int prot, long *page_at)
{
	long off = number(a[1]), n = number(a[2]);

	*page_at = off & ~4095l;
	return mmap(NULL, (size_t)(off - *page_at + n), prot, MAP_SHARED,
		    descriptor(a[0]), *page_at);
}

static long c_mread(char **a)		/* FD OFFSET COUNT */
{
	long off = number(a[1]), n = number(a[2]), at;
	char *p = map(a, PROT_READ, &at);

	if (p == MAP_FAILED)
		return -1;
	tell(" %016lx", hash(p + off - at, n));
	munmap(p, (size_t)(off - at + n));
	return n;
}

static long c_mwrite(char **a)		/* FD OFFSET COUNT CHARACTER */
{
	long off = number(a[1]), n = number(a[2]), at, r;
	char *p = map(a, PROT_READ | PROT_WRITE, &at);

	if (p == MAP_FAILED)
		return -1;
	memset(p + off - at, *a[3], (size_t)n);
	r = msync(p, (size_t)(off - at + n), MS_SYNC);
	munmap(p, (size_t)(off - at + n));
	return r < 0 ? r : n;
}

static long c_flock(char **a)
{
	return flock(descriptor(a[0]), (int)number(a[1]));
}

static struct flock range(char **a)
{
	return (struct flock){
		.l_type = (short)number(a[2]), .l_whence = SEEK_SET,
		.l_start = number(a[3]), .l_len = number(a[4]),
	};
}

static long c_lock(char **a)		/* posix|ofd FD TYPE START LENGTH */
{
	struct flock l = range(a);

	return fcntl(descriptor(a[1]), *a[0] == 'o' ? F_OFD_SETLK : F_SETLK,
		     &l);
}

static long c_getlk(char **a)
{
	struct flock l = range(a);
	long r = fcntl(descriptor(a[1]), *a[0] == 'o' ? F_OFD_GETLK : F_GETLK,
		       &l);

	tell(" %d %ld+%ld", l.l_type, (long)l.l_start, (long)l.l_len);
	return r;
}

static long c_fill(char **a)		/* FD CHARACTER: until it is full */
{
	long n;

	buffer(1 << 20, *a[1]);
	do
		n = write(descriptor(a[0]), buffer(1 << 20, 0), 1 << 20);
	while (n > 0);
	return n < 0 && errno == ENOSPC ? 0 : -1;
}

const struct call data_calls[] = {
	{ "write", "---", c_write }, { "pwrite", "----", c_pwrite },
	{ "read", "--", c_read }, { "pread", "---", c_pread },
	{ "sum", "p", c_sum }, { "lseek", "---", c_lseek },
	{ "truncate", "p-", c_truncate }, { "ftruncate", "--", c_ftruncate },
	{ "fallocate", "----", c_fallocate },
	{ "posix_fallocate", "---", c_posix_fallocate },
	{ "copy", "-----", c_copy }, { "fsync", "-", c_fsync },
	{ "syncfs", "-", c_syncfs }, { "mread", "---", c_mread },
	{ "mwrite", "----", c_mwrite }, { "flock", "--", c_flock },
	{ "lock", "-----", c_lock }, { "getlk", "-----", c_getlk },
	{ "fill", "--", c_fill },
	{ NULL, NULL, NULL },
};
