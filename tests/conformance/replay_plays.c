/*
 * replay_plays.c - small plays of several processes: appending, locks that wait,
 * pipes and sockets that are met by name. What they print must not depend on
 * who is quicker, for kills and a busy machine change that: where it matters
 * they tell each other how far they are, and pauses only make it likely that
 * somebody waits already.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "replay.h"

static long wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

enum { RECORD = 24 };

static void append(const char *path, int who, long n)
{
	char record[RECORD + 1];
	int fd = open(path, O_WRONLY | O_APPEND);

	for (long i = 0; i < n; i++) {
		snprintf(record, sizeof record, "%7d %14ld\n", who, i);
		if (write(fd, record, RECORD - 1) != RECORD - 1)
			_exit(1);
	}
	_exit(0);
}

/* Several processes append: each record is there whole, and in order. */
static long c_appenders(char **a)	/* FILE PROCESSES RECORDS */
{
	long procs = number(a[1]), n = number(a[2]), total = 0, bad = 0;
	long next[32] = { 0 }, who, i;
	char record[RECORD] = "";
	pid_t pid[32];
	int fd;

	fflush(stdout);
	for (int p = 0; p < procs && p < 32; p++) {
		pid[p] = fork();
		if (pid[p] == 0)
			append(a[0], p, n);
	}
	for (int p = 0; p < procs && p < 32; p++)
		bad += wait_for(pid[p]) != 0;
	fd = open(a[0], O_RDONLY);
	while (read(fd, record, RECORD - 1) == RECORD - 1) {
		total++;
		bad += sscanf(record, "%ld %ld", &who, &i) != 2 || who < 0 ||
		       who >= procs || next[who]++ != i;
	}
	close(fd);
	tell(" bad %ld", bad);
	return total;
}

static int set_lock(const char *kind, int fd, int type, long start, bool wait)
{
	struct flock l = {
		.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start,
		.l_len = 10,
	};

	if (*kind == 'f')
		return flock(fd, (type == F_WRLCK ? LOCK_EX : type == F_RDLCK ?
				  LOCK_SH : LOCK_UN) | (wait ? 0 : LOCK_NB));
	if (*kind == 'o')
		return fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l);
	return fcntl(fd, wait ? F_SETLKW : F_SETLK, &l);
}

static void pause_ms(long ms)
{
	const struct timespec t = { .tv_nsec = ms * 1000 * 1000 };

	nanosleep(&t, NULL);
}

/* A process of the play tells the other that it is so far. */
static bool say(int fd)
{
	return write(fd, "", 1) == 1;
}

static bool hear(int fd)
{
	char c;

	return read(fd, &c, 1) == 1;
}

static void hold_lock(int end, char **a)
{
	int fd = open(a[1], O_RDWR);

	if (set_lock(a[0], fd, F_WRLCK, 5, false) < 0 || !say(end) || !hear(end))
		_exit(1);
	pause_ms(60);
	if (*a[3] == 'u')
		set_lock(a[0], fd, F_UNLCK, 5, false);
	else if (*a[3] == 'c')
		close(fd);
	else
		kill(getpid(), SIGKILL);
	_exit(0);
}

/* Another process has it, and gives it away by unlocking, closing or dying. */
static long c_waitlock(char **a)	/* posix|ofd|flock PATH TYPE unlock|close|die */
{
	int end[2], fd, type = (int)number(a[2]), error;
	long r;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, end) < 0)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		close(end[0]);
		hold_lock(end[1], a);
	}
	close(end[1]);
	tell(" had %d,", hear(end[0]));
	fd = open(a[1], O_RDWR | O_CLOEXEC);
	r = set_lock(a[0], fd, type, 0, false);
	tell(" first %s,", r < 0 ? error_name(errno) : "0");
	say(end[0]);
	r = set_lock(a[0], fd, type, 0, true);
	error = errno;
	wait_for(pid);
	close(fd);
	close(end[0]);
	errno = error;
	return r;
}

