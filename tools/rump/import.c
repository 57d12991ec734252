/*
 * import.c - rump import: a server that begins with what rump export wrote.
 *
 * The images are made anew from the file. Of the state, what the kernel of the
 * old host had goes: its references, its locks, where its requests stood; and
 * channels. What is left is what processes of the library had, which nobody but
 * they can use again; a server keeps it for a while.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include "core/core.h"
#include "core/external.h"
#include "daemon.h"
#include "driver.h"
#include "supervisor/drivers.h"
#include "supervisor/upgrade.h"

static const char help[] =
"usage: rump import [--image PATH] FILE NAME\n"
"\n"
"Starts a server NAME from what rump export wrote to FILE: its mounts, with their\n"
"images made anew, and what processes had open. That is released after a minute\n"
"if they do not come back. rump stop NAME (or rump umount) ends it.\n"
"\n"
"  --image PATH   make the image there, not where it was (one mount only)\n";

struct import {
	struct mount_request *q;
	struct rk__ext_in in;
	struct rk__ext_out out;		/* what the server is given */
	int state;
	int image[RK_MOUNTS_MAX];	/* -1: not made */
};

static int put(void *ctx, const void *bytes, size_t n)
{
	return write(*(int *)ctx, bytes, n) == (ssize_t)n ? 0 : -EIO;
}

/* --- images --------------------------------------------------------------------- */

static int make_image(struct import *m, const struct rk__ext_image *r)
{
	uint32_t i = r->mount % RK_MOUNTS_MAX;
	const char *path = m->q->config.mount[i].source;

	if (r->mount >= m->q->config.n_mounts || m->image[i] >= 0)
		return rk__ext_refuse(&m->in, "the state has an image of no "
				      "mount");
	m->image[i] = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (m->image[i] >= 0 && ftruncate(m->image[i], (off_t)r->size) == 0)
		return 0;
	return rk__ext_refuse(&m->in, "cannot make the image %.150s: %s",
			      path, strerror(errno));
}

static int write_block(struct import *m, const struct rk__ext_item *item)
{
	const struct rk__ext_block *r = &item->as.block;
	uint32_t i = r->mount % RK_MOUNTS_MAX;
	uint64_t size = m->q->config.n_mounts > i ? RK_PAGE : 0;

	if (r->mount >= RK_MOUNTS_MAX || m->image[i] < 0 ||
	    item->tail_len != size || r->block > INT64_MAX / RK_PAGE)
		return rk__ext_refuse(&m->in, "the state has a block of no "
				      "image");
	if (pwrite(m->image[i], item->tail, size,
		   (off_t)(r->block * RK_PAGE)) == (ssize_t)size)
		return 0;
	return rk__ext_refuse(&m->in, "cannot write the image %.150s: %s",
			      m->q->config.mount[i].source, strerror(errno));
}

static int end_images(struct import *m)
{
	for (uint32_t i = 0; i < m->q->config.n_mounts; i++)
		if (m->image[i] >= 0 && fsync(m->image[i]) < 0)
			return rk__ext_refuse(&m->in, "cannot write the image "
					      "%.150s: %s",
					      m->q->config.mount[i].source,
					      strerror(errno));
	return 0;
}

/* What was made does no good if the rest cannot be had. */
static void remove_images(struct import *m)
{
	for (uint32_t i = 0; i < m->q->config.n_mounts; i++)
		if (m->image[i] >= 0)
			unlink(m->q->config.mount[i].source);
}

/* --- the state --------------------------------------------------------------------- */

static void pass_on(struct import *m, struct rk__ext_item *item)
{
	switch (item->record->number) {
	case RK_EXT_NO_slot:
	case RK_EXT_NO_written:
	case RK_EXT_NO_channel:
		return;
	case RK_EXT_NO_vnode:
		item->as.vnode.lookups = 0;
		if (!item->as.vnode.opens)
			return;
		break;
	case RK_EXT_NO_lock:
		if (item->as.lock.file)
			return;
		break;
	case RK_EXT_NO_attributes:
		/* it went with whoever had it open */
		if (!item->as.attributes.nlink)
			return;
		break;
	}
	rk__ext_put(&m->out, item->record->number, &item->as, item->tail,
		    item->tail_len);
}

