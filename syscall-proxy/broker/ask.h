/*
 * ask.h - the program's side of the conversation with the broker (proxy.h).
 * Each blocks until the broker has answered; 0 or a negative errno.
 */
#ifndef RK_ASK_H
#define RK_ASK_H

#include "proxy.h"

/* ret_fd: the sites' memfd and the counters', -1 where there is none, and the
 * directory that leads nowhere. */
int rk__ask_hello(const char *socket, struct rk__proxy_welcome *ret,
		  int ret_fd[3]);
int rk__ask_publish(const char *socket, int placeholder, uint32_t server,
		    const struct rk_ticket *ticket);
/* -ENOENT: it is none that the broker knows. */
int rk__ask_claim(const char *socket, int placeholder, uint32_t *ret_server,
		  struct rk_ticket *ret);
/* NULL: no directory of a server. */
int rk__ask_cwd(const char *socket, uint32_t server,
		const struct rk_ticket *ticket);

#endif