static void nothing(int signal)
{
}

static void wait_for_lock(int end, char **a)
{
	struct sigaction act = {
		.sa_handler = nothing,
		.sa_flags = a[3][0] == 'r' ? SA_RESTART : 0,
	};
	int fd = open(a[2], O_RDWR);

	sigaction(SIGALRM, &act, NULL);
	_exit(!say(end) ? 99 :
	      set_lock(a[0], fd, F_WRLCK, 0, true) < 0 ? errno : 0);
}

/*
 * A lock that waits is given up for a signal, unless it begins anew. A signal
 * that comes before the call does nothing, so they come until one did; those
 * that are to do nothing are three.
 */
static long c_intlock(char **a)		/* posix|ofd|flock FD-OF-HOLDER PATH restart|- */
{
	int signals = a[3][0] == 'r' ? 3 : 1000, end[2], status;
	pid_t pid, ended = 0;

	if (set_lock(a[0], descriptor(a[1]), F_WRLCK, 0, false) < 0 ||
	    pipe(end) < 0)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0)
		wait_for_lock(end[1], a);
	close(end[1]);
	hear(end[0]);
	while (signals-- && !ended) {
		pause_ms(30);
		kill(pid, SIGALRM);
		ended = waitpid(pid, &status, WNOHANG);
	}
	set_lock(a[0], descriptor(a[1]), F_UNLCK, 0, false);
	if (!ended)
		waitpid(pid, &status, 0);
	close(end[0]);
	errno = WEXITSTATUS(status);
	return errno ? -1 : 0;
}

/*
 * Two that wait for each other: who comes second is told, and lets go, and the
 * first gets its lock. Who of them that is nobody knows.
 */
static long c_deadlock(char **a)	/* PATH */
{
	int fd = open(a[0], O_RDWR | O_CLOEXEC), ready[2], mine;
	pid_t pid;
	long other;

	if (pipe(ready) < 0 || set_lock("posix", fd, F_WRLCK, 0, false) < 0)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (set_lock("posix", fd, F_WRLCK, 20, false) < 0 ||
		    !say(ready[1]))
			_exit(99);
		_exit(set_lock("posix", fd, F_WRLCK, 0, true) < 0 ? errno : 0);
	}
	close(ready[1]);
	if (!hear(ready[0]))
		return -1;
	mine = set_lock("posix", fd, F_WRLCK, 20, true) < 0 ? errno : 0;
	close(fd);
	other = wait_for(pid);
	close(ready[0]);
	tell(" told %d, got it %d", (mine == EDEADLK) + (other == EDEADLK),
	     (mine == 0) + (other == 0));
	return 0;
}

/* Writer and reader of a fifo find each other by its name. */
static long c_meet(char **a)
{
	char text[64] = "";
	pid_t pid;
	int fd;
	long n;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		fd = open(a[0], O_WRONLY);
		_exit(write(fd, "through a fifo", 14) != 14);
	}
	fd = open(a[0], O_RDONLY | O_CLOEXEC);
	n = read(fd, text, sizeof text - 1);
	close(fd);
	tell(" %s %ld", text, wait_for(pid));
	return n;
}

static long c_connect(char **a)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	int c = socket(AF_UNIX, SOCK_STREAM, 0), error;
	long r;

	snprintf(un.sun_path, sizeof un.sun_path, "%s", a[0]);
	r = bind(s, (struct sockaddr *)&un, sizeof un);
	if (r == 0)
		r = listen(s, 5);
	if (r == 0)
		r = connect(c, (struct sockaddr *)&un, sizeof un);
	error = errno;
	close(s);
	close(c);
	errno = error;
	return r;
}

const struct call play_calls[] = {
	{ "appenders", "p--", c_appenders }, { "waitlock", "-p--", c_waitlock },
	{ "intlock", "--p-", c_intlock }, { "deadlock", "p", c_deadlock },
	{ "meet", "p", c_meet }, { "connect", "-", c_connect },
	{ NULL, NULL, NULL },
};
