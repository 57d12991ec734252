/*
 * conf.c - what a config may say, and how everything else is refused: with its
 * line and the nearest word, and all of it at once.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "supervisor/conf.h"
#include "supervisor/words.h"

static struct rk__conf c;

static int read_text(const char *text)
{
	memset(&c, 0, sizeof c);
	c.config.fuse = true;
	c.config.audience = RK_AUDIENCE_SHARED;
	return rk__conf_read(text, strlen(text), &c);
}

/* There is one error, of this line, with these words in it. */
static void refused(const char *text, unsigned line, const char *words)
{
	cr_assert_eq(read_text(text), -EINVAL, "%s", text);
	cr_assert_eq(c.n_errors, 1, "%u errors in: %s", c.n_errors, text);
	cr_assert_eq(c.error[0].line, line, "line %u: %s", c.error[0].line,
		     text);
	cr_assert(strstr(c.error[0].text, words), "%s: %s", words,
		  c.error[0].text);
}

#define VOL "[mount /vol]\ndriver = ext4\nsource = /disk.img\n"

Test(conf, everything)
{
	const struct rk__mount_spec *m = c.config.mount;

	cr_assert_eq(read_text(
		"# a comment\n; another\n\n"
		"[server]\n"
		"deadline = 3s\nflush=500ms\npatience = 4\nlimit = 9\n"
		"audience = shared ; behind a value\nfuse = no\n"
		"  [mount   /a/../vol] ; what it is\r\n"
		"  options = rule=read:once:error=EIO, seed=7\r\n"
		"options = fault.x=1 , ext4.y=2\n"
		"driver = fault+ext4\n"
		"source = /srv/a b,c.img\n"
		"read-only = no\nwriteback = yes\nstay = yes\n"
		"execution = process\n"
		"[mount /]\ndriver = mem"), 0, "%s", c.error[0].text);
	cr_assert_eq(c.config.deadline_ms, 3000);
	cr_assert_eq(c.config.flush_ms, 500);
	cr_assert_eq(c.config.patience, 4);
	cr_assert_eq(c.config.limit, 9);
	cr_assert_eq(c.config.audience, RK_AUDIENCE_SHARED);
	cr_assert_not(c.config.fuse);
	cr_assert_eq(c.config.n_mounts, 2);
	cr_assert_str_eq(m[0].path, "/vol");
	cr_assert_str_eq(m[0].driver, "fault+ext4");
	cr_assert_str_eq(m[0].source, "/srv/a b,c.img");
	cr_assert_str_eq(m[0].options,
			 "rule=read:once:error=EIO,seed=7,fault.x=1,ext4.y=2");
	cr_assert(m[0].rw && !m[0].read_only && m[0].writeback && m[0].stay &&
		  m[0].process);
	cr_assert_str_eq(m[1].path, "/");
	cr_assert_str_empty(m[1].source);
	cr_assert_eq(c.place[0].section, 11);
	cr_assert_eq(c.place[0].driver, 14);
	cr_assert_eq(rk__conf_option_line(&c, 0, 0), 12);
	cr_assert_eq(rk__conf_option_line(&c, 0, 25), 12);
	cr_assert_eq(rk__conf_option_line(&c, 0, 32), 13);
}

Test(conf, words)
{
	refused("[server]\ndeadlin = 3s\n" VOL, 2, "'deadline' meant");
	refused("[server]\nxyzzy = 3s\n" VOL, 2, "but deadline, flush");
	refused("[servr]\n" VOL, 1, "'server' meant");
	refused("[mont /vol]\n" VOL, 1, "'mount' meant");
	refused("[client]\n" VOL, 1, "write [server] or [mount PATH]");
	refused("[mount]\n" VOL, 1, "write [server] or [mount PATH]");
	refused(VOL "drivr = ext4\n", 4, "'driver' meant");
	refused(VOL "execution = proces\n", 4, "'process' meant");
	refused(VOL "stay = ye\n", 4, "'yes' meant");
	refused(VOL "stay = certainly\n", 4, "is not no or yes");
	refused("[server]\naudience = hosts\n" VOL, 2, "'host' meant");
	refused(VOL "options = execution=now\n", 4, "execution model");
}

