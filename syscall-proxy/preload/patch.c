/*
 * patch.c - puts jumps over the system calls of the objects that are mapped.
 *
 * An object is patched if all it has where the table has sites is what the
 * table says, and otherwise left alone. First the slots (area.h) of its sites
 * are written, then their memory becomes executable again; if that is refused,
 * no code has been touched. The object's code is written while it is not
 * executable: nobody runs it, because there is one thread, whose signals wait,
 * and this file calls no libc; or the object has just been mapped by the
 * loader.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include "preload/patch.h"
#include "preload/preload.h"
#include "preload/stub.h"

static uint32_t slots_used;
static bool started;

struct work {
	const struct rk__sites_head *table;
	struct rk__patched *ret;
};

static uint32_t site_size(const struct rk__site *s)
{
	return (uint32_t)s->pre + RK__SYSCALL + s->post;
}

static uint64_t slot_entry(uint32_t slot, const struct rk__site *s)
{
	return (uintptr_t)rk__area + slot * RK__SLOT + RK__SLOT_CHECK - s->pre;
}

static bool reaches(uint64_t from, uint64_t to)
{
	int64_t d = (int64_t)(to - from);

	return d >= INT32_MIN && d <= INT32_MAX;
}

static void put(uint8_t *slot, uint32_t at, const char *bytes, uint32_t n)
{
	memcpy(slot + at, bytes, n);
}

/* Of an instruction that ends at `at` with the distance of what it means. */
static void put_distance(uint8_t *slot, uint32_t at, const void *to)
{
	int32_t d = (int32_t)((uintptr_t)to - (uintptr_t)(slot + at));

	memcpy(slot + at - sizeof(d), &d, sizeof(d));
}

static void put_near(uint8_t *slot, uint32_t at, uint8_t opcode, uint32_t to)
{
	slot[at] = opcode;
	slot[at + 1] = (uint8_t)(to - (at + 2));
}

/* The question whether it is a descriptor of ours, and the call if not. */
static void slot_check(uint8_t *slot, int32_t nr)
{
	uint32_t at = RK__SLOT_CHECK;

	/* Numbers in what follows: the fields of area.h. */
	put(slot, at, "\x89\xf9\x81\xf9\x00\x00\x01\x00", 8);
	put_near(slot, at + 8, 0x73, RK__SLOT_LOOK);
	put(slot, at + 10, "\x4c\x8d\x1d", 3);
	put_distance(slot, at + 17, rk__ours);
	put(slot, at + 17, "\x41\x80\x3c\x0b\x00", 5);
	put_near(slot, at + 22, 0x75, RK__SLOT_LOOK);
	at = RK__SLOT_KERNEL;
	if (rk__stub == (uintptr_t)rk__stub_code) {
		put(slot, RK__SLOT_KERNEL, "\x0f\x05", 2);
		put_near(slot, RK__SLOT_KERNEL + 2, 0xeb, RK__SLOT_DONE);
	} else {
		uint64_t stub =
			RK__STUB_CALL((uint64_t)(slot - rk__area) / RK__SLOT);

		put(slot, at, "\x4c\x8d\x1d", 3);
		put_distance(slot, at + 7, slot + RK__SLOT_BACK);
		put(slot, at + 7, "\x4c\x89\x9c\x24\x70\xff\xff\xff", 8);
		put(slot, at + 15, "\x48\x8d\xa4\x24\x70\xff\xff\xff", 8);
		put(slot, RK__SLOT_GO, "\xff\x25", 2);
		put_distance(slot, RK__SLOT_UNDO, slot + RK__SLOT_STUB);
		put(slot, RK__SLOT_UNDO, "\x48\x8d\xa4\x24\x90\0\0\0", 8);
		memcpy(slot + RK__SLOT_STUB, &stub, sizeof(stub));
	}
	put(slot, RK__SLOT_DONE, "\x48\x83\xf8", 3);
	slot[RK__SLOT_DONE + 3] = (uint8_t)-EBADF;
	put_near(slot, RK__SLOT_DONE + 4, 0x74, RK__SLOT_BADF);
	slot[RK__SLOT_BADF] = 0xb8;
	memcpy(slot + RK__SLOT_BADF + 1, &nr, sizeof(nr));
	put_near(slot, RK__SLOT_BADF + 5, 0xeb, RK__SLOT_LOOK);
}

static void slot_write(uint32_t n, const struct rk__site *s, uint64_t at)
{
	uint8_t *slot = rk__area + n * RK__SLOT;
	uint32_t end = RK__SLOT_POST + s->post;
	uint64_t next = at + site_size(s);

	put(slot, RK__SLOT_LOOK, "\x48\x8d\xa4\x24\x78\xff\xff\xff\xe8", 9);
	put_distance(slot, RK__SLOT_BACK, (const void *)rk__entry);
	put(slot, RK__SLOT_BACK, "\x48\x8d\xa4\x24\x88\0\0\0", 8);
	put_near(slot, RK__SLOT_NEXT, 0xeb, RK__SLOT_POST);
	memcpy(slot + RK__SLOT_CHECK - s->pre, s->bytes, s->pre);
	if (rk__site_class(s->nr) == RK__CLASS_FD0)
		slot_check(slot, s->nr);
	else
		put_near(slot, RK__SLOT_CHECK, 0xeb, RK__SLOT_LOOK);
	memcpy(slot + RK__SLOT_POST, s->bytes + s->pre + RK__SYSCALL, s->post);
	slot[end] = 0xe9;
	put_distance(slot, end + RK__SITE_JUMP, (const void *)next);
	memcpy(slot + RK__SLOT_SITE, &next, sizeof(next));
}

