/*
 * servers.c - the clients of this process, one for each server that it uses.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include "bare.h"
#include "preload_int.h"

static struct rk_client *_Atomic clients[RK__PROXY_SERVERS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The umask, which only changing it tells, or the kernel's text. */
static int own_umask(void)
{
	static const char key[] = "\nUmask:\t";
	char buf[512];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC), mask = -1;
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof buf - 1);

	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i + (ssize_t)sizeof key < n; i++) {
		const char *p = buf + i + sizeof key - 1;

		if (memcmp(buf + i, key, sizeof key - 1) != 0)
			continue;
		for (mask = 0; p < buf + n && *p >= '0' && *p <= '7'; p++)
			mask = mask * 8 + (*p - '0');
	}
	return mask;
}

static int attach(uint32_t server, struct rk_client **ret)
{
	int mask, r = rk_attach(rk__config.server[server], RK_ATTACH_PAGES,
				ret);

	if (r < 0)
		return r;
	mask = own_umask();
	if (mask >= 0)
		(void)rk_umask(*ret, (uint32_t)mask);
	return 0;
}

struct rk_client *rk__client_attached(uint32_t server)
{
	return server < RK__PROXY_SERVERS ? atomic_load(&clients[server]) :
	       NULL;
}

int rk__client_get(uint32_t server, struct rk_client **ret)
{
	struct rk_client *c;
	int r = 0;

	if (server >= rk__config.n_servers)
		return -EPROTO;
	*ret = atomic_load(&clients[server]);
	if (*ret)
		return 0;
	pthread_mutex_lock(&lock);
	c = atomic_load(&clients[server]);
	if (!c)
		r = attach(server, &c);
	if (r == 0)
		atomic_store(&clients[server], c);
	pthread_mutex_unlock(&lock);
	*ret = c;
	return r;
}

void rk__clients_lock(bool on)
{
	if (on)
		pthread_mutex_lock(&lock);
	else
		pthread_mutex_unlock(&lock);
}

void rk__clients_forget(void)
{
	for (unsigned i = 0; i < RK__PROXY_SERVERS; i++)
		atomic_store(&clients[i], NULL);
}

void rk__clients_attach_all(void)
{
	struct rk_client *c;

	for (uint32_t i = 0; i < rk__config.n_servers; i++)
		if (rk__client_get(i, &c) == 0)
			(void)rk_null(c);
}

void rk__clients_refresh(void)
{
	struct rk_client *c;

	for (uint32_t i = 0; i < rk__config.n_servers; i++) {
		c = rk__client_attached(i);
		if (c)
			(void)rk_refresh(c);
	}
}
