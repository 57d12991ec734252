/*
 * ext4_cost.c - what ops of the ext4 driver cost: pages of its memory that
 * one writes (the server copies each at every commit), block writes, time.
 *
 * The driver's malloc gets its memory from an arena that works as the
 * server's does; it is write-protected before the counted op, and the faults
 * are counted. Each op may take as many pages as its row allows.
 * RK_COST=1 prints the figures.
 */
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include "ext4_host.h"

#if !defined(__SANITIZE_ADDRESS__)

#define ARENA_SIZE ((size_t)256 << 20)
#define PAGE 4096
#define CLASSES 128

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);
void *__libc_memalign(size_t align, size_t size);

struct chunk {
	size_t class, reserved;
};

static char *arena;
static size_t *top;			/* in the arena, as the lists are */
static void **freed;
static bool inside;
static unsigned pages, n_fault;
static void *fault_ip[64], *fault_at[64];

static size_t class_size(unsigned class)
{
	size_t base = (size_t)32 << class / 4;

	return (base + base / 4 * (class % 4) + 15) & ~(size_t)15;
}

static bool ours(const void *p)
{
	return arena && (const char *)p >= arena &&
	       (const char *)p < arena + ARENA_SIZE;
}

static struct chunk *head(void *p)
{
	return (struct chunk *)p - 1;
}

static void *take(size_t size)
{
	unsigned class = 0;
	struct chunk *c;
	void *p;

	while (class_size(class) < size)
		class++;
	p = freed[class];
	if (p) {
		freed[class] = *(void **)p;
		return p;
	}
	c = (struct chunk *)(arena + *top);
	*top += sizeof(*c) + class_size(class);
	if (*top > ARENA_SIZE)
		abort();
	c->class = class;
	return c + 1;
}

void *malloc(size_t size)
{
	return inside ? take(size) : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return inside ? memset(take(n * size), 0, n * size)
		      : __libc_calloc(n, size);
}

void free(void *p)
{
	if (!ours(p)) {
		__libc_free(p);
		return;
	}
	if ((size_t)p % PAGE == 0)
		return;			/* aligned: lives as long as its mount */
	*(void **)p = freed[head(p)->class];
	freed[head(p)->class] = p;
}

void *realloc(void *p, size_t size)
{
	void *q;

	if (!ours(p) && !(inside && !p))
		return __libc_realloc(p, size);
	q = malloc(size);
	if (p) {
		memcpy(q, p, class_size(head(p)->class) < size
		       ? class_size(head(p)->class) : size);
		free(p);
	}
	return q;
}

void *aligned_alloc(size_t align, size_t size)
{
	char *p;

	if (!inside)
		return __libc_memalign(align, size);
	p = take(size + align + sizeof(struct chunk));
	return (void *)(((size_t)p + align - 1) & ~(align - 1));
}

static void on_write(int sig, siginfo_t *si, void *context)
{
	ucontext_t *u = context;
	size_t page;

	if (!ours(si->si_addr))
		abort();
	page = ((char *)si->si_addr - arena) / PAGE;
	pages++;
	if (n_fault < 64) {
		fault_ip[n_fault] = (void *)u->uc_mcontext.gregs[REG_RIP];
		fault_at[n_fault++] = si->si_addr;
	}
	mprotect(arena + page * PAGE, PAGE, PROT_READ | PROT_WRITE);
}

