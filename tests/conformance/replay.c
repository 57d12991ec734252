/*
 * replay.c - replay [-k] [-a] DIR: reads a script of system calls, does them in DIR, and
 * prints what each of them did. Two file systems that behave alike give the
 * same output; nothing is printed that may differ between good ones (inode
 * numbers, times, the sizes of directories). With -k DIR is left as it is in the
 * end; with -a paths are made absolute, as far as they start in DIR.
 *
 * A line is "[@uid[:gid[,group]]] [&] [in FD] call argument...". The user is for
 * this call only; with & it is done by another process; with "in" paths start
 * at that descriptor. {x*255} stands for 255 x, "" for an empty string.
 * "case NAME" empties DIR and starts anew; "look NAME" does not empty it, for
 * file systems that nobody can write. # begins a comment.
 */
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <xxhash.h>
#include <sys/ioctl.h>
#include <linux/fs.h>
#include <fcntl.h>
#include "replay.h"

enum { LINE = 1 << 17, ARGS = 16, FDS = 16 };

static char told[1 << 16];
static size_t n_told;
static int fds[FDS];
static int home;		/* DIR */
static const char *prefix;	/* with -a: the same */
int at_fd = AT_FDCWD;

void tell(const char *format, ...)
{
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(told + n_told, sizeof told - n_told, format, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < sizeof told - n_told)
		n_told += (size_t)n;
}

const char *error_name(int error)
{
	return strerrorname_np(error) ? strerrorname_np(error) : "?";
}

uint64_t hash(const void *p, long n)
{
	return XXH3_64bits(p, n > 0 ? (size_t)n : 0);
}

int descriptor(const char *arg)
{
	unsigned i = (unsigned)atoi(arg);

	return i < FDS ? fds[i] : -1;
}

int drop_descriptor(const char *arg)
{
	unsigned i = (unsigned)atoi(arg);
	int fd = descriptor(arg);

	if (i < FDS)
		fds[i] = -1;
	return fd;
}

long keep_descriptor(const char *arg, int fd)
{
	unsigned i = (unsigned)atoi(arg);

	if (fd < 0 || i >= FDS)
		return fd;
	if (fds[i] >= 0)
		close(fds[i]);
	fds[i] = fd;
	return 0;
}

/* --- a clean directory ------------------------------------------------------ */

/* Immutable or append-only, it would stay. */
static void unflag(const char *path)
{
	int flags = 0, now = 0;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (ioctl(fd, FS_IOC_GETFLAGS, &now) == 0 &&
	    (now & (FS_APPEND_FL | FS_IMMUTABLE_FL)))
		ioctl(fd, FS_IOC_SETFLAGS, &flags);
	close(fd);
}

static void empty(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[PATH_MAX];

	while (d && (e = readdir(d)) != NULL) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (e->d_type == DT_DIR || e->d_type == DT_REG)
			unflag(path);
		if (e->d_type == DT_DIR)
			empty(path);
		if (unlinkat(AT_FDCWD, path, e->d_type == DT_DIR ?
			     AT_REMOVEDIR : 0) < 0)
			perror("replay: the directory can't be emptied");
	}
	if (d)
		closedir(d);
}

int go_home(void)
{
	return fchdir(home);
}

static long look(char **arg)
{
	for (int i = 0; i < FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
	umask(022);
	limit_file_size(-1);
	return 0;
}

static long begin(char **arg)
{
	look(arg);
	unflag(".");
	empty(".");
	if (chown(".", 0, 0) < 0 || chmod(".", 0777) < 0)
		perror("replay: chmod");
	return 0;
}

/* --- who -------------------------------------------------------------------- */

static void become(const char *who)
{
	char *rest;
	gid_t gid, more[ARGS];
	uid_t uid = (uid_t)strtoul(who, &rest, 10);
	size_t n = 0;

	gid = *rest == ':' ? (gid_t)strtoul(rest + 1, &rest, 10) : uid;
	while (*rest == ',' && n < ARGS)
		more[n++] = (gid_t)strtoul(rest + 1, &rest, 10);
	if (setgroups(n, more) < 0 || setegid(gid) < 0 || seteuid(uid) < 0)
		perror("replay: setuid");
	door_user(who);
}

static void root_again(void)
{
	if (seteuid(0) < 0 || setegid(0) < 0 || setgroups(0, NULL) < 0)
		perror("replay: setuid");
	door_user("");
}

/* --- one line --------------------------------------------------------------- */

static const struct call own_calls[] = {
	{ "case", "-", begin }, { "look", "-", look },
	{ NULL, NULL, NULL },
};

static const struct call *find(const char *name)
{
	const struct call *const all[] = {
		own_calls, file_calls, data_calls, attr_calls, more_calls,
		play_calls,
	};

	for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
		for (const struct call *c = all[i]; c->name; c++)
			if (!strcmp(c->name, name))
				return c;
	return NULL;
}

/* Copies a line, {x*n} written out. */
static void expand(const char *in, char *out, size_t room)
{
	const char *star, *end;

	while (*in && room > 1) {
		star = *in == '{' ? strchr(in, '*') : NULL;
		end = star ? strchr(star, '}') : NULL;
		if (!end) {
			*out++ = *in++;
			room--;
			continue;
		}
		for (long i = atol(star + 1); i > 0; i--) {
			for (const char *p = in + 1; p < star && room > 1; p++) {
				*out++ = *p;
				room--;
			}
		}
		in = end + 1;
	}
	*out = '\0';
}

static long in_child(const struct call *c, char **arg)
{
	struct {
		long r;
		int error;
		char told[1024];
	} answer = { .r = -1 };
	int pipefd[2];
	pid_t pid;

	if (pipe(pipefd) < 0)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		answer.r = c->run(arg);
		answer.error = errno;
		snprintf(answer.told, sizeof answer.told, "%s", told);
		/* Not by dying: what that gives back may come later. */
		for (int i = 0; i < FDS; i++)
			if (fds[i] >= 0)
				close(fds[i]);
		_exit(write(pipefd[1], &answer, sizeof answer) < 0);
	}
	close(pipefd[1]);
	if (read(pipefd[0], &answer, sizeof answer) < 0)
		answer.error = EPIPE;
	close(pipefd[0]);
	waitpid(pid, NULL, 0);
	tell("%s", answer.told);
	errno = answer.error;
	return answer.r;
}