static int take_state(struct import *m)
{
	struct rk__ext_item item;
	int e;

	while ((e = rk__ext_next(&m->in, &item)) == 1) {
		e = 0;
		if (item.record->number == RK_EXT_NO_image)
			e = make_image(m, &item.as.image);
		else if (item.record->number == RK_EXT_NO_block)
			e = write_block(m, &item);
		else
			pass_on(m, &item);
		if (e < 0)
			return e;
	}
	if (!e)
		e = end_images(m);
	return e ? e : rk__ext_end(&m->out);
}

/* Before anything is made of it: is it whole? Has it all images? */
static int check_state(struct import *m)
{
	struct rk__ext_in in = m->in;
	struct rk__ext_item item;
	bool image = false;
	int e;

	while ((e = rk__ext_next(&in, &item)) == 1)
		image |= item.record->number == RK_EXT_NO_image;
	for (uint32_t i = 0; !e && !image && i < m->q->config.n_mounts; i++)
		if (m->q->config.mount[i].kind == RK_SOURCE_IMAGE)
			e = rk__ext_refuse(&in, "it was exported without its "
					   "images");
	return e;
}

/* --- the file ------------------------------------------------------------------------ */

static int read_plan(struct import *m, const char *name, const char *image)
{
	struct rk__config *c = &m->q->config;
	uint64_t size[RK_MOUNTS_MAX];
	int e = rk__plan_read(&m->in, c, size);

	if (e < 0)
		return e;
	if (strlen(name) >= sizeof c->name)
		return rk__ext_refuse(&m->in, "the name is too long");
	strcpy(c->name, name);
	if (c->audience == RK_AUDIENCE_PROGRAM)
		c->audience = RK_AUDIENCE_SHARED;
	if (image && c->n_mounts != 1)
		return rk__ext_refuse(&m->in, "it has more than one mount, so "
				      "leave out --image");
	if (image && make_absolute(image, c->mount[0].source,
				   sizeof c->mount[0].source) < 0)
		return rk__ext_refuse(&m->in, "the path of the image is too "
				      "long");
	return 0;
}

static int read_file(struct import *m, const uint8_t *bytes, size_t n,
		     const char *name, const char *image, char *error)
{
	int e = rk__ext_open(&m->in, bytes, n, error);

	m->in.more = true;
	if (!e)
		e = read_plan(m, name, image);
	if (!e)
		e = rk__drivers_load(&m->q->config, error);
	if (!e)
		e = rk__ext_open(&m->in, bytes + m->in.at, n - m->in.at,
				 error);
	if (!e)
		e = check_state(m);
	if (!e)
		e = take_state(m);
	return e;
}

static int import(struct mount_request *q, const char *file, const char *name,
		  const char *image, char *error)
{
	struct import m = { .q = q, .state = memfd_create("rump-state",
							  MFD_CLOEXEC) };
	int fd = open(file, O_RDONLY | O_CLOEXEC), e;
	uint8_t *bytes = NULL;
	size_t n = 0;

	memset(m.image, -1, sizeof m.image);
	m.out.put = put;
	m.out.ctx = &m.state;
	e = fd < 0 ? -errno : m.state < 0 ? -errno : rk__ext_load(fd, &bytes, &n);
	if (e < 0) {
		snprintf(error, RK_SERVER_ERROR_LEN, "cannot read %.150s: %s",
			 file, strerror(-e));
		return e;
	}
	rk__ext_begin(&m.out);
	e = read_file(&m, bytes, n, name, image, error);
	free(bytes);
	close(fd);
	snprintf(q->label, sizeof q->label, "%s:%s", q->config.mount[0].driver,
		 q->config.mount[0].source);
	q->config.state_fd = m.state;
	if (!e)
		e = daemon_start(q, error);
	if (e < 0)
		remove_images(&m);
	return e;
}

int cmd_import(int argc, char **argv)
{
	static const struct option options[] = {
		{ "image", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' }, { 0 },
	};
	static struct mount_request q;
	char error[RK_SERVER_ERROR_LEN] = "";
	const char *image = NULL;
	int o;

	opterr = 0;
	while ((o = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		if (o == 'h') {
			fputs(help, stdout);
			return 0;
		}
		if (o != 'i')
			return complain_option("import", argv);
		image = optarg;
	}
	if (argc - optind != 2)
		return complain("import: takes a file and a name; see rump "
				"import --help");
	mount_request_init(&q);
	if (import(&q, argv[optind], argv[optind + 1], image, error) < 0)
		return complain("%s: %s", argv[optind], error);
	return 0;
}