static void watch(bool on)
{
	struct sigaction sa = { .sa_sigaction = on_write,
				.sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	pages = n_fault = 0;
	mprotect(arena, ARENA_SIZE, on ? PROT_READ : PROT_READ | PROT_WRITE);
}

/* The device: the image in memory, so that no time is spent elsewhere. */
static char *disk;
static unsigned block_writes;

static int disk_read(void *ctx, void *buf, size_t len, uint64_t off)
{
	memcpy(buf, disk + off, len);
	return 0;
}

static int disk_write(void *ctx, const void *buf, size_t len, uint64_t off)
{
	block_writes++;
	memcpy(disk + off, buf, len);
	return 0;
}

static struct rk_time disk_now(void *ctx)
{
	static int64_t t;

	return (struct rk_time){ .sec = 1700000000 + ++t };
}

static void disk_change(void *ctx)
{
}

#define FILES 20000

struct cost {
	struct image im;
	uint64_t big, file, dir, hot;	/* big: 20,000 entries */
	uint64_t made[2048];
	uint64_t at;
	char data[131072];
};

typedef void op_fn(struct cost *c, unsigned i);

static void must(int64_t rc, int64_t want)
{
	if (rc != want)
		abort();
}

static const char *numbered(unsigned i)
{
	static char text[24];

	snprintf(text, sizeof(text), "file-number-%u", i);
	return text;
}

static void op_create(struct cost *c, unsigned i)
{
	struct rk_new what = { .mode = S_IFREG | 0644 };
	const char *name = numbered(i);
	struct rk_stat st;

	must(c->im.d->create(c->im.fs, c->dir, name, strlen(name), &what, &st),
	     0);
	c->made[i] = st.ino;
}

static void op_first_write(struct cost *c, unsigned i)
{
	must(c->im.d->write(c->im.fs, c->made[i], c->data, 4096, 0), 4096);
}

static void op_overwrite(struct cost *c, unsigned i)
{
	must(c->im.d->write(c->im.fs, c->hot, c->data, 4096,
			    i * 7919 % 1024 * 4096), 4096);
}

static void op_append(struct cost *c, unsigned i)
{
	must(c->im.d->write(c->im.fs, c->file, c->data, 131072, c->at),
	     131072);
	c->at += 131072;
}

static void op_read(struct cost *c, unsigned i)
{
	must(c->im.d->read(c->im.fs, c->hot, c->data, 4096,
			   i * 7919 % 1024 * 4096), 4096);
}

static void op_hit(struct cost *c, unsigned i)
{
	const char *name = numbered(i * 7919 % FILES);
	struct rk_stat st;

	must(c->im.d->lookup(c->im.fs, c->big, name, strlen(name), &st), 0);
}

static void op_miss(struct cost *c, unsigned i)
{
	const char *name = numbered(FILES + i);
	struct rk_stat st;

	must(c->im.d->lookup(c->im.fs, c->big, name, strlen(name), &st),
	     -ENOENT);
}

static void op_getattr(struct cost *c, unsigned i)
{
	struct rk_stat st;

	must(c->im.d->getattr(c->im.fs, c->made[i], &st), 0);
}

static void op_rename(struct cost *c, unsigned i)
{
	const char *name = numbered(i);
	struct rk_stat victim;
	char to[32];

	snprintf(to, sizeof(to), "renamed-%u", i);
	must(c->im.d->rename(c->im.fs, c->dir, name, strlen(name), c->dir, to,
			     strlen(to), 0, &victim), 0);
	must(c->im.d->rename(c->im.fs, c->dir, to, strlen(to), c->dir, name,
			     strlen(name), 0, &victim), 0);
}

static void op_unlink(struct cost *c, unsigned i)
{
	const char *name = numbered(i);
	struct rk_stat st;

	must(c->im.d->unlink(c->im.fs, c->dir, name, strlen(name), false,
			     &st), 0);
	must(c->im.d->reclaim(c->im.fs, c->made[i]), 0);
}

static void op_sync_idle(struct cost *c, unsigned i)
{
	must(c->im.d->sync(c->im.fs), 0);
}

static void op_fsync(struct cost *c, unsigned i)
{
	op_overwrite(c, i);
	op_sync_idle(c, i);
}

static void op_create_sync(struct cost *c, unsigned i)
{
	op_create(c, i);
	op_sync_idle(c, i);
}

/* In the order in which they run; the most pages and block writes of one. */
static const struct row {
	const char *name;
	op_fn *op;
	unsigned pages, writes;
} rows[] = {
	{ "create", op_create, 4, 4 },
	{ "write 4 KiB, new file", op_first_write, 4, 2 },
	{ "overwrite 4 KiB", op_overwrite, 1, 2 },
	{ "append 128 KiB", op_append, 4, 2 },
	{ "read 4 KiB", op_read, 1, 0 },
	{ "getattr", op_getattr, 1, 0 },
	{ "lookup hit of 20,000", op_hit, 2, 0 },
	{ "lookup miss of 20,000", op_miss, 2, 0 },
	{ "rename there and back", op_rename, 2, 10 },
	{ "sync, nothing changed", op_sync_idle, 0, 0 },
	{ "overwrite 4 KiB + sync", op_fsync, 1, 2 },
	{ "unlink + reclaim", op_unlink, 5, 5 },
	{ "create + sync", op_create_sync, 4, 7 },
};

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* 100 ops to warm up, 100 with pages counted, 800 by the clock, the best
 * hundred of which counts. */
static void measure(struct cost *c, const struct row *r)
{
	unsigned i, total = 0, most = 0, writes;
	double begin, best = 1e9;

	inside = true;
	for (i = 0; i < 100; i++)
		r->op(c, i);
	block_writes = 0;
	for (; i < 200; i++) {
		watch(true);
		r->op(c, i);
		total += pages;
		most = pages > most ? pages : most;
		watch(false);
	}
	writes = block_writes;
	while (i < 1000) {
		begin = now_us();
		do
			r->op(c, i);
		while (++i % 100);
		begin = (now_us() - begin) / 100;
		best = begin < best ? begin : best;
	}
	inside = false;
	for (i = 0; i < n_fault && getenv("RK_FAULTS"); i++)
		fprintf(stderr, "\t%p %p\n", fault_ip[i], fault_at[i]);
	if (getenv("RK_COST"))
		fprintf(stderr, "%-24s %5.2f us, pages %4.1f (at most %u), "
			"%.2f writes\n", r->name, best, total / 100.,
			most, writes / 100.);
	cr_expect_leq(total, 100 * r->pages, "%s: %.2f pages", r->name,
		      total / 100.);
	cr_expect_leq(writes, 100 * r->writes, "%s: %.2f writes", r->name,
		      writes / 100.);
}

static void prepare(struct cost *c)
{
	struct rk_new what = { .mode = S_IFDIR | 0755 };
	struct rk_stat st;
	unsigned i;

	must(c->im.d->create(c->im.fs, c->im.root, "big", 3, &what, &st), 0);
	c->big = st.ino;
	must(c->im.d->create(c->im.fs, c->im.root, "dir", 3, &what, &st), 0);
	c->dir = st.ino;
	what.mode = S_IFREG | 0644;
	for (i = 0; i < FILES; i++) {
		const char *name = numbered(i);

		must(c->im.d->create(c->im.fs, c->big, name, strlen(name),
				     &what, &st), 0);
	}
	must(c->im.d->create(c->im.fs, c->im.root, "file", 4, &what, &st), 0);
	c->file = st.ino;
	must(c->im.d->create(c->im.fs, c->im.root, "hot", 3, &what, &st), 0);
	c->hot = st.ino;
	for (i = 0; i < 1024; i++)
		must(c->im.d->write(c->im.fs, c->hot, c->data, 4096,
				    i * 4096), 4096);
	must(c->im.d->sync(c->im.fs), 0);
}

Test(ext4_cost, pages_and_writes)
{
	struct cost *c = calloc(1, sizeof(*c));
	size_t i;

	arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert(arena != MAP_FAILED);
	top = (size_t *)arena;
	freed = (void **)arena + 1;
	*top = sizeof(*top) + CLASSES * sizeof(*freed);
	image_create(&c->im, "-t ext4 -b 4096 -N 60000", 256 << 20);
	disk = mmap(NULL, c->im.size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_POPULATE, c->im.fd, 0);
	cr_assert(disk != MAP_FAILED);
	c->im.host.read = disk_read;
	c->im.host.write = c->im.host.write_new = disk_write;
	c->im.host.now = disk_now;
	c->im.host.change = disk_change;
	inside = true;
	must(image_mount(&c->im, false), 0);
	prepare(c);
	inside = false;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		measure(c, &rows[i]);
	inside = true;
	must(c->im.d->unmount(c->im.fs), 0);
	inside = false;
	cr_assert_eq(pwrite(c->im.fd, disk, c->im.size, 0), c->im.size);
	munmap(disk, c->im.size);
	image_check(&c->im);
	image_destroy(&c->im);
	free(c);
}

#endif
