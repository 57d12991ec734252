/*
 * journald.c - events as entries of systemd's journal, each kind with a message
 * id that the catalog (configs/systemd/rump.catalog) explains.
 *
 * The journal's native protocol is used as systemd documents it: a datagram of
 * lines FIELD=value. sd_journal_send() would wait for a journal that does not
 * read, and its library brings five others into every process of a server.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "supervisor/internal.h"

#define JOURNAL "/run/systemd/journal/socket"

enum { ENTRY_MAX = 1024 };

/* What is not here is told to others only. A death is told with what came of
 * it, or as the reason for giving up. */
static const struct kind {
	enum rk_event_kind kind;
	enum rk_rung rung;		/* 0: any other */
	int priority;			/* of syslog */
	const char *id;
} kinds[] = {
	{ RK_HAPPENED_STARTED, 0, 6, "c79300897e5a46e1bd4ac04a07ab3c7d" },
	{ RK_HAPPENED_INHERITED, 0, 4, "13fa4d352b7344cfad49702257b783c7" },
	{ RK_HAPPENED_RECOVERED, RK_RUNG_COLD, 4,
	  "5a430b3a2da944e3be9be4a91b1ba0f4" },
	{ RK_HAPPENED_RECOVERED, RK_RUNG_READ_ONLY, 2,
	  "4819b2672a304d40b782108d2263f3fb" },
	{ RK_HAPPENED_RECOVERED, 0, 4, "71b0adbc5af14d7a98e1f98e51856cc5" },
	{ RK_HAPPENED_QUARANTINED, 0, 3, "bcc341e2c927481f988b1b33dc040849" },
	{ RK_HAPPENED_GAVE_UP, 0, 2, "659030dbed294d818629e4182416bc47" },
	{ RK_HAPPENED_STOPPED, 0, 6, "6674fb4b19214a449d1b5ceb57f4f2e8" },
};

static const struct kind *find(const struct rk_event *e)
{
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].kind == e->kind &&
		    (!kinds[i].rung || kinds[i].rung == e->rung))
			return &kinds[i];
	return NULL;
}

/* --- an entry ------------------------------------------------------------------- */

struct entry {
	char text[ENTRY_MAX];
	size_t used;
};

/* A line ends a field, so a value has none. */
__attribute__((format(printf, 2, 3)))
static void add(struct entry *e, const char *format, ...)
{
	size_t room = sizeof e->text - e->used;
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(e->text + e->used, room, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 1 >= room)
		return;
	for (int i = 0; i < n; i++)
		if (e->text[e->used + i] == '\n')
			e->text[e->used + i] = ' ';
	e->used += n;
	e->text[e->used++] = '\n';
}

/* Servers of one program come and go with it, and a kill that was asked for is
 * no news. */
static bool is_worth_it(const struct rk__supervisor *s,
			const struct rk_event *e)
{
	if (e->kind == RK_HAPPENED_STARTED || e->kind == RK_HAPPENED_STOPPED)
		return s->config.audience != RK_AUDIENCE_PROGRAM;
	return e->kind != RK_HAPPENED_RECOVERED || e->death != RK_DEATH_KILL ||
	       !s->config.kill_every_us;
}

int rk__journald_open(void)
{
	if (access(JOURNAL, W_OK) < 0)
		return -1;
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

void rk__journald_tell(const struct rk__supervisor *s,
		       const struct rk_event *e)
{
	static const struct sockaddr_un journal = {
		.sun_family = AF_UNIX, .sun_path = JOURNAL,
	};
	const struct kind *k = find(e);
	struct entry t = { .used = 0 };

	if (s->news.journal < 0 || !k || !is_worth_it(s, e))
		return;
	add(&t, "MESSAGE=%s: %s", e->server, e->text);
	add(&t, "MESSAGE_ID=%s", k->id);
	add(&t, "PRIORITY=%d", k->priority);
	add(&t, "SYSLOG_IDENTIFIER=rump");
	add(&t, "RUMP_SERVER=%s", e->server);
	add(&t, "RUMP_RESTARTS=%u", e->restarts);
	if (e->op)
		add(&t, "RUMP_OP=%s", rk__report_op(e->op));
	if (e->death)
		add(&t, "RUMP_CAUSE=%s", rk_death_word(e->death));
	if (e->rung)
		add(&t, "RUMP_RUNG=%s", rk_rung_word(e->rung));
	if (e->kind == RK_HAPPENED_RECOVERED)
		add(&t, "RUMP_OUTAGE_USEC=%llu",
		    (unsigned long long)e->down_ns / 1000);
	sendto(s->news.journal, t.text, t.used, MSG_NOSIGNAL | MSG_DONTWAIT,
	       (const struct sockaddr *)&journal, sizeof journal);
}
