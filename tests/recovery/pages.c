/*
 * pages.c - files that are read without asking, against what calls say; run by
 * pages.sh.
 *
 *	pages reads SECONDS		one writes, others read what must be there
 *	pages agree N			changes at random by one client, seen by another
 *	pages places N			offsets that are kept here, and shared
 *	pages cuts SECONDS		one that gets shorter, longer, and is mapped
 *	pages dead SERVER-PID		reads while the server is stopped, and dead
 *	pages map SECONDS		mappings, reads and writes of several processes
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "pages.h"

enum {
	SIZE = 64 << 10,
	WORDS = SIZE / 8,
	READERS = 3,
	MAPPERS = 3,
	COUNTERS = 512,
};

struct shared {
	_Atomic uint64_t written;	/* by a call that returned */
	_Atomic uint64_t length;
	_Atomic uint32_t stop;
	_Atomic uint64_t reads, stats;
};
static struct shared *shared;

static void fill(uint64_t *buf, uint64_t value)
{
	for (unsigned i = 0; i < WORDS; i++)
		buf[i] = value;
}

/* --- one writes, others read ------------------------------------------------------ */

static void writer(double until)
{
	static uint64_t buf[WORDS];
	struct rk_client *c = attach();
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/data", O_RDWR, 0);
	int64_t log = rk_openat(c, RK_AT_FDCWD, "/vol/log",
				O_WRONLY | O_APPEND, 0), r;

	CHECK(fd >= 0 && log >= 0, "%d", (int)fd);
	for (uint64_t n = 1; now() < until; n++) {
		fill(buf, n);
		r = rk_pwrite(c, (int)fd, buf, SIZE, 0);
		CHECK(r == SIZE, "%d", (int)r);
		atomic_store(&shared->written, n);
		r = rk_write(c, (int)log, "x", 1);
		CHECK(r == 1, "%d", (int)r);
		atomic_store(&shared->length, n);
		if (n % 16 == 0)
			usleep(2000);
	}
	atomic_store(&shared->stop, 1);
}

static void read_once(struct rk_client *c, int fd, uint64_t *last)
{
	static uint64_t buf[WORDS];
	uint64_t least = atomic_load(&shared->written);
	int64_t r = rk_pread(c, fd, buf, SIZE, 0);

	CHECK(r == SIZE, "%d", (int)r);
	for (unsigned i = 1; i < WORDS; i++)
		CHECK(buf[i] == buf[0], "half a write: %lu and, at %u, %lu",
		      (unsigned long)buf[0], i, (unsigned long)buf[i]);
	CHECK(buf[0] >= least && buf[0] >= *last, "%lu after %lu, %lu",
	      (unsigned long)buf[0], (unsigned long)least,
	      (unsigned long)*last);
	*last = buf[0];
	atomic_fetch_add(&shared->reads, 1);
}

static void reader(void)
{
	struct rk_client *c = attach();
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/data", O_RDONLY, 0);
	int64_t log = rk_openat(c, RK_AT_FDCWD, "/vol/log", O_RDONLY, 0), r;
	uint64_t last = 0, least;
	struct rk_stat st;

	CHECK(fd >= 0 && log >= 0, "%d", (int)fd);
	while (!atomic_load(&shared->stop)) {
		read_once(c, (int)fd, &last);
		least = atomic_load(&shared->length);
		r = rk_fstat(c, (int)log, &st);
		CHECK(r == 0 && st.size >= least, "%d: %lu after %lu", (int)r,
		      (unsigned long)st.size, (unsigned long)least);
		least = atomic_load(&shared->length);
		r = rk_fstatat(c, RK_AT_FDCWD, "/vol/log", &st, 0);
		CHECK(r == 0 && st.size >= least, "%d: %lu after %lu", (int)r,
		      (unsigned long)st.size, (unsigned long)least);
		atomic_fetch_add(&shared->stats, 2);
	}
}

static int wait_for_all(void)
{
	int status, bad = 0;

	while (wait(&status) > 0)
		bad |= status;
	return bad ? 1 : 0;
}

static void child(void (*run)(void))
{
	if (fork() == 0) {
		run();
		exit(0);
	}
}

