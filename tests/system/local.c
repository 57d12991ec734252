/*
 * local.c - librumplocal: threads that wait for each other in locks and in the
 * middle of a driver (tests/drivers/sleepy), calls that fail are undone, what a
 * second client and a child are told.
 *
 *	system-local PATH=sleepy:IMAGE
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rump/local.h>

enum { PARTY = 4, ROUNDS = 200, LOCKERS = 4 };

static struct rk_client *client;
static _Atomic int inside;

static int64_t must(int64_t r, const char *what)
{
	if (r < 0) {
		fprintf(stderr, "local: %s: %s\n", what, strerror((int)-r));
		exit(1);
	}
	return r;
}

static void same(int64_t got, int64_t want, const char *what)
{
	if (got != want) {
		fprintf(stderr, "local: %s is %lld, should be %lld\n", what,
			(long long)got, (long long)want);
		exit(1);
	}
}

static int open_file(const char *name)
{
	return (int)must(rk_openat(client, RK_AT_FDCWD, name, O_RDWR | O_CREAT,
				   0600), name);
}

static void *guest(void *arg)
{
	uint32_t who = (uint32_t)(uintptr_t)arg;
	char name[16];
	int fd;

	snprintf(name, sizeof name, "party%u", who);
	fd = open_file(name);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		const uint32_t id[2] = { who, i };

		same(rk_pwrite(client, fd, id, sizeof id, 0), sizeof id,
		     "a guest's write");
	}
	return NULL;
}

static void *ringer(void *unused)
{
	int fd = open_file("bell");

	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++)
		same(rk_pwrite(client, fd, "r", 1, 0), 1, "a ring");
	return NULL;
}

static void *listener(void *unused)
{
	int fd = open_file("bell");
	uint64_t rung;

	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		same(rk_pread(client, fd, &rung, sizeof rung, i), sizeof rung,
		     "a listener's read");
		same(rung > i && rung <= ROUNDS, 1, "what it heard");
	}
	return NULL;
}

static void *locker(void *unused)
{
	int fd = open_file("locked");

	(void)unused;
	for (uint32_t i = 0; i < ROUNDS; i++) {
		must(rk_flock(client, fd, LOCK_EX), "flock");
		same(atomic_fetch_add(&inside, 1), 0, "who has the lock");
		must(rk_null(client), "null");
		atomic_fetch_sub(&inside, 1);
		must(rk_flock(client, fd, LOCK_UN), "unlock");
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[PARTY + LOCKERS + 2];
	unsigned n = 0;
	struct rk_stat st;

	open_file("log");
	open_file("bell");
	for (uintptr_t i = 0; i < PARTY; i++)
		pthread_create(&t[n++], NULL, guest, (void *)i);
	for (uintptr_t i = 0; i < LOCKERS; i++)
		pthread_create(&t[n++], NULL, locker, NULL);
	pthread_create(&t[n++], NULL, listener, NULL);
	pthread_create(&t[n++], NULL, ringer, NULL);
	while (n > 0)
		pthread_join(t[--n], NULL);
	must(rk_fstatat(client, RK_AT_FDCWD, "log", &st, 0), "log");
	same((int64_t)st.size, 2 * PARTY * ROUNDS * 16, "the size of the log");
}

/* A write that finds no room half-way leaves nothing behind. */
static void failures(void)
{
	static char block[1 << 20];
	int fd = open_file("large"), again;
	struct rk_stat st;
	int64_t r, size = 0;

	while ((r = rk_pwrite(client, fd, block, sizeof block, size)) > 0)
		size += r;
	same(r, -ENOSPC, "a write to a full disk");
	must(rk_fstat(client, fd, &st), "fstat");
	same((int64_t)st.size, size, "the size of what was written");
	must(rk_close(client, fd), "close");
	must(rk_unlinkat(client, RK_AT_FDCWD, "large", 0), "unlink");
	again = open_file("large");
	same(rk_pwrite(client, again, block, sizeof block, 0), sizeof block,
	     "a write after that");
	must(rk_fsync(client, again), "fsync");
}

static void child(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(rk_null(client) == -ESHUTDOWN ? 0 : 1);
	if (waitpid(pid, &status, 0) != pid)
		must(-errno, "waitpid");
	same(status, 0, "what a child was told");
}

int main(int argc, char **argv)
{
	const char *mount = argc > 1 ? argv[1] : "";
	struct rk_client *other;
	char error[256];

	for (int i = 0; i < 2; i++) {
		if (rk_local_attach(&mount, 1, &client, error,
				    sizeof error) < 0) {
			fprintf(stderr, "local: %s\n", error);
			return 1;
		}
		same(rk_local_attach(&mount, 1, &other, error, sizeof error),
		     -EBUSY, "a second client");
		if (i == 0)
			threads();
		else
			failures();
		child();
		rk_detach(client);
	}
	return 0;
}
