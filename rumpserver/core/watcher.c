/*
 * watcher.c - who caches what files hold and has to hear of changes: see vfs.h.
 */
#include "vfs.h"

const struct rk__watcher *rk__watcher;
