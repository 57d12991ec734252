/* names_refuse.c - skeleton */
#include "calls.h"
#define STUB(name, class) \
enum rk__routed rk__call_##name(struct rk__task *t, long nr, const uint64_t arg[6], int64_t *ret) { return RK__NATIVE; }
RK__NAME_CALLS(STUB)
