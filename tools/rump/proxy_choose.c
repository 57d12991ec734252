/*
 * proxy_choose.c - which proxy, if any: what was asked for, what can be had
 * here, and what the program is. See run_proxy.h.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "run.h"
#include "notify/filter.h"
#include "supervisor/mount.h"
#include "supervisor/words.h"
#include "supervisor/namespace.h"

#define LIBRARY "librump-preload.so"
#define SYMBOLS "librump-interpose.so"

static const char *const words[] = {
	[PROXY_AUTO] = "auto", [PROXY_PRELOAD] = "preload",
	[PROXY_NOTIFY] = "notify", [PROXY_NONE] = "none",
};

enum { N_WORDS = sizeof words / sizeof *words };

int proxy_read_kind(const char *word, enum proxy_kind *ret, char *error)
{
	unsigned best = UINT_MAX, d;
	int nearest = PROXY_AUTO;

	for (int i = PROXY_AUTO; i < N_WORDS; i++) {
		d = rk__word_distance(word, words[i]);
		if (d < best) {
			best = d;
			nearest = i;
		}
	}
	*ret = nearest;
	if (best == 0)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "--proxy: there is no '%.50s'%s%s%s"
		 " (auto, preload, notify, none)", word,
		 best <= 2 ? "; is '" : "", best <= 2 ? words[nearest] : "",
		 best <= 2 ? "' meant?" : "");
	return -EINVAL;
}

bool proxy_is_on(const struct run *r)
{
	return r->proxy.kind == PROXY_PRELOAD || r->proxy.kind == PROXY_NOTIFY;
}

/* --- what can be had --------------------------------------------------------------- */

/* Runs fn in a process of its own; 0, or a negative errno with its sentence. */
static int in_child(int (*fn)(char *error), char *error)
{
	char text[RK_SERVER_ERROR_LEN] = "";
	int pipe_fd[2], status = 0;
	ssize_t n = 0;
	pid_t pid;

	if (pipe2(pipe_fd, O_CLOEXEC) < 0)
		goto fail;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		int e = fn(text);

		if (e < 0)
			(void)!write(pipe_fd[1], text, sizeof text);
		_exit(-e);
	}
	close(pipe_fd[1]);
	if (pid > 0) {
		n = read(pipe_fd[0], error, RK_SERVER_ERROR_LEN);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	close(pipe_fd[0]);
	if (pid < 0)
		goto fail;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (n <= 0)
		snprintf(error, RK_SERVER_ERROR_LEN, "a process that tried it "
			 "was killed");
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
fail:
	snprintf(error, RK_SERVER_ERROR_LEN, "cannot fork: %s",
		 strerror(errno));
	return -EAGAIN;
}

/* Nobody answers this mount; it goes with the namespace. */
static int mount_something(char *error)
{
	struct rk__mount_how how = { .source = "probe", .flags = RK_MOUNT_FLAGS };
	int fuse = -1, e = rk__namespace_unshare(error);

	return e < 0 ? e : rk__fuse_mount("/proc", &how, &fuse, error);
}

int proxy_try_fuse(char *error)
{
	return in_child(mount_something, error);
}

bool have_capability(int number)
{
	struct __user_cap_header_struct h = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct d[2];

	return syscall(SYS_capget, &h, d) == 0 &&
	       d[number / 32].effective & 1u << number % 32;
}

/* The notifier reads the memory of processes that are not its children. */
static int check_yama(char *error)
{
	FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope = 0;

	if (f && fscanf(f, "%d", &scope) != 1)
		scope = 0;
	if (f)
		fclose(f);
	if (!scope || (scope < 3 && have_capability(CAP_SYS_PTRACE)))
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "this user may not look into other "
		 "processes here (kernel.yama.ptrace_scope is %d)", scope);
	return -EPERM;
}

