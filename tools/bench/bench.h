/*
 * bench.h - what the rows of the benchmark share: rounds in which each side
 * takes its turn, placement on cores, and the server's board.
 *
 * A row prints "row|side|median|least|most|unit|note" lines; the script `run`
 * makes the table from them.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <rump/client.h>
#include "channel.h"
#include "recovery/family.h"

enum { SIDES_MAX = 6, ROUNDS_MAX = 64 };

/* One side of a comparison: does the work n times. 0, or a negative errno. */
struct side {
	const char *name;
	int (*run)(void *arg, unsigned n);
	void *arg;
	unsigned n;		/* ops in a round */
	const char *note;
	double ns[ROUNDS_MAX];	/* per op */
};

struct bench {
	unsigned rounds;
	bool quick;
	char socket[4096];
	char volume[1024];	/* where the server's mount is, for the library */
};

extern struct bench bench;

uint64_t now_ns(void);
_Noreturn void die(const char *what, int error);
/* error < 0 ends the program. */
int64_t must(int64_t error, const char *what);
struct rk_client *attach(void);
struct rk_client *attach_with(unsigned flags);

/* Runs all sides in turn, `rounds` times, and prints them. */
void compare(const char *row, struct side *side, unsigned n_sides);
/* Prints n values (sorted here) as one line. */
void print_values(const char *row, const char *side, double *v, unsigned n,
		  const char *unit, const char *note);
double percentile(double *sorted, unsigned n, double p);
void sort_values(double *v, unsigned n);

/* From the supervisor, by its socket. */
void get_status(struct rk_status *ret);
void place(pid_t pid, int cpu);
/* Server and standby; they stay there over restarts as far as forks go. */
void place_server(int cpu);
bool two_cores(void);

/* The board of a family, as the process with it mapped sees it. */
struct board {
	int mem;
	off_t at;
};
void board_open(pid_t pid, struct board *ret);
void board_read(const struct board *b, struct rk__board *ret);
/* Time on a core so far. */
uint64_t cpu_ns(pid_t pid);

/* Until there is a standby that has nothing left to do. */
void wait_for_standby(struct rk_status *s);
double pss(uint32_t pid);

/* The rows. */
void row_null(void);
void row_null_one_core(void);
void row_ring(void);
void row_pread_library(const char *native);
void row_pages(const char *native);
void row_pread_mount(const char *mount, const char *native);
void row_create(const char *mount, const char *native, const char *fuse2fs);
/* Runs `script NAME run DIRECTORY` on each side. */
void row_program(const char *script, const char *name, const char *mount,
		 const char *native, const char *fuse2fs);
void row_sequential(const char *mount, const char *native,
		    const char *fuse2fs);
void row_commit(void);
void row_uncached(const char *mount, const char *fuse2fs, const char *kind);
void row_survival(const char *mount, const char *fragile);
void row_many(const char *mount, const char *native, const char *fuse2fs);
void row_path_library(const char *native);
void row_crowd_mount(const char *mount, const char *native,
		     const char *fuse2fs);
void row_crowd_library(const char *native);
void row_idle(void);
void row_hot(const char *mount, const char *native);
void row_kill(const char *name, unsigned clients, unsigned files);
void row_kill_mount(const char *mount);
void row_cold(const char *name, unsigned ops, unsigned files);
/* Kills servers and takes the time until ask() has an answer. */
void measure_kills(const char *name, int (*ask)(void *), void *arg,
		   const char *what);
/* That many clients with so many files open; the last of them. */
struct rk_client *open_many(unsigned clients, unsigned files);
/* `rump upgrade SERVER` again and again, as a client of it sees it. */
void row_upgrade(const char *name, const char *rump, const char *server,
		 unsigned files);
/* rump export of it and rump import, in a directory. */
void row_export(const char *rump, const char *server, const char *dir,
		unsigned files);
/* Writes samples and kills to a file, for a plot. */
void row_outage(const char *mount, const char *file);
void row_memory(void);
void row_checkpoint(void);
/* Without a server; socket and volume: of a server of the model `interrupt`,
 * beside ours of the model `process`. */
void row_local(const char *image, const char *native);
void row_models(const char *socket, const char *volume);
/* sides: "NAME=COMMAND" each, which becomes a worker; work: what it does. */
void row_proxy(const char *row, const char *work, unsigned n, char **sides,
	       unsigned n_sides);
/* Started by `rump-bench start`. */
void row_first(void);

#endif
