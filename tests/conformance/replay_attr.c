/*
 * replay_attr.c - the calls about what stat and its kin tell: attributes,
 * times, extended attributes, access lists, flags, file handles.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>
#include "replay.h"

static long tell_stat(long r, const struct stat *st)
{
	if (r < 0)
		return r;
	tell(" %o %lu %u:%u", st->st_mode, (unsigned long)st->st_nlink,
	     st->st_uid, st->st_gid);
	if (!S_ISDIR(st->st_mode))
		tell(" size %ld", (long)st->st_size);
	if (st->st_rdev)
		tell(" dev %u,%u", major(st->st_rdev), minor(st->st_rdev));
	return r;
}

static long c_stat(char **a)
{
	struct stat st;

	return tell_stat(fstatat(at_fd, a[0], &st,
				 a[1] ? (int)number(a[1]) : 0), &st);
}

static long c_lstat(char **a)
{
	struct stat st;

	return tell_stat(fstatat(at_fd, a[0], &st, AT_SYMLINK_NOFOLLOW), &st);
}

static long c_fstat(char **a)
{
	struct stat st;

	return tell_stat(fstat(descriptor(a[0]), &st), &st);
}

static long c_blocks(char **a)
{
	struct stat st;
	long r = fstat(descriptor(a[0]), &st);

	tell(" blocks %ld", (long)st.st_blocks);
	return r;
}

static long c_statx(char **a)
{
	struct statx x;
	long r = statx(at_fd, a[0], AT_SYMLINK_NOFOLLOW,
		       STATX_BASIC_STATS | STATX_BTIME, &x);

	if (r == 0)
		tell(" %o mask %x born %s", x.stx_mode,
		     x.stx_mask & (STATX_BASIC_STATS | STATX_BTIME),
		     x.stx_btime.tv_sec ? "yes" : "no");
	return r;
}

static long c_statfs(char **a)
{
	struct statfs st;
	long r = statfs(a[0], &st);

	if (r == 0)
		tell(" bsize %ld frsize %ld namelen %ld", (long)st.f_bsize,
		     (long)st.f_frsize, (long)st.f_namelen);
	return r;
}

/* Of these, what was just removed may be part for a moment yet. */
static long c_room(char **a)
{
	struct statfs st;
	long r = statfs(a[0], &st);

	if (r == 0)
		tell(" blocks %lu files %lu ffree %lu",
		     (unsigned long)st.f_blocks, (unsigned long)st.f_files,
		     (unsigned long)st.f_ffree);
	return r;
}

static long c_chmod(char **a)
{
	return fchmodat(at_fd, a[0], (mode_t)number(a[1]), 0);
}

static long c_fchmod(char **a)
{
	return fchmod(descriptor(a[0]), (mode_t)number(a[1]));
}

static long c_chown(char **a)
{
	return fchownat(at_fd, a[0], (uid_t)number(a[1]), (gid_t)number(a[2]),
			a[3] ? (int)number(a[3]) : 0);
}

static long c_lchown(char **a)
{
	return fchownat(at_fd, a[0], (uid_t)number(a[1]), (gid_t)number(a[2]),
			AT_SYMLINK_NOFOLLOW);
}

static long c_fchown(char **a)
{
	return fchown(descriptor(a[0]), (uid_t)number(a[1]),
		      (gid_t)number(a[2]));
}

/* --- times ------------------------------------------------------------------ */

static struct timespec time_of(const char *s)
{
	struct timespec t = { 0, 0 };
	char *dot;

	if (!strcmp(s, "now"))
		t.tv_nsec = UTIME_NOW;
	else if (!strcmp(s, "omit"))
		t.tv_nsec = UTIME_OMIT;
	else
		t.tv_sec = strtol(s, &dot, 10);
	if (!t.tv_nsec && *dot == '.')
		t.tv_nsec = strtol(dot + 1, NULL, 10);
	return t;
}

static long c_utimens(char **a)		/* PATH ATIME MTIME [FLAGS] */
{
	struct timespec t[2] = { time_of(a[1]), time_of(a[2]) };

	return utimensat(at_fd, a[0], t, a[3] ? (int)number(a[3]) : 0);
}

static long c_futimens(char **a)
{
	struct timespec t[2] = { time_of(a[1]), time_of(a[2]) };

	return futimens(descriptor(a[0]), t);
}

