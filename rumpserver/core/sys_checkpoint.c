/*
 * sys_checkpoint.c - named checkpoints of all images of the server, at an instant
 * that a program chooses: whatever was answered before the call is in it.
 */
#include "core/serve.h"
#include "sys.h"

/* What a stranger could make he could fill the disk with. */
static bool may_order(const struct rk__call *c)
{
	return c->cred.uid == 0 || c->cred.uid == rk__owner;
}

/* Is there an image that is written? */
static int find_device(void)
{
	int r = -ENOTSUP;

	for (uint32_t i = 0; i < rk__core->n_mounts; i++)
		if (rk__vfs_has_device(i)) {
			if (!rk__mount_read_only[i])
				return 0;
			r = -EROFS;
		}
	return r;
}

static int64_t order(struct rk__call *c, uint32_t action, const char *label)
{
	int64_t r;

	if (!may_order(c))
		return -EPERM;
	if (!rk__label_good(label))
		return -EINVAL;
	r = find_device();
	if (r < 0)
		return r;
	if (action == RK_ORDER_MAKE &&
	    !rk__call_write_back_all(c, RK_MOUNTS_MAX, &r))
		return r;
	c->outcome = rk__serve_order(rk__handle_now, c->proc->token, action,
				     label);
	return rk__handle_now->result;
}

int64_t rk__sys_checkpoint(struct rk__call *c, struct op_checkpoint *a)
{
	return order(c, RK_ORDER_MAKE, a->label);
}

int64_t rk__sys_checkpoint_delete(struct rk__call *c,
				  struct op_checkpoint_delete *a)
{
	return order(c, RK_ORDER_DELETE, a->label);
}
