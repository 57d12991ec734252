/*
 * route_path.c - where paths lead: the mounts' own paths, the host's symbolic
 * links, names that /proc has, and out of a server again. The host and the
 * servers are tables.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <rump/door.h>
#include "route/path.h"

/* --- a host and two servers --------------------------------------------------------- */

static const struct {
	const char *path, *target;	/* NULL: no symbolic link */
} on_host[] = {
	{ "/etc", NULL }, { "/home", NULL }, { "/home/me", NULL },
	{ "/home/me/to-vol", "/vol" },
	{ "/home/me/into", "../../vol/d" },
	{ "/home/me/up", ".." },
	{ "/home/me/loop", "loop" },
	{ "/home/me/a", "b" }, { "/home/me/b", "/home/me/to-vol/x" },
	{ "/dev", NULL }, { "/dev/fd", "/proc/self/fd" },
	{ "/home/me/in", "/dev/stdin" },
};

static int64_t native(struct rk__task *t, long nr, const uint64_t a[6])
{
	const char *path = (const char *)(uintptr_t)a[0];
	char *buf = (char *)(uintptr_t)a[1];

	cr_assert_eq(nr, SYS_readlink);
	for (unsigned i = 0; i < sizeof on_host / sizeof *on_host; i++)
		if (!strcmp(on_host[i].path, path))
			return on_host[i].target ?
				snprintf(buf, a[2], "%s", on_host[i].target) :
				-EINVAL;
	return -ENOENT;
}

/* What a server says to resolve: of a path that it is asked for. */
static const struct {
	uintptr_t server;
	const char *path, *leads;
} in_server[] = {
	{ 0, "/vol/out", "/etc/passwd" },
	{ 0, "../x", "/x" },
	{ 0, "/vol/back", "/home/me/to-vol/f" },
	{ 0, "/vol/other", "/vol/sub/f" },
	{ 0, "", "/vol/d" }, { 0, ".", "/vol" },
};

static int64_t serve(void *ctx, const struct rk_request *req, const void *in,
		     void *out, uint32_t *ret_out_len)
{
	char scratch[RK_SCRATCH_SIZE];
	struct op_resolve a;

	*ret_out_len = 0;
	if (req->op != RK_OP_resolve ||
	    rk_decode_resolve(req, in, scratch, sizeof scratch, &a) < 0)
		return -ENOSYS;
	for (unsigned i = 0; i < sizeof in_server / sizeof *in_server; i++) {
		size_t n = strlen(in_server[i].leads);

		if (in_server[i].server != (uintptr_t)ctx ||
		    strcmp(in_server[i].path, a.path))
			continue;
		cr_assert(n <= a.size);
		memcpy(out, in_server[i].leads, n);
		*ret_out_len = (uint32_t)n;
		return (int64_t)n;
	}
	return 0;
}

static struct rk_client *clients[2];

static int client(struct rk__task *t, uint32_t server, struct rk_client **ret)
{
	static const struct rk_door door = { .call = serve };

	if (!clients[server])
		cr_assert_eq(rk_attach_door(&door, (void *)(uintptr_t)server,
					    &clients[server]), 0);
	*ret = clients[server];
	return 0;
}

/* 10 and up are the first server's, 20 and up the second's. */
static bool find(struct rk__task *t, int fd, struct rk__target *ret)
{
	uint32_t server = fd >= 20;

	if (fd < 10 || fd >= 30)
		return false;
	*ret = (struct rk__target){ .server = server, .fd = fd - 7 };
	return client(t, server, &ret->client) == 0;
}

static int host_cwd(struct rk__task *t, char *ret, size_t size)
{
	return snprintf(ret, size, "/home/me");
}

static int host_path(struct rk__task *t, int fd, char *ret, size_t size)
{
	return fd == 5 ? snprintf(ret, size, "/") : -EBADF;
}

static const struct rk__host host = {
	.client = client, .find = find, .native = native,
	.host_cwd = host_cwd, .host_path = host_path,
};

