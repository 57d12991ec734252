/*
 * route.h - from a system call of a program to calls of a server.
 *
 * One system call, as the kernel would get it (number, six words), is looked at:
 * either it is none of ours, and the caller has it done by the kernel as it is, or
 * it is done here, and its result is the kernel's: >= 0 or a negative errno. The
 * same code serves both proxies. What differs between them (whose memory the
 * words point to, who keeps descriptors, how a call of the host is done) is
 * behind struct rk__host.
 *
 * Two ways to stand to a mount. Without one (the usual), descriptors of the
 * server are placeholders in the program's own table: real descriptors, O_PATH
 * of a memfd, so that whatever bypasses the proxy gets EBADF and never swallows
 * data. Over one (config.over_mount), only calls that name a file by an
 * absolute path and give no descriptor go to the server; whatever has a
 * descriptor is the mount's own, and slower, never wrong.
 *
 * This code runs inside of programs that know nothing of it: it uses no stdio,
 * no locale, no malloc that the program might be in the middle of; see
 * preload/bare.h for the functions that there are.
 */
#ifndef RK_ROUTE_H
#define RK_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include "proxy.h"
#include "rump/client.h"

enum { RK__CALLS = 512 };		/* system call numbers are below */

/* A descriptor of a server. */
struct rk__target {
	uint32_t server;		/* of the configuration */
	struct rk_client *client;
	int32_t fd;
};

struct rk__task;

struct rk__host {
	/* The caller is another process: neither its memory nor its descriptors
	 * nor its signal mask is ours. */
	bool foreign;
	/* The caller's memory. 0, or -EFAULT. string: its length without the NUL,
	 * -ENAMETOOLONG if it does not fit. */
	int (*string)(struct rk__task *t, uint64_t at, char *ret, size_t size);
	int (*copy_in)(struct rk__task *t, void *ret, uint64_t at, size_t n);
	int (*copy_out)(struct rk__task *t, uint64_t at, const void *p, size_t n);
	/*
	 * The same without a copy where the memory is our own. in: n bytes to be
	 * read; out: room for n bytes, of which out_done() hands over `used`.
	 * Valid until the call ends. NULL: -EFAULT, or -ENOMEM.
	 */
	const void *(*in)(struct rk__task *t, uint64_t at, size_t n);
	void *(*out)(struct rk__task *t, uint64_t at, size_t n);
	int (*out_done)(struct rk__task *t, uint64_t at, void *p, size_t used);

	/* The client of a server; attaches at first use, and tells it the umask
	 * and the limits. 0 or a negative errno. */
	int (*client)(struct rk__task *t, uint32_t server,
		      struct rk_client **ret);
	/* The same if it is attached, or NULL. */
	struct rk_client *(*attached)(struct rk__task *t, uint32_t server);
	/* Whether a descriptor of the caller is a server's. */
	bool (*find)(struct rk__task *t, int fd, struct rk__target *ret);
	/* A descriptor of the caller for one of a server, the lowest that is free;
	 * takes over target->fd, also if it fails. flags: O_CLOEXEC. */
	int (*install)(struct rk__task *t, const struct rk__target *target,
		       uint32_t flags);
	/* A descriptor of the host that the caller has, usable here until
	 * give_back(); or a negative errno. */
	int (*borrow)(struct rk__task *t, int fd);
	void (*give_back)(struct rk__task *t, int fd);
	/* A descriptor of the host, made here, for the caller; takes it over. */
	int (*install_host)(struct rk__task *t, int fd, uint32_t flags);

	/* Has the kernel do a call for the caller whose pointers are ours. Paths in
	 * it are absolute, or as the caller gave them; descriptors in it are the
	 * caller's. Of a foreign caller, one that it makes is ours: for
	 * install_host(). */
	int64_t (*native)(struct rk__task *t, long nr, const uint64_t arg[6]);
	/* The caller's working directory on the host, absolute. Its length, or a
	 * negative errno. Only asked when it is not in a server. */
	int (*host_cwd)(struct rk__task *t, char *ret, size_t size);
	/* The directory that a descriptor of the host is, absolute. As before. */
	int (*host_path)(struct rk__task *t, int fd, char *ret, size_t size);
	/* After a chdir: t->cwd has changed and wants to be remembered. */
	void (*cwd_changed)(struct rk__task *t);
};

/* Where a process is. */
struct rk__cwd {
	bool inside;			/* in a server: there it is its own cwd */
	uint32_t server;
	int32_t fd;			/* inside: RK_AT_FDCWD, or a descriptor of
					 * the directory, if cwd_by_fd */
};

/* Who calls. The host's own state may follow; it embeds this. */
struct rk__task {
	const struct rk__host *host;
	const struct rk__proxy_config *config;
	struct rk__cwd cwd;
	/* The client's working directory is another's: a chdir into a server keeps
	 * a descriptor of the directory instead. */
	bool cwd_by_fd;
	/* Of a foreign caller: its directory on the host is not the one that the
	 * kernel has for it, so paths that start there are made absolute. */
	bool cwd_apart;
};

enum rk__routed {
	RK__NATIVE,			/* none of ours: as it is */
	RK__DONE,			/* *ret is its result */
};

/* One call. arg: as the kernel gets them. May block as the call does. */
enum rk__routed rk__route(struct rk__task *t, long nr, const uint64_t arg[6],
			  int64_t *ret);

/*
 * What may make a call ours, by its number: how the proxies know at once which
 * are none of their business.
 */
enum rk__class {
	RK__CLASS_NONE,			/* never */
	RK__CLASS_FD0,			/* its first word, a descriptor */
	RK__CLASS_ANY,			/* has to be looked at */
};
extern const uint8_t rk__class[RK__CALLS];

/* A call that changes by whose ids a process is served, whatever it comes to. */
static inline bool rk__changes_ids(long nr)
{
	switch (nr) {
	case SYS_setuid:
	case SYS_setgid:
	case SYS_setreuid:
	case SYS_setregid:
	case SYS_setresuid:
	case SYS_setresgid:
	case SYS_setfsuid:
	case SYS_setfsgid:
	case SYS_setgroups:
		return true;
	}
	return false;
}

/* --- between the files of this folder ------------------------------------------ */

typedef enum rk__routed rk__handler(struct rk__task *t, long nr,
				    const uint64_t arg[6], int64_t *ret);

/*
 * path.c: where a path leads. A relative one starts at dirfd or the working
 * directory, of the host or of a server.
 */
struct rk__place {
	bool inside;			/* then: */
	uint32_t server;
	struct rk_client *client;
	int32_t dirfd;			/* of the server, or RK_AT_FDCWD */
	bool itself;			/* it is dirfd, path is "" */

	bool moved;			/* on the host, path is not as it was given
					 * but absolute */
	uint8_t leaves;			/* how often it went out of a server */
	char path[4096];		/* of the server, or of the host */
};
enum rk__how {
	RK__FOLLOW = 1,			/* the last component if it is a symlink */
	RK__PARENT = 2,			/* its directory is what must be there */
};
/*
 * By its letters, the host's symbolic links, and where the mounts are. It is
 * for the server to say (-EXDEV) that it leads out again: then
 * rk__place_leave() follows it, at most 40 times a call (-ELOOP). 0 or a
 * negative errno.
 */
int rk__place(struct rk__task *t, int dirfd, const char *path, unsigned how,
	      struct rk__place *ret);
/* After -EXDEV of a call with this place. 1: *p is where it leads instead;
 * 0: it does not leave, the error is the answer; or a negative errno. */
int rk__place_leave(struct rk__task *t, struct rk__place *p, unsigned how);

#endif
