/*
 * fd.h - procs, their descriptors, and open file descriptions.
 */
#ifndef RK_FD_H
#define RK_FD_H

#include <fcntl.h>
#include "vfs.h"

/* NULL: no proc on this channel. */
struct rk__proc *rk__proc_of_channel(uint32_t channel);
/* The directory that relative paths start from. */
struct rk__node rk__proc_cwd(const struct rk__proc *p);
int rk__proc_set_cwd(struct rk__proc *p, struct rk__node dir);

/* The ofd of a descriptor; NULL: EBADF. */
struct rk__ofd *rk__fd(const struct rk__proc *p, int32_t fd);
struct rk__node rk__ofd_node(const struct rk__ofd *o);
/* Names it as an owner of locks. */
uint64_t rk__ofd_owner(const struct rk__ofd *o);
static inline bool rk__ofd_reads(const struct rk__ofd *o)
{
	return !(o->flags & O_PATH) && (o->flags & O_ACCMODE) != O_WRONLY;
}
static inline bool rk__ofd_writes(const struct rk__ofd *o)
{
	return !(o->flags & O_PATH) && (o->flags & O_ACCMODE) != O_RDONLY;
}

/* Lowest free descriptor from `minimum` on, or -EMFILE. */
int rk__fd_lowest(const struct rk__proc *p, uint32_t minimum);
/* Opens `n` with `flags` as a new ofd at the free descriptor fd. -ENFILE. */
int rk__fd_open(struct rk__proc *p, int fd, struct rk__node n, uint32_t flags);
/* One more descriptor, a free one, for the ofd of `from`. */
void rk__fd_share(struct rk__proc *p, int from, int fd, uint32_t flags);
void rk__fd_set_cloexec(struct rk__proc *p, int fd, bool on);
/* Closes a descriptor that is open, as close(2) does: the proc's POSIX locks
 * on the file go, with the ofd's last descriptor its own locks too. */
void rk__fd_close(struct rk__proc *p, int fd);
/* One reference more, for an op that sleeps: the ofd's number, 0: no such
 * descriptor. And what gives it back. */
uint32_t rk__fd_hold(const struct rk__proc *p, int32_t fd);
void rk__ofd_put(uint32_t ofd);
/* One descriptor more, a free one, for an ofd that is held. */
void rk__fd_set(struct rk__proc *p, int fd, uint32_t ofd, uint32_t flags);
/* What a proc offered, it offers no more (sys_offer.c). */
void rk__offer_end_all(const struct rk__proc *p);
/* Gives back what was a channel's hold on a proc (its count of channels). */
void rk__proc_put(uint32_t index);
/* A forked proc's descriptors: those of its parent, and the same ofds. */
void rk__fd_inherit(struct rk__proc *child, const struct rk__proc *parent);
/* Sets a word of an ofd if it differs: nothing changes, nothing is noted. */
void rk__ofd_set_offset(struct rk__ofd *o, int64_t offset);

#endif
