/*
 * unix.h - small tests of what Unix promises of files, each in a directory of
 * its own: the same program passes on the host's file system and on a mount.
 * Each program of them has a table of tests; a test that fails says where and
 * ends the program, so that the first fault is the one that is seen.
 *
 *	unix_x DIR [host]
 */
#ifndef UNIX_TEST_H
#define UNIX_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Whether this is the host's own file system, where it differs on purpose. */
static bool on_host;
static const char *now_testing;

#define CHECK(x) do {							\
	if (!(x)) {							\
		fprintf(stderr, "FAIL: %s: line %d: %s (%s)\n",		\
			now_testing, __LINE__, #x, strerror(errno));	\
		_exit(1);						\
	}								\
} while (0)
/* It is refused with this errno. */
#define REFUSED(x, e) do { errno = 0; CHECK((x) < 0 && errno == (e)); } while (0)

static inline void put(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	CHECK(fd >= 0);
	CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(close(fd) == 0);
}

static inline bool has(const char *name, const char *text)
{
	char got[4096];
	int fd = open(name, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, got, sizeof got);

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(text) && memcmp(got, text, n) == 0;
}

/* The child's exit status was 0. */
static inline void joined(pid_t pid)
{
	int status;

	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

static inline void nap(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

struct test {
	const char *name;
	void (*run)(void);
};

static inline int run_tests(int argc, char **argv, const struct test *test,
			    size_t n)
{
	char dir[4096];

	if (argc < 2)
		return 2;
	on_host = argc > 2 && strcmp(argv[2], "host") == 0;
	/* a test that hangs has failed */
	for (size_t i = 0; i < n; i++) {
		now_testing = test[i].name;
		snprintf(dir, sizeof dir, "%s/%s", argv[1], test[i].name);
		CHECK(mkdir(dir, 0777) == 0 && chdir(dir) == 0);
		fflush(NULL);
		pid_t pid = fork();

		if (pid == 0) {
			alarm(600);
			test[i].run();
			_exit(0);
		}
		joined(pid);
	}
	return 0;
}

#define RUN(argc, argv, table)						\
	run_tests(argc, argv, table, sizeof table / sizeof *table)

#endif