static const struct rk__proxy_config config = {
	.n_servers = 2, .n_mounts = 3,
	.mount = {
		{ .path = "/vol", .server = 0 },
		{ .path = "/vol/sub", .server = 1 },
		{ .path = "/deep/er/mnt", .server = 1 },
	},
};

static struct rk__task task = {
	.host = &host, .config = &config, .cwd = { .fd = RK_AT_FDCWD },
};

static struct rk__place p;

/* What it leads to: "0 path", "1:fd path", "host", "-errno". */
static const char *where(int dirfd, const char *path, unsigned how)
{
	static char text[5000];
	int r = rk__place(&task, dirfd, path, how, &p);

	if (r < 0)
		return strerrorname_np(-r);
	if (!p.inside)
		return "host";
	if (p.dirfd == RK_AT_FDCWD)
		snprintf(text, sizeof text, "%u %s", p.server, p.path);
	else
		snprintf(text, sizeof text, "%u:%d %s", p.server, p.dirfd,
			 p.path);
	return text;
}

static void follows(int dirfd, const char *path, const char *to)
{
	cr_expect_str_eq(where(dirfd, path, RK__FOLLOW), to, "%s", path);
}

/* --- tests -------------------------------------------------------------------------- */

Test(route_path, letters)
{
	task.cwd.inside = false;
	follows(AT_FDCWD, "/etc/passwd", "host");
	follows(AT_FDCWD, "/vol", "0 /vol");
	follows(AT_FDCWD, "//vol/./f", "0 //vol/./f");
	follows(AT_FDCWD, "/./vol/", "0 /./vol/");
	follows(AT_FDCWD, "/volume/f", "host");
	follows(AT_FDCWD, "/x/vol", "host");
	follows(AT_FDCWD, "/vol/sub", "1 /vol/sub");
	follows(AT_FDCWD, "/vol/sub/f", "1 /vol/sub/f");
	follows(AT_FDCWD, "/vol/subway", "0 /vol/subway");
	follows(AT_FDCWD, "/vol/a/../sub", "0 /vol/a/../sub");
	follows(AT_FDCWD, "/deep/er/mnt/x", "1 /deep/er/mnt/x");
	follows(AT_FDCWD, "/deep/er", "host");
	follows(5, "vol/f", "0 //vol/f");
	follows(5, "etc/passwd", "host");
}

Test(route_path, dotdot_outside)
{
	task.cwd.inside = false;
	follows(AT_FDCWD, "/home/../vol/f", "0 /vol/f");
	follows(AT_FDCWD, "../../vol/f", "0 /vol/f");
	follows(AT_FDCWD, "/../../vol", "0 /vol");
	/* Nobody goes through what is not there. */
	follows(AT_FDCWD, "/none/../vol/f", "host");
	follows(AT_FDCWD, "/deep/../vol/f", "0 /vol/f");
}

Test(route_path, symlinks_of_the_host)
{
	task.cwd.inside = false;
	follows(AT_FDCWD, "to-vol", "0 /vol");
	follows(AT_FDCWD, "to-vol/f", "0 /vol/f");
	follows(AT_FDCWD, "/home/me/into", "0 /vol/d");
	follows(AT_FDCWD, "/home/me/up/me/into/f/", "0 /vol/d/f/");
	follows(AT_FDCWD, "a", "0 /vol/x");
	follows(AT_FDCWD, "loop", "ELOOP");
	cr_expect_str_eq(where(AT_FDCWD, "to-vol", 0), "host");
	cr_expect_str_eq(where(AT_FDCWD, "to-vol/", 0), "0 /vol/");
	cr_expect_str_eq(where(AT_FDCWD, "to-vol/new", RK__PARENT),
			 "0 /vol/new");
}