static int reads(double seconds)
{
	static uint64_t zero[WORDS];
	struct rk_client *c = attach();
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/data", O_RDWR | O_CREAT,
			       0644), r;

	CHECK(fd >= 0, "%d", (int)fd);
	r = rk_pwrite(c, (int)fd, zero, SIZE, 0);
	CHECK(r == SIZE, "%d", (int)r);
	r = rk_openat(c, RK_AT_FDCWD, "/vol/log", O_RDWR | O_CREAT, 0644);
	CHECK(r >= 0, "%d", (int)r);
	rk_detach(c);
	for (unsigned i = 0; i < READERS; i++)
		child(reader);
	if (fork() == 0) {
		writer(now() + seconds);
		exit(0);
	}
	if (wait_for_all())
		return 1;
	printf("%lu writes, %lu reads, %lu stats\n",
	       (unsigned long)shared->written, (unsigned long)shared->reads,
	       (unsigned long)shared->stats);
	return 0;
}

/* --- changes at random ------------------------------------------------------------------ */

struct file {
	uint8_t bytes[1 << 20];
	uint64_t size;
};

static void change(struct rk_client *c, int fd, struct file *f)
{
	uint64_t at = rnd(200000), len = 1 + rnd(70000);
	static uint8_t buf[1 << 20];
	int64_t r;

	switch (rnd(8)) {
	case 0:
		r = rk_ftruncate(c, fd, (int64_t)at);
		CHECK(r == 0, "%d", (int)r);
		if (at < f->size)
			memset(f->bytes + at, 0, f->size - at);
		f->size = at;
		break;
	case 1:
		if (at + len > f->size)
			break;
		r = rk_fallocate(c, fd, FALLOC_FL_PUNCH_HOLE |
				 FALLOC_FL_KEEP_SIZE, (int64_t)at,
				 (int64_t)len);
		CHECK(r == 0, "%d", (int)r);
		memset(f->bytes + at, 0, len);
		break;
	default:
		memset(buf, (int)rnd(256), len);
		r = rk_pwrite(c, fd, buf, len, (int64_t)at);
		CHECK(r == (int64_t)len, "%d", (int)r);
		memcpy(f->bytes + at, buf, len);
		if (at + len > f->size)
			f->size = at + len;
	}
}

static void compare(struct rk_client *c, int fd, const struct file *f)
{
	static uint8_t buf[1 << 20];
	uint64_t at = rnd(200000), len = 1 + rnd(40000);
	uint64_t there = at >= f->size ? 0 : f->size - at;
	struct rk_stat st;
	int64_t r = rk_pread(c, fd, buf, len, (int64_t)at);

	there = there < len ? there : len;
	CHECK(r == (int64_t)there, "%d, not %d", (int)r, (int)there);
	CHECK(!memcmp(buf, f->bytes + at, there), "at %lu, %lu",
	      (unsigned long)at, (unsigned long)there);
	r = rk_fstat(c, fd, &st);
	CHECK(r == 0 && st.size == f->size, "%lu, not %lu",
	      (unsigned long)st.size, (unsigned long)f->size);
}

static void names(struct rk_client *a, struct rk_client *b, unsigned n)
{
	struct rk_stat st, other;
	char from[64], to[64];
	int64_t r;

	snprintf(from, sizeof from, "/vol/d/n%u", n % 7);
	snprintf(to, sizeof to, "/vol/d/n%u", (n + 1) % 7);
	r = rk_openat(a, RK_AT_FDCWD, from, O_RDWR | O_CREAT, 0644);
	CHECK(r >= 0, "%d", (int)r);
	CHECK(rk_fstat(a, (int)r, &st) == 0, "fstat");
	rk_close(a, (int)r);
	for (unsigned i = 0; i < 4; i++) {
		r = rk_fstatat(b, RK_AT_FDCWD, from, &other, 0);
		CHECK(r == 0 && other.ino == st.ino, "%d", (int)r);
	}
	r = rk_renameat2(a, RK_AT_FDCWD, from, RK_AT_FDCWD, to, 0);
	CHECK(r == 0, "%d", (int)r);
	r = rk_fstatat(b, RK_AT_FDCWD, from, &other, 0);
	CHECK(r == -ENOENT, "%s is there after rename: %d", from, (int)r);
	r = rk_fstatat(b, RK_AT_FDCWD, to, &other, 0);
	CHECK(r == 0 && other.ino == st.ino, "%d", (int)r);
	r = rk_fchmodat(a, RK_AT_FDCWD, to, 0600 + n % 64, 0);
	CHECK(r == 0, "%d", (int)r);
	r = rk_fstatat(b, RK_AT_FDCWD, to, &other, 0);
	CHECK(r == 0 && (other.mode & 07777) == 0600 + n % 64, "%o", other.mode);
	r = rk_unlinkat(a, RK_AT_FDCWD, to, 0);
	CHECK(r == 0, "%d", (int)r);
	r = rk_fstatat(b, RK_AT_FDCWD, to, &other, 0);
	CHECK(r == -ENOENT, "%s is there: %d", to, (int)r);
}

