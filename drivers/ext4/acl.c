/*
 * acl.c - POSIX access lists: as system calls pass them, as ext4 keeps them.
 *
 * Both are a version and entries; on disk only named users and groups carry
 * an id.
 */
#include "acl.h"
#include <errno.h>
#include <string.h>

#define CALL_VERSION 2
#define DISK_VERSION 1
#define NO_ID UINT32_MAX

struct entry {
	uint16_t tag, perm;
	uint32_t id;
};

enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16,
	OTHER = 32 };

static size_t disk_size(uint16_t tag)
{
	switch (tag) {
	case USER_OBJ:
	case GROUP_OBJ:
	case MASK:
	case OTHER:
		return 4;
	case USER:
	case GROUP:
		return 8;
	}
	return 0;
}

int64_t rk__ext4_acl_to_disk(const void *value, size_t size, void *ret)
{
	uint32_t version;
	char *out = ret;
	size_t at;

	if (size < 4 || (size - 4) % sizeof(struct entry))
		return -EINVAL;
	memcpy(&version, value, 4);
	if (version != CALL_VERSION)
		return -EOPNOTSUPP;
	version = DISK_VERSION;
	memcpy(out, &version, 4);
	out += 4;
	for (at = 4; at < size; at += sizeof(struct entry)) {
		struct entry x;

		memcpy(&x, (const char *)value + at, sizeof(x));
		if (!disk_size(x.tag) || x.perm & ~7)
			return -EINVAL;
		memcpy(out, &x, disk_size(x.tag));
		out += disk_size(x.tag);
	}
	return out - (char *)ret;
}

int64_t rk__ext4_acl_from_disk(const void *value, size_t size, void *ret,
			       size_t room)
{
	const char *in = value, *end = in + size;
	uint32_t version;
	size_t need = 4;

	if (size < 4)
		return -EUCLEAN;
	memcpy(&version, in, 4);
	if (version != DISK_VERSION)
		return -EUCLEAN;
	version = CALL_VERSION;
	if (room >= 4)
		memcpy(ret, &version, 4);
	for (in += 4; in < end; need += sizeof(struct entry)) {
		struct entry x = { .id = NO_ID };
		size_t n;

		if (end - in < 4)
			return -EUCLEAN;
		memcpy(&x, in, 4);
		n = disk_size(x.tag);
		if (!n || (size_t)(end - in) < n)
			return -EUCLEAN;
		memcpy(&x, in, n);
		if (room >= need + sizeof(x))
			memcpy((char *)ret + need, &x, sizeof(x));
		in += n;
	}
	return need;
}
