/*
 * sites_check.c - is this a table of sites? What it says of an object's bytes is
 * compared when they are known (patch.c).
 */
#include <errno.h>
#include <sys/syscall.h>
#include "preload/sites.h"

uint8_t rk__site_class(long nr)
{
	if (nr < 0 || nr >= RK__CALLS)
		return RK__CLASS_NONE;
	switch (nr) {
	case SYS_clone:
	case SYS_clone3:
	case SYS_fork:
	case SYS_vfork:
	case SYS_execve:
	case SYS_execveat:
	case SYS_exit:
	case SYS_exit_group:
	case SYS_close_range:
	case SYS_dup2:
	case SYS_dup3:
	case SYS_recvmsg:
	case SYS_recvmmsg:
	case SYS_sendmsg:
	case SYS_sendmmsg:
	case SYS_io_uring_setup:
	case SYS_mmap:
	case SYS_munmap:
	case SYS_mremap:
	case SYS_msync:
	case SYS_setrlimit:
	case SYS_prlimit64:
	case SYS_unshare:
	case SYS_setns:
	case SYS_chroot:
	case SYS_pivot_root:
		return RK__CLASS_ANY;
	case SYS_close:
	case SYS_dup:
		return RK__CLASS_FD0;
	}
	return rk__changes_ids(nr) ? RK__CLASS_ANY : rk__class[nr];
}

bool rk__site_wanted(long nr)
{
	return rk__site_class(nr) != RK__CLASS_NONE;
}

static bool site_is_right(const struct rk__sites_object *o,
			  const struct rk__site *s, uint64_t from)
{
	uint32_t n = (uint32_t)s->pre + RK__SYSCALL + s->post;

	return n >= RK__SITE_JUMP && n <= RK__SITE_BYTES && s->at >= from &&
	       s->at - o->text <= o->text_size &&
	       o->text_size - (s->at - o->text) >= n &&
	       s->nr >= -1 && s->nr < RK__CALLS &&
	       s->bytes[s->pre] == 0x0f && s->bytes[s->pre + 1] == 0x05;
}

static int object_check(const struct rk__sites_head *h,
			const struct rk__sites_object *o)
{
	const struct rk__site *s = rk__sites_sites(h) + o->first;
	uint64_t from = o->text;

	if (!o->build_id_size || o->build_id_size > RK__BUILD_ID ||
	    o->text + o->text_size < o->text || o->first > h->n_sites ||
	    o->n > h->n_sites - o->first)
		return -EINVAL;
	for (uint32_t i = 0; i < o->n; i++) {
		if (!site_is_right(o, &s[i], from))
			return -EINVAL;
		from = s[i].at + s[i].pre + RK__SYSCALL + s[i].post;
	}
	return 0;
}

int rk__sites_check(const void *table, size_t size)
{
	const struct rk__sites_head *h = table;

	if (size < sizeof(*h) || h->magic != RK__SITES_MAGIC ||
	    h->version != RK__SITES_VERSION || h->size != size ||
	    h->n_objects > RK__SITES_OBJECTS || h->n_sites > RK__SITES_MAX ||
	    size != sizeof(*h) +
			    h->n_objects * sizeof(struct rk__sites_object) +
			    h->n_sites * sizeof(struct rk__site))
		return -EINVAL;
	for (uint32_t i = 0; i < h->n_objects; i++)
		if (object_check(h, &rk__sites_objects(h)[i]))
			return -EINVAL;
	return 0;
}
