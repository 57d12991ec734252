/*
 * conf.c - see conf.h.
 *
 * Theory of operation. libinih reads one line at a time, so that a line that is
 * none does not hide the next, and each has its number; sections are ours,
 * because libinih cuts their names. The text is read twice: what an option
 * means depends on the drivers of its mount, which may be named below it.
 */
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "supervisor/conf.h"
#include "supervisor/spec.h"
#include "supervisor/words.h"

/* libinih would take the rest for a line of its own. */
enum { LINE_LEN_MAX = 198 };

#define BLANKS " \t\r\v\f"
#define MARK "\xef\xbb\xbf"		/* of byte order, which libinih skips */

struct reader {
	struct rk__conf *conf;
	bool options;			/* the second time: these alone */
	unsigned line;
	enum { NOWHERE, SERVER, MOUNT, WRONG } section;
	unsigned server;		/* line of [server], 0: none yet */
	unsigned mount;
	uint32_t seen;			/* keys of this section, as bits */
};

/* 0, or -EINVAL with a sentence in error. */
typedef int take_fn(struct reader *r, const char *value, char *error);

struct key {
	const char *name;
	take_fn *take;
};

/* --- errors ------------------------------------------------------------------- */

void rk__conf_refuse(struct rk__conf *c, unsigned line, const char *format, ...)
{
	struct rk__conf_error *e;
	va_list ap;

	if (c->n_errors == RK_CONF_ERRORS_MAX)
		return;
	e = &c->error[c->n_errors++];
	while (e > c->error && e[-1].line > line) {
		*e = e[-1];
		e--;
	}
	e->line = line;
	va_start(ap, format);
	vsnprintf(e->text, sizeof e->text, format, ap);
	va_end(ap);
}

unsigned rk__conf_option_line(const struct rk__conf *c, unsigned mount,
			      size_t at)
{
	unsigned line = 0;

	for (unsigned i = 0; i < c->n_options; i++)
		if (c->option[i].mount == mount && c->option[i].at <= at)
			line = c->option[i].line;
	return line;
}

/* One of words, which ends with NULL; -EINVAL: none of them. */
static int choose(const char *value, const char *const *words, char *error)
{
	struct rk__nearest near;
	size_t used = 0;

	rk__nearest_init(&near, value);
	for (int i = 0; words[i]; i++) {
		if (strcmp(value, words[i]) == 0)
			return i;
		rk__nearest_try(&near, words[i]);
	}
	used = snprintf(error, RK_SERVER_ERROR_LEN, "'%.40s' is not",
			value);
	for (int i = 0; words[i]; i++)
		used += snprintf(error + used, RK_SERVER_ERROR_LEN - used,
				 "%s %s", i ? " or" : "", words[i]);
	if (near.name[0])
		snprintf(error + used, RK_SERVER_ERROR_LEN - used,
			 "; is '%s' meant?", near.name);
	return -EINVAL;
}

/* --- values ------------------------------------------------------------------- */

static int take_bool(const char *value, bool *ret, char *error)
{
	static const char *const word[] = { "no", "yes", NULL };
	int i = choose(value, word, error);

	if (i >= 0)
		*ret = i;
	return i < 0 ? i : 0;
}

static int take_ms(const char *what, const char *value, uint32_t *ret,
		   char *error)
{
	uint64_t us;
	int e = rk__spec_time(what, value, &us, error);

	if (!e)
		*ret = (us + 999) / 1000;
	return e;
}

static int take_count(const char *value, uint32_t *ret, char *error)
{
	unsigned long n = 0;
	char *end = NULL;

	if (*value >= '0' && *value <= '9')
		n = strtoul(value, &end, 10);
	if (end && !*end && n && n <= 1000000) {
		*ret = n;
		return 0;
	}
	snprintf(error, RK_SERVER_ERROR_LEN, "'%.40s' is no number from 1 to "
		 "1000000", value);
	return -EINVAL;
}

/* --- [server] ------------------------------------------------------------------ */

static int take_deadline(struct reader *r, const char *value, char *error)
{
	return take_ms("deadline", value, &r->conf->config.deadline_ms, error);
}

