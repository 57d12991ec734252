/*
 * message.h - sending and receiving one message with descriptors on a
 * SOCK_SEQPACKET socket.
 */
#ifndef RK_MESSAGE_H
#define RK_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RK_MESSAGE_FDS = 4 };

/* 0, or a negative errno: -EAGAIN if the socket is full and non-blocking,
 * -EPIPE if the peer is gone. The descriptors stay the caller's. */
int rk__message_send(int fd, const void *bytes, size_t size, const int *fds,
		     unsigned n_fds);
/*
 * Returns the bytes received (0: the peer is gone) or a negative errno.
 * -EMSGSIZE: longer than size; it is dropped, descriptors too. fds gets max
 * descriptors, close-on-exec, -1 where there was none; surplus ones are
 * closed.
 */
ssize_t rk__message_receive(int fd, void *bytes, size_t size, int *fds,
			    unsigned max);

/* Is it a SEQPACKET socket whose other end was made by this process, or by one
 * of this user? */
bool rk__socket_is_from(int fd, uint32_t pid, uint32_t uid);

#endif
