/*
 * objects.c - fuzz target: an object file that may be anything, in which system
 * calls are looked for. What is found is a right table, and none of it lies
 * outside of the file's code.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "broker/sites.h"

const uint8_t rk__class[RK__CALLS] = {[3] = RK__CLASS_FD0};
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rk__sites_report report = {0};
	struct rk__site *site;
	struct rk__elf e;
	char path[64];
	int fd = memfd_create("object", MFD_CLOEXEC), n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
	    rk__elf_open(path, &e))
		goto out;
	n = rk__sites_find(&e, &site, &report);
	for (int i = 0; i < n; i++) {
		uint64_t at = site[i].at - e.text;
		uint32_t bytes = (uint32_t)site[i].pre + RK__SYSCALL +
				 site[i].post;

		if (at > e.code_size || bytes > e.code_size - at ||
		    memcmp(e.code + at, site[i].bytes, bytes))
			abort();
	}
	if (n >= 0)
		free(site);
	rk__elf_close(&e);
out:
	if (fd >= 0)
		close(fd);
	return 0;
}
