/*
 * all_ops_others.h - of all_ops.c: what leads to others, files outside of the
 * mounts and other clients.
 */
#ifndef RK_ALL_OPS_OTHERS_H
#define RK_ALL_OPS_OTHERS_H

static void leaving(void)
{
	char buf[64] = "";

	IS(CALL(symlinkat, "/etc/passwd", RK_AT_FDCWD, "out"), 0);
	IS(CALL(openat, RK_AT_FDCWD, "out", O_RDONLY, 0), -EXDEV);
	IS(CALL(resolve, RK_AT_FDCWD, "out", buf, sizeof buf, 0), 11);
	OK(!strcmp(buf, "/etc/passwd"));
	IS(CALL(resolve, RK_AT_FDCWD, "out", buf, sizeof buf,
		AT_SYMLINK_NOFOLLOW), 0);
	IS(CALL(resolve, RK_AT_FDCWD, "out/..", buf, 10, 0), -ERANGE);
	IS(CALL(resolve, RK_AT_FDCWD, "no/out", buf, sizeof buf, 0), -ENOENT);
	IS(CALL(unlinkat, RK_AT_FDCWD, "out", 0), 0);
}

/* Exactly once, whatever dies. */
static void checkpoints(void)
{
	char label[64];

	snprintf(label, sizeof label, "%d-%s", point, dir);
	IS(CALL(checkpoint, label), 0);
	IS(CALL(checkpoint, label), -EEXIST);
	IS(CALL(checkpoint, ".."), -EINVAL);
	IS(CALL(checkpoint, ""), -EINVAL);
	IS(CALL(checkpoint_delete, label), 0);
	IS(CALL(checkpoint_delete, label), -ENOENT);
}

static void handing_on(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "h", O_RDWR | O_CREAT,
				   0600), taken;
	struct rk_ticket first, second;

	IS(CALL(offer, fd, &first), 0);
	IS(CALL(offer, fd, &second), 0);
	OK(memcmp(&first, &second, sizeof first) != 0);
	IS(CALL(write, fd, "0123", 4), 4);
	IS(CALL(close, fd), 0);
	IS(CALL(take, first.word[0], first.word[1], O_APPEND), -EINVAL);
	taken = (int32_t)CALL(take, first.word[0], first.word[1], O_CLOEXEC);
	OK(taken >= 0);
	IS(CALL(fcntl, taken, F_GETFD, 0), FD_CLOEXEC);
	IS(CALL(lseek, taken, 0, SEEK_CUR), 4);
	IS(CALL(take, first.word[0], first.word[1], 0), -ENOENT);
	fd = (int32_t)CALL(take, second.word[0], second.word[1], 0);
	IS(CALL(lseek, fd, 1, SEEK_SET), 1);
	IS(CALL(lseek, taken, 0, SEEK_CUR), 1);
	IS(CALL(close, taken), 0);
	taken = (int32_t)CALL(reopen, fd, O_RDONLY);
	OK(taken >= 0);
	IS(CALL(write, taken, "x", 1), -EBADF);
	IS(CALL(lseek, taken, 0, SEEK_CUR), 0);
	IS(CALL(close, taken), 0);
	IS(CALL(close, fd), 0);
	IS(CALL(offer, fd, &first), -EBADF);
	IS(CALL(unlinkat, RK_AT_FDCWD, "h", 0), 0);
}

/* In a server of its own user, if it is one that tells pids. */
static void for_others(void)
{
	int32_t fd = (int32_t)CALL(openat, RK_AT_FDCWD, "o", O_RDWR | O_CREAT,
				   0600), its;
	struct rk_client *other;
	struct rk_flock lock;

	if (!getenv("RUMP_SOCKET") || mount)
		goto out;
	IS(rk_attach_child(c, (uint32_t)getppid(), &other), 0);
	its = (int32_t)rk_openat(other, RK_AT_FDCWD, "o", O_RDWR, 0);
	OK(its > fd);
	IS(rk_fcntl(other, fd, F_GETFD, 0), 0);
	IS(rk_setlk(other, its, F_WRLCK, 0, 0, SEEK_SET, 0), 0);
	IS(CALL(getlk, fd, &lock, F_WRLCK, 0, 0, SEEK_SET, 0), 0);
	IS(lock.type, F_WRLCK);
	IS(lock.pid, getppid());
	rk_detach(other);
out:
	IS(CALL(close, fd), 0);
	IS(CALL(unlinkat, RK_AT_FDCWD, "o", 0), 0);
}

#endif
