/*
 * events.c - what a program is told of its server. "client": attaches to
 * $RUMP_SOCKET, asks to be told of restarts, writes to a file all the time, makes
 * a directory after the first restart, and prints each event; ends with the server. "bus PATH NAME": prints what the bus
 * says of that server.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <nanomsg/nn.h>
#include <nanomsg/pubsub.h>
#include "rump/client.h"

static int ended[2];
static atomic_bool recovered;

static void told(void *ctx, const struct rk_event *e)
{
	printf("%s %s %s %u\n", rk_event_word(e->kind),
	       rk_death_word(e->death), rk_rung_word(e->rung), e->lost);
	fflush(stdout);
	if (e->kind == RK_HAPPENED_RECOVERED)
		recovered = true;
	if (e->kind == RK_HAPPENED_ENDED && write(ended[1], "", 1) != 1)
		abort();
}

static int client(void)
{
	struct rk_client *c;
	int64_t fd, n = 0;
	char path[108], end;
	bool poisoned = false;

	if (pipe(ended) < 0 || rk_socket_path(NULL, path, sizeof path) < 0 ||
	    rk_attach(path, 0, &c) < 0 || rk_on_restart(c, told, NULL) < 0)
		return 2;
	fd = rk_openat(c, AT_FDCWD, "/vol/events", O_CREAT | O_WRONLY, 0600);
	puts("there");
	fflush(stdout);
	while (fd >= 0 && n >= 0) {
		n = rk_pwrite(c, fd, path, sizeof path, 0);
		usleep(1000);
		/* the server was made to die of it */
		if (recovered && !poisoned) {
			poisoned = true;
			printf("mkdir %s\n", strerrorname_np(
			       -rk_mkdirat(c, AT_FDCWD,
					   "/vol/poison", 0700)));
		}
	}
	/* the last word comes by the other thread */
	return read(ended[0], &end, 1) == 1 ? 0 : 3;
}

static int bus(const char *path, const char *name)
{
	int s = nn_socket(AF_SP, NN_SUB), wait_ms = 30000, n;
	char address[256], *text;

	snprintf(address, sizeof address, "ipc://%s", path);
	if (s < 0 || nn_setsockopt(s, NN_SUB, NN_SUB_SUBSCRIBE, name,
				   strlen(name)) < 0 ||
	    nn_setsockopt(s, NN_SOL_SOCKET, NN_RCVTIMEO, &wait_ms,
			  sizeof wait_ms) < 0 ||
	    nn_connect(s, address) < 0)
		return 2;
	while ((n = nn_recv(s, &text, NN_MSG, 0)) >= 0) {
		printf("%.*s\n", n, text);
		fflush(stdout);
		nn_freemsg(text);
	}
	nn_close(s);
	return 0;
}

int main(int argc, char **argv)
{
	return argc == 4 ? bus(argv[2], argv[3]) : client();
}