static int agree(unsigned n)
{
	static struct file f;
	struct rk_client *a = attach(), *b = attach();
	int64_t fa = rk_openat(a, RK_AT_FDCWD, "/vol/agree", O_RDWR | O_CREAT,
			       0644);
	int64_t fb = rk_openat(b, RK_AT_FDCWD, "/vol/agree", O_RDONLY, 0), r;

	CHECK(fa >= 0 && fb >= 0, "%d", (int)fb);
	r = rk_mkdirat(a, RK_AT_FDCWD, "/vol/d", 0755);
	CHECK(r == 0, "%d", (int)r);
	for (unsigned i = 0; i < n; i++) {
		change(a, (int)fa, &f);
		for (unsigned k = rnd(6); k > 0; k--)
			compare(b, (int)fb, &f);
		compare(a, (int)fa, &f);
		if (i % 4 == 0)
			names(a, b, i);
		/* The number is another file's for a while. */
		if (i % 16 == 0) {
			rk_close(b, (int)fb);
			r = rk_openat(b, RK_AT_FDCWD, "/vol/d", O_RDONLY, 0);
			CHECK(r == fb, "%d", (int)r);
			r = rk_pread(b, (int)fb, &r, 1, 0);
			CHECK(r == -EISDIR, "%d", (int)r);
			rk_close(b, (int)fb);
			r = rk_pread(b, (int)fb, &r, 1, 0);
			CHECK(r == -EBADF, "%d", (int)r);
			r = rk_openat(b, RK_AT_FDCWD, "/vol/agree", O_RDONLY,
				      0);
			CHECK(r == fb, "%d", (int)r);
		}
	}
	rk_detach(a);
	rk_detach(b);
	return 0;
}

/* --- while the server does nothing ------------------------------------------------------- */

static int dead(pid_t server)
{
	static uint64_t buf[WORDS];
	struct rk_client *c = attach();
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/still", O_RDWR | O_CREAT,
			       0644), r;
	struct rk_stat st;

	CHECK(fd >= 0, "%d", (int)fd);
	fill(buf, 7);
	CHECK(rk_pwrite(c, (int)fd, buf, SIZE, 0) == SIZE, "pwrite");
	for (unsigned i = 0; i < 16; i++) {
		CHECK(rk_pread(c, (int)fd, buf, SIZE, 0) == SIZE, "pread");
		CHECK(rk_fstat(c, (int)fd, &st) == 0, "fstat");
		r = rk_fstatat(c, RK_AT_FDCWD, "/vol/still", &st, 0);
		CHECK(r == 0, "%d", (int)r);
	}
	kill(server, SIGSTOP);
	/* Whoever asks now waits until this ends everything. */
	alarm(120);
	for (unsigned i = 0; i < 1000; i++) {
		memset(buf, 0, sizeof buf);
		CHECK(rk_pread(c, (int)fd, buf, SIZE, 0) == SIZE && buf[9] == 7,
		      "pread");
		CHECK(rk_fstat(c, (int)fd, &st) == 0 && st.size == SIZE,
		      "fstat");
		r = rk_fstatat(c, RK_AT_FDCWD, "/vol/still", &st, 0);
		CHECK(r == 0 && st.size == SIZE, "fstatat");
	}
	alarm(0);
	kill(server, SIGKILL);
	fill(buf, 8);
	CHECK(rk_pwrite(c, (int)fd, buf, SIZE, 0) == SIZE, "pwrite");
	CHECK(rk_pread(c, (int)fd, buf, SIZE, 0) == SIZE && buf[9] == 8,
	      "pread");
	rk_detach(c);
	return 0;
}

/* --- mappings --------------------------------------------------------------------------------- */

struct mapping {
	void *at;
	int64_t handle;
};

static struct mapping map_file(struct rk_client *c, int fd, uint64_t offset,
			       uint64_t length, int prot, int flags)
{
	struct mapping m;
	uint64_t from;
	int memfd;

	m.handle = rk_map(c, fd, (int64_t)offset, length, prot, flags, &memfd,
			  &from);
	CHECK(m.handle >= 0, "rk_map: %s", strerror((int)-m.handle));
	m.at = mmap(NULL, length, prot, flags, memfd, (off_t)from);
	CHECK(m.at != MAP_FAILED, "%m");
	close(memfd);
	return m;
}

