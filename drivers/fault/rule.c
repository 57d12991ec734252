/*
 * rule.c - what people write for a fault, read. Pure: knows nothing but the
 * text.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "fault.h"

static const char *const op_name[] = {
#define X(name) #name,
	FAULT_OPS
#undef X
};

#define NAMED	(1u << OP_lookup | 1u << OP_create | 1u << OP_link | \
		 1u << OP_unlink | 1u << OP_rename)
#define DATA	(1u << OP_read | 1u << OP_write)
#define ALL	((1u << OPS) - 1)

struct part {
	const char *text;
	int len;			/* for %.*s too */
};

__attribute__((format(printf, 2, 3)))
static int refuse(char *sentence, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(sentence, SENTENCE, format, ap);
	va_end(ap);
	return -EINVAL;
}

static bool is(struct part p, const char *word)
{
	return strlen(word) == (size_t)p.len &&
	       memcmp(p.text, word, (size_t)p.len) == 0;
}

/* What stands before the first `stop`; *rest: behind it, or len -1. */
static struct part cut(struct part p, char stop, struct part *rest)
{
	const char *at = memchr(p.text, stop, (size_t)p.len);
	int n = at ? (int)(at - p.text) : p.len;

	*rest = (struct part){ p.text + n + 1, at ? p.len - n - 1 : -1 };
	return (struct part){ p.text, n };
}

static struct part shown(struct part p)
{
	p.len = p.len < 40 ? p.len : 40;
	return p;
}

/* Digits and no more. */
static bool number(struct part p, uint64_t max, uint64_t *ret)
{
	uint64_t n = 0;

	for (int i = 0; i < p.len; i++) {
		unsigned digit = (unsigned char)p.text[i] - '0';

		if (digit > 9 || n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*ret = n;
	return p.len > 0;
}

/* --- OP[|OP...][@NAME] ------------------------------------------------------------- */

static int read_op(struct part p, struct rule *r, char *sentence)
{
	if (is(p, "*")) {
		r->ops = ALL;
		return 0;
	}
	for (unsigned i = 0; i < OPS; i++)
		if (is(p, op_name[i])) {
			r->ops |= 1u << i;
			return 0;
		}
	p = shown(p);
	return refuse(sentence, "'%.*s' is no operation; there are * and those "
		      "of driver.h, such as lookup, create, read, write, "
		      "unlink, rename and sync", p.len, p.text);
}

static int read_ops(struct part p, struct rule *r, char *sentence)
{
	struct part name, rest = cut(p, '@', &name), op;
	int e = 0;

	while (!e && rest.len >= 0) {
		op = cut(rest, '|', &rest);
		e = read_op(op, r, sentence);
	}
	if (e < 0 || name.len < 0)
		return e;
	if (r->ops == ALL)
		r->ops = NAMED;
	if (r->ops & ~NAMED)
		return refuse(sentence, "only lookup, create, link, unlink and "
			      "rename have a name to be written after an '@'");
	if (!name.len || name.len >= NAME_ROOM)
		return refuse(sentence, "the name after '@' has %d bytes; a "
			      "name has 1 to 255", name.len);
	memcpy(r->name, name.text, (size_t)name.len);
	return 0;
}

/* --- WHEN ------------------------------------------------------------------------- */

/* "0.05", "1": as parts of 2^32 */
static bool chance(struct part p, uint64_t *ret)
{
	struct part frac, whole = cut(p, '.', &frac);
	uint64_t n, scale = 1, digits = 0;

	if (!number(whole, 1, &n))
		return false;
	if (frac.len == 0 || frac.len > 9 ||
	    (frac.len > 0 && !number(frac, 999999999, &digits)))
		return false;
	for (int i = 0; i < frac.len; i++)
		scale *= 10;
	*ret = (n << 32) + (digits << 32) / scale;
	return *ret > 0 && *ret <= 1ull << 32;
}

static int read_when(struct part p, struct rule *r, char *sentence)
{
	static const struct {
		const char *word;
		enum when when;
	} counted[] = {
		{ "at", AT }, { "after", AFTER }, { "every", EVERY },
	};
	struct part value, word = cut(p, '=', &value);

	if (is(p, "always"))
		return r->when = ALWAYS, 0;
	if (is(p, "once"))
		return r->when = AT, r->n = 1, 0;
	r->when = CHANCE;
	if (is(word, "p") && value.len >= 0 && chance(value, &r->n))
		return 0;
	for (size_t i = 0; i < sizeof counted / sizeof *counted; i++) {
		r->when = counted[i].when;
		if (is(word, counted[i].word) && value.len >= 0 &&
		    number(value, UINT64_MAX, &r->n) && r->n)
			return 0;
	}
	p = shown(p);
	return refuse(sentence, "'%.*s' does not say when; write always, once, "
		      "at=N, after=N, every=N (N from 1 on) or p=0.01", p.len,
		      p.text);
}

/* --- WHAT ------------------------------------------------------------------------- */

static bool read_errno(struct part p, int *ret)
{
	const char *name;

	for (int e = 1; e < 134; e++) {
		name = strerrorname_np(e);
		if (name && is(p, name)) {
			*ret = -e;
			return true;
		}
	}
	return false;
}

static bool read_time(struct part p, uint64_t *ret_ns)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} unit[] = {
		{ "us", 1000 }, { "ms", 1000000 }, { "s", 1000000000 },
	};
	struct part digits = p, rest;
	uint64_t n;

	digits.len = 0;
	while (digits.len < p.len && p.text[digits.len] >= '0' &&
	       p.text[digits.len] <= '9')
		digits.len++;
	rest = (struct part){ p.text + digits.len, p.len - digits.len };
	for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
		if (is(rest, unit[i].name) && number(digits, 1000000, &n)) {
			*ret_ns = n * unit[i].ns;
			return true;
		}
	return false;
}