int proxy_try_notify(char *error)
{
#ifdef __x86_64__
	char why[RK__FILTER_WHY] = "";
	int e = check_yama(error);

	if (e < 0)
		return e;
	e = rk__filter_probe(why);
	if (e < 0)
		snprintf(error, RK_SERVER_ERROR_LEN, "%s", why);
	return e;
#else
	snprintf(error, RK_SERVER_ERROR_LEN, "it is made for x86-64 only");
	return -ENOSYS;
#endif
}

/* Where the library is: $RUMP_PRELOAD, beside this program, installed. */
static int find_library(char *ret, size_t size, char *error)
{
	static const char *const beside[] = {
		"../../syscall-proxy/preload/" LIBRARY,
		RUMP_DRIVER_BESIDE "/" LIBRARY,
	};
	const char *given = getenv("RUMP_PRELOAD");
	char exe[PATH_MAX], path[PATH_MAX * 2];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);

#ifndef __x86_64__
	snprintf(error, RK_SERVER_ERROR_LEN, "it is made for x86-64 only");
	return -ENOSYS;
#endif
	if (given && *given) {
		snprintf(ret, size, "%s", given);
		if (*given == '/' && access(given, R_OK) == 0)
			return 0;
		snprintf(error, RK_SERVER_ERROR_LEN, "its library is not found "
			 "(RUMP_PRELOAD says %.150s, and takes an absolute path)",
			 given);
		return -ENOENT;
	}
	exe[n > 0 ? n : 0] = 0;
	if (strrchr(exe, '/'))
		*strrchr(exe, '/') = 0;
	for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
		snprintf(path, sizeof path, "%s/%s", exe, beside[i]);
		if (realpath(path, ret))
			return 0;
	}
	snprintf(ret, size, "%s/%s", RUMP_DRIVER_DIR, LIBRARY);
	if (access(ret, R_OK) == 0)
		return 0;
	snprintf(error, RK_SERVER_ERROR_LEN, "its library " LIBRARY
		 " is not found");
	return -ENOENT;
}

/* --- what the program is ------------------------------------------------------------ */

struct kind {
	bool is_static, foreign;
	bool privileged;		/* set-user-ID, of somebody else */
	char path[PATH_MAX];
};

/* Has it a loader, which would load the library? */
static void read_elf(int fd, const unsigned char *head, struct kind *ret)
{
	Elf64_Ehdr h;
	Elf64_Phdr p;

	memcpy(&h, head, sizeof h);
	if (h.e_ident[EI_CLASS] != ELFCLASS64 || h.e_machine != EM_X86_64) {
		ret->foreign = true;
		return;
	}
	ret->is_static = true;
	for (unsigned i = 0; i < h.e_phnum; i++)
		if (pread(fd, &p, sizeof p, h.e_phoff + i * sizeof p) ==
		    sizeof p && p.p_type == PT_INTERP)
			ret->is_static = false;
}

/* The interpreter that a script names, or NULL. */
static char *interpreter(char *head)
{
	char *name = head + 2;

	if (strncmp(head, "#!", 2) != 0)
		return NULL;
	name += strspn(name, " \t");
	name[strcspn(name, " \t\r\n")] = 0;
	return *name ? name : NULL;
}

static void look_at_file(const char *path, unsigned depth, struct kind *ret)
{
	char head[512] = "", *script;
	struct stat st;
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return;
	n = read(fd, head, sizeof head - 1);
	snprintf(ret->path, sizeof ret->path, "%s", path);
	if (n >= (ssize_t)sizeof(Elf64_Ehdr) &&
	    memcmp(head, ELFMAG, SELFMAG) == 0) {
		read_elf(fd, (unsigned char *)head, ret);
		/* scripts are not run with other ids */
		if (fstat(fd, &st) == 0 &&
		    ((st.st_mode & S_ISUID && st.st_uid != geteuid()) ||
		     (st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)))
			ret->privileged = geteuid() != 0;
	} else if (depth < 4 && (script = interpreter(head))) {
		look_at_file(script, depth + 1, ret);
	}
	close(fd);
}

