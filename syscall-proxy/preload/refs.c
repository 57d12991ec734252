/*
 * refs.c - descriptors of the servers, counted; placeholders; publishing and
 * claiming.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <dirent.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bare.h"
#include "broker/ask.h"
#include "fdmap.h"
#include "preload_int.h"
#include "refs.h"

struct counted {
	_Atomic uint32_t n;
	_Atomic uint64_t ino;
};

/* Made at first use, one array for each server. */
static struct counted *_Atomic counts[RK__PROXY_SERVERS];
static _Atomic int32_t highest[RK__PROXY_SERVERS];

enum { MAX_RK = 65536 };

static struct counted *array_of(uint32_t server)
{
	struct counted *a = atomic_load(&counts[server]), *none = NULL;
	size_t size = MAX_RK * sizeof *a;
	void *p;

	if (a)
		return a;
	p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	if (atomic_compare_exchange_strong(&counts[server], &none, p))
		return p;
	munmap(p, size);
	return none;
}

static struct counted *at(uint32_t server, int32_t rk)
{
	struct counted *a = server < RK__PROXY_SERVERS && rk >= 0 &&
			    rk < MAX_RK ? array_of(server) : NULL;

	return a ? a + rk : NULL;
}

bool rk__ref(uint32_t server, int32_t rk)
{
	struct counted *x = at(server, rk);
	uint32_t n = x ? atomic_load(&x->n) : 0;

	while (n && !atomic_compare_exchange_weak(&x->n, &n, n + 1))
		;
	return n > 0;
}

static int64_t close_at_server(uint32_t server, int32_t rk)
{
	struct rk_client *c;
	int r = rk__client_get(server, &c);

	return r < 0 ? r : rk_close(c, rk);
}

int rk__ref_first(uint32_t server, int32_t rk, uint64_t ino)
{
	struct counted *x = at(server, rk);
	int32_t h;

	if (!x)
		return -EMFILE;
	h = atomic_load(&highest[server]);
	while (rk > h &&
	       !atomic_compare_exchange_weak(&highest[server], &h, rk))
		;
	atomic_store(&x->ino, ino);
	atomic_store(&x->n, 1);
	return 0;
}

int64_t rk__unref(uint32_t server, int32_t rk)
{
	struct counted *x = at(server, rk);

	if (!x)
		return close_at_server(server, rk);
	if (atomic_load(&x->n) == 0 || atomic_fetch_sub(&x->n, 1) > 1)
		return 0;
	atomic_store(&x->ino, 0);
	return close_at_server(server, rk);
}

void rk__refs_forget(void)
{
	for (unsigned s = 0; s < RK__PROXY_SERVERS; s++) {
		struct counted *a = atomic_load(&counts[s]);

		for (int32_t i = 0; a && i <= atomic_load(&highest[s]); i++) {
			atomic_store(&a[i].n, 0);
			atomic_store(&a[i].ino, 0);
		}
	}
}

uint64_t rk__ref_ino(uint32_t server, int32_t rk)
{
	struct counted *x = at(server, rk);

	return x ? atomic_load(&x->ino) : 0;
}

void rk__ref_set_ino(uint32_t server, int32_t rk, uint64_t ino)
{
	struct counted *x = at(server, rk);

	if (x)
		atomic_store(&x->ino, ino);
}

bool rk__ref_by_ino(uint64_t ino, uint32_t *ret_server, int32_t *ret_rk)
{
	for (uint32_t s = 0; s < RK__PROXY_SERVERS; s++) {
		struct counted *a = atomic_load(&counts[s]);

		for (int32_t i = 0; a && i <= atomic_load(&highest[s]); i++) {
			if (atomic_load(&a[i].ino) != ino || !ino)
				continue;
			*ret_server = s;
			*ret_rk = i;
			return true;
		}
	}
	return false;
}

/* --- placeholders ------------------------------------------------------------------ */

void rk__decimal(char *ret, unsigned n)
{
	char digits[12];
	int k = 0;

	do
		digits[k++] = (char)('0' + n % 10);
	while (n /= 10);
	while (k)
		*ret++ = digits[--k];
	*ret = '\0';
}

void rk__proc_path(char ret[32], int fd)
{
	strcpy(ret, "/proc/self/fd/");
	rk__decimal(ret + strlen(ret), (unsigned)fd);
}

