/*
 * conf.h - the config of a server: what its file says, read and checked before
 * anything is touched. rump.conf(5) says what may stand there.
 *
 * Reading is pure: it looks at no file. All that is wrong is found, not only
 * the first, each with its line and, where a word is unknown, the nearest that
 * there is.
 */
#ifndef RK_CONF_H
#define RK_CONF_H

#include "supervisor.h"

enum { RK_CONF_ERRORS_MAX = 64, RK_CONF_OPTIONS_MAX = 32 };

struct rk__conf_error {
	unsigned line;			/* 0: of no line */
	char text[RK_SERVER_ERROR_LEN];
};

struct rk__conf {
	struct rk__config config;
	/* Lines of what later checks may find wrong; 0: it is not there. */
	unsigned audience_line;
	struct rk__conf_place {
		unsigned section, driver;
	} place[RK_MOUNTS_MAX];
	struct rk__conf_option {	/* a line "options = ..." */
		unsigned line, mount;
		size_t at;		/* its first in mount.options */
	} option[RK_CONF_OPTIONS_MAX];
	unsigned n_options;
	unsigned n_errors;		/* those that are kept */
	struct rk__conf_error error[RK_CONF_ERRORS_MAX];
};

/* ret->config: has the defaults, and gets what the text says; the rest of *ret
 * need not be initialised. 0, or -EINVAL if anything is wrong. */
int rk__conf_read(const char *text, size_t len, struct rk__conf *ret);

/* Notes one more error, in the order of lines. */
void rk__conf_refuse(struct rk__conf *c, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The line of mount's option that begins at this offset of its options. */
unsigned rk__conf_option_line(const struct rk__conf *c, unsigned mount,
			      size_t at);

#endif
