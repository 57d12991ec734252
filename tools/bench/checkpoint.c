/*
 * checkpoint.c - rows about named checkpoints: what making one takes beside a sync
 * of the same changes, what is stored for an amount of changes, and what a sync
 * takes while there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "bench.h"

enum { PIECE = 1 << 20, FILE_MIB = 64 };

static struct rk_client *client;
static int32_t file;
static unsigned n_labels;

/* Bytes that the file beside the image takes. */
static double stored(void)
{
	char path[4096 + 32], *end;
	struct rk_status s;
	struct stat st;

	get_status(&s);
	end = strchr(s.mounts, '\n');
	if (end)
		*end = '\0';
	end = strchr(s.mounts, ':');
	snprintf(path, sizeof(path), "%.4000s.rump-checkpoints",
		 end ? end + 1 : "");
	return stat(path, &st) < 0 ? 0 : (double)st.st_blocks * 512;
}

/* New content for the first n KiB of the file. */
static void change(unsigned kib)
{
	static uint8_t buf[PIECE];
	static uint64_t seed = 1;

	for (size_t done = 0; done < kib * 1024ul; done += PIECE) {
		size_t len = kib * 1024ul - done;

		len = len < PIECE ? len : PIECE;
		for (size_t i = 0; i + 8 <= len; i += 8) {
			seed = seed * 6364136223846793005ull + 1;
			memcpy(buf + i, &seed, 8);
		}
		must(rk_pwrite(client, file, buf, len, (int64_t)done), "write");
	}
}

static double time_sync(void)
{
	uint64_t start = now_ns();

	must(rk_sync(client), "sync");
	return (double)(now_ns() - start);
}

static double time_checkpoint(void)
{
	char label[32];
	uint64_t start;

	snprintf(label, sizeof(label), "bench-%u", n_labels++);
	start = now_ns();
	must(rk_checkpoint(client, label), label);
	return (double)(now_ns() - start);
}

static void remove_all(void)
{
	char label[32];

	while (n_labels) {
		snprintf(label, sizeof(label), "bench-%u", --n_labels);
		must(rk_checkpoint_delete(client, label), label);
	}
}

static void one_amount(unsigned kib)
{
	double sync[ROUNDS_MAX], make[ROUNDS_MAX], under[ROUNDS_MAX],
		size[ROUNDS_MAX], had;
	char row[64], note[128];

	for (unsigned i = 0; i < bench.rounds; i++) {
		change(kib);
		sync[i] = time_sync();
		change(kib);
		make[i] = time_checkpoint();
		had = stored();
		change(kib);
		under[i] = time_sync();
		time_checkpoint();
		size[i] = stored() - had;
		remove_all();
	}
	snprintf(row, sizeof(row), "checkpoint_time_%uk", kib);
	snprintf(note, sizeof(note), "%u KiB of a file changed before", kib);
	print_values(row, "sync", sync, bench.rounds, "ns", note);
	print_values(row, "rump", make, bench.rounds, "ns", note);
	print_values(row, "sync_after", under, bench.rounds, "ns",
		     "sync of as much changed since a checkpoint");
	snprintf(row, sizeof(row), "checkpoint_size_%uk", kib);
	print_values(row, "rump", size, bench.rounds, "bytes",
		     "taken beside the image, its metadata included");
}

void row_checkpoint(void)
{
	static const unsigned kib[] = { 4, 1024, 16384, FILE_MIB * 1024 };
	char path[2048];

	client = attach();
	snprintf(path, sizeof(path), "%s/checkpoint", bench.volume);
	file = (int32_t)must(rk_openat(client, RK_AT_FDCWD, path,
				       O_RDWR | O_CREAT, 0600), path);
	change(FILE_MIB * 1024);
	must(rk_sync(client), "sync");
	for (unsigned i = 0; i < sizeof(kib) / sizeof(kib[0]); i++)
		one_amount(kib[i]);
	must(rk_unlinkat(client, RK_AT_FDCWD, path, 0), path);
	rk_detach(client);
}
