/*
 * unix_ipc.c - what programs that meet in a file system may expect: events,
 * fifos, sockets, waiting for many descriptors, locks that are waited for while
 * signals come.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include "unix.h"

/* --- inotify -------------------------------------------------------------------- */

/* What comes until nothing does for a moment. */
static uint32_t events(int in, char *names, size_t size)
{
	char buf[8192] __attribute__((aligned(8)));
	struct pollfd p = { .fd = in, .events = POLLIN };
	uint32_t all = 0;

	*names = 0;
	while (poll(&p, 1, 100) > 0) {
		ssize_t n = read(in, buf, sizeof buf);

		CHECK(n > 0);
		for (char *at = buf; at < buf + n;) {
			struct inotify_event *e = (struct inotify_event *)at;

			all |= e->mask;
			if (e->len && strlen(names) + e->len + 2 < size)
				strcat(strcat(names, e->name), " ");
			at += sizeof *e + e->len;
		}
	}
	return all;
}

static void child_changes(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		put("made", "x");
		CHECK(rename("made", "moved") == 0);
		CHECK(chmod("moved", 0600) == 0);
		CHECK(mkdir("sub", 0755) == 0 && rmdir("sub") == 0);
		CHECK(unlink("moved") == 0);
		_exit(0);
	}
	joined(pid);
}

static void inotify_tells(void)
{
	int in = inotify_init1(IN_CLOEXEC);
	char names[512];
	uint32_t all, want = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE |
		IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE;

	CHECK(in >= 0 && inotify_add_watch(in, ".", IN_ALL_EVENTS) >= 0);
	child_changes();
	all = events(in, names, sizeof names);
	CHECK((all & want) == want);
	CHECK(strstr(names, "made ") && strstr(names, "moved ") &&
	      strstr(names, "sub "));
	put("file", "1");
	CHECK(inotify_add_watch(in, "file", IN_ALL_EVENTS) >= 0);
	events(in, names, sizeof names);
	put("file", "22");
	CHECK(truncate("file", 1) == 0 && unlink("file") == 0);
	all = events(in, names, sizeof names);
	want = IN_MODIFY | IN_OPEN | IN_CLOSE_WRITE | IN_DELETE_SELF;
	CHECK((all & want) == want);
}

/* --- fifos and sockets ------------------------------------------------------------- */

static void fifo_meets(void)
{
	char text[32] = "";
	int fd;
	pid_t pid;

	CHECK(mkfifo("fifo", 0600) == 0);
	REFUSED(open("fifo", O_WRONLY | O_NONBLOCK), ENXIO);
	pid = fork();
	if (pid == 0) {
		fd = open("fifo", O_WRONLY);	/* waits for the reader */
		CHECK(fd >= 0 && write(fd, "through it", 10) == 10);
		_exit(0);
	}
	nap(20);
	fd = open("fifo", O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof text) == 10);
	CHECK(strcmp(text, "through it") == 0);
	CHECK(read(fd, text, 1) == 0);
	joined(pid);
	CHECK(rename("fifo", "pipe") == 0 && unlink("pipe") == 0);
}

static struct sockaddr_un named(const char *name)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	strcpy(a.sun_path, name);
	return a;
}

static int connect_to(const char *name)
{
	struct sockaddr_un a = named(name);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), e;

	CHECK(fd >= 0);
	if (connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

static void socket_meets(void)
{
	struct sockaddr_un a = named("sock");
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c;
	char text[8] = "";
	struct stat st;
	pid_t pid;

	umask(022);
	CHECK(bind(s, (struct sockaddr *)&a, sizeof a) == 0 && listen(s, 4) == 0);
	CHECK(stat("sock", &st) == 0 && S_ISSOCK(st.st_mode));
	CHECK((st.st_mode & 0777) == 0755);
	REFUSED(bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&a,
		     sizeof a), EADDRINUSE);
	pid = fork();
	if (pid == 0) {
		CHECK(link("sock", "also") == 0);
		c = connect_to("also");
		CHECK(c >= 0 && write(c, "hello", 5) == 5);
		_exit(0);
	}
	c = accept(s, NULL, NULL);
	CHECK(c >= 0 && read(c, text, sizeof text) == 5 && !strcmp(text, "hello"));
	joined(pid);
	CHECK(rename("sock", "elsewhere") == 0);
	c = connect_to("elsewhere");
	CHECK(c >= 0 && close(c) == 0 && close(s) == 0);
	REFUSED(connect_to("elsewhere"), ECONNREFUSED);
	REFUSED(open("elsewhere", O_RDONLY), ENXIO);
	CHECK(unlink("elsewhere") == 0 && unlink("also") == 0);
	REFUSED(connect_to("also"), ENOENT);
}