/* Each adds to counters in the mapping, under a lock of its own byte, as the index
 * of a write-ahead log is used: what it reads by call and by mapping is the same. */
static unsigned mapper_no;
static void mapper(void)
{
	struct rk_client *c = attach();
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/shm", O_RDWR, 0), r;
	struct mapping m = map_file(c, (int)fd, 0, 32768,
				    PROT_READ | PROT_WRITE, MAP_SHARED);
	volatile uint64_t *word = m.at;
	unsigned no = mapper_no;
	uint64_t was, by_call;

	CHECK(m.handle > 0, "a copy");
	for (unsigned i = 0; !atomic_load(&shared->stop); i++) {
		unsigned k = (i * 7 + no) % COUNTERS;

		r = rk_setlkw(c, (int)fd, F_WRLCK, k, 1, SEEK_SET, 0);
		CHECK(r == 0, "lock: %d", (int)r);
		was = word[k];
		r = rk_pread(c, (int)fd, &by_call, 8, (int64_t)k * 8);
		CHECK(r == 8 && by_call == was, "%d: %lu by call, %lu mapped",
		      (int)r, (unsigned long)by_call, (unsigned long)was);
		if (i % 3) {
			word[k] = was + 1;
		} else {
			was++;
			r = rk_pwrite(c, (int)fd, &was, 8, (int64_t)k * 8);
			CHECK(r == 8, "%d", (int)r);
			CHECK(word[k] == was, "%lu mapped after %lu",
			      (unsigned long)word[k], (unsigned long)was);
		}
		atomic_fetch_add(&shared->written, 1);
		r = rk_setlk(c, (int)fd, F_UNLCK, k, 1, SEEK_SET, 0);
		CHECK(r == 0, "unlock: %d", (int)r);
		if (i % 200 == 100) {
			r = rk_map_sync(c, (uint32_t)m.handle, 0, 0, 1);
			CHECK(r == 0, "sync: %d", (int)r);
		}
		if (i % 500 == 250) {
			munmap(m.at, 32768);
			r = rk_unmap(c, (uint32_t)m.handle);
			CHECK(r == 0, "unmap: %d", (int)r);
			m = map_file(c, (int)fd, 0, 32768,
				     PROT_READ | PROT_WRITE, MAP_SHARED);
			word = m.at;
		}
	}
	/* One goes without a word: the server sees to it. */
	if (no == 0)
		_exit(0);
	munmap(m.at, 32768);
	CHECK(rk_unmap(c, (uint32_t)m.handle) == 0, "unmap");
	rk_detach(c);
}

static void sum_is(struct rk_client *c, uint64_t want)
{
	static uint64_t word[COUNTERS];
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/shm", O_RDONLY, 0), r;
	uint64_t sum = 0;

	r = rk_pread(c, (int)fd, word, sizeof word, 0);
	CHECK(r == sizeof word, "%d", (int)r);
	for (unsigned i = 0; i < COUNTERS; i++)
		sum += word[i];
	CHECK(sum == want, "%lu counted, %lu done", (unsigned long)sum,
	      (unsigned long)want);
	rk_close(c, (int)fd);
}

static sigjmp_buf on_bus;

static void bus(int sig)
{
	siglongjmp(on_bus, sig);
}

static bool gives_bus(const volatile uint8_t *p)
{
	bool yes = sigsetjmp(on_bus, 1) != 0;

	if (!yes)
		(void)*p;
	return yes;
}

