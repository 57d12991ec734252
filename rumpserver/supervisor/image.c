/*
 * image.c - opening the source of a mount: says in one sentence what is wrong
 * with it, locks it against a second user, and makes its journal.
 *
 * The lock is a flock: it belongs to the open file description, so every
 * process of the family holds it, and the last one to end releases it. The
 * kernel lists its owner in /proc/locks, which lets the sentence name him. If
 * nobody is left to be named, the family was killed and its last processes are
 * on their way out: that is waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include "driver.h"
#include "keeper/journal.h"
#include "keeper/undo.h"
#include "supervisor/make.h"

#define say(error, ...) \
	((void)snprintf((error), RK_SERVER_ERROR_LEN, __VA_ARGS__))

static const char *const noun[] = {
	[RK_SOURCE_IMAGE] = "image", [RK_SOURCE_FILE] = "file",
	[RK_SOURCE_DIRECTORY] = "directory",
};

enum { LOCK_LOOK_MS = 10, LOCK_WAIT_MS = 30000 };

static bool only_reads(const struct rk__mount_spec *m)
{
	return m->read_only || m->kind == RK_SOURCE_FILE;
}

/* Nothing of a zombie works but its parent's wait. */
static bool is_alive(int pid)
{
	char path[64], state = 'Z';
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'R';
	fclose(f);
	return state != 'Z' && state != 'X';
}

/* Who holds a flock on this file, if he lives; 0: nobody we can see. */
static int lock_owner(const struct stat *st)
{
	unsigned long long ino;
	unsigned major_, minor_;
	char line[256];
	int pid, owner = 0;
	FILE *f = fopen("/proc/locks", "re");

	if (!f)
		return 0;
	while (owner <= 0 && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%llu", &pid,
			   &major_, &minor_, &ino) == 4 &&
		    makedev(major_, minor_) == st->st_dev &&
		    ino == st->st_ino)
			owner = pid;
	}
	fclose(f);
	return owner > 0 && is_alive(owner) ? owner : 0;
}

static int lock(int fd, const struct rk__mount_spec *m, char *error)
{
	int how = (only_reads(m) ? LOCK_SH : LOCK_EX) | LOCK_NB;
	const struct timespec look = { .tv_nsec = LOCK_LOOK_MS * 1000000 };
	int e, owner = 0;
	struct stat st;

	for (int ms = 0; ms < LOCK_WAIT_MS && !owner; ms += LOCK_LOOK_MS) {
		if (flock(fd, how) == 0)
			return 0;
		e = errno;
		if (e != EWOULDBLOCK) {
			say(error, "cannot lock %s: %s", m->source,
			    strerror(e));
			return -e;
		}
		owner = fstat(fd, &st) == 0 ? lock_owner(&st) : 0;
		if (!owner)
			nanosleep(&look, NULL);
	}
	if (owner)
		say(error, "%s is in use by another server (pid %d)",
		    m->source, owner);
	else
		say(error, "%s is in use by another server", m->source);
	return -EBUSY;
}

static const char *article(const struct rk__mount_spec *m)
{
	return m->kind == RK_SOURCE_IMAGE ? "an" : "a";
}

static int open_failed(const struct rk__mount_spec *m, int e, char *error)
{
	switch (e) {
	case ENOTDIR:
		if (m->kind == RK_SOURCE_DIRECTORY &&
		    access(m->source, F_OK) == 0) {
			say(error, "%s is not a directory", m->source);
			break;
		}
		/* fall through */
	case ENOENT:
		say(error, "no such %s: %s", noun[m->kind], m->source);
		break;
	case EACCES:
	case EPERM:
	case EROFS:
		if (!only_reads(m) && access(m->source, R_OK) == 0)
			say(error, "%s is not writable; to use it read-only, "
			    "give the option ro", m->source);
		else
			say(error, "no permission to open %s", m->source);
		break;
	case EISDIR:
		say(error, "%s is a directory, not %s %s", m->source,
		    article(m), noun[m->kind]);
		break;
	case ETXTBSY:
	case EBUSY:
		say(error, "%s is in use", m->source);
		break;
	default:
		say(error, "cannot open %s: %s", m->source, strerror(e));
	}
	return -e;
}

static int measure(int fd, const struct rk__mount_spec *m, uint64_t *ret,
		   char *error)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		say(error, "cannot stat %s: %s", m->source, strerror(errno));
		return -errno;
	}
	if (S_ISDIR(st.st_mode)) {
		say(error, "%s is a directory, not %s %s", m->source,
		    article(m), noun[m->kind]);
		return -EISDIR;
	}
	if (S_ISBLK(st.st_mode)) {
		if (ioctl(fd, BLKGETSIZE64, ret) == 0)
			return 0;
		say(error, "cannot tell the size of %s: %s", m->source,
		    strerror(errno));
		return -errno;
	}
	if (!S_ISREG(st.st_mode)) {
		say(error, "%s is neither a file nor a block device",
		    m->source);
		return -EINVAL;
	}
	if (st.st_size == 0) {
		say(error, "%s is empty, not %s %s", m->source, article(m),
		    noun[m->kind]);
		return -EINVAL;
	}
	*ret = st.st_size;
	return 0;
}

