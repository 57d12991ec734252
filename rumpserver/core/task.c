/*
 * task.c - see task.h: what is there in both execution models.
 */
#include "acl.h"
#include "task.h"
#include "views.h"

const struct rk__tasks *rk__tasks;
struct rk__work *rk__work_now;
struct rk__handle *rk__handle_now;
bool (*rk__others_wait)(void);

#define UP(n) (((uint32_t)(n) + 63) & ~63u)
#define ACL UP(sizeof(struct rk__acl))

static const struct {
	uint32_t at, size;
} part[RK_ROOM_PARTS] = {
	[RK_ROOM_STRINGS] = { 0, RK_SCRATCH_SIZE },
	[RK_ROOM_LIST] = { UP(RK_SCRATCH_SIZE), ACL },
	[RK_ROOM_INHERITED] = { UP(RK_SCRATCH_SIZE) + ACL, ACL },
	[RK_ROOM_VALUE] = { UP(RK_SCRATCH_SIZE) + 2 * ACL, RK_XATTR_SIZE_MAX },
	[RK_ROOM_NAMES] = { UP(RK_SCRATCH_SIZE) + 2 * ACL + RK_XATTR_SIZE_MAX,
			    RK_XATTR_SIZE_MAX },
	[RK_ROOM_DATA] = { UP(RK_SCRATCH_SIZE) + 2 * ACL +
			   2 * RK_XATTR_SIZE_MAX, RK_IO_MAX },
};
#define ROOM_SIZE (UP(RK_SCRATCH_SIZE) + 2 * ACL + 2 * RK_XATTR_SIZE_MAX + \
		   RK_IO_MAX)
_Static_assert(ROOM_SIZE <= RK_TASK_IN - RK_TASK_ROOM, "room of a task");

uint32_t rk__room_part(enum rk__room_part p, uint32_t *ret_size)
{
	*ret_size = part[p].size;
	return part[p].at;
}

void *rk__room(enum rk__room_part p)
{
	static _Alignas(64) uint8_t own[ROOM_SIZE];
	struct rk__work *w = rk__work_now;

	if (!w)
		return own + part[p].at;
	w->rooms |= 1u << p;
	return rk__task_at(w->index) + RK_TASK_ROOM + part[p].at;
}
