/*
 * loader.c - drivers as shared objects, and where their memory goes.
 *
 * A driver and its libraries (libext2fs, libcom_err) know nothing of
 * recoverable memory. Two things put them there: their imports of malloc and
 * its kin are redirected to the arena by rewriting the relocated words (the
 * C library's own calls stay where they are), and the ranges of their
 * writable data are recorded, so that the server can back them by the driver
 * region. The part that is read-only after relocation (RELRO) holds addresses
 * only, the same in every fork of the zygote, and stays as it is.
 *
 * Of a driver that each server mounts anew (RK_DRIVER_REOPEN) nothing is
 * redirected. So a library cannot serve both kinds in one server.
 */
#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include "recovery/recovery.h"
#include "supervisor/loader.h"
#include "supervisor/words.h"

#define PREFIX "rump-driver-"
#define SUFFIX ".so"

enum { OBJECTS_MAX = 64 };

static struct {
	struct link_map *map;
	bool plain;			/* left as it is */
} object[OBJECTS_MAX];
static unsigned n_objects;
static struct rk__segment segment[RK_SEGMENTS_MAX];
static unsigned n_segments;

#define say(error, ...) \
	((void)snprintf((error), RK_SERVER_ERROR_LEN, __VA_ARGS__))

/* --- finding ------------------------------------------------------------- */

static int is_driver(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return len > strlen(PREFIX SUFFIX) &&
	       strncmp(d->d_name, PREFIX, strlen(PREFIX)) == 0 &&
	       strcmp(d->d_name + len - strlen(SUFFIX), SUFFIX) == 0;
}

/* The names of drivers in their order; each and the whole are malloc's. */
static int list_names(const char *dir, struct dirent ***ret)
{
	int n = scandir(dir, ret, is_driver, alphasort);

	for (int i = 0; i < n; i++) {
		char *name = (*ret)[i]->d_name;
		size_t len = strlen(name) - strlen(PREFIX SUFFIX);

		memmove(name, name + strlen(PREFIX), len);
		name[len] = 0;
	}
	return n < 0 ? 0 : n;
}

static void free_names(struct dirent **name, int n)
{
	for (int i = 0; i < n; i++)
		free(name[i]);
	if (n)
		free(name);
}

static void list_known(const char *dir, char *buf, size_t size)
{
	struct dirent **name;
	int n = list_names(dir, &name);
	size_t used = 0;

	buf[0] = 0;
	for (int i = 0; i < n; i++) {
		if (used + strlen(name[i]->d_name) + 3 > size)
			break;
		used += snprintf(buf + used, size - used, "%s%s",
				 used ? ", " : "", name[i]->d_name);
	}
	free_names(name, n);
}

void rk__loader_each(const char *dir, rk__loader_fn *fn, void *arg)
{
	const struct rk_driver *driver;
	struct dirent **name;
	char path[PATH_MAX];
	int n = list_names(dir, &name);
	void *handle;

	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof path, "%s/" PREFIX "%s" SUFFIX, dir,
			 name[i]->d_name);
		handle = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
		driver = handle ? dlsym(handle, "rk_driver") : NULL;
		if (driver && driver->abi == RK_DRIVER_ABI)
			fn(arg, name[i]->d_name, driver);
	}
	free_names(name, n);
}

static bool name_ok(const char *name)
{
	if (!*name)
		return false;
	for (; *name; name++)
		if (!isalnum((unsigned char)*name) && *name != '_')
			return false;
	return true;
}

static void nearest(const char *dir, struct rk__nearest *n)
{
	struct dirent **names;
	int count = list_names(dir, &names);

	for (int i = 0; i < count; i++)
		rk__nearest_try(n, names[i]->d_name);
	free_names(names, count);
}

int rk__loader_find(const char *dir, const char *name, char *error)
{
	char path[PATH_MAX], known[128];
	struct rk__nearest near;

	snprintf(path, sizeof path, "%s/" PREFIX "%s" SUFFIX, dir, name);
	if (name_ok(name) && access(path, R_OK) == 0)
		return 0;
	list_known(dir, known, sizeof known);
	rk__nearest_init(&near, name);
	nearest(dir, &near);
	if (near.name[0])
		say(error, "unknown driver '%.32s'; is '%s' meant? There are: "
		    "%s", name, near.name, known);
	else if (known[0])
		say(error, "unknown driver '%.32s'; there are: %s", name,
		    known);
	else
		say(error, "unknown driver '%.32s', and no drivers in %.100s",
		    name, dir);
	return -ENOENT;
}

/* --- redirecting ----------------------------------------------------------- */

static void *arena_aligned_alloc(size_t align, size_t size)
{
	void *p;
	int e = rk__arena_memalign(&p, align < sizeof p ? sizeof p : align,
				   size);

	if (!e)
		return p;
	errno = e < 0 ? -e : e;
	return NULL;
}

