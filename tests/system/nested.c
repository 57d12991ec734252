/*
 * nested.c - a mount on a directory of another one, as clients of their server
 * see it: /vol and /vol/sub.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include "rump/client.h"

static unsigned failures;

#define IS(call, expected) do {						\
	long got_ = (long)(call), want_ = (expected);			\
									\
	if (got_ != want_ && ++failures < 20)				\
		printf("line %d: %s is %ld, not %ld\n", __LINE__, #call, \
		       got_, want_);					\
} while (0)

int main(void)
{
	struct rk_stat outer, inner, st;
	struct rk_client *c;
	char path[108], cwd[64];
	int32_t fd;

	if (rk_socket_path(NULL, path, sizeof path) < 0 ||
	    rk_attach(path, 0, &c) < 0)
		return 2;
	IS(rk_fstatat(c, RK_AT_FDCWD, "/vol", &outer, 0), 0);
	IS(rk_fstatat(c, RK_AT_FDCWD, "/vol/sub", &inner, 0), 0);
	IS(inner.dev == outer.dev, 0);
	IS(rk_chdir(c, "/vol"), 0);
	IS(rk_symlinkat(c, "sub/in", RK_AT_FDCWD, "link"), 0);
	for (unsigned i = 0; i < 500; i++) {
		IS(rk_fstatat(c, RK_AT_FDCWD, "sub", &st, 0), 0);
		IS(st.dev == inner.dev && st.ino == inner.ino, 1);
		fd = (int32_t)rk_openat(c, RK_AT_FDCWD, "sub/in",
					O_CREAT | O_RDWR, 0600);
		IS(rk_fstat(c, fd, &st), 0);
		IS(st.dev == inner.dev, 1);
		IS(rk_close(c, fd), 0);
		IS(rk_fstatat(c, RK_AT_FDCWD, "sub/../sub/../link", &st, 0), 0);
		IS(st.dev == inner.dev, 1);
	}
	IS(rk_unlinkat(c, RK_AT_FDCWD, "sub", AT_REMOVEDIR), -16);
	IS(rk_renameat2(c, RK_AT_FDCWD, "sub", RK_AT_FDCWD, "x", 0), -16);
	IS(rk_renameat2(c, RK_AT_FDCWD, "sub/in", RK_AT_FDCWD, "in", 0), -18);
	IS(rk_renameat2(c, RK_AT_FDCWD, "/vol/sub", RK_AT_FDCWD, "x", 0), -16);
	IS(rk_renameat2(c, RK_AT_FDCWD, "x", RK_AT_FDCWD, "/vol", 0), -18);
	IS(rk_mkdirat(c, RK_AT_FDCWD, "sub", 0700), -17);
	IS(rk_chdir(c, "sub"), 0);
	IS(rk_getcwd(c, cwd, sizeof cwd), 9);
	IS(strcmp(cwd, "/vol/sub"), 0);
	IS(rk_chdir(c, ".."), 0);
	IS(rk_getcwd(c, cwd, sizeof cwd), 5);
	IS(strcmp(cwd, "/vol"), 0);
	IS(rk_chdir(c, ".."), -18);
	rk_detach(c);
	return failures != 0;
}