/* --- many descriptors ------------------------------------------------------------- */

static void waits_for_many(void)
{
	int file = open("file", O_CREAT | O_RDWR, 0644), p[2], fifo, ep, r;
	struct epoll_event e = { .events = EPOLLIN }, got[2];
	struct pollfd poll_for[3];
	fd_set set;

	CHECK(pipe(p) == 0 && mkfifo("fifo", 0600) == 0);
	fifo = open("fifo", O_RDWR);
	CHECK(file >= 0 && fifo >= 0);
	for (int i = 0; i < 3; i++)
		poll_for[i] = (struct pollfd){ .fd = (int[]){ file, p[0], fifo }[i],
					       .events = POLLIN };
	/* a file is always ready; the others are not */
	CHECK(poll(poll_for, 3, 0) == 1 && poll_for[0].revents == POLLIN);
	CHECK(poll(poll_for + 1, 2, 10) == 0);
	FD_ZERO(&set);
	FD_SET(file, &set);
	FD_SET(fifo, &set);
	CHECK(select(fifo + file + 1, &set, NULL, NULL, &(struct timeval){ 1, 0 }) == 1 &&
	      FD_ISSET(file, &set));
	ep = epoll_create1(0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fifo, &e) == 0);
	/* the kernel lets no file of its own in, but one of FUSE: as ready */
	r = epoll_ctl(ep, EPOLL_CTL_ADD, file, &e);
	if (r < 0) {
		CHECK(on_host && errno == EPERM);
	} else {
		CHECK(epoll_wait(ep, got, 2, 0) == 1);
		CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, file, NULL) == 0);
	}
	CHECK(epoll_wait(ep, got, 2, 0) == 0);
	CHECK(write(fifo, "x", 1) == 1 && write(p[1], "x", 1) == 1);
	CHECK(epoll_wait(ep, got, 2, 1000) == 2);
	CHECK(poll(poll_for, 3, 0) == 3);
}

/* --- locks that are waited for -------------------------------------------------------- */

static volatile sig_atomic_t alarms, victim;

static void on_alarm(int sig)
{
	if (++alarms == 3 && victim)
		kill(victim, SIGKILL);
}

/* Again and again, as one that comes before the call does nothing. The third
 * ends the victim, if there is one. */
static void alarm_every(long ms, int flags, pid_t to_end)
{
	const struct itimerval t = { { 0, ms * 1000 }, { 0, ms * 1000 } };
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = flags };

	alarms = 0;
	victim = to_end;
	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &t, NULL) == 0);
}

static void no_alarms(void)
{
	const struct itimerval never = { 0 };

	CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
}

static int lock_record(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_SETLKW, &l);
}

static int lock_description(int fd)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	return fcntl(fd, F_OFD_SETLKW, &l);
}

static int lock_file(int fd)
{
	return flock(fd, LOCK_EX);
}

static int (*const lock[])(int fd) = {
	lock_record, lock_description, lock_file,
};

enum { LOCKS = sizeof lock / sizeof *lock };

