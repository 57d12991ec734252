/*
 * verifier_own.c - steps in a worker's own directory: nobody else is there, so
 * the result of each call is known exactly.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "verifier.h"

enum { OWN_RECORD = 8 };

struct name {
	char s[40];
};

static struct name fresh(struct worker *w, const char *what)
{
	struct name n;

	snprintf(n.s, sizeof n.s, "%s%lu", what, (unsigned long)++w->serial);
	return n;
}

static size_t size_of(struct worker *w)
{
	return 1 + draw(w, draw(w, 4) ? 5000 : sizeof w->buf);
}

/* A file with known bytes. -1: an error was said. */
static int make_file(struct worker *w, const char *name, size_t size,
		     uint64_t what)
{
	int fd = openat(w->own, name, O_RDWR | O_CREAT | O_EXCL, 0644);

	if (!verify(w, "create", __LINE__, fd < 0 ? -errno : 0, 0))
		return -1;
	fill(w->buf, size, what);
	if (!verify(w, "write", __LINE__,
		    OR_ERRNO(pwrite(fd, w->buf, size, 0)), (long long)size))
		return -1;
	return fd;
}

/* The whole file has these bytes and no more. */
static bool holds(struct worker *w, int fd, size_t size, uint64_t what,
		  int line)
{
	struct stat st = { 0 };

	return verify(w, "fstat", line, OR_ERRNO(fstat(fd, &st)), 0) &&
	       verify(w, "size", line, st.st_size, (long long)size) &&
	       verify(w, "pread", line, OR_ERRNO(pread(fd, w->got,
		      sizeof w->got, 0)), (long long)size) &&
	       verify(w, "content", line, filled(w->got, size, what), 1);
}

static void step_file(struct worker *w)
{
	struct name a = fresh(w, "a"), b = fresh(w, "b");
	size_t size = size_of(w), cut = size / 2;
	struct stat st;
	int fd, other;

	fd = make_file(w, a.s, size, w->serial);
	if (fd < 0)
		return;
	MUST_FAIL(openat(w->own, a.s, O_RDWR | O_CREAT | O_EXCL, 0644),
		  EEXIST);
	MUST_BE(holds(w, fd, size, w->serial, __LINE__));
	if (draw(w, 16) == 0)
		MUST(fsync(fd), 0);
	MUST(renameat(w->own, a.s, w->own, b.s), 0);
	MUST_FAIL(fstatat(w->own, a.s, &st, 0), ENOENT);
	MUST_FAIL(unlinkat(w->own, a.s, 0), ENOENT);
	MUST_OPEN(other, openat(w->own, b.s, O_RDWR));
	MUST_BE(holds(w, other, size, w->serial, __LINE__));
	MUST(ftruncate(other, (off_t)cut), 0);
	MUST_BE(holds(w, fd, cut, w->serial, __LINE__));
	MUST(close(fd), 0);
	MUST(unlinkat(w->own, b.s, 0), 0);
	MUST_FAIL(unlinkat(w->own, b.s, 0), ENOENT);
	MUST_BE(holds(w, other, cut, w->serial, __LINE__));
	MUST(fstat(other, &st), 0);
	MUST((long long)st.st_nlink, 0);
	MUST(close(other), 0);
}

static void step_links(struct worker *w)
{
	struct name a = fresh(w, "l"), b = fresh(w, "l"), c = fresh(w, "s");
	char target[64] = "";
	struct stat st;
	int fd = make_file(w, a.s, 100, 7);

	if (fd < 0)
		return;
	MUST(linkat(w->own, a.s, w->own, b.s, 0), 0);
	MUST_FAIL(linkat(w->own, a.s, w->own, b.s, 0), EEXIST);
	MUST(fstat(fd, &st), 0);
	MUST((long long)st.st_nlink, 2);
	MUST(symlinkat(b.s, w->own, c.s), 0);
	MUST_FAIL(symlinkat(b.s, w->own, c.s), EEXIST);
	MUST(readlinkat(w->own, c.s, target, sizeof target),
	     (long long)strlen(b.s));
	MUST(strcmp(target, b.s), 0);
	/* Two names of one file: nothing happens. */
	MUST(renameat(w->own, a.s, w->own, b.s), 0);
	MUST(unlinkat(w->own, a.s, 0), 0);
	MUST(fstatat(w->own, c.s, &st, 0), 0);
	MUST((long long)st.st_nlink, 1);
	MUST(unlinkat(w->own, b.s, 0), 0);
	MUST_FAIL(fstatat(w->own, c.s, &st, 0), ENOENT);
	MUST(unlinkat(w->own, c.s, 0), 0);
	MUST(close(fd), 0);
}