static void look_at_program(const char *name, struct kind *ret)
{
	const char *dir = getenv("PATH");
	char path[PATH_MAX];

	memset(ret, 0, sizeof *ret);
	if (strchr(name, '/')) {
		look_at_file(name, 0, ret);
		return;
	}
	for (; dir && *dir; dir += strcspn(dir, ":"), dir += *dir == ':') {
		snprintf(path, sizeof path, "%.*s/%s", (int)strcspn(dir, ":"),
			 dir, name);
		if (access(path, X_OK) == 0) {
			look_at_file(path, 0, ret);
			return;
		}
	}
}

/* --- the choice ---------------------------------------------------------------------- */

static int check_options(const struct run *r)
{
	const char *word = words[r->proxy.kind];

	if (r->rooted || r->n_binds)
		return complain("run: %s is a mount, and --proxy=%s is for "
				"programs without; leave one of them out",
				r->rooted ? "--root" : "--bind", word);
	if (r->proxy.under_mount && !r->config.fuse)
		return complain("run: --under-mount is about a mount, and "
				"--no-fuse makes none");
	if (r->proxy.no_net && r->proxy.kind == PROXY_NOTIFY)
		return complain("run: --no-net leaves out what --proxy=notify "
				"is");
	for (unsigned i = 0; i < r->n_uses; i++)
		if (r->use[i].moved_to[0])
			return complain("run: -s %s=%s moves a mount, which "
					"--proxy=%s cannot; leave out '=%s'",
					r->use[i].name, r->use[i].moved_to,
					word, r->use[i].moved_to);
	return 0;
}

/* What --proxy=preload alone would not see, when there is no net. */
static int check_program(struct proxy *p, const char *name, const char *why)
{
	struct kind k;

	look_at_program(name, &k);
	if (k.foreign)
		return complain("%s is no program for x86-64, and its calls "
				"would not be seen", k.path);
	if (k.privileged && !p->net)
		return complain("%s changes its user (set-id), and the loader "
				"lets no library into it; run it as that user",
				k.path);
	if (k.privileged)
		fprintf(stderr, "rump: %s is set-id: under the seccomp filter "
			"(no_new_privs) it runs without that\n", k.path);
	if (k.is_static && !p->net)
		return complain("%s is static, no library can be put into it%s%s"
				"; %s", k.path, why[0] ? ", and " : "", why,
				why[0] ? "it needs a mount" :
				"use --proxy=notify");
	return 0;
}

/* Libc's code is a file that is mapped, and so is this. */
static int patch_something(char *error)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	volatile char *p = mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd,
				0);
	int e = p == MAP_FAILED ? -errno : 0;

	if (!e && mprotect((void *)(uintptr_t)p, 1, PROT_READ | PROT_WRITE))
		e = -errno;
	if (!e) {
		*p = *p;
		if (mprotect((void *)(uintptr_t)p, 1, PROT_READ | PROT_EXEC))
			e = -errno;
	}
	if (e)
		snprintf(error, RK_SERVER_ERROR_LEN, "code cannot be changed "
			 "here: %s", strerror(-e));
	return e;
}

/* Libc's symbols instead of its calls: one more library, and no net, whose page
 * could not be made either. */
static void take_symbols(struct proxy *p, const char *why)
{
	char first[sizeof p->library];

	memcpy(first, p->library, sizeof first);
	p->symbols = true;
	p->net = false;
	snprintf(p->library, sizeof p->library, "%s:%.*s/%s", first,
		 (int)(strrchr(first, '/') - first), first, SYMBOLS);
	fprintf(stderr, "rump: proxy: preload by libc's symbols, so static "
		"programs and calls that libc makes by itself are not seen: "
		"%s\n", why);
}

