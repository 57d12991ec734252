/*
 * daemon.c - a mount for the whole host, or mounts for programs that ask: two
 * processes that live as long as they do, the supervisor and its holder.
 *
 * Theory of operation. The holder makes what must outlive a supervisor (see
 * rk__estate_create), forks the supervisor, and then only waits: it keeps
 * descriptors and mappings, passes signals on, and touches neither the mount
 * nor what it keeps. When the supervisor is killed, all its processes are
 * killed with it. The holder reaps each of them, being a subreaper: only then
 * is it certain that nobody writes to the shared memory, the image or
 * /dev/fuse any more. Then it forks the next supervisor, which finds
 * everything at the same addresses and goes on as after the death of a server.
 * If that does not help, or the supervisor gave up, the mount is taken away.
 *
 * What goes wrong before the mount is up is said to the command that started
 * it; afterwards there is nobody to say it to. The command takes the word that
 * all is well, and returns 0 whatever signals come then; if it is interrupted,
 * or killed, before it took the word, the holder sees that and ends all.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include "daemon.h"
#include "driver.h"
#include "supervisor/upgrade.h"
#include "notify.h"

enum {
	IDLE_MAX = 16,			/* supervisors in a row that did nothing */
};

static struct rk__supervisor *supervisor;

static bool is_shared(const struct mount_request *q)
{
	return q->config.audience == RK_AUDIENCE_SHARED;
}

/* Ours has this device number; another one that came to stand there since is
 * none of our business. */
static void note_mount(struct mount_request *q)
{
	struct rk__mounted now;

	if (is_shared(q) ||
	    rk__mount_find(q->config.mount[0].path, &now) < 0 ||
	    strcmp(now.type, "fuse.rump") != 0)
		return;
	q->major = now.major;
	q->minor = now.minor;
}

static bool is_ours(const struct mount_request *q)
{
	struct rk__mounted now;

	return !is_shared(q) &&
	       rk__mount_find(q->config.mount[0].path, &now) == 0 &&
	       now.major == q->major && now.minor == q->minor;
}

/* What goes wrong later is told through the pipe. */
static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	if (null > STDERR_FILENO)
		close(null);
}

/* --- the supervisor ---------------------------------------------------------- */

/* A mount that is gone already is what was wanted. */
static int unmount(void *ctx, enum rk__unmount how)
{
	const struct mount_request *q = ctx;
	const char *dir = q->config.mount[0].path;
	char error[RK_SERVER_ERROR_LEN];

	if (is_shared(q))
		return rk__shared_unmount(&q->shared, q->config.n_mounts,
					  how == RK_UNMOUNT_ABORT);
	if (!is_ours(q))
		return 0;
	return how == RK_UNMOUNT_ABORT ? rk__fuse_abort(dir, error) :
	       rk__fuse_unmount(dir, how == RK_UNMOUNT_LAZY, error);
}

static void asked_to_end(void *ctx, int sig)
{
	rk__supervisor_ask_stop(supervisor);
}

static void end_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGHUP);
}

static void take_signals(void)
{
	sigset_t all;

	end_signals(&all);
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(&all, sig) == 1)
			rk__supervisor_signal(supervisor, sig, asked_to_end,
					      NULL);
	sigaddset(&all, SIGCHLD);
	/* one that came too early comes now */
	sigprocmask(SIG_UNBLOCK, &all, NULL);
}

static int make_mount(struct mount_request *q, char *error)
{
	const struct rk__mount_spec *m = &q->config.mount[0];
	char ignored[RK_SERVER_ERROR_LEN];
	int fd, e;

	if (m->read_only)
		q->how.flags |= MS_RDONLY;
	e = rk__fuse_mount(m->path, &q->how, &fd, error);
	if (e < 0)
		return e;
	note_mount(q);
	e = rk__supervisor_fuse(supervisor, 0, fd, error);
	if (e < 0)
		rk__fuse_unmount(m->path, true, ignored);
	return e;
}

static int take_shared(struct mount_request *q, char *error)
{
	int e = 0;

	for (uint32_t i = 0; i < q->config.n_mounts && !e; i++) {
		if (q->shared.fuse[i] >= 0)
			e = rk__supervisor_fuse(supervisor, i,
						q->shared.fuse[i], error);
		q->shared.fuse[i] = -1;
	}
	return e;
}