static void *arena_reallocarray(void *p, size_t n, size_t size)
{
	size_t all;

	if (!__builtin_mul_overflow(n, size, &all))
		return rk__arena_realloc(p, all);
	errno = ENOMEM;
	return NULL;
}

static const struct {
	const char *name;
	void *to;
} redirection[] = {
	{ "malloc", rk__arena_malloc },
	{ "calloc", rk__arena_calloc },
	{ "realloc", rk__arena_realloc },
	{ "reallocarray", arena_reallocarray },
	{ "free", rk__arena_free },
	{ "cfree", rk__arena_free },
	{ "posix_memalign", rk__arena_memalign },
	{ "aligned_alloc", arena_aligned_alloc },
	{ "memalign", arena_aligned_alloc },
	{ "strdup", rk__arena_strdup },
	{ "__strdup", rk__arena_strdup },
	{ "strndup", rk__arena_strndup },
	{ "__strndup", rk__arena_strndup },
};

static void *redirected(const char *name)
{
	for (size_t i = 0; i < sizeof redirection / sizeof *redirection; i++)
		if (strcmp(name, redirection[i].name) == 0)
			return redirection[i].to;
	return NULL;
}

/* What the dynamic section of one object says, as addresses. */
struct dynamic {
	const char *strings;
	const ElfW(Sym) *symbols;
	const ElfW(Rela) *rela, *jmprel;
	size_t rela_size, jmprel_size;
	size_t soname;
};

static void read_dynamic(const struct link_map *m, struct dynamic *ret)
{
	memset(ret, 0, sizeof *ret);
	for (const ElfW(Dyn) *d = m->l_ld; d->d_tag != DT_NULL; d++) {
		/* glibc has relocated these pointers in place */
		switch (d->d_tag) {
		case DT_STRTAB:
			ret->strings = (const char *)d->d_un.d_ptr;
			break;
		case DT_SYMTAB:
			ret->symbols = (const ElfW(Sym) *)d->d_un.d_ptr;
			break;
		case DT_RELA:
			ret->rela = (const ElfW(Rela) *)d->d_un.d_ptr;
			break;
		case DT_RELASZ:
			ret->rela_size = d->d_un.d_val;
			break;
		case DT_JMPREL:
			ret->jmprel = (const ElfW(Rela) *)d->d_un.d_ptr;
			break;
		case DT_PLTRELSZ:
			ret->jmprel_size = d->d_un.d_val;
			break;
		case DT_SONAME:
			ret->soname = d->d_un.d_val;
			break;
		}
	}
}

static void patch(const struct link_map *m, const struct dynamic *d,
		  const ElfW(Rela) *rela, size_t size)
{
	for (size_t i = 0; rela && i < size / sizeof *rela; i++) {
		unsigned type = ELF64_R_TYPE(rela[i].r_info);
		unsigned sym = ELF64_R_SYM(rela[i].r_info);
		void *to;

		if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT &&
		    type != R_X86_64_64)
			continue;
		/* one that it defines itself is its own affair */
		if (!sym || d->symbols[sym].st_shndx != SHN_UNDEF)
			continue;
		to = redirected(d->strings + d->symbols[sym].st_name);
		if (to)
			*(void **)(m->l_addr + rela[i].r_offset) = to;
	}
}

/* --- segments -------------------------------------------------------------- */

#define DOWN(x) ((uintptr_t)(x) & ~(uintptr_t)(RK_PAGE - 1))
#define UP(x) DOWN((uintptr_t)(x) + RK_PAGE - 1)

struct shape {
	const struct link_map *map;
	const ElfW(Phdr) *phdr;
	unsigned n;
	uintptr_t relro, relro_end;
};

static int find_shape(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct shape *s = arg;

	for (unsigned i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_DYNAMIC && at == (uintptr_t)s->map->l_ld) {
			s->phdr = info->dlpi_phdr;
			s->n = info->dlpi_phnum;
		}
	}
	if (!s->phdr)
		return 0;
	for (unsigned i = 0; i < s->n; i++) {
		if (s->phdr[i].p_type != PT_GNU_RELRO)
			continue;
		/* rounded as the loader does it */
		s->relro = DOWN(s->map->l_addr + s->phdr[i].p_vaddr);
		s->relro_end = DOWN(s->map->l_addr + s->phdr[i].p_vaddr +
				    s->phdr[i].p_memsz);
	}
	return 1;
}

static int record(uintptr_t from, uintptr_t to)
{
	if (from >= to)
		return 0;
	if (n_segments == RK_SEGMENTS_MAX)
		return -E2BIG;
	segment[n_segments++] = (struct rk__segment){ from, to - from };
	return 0;
}

static int record_all(const struct shape *s)
{
	int e = 0;

	for (unsigned i = 0; i < s->n && !e; i++) {
		const ElfW(Phdr) *p = &s->phdr[i];
		uintptr_t from = DOWN(s->map->l_addr + p->p_vaddr);
		uintptr_t to = UP(s->map->l_addr + p->p_vaddr + p->p_memsz);

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_W))
			continue;
		if (s->relro_end <= from || s->relro >= to) {
			e = record(from, to);
			continue;
		}
		e = record(from, s->relro);
		if (!e)
			e = record(s->relro_end, to);
	}
	return e;
}

