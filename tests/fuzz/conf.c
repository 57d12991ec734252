/*
 * conf.c - fuzzes what reads the config of a server: whatever is taken is within
 * bounds and complete, and what is refused is refused with lines that exist.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "supervisor/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_mount(const struct rk__conf *c, unsigned i)
{
	const struct rk__mount_spec *m = &c->config.mount[i];

	assert(m->path[0] == '/' && memchr(m->path, 0, sizeof m->path));
	assert(memchr(m->source, 0, sizeof m->source));
	assert(memchr(m->options, 0, sizeof m->options));
	assert(m->n_layers <= RK_STACK_MAX);
	if (!c->n_errors)
		assert(m->n_layers && m->driver[0]);
	for (uint32_t k = 0; k < m->n_layers; k++)
		assert(m->layer[k][0] && memchr(m->layer[k], 0, 32));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct rk__conf c;
	char *text = malloc(size + 1);
	unsigned lines = 1;
	int e;

	/* of exactly this size, so that a look beyond it is seen */
	memcpy(text, data, size);
	text = realloc(text, size ? size : 1);
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	memset(&c.config, 0, sizeof c.config);
	c.config.fuse = true;
	e = rk__conf_read(text, size, &c);
	assert((e < 0) == (c.n_errors > 0));
	assert(c.n_errors <= RK_CONF_ERRORS_MAX);
	for (unsigned i = 0; i < c.n_errors; i++) {
		assert(c.error[i].line <= lines && c.error[i].text[0]);
		assert(!i || c.error[i - 1].line <= c.error[i].line);
	}
	assert(c.config.n_mounts <= RK_MOUNTS_MAX);
	for (unsigned i = 0; i < c.config.n_mounts; i++)
		check_mount(&c, i);
	free(text);
	return 0;
}
