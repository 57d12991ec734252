/*
 * route.c - calls that name files, with arguments, memory, host and servers as
 * the input has them: nobody is believed, nothing is read or written where the
 * caller has no memory.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rump/door.h>
#include "route/path.h"

enum { BASE = 1 << 20, MEMORY = 1 << 16 };

static const uint8_t *data;
static size_t left;
static uint8_t memory[MEMORY];		/* of the caller, at BASE */

static uint64_t take(size_t n)
{
	uint64_t v = 0;

	n = n < left ? n : left;
	memcpy(&v, data, n);
	data += n;
	left -= n;
	return v;
}

/* --- the host ----------------------------------------------------------------------- */

static uint8_t *at_of(uint64_t at, size_t n)
{
	return at >= BASE && at < BASE + MEMORY && n <= BASE + MEMORY - at ?
		       memory + (at - BASE) : NULL;
}

static int string(struct rk__task *t, uint64_t at, char *ret, size_t size)
{
	const uint8_t *p = at_of(at, 1);
	size_t n;

	if (!p)
		return -EFAULT;
	n = strnlen((const char *)p, (size_t)(memory + MEMORY - p));
	if (p + n == memory + MEMORY)
		return -EFAULT;
	if (n >= size)
		return -ENAMETOOLONG;
	memcpy(ret, p, n + 1);
	return (int)n;
}

static int copy_in(struct rk__task *t, void *ret, uint64_t at, size_t n)
{
	const uint8_t *p = at_of(at, n);

	if (p)
		memcpy(ret, p, n);
	return p ? 0 : -EFAULT;
}

static int copy_out(struct rk__task *t, uint64_t at, const void *from, size_t n)
{
	uint8_t *p = at_of(at, n);

	if (p)
		memcpy(p, from, n);
	return p ? 0 : -EFAULT;
}

static const void *in(struct rk__task *t, uint64_t at, size_t n)
{
	return at_of(at, n);
}

static void *out(struct rk__task *t, uint64_t at, size_t n)
{
	return at_of(at, n);
}

static int out_done(struct rk__task *t, uint64_t at, void *p, size_t used)
{
	return 0;
}

static struct rk_client *clients[2];

static int client(struct rk__task *t, uint32_t server, struct rk_client **ret)
{
	if (server > 1)
		abort();
	*ret = clients[server];
	return take(1) == 255 ? -ECONNREFUSED : 0;
}

static struct rk_client *attached(struct rk__task *t, uint32_t server)
{
	return clients[server];
}

static bool find(struct rk__task *t, int fd, struct rk__target *ret)
{
	if (fd < 10 || fd > 30)
		return false;
	*ret = (struct rk__target){
		.server = fd & 1, .client = clients[fd & 1], .fd = fd,
	};
	return true;
}

static int install(struct rk__task *t, const struct rk__target *f,
		   uint32_t flags)
{
	return 11;
}

static int install_host(struct rk__task *t, int fd, uint32_t flags)
{
	return fd;
}

/* Answers what it wants, text of links among it. */
static int64_t native(struct rk__task *t, long nr, const uint64_t a[6])
{
	static const char *const links[] = {
		"/vol", "../vol", "/", "..", "loop", "/proc/self/fd/11/x",
	};
	unsigned what = (unsigned)take(1);
	const char *link = links[what % 6];
	unsigned word = nr == SYS_readlinkat ? 2 : 1;
	size_t n = strlen(link);

	if (nr != SYS_readlink && nr != SYS_readlinkat)
		return what & 1 ? 0 : -(int64_t)(what >> 1);
	if (what & 0x80)
		return what & 1 ? -EINVAL : -ENOENT;
	n = n < a[word + 1] ? n : a[word + 1];
	/* The caller's own words come here as they are; ours are far above. */
	if (a[word] < 1ull << 32 || a[word] >> 47)
		return copy_out(t, a[word], link, n) < 0 ? -EFAULT : (int64_t)n;
	memcpy((void *)(uintptr_t)a[word], link, n);
	return (int64_t)n;
}

static int host_path(struct rk__task *t, int fd, char *ret, size_t size)
{
	if (take(1) & 1)
		return -ENOENT;
	strcpy(ret, "/home/me");
	return 8;
}

static int host_cwd(struct rk__task *t, char *ret, size_t size)
{
	return host_path(t, -1, ret, size);
}

static void cwd_changed(struct rk__task *t)
{
}

