/*
 * ioctl.c - flags, version and place of a file, as ioctl(2) gives them; with a
 * driver that keeps flags and says where files lie.
 */
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include "../harness/syscall_fake.h"

static struct rk_driver driver;
static unsigned extents;

static int set(void *fs, uint64_t ino, const struct rk_setattr *s,
	       struct rk_stat *ret)
{
	int r = mem_driver.setattr(fs, ino, s, ret);

	if (r == 0 && (s->valid & RK_SET_FLAGS)) {
		mem_fs.inode[ino].st.flags = s->flags;
		ret->flags = s->flags;
	}
	return r;
}

static int where(void *fs, uint64_t ino, uint64_t off, uint64_t end,
		 rk_extent_fn *emit, void *arg)
{
	for (uint64_t i = off / 4096; i < extents && i * 4096 < end; i++)
		if (emit(arg, i * 4096, 1 << 20 | i * 8192, 4096,
			 i & 1 ? FIEMAP_EXTENT_UNWRITTEN : 0))
			return 0;
	return 0;
}

static void start(void)
{
	setup();
	driver = mem_driver;
	driver.setattr = set;
	driver.fiemap = where;
	rk__driver[0] = &driver;
	cr_assert_eq(OPEN(0, "f", O_CREAT | O_RDWR, 0666), 0);
	cr_assert_eq(OPEN(1, "f", O_RDWR), 0);
}

TestSuite(ioctl, .init = start, .fini = teardown);

#define IOCTL(ch, cmd, in_, n, room) \
	CALL(ch, ioctl, 0, (uint32_t)(cmd), in_, n, NULL, room)

static uint32_t flags_now(void)
{
	cr_assert_eq(IOCTL(0, FS_IOC_GETFLAGS, NULL, 0, 4), 0);
	return *(uint32_t *)out;
}

static int64_t set_flags(uint32_t channel, uint32_t flags)
{
	return IOCTL(channel, FS_IOC_SETFLAGS, &flags, sizeof flags, 0);
}

Test(ioctl, flags)
{
	cr_expect_eq(flags_now(), 0u);
	cr_expect_eq(set_flags(0, FS_NODUMP_FL), 0);
	cr_expect_eq(flags_now(), (uint32_t)FS_NODUMP_FL);
	cr_expect_eq(IOCTL(0, FS_IOC_GETFLAGS, NULL, 0, 3), -EINVAL);
	cr_expect_eq(IOCTL(0, FS_IOC_SETFLAGS, NULL, 0, 0), -EINVAL);
	/* These are root's. */
	cr_expect_eq(set_flags(0, FS_IMMUTABLE_FL | FS_NODUMP_FL), -EPERM);
	cr_expect_eq(flags_now(), (uint32_t)FS_NODUMP_FL);
	cr_expect_eq(set_flags(1, FS_APPEND_FL), 0);
	cr_expect_eq(set_flags(0, 0), -EPERM);
	/* And all are their owner's. */
	attach(2, 3, 0, 77);
	cr_assert_eq(OPEN(2, "f", O_RDONLY), 0);
	cr_expect_eq(set_flags(2, FS_APPEND_FL | FS_NODUMP_FL), -EPERM);
	cr_expect_eq(set_flags(1, 0), 0);
}

Test(ioctl, flags_in_the_other_form)
{
	struct fsxattr x = { .fsx_xflags = FS_XFLAG_NODUMP | FS_XFLAG_HASATTR };

	cr_expect_eq(set_flags(0, FS_NOATIME_FL), 0);
	cr_expect_eq(IOCTL(0, FS_IOC_FSGETXATTR, NULL, 0, sizeof x), 0);
	cr_expect_eq(((struct fsxattr *)out)->fsx_xflags, FS_XFLAG_NOATIME);
	cr_expect_eq(IOCTL(0, FS_IOC_FSSETXATTR, &x, sizeof x, 0), 0);
	cr_expect_eq(flags_now(), (uint32_t)FS_NODUMP_FL);
	x.fsx_projid = 1;
	cr_expect_eq(IOCTL(0, FS_IOC_FSSETXATTR, &x, sizeof x, 0), -EOPNOTSUPP);
	x = (struct fsxattr){ .fsx_xflags = FS_XFLAG_REALTIME };
	cr_expect_eq(IOCTL(0, FS_IOC_FSSETXATTR, &x, sizeof x, 0), -EOPNOTSUPP);
	cr_expect_eq(IOCTL(0, FS_IOC_FSSETXATTR, &x, 4, 0), -EINVAL);
	cr_expect_eq(flags_now(), (uint32_t)FS_NODUMP_FL);
}