static void step_replace(struct worker *w)
{
	struct name a = fresh(w, "r"), b = fresh(w, "r");
	int old = make_file(w, a.s, 3000, 11), new;

	if (old < 0)
		return;
	new = make_file(w, b.s, 2000, 13);
	if (new < 0)
		return;
	MUST(renameat(w->own, b.s, w->own, a.s), 0);
	MUST_FAIL(renameat(w->own, b.s, w->own, a.s), ENOENT);
	MUST_BE(holds(w, old, 3000, 11, __LINE__));
	MUST(close(old), 0);
	MUST(close(new), 0);
	MUST_OPEN(new, openat(w->own, a.s, O_RDONLY));
	MUST_BE(holds(w, new, 2000, 13, __LINE__));
	MUST(close(new), 0);
	MUST(unlinkat(w->own, a.s, 0), 0);
}

static void step_directory(struct worker *w)
{
	struct name a = fresh(w, "d"), b = fresh(w, "d");
	struct stat st;
	int dir, fd;

	MUST(mkdirat(w->own, a.s, 0755), 0);
	MUST_FAIL(mkdirat(w->own, a.s, 0755), EEXIST);
	MUST_OPEN(dir, openat(w->own, a.s, O_RDONLY | O_DIRECTORY));
	MUST_OPEN(fd, openat(dir, "x", O_WRONLY | O_CREAT | O_EXCL, 0600));
	MUST(close(fd), 0);
	MUST_FAIL(unlinkat(w->own, a.s, AT_REMOVEDIR), ENOTEMPTY);
	MUST(mkdirat(dir, "y", 0700), 0);
	MUST(fstat(dir, &st), 0);
	MUST((long long)st.st_nlink, 3);
	MUST(renameat(w->own, a.s, w->own, b.s), 0);
	MUST_FAIL(unlinkat(w->own, a.s, AT_REMOVEDIR), ENOENT);
	MUST_FAIL(unlinkat(dir, "x", AT_REMOVEDIR), ENOTDIR);
	MUST(renameat(dir, "x", w->own, a.s), 0);
	MUST(unlinkat(dir, "y", AT_REMOVEDIR), 0);
	MUST_FAIL(unlinkat(w->own, b.s, 0), EISDIR);
	MUST(unlinkat(w->own, b.s, AT_REMOVEDIR), 0);
	MUST_FAIL(unlinkat(w->own, b.s, AT_REMOVEDIR), ENOENT);
	MUST_FAIL(openat(dir, "z", O_WRONLY | O_CREAT, 0600), ENOENT);
	MUST(close(dir), 0);
	MUST(unlinkat(w->own, a.s, 0), 0);
}

static void step_attributes(struct worker *w)
{
	struct timespec t[2] = { { 1000, 0 }, { 2000, 0 } };
	struct name a = fresh(w, "t");
	struct stat st;
	char value[16];
	int fd = make_file(w, a.s, 10, 1);

	if (fd < 0)
		return;
	MUST(fchmod(fd, 0640), 0);
	MUST(futimens(fd, t), 0);
	MUST(fsetxattr(fd, "user.a", "one", 3, XATTR_CREATE), 0);
	MUST_FAIL(fsetxattr(fd, "user.a", "two", 3, XATTR_CREATE), EEXIST);
	MUST_FAIL(fsetxattr(fd, "user.b", "two", 3, XATTR_REPLACE), ENODATA);
	MUST(fgetxattr(fd, "user.a", value, sizeof value), 3);
	MUST(memcmp(value, "one", 3), 0);
	MUST(fremovexattr(fd, "user.a"), 0);
	MUST_FAIL(fremovexattr(fd, "user.a"), ENODATA);
	MUST(fstat(fd, &st), 0);
	MUST((long long)(st.st_mode & 07777), 0640);
	MUST((long long)st.st_mtime, 2000);
	MUST(close(fd), 0);
	MUST(unlinkat(w->own, a.s, 0), 0);
}

