/*
 * fuse_expect.h - what the tests of the FUSE gate have in common beside the fake
 * kernel: locks, and answers that must come.
 */
#ifndef RK_FUSE_EXPECT_H
#define RK_FUSE_EXPECT_H

#include "fuse_fake.h"

static uint64_t fake_create(const char *name, struct fake_answer *a)
{
	struct fuse_create_in in = { .mode = S_IFREG | 0644 };

	cr_assert_eq(fake_call(FUSE_CREATE, FUSE_ROOT_ID, &in, sizeof in, name,
			       strlen(name) + 1, a), 0);
	return ((struct fuse_entry_out *)a->data)->nodeid;
}

static struct fake_answer answer;

bool rk__vnode_reclaim_some(void)
{
	return false;
}

/* Remembers what it was asked; gives back what went in, in capitals. */
static struct {
	uint32_t cmd;
	size_t room;
} fake_ioctl;

int rk__vfs_ioctl(const struct rk__cred *c, struct rk__node n, uint32_t cmd,
		  const void *in, size_t in_len, void *out, size_t room)
{
	fake_ioctl.cmd = cmd;
	fake_ioctl.room = room;
	if (in_len > room)
		return -EINVAL;
	for (size_t i = 0; i < in_len; i++)
		((uint8_t *)out)[i] = ((const uint8_t *)in)[i] & 0xdf;
	return (int)in_len;
}

static inline uint64_t lock(uint32_t opcode, uint64_t node, uint64_t owner,
		     uint32_t type)
{
	struct fuse_lk_in in = { .owner = owner,
				 .lk = { .end = INT64_MAX, .type = type } };
	uint64_t unique = fake_send(opcode, node, 0, &in, sizeof in, NULL, 0);

	fake_poll();
	return unique;
}

static inline void expect(uint64_t unique, int error)
{
	cr_assert(fake_receive(&answer), "no answer to %lx", unique);
	cr_assert_eq(answer.head.unique, unique);
	cr_assert_eq(answer.head.error, error, "%d", answer.head.error);
}

#endif
