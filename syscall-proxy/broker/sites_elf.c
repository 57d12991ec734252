/*
 * sites_elf.c - what is needed of an object file: its identity, its code, and
 * where functions begin and end, which .eh_frame says for all code that may be
 * unwound, with or without symbols.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "broker/sites.h"

enum {
	OBJECT_MAX = 64 << 20,
	GAP = 32,		/* bytes that may be a function's without its frame */
};
/* How .eh_frame writes addresses, where binutils and lld have made it. */
enum { PCREL_SDATA4 = 0x1b, UDATA4 = 0x03, DATAREL_SDATA4 = 0x3b };

static int file_read(const char *path, struct rk__elf *e)
{
	struct stat st;
	size_t done = 0;
	int fd, error = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > OBJECT_MAX ||
	    st.st_size < (off_t)sizeof(Elf64_Ehdr)) {
		error = -ENOEXEC;
		goto out;
	}
	e->size = (size_t)st.st_size;
	e->data = malloc(e->size);
	if (!e->data) {
		error = -ENOMEM;
		goto out;
	}
	while (done < e->size) {
		ssize_t n = read(fd, e->data + done, e->size - done);

		if (n <= 0) {
			error = n ? -errno : -EIO;
			break;
		}
		done += (size_t)n;
	}
out:
	close(fd);
	return error;
}

static bool inside(const struct rk__elf *e, uint64_t offset, uint64_t size)
{
	return offset <= e->size && size <= e->size - offset;
}

static void note_read(struct rk__elf *e, uint64_t at, uint64_t size)
{
	while (size >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		uint64_t name, desc;

		memcpy(&n, e->data + at, sizeof(n));
		name = (n.n_namesz + 3ull) & ~3ull;
		desc = (n.n_descsz + 3ull) & ~3ull;
		at += sizeof(n);
		size -= sizeof(n);
		if (name > size || desc > size - name)
			return;
		if (n.n_type == NT_GNU_BUILD_ID && n.n_namesz == 4 &&
		    !memcmp(e->data + at, "GNU", 4) && n.n_descsz &&
		    n.n_descsz <= RK__BUILD_ID) {
			memcpy(e->build_id, e->data + at + name, n.n_descsz);
			e->build_id_size = n.n_descsz;
			return;
		}
		at += name + desc;
		size -= name + desc;
	}
}

/* .eh_frame_hdr: a table of functions, sorted, after a head of twelve bytes. */
static void frames_read(struct rk__elf *e, const Elf64_Phdr *p)
{
	const uint8_t *h = e->data + p->p_offset;
	uint32_t n;

	if (p->p_filesz < 12 || h[0] != 1 || h[1] != PCREL_SDATA4 ||
	    h[2] != UDATA4 || h[3] != DATAREL_SDATA4)
		return;
	memcpy(&n, h + 8, sizeof(n));
	if (n > (p->p_filesz - 12) / 8)
		return;
	e->table = h + 12;
	e->table_base = p->p_vaddr;
	e->n_functions = n;
}

static int headers_read(struct rk__elf *e)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;

	memcpy(&h, e->data, sizeof(h));
	if (memcmp(h.e_ident, ELFMAG, SELFMAG) ||
	    h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64 ||
	    h.e_phentsize != sizeof(p) ||
	    !inside(e, h.e_phoff, h.e_phnum * sizeof(p)))
		return -ENOEXEC;
	for (int i = 0; i < h.e_phnum; i++) {
		memcpy(&p, e->data + h.e_phoff + (size_t)i * sizeof(p),
		       sizeof(p));
		if (!inside(e, p.p_offset, p.p_filesz))
			return -ENOEXEC;
		if (p.p_type == PT_NOTE && !e->build_id_size)
			note_read(e, p.p_offset, p.p_filesz);
		else if (p.p_type == PT_GNU_EH_FRAME)
			frames_read(e, &p);
		if (p.p_type != PT_LOAD || !(p.p_flags & PF_X))
			continue;
		/* Several, or one that can be written: not how libraries are. */
		if (e->code || p.p_flags & PF_W)
			return -ENOEXEC;
		e->text = p.p_vaddr;
		e->code = e->data + p.p_offset;
		e->code_size = p.p_filesz;
	}
	return e->code && e->build_id_size ? 0 : -ENOEXEC;
}

