/*
 * host.c - the host driver: a server that dies before and after each of its
 * system calls, and a successor that runs the same request again. What a server
 * changed in memory goes with it, because it is a child of ours; what it did to
 * the directory stays, and so does what it noted.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "driver.h"
#include "../harness/temp.h"

struct world {
	char dir[TEMP_MAX];
	const struct rk_driver *d;
	struct rk_host host;
	void *own, *fs;
	uint64_t root, sub, held;	/* an inode that somebody holds */
	struct rk_running now;
	bool takes_xattr;
};

static struct world w;

static void change(void *ctx) { }
static void complain(void *ctx, const char *text) { cr_assert(0, "%s", text); }

static void request(void *ctx, struct rk_running *ret)
{
	*ret = w.now;
}

static bool committed(void *ctx, uint64_t slot, uint64_t id)
{
	return false;
}

static bool held(void *ctx, uint64_t ino)
{
	return ino == w.held;
}

static int at(uint64_t dir, const char *name, struct rk_stat *st)
{
	return w.d->lookup(w.fs, dir, name, strlen(name), st);
}

static void put(const char *path, const char *text)
{
	int fd = openat(w.host.dirfd, path, O_CREAT | O_WRONLY, 0644);

	cr_assert(fd >= 0 && write(fd, text, strlen(text)) >= 0);
	close(fd);
}

