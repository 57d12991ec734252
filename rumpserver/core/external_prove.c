/*
 * external_prove.c - does a driver that was mounted again say what the one
 * before it said? Asked with the ops that a client uses; changes nothing.
 */
#include <inttypes.h>
#include "external.h"
#include "vfs_int.h"

static int differs(struct rk__ext_in *in, const char *what, uint32_t mount,
		   uint64_t ino)
{
	return rk__ext_refuse(in, "%s of file %" PRIu64 " in mount %u is not "
			      "what it was", what, ino, mount);
}

static int prove_attributes(struct rk__ext_in *in,
			    const struct rk__ext_attributes *r)
{
	struct rk_stat st;

	if (r->mount >= rk__core->n_mounts ||
	    rk__vfs_getattr(rk__node(r->mount, r->ino), &st) < 0)
		return differs(in, "the existence", r->mount, r->ino);
	if (st.mode != r->mode || st.nlink != r->nlink || st.uid != r->uid ||
	    st.gid != r->gid || st.rdev != r->rdev ||
	    st.generation != r->generation)
		return differs(in, "an attribute", r->mount, r->ino);
	if (st.size != r->size)
		return differs(in, "the size", r->mount, r->ino);
	if (st.mtime.sec != r->mtime_sec ||
	    (uint32_t)st.mtime.nsec != r->mtime_nsec ||
	    st.ctime.sec != r->ctime_sec ||
	    (uint32_t)st.ctime.nsec != r->ctime_nsec)
		return differs(in, "a time", r->mount, r->ino);
	return 0;
}

static int prove_statfs(struct rk__ext_in *in, const struct rk__ext_statfs *r)
{
	struct rk_statfs st;

	if (r->mount < rk__core->n_mounts &&
	    rk__vfs_statfs(r->mount, &st) == 0 && st.bsize == r->bsize &&
	    st.type == r->type && st.blocks == r->blocks &&
	    st.files == r->files && st.fsid == r->fsid)
		return 0;
	return rk__ext_refuse(in, "mount %u is not the file system that it "
			      "was", r->mount);
}

static int prove_name(struct rk__ext_in *in, const struct rk__ext_item *item)
{
	const struct rk__ext_name *r = &item->as.name;
	const struct rk__cred all = { .checked = true };
	struct rk_stat st;

	if (r->mount < rk__core->n_mounts &&
	    item->tail_len <= RK_NAME_LEN_MAX &&
	    rk__vfs_lookup(&all, rk__node(r->mount, r->dir),
			   (const char *)item->tail, item->tail_len,
			   &st) == 0 && st.ino == r->ino)
		return 0;
	return differs(in, "a name in the directory", r->mount, r->dir);
}

int rk__ext_prove(struct rk__ext_in *in, const struct rk__ext_item *item)
{
	switch (item->record->number) {
	case RK_EXT_NO_attributes:
		return prove_attributes(in, &item->as.attributes);
	case RK_EXT_NO_statfs:
		return prove_statfs(in, &item->as.statfs);
	case RK_EXT_NO_name:
		return prove_name(in, item);
	}
	return 0;
}