static int check_data(const struct rule *r, char *sentence)
{
	if (r->late)
		return refuse(sentence, "short and wrong have no late-");
	if (r->ops & ~DATA)
		return refuse(sentence, "only read and write can be short or "
			      "wrong");
	return 0;
}

static int read_what(struct part p, struct rule *r, char *sentence)
{
	static const struct {
		const char *word;
		enum what what;
	} plain[] = {
		{ "crash", CRASH }, { "abort", ABORT }, { "hang", HANG },
		{ "short", SHORT }, { "wrong", WRONG },
	};
	struct part whole = p, value, word;

	if (p.len > 5 && memcmp(p.text, "late-", 5) == 0) {
		r->late = true;
		p = (struct part){ p.text + 5, p.len - 5 };
	}
	word = cut(p, '=', &value);
	for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
		if (is(p, plain[i].word)) {
			r->what = plain[i].what;
			return r->what >= SHORT ? check_data(r, sentence) : 0;
		}
	r->what = ERROR;
	if (is(word, "error") && value.len >= 0 && read_errno(value, &r->error))
		return 0;
	r->what = SLOW;
	if (is(word, "slow") && value.len >= 0 && read_time(value, &r->ns))
		return 0;
	whole = shown(whole);
	return refuse(sentence, "'%.*s' is no fault; write error=EIO, crash, "
		      "abort, hang, slow=10ms, short or wrong, and late- "
		      "before it to have it after the call", whole.len,
		      whole.text);
}

int rk__fault_rule(const char *text, struct rule *ret, char *sentence)
{
	struct part rest = { text, (int)strnlen(text, 4096) }, part[3];
	int e;

	memset(ret, 0, sizeof *ret);
	for (int i = 0; i < 3; i++) {
		if (rest.len < 0)
			return refuse(sentence, "'%.80s' has %d part%s, not "
				      "OP:WHEN:WHAT, as in read:once:error=EIO",
				      text, i, i == 1 ? "" : "s");
		part[i] = i < 2 ? cut(rest, ':', &rest) : rest;
	}
	e = read_ops(part[0], ret, sentence);
	if (!e)
		e = read_when(part[1], ret, sentence);
	return e ? e : read_what(part[2], ret, sentence);
}
