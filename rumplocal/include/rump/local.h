/*
 * local.h - librumplocal: the drivers in this process, without a server.
 *
 * The client is one of client.h, and takes the same calls; they run on the
 * thread that makes them, one at a time. What a driver crashes, it crashes the
 * application, and what was not flushed is lost then: the image holds its last
 * flush point (fsync, sync, rk_detach), whole, by its journal beside it. Each
 * call happens or does not, as anywhere; nothing outlives the process.
 *
 * One client at a time in a process, because drivers' memory has one place. A
 * child of fork() gets -ESHUTDOWN from every call. A program that uses a library
 * which a driver uses too (libext2fs, libarchive) must not load it as a shared
 * object of the same name: its memory would be the driver's.
 */
#ifndef RK_LOCAL_H
#define RK_LOCAL_H

#include <rump/client.h>

/*
 * Mounts and attaches. mount[]: n specifications as of `rump run -m`,
 * "PATH=DRIVER:SOURCE[,option...]": paths that begin with PATH are that
 * mount's. The identity of calls is the process's own of this moment. On
 * failure a negative errno, and one sentence in error. rk_detach() flushes,
 * unmounts and lets go of the sources; to know whether that went well, rk_sync()
 * before it. -EBUSY: there is one already.
 */
int rk_local_attach(const char *const *mount, unsigned n,
		    struct rk_client **ret, char *error, size_t error_size);

#endif