/* A reader cannot replay, so it must not see a half-flushed image. */
static int refuse_journal(const struct rk__mount_spec *m, const char *path,
			  char *error)
{
	struct stat st;

	if (stat(path, &st) < 0 || st.st_size == 0)
		return 0;
	say(error, "%s was not stopped cleanly and cannot be used read-only; "
	    "run: rump recover %s", m->source, m->source);
	return -EUCLEAN;
}

static int open_or_make(const char *path, bool *ret_new)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
		      0600);

	*ret_new = fd >= 0;
	if (fd < 0 && errno == EEXIST)
		fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

static int open_journal(const struct rk__mount_spec *m, struct rk__image *i,
			char *error)
{
	int e = rk__journal_path(m->source, i->journal, sizeof i->journal);

	if (e < 0) {
		say(error, "no place for the journal of %s: %s", m->source,
		    strerror(-e));
		return e;
	}
	if (m->read_only) {
		e = refuse_journal(m, i->journal, error);
		i->journal[0] = 0;
		return e;
	}
	i->journal_fd = open_or_make(i->journal, &i->journal_new);
	if (i->journal_fd < 0) {
		e = i->journal_fd;
		say(error, "cannot make the journal %s: %s", i->journal,
		    strerror(-e));
		i->journal[0] = 0;
	}
	return e;
}

/* Beside the journal, which could be made: so this can. */
static int open_undo(const struct rk__mount_spec *m, struct rk__image *i,
		     char *error)
{
	int e = rk__undo_path(m->source, i->undo, sizeof i->undo);

	if (m->read_only) {
		i->undo[0] = 0;
		return 0;
	}
	if (e == 0) {
		i->undo_fd = open_or_make(i->undo, &i->undo_new);
		e = i->undo_fd < 0 ? i->undo_fd : 0;
	}
	if (e < 0) {
		say(error, "cannot make the file of checkpoints of %s: %s",
		    m->source, strerror(-e));
		rk__image_unmake(i);
		i->undo[0] = 0;
	}
	return e;
}

/* A description of its own, so that what it permits differs. */
static int open_again(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return open(path, flags | O_CLOEXEC);
}

static int open_directory(const struct rk__mount_spec *m,
			  struct rk__image *ret, char *error)
{
	ret->ro_fd = open(m->source, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return ret->ro_fd < 0 ? open_failed(m, errno, error) : 0;
}

int rk__image_open(const struct rk__mount_spec *m, struct rk__image *ret,
		   char *error)
{
	struct rk__image i = {
		.rw_fd = -1, .ro_fd = -1, .journal_fd = -1, .undo_fd = -1,
	};
	int e, fd;

	*ret = i;
	if (m->kind == RK_SOURCE_NONE)
		return 0;
	if (m->kind == RK_SOURCE_DIRECTORY)
		return open_directory(m, ret, error);
	fd = open(m->source, (only_reads(m) ? O_RDONLY : O_RDWR) | O_CLOEXEC |
		  O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return open_failed(m, errno, error);
	if (only_reads(m))
		i.ro_fd = fd;
	else
		i.rw_fd = fd;
	e = measure(fd, m, &i.size, error);
	if (e < 0)
		goto fail;
	e = lock(fd, m, error);
	if (e < 0)
		goto fail;
	if (!only_reads(m)) {
		i.ro_fd = open_again(fd, O_RDONLY);
		if (i.ro_fd < 0) {
			e = open_failed(m, errno, error);
			goto fail;
		}
	}
	e = m->kind == RK_SOURCE_IMAGE ? open_journal(m, &i, error) : 0;
	if (e == 0 && m->kind == RK_SOURCE_IMAGE)
		e = open_undo(m, &i, error);
	if (e < 0)
		goto fail;
	*ret = i;
	return 0;
fail:
	rk__image_close(&i);
	return e;
}

void rk__image_close(struct rk__image *i)
{
	if (i->rw_fd >= 0)
		close(i->rw_fd);
	if (i->ro_fd >= 0)
		close(i->ro_fd);
	if (i->journal_fd >= 0)
		close(i->journal_fd);
	if (i->undo_fd >= 0)
		close(i->undo_fd);
	*i = (struct rk__image){
		.rw_fd = -1, .ro_fd = -1, .journal_fd = -1, .undo_fd = -1,
	};
}

void rk__image_forget(struct rk__image *i)
{
	i->journal[0] = i->undo[0] = 0;
	i->journal_new = i->undo_new = false;
}

void rk__image_unmake(const struct rk__image *i)
{
	if (i->journal_new)
		unlink(i->journal);
	if (i->undo_new)
		unlink(i->undo);
}

/* Without a label in it, what it saved once is of no use; what cannot be read is
 * for its owner to look at. */
static bool has_checkpoints(const char *path)
{
	static struct rk__undo_head head;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int r = fd < 0 ? 0 : rk__undo_head(fd, &head);

	if (fd >= 0)
		close(fd);
	return r < 0 || head.n > 0;
}

void rk__image_settled(struct rk__image *i)
{
	if (i->journal[0])
		unlink(i->journal);
	i->journal[0] = 0;
	if (i->undo[0] && !has_checkpoints(i->undo))
		unlink(i->undo);
	i->undo[0] = 0;
}