Test(route_path, in_a_server)
{
	task.cwd = (struct rk__cwd){ .inside = true, .fd = RK_AT_FDCWD };
	follows(AT_FDCWD, "f", "0 f");
	follows(AT_FDCWD, "../f", "0 ../f");
	follows(AT_FDCWD, "/etc/passwd", "host");
	follows(AT_FDCWD, "sub/f", "1 /vol/sub/f");
	follows(AT_FDCWD, "x/sub/f", "0 x/sub/f");
	task.cwd.fd = 9;
	follows(AT_FDCWD, "f", "0:9 f");
	task.cwd.inside = false;
	follows(12, "f", "0:5 f");
	follows(21, "../f", "1:14 ../f");
}

Test(route_path, names_of_proc)
{
	char path[64];

	task.cwd.inside = false;
	follows(AT_FDCWD, "/proc/self/fd/12", "0:5 ");
	cr_expect(p.itself);
	follows(AT_FDCWD, "/proc/thread-self/fd/12/x", "0:5 x");
	follows(AT_FDCWD, "/dev/fd/20", "1:13 ");
	follows(AT_FDCWD, "/proc/self/fd/3", "host");
	follows(AT_FDCWD, "/proc/self/fd/12x", "host");
	follows(AT_FDCWD, "/proc/self/fd/99999999999", "host");
	snprintf(path, sizeof path, "/proc/%d/fd/12", getpid());
	follows(AT_FDCWD, path, "0:5 ");
	follows(AT_FDCWD, "/proc/1/fd/12", "host");
	cr_expect_str_eq(where(AT_FDCWD, "/proc/self/fd/12", 0), "host");
	follows(AT_FDCWD, "/proc/self/cwd/f", "host");
	task.cwd = (struct rk__cwd){ .inside = true, .fd = RK_AT_FDCWD };
	follows(AT_FDCWD, "/proc/self/cwd/f", "0 f");
	follows(AT_FDCWD, "/proc/self/cwd", "0 ");
	cr_expect(p.itself);
}

static void leaves(const char *path, int result, const char *to)
{
	int r;

	where(AT_FDCWD, path, RK__FOLLOW);
	cr_assert(p.inside, "%s", path);
	r = rk__place_leave(&task, &p, RK__FOLLOW);
	cr_expect_eq(r, result, "%s: %d", path, r);
	if (r > 0)
		cr_expect_str_eq(p.path, to);
}

Test(route_path, out_of_a_server)
{
	task.cwd = (struct rk__cwd){ .inside = true, .fd = RK_AT_FDCWD };
	leaves("/vol/out", 1, "/etc/passwd");
	cr_expect(!p.inside && p.moved);
	leaves("../x", 1, "/x");
	cr_expect(!p.inside && p.moved);
	leaves("/vol/back", 1, "/vol/f");
	cr_expect(p.inside && p.server == 0);
	leaves("/vol/other", 1, "/vol/sub/f");
	cr_expect(p.inside && p.server == 1);
	leaves("/vol/stays", 0, "");
}

Test(route_path, round_and_round)
{
	int r = 1;

	where(AT_FDCWD, "/vol/back", RK__FOLLOW);
	for (int i = 0; i < 100 && r > 0; i++) {
		r = rk__place_leave(&task, &p, RK__FOLLOW);
		strcpy(p.path, "/vol/back");
	}
	cr_expect_eq(r, -ELOOP);
}

Test(route_path, too_long)
{
	char path[5000], link[4096] = "to-vol";

	task.cwd.inside = false;
	memset(path, 'a', sizeof path);
	path[sizeof path - 1] = 0;
	follows(AT_FDCWD, path, "ENAMETOOLONG");
	/* What is absolute does not fit. */
	memset(link + 6, '/', sizeof link - 7);
	memcpy(link + sizeof link - 4, "vol", 4);
	follows(AT_FDCWD, link, "ENAMETOOLONG");
}

Test(route_path, roots)
{
	cr_expect_str_eq(rk__root_of(&config, "/vol"), "/vol");
	cr_expect_str_eq(rk__root_of(&config, "//vol/./"), "/vol");
	cr_expect_null(rk__root_of(&config, "/vol/x"));
	cr_expect_null(rk__root_of(&config, "vol"));
	cr_expect_str_eq(rk__root_of(&config, "/vol/sub/"), "/vol/sub");
}