Test(ioctl, the_rest)
{
	int on = 1;

	mem_fs.inode[rk__ofd_node(rk__fd(rk__proc_of_channel(0), 0)).ino]
		.st.generation = 4711;
	cr_expect_eq(IOCTL(0, FS_IOC_GETVERSION, NULL, 0, 4), 0);
	cr_expect_eq(*(uint32_t *)out, 4711u);
	cr_expect_eq(CALL(0, write, 0, "0123456789", 10), 10);
	cr_expect_eq(CALL(0, lseek, 0, 3, SEEK_SET), 3);
	cr_expect_eq(IOCTL(0, FIONREAD, NULL, 0, 4), 0);
	cr_expect_eq(*(int *)out, 7);
	cr_expect_eq(IOCTL(0, FIONREAD, NULL, 0, 2), -EFAULT);
	cr_expect_eq(IOCTL(0, FIOQSIZE, NULL, 0, 8), 0);
	cr_expect_eq(*(int64_t *)out, 10);
	cr_expect_eq(IOCTL(0, FIONBIO, &on, sizeof on, 0), 0);
	cr_expect(CALL(0, getfl, 0) & O_NONBLOCK);
	cr_expect_eq(IOCTL(0, FIOCLEX, NULL, 0, 0), 0);
	cr_expect_eq(CALL(0, fcntl, 0, F_GETFD), FD_CLOEXEC);
	cr_expect_eq(IOCTL(0, FIONCLEX, NULL, 0, 0), 0);
	cr_expect_eq(CALL(0, fcntl, 0, F_GETFD), 0);
	cr_expect_eq(IOCTL(0, TCGETS, NULL, 0, 64), -ENOTTY);
	cr_expect_eq(CALL(0, ioctl, 9, FIONREAD, NULL, 0, NULL, 4), -EBADF);
}

static struct fiemap_extent *map(uint64_t start_, uint64_t length,
				 uint32_t room)
{
	struct fiemap m = {
		.fm_start = start_, .fm_length = length, .fm_extent_count = room,
	};

	cr_assert_eq(IOCTL(0, FS_IOC_FIEMAP, &m, sizeof m, sizeof m +
			   room * sizeof(struct fiemap_extent)), 0);
	return ((struct fiemap *)out)->fm_extents;
}

#define MAPPED (((struct fiemap *)out)->fm_mapped_extents)

Test(ioctl, where_a_file_lies)
{
	struct fiemap m = { .fm_length = UINT64_MAX, .fm_extent_count = 9 };
	struct fiemap_extent *x;

	extents = 5;
	map(0, UINT64_MAX, 0);
	cr_expect_eq(MAPPED, 5u, "counted");
	x = map(0, UINT64_MAX, 8);
	cr_expect_eq(MAPPED, 5u);
	cr_expect_eq(x[1].fe_logical, 4096u);
	cr_expect_eq(x[1].fe_physical, 1u << 20 | 8192);
	cr_expect_eq(x[1].fe_flags, FIEMAP_EXTENT_UNWRITTEN);
	cr_expect_eq(x[4].fe_flags, FIEMAP_EXTENT_LAST);
	x = map(0, UINT64_MAX, 2);
	cr_expect_eq(MAPPED, 2u);
	cr_expect(!(x[1].fe_flags & FIEMAP_EXTENT_LAST), "there are more");
	x = map(4096, 8192, 8);
	cr_expect_eq(MAPPED, 2u);
	cr_expect(!(x[1].fe_flags & FIEMAP_EXTENT_LAST));
	map(1 << 30, 5, 8);
	cr_expect_eq(MAPPED, 0u);
	/* More extents than there is room for is no promise of the caller. */
	cr_expect_eq(IOCTL(0, FS_IOC_FIEMAP, &m, sizeof m, sizeof m), -EINVAL);
	cr_expect_eq(IOCTL(0, FS_IOC_FIEMAP, &m, 8, 1000), -EINVAL);
	m.fm_length = 0;
	cr_expect_eq(IOCTL(0, FS_IOC_FIEMAP, &m, sizeof m, 1000), -EINVAL);
	m.fm_length = 1;
	m.fm_flags = FIEMAP_FLAG_XATTR;
	cr_expect_eq(IOCTL(0, FS_IOC_FIEMAP, &m, sizeof m, 1000), -EBADR);
	m.fm_flags = 0;
	m.fm_start = UINT64_MAX;
	cr_expect_eq(IOCTL(0, FS_IOC_FIEMAP, &m, sizeof m, 1000), -EFBIG);
	driver.fiemap = NULL;
	m.fm_start = 0;
	cr_expect_eq(IOCTL(0, FS_IOC_FIEMAP, &m, sizeof m, 1000), -EOPNOTSUPP);
}
