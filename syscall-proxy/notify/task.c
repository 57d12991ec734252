/*
 * task.c - processes that were seen.
 *
 * A process is known by its number as long as it lives; that it has ended, its
 * pidfd says before the number can be another's, and every call looks there
 * first. So a task in the table is the one that calls.
 *
 * A working directory in a server is nothing that the kernel knows. A child
 * begins where its parent is; that is asked when the child is first seen, and
 * before a parent goes elsewhere or ends, of all its children. What is lost
 * that way is a child that was never seen of a parent that was killed.
 */
#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "notify/notify_int.h"

static struct task **slot(struct rk__notifier *n, pid_t pid)
{
	struct task **at = &n->task[(unsigned)pid % TASK_BUCKETS];

	while (*at && (*at)->pid != pid)
		at = &(*at)->next;
	return at;
}

/* --- the end of a task -------------------------------------------------------- */

static void destroy(struct rk__notifier *n, struct task *t)
{
	struct rk_client *own;

	for (uint32_t i = 0; i < n->how.config->n_servers; i++) {
		if (!t->client[i])
			continue;
		rk__registry_leave(n->how.registry, i, t->client[i]);
		rk_detach(t->client[i]);
	}
	if (t->cwd_fd >= 0 &&
	    rk__registry_client(n->how.registry, t->cwd.server, &own) == 0)
		rk_close(own, t->cwd_fd);
	for (int i = 0; i < SWAPS; i++)
		if (t->swap[i].placeholder >= 0)
			close(t->swap[i].placeholder);
	if (t->apart >= 0)
		close(t->apart);
	close(t->pidfd);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void task_put(struct rk__notifier *n, struct task *t)
{
	bool last;

	pthread_mutex_lock(&n->lock);
	last = --t->refs == 0;
	pthread_mutex_unlock(&n->lock);
	if (last)
		destroy(n, t);
}

static void end(struct rk__notifier *n, pid_t pid)
{
	struct task **at, *t;

	pthread_mutex_lock(&n->lock);
	at = slot(n, pid);
	t = *at;
	if (t) {
		*at = t->next;
		epoll_ctl(n->events, EPOLL_CTL_DEL, t->pidfd, NULL);
	}
	pthread_mutex_unlock(&n->lock);
	if (t)
		task_put(n, t);
}

void tasks_settle(struct rk__notifier *n)
{
	struct epoll_event e[8];
	int got;

	/* What another has begun to close is closed when this returns. */
	pthread_mutex_lock(&n->settling);
	got = epoll_wait(n->events, e, 8, 0);
	for (int i = 0; i < got; i++) {
		if (e[i].data.u32)
			end(n, (pid_t)e[i].data.u32);
		else
			rk__registry_settle(n->how.registry);
	}
	pthread_mutex_unlock(&n->settling);
}

void tasks_destroy(struct rk__notifier *n)
{
	struct task *t;

	for (unsigned i = 0; i < TASK_BUCKETS; i++) {
		while ((t = n->task[i])) {
			n->task[i] = t->next;
			destroy(n, t);
		}
	}
}

/* --- directories -------------------------------------------------------------- */

/* What a ticket says, in the broker's client. */
static int32_t redeem(struct rk__notifier *n, uint32_t server,
		      const struct rk_ticket *ticket)
{
	struct rk_client *own;
	int64_t fd = rk__registry_client(n->how.registry, server, &own);

	if (fd == 0)
		fd = rk_take(own, ticket->word[0], ticket->word[1], 0);
	return (int32_t)fd;
}

/* Of a directory in a server, the task's own or one that it has yet to use. */
int task_cwd_ticket(struct rk__notifier *n, struct task *t,
		    uint32_t *ret_server, struct rk_ticket *ret)
{
	struct rk_client *client;
	int64_t fd, e = -ENOENT;

	pthread_mutex_lock(&t->lock);
	*ret_server = t->cwd.server;
	if (t->cwd.inside && t->cwd_fd >= 0) {
		e = rk__registry_client(n->how.registry, t->cwd.server,
					&client);
		if (e == 0)
			e = rk_offer(client, t->cwd_fd, ret);
	} else if (t->cwd.inside) {
		client = t->client[t->cwd.server];
		fd = e = rk_openat(client, RK_AT_FDCWD, ".",
				   O_PATH | O_DIRECTORY, 0);
		if (fd >= 0) {
			e = rk_offer(client, (int32_t)fd, ret);
			rk_close(client, (int32_t)fd);
		}
	}
	/* Somewhere, or nowhere any more; not outside. */
	if (t->cwd.inside && e == -ENOENT)
		e = -ESTALE;
	pthread_mutex_unlock(&t->lock);
	return e < 0 ? (int)e : 0;
}

static void cwd_from_ticket(struct rk__notifier *n, struct task *t,
			    uint32_t server, const struct rk_ticket *ticket)
{
	int32_t fd = redeem(n, server, ticket);

	/* It is in a server, and cannot be told where. */
	t->lost = fd < 0;
	if (fd < 0)
		return;
	t->cwd = (struct rk__cwd){ true, server, RK_AT_FDCWD };
	t->cwd_fd = fd;
}

static struct task *known_task(struct rk__notifier *n, pid_t pid)
{
	struct task *t;

	pthread_mutex_lock(&n->lock);
	t = *slot(n, pid);
	if (t)
		t->refs++;
	pthread_mutex_unlock(&n->lock);
	return t;
}

/* Into the task's own client, if it has one. */
static void move_cwd(struct rk__notifier *n, struct task *t)
{
	struct rk_client *client = t->client[t->cwd.server], *own;
	int32_t fd;

	if (t->cwd_fd < 0 || !client ||
	    rk__registry_client(n->how.registry, t->cwd.server, &own) < 0)
		return;
	fd = rk__pass(own, t->cwd_fd, client);
	/* Or else it is nowhere, rather than at the server's root. */
	if (fd < 0 || rk_fchdir(client, fd) < 0)
		t->lost = true;
	if (fd >= 0)
		rk_close(client, fd);
	rk_close(own, t->cwd_fd);
	t->cwd_fd = -1;
}

/* It told the broker of a directory, before it became another program. */
static void change_cwd(struct rk__notifier *n, struct task *t)
{
	uint32_t server, changes = rk__cwds_changes(n->how.cwds);
	struct rk_ticket ticket;
	struct rk_client *own;
	int e;

	if (t->cwds_seen == changes)
		return;
	pthread_mutex_lock(&t->lock);
	t->cwds_seen = changes;
	e = rk__cwds_get(n->how.cwds, t->pid, &server, &ticket);
	if (e == 0 || e == -ENODATA) {
		if (t->cwd_fd >= 0 &&
		    rk__registry_client(n->how.registry, t->cwd.server,
					&own) == 0)
			rk_close(own, t->cwd_fd);
		t->cwd_fd = -1;
		t->cwd.inside = false;
	}
	if (e == 0) {
		cwd_from_ticket(n, t, server, &ticket);
		move_cwd(n, t);
	}
	pthread_mutex_unlock(&t->lock);
}

static struct task *first_sight(struct rk__notifier *n, pid_t pid);

/*
 * Where it told the broker that it is, or else where its parent is, which may
 * not have been seen either. An orphan whose parents were killed before that is
 * lost: nobody knows where it is.
 */
static void inherit_cwd(struct rk__notifier *n, struct task *t, pid_t parent)
{
	struct rk_ticket ticket;
	struct task *p;
	uint32_t server;
	int e = rk__cwds_get(n->how.cwds, t->pid, &server, &ticket);

	t->cwds_seen = rk__cwds_changes(n->how.cwds);
	if (e == -ENOENT) {
		p = first_sight(n, parent);
		t->lost = !p && n->root &&
			  (n->inside || rk__cwds_changes(n->how.cwds));
		if (p) {
			change_cwd(n, p);
			e = task_cwd_ticket(n, p, &server, &ticket);
			t->lost = p->lost;
			if (p->apart >= 0)
				t->apart = fcntl(p->apart, F_DUPFD_CLOEXEC, 0);
			task_put(n, p);
		}
	}
	if (e == 0)
		cwd_from_ticket(n, t, server, &ticket);
	/* It is in a server, and cannot be told where. */
	if (e < 0 && e != -ENOENT && e != -ENODATA)
		t->lost = true;
	if (!n->root)
		n->root = t->pid;
}

/* --- a new one ---------------------------------------------------------------- */

static void take_ids(struct rk__notifier *n, struct task *t,
		     const struct ids *ids)
{
	t->ids = *ids;
	t->foreign = !ids_equal(ids, &n->own);
	t->refused = t->foreign && !n->may_switch;
}

static int make(struct rk__notifier *n, pid_t pid, const struct status *s,
		struct task **ret)
{
	struct task *t = calloc(1, sizeof *t);

	if (!t)
		return -ENOMEM;
	t->pid = pid;
	t->cwd.fd = RK_AT_FDCWD;
	t->cwd_fd = t->apart = -1;
	for (int i = 0; i < SWAPS; i++)
		t->swap[i].placeholder = -1;
	t->refs = 2;
	t->hint = RK__FILTER_BASE;
	t->umask = s->umask;
	pthread_mutex_init(&t->lock, NULL);
	take_ids(n, t, &s->ids);
	t->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (t->pidfd < 0) {
		free(t);
		return -ESRCH;
	}
	inherit_cwd(n, t, s->ppid);
	*ret = t;
	return 0;
}

/* Two threads of it may have come at once. Gives the one that is in the table,
 * with a reference. */
static struct task *enter(struct rk__notifier *n, struct task *t)
{
	struct epoll_event e = {
		.events = EPOLLIN, .data.u32 = (uint32_t)t->pid,
	};
	struct task **at, *known;

	pthread_mutex_lock(&n->lock);
	at = slot(n, t->pid);
	known = *at;
	if (known) {
		known->refs++;
	} else {
		*at = t;
		epoll_ctl(n->events, EPOLL_CTL_ADD, t->pidfd, &e);
	}
	pthread_mutex_unlock(&n->lock);
	if (!known)
		return t;
	destroy(n, t);
	return known;
}

/* The process of a thread, if it is remembered and still so. */
static pid_t process_of(struct rk__notifier *n, pid_t tid)
{
	unsigned i = (unsigned)tid % THREADS_KNOWN;
	pid_t pid = 0;

	pthread_mutex_lock(&n->lock);
	if (*slot(n, tid))
		pid = tid;
	else if (n->known[i].tid == tid)
		pid = n->known[i].pid;
	pthread_mutex_unlock(&n->lock);
	if (pid && pid != tid &&
	    syscall(SYS_tgkill, pid, tid, 0) < 0 && errno != EPERM)
		return 0;
	return pid;
}

static void remember(struct rk__notifier *n, pid_t tid, pid_t pid)
{
	unsigned i = (unsigned)tid % THREADS_KNOWN;

	pthread_mutex_lock(&n->lock);
	n->known[i].tid = tid;
	n->known[i].pid = pid;
	pthread_mutex_unlock(&n->lock);
}

int task_get(struct call *c, struct task **ret)
{
	pid_t pid = process_of(c->n, c->tid);
	struct task *t = pid ? known_task(c->n, pid) : NULL;
	struct status s;
	int e;

	*ret = t;
	if (t)
		return 0;
	e = status_read(c->tid, &s);
	if (e < 0)
		return e;
	if (s.tgid != c->tid)
		remember(c->n, c->tid, s.tgid);
	*ret = known_task(c->n, s.tgid);
	if (*ret)
		return 0;
	e = make(c->n, s.tgid, &s, &t);
	if (e < 0)
		return e;
	/* The pidfd is of who called only if it calls still. */
	if (!call_is_valid(c)) {
		destroy(c->n, t);
		return -ESRCH;
	}
	*ret = enter(c->n, t);
	return 0;
}

/* A process of the program, with a reference; NULL: there is none. What is above
 * the program is none. */
static struct task *first_sight(struct rk__notifier *n, pid_t pid)
{
	struct task *t = known_task(n, pid);
	struct status s;

	if (t || pid <= 1 || pid == getppid() || pid == getpid())
		return t;
	if (status_read(pid, &s) < 0 || s.tgid != pid || !s.filtered ||
	    make(n, pid, &s, &t) < 0)
		return NULL;
	return enter(n, t);
}

static void bind_child(struct rk__notifier *n, pid_t pid)
{
	struct task *t = first_sight(n, pid);

	if (!t)
		return;
	task_bind_children(n, t);
	task_put(n, t);
}

static void bind_children_of(struct rk__notifier *n, const char *path)
{
	char text[4096], *at = text, *after;
	ssize_t got;
	long pid;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	got = read(fd, text, sizeof text - 1);
	close(fd);
	text[got > 0 ? got : 0] = 0;
	for (; (pid = strtol(at, &after, 10)) > 0 && after != at; at = after)
		bind_child(n, (pid_t)pid);
}

void task_bind_children(struct rk__notifier *n, struct task *t)
{
	char path[320];
	struct dirent *d;
	DIR *dir;

	snprintf(path, sizeof path, "/proc/%d/task", t->pid);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%s/children",
			 t->pid, d->d_name);
		bind_children_of(n, path);
	}
	if (dir)
		closedir(dir);
}

