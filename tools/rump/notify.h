/*
 * notify.h - the holder and systemd, where systemd runs it: what is passed
 * (a socket to listen on), and what is told (ready, status, still alive,
 * stopping). Without systemd all of it does nothing.
 */
#ifndef RUMP_NOTIFY_H
#define RUMP_NOTIFY_H

#include "supervisor/supervisor.h"

/* Takes what stands in the environment, and out of it: it is for this process
 * alone. *c: gets the socket. A negative errno, and a sentence in error. */
int notify_begin(struct rk__config *c, char *error);
/* The same in the holder of an upgrade: it says what its predecessor said. */
void notify_take_over(struct rk__config *c);
/* The holder that goes on is this one. false: systemd does not run us. */
bool notify_successor(pid_t pid);
/* A supervisor begins. */
void notify_supervisor(void);
/* How long the holder may sleep, for poll(2). */
int notify_timeout_ms(void);
/*
 * To be called whenever it wakes, with what the supervisor says of itself.
 * true: it has said nothing for so long that it must be hung; killed in time,
 * it is replaced before systemd takes the whole unit for hung.
 */
bool notify_look(const struct rk__estate_status *s);
void notify_stopping(void);

#endif
