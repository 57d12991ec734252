/*
 * patch.c - puts jumps over the system calls of the objects that are mapped.
 *
 * An object is patched if all it has where the table has sites is what the table
 * says, and otherwise left alone. First the slots (area.h) of its sites are
 * written, then their memory becomes executable again; if that is refused, no
 * code has been touched. The object's code is written while it is not executable:
 * nobody runs it, because there is one thread, whose signals wait, and this file
 * calls no libc; or the object has just been mapped by the loader.
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
	return (uintptr_t)rk__area + slot * RK__SLOT + RK__SLOT_LEA - s->pre;
}

static bool reaches(uint64_t from, uint64_t to)
{
	int64_t d = (int64_t)(to - from);

	return d >= INT32_MIN && d <= INT32_MAX;
}

/* Of a jump or call instruction at `at`, five bytes long. */
static void jump(uint8_t *p, uint8_t opcode, uint64_t at, uint64_t to)
{
	int32_t d = (int32_t)(to - (at + RK__SITE_JUMP));

	p[0] = opcode;
	memcpy(p + 1, &d, sizeof(d));
}

static void slot_write(uint32_t slot, const struct rk__site *s, uint64_t at)
{
	static const uint8_t lea[] = {0x48, 0x8d, 0x64, 0x24, 0x80},
			     back[] = {0x48, 0x8d, 0xa4, 0x24,
				       0x80, 0x00, 0x00, 0x00};
	uint8_t *p = rk__area + slot * RK__SLOT;
	uint8_t *end = p + RK__SLOT_POST + s->post;
	uint64_t next = at + site_size(s);

	memcpy(p + RK__SLOT_LEA - s->pre, s->bytes, s->pre);
	memcpy(p + RK__SLOT_LEA, lea, sizeof(lea));
	jump(p + RK__SLOT_CALL, 0xe8, (uintptr_t)p + RK__SLOT_CALL,
	     (uintptr_t)rk__entry);
	memcpy(p + RK__SLOT_BACK, back, sizeof(back));
	memcpy(p + RK__SLOT_POST, s->bytes + s->pre + RK__SYSCALL, s->post);
	jump(end, 0xe9, (uintptr_t)end, next);
	memcpy(p + RK__SLOT_SITE, &next, sizeof(next));
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
		jump((void *)(s[i].at + bias), 0xe9, s[i].at + bias,
		     slot_entry(slot + i, &s[i]));
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