/* --- clients ------------------------------------------------------------------ */

static void tell_limits(const struct task *t, struct rk_client *client)
{
	static const int which[] = { RLIMIT_NOFILE, RLIMIT_FSIZE };
	struct rlimit limit;

	/* Descriptors are counted by the kernel. What goes wrong here goes wrong
	 * again at the next call, which says so. */
	for (size_t i = 0; i < 2; i++) {
		if (prlimit(t->pid, which[i], NULL, &limit) < 0)
			continue;
		(void)rk_rlimit(client, (uint32_t)which[i],
				which[i] == RLIMIT_FSIZE ? limit.rlim_cur :
				RLIM_INFINITY);
	}
}

/* With the task's ids. */
static int attach(struct rk__notifier *n, struct task *t, uint32_t server)
{
	struct rk_client *client;
	int e = rk_attach_for(n->how.config->server[server],
			      RK_ATTACH_POOL | RK_ATTACH_PAGES,
			      (uint32_t)t->pid, &client);

	if (e < 0)
		return e;
	rk_before_sleep(client, worker_may_sleep);
	(void)rk_umask(client, t->umask);
	tell_limits(t, client);
	t->client[server] = client;
	if (t->cwd.inside && t->cwd.server == server)
		move_cwd(n, t);
	return 0;
}