static void step_mapped(struct worker *w)
{
	struct name a = fresh(w, "m");
	size_t size = 4 * BLOCK;
	uint8_t *p;
	int fd = make_file(w, a.s, size, 3);

	if (fd < 0)
		return;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	MUST_BE(p != MAP_FAILED);
	MUST_BE(filled(p, size, 3));
	fill(p, size, w->serial);
	if (draw(w, 2))
		MUST(msync(p, size, MS_SYNC), 0);
	MUST_BE(holds(w, fd, size, w->serial, __LINE__));
	MUST(munmap(p, size), 0);
	MUST(close(fd), 0);
	MUST_OPEN(fd, openat(w->own, a.s, O_RDONLY));
	MUST_BE(holds(w, fd, size, w->serial, __LINE__));
	MUST(close(fd), 0);
	MUST(unlinkat(w->own, a.s, 0), 0);
}

/* A file that has no name any more keeps its bytes over all deaths. */
static void step_held(struct worker *w)
{
	unsigned i = draw(w, HELD_BLOCKS), k = draw(w, HELD_BLOCKS);

	fill(w->buf, BLOCK, i * 1000003ull + ++w->held_version[i]);
	MUST(pwrite(w->held_fd, w->buf, BLOCK, (off_t)i * BLOCK), BLOCK);
	MUST(pread(w->held_fd, w->got, BLOCK, (off_t)k * BLOCK), BLOCK);
	MUST_BE(filled(w->got, BLOCK, k * 1000003ull + w->held_version[k]));
}

static void step_append(struct worker *w)
{
	uint64_t number = common->appended[w->number];

	MUST(write(w->append_fd, &number, OWN_RECORD), OWN_RECORD);
	common->appended[w->number]++;
}

/* Written past the page cache, read through it and the other way round. */
static void step_direct(struct worker *w)
{
	struct name a = fresh(w, "o");
	static _Thread_local _Alignas(BLOCK) uint8_t page[2 * BLOCK];
	int fd, direct;

	fd = make_file(w, a.s, 2 * BLOCK, 5);
	if (fd < 0)
		return;
	MUST_OPEN(direct, openat(w->own, a.s, O_RDWR | O_DIRECT));
	MUST(pread(direct, page, sizeof page, 0), sizeof page);
	MUST_BE(filled(page, sizeof page, 5));
	fill(page, sizeof page, w->serial);
	MUST(pwrite(direct, page, sizeof page, 0), sizeof page);
	MUST_BE(holds(w, fd, sizeof page, w->serial, __LINE__));
	MUST(close(direct), 0);
	MUST(close(fd), 0);
	MUST(unlinkat(w->own, a.s, 0), 0);
}

void own_step(struct worker *w)
{
	static void (*const step[])(struct worker *) = {
		step_file, step_file, step_file, step_links, step_replace,
		step_directory, step_directory, step_attributes, step_mapped,
		step_held, step_held, step_append, step_append, step_direct,
	};

	step[draw(w, sizeof step / sizeof *step)](w);
}

/* --- start and end --------------------------------------------------------- */

void own_start(struct worker *w)
{
	MUST_OPEN(w->append_fd, openat(w->own, "append", O_RDWR | O_CREAT |
				       O_EXCL | O_APPEND, 0644));
	MUST_OPEN(w->held_fd, openat(w->own, "held", O_RDWR | O_CREAT | O_EXCL,
				     0644));
	MUST(unlinkat(w->own, "held", 0), 0);
	for (unsigned i = 0; i < HELD_BLOCKS; i++) {
		fill(w->buf, BLOCK, i * 1000003ull);
		MUST(pwrite(w->held_fd, w->buf, BLOCK, (off_t)i * BLOCK),
		     BLOCK);
	}
}

void own_finish(struct worker *w)
{
	uint64_t number;
	struct stat st;

	MUST(fstat(w->append_fd, &st), 0);
	MUST((long long)st.st_size,
	     (long long)(common->appended[w->number] * OWN_RECORD));
	for (uint64_t i = 0; i < common->appended[w->number]; i++) {
		MUST(pread(w->append_fd, &number, OWN_RECORD,
			   (off_t)(i * OWN_RECORD)), OWN_RECORD);
		MUST((long long)number, (long long)i);
	}
	MUST(close(w->append_fd), 0);
	MUST(unlinkat(w->own, "append", 0), 0);
	MUST(close(w->held_fd), 0);
}