/* A directory, and the driver as of its last commit. */
static void begin(void)
{
	struct rk_mount_options opt = { 0 };
	struct rk_stat st;
	bool recovery;
	void *lib = dlopen(RK_DRIVER_DIR "/rump-driver-host.so",
			   RTLD_NOW | RTLD_LOCAL);

	cr_assert(lib, "%s", dlerror());
	memset(&w, 0, sizeof w);
	w.d = dlsym(lib, "rk_driver");
	cr_assert(temp_dir(w.dir, "host"));
	w.host = (struct rk_host){ .change = change, .complain = complain,
		.own = &w.own, .request = request, .committed = committed,
		.held = held };
	w.host.dirfd = open(w.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	w.host.lasting = mmap(NULL, RK_LASTING_SIZE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	w.now = (struct rk_running){ .slot = 7, .id = 41, .run = 1 };
	put("a", "one");
	put("b", "three");
	cr_assert_eq(mkdirat(w.host.dirfd, "sub", 0755), 0);
	cr_assert_eq(mkdirat(w.host.dirfd, "empty", 0755), 0);
	w.takes_xattr = fsetxattr(w.host.dirfd, "user.test", "x", 1, 0) == 0;
	cr_assert_eq(w.d->mount(&w.host, &opt, &w.fs, &w.root, &recovery), 0);
	cr_assert_eq(at(w.root, "b", &st), 0);
	w.held = st.ino;
	cr_assert_eq(at(w.root, "sub", &st), 0);
	w.sub = st.ino;
	cr_assert_eq(at(w.root, "a", &st), 0);
	/* the next is another request, and each child another server */
	w.now.id++;
}

static void end(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf '%s'", w.dir);
	cr_assert_eq(system(command), 0);
	close(w.host.dirfd);
	munmap(w.host.lasting, RK_LASTING_SIZE);
}

/* --- what a request does, as the core has it done ----------------------------- */

static int make(uint32_t mode, const char *target)
{
	struct rk_new what = { .mode = mode, .uid = getuid(), .gid = getgid(),
			       .target = target };
	struct rk_stat st, again;
	int r = at(w.sub, "new", &st);

	if (r != -ENOENT)
		return r ?: -EEXIST;
	r = w.d->create(w.fs, w.sub, "new", 3, &what, &st);
	if (r == 0 && (at(w.sub, "new", &again) != 0 || again.ino != st.ino))
		return -EUCLEAN;
	return r;
}

static int make_file(void) { return make(S_IFREG | 0604, NULL); }
static int make_dir(void) { return make(S_IFDIR | 01705, NULL); }
static int make_link(void) { return make(S_IFLNK | 0777, "../a"); }
static int make_fifo(void) { return make(S_IFIFO | 0620, NULL); }

static int add_name(void)
{
	struct rk_stat st;
	int r = at(w.root, "a", &st);

	if (r == 0 && at(w.sub, "new", &st) != -ENOENT)
		return -EEXIST;
	if (r == 0)
		r = at(w.root, "a", &st);
	if (r == 0)
		r = w.d->getattr(w.fs, st.ino, &st);
	if (r == 0 && st.nlink != 1)
		return -EMLINK;
	if (r == 0)
		r = w.d->link(w.fs, st.ino, w.sub, "new", 3, &st);
	return r == 0 && st.nlink != 2 ? -EMLINK : r;
}

static int take_name(const char *name, bool directory)
{
	struct rk_stat st, gone;
	int r = at(w.root, name, &st);

	if (r == 0)
		r = w.d->unlink(w.fs, w.root, name, strlen(name), directory,
				&gone);
	if (r == 0 && (gone.ino != st.ino || gone.nlink != 0))
		return -EMLINK;
	return r == 0 && at(w.root, name, &st) != -ENOENT ? -EEXIST : r;
}

static int remove_free(void) { return take_name("a", false); }
static int remove_dir(void) { return take_name("empty", true); }

static int remove_held(void)
{
	char buf[8] = "";
	int r = take_name("b", false);

	if (r == 0 && w.d->read(w.fs, w.held, buf, 8, 0) != 5)
		return -EIO;
	return r;
}

static int move(const char *from, uint64_t newdir, const char *to,
		uint32_t flags, bool replaces)
{
	struct rk_stat st, old = { 0 }, victim;
	int r = at(w.root, from, &st);

	if (r == 0 && (at(newdir, to, &old) == 0) != replaces)
		return replaces ? -ENOENT : -EEXIST;
	if (r == 0)
		r = w.d->rename(w.fs, w.root, from, strlen(from), newdir, to,
				strlen(to), flags, &victim);
	if (r == 0 && replaces && !(flags & RENAME_EXCHANGE) &&
	    (victim.ino != old.ino || victim.nlink != 0))
		return -EMLINK;
	return r == 0 && (at(newdir, to, &old) != 0 || old.ino != st.ino) ?
	       -EUCLEAN : r;
}

static int move_away(void) { return move("a", w.sub, "x", 0, false); }
static int move_dir(void) { return move("empty", w.sub, "x", 0, false); }
static int move_only(void)
{
	return move("a", w.sub, "x", RENAME_NOREPLACE, false);
}
static int move_over(void) { return move("b", w.root, "a", 0, true); }
static int move_over_held(void) { return move("a", w.root, "b", 0, true); }
static int swap(void) { return move("a", w.root, "b", RENAME_EXCHANGE, true); }

static int append(void)
{
	struct rk_stat st;
	int r = at(w.root, "a", &st);

	if (r == 0)
		r = w.d->getattr(w.fs, st.ino, &st);
	if (r < 0)
		return r;
	return w.d->write(w.fs, st.ino, "-end", 4, st.size) == 4 ? 0 : -EIO;
}

static int cut(void)
{
	struct rk_setattr set = { .valid = RK_SET_SIZE | RK_SET_MODE |
		RK_SET_MTIME, .size = 2, .mode = 0600, .mtime = { .sec = 9 } };
	struct rk_stat st;
	int r = at(w.root, "a", &st);

	return r ?: w.d->setattr(w.fs, st.ino, &set, &st);
}

static int give_attribute(void)
{
	if (!w.takes_xattr)
		return 0;
	return w.d->setxattr(w.fs, w.held, "user.new", "v", 1, XATTR_CREATE);
}

static int take_attribute(void)
{
	return w.takes_xattr ? w.d->removexattr(w.fs, w.root, "user.test") : 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} ops[] = {
#define OP(x) { #x, x }
	OP(make_file), OP(make_dir), OP(make_link), OP(make_fifo),
	OP(add_name), OP(remove_free), OP(remove_dir), OP(remove_held),
	OP(move_away), OP(move_dir), OP(move_only), OP(move_over),
	OP(move_over_held), OP(swap), OP(append), OP(cut),
	OP(give_attribute), OP(take_attribute),
};

/* --- servers that die ------------------------------------------------------------ */

/* Runs it in a server; dies at the system call `stop` of its way (in it, if it
 * is odd; 0: never). Returns its answer, or 1 if it died. */
static int serve(int (*run)(void), int stop)
{
	pid_t pid = fork();
	int status, n = 0;

	if (pid == 0) {
		w.own = NULL;
		w.now.run = 1;
		if (stop) {
			ptrace(PTRACE_TRACEME, 0, NULL, NULL);
			raise(SIGSTOP);
		}
		_exit(-run());
	}
	cr_assert(pid > 0);
	for (;;) {
		cr_assert_eq(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			break;
		if (n++ == stop) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return 1;
		}
		ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	}
	cr_assert(WIFEXITED(status), "it crashed: %d", status);
	return -WEXITSTATUS(status);
}

static int add_entry(char *to, const char *dir, const char *name)
{
	char path[512], target[64] = "";
	struct stat st;
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	if (lstat(path, &st) < 0)
		return 0;
	if (S_ISREG(st.st_mode) && (f = fopen(path, "re"))) {
		target[fread(target, 1, sizeof target - 1, f)] = 0;
		fclose(f);
	}
	if (S_ISLNK(st.st_mode) && readlink(path, target, 63) < 0)
		return 0;
	if (S_ISREG(st.st_mode) && getxattr(path, "user.new", NULL, 0) >= 0)
		strcat(target, "+");
	if (strncmp(name, ".rump-", 6) == 0)
		name = "hidden";
	return sprintf(to, "%s %o %u %s\n", name, st.st_mode,
		       (unsigned)st.st_nlink, target);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that is there, in order. */
static void describe(char *ret)
{
	static const char *const sub[] = { "", "/sub" };
	char path[128], text[64][256], *line[64];
	unsigned n = 0;

	for (int i = 0; i < 2; i++) {
		struct dirent *e;
		DIR *d;

		snprintf(path, sizeof path, "%s%s", w.dir, sub[i]);
		d = opendir(path);
		while (d && (e = readdir(d)) && n < 64)
			if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..") &&
			    add_entry(text[n], path, e->d_name) > 0) {
				line[n] = text[n];
				n++;
			}
		closedir(d);
	}
	qsort(line, n, sizeof *line, by_text);
	*ret = 0;
	for (unsigned i = 0; i < n; i++)
		strcat(ret, line[i]);
	if (getxattr(w.dir, "user.test", NULL, 0) >= 0)
		strcat(ret, "user.test\n");
}

/* Dies at `first`, and the successor at `second`; the next lives. 0: the first
 * came to its end. */
static int try(unsigned i, int first, int second, const char *want)
{
	static char got[16384];
	int r, died;

	begin();
	died = serve(ops[i].run, first);
	if (died == 1 && second)
		serve(ops[i].run, second);
	if (died == 1) {
		r = serve(ops[i].run, 0);
		cr_assert_eq(r, 0, "%s, dead at %d and %d: %s", ops[i].name,
			     first, second, strerror(-r));
		describe(got);
		cr_assert_str_eq(got, want, "%s, dead at %d and %d", ops[i].name,
				 first, second);
	} else {
		cr_assert_eq(died, 0, "%s: %s", ops[i].name, strerror(-died));
	}
	end();
	return died;
}

Test(host, a_request_that_runs_again_happens_once, .timeout = 600)
{
	static char want[16384];
	int rounds = 0, twice = getenv("LONG") && *getenv("LONG") == '1';

	for (unsigned i = 0; i < sizeof ops / sizeof *ops; i++) {
		begin();
		cr_assert_eq(serve(ops[i].run, 0), 0, "%s", ops[i].name);
		describe(want);
		end();
		for (int first = 1; try(i, first, 0, want) == 1; first++) {
			rounds++;
			/* not each with each, but each with some */
			for (int second = 1 + first % 19; twice && second < 40;
			     second += 19)
				try(i, first, second, want);
		}
	}
	cr_assert_gt(rounds, 200);
	printf("%d deaths\n", rounds);
}

/* The same again, but as another request: what was noted is not believed. */
Test(host, another_request_is_another)
{
	begin();
	cr_assert_eq(serve(make_file, 0), 0);
	w.now.id++;
	cr_assert_eq(serve(make_file, 0), -EEXIST);
	cr_assert_eq(serve(append, 0), 0);
	w.now.id++;
	cr_assert_eq(serve(append, 0), 0);
	w.now.id++;
	cr_assert_eq(serve(remove_free, 0), 0);
	w.now.id++;
	cr_assert_eq(serve(remove_free, 0), -ENOENT);
	end();
}