static long c_times(char **a)
{
	struct stat st;
	long r = lstat(a[0], &st);

	if (r == 0)
		tell(" %ld.%09ld %ld.%09ld", (long)st.st_atim.tv_sec,
		     st.st_atim.tv_nsec, (long)st.st_mtim.tv_sec,
		     st.st_mtim.tv_nsec);
	return r;
}

static struct stat marked[4];

static long c_mark(char **a)		/* PATH...: and let the clock go on */
{
	const struct timespec tick = { .tv_nsec = 12 * 1000 * 1000 };
	long r = 0;

	for (int i = 0; i < 4 && a[i]; i++)
		if (lstat(a[i], &marked[i]) < 0) {
			marked[i] = (struct stat){ 0 };
			r = -1;
		}
	nanosleep(&tick, NULL);
	return r;
}

/*
 * Which times of what was marked are others now. The time of the last access
 * is none of them: the kernel leaves it to a FUSE server, which does not see
 * what is read from the kernel's memory.
 */
static long c_changed(char **a)
{
	struct stat st;
	long r = 0;

	for (int i = 0; i < 4 && a[i]; i++) {
		r = lstat(a[i], &st);
		if (r < 0 || !marked[i].st_ino) {
			tell(" -");
			continue;
		}
		tell(" %s%s.",
		     memcmp(&st.st_mtim, &marked[i].st_mtim, 16) ? "m" : "",
		     memcmp(&st.st_ctim, &marked[i].st_ctim, 16) ? "c" : "");
	}
	return r;
}

/* --- extended attributes ------------------------------------------------------ */

static char value[1 << 17];

static long c_setxattr(char **a)	/* PATH NAME LENGTH CHARACTER [FLAGS] */
{
	size_t n = (size_t)number(a[2]);

	memset(value, *a[3], n);
	return lsetxattr(a[0], a[1], value, n, a[4] ? (int)number(a[4]) : 0);
}