int rk__elf_open(const char *path, struct rk__elf *ret)
{
	int error;

	memset(ret, 0, sizeof(*ret));
	error = file_read(path, ret);
	if (!error)
		error = headers_read(ret);
	if (error)
		rk__elf_close(ret);
	return error;
}

void rk__elf_close(struct rk__elf *e)
{
	free(e->data);
	memset(e, 0, sizeof(*e));
}

/* --- functions ---------------------------------------------------------------------- */

static uint64_t table_start(const struct rk__elf *e, uint32_t i)
{
	int32_t d;

	memcpy(&d, e->table + (size_t)i * 8, sizeof(d));
	return e->table_base + (uint64_t)(int64_t)d;
}

/* The bytes of what is at an address near the table: .eh_frame. */
static const uint8_t *frame_at(const struct rk__elf *e, uint64_t at,
			       size_t size)
{
	uint64_t hdr = (uint64_t)(e->table - 12 - e->data);
	uint64_t offset = at - e->table_base + hdr;

	/* Both are in one segment; what is not there is out of the file. */
	return inside(e, offset, size) ? e->data + offset : NULL;
}

/* Whether a CIE has addresses as we know them: its augmentation says so. */
static bool cie_is_plain(const struct rk__elf *e, uint64_t at)
{
	const uint8_t *p = frame_at(e, at, 32);
	const uint8_t *end = p ? p + 32 : NULL, *a;

	if (!p || (p[8] != 1 && p[8] != 3) || p[9] != 'z')
		return false;
	a = p + 10;
	for (p = a; p < end && *p; p++)
		;
	/* After it: code and data alignment, return register, size. */
	p++;
	for (int i = 0; i < 4; i++, p++)
		while (p < end && *p & 0x80)
			p++;
	for (; p < end && *a; a++) {
		if (*a == 'R')
			return *p == PCREL_SDATA4;
		if (*a == 'L')
			p++;
		else if (*a == 'P')
			p += (*p & 7) == 3 ? 5 : 9;
		else if (*a != 'S')
			return false;
	}
	return false;
}

bool rk__elf_function(const struct rk__elf *e, uint64_t at, uint64_t *start,
		      uint64_t *end)
{
	uint32_t low = 0, high = e->n_functions;
	uint32_t size, cie, range;
	const uint8_t *p;
	int32_t d;
	uint64_t fde, next;

	while (low < high) {
		uint32_t i = low + (high - low) / 2;

		if (table_start(e, i) <= at)
			low = i + 1;
		else
			high = i;
	}
	if (!low--)
		return false;
	*start = table_start(e, low);
	memcpy(&d, e->table + (size_t)low * 8 + 4, sizeof(d));
	fde = e->table_base + (uint64_t)(int64_t)d;
	p = frame_at(e, fde, 16);
	if (!p)
		return false;
	memcpy(&size, p, 4);
	memcpy(&cie, p + 4, 4);
	memcpy(&d, p + 8, 4);
	memcpy(&range, p + 12, 4);
	*end = *start + range;
	next = low + 1 < e->n_functions ? table_start(e, low + 1) :
					  e->text + e->code_size;
	/* clone's ends where its child must not be unwound; what follows is its
	 * all the same, until the next begins. */
	if (at >= *end && next - *end <= GAP)
		*end = next;
	return size >= 12 && size < 0xfffffff0 && cie &&
	       cie_is_plain(e, fde + 4 - cie) &&
	       fde + 8 + (uint64_t)(int64_t)d == *start && at < *end &&
	       *start >= e->text && *end - e->text <= e->code_size &&
	       *end <= next;
}
