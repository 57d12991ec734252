/*
 * index.c - the one reading of all headers, which makes the tree.
 *
 * What comes later wins, as if each member were unpacked over what is there.
 * A member whose name cannot be trusted or kept ("..", too long) is left out,
 * as is a hard link to something that is not there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "archive.h"

enum { EMPTY_MAX = 64 << 10 };	/* bytes of an archive of nothing */

static int note_member(struct tree *t, uint32_t member, uint32_t object)
{
	uint32_t room = t->members_room, *grown;

	if (member >= room) {
		room = room ? 2 * room : 1024;
		if (room > 2 * OBJECTS_MAX)
			return -E2BIG;
		grown = realloc(t->of_member, room * sizeof *grown);
		if (!grown)
			return -ENOMEM;
		memset(grown + t->members_room, 0,
		       (room - t->members_room) * sizeof *grown);
		t->of_member = grown;
		t->members_room = room;
	}
	t->of_member[member] = object;
	if (member >= t->n_members)
		t->n_members = member + 1;
	return 0;
}

/* --- where the bytes of a member are ------------------------------------------ */

/* A zip's own header of a member ends where its bytes begin, and says how long
 * it is: so it is found by going back. */
static uint64_t zip_header(struct tree *t, uint64_t data)
{
	uint8_t tail[1024];
	size_t n = data < sizeof tail ? (size_t)data : sizeof tail;

	if (n < 30 || t->host.read(t->host.ctx, tail, n, data - n) < 0)
		return NOWHERE;
	for (size_t len = 30; len <= n; len++) {
		const uint8_t *h = tail + n - len;

		if (memcmp(h, "PK\3\4", 4) == 0 &&
		    30u + (h[26] | h[27] << 8) + (h[28] | h[29] << 8) == len)
			return data - len;
	}
	return NOWHERE;
}

static bool stands_as_it_is(struct archive *a, const struct object *o)
{
	int family = archive_format(a) & ARCHIVE_FORMAT_BASE_MASK;

	if (o->encrypted || o->sparse)
		return false;
	if (family == ARCHIVE_FORMAT_ZIP)
		return strstr(archive_format_name(a), "uncompressed") != NULL;
	return family == ARCHIVE_FORMAT_TAR || family == ARCHIVE_FORMAT_CPIO;
}

static void find_bytes(struct reader *r, struct object *o)
{
	struct tree *t = r->t;
	uint64_t size = t->host.size(t->host.ctx);
	int64_t header = archive_read_header_position(r->a);
	int64_t data = archive_filter_bytes(r->a, 0);
	int family = archive_format(r->a) & ARCHIVE_FORMAT_BASE_MASK;

	o->header = o->in_place = NOWHERE;
	if (t->packed || header < 0 || data < 0 || (uint64_t)data > size)
		return;
	o->header = family == ARCHIVE_FORMAT_ZIP ?
		    zip_header(t, (uint64_t)data) : (uint64_t)header;
	if (stands_as_it_is(r->a, o) && o->size <= size - (uint64_t)data)
		o->in_place = (uint64_t)data;
}

/* Some archives tell the size only behind the bytes. */
static int count_bytes(struct reader *r, struct object *o)
{
	const void *block;
	size_t len;
	la_int64_t off;
	int e;

	o->size = 0;
	while ((e = archive_read_data_block(r->a, &block, &len, &off)) ==
	       ARCHIVE_OK)
		o->size = (uint64_t)off + len;
	return e == ARCHIVE_EOF || e == ARCHIVE_WARN ? 0 : -EIO;
}

static int take_bytes(struct reader *r, uint32_t object,
		      struct archive_entry *e)
{
	struct object *o = &r->t->object[object];
	int err = 0;

	o->member = r->member;
	o->encrypted = archive_entry_is_data_encrypted(e) ||
		       archive_entry_is_metadata_encrypted(e);
	o->sparse = archive_entry_sparse_count(e) > 0;
	o->size = archive_entry_size_is_set(e) && archive_entry_size(e) > 0 ?
		  (uint64_t)archive_entry_size(e) : 0;
	find_bytes(r, o);
	if (!archive_entry_size_is_set(e) && !o->encrypted) {
		err = count_bytes(r, o);
		o->in_place = NOWHERE;
	}
	return err < 0 ? err : note_member(r->t, r->member, object);
}

/* --- one member ------------------------------------------------------------------ */

static void later(struct tree *t, struct rk_time x)
{
	if (x.sec > t->newest.sec)
		t->newest = x;
}