static int serve(char *error)
{
	char stop_error[RK_SERVER_ERROR_LEN] = "";
	int e = rk__supervisor_run(supervisor, error);

	if (rk__supervisor_stop(supervisor, NULL, stop_error) < 0 && e == 0) {
		memcpy(error, stop_error, sizeof stop_error);
		e = -EIO;
	}
	return e;
}

/* One who does not listen any more is the holder's business. */
static void tell_command(int *tell, const char *sentence)
{
	if (*tell < 0)
		return;
	send(*tell, sentence, strlen(sentence) + 1, MSG_NOSIGNAL);
	close(*tell);
	*tell = -1;
}

/* The first mounts, the others find it. tell: a sentence goes there, or an
 * empty one if all is well; -1 if nobody waits for it. */
static int supervise(struct mount_request *q, struct rk__estate *estate,
		     int socket, int *tell, char *error)
{
	bool first = !rk__estate_lives(estate) && !q->handed;
	char ignored[RK_SERVER_ERROR_LEN];
	int e = rk__supervisor_inherit(estate, socket, &supervisor, error);

	if (e < 0)
		return e;
	take_signals();
	if (q->lifeline[1])
		rk__supervisor_bind(supervisor);
	if (first)
		e = is_shared(q) ? take_shared(q, error) :
		    make_mount(q, error);
	if (is_shared(q))
		rk__supervisor_share(supervisor, q->shared.user_ns,
				     q->shared.mount_ns);
	if (e < 0) {
		rk__supervisor_stop(supervisor, NULL, ignored);
		return e;
	}
	if (q->config.fuse)
		rk__supervisor_on_stop(supervisor, unmount, q);
	tell_command(tell, "");
	return serve(error);
}

/* --- the holder -------------------------------------------------------------- */

struct holder {
	struct mount_request *q;
	struct rk__estate *estate;
	int signals;			/* signalfd */
	int socket;			/* of the supervisor that lives */
	int tell;			/* the command; -1 when it took the word */
	int asked;			/* the signal that wants it to end */
	bool ended;			/* a supervisor did all there was to do */
};

static _Noreturn void become_supervisor(struct holder *h, int socket)
{
	char error[RK_SERVER_ERROR_LEN] = "";

	close(h->signals);
	close(h->socket);
	if (supervise(h->q, h->estate, socket, &h->tell, error) >= 0)
		_exit(0);
	if (h->q->foreground)
		complain("%s", error);
	else
		tell_command(&h->tell, error);
	_exit(RUMP_FAILED);
}

/* The supervisor has these: its end must be the end of them. */
static void forget_handed(struct mount_request *q)
{
	int *const fd[] = { &q->handed->socket, &q->handed->listener,
			    &q->handed->cells };

	for (unsigned i = 0; i < sizeof fd / sizeof *fd; i++) {
		if (*fd[i] >= 0)
			close(*fd[i]);
		*fd[i] = -1;
	}
}

static pid_t fork_supervisor(struct holder *h)
{
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	h->socket = pair[0];
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		become_supervisor(h, pair[1]);
	pid = pid < 0 ? -errno : pid;
	close(pair[1]);
	/* what it does not pass on to us is lost with it */
	if (is_shared(h->q))
		rk__shared_close_fuse(&h->q->shared);
	fcntl(h->socket, F_SETFL, O_NONBLOCK);
	if (h->q->handed)
		forget_handed(h->q);
	if (pid > 0 && h->asked)
		kill(pid, h->asked);
	return pid;
}

static void take_signal(struct holder *h, pid_t pid)
{
	struct signalfd_siginfo info;

	if (read(h->signals, &info, sizeof info) != sizeof info ||
	    info.ssi_signo == SIGCHLD)
		return;
	h->asked = (int)info.ssi_signo;
	notify_stopping();
	kill(pid, h->asked);
}

/* Whoever wanted it is no more. */
static void lose_lifeline(struct holder *h, pid_t pid)
{
	h->asked = SIGTERM;
	kill(pid, SIGTERM);
}

/* The command took the word, or is gone and did not. */
static void hear_command(struct holder *h, pid_t pid)
{
	char word;

	if (recv(h->tell, &word, sizeof word, 0) <= 0)
		lose_lifeline(h, pid);
	close(h->tell);
	h->tell = -1;
}

