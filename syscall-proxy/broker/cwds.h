/*
 * cwds.h - working directories in servers, of processes that said so: for their
 * next image, and for children that have no proxy inside.
 */
#ifndef RK_CWDS_H
#define RK_CWDS_H

#include <stdbool.h>
#include <sys/types.h>
#include "broker/registry.h"

struct rk__cwds;

enum { RK__CWDS_MAX = 4096 };

int rk__cwds_create(struct rk__registry *r, struct rk__cwds **ret);
void rk__cwds_destroy(struct rk__cwds *c);

/* Readable when a process with an entry has ended: rk__cwds_settle(). */
int rk__cwds_fd(const struct rk__cwds *c);
void rk__cwds_settle(struct rk__cwds *c);

/* ticket NULL: it is in no server. */
int rk__cwds_set(struct rk__cwds *c, pid_t pid, uint32_t server,
		 const struct rk_ticket *ticket);
/* A ticket of a process's directory. -ENOENT: nothing is known of it; -ENODATA:
 * it is in no server. */
int rk__cwds_get(struct rk__cwds *c, pid_t pid, uint32_t *ret_server,
		 struct rk_ticket *ret);
/* Somebody else knows better now. */
void rk__cwds_forget(struct rk__cwds *c, pid_t pid);
/* Grows with every rk__cwds_set(). */
uint32_t rk__cwds_changes(const struct rk__cwds *c);

#endif