/* The same inode by another name. Some formats give the bytes to the last. */
static int take_link(struct reader *r, uint32_t name, struct archive_entry *e,
		     const char *path)
{
	struct tree *t = r->t;
	uint32_t object = rk__tree_path(t, path);

	if (!object || S_ISDIR(t->object[object].mode))
		return 0;
	rk__tree_set(t, name, object);
	if (archive_entry_size_is_set(e) && archive_entry_size(e) > 0 &&
	    S_ISREG(t->object[object].mode))
		return take_bytes(r, object, e);
	return 0;
}

static int take_object(struct reader *r, uint32_t name, struct archive_entry *e)
{
	struct tree *t = r->t;
	uint32_t object = t->name[name].object;
	bool dir = S_ISDIR(archive_entry_mode(e));
	int err = 0;

	/* A directory that comes again keeps what is in it. */
	if (!object || !dir || !S_ISDIR(t->object[object].mode))
		err = rk__tree_object(t, &object);
	if (err == 0)
		err = rk__object_take(t, &t->object[object], e);
	if (err < 0)
		return err;
	rk__tree_set(t, name, object);
	later(t, t->object[object].mtime);
	return S_ISREG(t->object[object].mode) ? take_bytes(r, object, e) : 0;
}

static const char *text_of(const char *plain, const char *utf8)
{
	return plain ? plain : utf8;
}

static int take_entry(struct reader *r, struct archive_entry *e)
{
	const char *path = text_of(archive_entry_pathname(e),
				   archive_entry_pathname_utf8(e));
	const char *link = text_of(archive_entry_hardlink(e),
				   archive_entry_hardlink_utf8(e));
	char clean[PATH_LEN_MAX], clean_link[PATH_LEN_MAX];
	struct tree *t = r->t;
	uint32_t name;
	int n = path ? rk__tree_clean(path, clean) : -EINVAL;

	if (n < 0 || (link && rk__tree_clean(link, clean_link) <= 0))
		return 0;
	if (n == 0)
		return S_ISDIR(archive_entry_mode(e)) ?
		       rk__object_take(t, &t->object[ROOT], e) : 0;
	/* what is not there must not get a name */
	if (link && !rk__tree_path(t, clean_link))
		return 0;
	/* a link to itself is none */
	if (link && strcmp(clean, clean_link) == 0)
		return 0;
	n = rk__tree_place(t, clean, &name);
	if (n < 0)
		return n;
	return link ? take_link(r, name, e, clean_link) :
		      take_object(r, name, e);
}

/* --- all of them ---------------------------------------------------------------- */

static int refuse(struct tree *t, struct reader *r, int error)
{
	char text[200], what[80] = "the archive cannot be held: it has too many "
				   "members for the memory";

	if (error == -EIO && r->member == 0)
		strcpy(what, "the file is not a tar, zip or cpio archive");
	else if (error == -EIO)
		snprintf(what, sizeof what, "the archive is damaged after %u "
			 "members", r->member);
	if (error == -EIO)
		rk__reader_sentence(r, what, text, sizeof text);
	else
		snprintf(text, sizeof text, "%s", what);
	t->host.complain(t->host.ctx, text);
	return error == -EIO ? -EINVAL : error;
}

/* Implied directories are as old as the youngest of all. */
static void date_the_rest(struct tree *t)
{
	for (uint32_t i = ROOT; i < t->n_objects; i++) {
		struct object *o = &t->object[i];

		if (S_ISDIR(o->mode) && !o->mtime.sec && !o->ctime.sec)
			o->atime = o->mtime = o->ctime = o->btime = t->newest;
		t->bytes += o->size;
	}
}

/* Two blocks of zeros are a tar without members; so many are some device or
 * image that begins with zeros. */
static bool is_only_zeros(struct tree *t, const struct reader *r)
{
	return r->member == 0 && t->host.size(t->host.ctx) > EMPTY_MAX;
}

int rk__index_make(struct tree *t)
{
	struct archive_entry *e;
	struct reader r;
	int err;

	rk__locale_enter();
	err = rk__reader_open(t, &r, 0, true);
	while (err == 0 && (err = rk__reader_next(&r, &e)) == 1) {
		/* the innermost filter is "none" if there is another */
		t->packed = archive_filter_count(r.a) > 1;
		err = take_entry(&r, e);
	}
	if (err == 0 && is_only_zeros(t, &r))
		err = -EIO;
	if (err < 0)
		err = refuse(t, &r, err);
	rk__reader_close(&r);
	rk__locale_leave();
	if (err == 0)
		date_the_rest(t);
	return err;
}
