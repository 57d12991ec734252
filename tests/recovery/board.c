/*
 * board.c - shows the words of a family's board, as a process of it has them
 * mapped: "board PID". For tests that must know whether a crash point was hit,
 * and how often a server was replaced.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "recovery/family.h"

static int read_board(const char *pid, struct rk__board *ret)
{
	char path[64], line[512];
	unsigned long long at = 0;
	FILE *maps;
	int fd, ok;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return -1;
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, "memfd:rump-board"))
			at = strtoull(line, NULL, 16);
	fclose(maps);
	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ok = at && pread(fd, ret, sizeof(*ret), (off_t)at) == sizeof(*ret);
	close(fd);
	return ok ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct rk__board b;

	if (argc != 2 || read_board(argv[1], &b) < 0) {
		fprintf(stderr, "board: no board to be read\n");
		return 1;
	}
	printf("generation %" PRIu32 "\ncrash_at %" PRIu32 "\ncrash_skip %"
	       PRIu32 "\nops %" PRIu64 "\ncommits %" PRIu64 "\npages %" PRIu64
	       "\nblocks %" PRIu64 "\nlog_bytes %" PRIu64 "\ndeath_ns %" PRIu64
	       "\nanswer_ns %" PRIu64 "\n",
	       b.generation, b.crash_at, b.crash_skip, b.ops, b.commits,
	       b.pages, b.blocks, b.log_bytes, b.death_ns, b.answer_ns);
	return 0;
}