static int take_preload(struct run *r, const char *name)
{
	char error[RK_SERVER_ERROR_LEN] = "", why[sizeof error] = "";
	struct proxy *p = &r->proxy;

	if (find_library(p->library, sizeof p->library, error) < 0)
		return complain("--proxy=preload: %s", error);
	p->kind = PROXY_PRELOAD;
	if (in_child(patch_something, why) < 0) {
		take_symbols(p, why);
		return check_program(p, name, why);
	}
	p->net = !p->no_net && proxy_try_notify(why) == 0;
	if (!p->net && !p->no_net)
		fprintf(stderr, "rump: proxy: preload without a net, so static "
			"programs and calls that are not made by libc are not "
			"seen: %s\n", why);
	return check_program(p, name, why);
}

static int take_notify(struct run *r, const char *name)
{
	char why[RK_SERVER_ERROR_LEN] = "";
	int e = proxy_try_notify(why);

	if (e < 0)
		return complain("--proxy=notify: %s", why);
	r->proxy.kind = PROXY_NOTIFY;
	r->proxy.net = true;
	return check_program(&r->proxy, name, "");
}

/* Without a mount; why there is none. */
static int take_best(struct run *r, const char *name, const char *why)
{
	char error[RK_SERVER_ERROR_LEN] = "", no_net[sizeof error] = "";
	char cannot[sizeof error] = "";
	struct proxy *p = &r->proxy;
	bool can_patch;
	int e;

	p->net = !p->no_net && proxy_try_notify(no_net) == 0;
	can_patch = in_child(patch_something, cannot) == 0;
	if ((can_patch || !p->net) &&
	    find_library(p->library, sizeof p->library, error) == 0)
		p->kind = PROXY_PRELOAD;
	else if (p->net)
		p->kind = PROXY_NOTIFY;
	else
		return complain("there is no way to the files: no mount (%.90s),"
				" preload: %.60s, notify: %.60s", why, error,
				no_net);
	if (p->kind == PROXY_PRELOAD && !can_patch)
		take_symbols(p, cannot);
	e = check_program(p, name, no_net);
	if (!e)
		fprintf(stderr, "rump: proxy: %s%s, because there is no mount "
			"(%s)%s%s\n", words[p->kind],
			p->kind == PROXY_NOTIFY ? "" : p->net ?
			" with the seccomp net" : " without a net",
			why, no_net[0] ? "; notify: " : "", no_net);
	return e;
}

int proxy_choose(struct run *r, const char *program)
{
	char why[RK_SERVER_ERROR_LEN] = "--no-fuse";
	struct proxy *p = &r->proxy;
	bool asked = p->kind != PROXY_UNSAID;
	int e;

	if ((!asked || p->kind == PROXY_NONE) &&
	    (p->under_mount || p->no_net || p->report))
		return complain("run: %s is about a proxy; say which by --proxy",
				p->under_mount ? "--under-mount" :
				p->no_net ? "--no-net" : "--proxy-report");
	/* as it always was */
	if (p->kind == PROXY_NONE || (!asked && !r->config.fuse)) {
		p->kind = PROXY_NONE;
		return 0;
	}
	if (!asked) {
		if (proxy_try_fuse(why) == 0) {
			p->kind = PROXY_NONE;
			return 0;
		}
		if (r->rooted || r->n_binds)
			return complain("%s", why);
		p->kind = PROXY_AUTO;
	}
	e = check_options(r);
	if (e)
		return e;
	if (p->kind == PROXY_AUTO && asked && r->config.fuse &&
	    proxy_try_fuse(why) == 0) {
		p->kind = PROXY_NONE;
		if (p->under_mount)
			return take_preload(r, program);
		p->kind = PROXY_NONE;
		fprintf(stderr, "rump: proxy: none, because mounts can be made "
			"here, and a mount serves every program\n");
		return 0;
	}
	if (p->kind == PROXY_AUTO) {
		r->config.fuse = false;
		return take_best(r, program, why);
	}
	r->config.fuse = p->under_mount;
	return p->kind == PROXY_PRELOAD ? take_preload(r, program) :
	       take_notify(r, program);
}
