// SPDX-License-Identifier: BSD-3-Clause
/*
 * A ring of the kernel's (io_uring) for one disk, and the thread that waits for what is done.
 * backend/block.c calls it, with its lock held where it submits. A request is one entry, and never
 * are more in flight than there is room for completions, so none is held back or lost. It looks at
 * no result and takes no lock.
 */
#include "block_uring.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <liburing.h>

#include "block.h"
#include "log.h"

#define ENTRIES 256U /* four full virtqueues; what is more waits for a thread */

struct block_uring {
	struct io_uring ring;
	pthread_t thread;
	atomic_uint in_flight;
	block_uring_fn fn;
	void *arg;
};

static void *reap(void *arg)
{
	struct block_uring *u = arg;

	for (;;) {
		struct io_uring_cqe *cqe;
		struct block_req *req;
		int result;

		if (io_uring_wait_cqe(&u->ring, &cqe) < 0)
			continue; /* a signal; all else would be our fault */
		req = io_uring_cqe_get_data(cqe);
		result = cqe->res;
		io_uring_cqe_seen(&u->ring, cqe);
		if (!req)
			return NULL;
		atomic_fetch_sub(&u->in_flight, 1U);
		u->fn(u->arg, req, result);
	}
}

struct block_uring *block_uring_create(const char *name, block_uring_fn fn, void *arg)
{
	struct block_uring *u = calloc(1, sizeof(*u));
	sigset_t all, old;
	int err;

	if (!u)
		return NULL;
	u->fn = fn;
	u->arg = arg;
	err = io_uring_queue_init(ENTRIES, &u->ring, 0);
	if (!err) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		err = -pthread_create(&u->thread, NULL, reap, u);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		if (err)
			io_uring_queue_exit(&u->ring);
	}
	if (err) {
		log_notice("%s: no io_uring (%s); threads do the I/O", name, strerror(-err));
		free(u);
		return NULL;
	}
	return u;
}

/* An entry that is filled in goes to the kernel sooner or later; memory may be short for a moment.
 */
static void hand_in(struct block_uring *u)
{
	while (io_uring_submit(&u->ring) < 0)
		;
}

void block_uring_destroy(struct block_uring *u)
{
	struct io_uring_sqe *sqe;

	if (!u)
		return;
	sqe = io_uring_get_sqe(&u->ring); /* nothing is in flight: there is one */
	io_uring_prep_nop(sqe);
	io_uring_sqe_set_data(sqe, NULL);
	hand_in(u);
	pthread_join(u->thread, NULL);
	io_uring_queue_exit(&u->ring);
	free(u);
}

bool block_uring_submit(struct block_uring *u, int fd, uint64_t base, struct block_req *req)
{
	struct io_uring_sqe *sqe;

	if (req->op > BLOCK_FLUSH || atomic_load(&u->in_flight) == ENTRIES)
		return false;
	sqe = io_uring_get_sqe(&u->ring);
	if (!sqe)
		return false;
	if (req->op == BLOCK_READ)
		io_uring_prep_readv2(sqe, fd, req->iov, req->iovcnt, base + req->offset, 0);
	else if (req->op == BLOCK_WRITE)
		io_uring_prep_writev2(sqe, fd, req->iov, req->iovcnt, base + req->offset,
				      req->durable ? RWF_DSYNC : 0);
	else
		io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, req);
	atomic_fetch_add(&u->in_flight, 1U);
	hand_in(u);
	return true;
}
