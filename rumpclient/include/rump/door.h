/*
 * door.h - a client whose calls go to a function instead of a server, with the
 * same stubs: how librumplocal is reached.
 */
#ifndef RK_DOOR_H
#define RK_DOOR_H

#include "client.h"

struct rk_door {
	/*
	 * One call, on the thread that makes it; several threads may be in it.
	 * in: req->in_len bytes. out: room for req->out_len bytes, the caller's
	 * own buffer; *ret_out_len of them were filled. The result of the call.
	 */
	int64_t (*call)(void *ctx, const struct rk_request *req, const void *in,
			void *out, uint32_t *ret_out_len);
	/* rk_detach: no call is under way, and none follows. */
	void (*end)(void *ctx);
};

/* 0 or -ENOMEM. A child of fork() gets -ESHUTDOWN from every call. */
int rk_attach_door(const struct rk_door *door, void *ctx,
		    struct rk_client **ret);

#endif
