/*
 * watcher.c - who caches what files hold and has to hear of changes: see vfs.h
 * and pages.h.
 */
#include "core/pages.h"

const struct rk__watcher *rk__watcher;
const struct rk__pages *rk__pages;
