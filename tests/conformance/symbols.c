/*
 * symbols.c - the numbers of a script by name.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
#include "replay.h"

#define S(n) { #n, n }
static const struct {
	const char *name;
	long value;
} symbols[] = {
	S(O_RDONLY), S(O_WRONLY), S(O_RDWR), S(O_CREAT), S(O_EXCL), S(O_TRUNC),
	S(O_APPEND), S(O_DIRECTORY), S(O_NOFOLLOW), S(O_TMPFILE), S(O_PATH),
	S(O_NONBLOCK), S(O_SYNC), S(O_DSYNC), S(O_DIRECT), S(O_NOATIME),
	S(S_IFREG), S(S_IFIFO), S(S_IFSOCK), S(S_IFCHR), S(S_IFBLK), S(S_IFDIR),
	S(AT_SYMLINK_NOFOLLOW), S(AT_EMPTY_PATH), S(AT_SYMLINK_FOLLOW),
	S(AT_REMOVEDIR), S(AT_EACCESS),
	S(RENAME_NOREPLACE), S(RENAME_EXCHANGE), S(RENAME_WHITEOUT),
	S(FALLOC_FL_KEEP_SIZE), S(FALLOC_FL_PUNCH_HOLE),
	S(FALLOC_FL_ZERO_RANGE),
	S(SEEK_SET), S(SEEK_CUR), S(SEEK_END), S(SEEK_DATA), S(SEEK_HOLE),
	S(XATTR_CREATE), S(XATTR_REPLACE),
	S(LOCK_SH), S(LOCK_EX), S(LOCK_UN), S(LOCK_NB),
	S(F_RDLCK), S(F_WRLCK), S(F_UNLCK),
	S(RESOLVE_NO_XDEV), S(RESOLVE_NO_MAGICLINKS), S(RESOLVE_NO_SYMLINKS),
	S(RESOLVE_BENEATH), S(RESOLVE_IN_ROOT), S(RESOLVE_CACHED),
	S(PROT_READ), S(PROT_WRITE), S(PROT_EXEC), S(PROT_NONE),
	S(MAP_SHARED), S(MAP_PRIVATE), S(MAP_SHARED_VALIDATE), S(MAP_SYNC),
	S(RWF_APPEND), S(RWF_DSYNC), S(RWF_HIPRI), S(RWF_NOWAIT), S(RWF_SYNC),
	S(POSIX_FADV_NORMAL), S(POSIX_FADV_DONTNEED), S(POSIX_FADV_WILLNEED),
	S(SYNC_FILE_RANGE_WRITE), S(SYNC_FILE_RANGE_WAIT_AFTER),
	S(FALLOC_FL_COLLAPSE_RANGE), S(FALLOC_FL_INSERT_RANGE),
	S(FALLOC_FL_UNSHARE_RANGE), S(O_ACCMODE), S(O_NOCTTY), S(O_ASYNC),
	S(R_OK), S(W_OK), S(X_OK), S(F_OK),
	S(FS_APPEND_FL), S(FS_IMMUTABLE_FL), S(FS_NODUMP_FL), S(FS_NOATIME_FL),
	S(FS_SYNC_FL), S(FS_EXTENT_FL), S(FS_ENCRYPT_FL), S(FS_DIRSYNC_FL),
	S(FS_JOURNAL_DATA_FL), S(FS_TOPDIR_FL),
};

static long one(const char *s, size_t len)
{
	char copy[64], *end;
	long n;

	snprintf(copy, sizeof copy, "%.*s", (int)len, s);
	for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++)
		if (!strcmp(symbols[i].name, copy))
			return symbols[i].value;
	n = (long)strtoll(copy, &end, 0);
	switch (*end) {
	case '\0':
		return n;
	case 'K':
		return n << 10;
	case 'M':
		return n << 20;
	case 'G':
		return n << 30;
	case 'T':
		return n << 40;
	}
	fprintf(stderr, "replay: what number is \"%s\"?\n", copy);
	exit(2);
}

long number(const char *s)
{
	long sum = 0;
	size_t len;

	for (;; s += len + 1) {
		len = strcspn(s, "|+");
		sum = len && s[len] == '+' ? sum + one(s, len) :
			sum | one(s, len);
		if (!s[len])
			return sum;
		if (s[len] == '+')
			return sum + number(s + len + 1);
	}
}