static bool object_is(const struct rk__sites_object *o,
		      const struct rk__mapped *m)
{
	return o->build_id_size == m->build_id_size &&
	       !memcmp(o->build_id, m->build_id, m->build_id_size) &&
	       o->text + m->bias >= m->text &&
	       o->text + m->bias <= m->text_end &&
	       o->text_size <= m->text_end - (o->text + m->bias);
}

/* A jump into the area is where this object begins: it has been here before. */
static bool was_patched(const struct rk__site *s, uint64_t bias)
{
	const uint8_t *p = (const void *)(s->at + bias);
	uint64_t to;
	int32_t d;

	memcpy(&d, p + 1, sizeof(d));
	to = s->at + bias + RK__SITE_JUMP + (uint64_t)(int64_t)d;
	return p[0] == 0xe9 && to - (uintptr_t)rk__area < sizeof(rk__area);
}

static bool object_matches(const struct rk__sites_object *o,
			   const struct rk__site *s, uint64_t bias)
{
	uint64_t first = s[0].at + bias, last = s[o->n - 1].at + bias;

	if (!reaches(first, (uintptr_t)rk__area) ||
	    !reaches(first, (uintptr_t)rk__area + sizeof(rk__area)) ||
	    !reaches(last, (uintptr_t)rk__area) ||
	    !reaches(last, (uintptr_t)rk__area + sizeof(rk__area)))
		return false;
	for (uint32_t i = 0; i < o->n; i++)
		if (memcmp((const void *)(s[i].at + bias), s[i].bytes,
			   site_size(&s[i])))
			return false;
	return true;
}

static int protect(uint64_t from, uint64_t to, int prot)
{
	from &= -(uint64_t)RK__PAGE;
	to = (to + RK__PAGE - 1) & -(uint64_t)RK__PAGE;
	return (int)rk__raw(SYS_mprotect, from, to - from, prot);
}

static int slots_make(const struct rk__sites_object *o,
		      const struct rk__site *s, uint64_t bias, uint32_t slot)
{
	uint64_t from = (uintptr_t)rk__area + slot * RK__SLOT;
	uint64_t to = from + o->n * RK__SLOT;
	int error;

	error = protect(from, to, PROT_READ | PROT_WRITE);
	if (error)
		return error;
	for (uint32_t i = 0; i < o->n; i++)
		slot_write(slot + i, &s[i], s[i].at + bias);
	return protect(from, to, PROT_READ | PROT_EXEC);
}

static void site_write(const struct rk__site *s, uint64_t bias, uint32_t slot)
{
	uint8_t *p = (void *)(s->at + bias);

	p[0] = 0xe9;
	put_distance(p, RK__SITE_JUMP, (const void *)slot_entry(slot, s));
}

static int object_patch(struct work *w, const struct rk__sites_object *o,
			uint64_t bias)
{
	const struct rk__site *s = rk__sites_sites(w->table) + o->first;
	/* Slots in use may be run: theirs is another page. */
	uint32_t slot = (slots_used + RK__PAGE / RK__SLOT - 1) &
			-(uint32_t)(RK__PAGE / RK__SLOT);
	uint64_t from, to;
	int error;

	if (!o->n || was_patched(s, bias))
		return 0;
	if (slot + o->n > RK__SLOTS || !object_matches(o, s, bias)) {
		w->ret->left += o->n + o->left;
		return 0;
	}
	error = slots_make(o, s, bias, slot);
	if (error)
		return error;
	from = s[0].at + bias;
	to = s[o->n - 1].at + bias + site_size(&s[o->n - 1]);
	error = protect(from, to, PROT_READ | PROT_WRITE);
	if (error)
		return error;
	slots_used = slot + o->n;
	for (uint32_t i = 0; i < o->n; i++)
		site_write(&s[i], bias, slot + i);
	error = protect(from, to, PROT_READ | PROT_EXEC);
	w->ret->sites += o->n;
	w->ret->left += o->left;
	return error;
}

static int mapped(void *arg, const struct rk__mapped *m)
{
	struct work *w = arg;
	const struct rk__sites_object *o = rk__sites_objects(w->table);

	/* This code, of which all is in one mapping. */
	if ((uintptr_t)rk__area - m->text < m->text_end - m->text)
		return 0;
	for (uint32_t i = 0; i < w->table->n_objects; i++)
		if (object_is(&o[i], m))
			return object_patch(w, &o[i], m->bias);
	return 0;
}

static bool alone(void)
{
	struct stat st;

	return !rk__raw(SYS_stat, "/proc/self/task", &st) && st.st_nlink == 3;
}

static void classes_fill(void)
{
	for (int nr = 0; nr < RK__CALL_NUMBERS; nr++)
		rk__entry_class[nr] = rk__site_class(nr);
}

int rk__patch(const void *table, size_t size, struct rk__patched *ret)
{
	struct rk__patched patched = {0};
	struct work w = {.table = table, .ret = &patched};
	uint64_t all = ~0ull, old;
	int error;

	if (rk__sites_check(table, size))
		return -EINVAL;
	if (!started) {
		if (!alone())
			return -EBUSY;
		classes_fill();
	}
	error = (int)rk__raw(SYS_rt_sigprocmask, SIG_SETMASK, &all, &old,
			     sizeof(old));
	if (error)
		return error;
	error = rk__maps(mapped, &w);
	rk__raw(SYS_rt_sigprocmask, SIG_SETMASK, &old, 0, sizeof(old));
	if (error && !patched.sites)
		return error;
	started = true;
	*ret = patched;
	return 0;
}
