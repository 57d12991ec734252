/*
 * checkpoint.c - who may make and remove checkpoints: the server's user, and root;
 * not what he becomes. Run by root, of whom the server is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <rump/client.h>

static int failures;

static void is(const char *what, int64_t got, int64_t want)
{
	if (got == want)
		return;
	printf("%s: %d, not %d\n", what, (int)got, (int)want);
	failures++;
}

int main(void)
{
	struct rk_client *c;

	if (rk_attach(getenv("RUMP_SOCKET"), 0, &c) < 0)
		return 1;
	is("its owner", rk_checkpoint(c, "owner"), 0);
	if (setresuid(65534, 65534, 65534) < 0 || rk_refresh(c) < 0)
		return 1;
	is("a stranger", rk_checkpoint(c, "stranger"), -EPERM);
	is("who removes", rk_checkpoint_delete(c, "owner"), -EPERM);
	rk_detach(c);
	return failures ? 1 : 0;
}