int task_client(struct rk__task *rt, uint32_t server, struct rk_client **ret)
{
	struct call *c = call_of(rt);
	struct task *t = c->task;
	int e = 0;

	if (t->refused) {
		c->refused = true;
		return -EPERM;
	}
	*ret = t->client[server];
	if (*ret)
		return 0;
	pthread_mutex_lock(&t->lock);
	if (!t->client[server])
		e = attach(c->n, t, server);
	*ret = t->client[server];
	pthread_mutex_unlock(&t->lock);
	return e;
}

struct rk_client *task_attached(struct rk__task *t, uint32_t server)
{
	return call_of(t)->task->client[server];
}

/* --- what changes ------------------------------------------------------------- */

static int change_ids(struct call *c, struct task *t)
{
	struct status s;
	int e = status_read(t->pid, &s);

	if (e < 0 || ids_equal(&s.ids, &t->ids))
		return e;
	pthread_mutex_lock(&t->lock);
	take_ids(c->n, t, &s.ids);
	ids_enter(c);
	for (uint32_t i = 0; i < c->n->how.config->n_servers; i++)
		if (t->client[i])
			(void)rk_refresh(t->client[i]);
	ids_leave(c);
	pthread_mutex_unlock(&t->lock);
	return 0;
}

int task_refresh(struct call *c)
{
	struct task *t = c->task;
	int e = 0;

	if (atomic_exchange(&t->ids_change, false))
		e = change_ids(c, t);
	if (atomic_exchange(&t->limits_change, false))
		for (uint32_t i = 0; i < c->n->how.config->n_servers; i++)
			if (t->client[i])
				tell_limits(t, t->client[i]);
	change_cwd(c->n, t);
	return e;
}
