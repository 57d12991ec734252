/*
 * peer.h - who is at the other end of a connection.
 */
#ifndef RK_PEER_H
#define RK_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include "supervisor/internal.h"

/* Ids, groups and pid, as the kernel says. 0 or a negative errno. */
int rk__peer_cred(int conn, struct rk__message *ret);
/* Is there such a process, and is it one of this user? */
bool rk__pid_is_of(uint32_t pid, uint32_t uid);

#endif
