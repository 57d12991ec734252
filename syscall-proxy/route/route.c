/*
 * route.c - from the number of a call to its handler. Both tables come from the
 * same rows.
 */
#include "calls.h"

#define CLASS(name, class) [SYS_##name] = RK__CLASS_##class,
const uint8_t rk__class[RK__CALLS] = {
	RK__NAME_CALLS(CLASS)
	RK__FILE_CALLS(CLASS)
};

#define HANDLER(name, class) [SYS_##name] = rk__call_##name,
static rk__handler *const handlers[RK__CALLS] = {
	RK__NAME_CALLS(HANDLER)
	RK__FILE_CALLS(HANDLER)
};

enum rk__routed rk__route(struct rk__task *t, long nr, const uint64_t arg[6],
			  int64_t *ret)
{
	rk__handler *handler;

	if (nr < 0 || nr >= RK__CALLS)
		return RK__NATIVE;
	handler = handlers[nr];
	return handler ? handler(t, nr, arg, ret) : RK__NATIVE;
}