static int take_flush(struct reader *r, const char *value, char *error)
{
	return take_ms("flush", value, &r->conf->config.flush_ms, error);
}

static int take_patience(struct reader *r, const char *value, char *error)
{
	return take_count(value, &r->conf->config.patience, error);
}

static int take_limit(struct reader *r, const char *value, char *error)
{
	return take_count(value, &r->conf->config.limit, error);
}

static int take_audience(struct reader *r, const char *value, char *error)
{
	static const char *const word[] = { "host", "shared", NULL };
	int i = choose(value, word, error);

	r->conf->audience_line = r->line;
	if (i >= 0)
		r->conf->config.audience = i ? RK_AUDIENCE_SHARED :
					   RK_AUDIENCE_HOST;
	return i < 0 ? i : 0;
}

static int take_fuse(struct reader *r, const char *value, char *error)
{
	return take_bool(value, &r->conf->config.fuse, error);
}

static const struct key server_keys[] = {
	{ "deadline", take_deadline }, { "flush", take_flush },
	{ "patience", take_patience }, { "limit", take_limit },
	{ "audience", take_audience }, { "fuse", take_fuse }, { 0 },
};

/* --- [mount PATH] --------------------------------------------------------------- */

static struct rk__mount_spec *mount_of(struct reader *r)
{
	return &r->conf->config.mount[r->mount];
}

static int take_driver(struct reader *r, const char *value, char *error)
{
	int e = rk__spec_drivers(value, mount_of(r), error);

	r->conf->place[r->mount].driver = r->line;
	if (!e && strchr(value, ':')) {
		snprintf(error, RK_SERVER_ERROR_LEN, "a driver's name has no "
			 "':'; what it is to mount stands behind source =");
		e = -EINVAL;
	}
	if (e < 0)
		mount_of(r)->n_layers = 0;
	return e;
}

static int take_source(struct reader *r, const char *value, char *error)
{
	snprintf(mount_of(r)->source, sizeof mount_of(r)->source, "%s", value);
	return 0;
}

/* A driver that only reads refuses "no", as it does the option rw. */
static int take_read_only(struct reader *r, const char *value, char *error)
{
	struct rk__mount_spec *m = mount_of(r);
	int e = take_bool(value, &m->read_only, error);

	m->rw = !m->read_only;
	return e;
}

static int take_writeback(struct reader *r, const char *value, char *error)
{
	return take_bool(value, &mount_of(r)->writeback, error);
}

static int take_stay(struct reader *r, const char *value, char *error)
{
	return take_bool(value, &mount_of(r)->stay, error);
}

static int take_execution(struct reader *r, const char *value, char *error)
{
	static const char *const word[] = { "interrupt", "process", NULL };
	int i = choose(value, word, error);

	mount_of(r)->process = i == 1;
	return i < 0 ? i : 0;
}

/* Blanks beside a comma are for the reader's eye. */
static void squeeze(const char *from, char *to)
{
	char *start = to;

	for (; *from; from++) {
		if (strchr(BLANKS, *from) &&
		    (to == start || to[-1] == ',' ||
		     from[strspn(from, BLANKS)] == ','))
			continue;
		*to++ = *from;
	}
	*to = 0;
}

static int take_options(struct reader *r, const char *value, char *error)
{
	struct rk__mount_spec *m = mount_of(r);
	struct rk__conf *c = r->conf;
	char list[LINE_LEN_MAX + 1];

	if (!m->n_layers)
		return 0;		/* that is said already */
	if (c->n_options == RK_CONF_OPTIONS_MAX) {
		snprintf(error, RK_SERVER_ERROR_LEN, "there are more than %d "
			 "lines of options", RK_CONF_OPTIONS_MAX);
		return -EINVAL;
	}
	c->option[c->n_options++] = (struct rk__conf_option){
		.line = r->line, .mount = r->mount, .at = strlen(m->options) + (m->options[0] != 0),
	};
	squeeze(value, list);
	return rk__spec_options(list, m, error);
}

