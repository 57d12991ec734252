/*
 * spec.c - what people may write for mounts and times, and how everything else
 * is refused.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "supervisor/spec.h"

static char error[RK_SERVER_ERROR_LEN];

Test(spec, good)
{
	static struct rk__config c;

	cr_assert_eq(rk__spec_add(&c, "/vol=ext4:disk.img", error), 0);
	cr_assert_eq(rk__spec_add(&c, "//a/./b/../c/=ext4:/x=y:z,ro,foo=1,bar",
				  error), 0);
	cr_assert_eq(c.n_mounts, 2);
	cr_assert_str_eq(c.mount[0].path, "/vol");
	cr_assert_str_eq(c.mount[0].driver, "ext4");
	cr_assert_str_eq(c.mount[0].source, "disk.img");
	cr_assert_str_empty(c.mount[0].options);
	cr_assert_not(c.mount[0].read_only);
	cr_assert_str_eq(c.mount[1].path, "/a/c");
	cr_assert_str_eq(c.mount[1].source, "/x=y:z");
	cr_assert_str_eq(c.mount[1].options, "foo=1,bar");
	cr_assert(c.mount[1].read_only);
}

Test(spec, stacks)
{
	static struct rk__config c;
	const struct rk__mount_spec *m = c.mount;

	cr_assert_eq(rk__spec_add(&c, "/vol=fault+ext4:disk.img,a.b,"
				  "fault.rule=read:once:error=EIO,ext4.c=fault.d",
				  error), -EINVAL, "a is no driver here");
	cr_assert_eq(rk__spec_add(&c, "/vol=fault+ext4:disk.img,plain=1.5,"
				  "fault.rule=read:once:error=EIO,ext4.c=x.d",
				  error), 0, "%s", error);
	cr_assert_str_eq(m->driver, "fault+ext4");
	cr_assert_eq(m->n_layers, 2);
	cr_assert_str_eq(m->layer[0], "ext4");
	cr_assert_str_eq(m->layer[1], "fault");
	cr_assert_str_eq(m->options, "plain=1.5,"
			 "fault.rule=read:once:error=EIO,ext4.c=x.d");
	cr_assert_eq(rk__spec_add(&c, "/tmp=mem:", error), 0);
	cr_assert_eq(rk__spec_add(&c, "/tmp2=mem:,ro,rw", error), 0);
	cr_assert_str_eq(m[1].source, "");
	cr_assert_not(m[1].rw);
	cr_assert(m[2].rw && !m[2].read_only);
}

Test(spec, root)
{
	static struct rk__config c;

	cr_assert_eq(rk__spec_add(&c, "/=ext4:disk.img", error), 0);
	cr_assert_str_eq(c.mount[0].path, "/");
	cr_assert_eq(rk__spec_add(&c, "/vol=ext4:other.img", error), 0);
	cr_assert_eq(rk__spec_add(&c, "/=ext4:third.img", error), -EINVAL);
}

Test(spec, bad)
{
	static const char *const bad[] = {
		"", "=", "/vol", "/vol=", "/vol=ext4",
		"/vol=:disk.img", "=ext4:disk.img", "vol=ext4:disk.img",
		"/vol/..=ext4:disk.img",
		"/vol=ext4:disk.img,", "/vol=ext4:disk.img,,ro",
		"/v\nw=ext4:disk.img",
		"/vol=+ext4:disk.img", "/vol=ext4+:disk.img",
		"/vol=fault++ext4:disk.img", "/vol=+:disk.img",
		"/vol=fault+fault+ext4:disk.img", "/vol=a+b+c+d+e:disk.img",
		"/vol=fault+ext4:disk.img,falt.rule=x",
		"/vol=ext4:disk.img,fault.rule=x",
		"/vol=a-driver-with-a-name-longer-than-it-may-be:disk.img",
		/* with /one=ext4:one.img there already: */
		"/one=ext4:disk.img", "//./one/=ext4:disk.img",
	};

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		static struct rk__config c;

		memset(&c, 0, sizeof c);
		cr_assert_eq(rk__spec_add(&c, "/one=ext4:one.img", error), 0);
		error[0] = 0;
		cr_assert_eq(rk__spec_add(&c, bad[i], error), -EINVAL,
			     "'%s' is taken", bad[i]);
		cr_assert_eq(c.n_mounts, 1);
		cr_assert(strlen(error) > 10, "'%s': no sentence", bad[i]);
		cr_assert_null(strchr(error, '\n'));
	}
}

Test(spec, one_inside_the_other)
{
	static struct rk__config c;

	cr_assert_eq(rk__spec_add(&c, "/one=ext4:one.img", error), 0);
	cr_assert_eq(rk__spec_add(&c, "/onetwo=ext4:two.img", error), 0);
	cr_assert_eq(rk__spec_apart(&c, error), 0);
	cr_assert_eq(rk__spec_add(&c, "/one/in=ext4:in.img", error), 0);
	error[0] = 0;
	cr_assert_eq(rk__spec_apart(&c, error), -EINVAL);
	cr_assert_not_null(strstr(error, "/one/in and /one lie"), "%s", error);
}

Test(spec, too_long)
{
	static struct rk__config c;
	static char text[16384];

	memset(text, 'a', sizeof text - 1);
	text[0] = '/';
	cr_assert_eq(rk__spec_add(&c, text, error), -EINVAL);
	memcpy(text + 5000, "=ext4:x", 7);
	cr_assert_eq(rk__spec_add(&c, text, error), -EINVAL);
	memset(text + 4000, 'a', 4000);
	memcpy(text + 4000, "=ext4:x", 7);
	cr_assert_eq(rk__spec_add(&c, text, error), -EINVAL);
	text[4000 + 4000] = ',';
	cr_assert_eq(rk__spec_add(&c, text, error), -EINVAL);
	cr_assert_eq(c.n_mounts, 0);
}

Test(spec, too_many)
{
	static struct rk__config c;
	char text[64];

	for (int i = 0; i < RK_MOUNTS_MAX; i++) {
		snprintf(text, sizeof text, "/m%d=ext4:%d.img", i, i);
		cr_assert_eq(rk__spec_add(&c, text, error), 0);
	}
	cr_assert_eq(rk__spec_add(&c, "/one-more=ext4:x", error), -EINVAL);
}

Test(spec, time)
{
	static const struct {
		const char *text;
		uint64_t us;		/* 0: refused */
	} table[] = {
		{ "50ms", 50000 }, { "10s", 10000000 }, { "7", 7000000 },
		{ "200us", 200 }, { "2m", 120000000 }, { "0", 0 }, { "", 0 },
		{ "ms", 0 }, { "-1s", 0 }, { "1h", 0 }, { "1.5s", 0 },
		{ "5 ms", 0 }, { "soon", 0 }, { "99999999999999s", 0 },
		{ "86401s", 0 },
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		uint64_t us = 0;
		int r = rk__spec_time("--x", table[i].text, &us, error);

		cr_assert_eq(r, table[i].us ? 0 : -EINVAL, "'%s': %d",
			     table[i].text, r);
		cr_assert_eq(us, table[i].us);
		if (r < 0)
			cr_assert_eq(strncmp(error, "--x:", 4), 0);
	}
}
