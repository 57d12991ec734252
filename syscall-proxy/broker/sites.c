/*
 * sites.c - the table of sites of some files, in a memfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "broker/sites.h"

struct table {
	struct rk__sites_object object[RK__SITES_OBJECTS];
	uint32_t n_objects;
	struct rk__site *site;
	uint32_t n_sites;
	struct rk__sites_report report;
};

static bool is_known(const struct table *t, const struct rk__elf *e)
{
	for (uint32_t i = 0; i < t->n_objects; i++)
		if (t->object[i].build_id_size == e->build_id_size &&
		    !memcmp(t->object[i].build_id, e->build_id,
			    e->build_id_size))
			return true;
	return false;
}

static int object_add(struct table *t, const struct rk__elf *e)
{
	struct rk__sites_object *o = &t->object[t->n_objects];
	uint32_t left = t->report.left;
	struct rk__site *site, *all;
	int n;

	if (t->n_objects == RK__SITES_OBJECTS || is_known(t, e))
		return 0;
	n = rk__sites_find(e, &site, &t->report);
	if (n < 0)
		return n;
	if (!n || t->n_sites + (uint32_t)n > RK__SITES_MAX)
		goto out;
	all = realloc(t->site, (t->n_sites + (uint32_t)n) * sizeof(*site));
	if (!all) {
		n = -ENOMEM;
		goto out;
	}
	t->site = all;
	memcpy(all + t->n_sites, site, (uint32_t)n * sizeof(*site));
	memcpy(o->build_id, e->build_id, e->build_id_size);
	o->build_id_size = e->build_id_size;
	o->first = t->n_sites;
	o->n = (uint32_t)n;
	o->left = t->report.left - left;
	o->text = e->text;
	o->text_size = e->code_size;
	t->n_sites += (uint32_t)n;
	t->n_objects++;
out:
	free(site);
	return n < 0 ? n : 0;
}

static int path_add(struct table *t, const char *path)
{
	struct rk__elf e;
	int error;

	if (rk__elf_open(path, &e))
		return 0;
	error = object_add(t, &e);
	rk__elf_close(&e);
	return error;
}

static int mapped_add(struct dl_phdr_info *info, size_t size, void *arg)
{
	/* The first is the program itself, without a name. */
	return *info->dlpi_name == '/' ? path_add(arg, info->dlpi_name) : 0;
}

static int defaults_add(struct table *t)
{
	static const char *const other[] = {
		"/lib/ld-musl-x86_64.so.1",
		"/lib64/ld-linux-x86-64.so.2",
	};
	int error = dl_iterate_phdr(mapped_add, t);

	for (size_t i = 0; i < sizeof(other) / sizeof(*other) && !error; i++)
		error = path_add(t, other[i]);
	return error;
}

static int put(int fd, const void *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0)
			return -errno;
		p = (const char *)p + done;
		n -= (size_t)done;
	}
	return 0;
}

static int memfd_make(const struct table *t, int *ret)
{
	struct rk__sites_head h = {
		.magic = RK__SITES_MAGIC,
		.version = RK__SITES_VERSION,
		.n_objects = t->n_objects,
		.n_sites = t->n_sites,
	};
	size_t objects = t->n_objects * sizeof(t->object[0]);
	size_t sites = t->n_sites * sizeof(t->site[0]);
	int fd, error;

	h.size = (uint32_t)(sizeof(h) + objects + sites);
	fd = memfd_create("rump-sites", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	error = put(fd, &h, sizeof(h));
	if (!error)
		error = put(fd, t->object, objects);
	if (!error)
		error = put(fd, t->site, sites);
	if (!error && fcntl(fd, F_ADD_SEALS,
			    F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK |
				    F_SEAL_SEAL))
		error = -errno;
	if (error)
		close(fd);
	else
		*ret = fd;
	return error;
}

int rk__sites_make(const char *const paths[], size_t n,
		   struct rk__sites_report *ret, int *ret_memfd)
{
	struct table *t = calloc(1, sizeof(*t));
	int error = 0;

	if (!t)
		return -ENOMEM;
	if (!paths)
		error = defaults_add(t);
	for (size_t i = 0; paths && i < n && !error; i++)
		error = path_add(t, paths[i]);
	if (!error)
		error = memfd_make(t, ret_memfd);
	if (!error) {
		t->report.objects = t->n_objects;
		*ret = t->report;
	}
	free(t->site);
	free(t);
	return error;
}