static void hear(struct holder *h)
{
	bool lived = rk__estate_lives(h->estate);

	while (rk__estate_hear(h->estate, h->socket))
		;
	if (!lived && rk__estate_lives(h->estate))
		note_mount(h->q);
}

/* Until it ended; returns its status. */
static int attend(struct holder *h, pid_t pid)
{
	struct pollfd p[] = {
		{ .fd = h->signals, .events = POLLIN },
		{ .fd = h->socket, .events = POLLIN },
		{ .fd = h->q->lifeline[1] ? h->q->lifeline[0] : -1 },
		{ .fd = h->tell, .events = POLLIN },
	};
	int status = -1;

	notify_supervisor();
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (poll(p, 4, notify_timeout_ms()) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			take_signal(h, pid);
		if (p[1].revents)
			hear(h);
		if (p[1].revents & (POLLHUP | POLLERR))
			p[1].fd = -1;
		if (p[2].revents) {
			lose_lifeline(h, pid);
			p[2].fd = -1;
		}
		if (p[3].revents) {
			hear_command(h, pid);
			p[3].fd = -1;
		}
		if (notify_look(rk__estate_status(h->estate)))
			kill(pid, SIGKILL);
	}
	hear(h);
	close(h->socket);
	h->socket = -1;
	return status;
}

/* It takes signals until it has done all there was to do, so one that dies of
 * ours had done it. */
static bool has_ended(const struct holder *h, int status)
{
	return WIFEXITED(status) || (h->asked && WIFSIGNALED(status) &&
				     WTERMSIG(status) == h->asked);
}

/* An upgrade took what we keep: the new holder goes on. Whoever waits for us
 * in the foreground waits for that one; systemd is told. */
