/* patch.h - between the files of patching. */
#ifndef RK_PATCH_H
#define RK_PATCH_H

#include "preload/area.h"
#include "preload/sites.h"

enum { RK__PAGE = 4096 };

/* entry.S */
extern uint8_t rk__area[RK__SLOTS * RK__SLOT];
extern uint8_t rk__entry_class[RK__CALL_NUMBERS];
extern uintptr_t rk__stub;
extern const char rk__stub_code[], rk__stub_code_end[];
void rk__entry(void);

/* A mapped object's code. */
struct rk__mapped {
	uint64_t bias;			/* address minus address in the object */
	uint64_t text, text_end;	/* the executable mapping */
	uint8_t build_id[RK__BUILD_ID];
	uint32_t build_id_size;
};

/* patch_maps.c: objects with a build-id whose code is mapped r-xp, each given to
 * fn once; a negative errno of fn ends it. 0 or a negative errno. */
int rk__maps(int (*fn)(void *arg, const struct rk__mapped *m), void *arg);

#endif