static long c_getxattr(char **a)	/* PATH NAME ROOM */
{
	long r = lgetxattr(a[0], a[1], value, (size_t)number(a[2]));

	if (number(a[2]))
		tell(" %016lx", hash(value, r));
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static long c_listxattr(char **a)	/* PATH ROOM */
{
	long r = llistxattr(a[0], value, (size_t)number(a[1])), n = 0;
	char *name[512];

	for (char *p = value; number(a[1]) && p < value + r && n < 512;
	     p += strlen(p) + 1)
		if (strcmp(p, "security.selinux"))
			name[n++] = p;
	qsort(name, (size_t)n, sizeof *name, by_name);
	for (long i = 0; i < n; i++)
		tell(" %.40s", name[i]);
	return r;
}

static long c_removexattr(char **a)
{
	return lremovexattr(a[0], a[1]);
}

/* --- access lists: u::rwx,u:1000:r--,g::r-x,m::rwx,o::--- --------------------- */

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

static const char *const acl_name[2] = {
	"system.posix_acl_access", "system.posix_acl_default",
};

static struct acl_entry acl_entry(const char *s)
{
	struct acl_entry e = { .id = UINT32_MAX };
	const char *id = strchr(s, ':') + 1, *perm = strchr(id, ':') + 1;
	bool named = *id != ':';

	e.tag = *s == 'u' ? (named ? 2 : 1) : *s == 'g' ? (named ? 8 : 4) :
		*s == 'm' ? 16 : 32;
	if (named)
		e.id = (uint32_t)atol(id);
	for (; *perm && *perm != ','; perm++)
		e.perm |= *perm == 'r' ? 4 : *perm == 'w' ? 2 :
			*perm == 'x' ? 1 : 0;
	return e;
}

static long c_setacl(char **a)		/* PATH access|default LIST */
{
	uint32_t version = 2;
	char *at = value;

	memcpy(at, &version, 4);
	at += 4;
	for (const char *s = a[2]; s && *s; s = strchr(s, ',')) {
		struct acl_entry e;

		s += *s == ',';
		e = acl_entry(s);
		memcpy(at, &e, sizeof e);
		at += sizeof e;
	}
	return setxattr(a[0], acl_name[*a[1] == 'd'], value,
			(size_t)(at - value), 0);
}

static long c_getacl(char **a)
{
	long n = getxattr(a[0], acl_name[*a[1] == 'd'], value, sizeof value);
	struct acl_entry e;

	for (long at = 4; at + (long)sizeof e <= n; at += (long)sizeof e) {
		memcpy(&e, value + at, sizeof e);
		tell(" %x:%d:%o", e.tag, (int)e.id, e.perm);
	}
	return n;
}

static long c_delacl(char **a)
{
	return removexattr(a[0], acl_name[*a[1] == 'd']);
}

/* --- flags, ioctl, handles ------------------------------------------------------ */

static long c_getflags(char **a)
{
	int flags = 0;
	long r = ioctl(descriptor(a[0]), FS_IOC_GETFLAGS, &flags);

	tell(" %x", (unsigned)flags);
	return r;
}

static long c_setflags(char **a)
{
	int flags = (int)number(a[1]);

	return ioctl(descriptor(a[0]), FS_IOC_SETFLAGS, &flags);
}

static long c_fsgetxattr(char **a)
{
	struct fsxattr x = { 0 };
	long r = ioctl(descriptor(a[0]), FS_IOC_FSGETXATTR, &x);

	tell(" %x project %u", x.fsx_xflags, x.fsx_projid);
	return r;
}

static long c_fssetxattr(char **a)	/* FD FLAGS PROJECT */
{
	struct fsxattr x = {
		.fsx_xflags = (uint32_t)number(a[1]),
		.fsx_projid = (uint32_t)number(a[2]),
	};

	return ioctl(descriptor(a[0]), FS_IOC_FSSETXATTR, &x);
}

static long c_getversion(char **a)
{
	int v = 0;

	return ioctl(descriptor(a[0]), FS_IOC_GETVERSION, &v) < 0 ? -1 : 0;
}

static long c_badioctl(char **a)
{
	return ioctl(descriptor(a[0]), _IO('r', 99), 0);
}

static union {
	struct file_handle h;
	char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
} handle[4];

static long c_handle(char **a)		/* NUMBER PATH */
{
	int id;

	handle[atoi(a[0])].h.handle_bytes = MAX_HANDLE_SZ;
	return name_to_handle_at(AT_FDCWD, a[1], &handle[atoi(a[0])].h, &id, 0);
}

static long c_openhandle(char **a)	/* FD NUMBER FLAGS */
{
	int at = open(".", O_RDONLY | O_DIRECTORY);
	int fd = open_by_handle_at(at, &handle[atoi(a[1])].h,
				   (int)number(a[2]));
	int error = errno;

	close(at);
	errno = error;
	return keep_descriptor(a[0], fd);
}

static long c_dropcaches(char **a)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
	long r = write(fd, "2", 1);

	close(fd);
	return r;
}

const struct call attr_calls[] = {
	{ "stat", "p", c_stat }, { "lstat", "p", c_lstat },
	{ "fstat", "-", c_fstat }, { "blocks", "-", c_blocks },
	{ "statx", "p", c_statx }, { "statfs", "p", c_statfs },
	{ "room", "p", c_room }, { "chmod", "p-", c_chmod },
	{ "fchmod", "--", c_fchmod }, { "chown", "p--", c_chown },
	{ "lchown", "p--", c_lchown }, { "fchown", "---", c_fchown },
	{ "utimens", "p--", c_utimens }, { "futimens", "---", c_futimens },
	{ "times", "p", c_times }, { "mark", "p|ppp", c_mark },
	{ "changed", "p|ppp", c_changed }, { "setxattr", "p---", c_setxattr },
	{ "getxattr", "p--", c_getxattr }, { "listxattr", "p-", c_listxattr },
	{ "removexattr", "p-", c_removexattr }, { "setacl", "p--", c_setacl },
	{ "getacl", "p-", c_getacl }, { "delacl", "p-", c_delacl },
	{ "getflags", "-", c_getflags }, { "setflags", "--", c_setflags },
	{ "fsgetxattr", "-", c_fsgetxattr },
	{ "fssetxattr", "---", c_fssetxattr },
	{ "getversion", "-", c_getversion }, { "badioctl", "-", c_badioctl },
	{ "handle", "-p", c_handle }, { "openhandle", "---", c_openhandle },
	{ "dropcaches", "", c_dropcaches },
	{ NULL, NULL, NULL },
};
