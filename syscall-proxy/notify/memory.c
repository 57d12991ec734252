/*
 * memory.c - the caller's memory. What was read is used only if the call still
 * stands: its thread waits then, so the number is not another's by now. Where
 * nothing is changed, that is asked once, before the answer is written. Nothing
 * is read twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include "notify/notify_int.h"

enum { PAGE = 4096, SHORT = 256, LOWEST = 65536 };
static const uint64_t user_end = (uint64_t)1 << 47;

struct block {
	struct block *next;
	char data[];
};

bool call_is_valid(const struct call *c)
{
	return ioctl(c->n->how.listener, SECCOMP_IOCTL_NOTIF_ID_VALID,
		     &c->id) == 0;
}

/* Calls that change nothing. What they find by the words of a stranger, nobody is
 * told: memory_copy_out() and the kernel see that the caller has gone. */
static bool is_harmless(long nr)
{
	switch (nr) {
	case SYS_stat:
	case SYS_lstat:
	case SYS_newfstatat:
	case SYS_statx:
	case SYS_access:
	case SYS_faccessat:
	case SYS_faccessat2:
	case SYS_readlink:
	case SYS_readlinkat:
		return true;
	}
	return false;
}

/* How many bytes, or a negative errno. */
static ssize_t fetch(struct call *c, void *ret, uint64_t at, size_t n)
{
	struct iovec to = { ret, n }, from = { (void *)(uintptr_t)at, n };
	ssize_t r;

	ids_leave(c);
	r = process_vm_readv(c->tid, &to, 1, &from, 1, 0);
	if (r < 0)
		r = -errno;
	if (r > 0 && !is_harmless(c->nr) && !call_is_valid(c))
		r = -ESRCH;
	ids_enter(c);
	return r;
}

int memory_string(struct rk__task *t, uint64_t at, char *ret, size_t size)
{
	struct call *c = call_of(t);
	size_t len = 0;

	while (len < size) {
		size_t n = PAGE - (at + len) % PAGE;
		const char *end;
		ssize_t got;

		if (!len && n > SHORT)
			n = SHORT;
		if (n > size - len)
			n = size - len;
		got = fetch(c, ret + len, at + len, n);
		if (got <= 0)
			return -EFAULT;
		end = memchr(ret + len, 0, (size_t)got);
		if (end)
			return (int)(end - ret);
		len += (size_t)got;
	}
	return -ENAMETOOLONG;
}

int memory_copy_in(struct rk__task *t, void *ret, uint64_t at, size_t n)
{
	if (!n)
		return 0;
	return fetch(call_of(t), ret, at, n) == (ssize_t)n ? 0 : -EFAULT;
}

int memory_copy_out(struct rk__task *t, uint64_t at, const void *p, size_t n)
{
	struct call *c = call_of(t);
	struct iovec from = { (void *)p, n };
	struct iovec to = { (void *)(uintptr_t)at, n };
	ssize_t r;

	if (!n)
		return 0;
	ids_leave(c);
	/* A write to who is not there any more would be to a stranger. */
	r = call_is_valid(c) ?
	    process_vm_writev(c->tid, &from, 1, &to, 1, 0) : -1;
	ids_enter(c);
	return r == (ssize_t)n ? 0 : -EFAULT;
}

static void *room(struct call *c, size_t n)
{
	size_t rounded = (n + 15) & ~(size_t)15;
	struct block *b;
	void *p;

	if (!c->arena) {
		p = mmap(NULL, ARENA, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			return NULL;
		c->arena = p;
	}
	if (rounded <= ARENA - c->used) {
		p = c->arena + c->used;
		c->used += rounded;
		return p;
	}
	b = malloc(sizeof *b + n);
	if (!b)
		return NULL;
	b->next = c->blocks;
	c->blocks = b;
	return b->data;
}

void memory_end(struct call *c)
{
	struct block *b;

	while ((b = c->blocks)) {
		c->blocks = b->next;
		free(b);
	}
	c->used = 0;
}

static bool can_be(uint64_t at, size_t n)
{
	return at >= LOWEST && at < user_end && n <= user_end - at;
}

const void *memory_in(struct rk__task *t, uint64_t at, size_t n)
{
	void *p = n && !can_be(at, n) ? NULL : room(call_of(t), n);

	return p && memory_copy_in(t, p, at, n) == 0 ? p : NULL;
}

void *memory_out(struct rk__task *t, uint64_t at, size_t n)
{
	return n && !can_be(at, n) ? NULL : room(call_of(t), n);
}

int memory_out_done(struct rk__task *t, uint64_t at, void *p, size_t used)
{
	return memory_copy_out(t, at, p, used);
}
