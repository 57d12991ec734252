/*
 * patch_unwind.c - the stub page, and how unwinders get out of it.
 *
 * A thread that is cancelled while it waits in a call is unwound from the stub
 * page, which no object has. libgcc asks _dl_find_object() of libc, and finds
 * ours first: it knows the page, and passes all else on to libc's. The area and
 * rk__entry need nothing: they are described as all code of this library is.
 */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include "preload/patch.h"
#include "preload/preload.h"
#include "preload/stub.h"

/* As .eh_frame_hdr and .eh_frame have it; the page's address is a constant. */
_Static_assert(RK__STUB_CALL(RK__SLOTS) <= RK__STUB_AT + RK__STUB_SIZE, "stub.h");

struct frames {
	uint8_t version, frame_enc, count_enc, table_enc;
	uint32_t frame_low, frame_high;
	struct {
		uint32_t size, id;
		uint8_t version;
		char augmentation[3];
		uint8_t code_align, data_align, ra, augmentation_size, enc;
		uint8_t code[6];
	} cie;
	struct {
		uint32_t size, cie;
		uint32_t start_low, start_high, n_low, n_high;
		uint8_t augmentation_size, pad[3];
	} fde;
	uint32_t end;
} __attribute__((packed));

enum { FRAMES_AT = 2048 };		/* in the page */
enum { ABSOLUTE = 0x00, OMIT = 0xff };

static int (*real_find)(void *pc, struct dl_find_object *ret);

static void frames_fill(struct frames *f)
{
	uint64_t cie = RK__STUB_AT + FRAMES_AT + offsetof(struct frames, cie);

	memset(f, 0, sizeof(*f));
	f->version = 1;
	f->frame_enc = ABSOLUTE;
	f->count_enc = f->table_enc = OMIT;
	f->frame_low = (uint32_t)cie;
	f->frame_high = (uint32_t)(cie >> 32);
	f->cie.size = sizeof(f->cie) - 4;
	f->cie.version = 1;
	memcpy(f->cie.augmentation, "zR", 3);
	f->cie.code_align = 1;
	f->cie.data_align = 0x78;		/* -8 */
	f->cie.ra = 16;
	f->cie.augmentation_size = 1;
	f->cie.enc = ABSOLUTE;
	/* CFA: rsp + 8; the address to return to at CFA - 8. */
	memcpy(f->cie.code, "\x0c\x07\x08\x90\x01", 6);
	f->fde.size = sizeof(f->fde) - 4;
	f->fde.cie = offsetof(struct frames, fde.cie) -
		     offsetof(struct frames, cie);
	f->fde.start_low = (uint32_t)RK__STUB_AT;
	f->fde.start_high = (uint32_t)(RK__STUB_AT >> 32);
	f->fde.n_low = RK__STUB_SIZE;
}

/* --- the loader's own --------------------------------------------------------------- */

