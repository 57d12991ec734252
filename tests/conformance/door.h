/*
 * door.h - the system calls of replay through the library: replay's sources are
 * built a second time with this, and every call that takes a path or one of
 * replay's descriptors goes to a server. What a client of the library has no
 * call for answers ENOSYS.
 *
 * The library's credentials are those with which one attached, so each user is
 * a client of his own, and a descriptor is the number of its client and the
 * one that the server gave. A call on a descriptor is its client's.
 */
#ifndef DOOR_H
#define DOOR_H

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

typedef struct door_dir door_dir;

void door_user(const char *who);	/* "" is root; whose the calls are from now on */
int door_openat(int dir, const char *path, int flags, ...);
int door_openat2(int dir, const char *path, const void *how, size_t size);
int door_close(int fd);
int door_dup(int fd);
int door_mkdirat(int dir, const char *path, mode_t mode);
int door_mknodat(int dir, const char *path, mode_t mode, dev_t dev);
int door_unlinkat(int dir, const char *path, int flags);
int door_linkat(int dir, const char *from, int dir2, const char *to, int flags);
int door_linkfd(int fd, const char *to);
int door_symlinkat(const char *target, int dir, const char *path);
ssize_t door_readlinkat(int dir, const char *path, char *buf, size_t size);
int door_renameat2(int dir, const char *from, int dir2, const char *to,
		   unsigned flags);
int door_faccessat(int dir, const char *path, int mode, int flags);
int door_fstatat(int dir, const char *path, struct stat *st, int flags);
int door_fstat(int fd, struct stat *st);
int door_statx(int dir, const char *path, int flags, unsigned mask,
	       struct statx *ret);
int door_statfs(const char *path, struct statfs *st);
int door_fchmodat(int dir, const char *path, mode_t mode, int flags);
int door_fchmod(int fd, mode_t mode);
int door_fchownat(int dir, const char *path, uid_t uid, gid_t gid, int flags);
int door_fchown(int fd, uid_t uid, gid_t gid);
int door_utimensat(int dir, const char *path, const struct timespec t[2],
		   int flags);
int door_futimens(int fd, const struct timespec t[2]);
mode_t door_umask(mode_t mask);
int door_chdir(const char *path);
int door_fchdir(int fd);
int door_truncate(const char *path, off_t size);
int door_ftruncate(int fd, off_t size);
int door_fallocate(int fd, int mode, off_t off, off_t len);
int door_posix_fallocate(int fd, off_t off, off_t len);
ssize_t door_read(int fd, void *buf, size_t n);
ssize_t door_write(int fd, const void *buf, size_t n);
ssize_t door_pread(int fd, void *buf, size_t n, off_t off);
ssize_t door_pwrite(int fd, const void *buf, size_t n, off_t off);
ssize_t door_writev(int fd, const struct iovec *v, int n);
ssize_t door_preadv2(int fd, const struct iovec *v, int n, off_t off,
		     int flags);
ssize_t door_pwritev2(int fd, const struct iovec *v, int n, off_t off,
		      int flags);
off_t door_lseek(int fd, off_t off, int whence);
ssize_t door_copy(int in, off_t *at, int out, off_t *to, size_t n,
		  unsigned flags);
int door_fsync(int fd);
int door_syncfs(int fd);
int door_sync_file_range(int fd, off_t off, off_t n, unsigned flags);
int door_flock(int fd, int operation);
int door_fcntl(int fd, int cmd, ...);
int door_ioctl(int fd, unsigned long cmd, void *arg);
ssize_t door_getxattr(const char *path, const char *name, void *buf,
		      size_t n);
ssize_t door_lgetxattr(const char *path, const char *name, void *buf,
		       size_t n);
ssize_t door_llistxattr(const char *path, char *buf, size_t n);
int door_setxattr(const char *path, const char *name, const void *buf,
		  size_t n, int flags);
int door_lsetxattr(const char *path, const char *name, const void *buf,
		   size_t n, int flags);
int door_removexattr(const char *path, const char *name);
int door_lremovexattr(const char *path, const char *name);
int door_handle(int dir, const char *path, struct file_handle *h, int *mount,
		int flags);
int door_openhandle(int dir, struct file_handle *h, int flags);
door_dir *door_opendir(const char *path);
struct dirent *door_readdir(door_dir *d);
int door_closedir(door_dir *d);
int door_dirfd(door_dir *d);
long door_telldir(door_dir *d);
void door_seekdir(door_dir *d, long at);
int door_limit(uint64_t size);
/* A socket is made as a file of that type. */
int door_bind(const char *path);
long door_none(void);

#ifndef DOOR_ITSELF
#define openat door_openat
#define open(...) door_openat(AT_FDCWD, __VA_ARGS__)
#define close door_close
#define mkdirat door_mkdirat
#define mknodat door_mknodat
#define unlinkat door_unlinkat
#define unlink(p) door_unlinkat(AT_FDCWD, p, 0)
#define linkat door_linkat
#define link(a, b) door_linkat(AT_FDCWD, a, AT_FDCWD, b, 0)
#define symlinkat door_symlinkat
#define readlinkat door_readlinkat
#define renameat2 door_renameat2
#define faccessat door_faccessat
#define fstatat door_fstatat
#define lstat(p, st) door_fstatat(AT_FDCWD, p, st, AT_SYMLINK_NOFOLLOW)
#define fstat door_fstat
#define statx(...) door_statx(__VA_ARGS__)
#define statfs(p, st) door_statfs(p, st)
#define fchmodat door_fchmodat
#define chmod(p, m) door_fchmodat(AT_FDCWD, p, m, 0)
#define fchmod door_fchmod
#define fchownat door_fchownat
#define chown(p, u, g) door_fchownat(AT_FDCWD, p, u, g, 0)
#define fchown door_fchown
#define utimensat door_utimensat
#define futimens door_futimens
#define umask door_umask
#define chdir door_chdir
#define fchdir door_fchdir
#define truncate door_truncate
#define ftruncate door_ftruncate
#define fallocate door_fallocate
#define posix_fallocate door_posix_fallocate
#define read door_read
#define write door_write
#define pread door_pread
#define pwrite door_pwrite
#define writev door_writev
#define preadv2 door_preadv2
#define pwritev2 door_pwritev2
#define lseek door_lseek
#define copy_file_range door_copy
#define fsync door_fsync
#define syncfs door_syncfs
#define sync_file_range door_sync_file_range
#define flock(f, o) door_flock(f, o)
#define fcntl door_fcntl
#define ioctl(f, c, a) door_ioctl(f, c, (void *)(a))
#define getxattr door_getxattr
#define lgetxattr door_lgetxattr
#define llistxattr door_llistxattr
#define setxattr door_setxattr
#define lsetxattr door_lsetxattr
#define removexattr door_removexattr
#define lremovexattr door_lremovexattr
#define name_to_handle_at door_handle
#define open_by_handle_at door_openhandle
#define DIR door_dir
#define opendir door_opendir
#define readdir door_readdir
#define closedir door_closedir
#define dirfd door_dirfd
#define telldir door_telldir
#define seekdir door_seekdir
#define rewinddir(d) door_seekdir(d, 0)
#define mmap(...) ((void *)door_none())
#define posix_fadvise(...) ((int)(door_none(), ENOSYS))
#define sendfile(...) door_none()
#define splice(...) door_none()
#endif

#endif