/* What mmap(2) says of one mapping. */
static void map_one(struct rk_client *c)
{
	static uint8_t buf[SIZE];
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/one", O_RDWR | O_CREAT,
			       0644), ro, r;
	struct mapping m, p;
	uint8_t *at, *copy, byte;

	memset(buf, 'a', sizeof buf);
	CHECK(rk_pwrite(c, (int)fd, buf, SIZE, 0) == SIZE, "pwrite");
	m = map_file(c, (int)fd, 4096, SIZE, PROT_READ | PROT_WRITE,
		     MAP_SHARED);
	p = map_file(c, (int)fd, 0, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	at = m.at;
	copy = p.at;
	CHECK(at[0] == 'a' && copy[SIZE - 1] == 'a', "not filled");
	at[10] = 'b';
	copy[20] = 'c';
	CHECK(rk_pread(c, (int)fd, buf, SIZE, 0) == SIZE, "pread");
	CHECK(buf[4106] == 'b' && buf[20] == 'a', "%c %c", buf[4106], buf[20]);
	CHECK(rk_pwrite(c, (int)fd, "d", 1, 4107) == 1, "pwrite");
	CHECK(at[11] == 'd' && at[10] == 'b', "%c %c", at[11], at[10]);
	/* Beyond its end it is as the file: not there, and cut with it. */
	CHECK(gives_bus(at + SIZE - 4096), "beyond the end");
	CHECK(rk_ftruncate(c, (int)fd, SIZE + 4096) == 0, "ftruncate");
	CHECK(at[SIZE - 1] == 0, "%d", at[SIZE - 1]);
	CHECK(rk_ftruncate(c, (int)fd, 8192) == 0, "ftruncate");
	CHECK(at[10] == 'b' && gives_bus(at + 4096), "cut");
	CHECK(rk_map_sync(c, (uint32_t)m.handle, 4096, 4096, 1) == 0, "sync");
	/* The descriptor and the name may go. */
	ro = rk_openat(c, RK_AT_FDCWD, "/vol/one", O_RDONLY, 0);
	rk_close(c, (int)fd);
	at[12] = 'e';
	CHECK(rk_pread(c, (int)ro, &byte, 1, 4108) == 1 && byte == 'e', "%c",
	      byte);
	CHECK(rk_map(c, (int)ro, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
		     &(int){ 0 }, &(uint64_t){ 0 }) == -EACCES, "EACCES");
	CHECK(rk_renameat2(c, RK_AT_FDCWD, "/vol/one", RK_AT_FDCWD, "/vol/two",
			   0) == 0, "rename");
	munmap(m.at, SIZE);
	munmap(p.at, SIZE);
	CHECK(rk_unmap(c, (uint32_t)m.handle) == 0, "unmap");
	CHECK(rk_unmap(c, (uint32_t)p.handle) == 0, "unmap");
	CHECK(rk_unmap(c, (uint32_t)m.handle) == -EINVAL, "twice");
	r = rk_pread(c, (int)ro, buf, SIZE, 4096);
	CHECK(r == 4096 && buf[10] == 'b' && buf[11] == 'd' && buf[12] == 'e',
	      "%d", (int)r);
	rk_close(c, (int)ro);
	/* Many parts, and more than one write can carry. */
	fd = rk_openat(c, RK_AT_FDCWD, "/vol/large", O_RDWR | O_CREAT, 0644);
	CHECK(rk_ftruncate(c, (int)fd, 5 << 20) == 0, "ftruncate");
	m = map_file(c, (int)fd, 0, 5 << 20, PROT_READ | PROT_WRITE,
		     MAP_SHARED);
	memset(m.at, 'z', 5 << 20);
	CHECK(rk_fsync(c, (int)fd) == 0, "fsync");
	munmap(m.at, 5 << 20);
	CHECK(rk_unmap(c, (uint32_t)m.handle) == 0, "unmap");
	rk_close(c, (int)fd);
}

static int map_all(double seconds)
{
	struct rk_client *c = attach();
	int64_t fd = rk_openat(c, RK_AT_FDCWD, "/vol/shm", O_RDWR | O_CREAT,
			       0644), r;

	signal(SIGBUS, bus);
	CHECK(fd >= 0, "%d", (int)fd);
	r = rk_ftruncate(c, (int)fd, 32768);
	CHECK(r == 0, "%d", (int)r);
	map_one(c);
	rk_detach(c);
	for (mapper_no = 0; mapper_no < MAPPERS; mapper_no++)
		child(mapper);
	usleep((useconds_t)(seconds * 1e6));
	atomic_store(&shared->stop, 1);
	if (wait_for_all())
		return 1;
	c = attach();
	sum_is(c, shared->written);
	CHECK(rk_sync(c) == 0, "sync");
	rk_detach(c);
	printf("%lu additions\n", (unsigned long)shared->written);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return 2;
	if (!strcmp(argv[1], "reads"))
		return reads(atof(argv[2]));
	if (!strcmp(argv[1], "agree"))
		return agree((unsigned)atoi(argv[2]));
	if (!strcmp(argv[1], "places"))
		return places((unsigned)atoi(argv[2]));
	if (!strcmp(argv[1], "cuts"))
		return cuts(atof(argv[2]));
	if (!strcmp(argv[1], "dead"))
		return dead(atoi(argv[2]));
	if (!strcmp(argv[1], "map"))
		return map_all(atof(argv[2]));
	return 2;
}