static void make_absolute(const struct call *c, char **arg)
{
	static char *made[ARGS];
	int i = 0;

	for (const char *p = c->words; *p && arg[i]; p++) {
		/* What would be too long only now says what it did. */
		if (*p == 'p' && arg[i][0] && arg[i][0] != '/' &&
		    strlen(prefix) + 1 + strlen(arg[i]) < PATH_MAX) {
			free(made[i]);
			if (asprintf(&made[i], "%s/%s", prefix, arg[i]) < 0)
				abort();
			arg[i] = made[i];
		}
		i += *p != '|';
	}
}

static long run(char **word, int n)
{
	const char *who = NULL;
	const struct call *c;
	bool child = false;
	int error;
	long r;

	if (n && *word[0] == '@') {
		who = *word++ + 1;
		n--;
	}
	if (n && !strcmp(word[0], "&")) {
		child = true;
		word++;
		n--;
	}
	if (n > 2 && !strcmp(word[0], "in")) {
		at_fd = descriptor(word[1]);
		word += 2;
		n -= 2;
	}
	c = n ? find(word[0]) : NULL;
	if (!c || n - 1 < (int)strcspn(c->words, "|")) {
		fprintf(stderr, "replay: what is \"%s\"?\n", n ? *word : "");
		exit(2);
	}
	if (door_lacks(c->name)) {
		errno = ENOSYS;
		return -1;
	}
	if (prefix && at_fd == AT_FDCWD)
		make_absolute(c, word + 1);
	if (who)
		become(who);
	limit_now(true);
	errno = 0;
	r = child ? in_child(c, word + 1) : c->run(word + 1);
	error = errno;
	limit_now(false);
	at_fd = AT_FDCWD;
	if (who)
		root_again();
	errno = error;
	return r;
}

static void line(const char *text)
{
	static char copy[LINE];
	char *word[ARGS + 1] = { 0 }, *p = copy;
	int n = 0;
	long r;

	expand(text, copy, sizeof copy);
	while (n < ARGS && (word[n] = strsep(&p, " \t\n")) != NULL)
		if (*word[n])
			n++;
	word[n] = NULL;
	for (int i = 0; i < n; i++)
		if (!strcmp(word[i], "\"\""))
			word[i] = word[i] + 2;
	if (!n || *word[0] == '#')
		return;
	n_told = 0;
	told[0] = '\0';
	r = run(word, n);
	printf("%.*s = ", (int)strcspn(text, "\n"), text);
	if (r == -1)
		printf("%s%s\n", error_name(errno), told);
	else
		printf("%ld%s\n", r, told);
}

int main(int argc, char **argv)
{
	static char text[LINE];
	const char *dir = argc > 1 ? argv[argc - 1] : "";
	bool keep = false, bad = argc < 2;

	for (int i = 1; i < argc - 1; i++) {
		if (!strcmp(argv[i], "-k"))
			keep = true;
		else if (!strcmp(argv[i], "-a"))
			prefix = dir;
		else
			bad = true;
	}
	umask(022);
#ifdef REPLAY_LIBRARY
	door_mkdirat(AT_FDCWD, dir, 0777);
#endif
	if (bad || chdir(dir) < 0) {
		fprintf(stderr, "usage: replay [-k] [-a] DIR <script\n");
		return 2;
	}
	home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	setlinebuf(stdout);
	memset(fds, -1, sizeof fds);
	while (fgets(text, sizeof text, stdin))
		line(text);
	if (!keep)
		begin(NULL);
	return fflush(stdout) ? 1 : 0;
}
