/*
 * init.c - the start, before anything else in the process runs: hello to the
 * broker, the sites are patched, inherited descriptors are claimed. Without
 * RUMP_PROXY the library does nothing. If it has been asked to proxy and cannot,
 * the program does not run: it would write to the host what belongs in a mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "bare.h"
#include "broker/ask.h"
#include "preload_int.h"
#include "refs.h"

enum { CANNOT = 125 };			/* the exit status */

struct rk__proxy_config rk__config;
char rk__socket[108];
struct rk__proxy_counts *rk__counts;
char rk__libraries[2 * RK__PROXY_PATH];
bool rk__active;
int rk__nowhere;

static void say(const char *s)
{
	(void)RK__R3(SYS_write, 2, s, strlen(s));
}

static void die(const char *what, int error)
{
	char digits[12];

	rk__decimal(digits, (unsigned)-error);
	say("rump: this program cannot be proxied: ");
	say(what);
	say(" (errno ");
	say(digits);
	say(")\n");
	(void)RK__R1(SYS_exit_group, CANNOT);
}

static bool is_ours(const char *path, size_t n)
{
	static const char *const names[] = {
		"librump-preload.so", "librump-interpose.so",
	};

	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		size_t k = strlen(names[i]);

		if (n >= k && memcmp(path + n - k, names[i], k) == 0)
			return true;
	}
	return false;
}

/* What of LD_PRELOAD is ours, to be put back later. False: it is too long. */
static bool find_libraries(void)
{
	const char *p = getenv("LD_PRELOAD");
	size_t have = 0, n;

	for (; p && *p; p += n + (p[n] != '\0')) {
		n = 0;
		while (p[n] && p[n] != ':' && p[n] != ' ')
			n++;
		if (!is_ours(p, n))
			continue;
		if (have + n + 2 > sizeof rk__libraries)
			return false;
		if (have)
			rk__libraries[have++] = ':';
		memcpy(rk__libraries + have, p, n);
		have += n;
		rk__libraries[have] = '\0';
	}
	return have > 0;
}

static void *map_fd(int fd, int prot, size_t *ret_size)
{
	struct stat st;
	void *p;

	if (fd < 0)
		return NULL;
	p = fstat(fd, &st) < 0 ? MAP_FAILED :
	    mmap(NULL, (size_t)st.st_size, prot, MAP_SHARED, fd, 0);
	close(fd);
	*ret_size = p == MAP_FAILED ? 0 : (size_t)st.st_size;
	return p == MAP_FAILED ? NULL : p;
}

static void patch(int fd)
{
	struct rk__patched done = { 0 };
	size_t size;
	const void *table = map_fd(fd, PROT_READ, &size);
	int r = table ? rk__patch(table, size, &done) : 0;

	if (table)
		munmap((void *)(uintptr_t)table, size);
	/* Symbols and the net take what is not patched; without them there is
	 * nobody. */
	if (r < 0 && !rk__config.net)
		die("its system calls cannot be patched", r);
	if (rk__counts) {
		atomic_fetch_add(&rk__counts->sites, done.sites);
		atomic_fetch_add(&rk__counts->sites_left, done.left);
	}
}

static int take_cwd(const struct rk__proxy_answer *a)
{
	struct rk_client *c;
	int64_t fd;
	int r;

	if (!a->ticket.word[0] && !a->ticket.word[1])
		return 0;
	r = rk__client_get(a->server, &c);
	if (r < 0)
		return r;
	fd = rk_take(c, a->ticket.word[0], a->ticket.word[1], O_CLOEXEC);
	if (fd < 0)
		return (int)fd;
	r = (int)rk_fchdir(c, (int32_t)fd);
	(void)rk_close(c, (int32_t)fd);
	if (r < 0)
		return r;
	rk__view()->cwd = (struct rk__cwd){
		.inside = true, .server = a->server, .fd = RK_AT_FDCWD,
	};
	rk__cwd_told = true;
	return fchdir(rk__nowhere) < 0 ? -errno : 0;
}

static void start(void)
{
	struct rk__proxy_welcome welcome;
	int fd[3] = { -1, -1, -1 }, r;
	/* There is a filter: if it is the net, all from here on goes through. */
	bool filtered = RK__R1(SYS_prctl, PR_GET_SECCOMP) == 2;
	size_t size;

	r = filtered ? rk__stub_map() : 0;
	if (r < 0)
		die("no page for its system calls", r);
	r = rk__ask_hello(rk__socket, &welcome, fd);
	if (r < 0)
		die("nobody answers at $RUMP_PROXY", r);
	memcpy(&rk__config, &welcome.config,
	       rk__proxy_config_size(&welcome.config));
	rk__nowhere = fd[2];
	if (rk__nowhere < 0)
		die("no directory that leads nowhere", -ENOENT);
	if (rk__config.net && !filtered) {
		r = rk__stub_map();
		if (r < 0)
			die("no page for its system calls", r);
	}
	r = rk__fdmap_init();
	if (r < 0)
		die("no placeholder for descriptors, is /proc there?", r);
	rk__counts = map_fd(fd[1], PROT_READ | PROT_WRITE, &size);
	if (size < sizeof *rk__counts)
		rk__counts = NULL;
	r = take_cwd(&welcome.answer);
	if (r < 0)
		die("its working directory is gone", r);
	if (welcome.published)
		rk__fd_claim_all();
	rk__active = true;
	patch(fd[0]);
}

__attribute__((constructor)) static void init(int argc, char **argv,
					      char **envp)
{
	const char *socket_path;

	(void)argc;
	(void)argv;
	rk__bare_init(envp);
	socket_path = getenv(RK__PROXY_ENV);
	if (!socket_path || !*socket_path)
		return;
	if (strlen(socket_path) >= sizeof rk__socket || !find_libraries())
		die("its environment does not say how", -EINVAL);
	strcpy(rk__socket, socket_path);
	start();
}