unsigned rk__loader_segments(struct rk__segment *ret, unsigned max)
{
	for (unsigned i = 0; i < n_segments && i < max; i++)
		ret[i] = segment[i];
	return n_segments;
}

/* --- the walk over a driver and what it needs ----------------------------- */

static bool of_the_system(const char *soname)
{
	static const char *const prefix[] = {
		"libc.so.", "ld-linux", "libm.so.", "libpthread.so.",
		"libdl.so.", "librt.so.", "linux-vdso", "libgcc_s.so.",
		"libasan.so.", "libubsan.so.", "libtsan.so.",
		"libclang_rt.",
	};

	for (size_t i = 0; i < sizeof prefix / sizeof *prefix; i++)
		if (strncmp(soname, prefix[i], strlen(prefix[i])) == 0)
			return true;
	return false;
}

static struct link_map *find_map(struct link_map *any, const char *needed)
{
	const char *slash;
	struct dynamic d;

	while (any->l_prev)
		any = any->l_prev;
	for (; any; any = any->l_next) {
		slash = strrchr(any->l_name, '/');
		if (strcmp(slash ? slash + 1 : any->l_name, needed) == 0)
			return any;
		/* the vDSO is not relocated like others, and never needed */
		if (!slash)
			continue;
		read_dynamic(any, &d);
		if (d.soname && strcmp(d.strings + d.soname, needed) == 0)
			return any;
	}
	return NULL;
}

static int redirect(struct link_map *m)
{
	struct shape s = { .map = m };
	size_t relro_len;
	struct dynamic d;

	dl_iterate_phdr(find_shape, &s);
	if (!s.phdr)
		return -ENOEXEC;
	read_dynamic(m, &d);
	relro_len = s.relro_end - s.relro;
	if (relro_len &&
	    mprotect((void *)s.relro, relro_len, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	patch(m, &d, d.rela, d.rela_size);
	patch(m, &d, d.jmprel, d.jmprel_size);
	if (relro_len && mprotect((void *)s.relro, relro_len, PROT_READ) < 0)
		return -errno;
	return record_all(&s);
}

static int take(struct link_map *m, bool plain)
{
	struct link_map *needed;
	struct dynamic d;
	int e;

	for (unsigned i = 0; i < n_objects; i++)
		if (object[i].map == m)
			return object[i].plain == plain ? 0 : -ELIBACC;
	if (n_objects == OBJECTS_MAX)
		return -E2BIG;
	object[n_objects].map = m;
	object[n_objects++].plain = plain;
	e = plain ? 0 : redirect(m);
	read_dynamic(m, &d);
	for (const ElfW(Dyn) *y = m->l_ld; !e && y->d_tag != DT_NULL; y++) {
		if (y->d_tag != DT_NEEDED ||
		    of_the_system(d.strings + y->d_un.d_val))
			continue;
		needed = find_map(m, d.strings + y->d_un.d_val);
		e = needed ? take(needed, plain) : -ENOENT;
	}
	return e;
}

static int open_driver(const char *dir, const char *name, void **ret_handle,
		       const struct rk_driver **ret, char *error)
{
	char path[PATH_MAX];
	int e = rk__loader_find(dir, name, error);

	if (e < 0)
		return e;
	snprintf(path, sizeof path, "%s/" PREFIX "%s" SUFFIX, dir, name);
	*ret_handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!*ret_handle) {
		say(error, "cannot load driver '%s': %s", name, dlerror());
		return -ENOEXEC;
	}
	*ret = dlsym(*ret_handle, "rk_driver");
	if (*ret && (*ret)->abi == RK_DRIVER_ABI)
		return 0;
	say(error, *ret ? "driver '%s' was built for another version of rump" :
	    "'%s' is not a driver: it has no rk_driver", name);
	return -ENOEXEC;
}

int rk__loader_look(const char *dir, const char *name,
		    const struct rk_driver **ret, char *error)
{
	void *handle;

	return open_driver(dir, name, &handle, ret, error);
}

int rk__loader_load(const char *dir, const char *name,
		    const struct rk_driver **ret, char *error)
{
	const struct rk_driver *driver;
	struct link_map *map;
	void *handle;
	int e = open_driver(dir, name, &handle, &driver, error);

	if (e < 0)
		return e;
	/* never unloaded: after a failure it may be redirected in part */
	e = dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0 ?
	    take(map, driver->flags & RK_DRIVER_REOPEN) : -ENOEXEC;
	if (e == -ELIBACC)
		say(error, "driver '%s' shares a library with another driver "
		    "of this server that keeps its memory elsewhere; mount "
		    "them with a server each", name);
	else if (e < 0)
		say(error, "cannot prepare driver '%s': %s", name,
		    strerror(-e));
	else
		*ret = driver;
	return e;
}