Test(conf, values)
{
	refused("[server]\ndeadline = soon\n" VOL, 2, "no time");
	refused("[server]\nflush = 0\n" VOL, 2, "no time");
	refused("[server]\nlimit = 0\n" VOL, 2, "no number");
	refused("[server]\nlimit = -1\n" VOL, 2, "no number");
	refused("[server]\nlimit = 12x\n" VOL, 2, "no number");
	refused("[server]\npatience = 9\nlimit = 8\n" VOL, 0, "less than");
	refused("[mount vol]\ndriver = mem\n", 1, "absolute");
	refused("[mount /a]\ndriver = ext4:/disk.img\n", 2, "source =");
	refused("[mount /a]\ndriver = ext4+\n", 2, "lacks a name");
	refused(VOL "options = x,,y\n", 4, "empty");
	refused(VOL "options = fault.rule=x\n", 4, "not in ext4");
}

Test(conf, lines)
{
	static char longer[300] = VOL "options = ";

	refused("deadline = 3s\n" VOL, 1, "before any section");
	refused(VOL "read-only\n", 4, "no '='");
	refused("[server\n" VOL, 1, "']'");
	refused("[server]\nflush = 1s\nflush = 2s\n" VOL, 3, "twice");
	refused("[server]\n" VOL "[server]\n", 5, "first in line 1");
	refused(VOL VOL, 4, "twice");
	memset(longer + strlen(longer), 'x', 200);
	refused(longer, 4, "longer than");
	cr_assert_eq(rk__conf_read("\xef\xbb\xbf" VOL, strlen(VOL) + 3, &c), 0);
	cr_assert_eq(rk__conf_read(VOL "a\0=b", sizeof VOL + 3, &c), -EINVAL);
	cr_assert_eq(c.error[0].line, 4);
}

Test(conf, together)
{
	refused("", 0, "no section [mount PATH]");
	refused("[mount /vol]\nsource = x\n", 1, "names no driver");
	refused(VOL "[mount /vol/x]\ndriver = mem\n", 4, "inside");
	refused("[server]\naudience = host\nfuse = no\n" VOL, 2, "fuse = no");
	refused("[server]\naudience = host\n[mount /]\ndriver = mem\n", 3,
		"of the host");
	refused("[server]\naudience = host\n" VOL "[mount /b]\ndriver = mem\n",
		2, "one mount, not 2");
	cr_assert_eq(read_text("[server]\nfuse = no\n" VOL
			       "[mount /vol/x]\ndriver = mem\n"), 0);
}

Test(conf, all_of_them_in_order)
{
	static const unsigned line[] = { 2, 3, 5, 7, 8, 9 };

	cr_assert_eq(read_text("[server]\ndeadlin = 3s\nflush = x\n"
			       "[mount /a]\nstay = maybe\ndriver = mem\n"
			       "options = ,\nnothing\n"
			       "[mount /b]\nsource = /x\n"), -EINVAL);
	cr_assert_eq(c.n_errors, 6);
	for (unsigned i = 0; i < c.n_errors; i++)
		cr_assert_eq(c.error[i].line, line[i], "%u: %s",
			     c.error[i].line, c.error[i].text);
}

/* What is more than can be kept is not kept. */
Test(conf, too_many)
{
	static char text[4096];

	strcpy(text, "[server]\n");
	for (int i = 0; i < 100; i++)
		strcat(text, "x = y\n");
	cr_assert_eq(read_text(text), -EINVAL);
	cr_assert_eq(c.n_errors, RK_CONF_ERRORS_MAX);
	strcpy(text, "");
	for (int i = 0; i < RK_MOUNTS_MAX + 1; i++)
		sprintf(text + strlen(text), "[mount /%d]\ndriver = mem\n", i);
	refused(text, 2 * RK_MOUNTS_MAX + 1, "more than 8 mounts");
}

Test(words, nearest)
{
	struct rk__nearest n;

	cr_assert_eq(rk__word_distance("", "abc"), 3);
	cr_assert_eq(rk__word_distance("kitten", "sitting"), 3);
	rk__nearest_init(&n, "vlo");
	rk__nearest_try(&n, "database");
	cr_assert_str_empty(n.name);
	rk__nearest_try(&n, "vol");
	cr_assert_str_empty(n.name, "two of three letters are too many");
	rk__nearest_try(&n, "vlow");
	rk__nearest_try(&n, "vla");
	cr_assert_str_eq(n.name, "vlow", "the first of as near ones");
}