static const struct key mount_keys[] = {
	{ "driver", take_driver }, { "source", take_source },
	{ "read-only", take_read_only }, { "writeback", take_writeback },
	{ "stay", take_stay }, { "execution", take_execution },
	{ "options", take_options }, { 0 },
};

/* --- a line ---------------------------------------------------------------------- */

static void refuse_key(struct reader *r, const char *name,
		       const struct key *keys)
{
	const char *in = r->section == SERVER ? "[server]" : "[mount]";
	struct rk__nearest near;
	char known[128] = "";
	size_t used = 0;

	rk__nearest_init(&near, name);
	for (; keys->name; keys++) {
		rk__nearest_try(&near, keys->name);
		used += snprintf(known + used, sizeof known - used, "%s%s",
				 used ? ", " : "", keys->name);
	}
	if (near.name[0])
		rk__conf_refuse(r->conf, r->line, "there is no '%.40s' in %s; "
				"is '%s' meant?", name, in, near.name);
	else
		rk__conf_refuse(r->conf, r->line, "there is no '%.40s' in %s, "
				"but %s", name, in, known);
}

static int take_pair(void *arg, const char *section, const char *name,
		     const char *value)
{
	struct reader *r = arg;
	const struct key *keys, *k;
	char error[RK_SERVER_ERROR_LEN] = "";
	uint32_t bit;

	if (r->section == WRONG || (r->section == NOWHERE && r->options))
		return 1;
	if (r->section == NOWHERE) {
		rk__conf_refuse(r->conf, r->line, "'%.40s' stands before any "
				"section; write [server] or [mount PATH] above "
				"it", name);
		return 1;
	}
	keys = r->section == SERVER ? server_keys : mount_keys;
	for (k = keys; k->name && strcmp(k->name, name) != 0; k++)
		;
	if (r->options != (k->take == take_options))
		return 1;
	bit = 1u << (k - keys);
	if (!k->name)
		refuse_key(r, name, keys);
	else if ((r->seen & bit) && k->take != take_options)
		rk__conf_refuse(r->conf, r->line, "%s is given twice", name);
	else if (k->take(r, value, error) < 0)
		rk__conf_refuse(r->conf, r->line, "%s", error);
	r->seen |= bit;
	return 1;
}

static void begin_server(struct reader *r)
{
	r->section = SERVER;
	if (r->server && !r->options)
		rk__conf_refuse(r->conf, r->line, "[server] is there twice, "
				"first in line %u", r->server);
	if (r->server)
		r->section = WRONG;
	else
		r->server = r->line;
}

/* The second time it is found again by its line. */
static void begin_mount(struct reader *r, const char *path)
{
	struct rk__conf *c = r->conf;
	uint32_t *n = &c->config.n_mounts;
	char error[RK_SERVER_ERROR_LEN];

	r->section = WRONG;
	if (!r->options && rk__spec_begin(&c->config, path, error) < 0) {
		rk__conf_refuse(c, r->line, "%s", error);
		return;
	}
	if (!r->options)
		c->place[*n - 1].section = r->line;
	for (r->mount = 0; r->mount < *n; r->mount++)
		if (c->place[r->mount].section == r->line)
			break;
	if (r->mount < *n)
		r->section = MOUNT;
}

static void refuse_section(struct reader *r, const char *name)
{
	struct rk__nearest near;
	char word[64];

	snprintf(word, sizeof word, "%.*s", (int)strcspn(name, BLANKS), name);
	rk__nearest_init(&near, word);
	rk__nearest_try(&near, "server");
	rk__nearest_try(&near, "mount");
	r->section = WRONG;
	if (r->options)
		return;
	if (near.name[0] && strcmp(near.name, word) != 0)
		rk__conf_refuse(r->conf, r->line, "there is no section [%.40s]; "
				"is '%s' meant?", name, near.name);
	else
		rk__conf_refuse(r->conf, r->line, "there is no section [%.40s]; "
				"write [server] or [mount PATH]", name);
}