/* A child that has the lock until it is killed. */
static pid_t holder(int kind)
{
	int ready[2];
	char c;
	pid_t pid;

	CHECK(pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		int fd = open("file", O_RDWR);

		CHECK(fd >= 0 && lock[kind](fd) == 0);
		CHECK(write(ready[1], "", 1) == 1);
		alarm(600);
		pause();
		_exit(1);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void end(pid_t pid)
{
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
}

static void signals_into_locks(void)
{
	int fd;
	pid_t pid;

	put("file", "x");
	for (int kind = 0; kind < LOCKS; kind++) {
		fd = open("file", O_RDWR);
		pid = holder(kind);
		alarm_every(100, 0, 0);
		REFUSED(lock[kind](fd), EINTR);
		no_alarms();
		CHECK(alarms > 0);
		end(pid);
		CHECK(lock[kind](fd) == 0 && close(fd) == 0);
		/* and with SA_RESTART it is got in the end */
		fd = open("file", O_RDWR);
		pid = holder(kind);
		alarm_every(100, SA_RESTART, pid);
		CHECK(lock[kind](fd) == 0 && alarms >= 3);
		no_alarms();
		CHECK(close(fd) == 0 && waitpid(pid, NULL, 0) == pid);
	}
}

/* One that waits and is killed is gone at once, and gets no lock any more. */
static void killed_waiters(void)
{
	pid_t pid, waiter[3];
	int fd;

	put("file", "x");
	for (int kind = 0; kind < LOCKS; kind++) {
		pid = holder(kind);
		for (int i = 0; i < 3; i++) {
			waiter[i] = fork();
			if (waiter[i] == 0) {
				fd = open("file", O_RDWR);
				lock[kind](fd);
				_exit(7);
			}
		}
		nap(100);
		for (int i = 0; i < 3; i++)
			end(waiter[i]);
		end(pid);
		fd = open("file", O_RDWR);
		CHECK(lock[kind](fd) == 0 && close(fd) == 0);
	}
}

static void *wait_for_lock(void *arg)
{
	int fd = open("file", O_RDWR);

	CHECK(lock_description(fd) == -1 && errno == EINTR);
	close(fd);
	return NULL;
}

/* A signal to one thread ends its wait and no other's. */
static void threads_apart(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	pthread_t thread[3];
	pid_t pid;

	put("file", "x");
	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	pid = holder(1);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&thread[i], NULL, wait_for_lock, NULL) == 0);
	nap(100);
	/* one that does not wait yet is told again */
	for (int i = 0; i < 3; i++)
		do {
			CHECK(pthread_kill(thread[i], SIGUSR1) == 0);
			nap(10);
		} while (pthread_tryjoin_np(thread[i], NULL) != 0);
	end(pid);
}

/* Who comes second is told, whoever of the two that is. */
static void deadlock_found(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET,
			   .l_len = 1 };
	int fd, ready[2], r, status;
	char c;
	pid_t pid;

	put("file", "xx");
	fd = open("file", O_RDWR);
	CHECK(fcntl(fd, F_SETLK, &l) == 0 && pipe(ready) == 0);
	pid = fork();
	if (pid == 0) {
		l.l_start = 1;
		CHECK(fcntl(fd, F_SETLK, &l) == 0);
		CHECK(write(ready[1], "", 1) == 1);
		l.l_start = 0;
		_exit(fcntl(fd, F_SETLKW, &l) < 0 ? errno : 0);
	}
	CHECK(read(ready[0], &c, 1) == 1);
	nap(100);
	l.l_start = 1;
	r = fcntl(fd, F_SETLKW, &l);
	CHECK(r == 0 || errno == EDEADLK);
	l.l_type = F_UNLCK;
	l.l_start = 0;
	CHECK(fcntl(fd, F_SETLK, &l) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	CHECK(WEXITSTATUS(status) == (r == 0 ? EDEADLK : 0));
}

/* --- leases ------------------------------------------------------------------------ */

/* One is given, or refused as a whole, as the kernel has it for FUSE. */
static void leases(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int fd, other;
	pid_t pid;

	put("file", "x");
	alarms = 0;
	fd = open("file", O_RDONLY);
	CHECK(sigaction(SIGIO, &sa, NULL) == 0);
	if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0) {
		CHECK(errno == EINVAL && !on_host);
		return;
	}
	pid = fork();
	if (pid == 0) {
		REFUSED(open("file", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
		other = open("file", O_WRONLY);
		CHECK(other >= 0);
		_exit(0);
	}
	while (!alarms)
		nap(10);
	CHECK(fcntl(fd, F_SETLEASE, F_UNLCK) == 0);
	joined(pid);
}

int main(int argc, char **argv)
{
	static const struct test table[] = {
		{ "inotify_tells", inotify_tells },
		{ "fifo_meets", fifo_meets }, { "socket_meets", socket_meets },
		{ "waits_for_many", waits_for_many },
		{ "signals_into_locks", signals_into_locks },
		{ "killed_waiters", killed_waiters },
		{ "threads_apart", threads_apart },
		{ "deadlock_found", deadlock_found }, { "leases", leases },
	};

	return RUN(argc, argv, table);
}
