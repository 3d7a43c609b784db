// SPDX-License-Identifier: BSD-3-Clause
/* See fake_io.h. These definitions stand before the C library's for the whole test program. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fake_io.h"

struct fake_io fake_io;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool shut;
static unsigned int waiting;

void fake_io_gate(bool s)
{
	pthread_mutex_lock(&lock);
	shut = s;
	pthread_cond_broadcast(&opened);
	pthread_mutex_unlock(&lock);
}

unsigned int fake_io_waiting(void)
{
	unsigned int n;

	pthread_mutex_lock(&lock);
	n = waiting;
	pthread_mutex_unlock(&lock);
	return n;
}

void fake_io_reset(void)
{
	fake_io_gate(false);
	memset(&fake_io, 0, sizeof(fake_io));
}

static int before(int flags, int error)
{
	if ((flags & RWF_NOWAIT) != 0) {
		atomic_fetch_add(&fake_io.nowaits, 1);
		errno = atomic_load(&fake_io.nowait_errno);
		return errno != 0 ? -1 : 0;
	}
	pthread_mutex_lock(&lock);
	waiting++;
	while (shut)
		pthread_cond_wait(&opened, &lock);
	waiting--;
	pthread_mutex_unlock(&lock);
	if (atomic_load(&fake_io.interrupts) != 0) {
		atomic_fetch_sub(&fake_io.interrupts, 1);
		errno = EINTR;
		return -1;
	}
	errno = error;
	return error != 0 ? -1 : 0;
}

static ssize_t transfer(long call, int fd, const struct iovec *iov, int iovcnt, off_t offset,
			int flags)
{
	unsigned int chunk = atomic_load(&fake_io.chunk);
	struct iovec first = iov[0];

	if (chunk != 0) {
		first.iov_len = first.iov_len < chunk ? first.iov_len : chunk;
		iov = &first;
		iovcnt = 1;
	}
	return syscall(call, fd, iov, iovcnt, offset, 0L, flags);
}

ssize_t preadv2(int fd, const struct iovec *iov, int iovcnt, off_t offset, int flags)
{
	atomic_store(&fake_io.last_flags, flags);
	if (before(flags, atomic_load(&fake_io.read_errno)) < 0)
		return -1;
	atomic_fetch_add(&fake_io.reads, 1);
	return transfer(SYS_preadv2, fd, iov, iovcnt, offset, flags);
}

ssize_t pwritev2(int fd, const struct iovec *iov, int iovcnt, off_t offset, int flags)
{
	atomic_store(&fake_io.last_flags, flags);
	if (before(flags, atomic_load(&fake_io.write_errno)) < 0)
		return -1;
	atomic_fetch_add(&fake_io.writes, 1);
	return transfer(SYS_pwritev2, fd, iov, iovcnt, offset, flags);
}

int fdatasync(int fd)
{
	if (before(0, atomic_load(&fake_io.sync_errno)) < 0)
		return -1;
	atomic_fetch_add(&fake_io.syncs, 1);
	return (int)syscall(SYS_fdatasync, fd);
}