static uint64_t loader_base(void)
{
	Elf64_auxv_t v[64];
	uint64_t base = 0;
	long fd, n;

	fd = rk__raw(SYS_open, "/proc/self/auxv", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	n = rk__raw(SYS_read, fd, v, sizeof(v));
	rk__raw(SYS_close, fd);
	for (long i = 0; i < n / (long)sizeof(v[0]); i++)
		if (v[i].a_type == AT_BASE)
			base = v[i].a_un.a_val;
	return base;
}

static uint32_t name_hash(const char *s)
{
	uint32_t h = 5381;

	for (; *s; s++)
		h = h * 33 + (unsigned char)*s;
	return h;
}

/* By DT_GNU_HASH: buckets lead to runs of hashes, of which the last is odd. */
static void *symbol_find(uint64_t base, const Elf64_Dyn *d, const char *name)
{
	uint64_t table[3] = {0};
	const uint32_t *h, *bucket, *chain;
	const Elf64_Sym *sym;
	const char *str;
	uint32_t hash = name_hash(name);

	for (; d->d_tag != DT_NULL; d++) {
		int i = d->d_tag == DT_GNU_HASH ? 0 :
			d->d_tag == DT_SYMTAB	? 1 :
			d->d_tag == DT_STRTAB	? 2 :
						  -1;

		/* The loader may have made its own absolute. */
		if (i >= 0)
			table[i] = d->d_un.d_ptr < base ?
					   d->d_un.d_ptr + base :
					   d->d_un.d_ptr;
	}
	if (!table[0] || !table[1] || !table[2])
		return NULL;
	h = (const void *)table[0];
	sym = (const void *)table[1];
	str = (const void *)table[2];
	bucket = h + 4 + 2 * h[2];
	chain = bucket + h[0];
	if (!h[0])
		return NULL;
	for (uint32_t i = bucket[hash % h[0]]; i && i >= h[1]; i++) {
		uint32_t c = chain[i - h[1]];

		if ((c | 1) == (hash | 1) && sym[i].st_shndx &&
		    !strcmp(str + sym[i].st_name, name))
			return (void *)(base + sym[i].st_value);
		if (c & 1)
			break;
	}
	return NULL;
}

static void *loader_symbol(const char *name)
{
	uint64_t base = loader_base();
	const Elf64_Ehdr *e = (const void *)base;
	const Elf64_Phdr *p = (const void *)(base + (e ? e->e_phoff : 0));

	if (!e || memcmp(e->e_ident, ELFMAG, SELFMAG))
		return NULL;
	for (int i = 0; i < e->e_phnum; i++)
		if (p[i].p_type == PT_DYNAMIC)
			return symbol_find(base, (const void *)(base +
								p[i].p_vaddr),
					   name);
	return NULL;
}

/* In the objects that there are, but for our own: libc has it. */
static void *next_symbol(const char *name)
{
	const struct r_debug *d = loader_symbol("_r_debug");
	const struct link_map *m = d ? d->r_map : NULL;
	void *p;

	for (; m; m = m->l_next) {
		p = m->l_ld ? symbol_find(m->l_addr, m->l_ld, name) : NULL;
		if (p && p != (void *)(uintptr_t)_dl_find_object)
			return p;
	}
	return NULL;
}

/* --- the page ------------------------------------------------------------------------ */

__attribute__((visibility("default"))) int
_dl_find_object(void *pc, struct dl_find_object *ret)
{
	if ((uintptr_t)pc - RK__STUB_AT < RK__STUB_SIZE &&
	    rk__stub == RK__STUB_AT) {
		memset(ret, 0, sizeof(*ret));
		ret->dlfo_map_start = (void *)RK__STUB_AT;
		ret->dlfo_map_end = (void *)(RK__STUB_AT + RK__STUB_SIZE);
		ret->dlfo_eh_frame = (void *)(RK__STUB_AT + FRAMES_AT);
		return 0;
	}
	if (!real_find) {
		void *p = next_symbol("_dl_find_object");

		memcpy(&real_find, &p, sizeof(p));
	}
	return real_find ? real_find(pc, ret) : -1;
}

/* syscall; jmp *0(%rip), and where to: each jump has one place to go. */
static void calls_fill(void)
{
	for (uint32_t i = 0; i < RK__SLOTS; i++) {
		uint8_t *p = (uint8_t *)RK__STUB_CALL(i);
		uint64_t to = (uintptr_t)rk__area + i * RK__SLOT +
			      RK__SLOT_UNDO;

		memcpy(p, "\x0f\x05\xff\x25\0\0\0\0", 8);
		memcpy(p + 8, &to, sizeof(to));
	}
}

int rk__stub_map(void)
{
	char *p = (char *)RK__STUB_AT;
	long at;
	int error;

	at = rk__raw(SYS_mmap, p, RK__STUB_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (at < 0 && at > -RK__PAGE)
		return (int)at;
	if ((char *)at != p) {
		rk__raw(SYS_munmap, at, RK__STUB_SIZE);
		return -EEXIST;
	}
	memcpy(p, rk__stub_code, (size_t)(rk__stub_code_end - rk__stub_code));
	frames_fill((struct frames *)(p + FRAMES_AT));
	calls_fill();
	error = (int)rk__raw(SYS_mprotect, p, RK__STUB_SIZE,
			     PROT_READ | PROT_EXEC);
	if (error)
		rk__raw(SYS_munmap, p, RK__STUB_SIZE);
	else
		rk__stub = RK__STUB_AT;
	return error;
}
