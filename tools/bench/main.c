/*
 * main.c - rump-bench: measures one row. See tools/bench/run, which starts the
 * servers and makes the table.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.h"

struct bench bench = { .rounds = 7, .volume = "/vol" };

static const char usage[] =
"rump-bench [-q] [-r ROUNDS] [-v VOLUME] ROW [ARGUMENTS]\n"
"rows, with $RUMP_SOCKET:\n"
"	null, null_one_core, ring, commit, memory\n"
"	pread_library NATIVE, pages NATIVE, pread_mount MOUNT NATIVE\n"
"	create MOUNT NATIVE FUSE2FS, sequential MOUNT NATIVE FUSE2FS\n"
"		(directories; \"-\" leaves a side out)\n"
"	hot MOUNT NATIVE, path_library NATIVE, idle\n"
"	crowd_library NATIVE, crowd_mount MOUNT NATIVE FUSE2FS\n"
"	program SCRIPT NAME MOUNT NATIVE FUSE2FS\n"
"	kill NAME CLIENTS FILES, outage MOUNT FILE\n"
"	upgrade NAME RUMP SERVER FILES, export RUMP SERVER DIRECTORY FILES\n"
"	models SOCKET VOLUME: of a server of the model interrupt\n"
"	first\n"
"and without:\n"
"	proxy ROW WORK N SIDE=COMMAND...: each command becomes a worker\n"
"	local IMAGE NATIVE: the driver in this process\n"
"	start PROGRAM ARGUMENTS: runs a program in which `first` is asked\n";


static _Noreturn void usage_and_exit(void)
{
	fputs(usage, stderr);
	exit(2);
}

static _Noreturn void start_program(char **a)
{
	char ns[32];

	snprintf(ns, sizeof(ns), "%llu", (unsigned long long)now_ns());
	setenv("RUMP_BENCH_START", ns, 1);
	execvp(a[0], a);
	die(a[0], errno);
}

static void run_row(int n, char **a)
{
	if (!strcmp(a[0], "null"))
		row_null();
	else if (!strcmp(a[0], "null_one_core"))
		row_null_one_core();
	else if (!strcmp(a[0], "ring"))
		row_ring();
	else if (!strcmp(a[0], "commit"))
		row_commit();
	else if (!strcmp(a[0], "memory"))
		row_memory();
	else if (!strcmp(a[0], "pread_library") && n == 2)
		row_pread_library(a[1]);
	else if (!strcmp(a[0], "pages") && n == 2)
		row_pages(a[1]);
	else if (!strcmp(a[0], "pread_mount") && n == 3)
		row_pread_mount(a[1], a[2]);
	else if (!strcmp(a[0], "create") && n == 4)
		row_create(a[1], a[2], a[3]);
	else if (!strcmp(a[0], "sequential") && n == 4)
		row_sequential(a[1], a[2], a[3]);
	else if (!strcmp(a[0], "uncached") && n == 4)
		row_uncached(a[1], a[2], a[3]);
	else if (!strcmp(a[0], "survival") && n == 3)
		row_survival(a[1], a[2]);
	else if (!strcmp(a[0], "many") && n == 4)
		row_many(a[1], a[2], a[3]);
	else if (!strcmp(a[0], "hot") && n == 3)
		row_hot(a[1], a[2]);
	else if (!strcmp(a[0], "path_library") && n == 2)
		row_path_library(a[1]);
	else if (!strcmp(a[0], "crowd_library") && n == 2)
		row_crowd_library(a[1]);
	else if (!strcmp(a[0], "crowd_mount") && n == 4)
		row_crowd_mount(a[1], a[2], a[3]);
	else if (!strcmp(a[0], "program") && n == 6)
		row_program(a[1], a[2], a[3], a[4], a[5]);
	else if (!strcmp(a[0], "idle"))
		row_idle();
	else if (!strcmp(a[0], "checkpoint"))
		row_checkpoint();
	else if (!strcmp(a[0], "kill_mount") && n == 2)
		row_kill_mount(a[1]);
	else if (!strcmp(a[0], "kill") && n == 4)
		row_kill(a[1], (unsigned)atoi(a[2]), (unsigned)atoi(a[3]));
	else if (!strcmp(a[0], "upgrade") && n == 5)
		row_upgrade(a[1], a[2], a[3], (unsigned)atoi(a[4]));
	else if (!strcmp(a[0], "export") && n == 5)
		row_export(a[1], a[2], a[3], (unsigned)atoi(a[4]));
	else if (!strcmp(a[0], "outage") && n == 3)
		row_outage(a[1], a[2]);
	else if (!strcmp(a[0], "cold") && n == 4)
		row_cold(a[1], (unsigned)atoi(a[2]), (unsigned)atoi(a[3]));
	else if (!strcmp(a[0], "local") && n == 3)
		row_local(a[1], a[2]);
	else if (!strcmp(a[0], "models") && n == 3)
		row_models(a[1], a[2]);
	else if (!strcmp(a[0], "proxy") && n > 4)
		row_proxy(a[1], a[2], (unsigned)atoi(a[3]), a + 4,
			  (unsigned)n - 4);
	else if (!strcmp(a[0], "first"))
		row_first();
	else
		usage_and_exit();
}

int main(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "+qr:v:")) != -1) {
		switch (c) {
		case 'q': bench.quick = true; break;
		case 'r': bench.rounds = (unsigned)atoi(optarg); break;
		case 'v':
			snprintf(bench.volume, sizeof(bench.volume), "%s",
				 optarg);
			break;
		default:
			usage_and_exit();
		}
	}
	if (optind == argc || !bench.rounds || bench.rounds > ROUNDS_MAX)
		usage_and_exit();
	if (!strcmp(argv[optind], "start") && optind + 1 < argc)
		start_program(argv + optind + 1);
	/* Rows that compare directories alone need no server. */
	if (rk_socket_path(NULL, bench.socket, sizeof(bench.socket)) < 0)
		bench.socket[0] = '\0';
	run_row(argc - optind, argv + optind);
	return 0;
}
