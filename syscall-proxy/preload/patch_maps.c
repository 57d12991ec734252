/*
 * patch_maps.c - which objects are mapped, by what the kernel says
 * (/proc/self/maps) and what their ELF headers say.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include "preload/patch.h"
#include "preload/preload.h"

enum { LINE = 512 };			/* of a line, paths are cut */

struct map {
	uint64_t start, end, offset, inode, major, minor;
	char prot[4];
};

struct scan {
	int (*fn)(void *arg, const struct rk__mapped *m);
	void *arg;
	struct map head;		/* the last one with an ELF header */
};

static const char *number(const char *p, unsigned base, uint64_t *ret)
{
	*ret = 0;
	for (;; p++) {
		unsigned c = (unsigned char)*p;
		unsigned d = c - '0' < 10   ? c - '0' :
			     c - 'a' < 6 ? c - 'a' + 10 :
					   99;

		if (d >= base)
			return p;
		*ret = *ret * base + d;
	}
}

/* start-end perms offset major:minor inode path */
static bool line_parse(const char *p, struct map *m)
{
	p = number(p, 16, &m->start);
	if (*p++ != '-')
		return false;
	p = number(p, 16, &m->end);
	if (*p++ != ' ')
		return false;
	for (int i = 0; i < 4; i++) {
		if (!*p)
			return false;
		m->prot[i] = *p++;
	}
	if (*p++ != ' ')
		return false;
	p = number(p, 16, &m->offset);
	if (*p++ != ' ')
		return false;
	p = number(p, 16, &m->major);
	if (*p++ != ':')
		return false;
	p = number(p, 16, &m->minor);
	if (*p++ != ' ')
		return false;
	number(p, 10, &m->inode);
	return m->start < m->end;
}

static void note_find(const uint8_t *p, size_t size, struct rk__mapped *ret)
{
	while (size >= sizeof(Elf64_Nhdr)) {
		const Elf64_Nhdr *n = (const void *)p;
		size_t name = (n->n_namesz + 3ul) & ~3ul;
		size_t desc = (n->n_descsz + 3ul) & ~3ul;

		size -= sizeof(*n);
		p += sizeof(*n);
		if (name > size || desc > size - name)
			return;
		if (n->n_type == NT_GNU_BUILD_ID && n->n_namesz == 4 &&
		    !memcmp(p, "GNU", 4) && n->n_descsz &&
		    n->n_descsz <= RK__BUILD_ID) {
			memcpy(ret->build_id, p + name, n->n_descsz);
			ret->build_id_size = n->n_descsz;
			return;
		}
		p += name + desc;
		size -= name + desc;
	}
}

/* What the header says that is mapped at h; nothing beyond it is read. */
static bool object_read(const struct map *h, const struct map *text,
			struct rk__mapped *ret)
{
	const Elf64_Ehdr *e = (const void *)h->start;
	uint64_t size = h->end - h->start;
	const Elf64_Phdr *p;
	bool found = false;

	if (memcmp(e->e_ident, ELFMAG, SELFMAG) ||
	    e->e_ident[EI_CLASS] != ELFCLASS64 || e->e_machine != EM_X86_64 ||
	    e->e_phentsize != sizeof(*p) || e->e_phoff > size ||
	    e->e_phoff % 8 || e->e_phnum > (size - e->e_phoff) / sizeof(*p))
		return false;
	p = (const void *)(h->start + e->e_phoff);
	for (int i = 0; i < e->e_phnum && !found; i++) {
		if (p[i].p_type != PT_LOAD || p[i].p_offset)
			continue;
		ret->bias = h->start - p[i].p_vaddr;
		found = true;
	}
	ret->build_id_size = 0;
	for (int i = 0; i < e->e_phnum && !ret->build_id_size; i++)
		if (p[i].p_type == PT_NOTE && p[i].p_offset <= size &&
		    p[i].p_filesz <= size - p[i].p_offset &&
		    p[i].p_offset % 4 == 0)
			note_find((const void *)(h->start + p[i].p_offset),
				  p[i].p_filesz, ret);
	ret->text = text->start;
	ret->text_end = text->end;
	return found && ret->build_id_size;
}

static int line_use(struct scan *s, const char *line)
{
	struct rk__mapped o;
	struct map m;

	if (!line_parse(line, &m) || !m.inode || m.prot[0] != 'r')
		return 0;
	if (!m.offset)
		s->head = m;
	if (m.prot[1] != '-' || m.prot[2] != 'x' || m.prot[3] != 'p' ||
	    m.inode != s->head.inode || m.major != s->head.major ||
	    m.minor != s->head.minor ||
	    m.start - s->head.start < m.offset ||
	    s->head.end - s->head.start < sizeof(Elf64_Ehdr) ||
	    !object_read(&s->head, &m, &o))
		return 0;
	return s->fn(s->arg, &o);
}

int rk__maps(int (*fn)(void *arg, const struct rk__mapped *m), void *arg)
{
	struct scan s = {.fn = fn, .arg = arg};
	char buf[4096], line[LINE];
	size_t at = 0;
	int error = 0;
	long fd, n = 0;

	fd = rk__raw(SYS_open, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return (int)fd;
	while (!error && (n = rk__raw(SYS_read, fd, buf, sizeof(buf))) > 0)
		for (long i = 0; i < n && !error; i++) {
			if (buf[i] != '\n') {
				if (at < LINE - 1)
					line[at++] = buf[i];
				continue;
			}
			line[at] = 0;
			at = 0;
			error = line_use(&s, line);
		}
	rk__raw(SYS_close, fd);
	return error ? error : n < 0 ? (int)n : 0;
}