static int follow(struct holder *h, int status)
{
	pid_t pid = rk__estate_successor(h->estate);

	h->ended = true;
	if (h->q->handed && !pid)
		return RUMP_FAILED;	/* it never was ours */
	if (h->asked)
		kill(pid, h->asked);
	if (notify_successor(pid))
		return 0;
	if (h->q->foreground)
		status = attend(h, pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
}

/* One supervisor after the other; returns the exit status of the last. */
static int hold(struct holder *h)
{
	uint64_t progress = 0, before;
	unsigned idle = 0;
	int status;
	pid_t pid;

	for (;;) {
		pid = fork_supervisor(h);
		if (pid < 0)
			return RUMP_FAILED;
		status = attend(h, pid);
		if (!rk__estate_is_ours(h->estate))
			return follow(h, status);
		h->q->handed = NULL;
		h->ended = has_ended(h, status);
		if (h->ended)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 0;
		before = progress;
		progress = rk__estate_progress(h->estate);
		idle = progress == before ? idle + 1 : 0;
		if (!rk__estate_lives(h->estate) || idle > IDLE_MAX || !reap_family())
			return RUMP_FAILED;
	}
}

static int open_signals(struct holder *h)
{
	sigset_t set;

	end_signals(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	h->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return h->signals < 0 ? -errno : 0;
}

static int cannot_start(int e, char *error)
{
	snprintf(error, RK_SERVER_ERROR_LEN, "cannot start: %s", strerror(-e));
	return e;
}

static int make_estate(struct mount_request *q, struct rk__estate **ret,
		       char *error)
{
	int e = 0;

	if (q->handed)
		return rk__estate_adopt(&q->config, q->handed, ret, error);
	if (is_shared(q) && q->config.fuse)
		e = rk__shared_make(&q->config, &q->shared, error);
	return e < 0 ? e : rk__estate_create(&q->config, ret, error);
}

/* Returns the exit status, or a negative errno with a sentence before there
 * was a supervisor. */
static int run_holder(struct mount_request *q, int tell, char *error)
{
	struct holder h = { .q = q, .signals = -1, .socket = -1, .tell = tell };
	char ignored[RK_SERVER_ERROR_LEN];
	struct rlimit old;
	int e;

	raise_limits(&old);
	/* from here on, so that nothing is left half made */
	e = open_signals(&h);
	if (e < 0)
		return cannot_start(e, error);
	if (q->lifeline[1])
		close(q->lifeline[1]);
	/* successors have it too */
	if (!q->config.name[0])
		snprintf(q->config.name, sizeof q->config.name, "%d",
			 (int)getpid());
	e = make_estate(q, &h.estate, error);
	if (e < 0)
		return e;
	if (q->handed)
		note_mount(q);
	else if (q->config.mount[0].kind != RK_SOURCE_NONE)
		stale_clear_source(q->config.mount[0].source);
	if (!q->foreground) {
		leave_terminal();
		(void)!chdir("/");
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return cannot_start(-errno, error);
	e = hold(&h);
	/* While the lock of the image is ours, nobody can have mounted it here
	 * again, with the number that our mount had. */
	if (!h.ended && is_ours(q))
		rk__fuse_abort(q->config.mount[0].path, ignored);
	rk__estate_destroy(h.estate);
	return e;
}

/* What ends a command, unless its caller said that it shall not. */
static void block_ends(sigset_t *ends, sigset_t *old)
{
	struct sigaction now;

	end_signals(ends);
	for (int sig = 1; sig < NSIG; sig++)
		if (sigismember(ends, sig) == 1 &&
		    sigaction(sig, NULL, &now) == 0 &&
		    now.sa_handler == SIG_IGN)
			sigdelset(ends, sig);
	sigprocmask(SIG_BLOCK, ends, old);
}

/* Until there is a word, and takes it: 0, or a sentence in error. What is
 * interrupted before takes nothing. */
static int take_word(int tell, const sigset_t *ends, char *error)
{
	struct pollfd p[] = {
		{ .fd = tell, .events = POLLIN },
		{ .fd = signalfd(-1, ends, SFD_CLOEXEC), .events = POLLIN },
	};
	ssize_t n = 0;

	while (poll(p, 2, -1) < 0 && errno == EINTR)
		;
	if (p[0].revents)
		n = recv(tell, error, RK_SERVER_ERROR_LEN, 0);
	close(p[1].fd);
	if (n == 1) {
		send(tell, "", 1, MSG_NOSIGNAL);
		return 0;
	}
	if (n <= 0)
		strcpy(error, "the server ended while it started");
	return -EIO;
}

static int in_background(struct mount_request *q, char *error)
{
	sigset_t ends, old;
	int fd[2], e;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
		return cannot_start(-errno, error);
	block_ends(&ends, &old);
	pid = fork();
	if (pid == 0) {
		close(fd[0]);
		setsid();
		e = run_holder(q, fd[1], error);
		if (e < 0)
			tell_command(&fd[1], error);
		_exit(e < 0 ? RUMP_FAILED : e);
	}
	e = pid < 0 ? cannot_start(-errno, error) : 0;
	close(fd[1]);
	if (!e)
		e = take_word(fd[0], &ends, error);
	close(fd[0]);
	/* one that was interrupted leaves nothing to wait for either */
	if (e < 0 && pid > 0)
		waitpid(pid, NULL, 0);
	/* all that is left to do is to return 0, if it is nobody's own */
	if (e < 0 || q->lifeline[1])
		sigprocmask(SIG_SETMASK, &old, NULL);
	return e;
}

int daemon_take_over(struct mount_request *q, struct rk__handed *handed,
		     char *error)
{
	q->handed = handed;
	q->shared.user_ns = handed->user_ns;
	q->shared.mount_ns = handed->mount_ns;
	/* for supervisors to come */
	if (handed->listener_given)
		q->config.listen_fd = fcntl(handed->listener, F_DUPFD_CLOEXEC,
					    STDERR_FILENO + 1);
	notify_take_over(&q->config);
	return run_holder(q, -1, error);
}

int daemon_start(struct mount_request *q, char *error)
{
	int e;

	if (!q->foreground)
		return in_background(q, error);
	e = notify_begin(&q->config, error);
	if (!e && q->config.managed && !is_shared(q) &&
	    rk__mounts_are_own()) {
		snprintf(error, RK_SERVER_ERROR_LEN, "nobody outside of this "
			 "unit would see a mount for the host; make it a line "
			 "of fstab, of the type fuse.rump");
		e = -EINVAL;
	}
	if (e < 0)
		return e;
	e = run_holder(q, -1, error);
	if (e > 0)
		exit(e);		/* the supervisor said why */
	return e;
}