/* text: behind the '['. */
static void take_section(struct reader *r, char *text)
{
	char *comment = strstr(text, " ;"), *end;

	if (comment)
		*comment = 0;
	end = text + strlen(text);
	while (end > text && strchr(BLANKS, end[-1]))
		end--;
	r->seen = 0;
	if (end == text || end[-1] != ']') {
		r->section = WRONG;
		if (!r->options)
			rk__conf_refuse(r->conf, r->line, "the section lacks "
					"its ']'");
		return;
	}
	end[-1] = 0;
	if (strcmp(text, "server") == 0)
		begin_server(r);
	else if (strncmp(text, "mount", 5) == 0 && text[5] &&
		 strchr(BLANKS, text[5]))
		begin_mount(r, text + 5 + strspn(text + 5, BLANKS));
	else
		refuse_section(r, text);
}

static void take_line(struct reader *r, const char *text, size_t len)
{
	char line[LINE_LEN_MAX + 1], *start;
	const char *wrong = NULL;

	if (len > LINE_LEN_MAX)
		wrong = "the line is longer than 198 characters";
	else if (memchr(text, 0, len))
		wrong = "there is a byte in it that is no text";
	else if (len >= 3 && memcmp(text, MARK, 3) == 0)
		wrong = "it begins with a byte order mark";
	if (!wrong) {
		memcpy(line, text, len);
		line[len] = 0;
		start = line + strspn(line, BLANKS);
		if (*start == '[')
			take_section(r, start + 1);
		else if (ini_parse_string(line, take_pair, r) != 0)
			wrong = "there is no '=' in it; write NAME = VALUE";
	}
	if (wrong && !r->options)
		rk__conf_refuse(r->conf, r->line, "%s", wrong);
}

static void take_lines(struct rk__conf *c, const char *text, size_t len,
		       bool options)
{
	struct reader r = { .conf = c, .options = options };
	const char *end = text + len;

	if (len >= 3 && memcmp(text, MARK, 3) == 0)
		text += 3;
	while (text < end) {
		const char *newline = memchr(text, '\n', end - text);
		size_t n = (newline ? newline : end) - text;

		r.line++;
		take_line(&r, text, n);
		text += n + 1;
	}
}

/* --- what does not go together ---------------------------------------------------- */

static void check_mounts(struct rk__conf *c)
{
	uint32_t n = c->config.n_mounts;
	char error[RK_SERVER_ERROR_LEN];

	for (uint32_t i = 0; i < n; i++)
		if (!c->place[i].driver)
			rk__conf_refuse(c, c->place[i].section, "[mount %.100s] "
					"names no driver; write driver = ext4, "
					"say", c->config.mount[i].path);
	/* the last of the first i is the one that is in the way */
	for (uint32_t i = 1; i <= n && c->config.fuse; i++) {
		c->config.n_mounts = i;
		if (rk__spec_apart(&c->config, error) == 0)
			continue;
		rk__conf_refuse(c, c->place[i - 1].section, "%s", error);
		break;
	}
	c->config.n_mounts = n;
	if (!n && !c->n_errors)
		rk__conf_refuse(c, 0, "there is no section [mount PATH]");
}

static void check_audience(struct rk__conf *c)
{
	if (c->config.audience != RK_AUDIENCE_HOST)
		return;
	if (!c->config.fuse)
		rk__conf_refuse(c, c->audience_line, "audience = host is a "
				"mount, and fuse = no makes none");
	if (c->config.n_mounts > 1)
		rk__conf_refuse(c, c->audience_line, "audience = host takes "
				"one mount, not %u", c->config.n_mounts);
	if (c->config.n_mounts && strcmp(c->config.mount[0].path, "/") == 0)
		rk__conf_refuse(c, c->place[0].section, "nothing can be "
				"mounted on / of the host");
}

int rk__conf_read(const char *text, size_t len, struct rk__conf *ret)
{
	memset((char *)ret + sizeof ret->config, 0,
	       sizeof *ret - sizeof ret->config);
	ret->config.n_mounts = 0;
	take_lines(ret, text, len, false);
	take_lines(ret, text, len, true);
	check_mounts(ret);
	check_audience(ret);
	if (ret->config.limit && ret->config.limit < ret->config.patience)
		rk__conf_refuse(ret, 0, "limit is less than patience: it would "
				"give up before it waits");
	return ret->n_errors ? -EINVAL : 0;
}
