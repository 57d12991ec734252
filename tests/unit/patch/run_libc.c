/*
 * run_libc.c - much of libc: files, directories, threads, signals, sockets,
 * names, libraries.
 */
#include <dlfcn.h>
#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <iconv.h>
#include <locale.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "run.h"
#include "../../harness/temp.h"

static int walked;

static int walk_one(const char *path, const struct stat *st, int flag,
		    struct FTW *f)
{
	walked++;
	return 0;
}

static void files(const char *dir)
{
	char path[256], line[64];
	FILE *f;
	glob_t g;

	snprintf(path, sizeof(path), "%s/f", dir);
	f = fopen(path, "w+");
	check(f);
	for (int i = 0; i < 20000; i++)
		fprintf(f, "line %d\n", i);
	rewind(f);
	for (int i = 0; i < 20000; i++) {
		char want[64];

		snprintf(want, sizeof(want), "line %d\n", i);
		check(fgets(line, sizeof(line), f));
		check(!strcmp(line, want));
	}
	fclose(f);
	check(nftw("/usr/share/zoneinfo", walk_one, 8, FTW_PHYS) == 0);
	check(walked > 1);
	check(glob("/usr/lib/*/libc.*", 0, NULL, &g) == 0);
	globfree(&g);
	check(unlink(path) == 0);
	check(realpath("/usr/../lib", path));
	check(getcwd(path, sizeof(path)));
}

static void *thread_run(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		char *p = malloc((size_t)(i * 37 % 200000));
		struct stat st;

		if (p)
			memset(p, i, (size_t)(i * 37 % 200000));
		if (stat("/", &st))
			return NULL;
		free(p);
	}
	return arg;
}

static void threads(void)
{
	pthread_t t[8];
	void *r;

	for (int i = 0; i < 8; i++)
		check(pthread_create(&t[i], NULL, thread_run, t) == 0);
	for (int i = 0; i < 8; i++) {
		check(pthread_join(t[i], &r) == 0);
		check(r == t);
	}
}

static sigjmp_buf jump;
static volatile sig_atomic_t signals;

static void on_alarm(int n)
{
	struct stat st;

	signals++;
	if (!stat("/", &st) && signals == 20)
		siglongjmp(jump, 1);
}

/* A call is broken off by signals, restarted, and left by a jump. */
static void signal_jumps(void)
{
	struct itimerval every = {{0, 2000}, {0, 2000}},
			 none = {{0, 0}, {0, 0}};
	struct sigaction a = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
	int p[2];
	char c;

	check(sigaction(SIGALRM, &a, NULL) == 0);
	check(pipe(p) == 0);
	if (!sigsetjmp(jump, 1)) {
		setitimer(ITIMER_REAL, &every, NULL);
		check(read(p[0], &c, 1) == 0);
	}
	check(signals >= 20);
	a.sa_flags = 0;
	sigaction(SIGALRM, &a, NULL);
	check(read(p[0], &c, 1) == -1);
	check(errno == EINTR);
	setitimer(ITIMER_REAL, &none, NULL);
	close(p[0]);
	close(p[1]);
}

static void names_of_the_net(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *a;

	if (getaddrinfo("localhost", "80", &hints, &a) == 0)
		freeaddrinfo(a);
	check(getpwuid(0));
}

static void sockets(void)
{
	struct pollfd p = {.events = POLLIN};
	char c = 0;
	int s[2];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0);
	p.fd = s[1];
	check(poll(&p, 1, 0) == 0);
	check(send(s[0], "x", 1, 0) == 1);
	check(poll(&p, 1, 1000) == 1);
	check(recv(s[1], &c, 1, 0) == 1);
	check(c == 'x');
	close(s[0]);
	close(s[1]);
}

static void libraries(void)
{
	void *h = dlopen("libm.so.6", RTLD_NOW | RTLD_LOCAL);
	double (*f)(double);
	iconv_t i;

	check(h);
	*(void **)&f = dlsym(h, "cbrt");
	check(f(27) > 2.999999 && f(27) < 3.000001);
	dlclose(h);
	i = iconv_open("UTF-16", "ISO-8859-15");
	check(i != (iconv_t)-1);
	iconv_close(i);
	check(setlocale(LC_ALL, "C.UTF-8"));
}

void libc_works_and_nothing_else_calls(void)
{
	char dir[TEMP_MAX];
	uint64_t before = probe_calls[SYS_getppid];
	int status;
	pid_t pid;

	patch_all(true);
	others_are_killed();
	check(temp_dir(dir, "patch"));
	files(dir);
	libraries();
	names_of_the_net();
	sockets();
	signal_jumps();
	threads();
	pid = fork();
	check(pid >= 0);
	if (!pid) {
		files(dir);
		threads();
		exit(7);
	}
	check(waitpid(pid, &status, 0) == pid);
	check(status == 7 << 8);
	check(rmdir(dir) == 0);
	check(probe_calls[SYS_openat] > 20);
	check(probe_calls[SYS_clone3] + probe_calls[SYS_clone] > 8);
	/* What is none of ours does not come here. */
	check(probe_calls[SYS_write] == 0);
	getppid();
	check(probe_calls[SYS_getppid] == before);
}
