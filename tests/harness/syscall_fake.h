/*
 * syscall_fake.h - a client of rk__syscall: ops are encoded as the library
 * does it, run as rk__serve does it, and each is followed by a commit that
 * finds every change of core that was not noted.
 */
#ifndef RK_SYSCALL_FAKE_H
#define RK_SYSCALL_FAKE_H

#include <fcntl.h>
#include <unistd.h>
#include "core_fake.h"
#include "core/fd.h"
#include "core/syscalls.h"
#include "views.h"

/* Arguments left out are 0: that is what makes the calls readable. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

enum { PARKED = -10000, AT = RK_AT_FDCWD };

static struct rk_request req;
static uint8_t in[RK_IN_MAX + RK_IO_MAX];
static _Alignas(64) uint8_t out[RK_IO_MAX];
static struct rk__handle handle;

/* As rk__serve does it. */
static int64_t run(uint32_t channel)
{
	const struct rk_op_info *info = rk_op_info(req.op);
	enum rk__outcome o;
	uint64_t changes;

	for (;;) {
		changes = rk__change_count();
		o = rk__syscall(&handle, channel, &req, in, out);
		if (o != RK_STAGE)
			break;
		fake_commit();
	}
	if (o == RK_PARKED) {
		cr_assert_eq(rk__change_count(), changes);
		return PARKED;
	}
	if (!info || !(info->flags & RK_OP_MUTATES))
		cr_assert(!rk__changed(), "a pure op changed something");
	if (info)
		cr_assert_eq(rk_answer_check(req.op, req.out_len,
					     handle.result, handle.out_len),
			     0, "%s", info->name);
	return fake_end(handle.result);
}

#define CALL(channel, name, ...) ({					\
	struct op_##name a_ = { __VA_ARGS__ };				\
	handle.id++;							\
	cr_assert_eq(rk_encode_##name(&req, in, sizeof in, &a_), 0);	\
	run(channel);							\
})
#define OPEN(ch, path, flags, ...) \
	((int)CALL(ch, openat, AT, path, flags, ##__VA_ARGS__))

static void attach(uint32_t channel, uint64_t token, uint64_t parent,
		   uint32_t uid)
{
	struct rk__attach a = {
		.channel = channel, .token = token, .parent = parent,
		.uid = uid, .gid = uid, .pid = (uint32_t)token, .n_groups = 1,
		.group = { 500 },
	};

	cr_assert_eq(rk__proc_attach(&a), 0);
	fake_commit();
}

static void detach(uint32_t channel)
{
	rk__proc_detach(channel);
	while (rk__vnode_reclaim_some() || rk__changed())
		fake_commit();
}

/* Nothing of anybody is left. */
static void check_empty(void)
{
	uint32_t i;

	for (i = 1; i < rk__core->ofd_brk; i++)
		cr_assert_eq(rk__core->ofd[i].refs, 0u);
	for (i = 1; i < rk__core->vnode_brk; i++)
		cr_assert(!rk__core->vnode[i].used ||
			  i == rk__core->mount[0].root_vnode);
	for (i = 1; i < rk__core->lock_brk; i++)
		cr_assert_eq(rk__core->lock[i].vnode, 0u);
	for (i = 0; i < rk__core->proc_brk; i++)
		cr_assert_eq(rk__core->proc[i].used, 0u);
}

static void setup(void)
{
	fake_start("/vol");
	mem_fs.inode[MEM_ROOT].st.mode = S_IFDIR | 0777;
	attach(0, 1, 0, 10);
	attach(1, 2, 0, 0);
}

static void teardown(void)
{
	for (uint32_t i = 0; i < 10; i++)
		detach(i);
	check_empty();
}

#endif
