/*
 * util.c - rounds, medians, placement, and what can be learned about the
 * server from outside.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include "bench.h"

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

_Noreturn void die(const char *what, int error)
{
	fprintf(stderr, "rump-bench: %s: %s\n", what, strerror(error));
	exit(1);
}

int64_t must(int64_t error, const char *what)
{
	if (error < 0)
		die(what, (int)-error);
	return error;
}

struct rk_client *attach(void)
{
	return attach_with(0);
}

struct rk_client *attach_with(unsigned flags)
{
	struct rk_client *c;

	must(rk_attach(bench.socket, flags, &c), "attach");
	return c;
}

static int compare_values(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

void sort_values(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), compare_values);
}

double percentile(double *sorted, unsigned n, double p)
{
	unsigned i = (unsigned)(p * (n - 1) + 0.5);

	return sorted[i];
}

void print_values(const char *row, const char *side, double *v, unsigned n,
		  const char *unit, const char *note)
{
	sort_values(v, n);
	printf("%s|%s|%.6g|%.6g|%.6g|%s|%s\n", row, side,
	       percentile(v, n, 0.5), v[0], v[n - 1], unit, note ? note : "");
	fflush(stdout);
}

void compare(const char *row, struct side *side, unsigned n_sides)
{
	/* A first turn that does not count: caches, predictors, mappings. */
	for (unsigned s = 0; s < n_sides; s++)
		must(side[s].run(side[s].arg, side[s].n / 8 + 1), side[s].name);
	for (unsigned r = 0; r < bench.rounds; r++)
		for (unsigned i = 0; i < n_sides; i++) {
			struct side *s = &side[(i + r) % n_sides];
			uint64_t start = now_ns();

			must(s->run(s->arg, s->n), s->name);
			s->ns[r] = (double)(now_ns() - start) / s->n;
		}
	for (unsigned s = 0; s < n_sides; s++)
		print_values(row, side[s].name, side[s].ns, bench.rounds, "ns",
			     side[s].note);
}

void get_status(struct rk_status *ret)
{
	struct rk_hello hello = {
		.magic = RK_HELLO_MAGIC,
		.version = RK_PROTOCOL_VERSION,
		.kind = RK_HELLO_STATUS,
	};
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (strlen(bench.socket) >= sizeof(a.sun_path))
		die("socket path", ENAMETOOLONG);
	strcpy(a.sun_path, bench.socket);
	if (fd < 0 || connect(fd, (void *)&a, sizeof(a)) < 0 ||
	    send(fd, &hello, sizeof(hello), 0) < 0)
		die("status", errno);
	if (recv(fd, ret, sizeof(*ret), 0) != sizeof(*ret))
		die("status", EPROTO);
	close(fd);
}

bool two_cores(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) >= 2;
}

void place(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	/* It may have ended meanwhile; then there is nothing to place. */
	if (sched_setaffinity(pid, sizeof(set), &set) < 0 && errno != ESRCH)
		die("placing a process on a core", errno);
}

void place_server(int cpu)
{
	struct rk_status s;

	get_status(&s);
	place((pid_t)s.server, cpu);
	if (s.standby)
		place((pid_t)s.standby, cpu);
}

void board_open(pid_t pid, struct board *ret)
{
	char path[64], line[512];
	FILE *maps;

	ret->at = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	while (maps && fgets(line, sizeof(line), maps))
		if (strstr(line, "memfd:rump-board"))
			ret->at = (off_t)strtoull(line, NULL, 16);
	if (maps)
		fclose(maps);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	ret->mem = open(path, O_RDONLY | O_CLOEXEC);
	if (ret->mem < 0 || !ret->at)
		die("the server's board", EACCES);
}

void board_read(const struct board *b, struct rk__board *ret)
{
	if (pread(b->mem, ret, sizeof(*ret), b->at) != sizeof(*ret))
		die("the server's board", EIO);
}

uint64_t cpu_ns(pid_t pid)
{
	char path[64];
	uint64_t ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%" SCNu64, &ns) != 1)
		die(path, ENOENT);
	fclose(f);
	return ns;
}