/* --- the servers -------------------------------------------------------------------- */

/* As far as the client believes what comes over a channel. */
static int64_t believed(const struct rk_request *req, uint32_t *out_len,
			int64_t r)
{
	if (r < 0)
		*out_len = 0;
	if (rk_answer_check(req->op, req->out_len, r, *out_len) == 0)
		return r;
	*out_len = 0;
	return -EPROTO;
}

static int64_t serve(void *ctx, const struct rk_request *req, const void *p,
		     void *room, uint32_t *ret_out_len)
{
	uint32_t n = (uint32_t)take(2);
	int64_t r;

	*ret_out_len = n = n < req->out_len ? n : req->out_len;
	if (req->out_len && (n & 3) == 0)
		*ret_out_len = n = req->out_len;
	switch (take(1) & 7) {
	case 0: case 1:
		r = -EXDEV;
		break;
	case 2:
		r = -(int64_t)take(1);
		break;
	case 3:
		r = (int64_t)take(8);
		break;
	case 4:
		r = 0;
		break;
	default:
		r = n;
	}
	r = believed(req, ret_out_len, r);
	/* Nothing comes back with an error: the room is the caller's own. */
	for (uint32_t i = 0; i < *ret_out_len && left; i++)
		((uint8_t *)room)[i] = (uint8_t)take(1);
	return r;
}

static const struct rk__proxy_config plain = {
	.n_servers = 2, .n_mounts = 3,
	.mount = {
		{ .path = "/vol", .server = 0 },
		{ .path = "/vol/sub", .server = 1 },
		{ .path = "/m", .server = 1, .hides = RK__HIDES_FILES },
	},
};

static const long numbers[] = {
#define NUMBER(name, class) SYS_##name,
	RK__NAME_CALLS(NUMBER)
#undef NUMBER
};

/* Where many calls find something that leads somewhere. */
static const char *const texts[] = {
	"/vol/f", "../x", "/proc/self/fd/11", "to/vol", "", "/vol", "sub/f",
	"/m/../vol/x", "/dev/stdin", "/home/me/link", "user.name", ".",
	"/vol/socket", "f", "/proc/self/cwd/d", "/vol/sub/..",
};
enum { TEXT = 64 };

static uint64_t word(void)
{
	static const uint64_t some[] = {
		0, 1, 3, 11, 12, (uint64_t)-100, 0x100, 0x1000, 0x1100, 24, 64,
		4096, 65536, BASE, BASE + 4096, BASE + MEMORY - 1,
	};
	uint64_t which = take(1);

	if (which >= 64 && which < 192)
		return BASE + TEXT * (which % 16);
	return which < 64 ? some[which % 16] : which < 240 ?
		       BASE + take(2) : take(4);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const struct rk_door door = { .call = serve };
	struct rk__proxy_config config = plain;
	struct rk__host host = {
		.string = string, .copy_in = copy_in, .copy_out = copy_out,
		.in = in, .out = out, .out_done = out_done, .client = client,
		.attached = attached, .find = find, .install = install,
		.install_host = install_host, .native = native,
		.host_cwd = host_cwd, .host_path = host_path,
		.cwd_changed = cwd_changed,
	};
	struct rk__task t = {
		.host = &host, .config = &config, .cwd = { .fd = RK_AT_FDCWD },
	};

	for (int i = 0; i < 2; i++)
		if (!clients[i] && rk_attach_door(&door, NULL, &clients[i]) < 0)
			return 0;
	data = input;
	left = size;
	host.foreign = take(1) & 1;
	config.over_mount = take(1) % 4 == 3;
	if (config.over_mount)
		host.foreign = false;
	t.cwd_by_fd = take(1) & 1;
	memset(memory, 'x', sizeof memory);
	for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++)
		strcpy((char *)memory + i * TEXT, texts[i]);
	for (uint64_t n = take(1); n-- && left;) {
		uint64_t at = take(2);

		for (uint64_t m = take(1); m-- && left && at < MEMORY; at++)
			memory[at] = (uint8_t)take(1);
	}
	for (int n = 0; n < 16 && left; n++) {
		long nr = numbers[take(1) % (sizeof numbers / sizeof *numbers)];
		uint64_t arg[6];
		int64_t r;

		for (int i = 0; i < 6; i++)
			arg[i] = word();
		(void)rk__route(&t, nr, arg, &r);
	}
	return 0;
}
