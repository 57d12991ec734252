/*
 * socket.h - the socket gate, as the channel gate drives it: both serve the
 * clients of the library, under one set of channel numbers.
 */
#ifndef RK_SOCKET_H
#define RK_SOCKET_H

#include "gate.h"

void rk__socket_detach(uint32_t channel);
/* Serves the sockets that have something; true if there was anything. */
bool rk__socket_poll(void);
bool rk__socket_pending(void);
void rk__socket_repost(uint32_t channel, const struct rk__reply_head *r,
		       const uint8_t *bytes);
void rk__socket_refuse_all(int error);

#endif