/*
 * O_PATH of an empty memfd: reading and writing fail with EBADF. Who opens it
 * again by its name in /proc gets nothing in or out of it either.
 */
int rk__placeholder(uint64_t *ret_ino)
{
	char path[32];
	struct stat st;
	int memfd = memfd_create(RK__PLACEHOLDER, MFD_ALLOW_SEALING), fd;

	if (memfd < 0)
		return -errno;
	(void)fcntl(memfd, F_ADD_SEALS,
		    F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
	rk__proc_path(path, memfd);
	fd = open(path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	else if (ret_ino && fstat(fd, &st) == 0)
		*ret_ino = st.st_ino;
	close(memfd);
	return fd;
}

bool rk__is_placeholder(int fd, uint64_t *ret_ino)
{
	static const char name[] = "/memfd:" RK__PLACEHOLDER " (deleted)";
	char path[32], link[sizeof name + 1];
	struct stat st;
	long flags = RK__R3(SYS_fcntl, fd, F_GETFL, 0);
	ssize_t n;

	/* The notifier's are open for neither reading nor writing. */
	if (flags < 0 ||
	    (!(flags & O_PATH) && (flags & O_ACCMODE) != O_ACCMODE))
		return false;
	rk__proc_path(path, fd);
	n = RK__R3(SYS_readlink, path, link, sizeof link);
	if (n != (ssize_t)sizeof name - 1 ||
	    memcmp(link, name, sizeof name - 1) != 0 ||
	    RK__R2(SYS_fstat, fd, &st) < 0)
		return false;
	*ret_ino = st.st_ino;
	return true;
}

int rk__publish(uint32_t server, int32_t rk, int placeholder)
{
	struct rk_ticket ticket;
	struct rk_client *c;
	int r = rk__client_get(server, &c);

	if (r == 0)
		r = (int)rk_offer(c, rk, &ticket);
	if (r == 0)
		r = rk__ask_publish(rk__socket, placeholder, server, &ticket);
	return r;
}

void rk__settle(int any_placeholder)
{
	struct rk_ticket none;
	uint32_t server;

	(void)rk__ask_claim(rk__socket, any_placeholder, &server, &none);
}

/* --- claiming ----------------------------------------------------------------------- */

static int claim_at_server(int fd, uint32_t *ret_server, int32_t *ret_rk)
{
	struct rk_ticket ticket;
	struct rk_client *c;
	int64_t rk;
	int r = rk__ask_claim(rk__socket, fd, ret_server, &ticket);

	if (r < 0)
		return r;
	if (*ret_server >= rk__config.n_servers)
		return -EPROTO;
	r = rk__client_get(*ret_server, &c);
	if (r < 0)
		return r;
	rk = rk_take(c, ticket.word[0], ticket.word[1], O_CLOEXEC);
	*ret_rk = (int32_t)rk;
	return rk < 0 ? (int)rk : 0;
}

bool rk__fd_claim(int fd)
{
	uint32_t server;
	int32_t rk;
	uint64_t ino;

	if (fd < 0 || fd >= RK__MAP_FDS || rk__fd_is_own(fd) ||
	    rk__fd_find(fd, &server, &rk) || !rk__is_placeholder(fd, &ino) ||
	    rk__fd_generic(ino))
		return false;
	/* One that we have already under another number. */
	if (rk__ref_by_ino(ino, &server, &rk) && rk__ref(server, rk)) {
		rk__fd_adopt(fd, server, rk);
		return true;
	}
	if (claim_at_server(fd, &server, &rk) < 0)
		return false;
	return rk__fd_install(server, rk, 0, fd, ino) >= 0;
}

struct entry {
	uint64_t ino, off;
	uint16_t length;
	uint8_t type;
	char name[];
};

static int number_of(const char *s)
{
	int n = 0;

	if (!*s)
		return -1;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || n > 1 << 24)
			return -1;
		n = 10 * n + (*s - '0');
	}
	return n;
}

void rk__fd_claim_all(void)
{
	_Alignas(8) uint8_t buf[2048];
	int dir = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ssize_t n;

	while (dir >= 0 && (n = getdents64(dir, buf, sizeof buf)) > 0) {
		for (ssize_t i = 0; i < n;) {
			const struct entry *e = (const void *)(buf + i);

			(void)rk__fd_claim(number_of(e->name));
			i += e->length;
		}
	}
	if (dir >= 0)
		close(dir);
}
