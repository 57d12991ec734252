/*
 * proxy_faults.c - arguments that point to no memory: what a program is told in a
 * directory of a server, through a proxy, is what it is told in one of the host.
 *
 * proxy_faults DIRECTORY
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { PAGE = 4096, AGAIN = 8 };

static int fd, dir;
static const char name[] = "file";

static void say(const char *what, long value)
{
	printf("%s: %ld\n", what, value < 0 ? -(long)errno : value);
	fflush(stdout);
}

/* Three pages, of which the one in the middle is there. */
static char *island(void)
{
	char *p = mmap(NULL, 3 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		       -1, 0);

	if (p == MAP_FAILED || mprotect(p + PAGE, PAGE, PROT_READ | PROT_WRITE))
		exit(1);
	return p + PAGE;
}

static void to_be_read(const char *bad)
{
	struct iovec v = { (void *)(uintptr_t)bad, 10 };

	say("open", open(bad, O_RDONLY));
	say("stat", access(bad, F_OK));
	say("mkdir", mkdir(bad, 0755));
	say("rename", rename(bad, name));
	say("rename to", rename(name, bad));
	say("symlink", symlink(bad, "link"));
	say("write", write(fd, bad, 10));
	say("pwrite", pwrite(fd, bad, 10, 3));
	say("writev", writev(fd, &v, 1));
	say("vector", writev(fd, (const void *)bad, 1));
	say("utimensat", utimensat(AT_FDCWD, name, (const void *)bad, 0));
	say("name of an attribute", setxattr(name, bad, "v", 1, 0));
	say("offset", lseek(fd, 0, SEEK_CUR));
}

static void to_be_written(char *bad)
{
	struct iovec v = { bad, 10 };

	/* also when it is read without asking */
	for (int i = 0; i < AGAIN; i++) {
		say("pread", pread(fd, bad, 10, 0));
		say("fstat", syscall(SYS_fstat, fd, bad));
		say("stat", syscall(SYS_newfstatat, AT_FDCWD, name, bad, 0));
		say("read", read(fd, bad, 10));
	}
	say("readv", readv(fd, &v, 1));
	say("statfs", statfs(name, (void *)bad));
	say("readlink", readlink("link", bad, 10));
	say("getdents", syscall(SYS_getdents64, dir, bad, PAGE));
	say("poll", poll((void *)bad, 1, 0));
	say("getcwd", syscall(SYS_getcwd, bad, PAGE));
	say("offset", lseek(fd, 0, SEEK_CUR));
}

/* What ends where memory ends is all there. */
static void at_the_edge(char *page)
{
	char *end = page + PAGE;

	strcpy(end - sizeof name, name);
	say("open", close(open(end - sizeof name, O_RDONLY)));
	memset(page, 'x', PAGE);
	say("no end", open(end - 10, O_RDONLY));
	memset(page, '/', PAGE);
	say("nor here", open(end - 10, O_RDONLY));
	say("write", pwrite(fd, end - 10, 10, 0));
	for (int i = 0; i < AGAIN; i++) {
		say("read", pread(fd, end - 10, 10, 0));
		/* there is more room than memory, and less comes */
		say("a short one", pread(fd, end - 10, 8 * PAGE, 0));
		say("fstat", syscall(SYS_fstat, fd, end - sizeof(struct stat)));
		say("half of it", syscall(SYS_fstat, fd, end - 8));
	}
}

int main(int argc, char **argv)
{
	static const char text[] = "0123456789";
	char *page = island();

	if (argc != 2 || chdir(argv[1]) < 0)
		return 2;
	fd = open(name, O_RDWR | O_CREAT, 0644);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	say("write", pwrite(fd, text, 10, 0));
	say("symlink", symlink("target", "link"));
	printf("- kept from us\n");
	to_be_read(page + PAGE);
	to_be_written(page + PAGE);
	printf("- not to be written\n");
	mprotect(page, PAGE, PROT_READ);
	to_be_written(page);
	mprotect(page, PAGE, PROT_READ | PROT_WRITE);
	printf("- at its edge\n");
	at_the_edge(page);
	printf("- what was there a moment ago\n");
	/* unmapped, it would be for others to map, a proxy too */
	if (mmap(page, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		 -1, 0) != page)
		return 1;
	to_be_read(page);
	to_be_written(page);
	return 0;
}
