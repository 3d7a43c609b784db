// SPDX-License-Identifier: BSD-3-Clause
/*
 * Block backend: a file or block device of the Service VM as a disk of 512-byte sectors.
 * Offsets and lengths are bytes; buffers are host-virtual.
 */
#ifndef DM_BLOCK_H
#define DM_BLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/uio.h>

#include "iothread.h"

#define BLOCK_SECTOR 512U

struct block;

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH, BLOCK_DISCARD };

struct block_range {
	uint64_t offset, len;
};

/* Filled in by the caller, who leaves it alone until it is done. */
struct block_req {
	enum block_op op;
	bool durable;	   /* of a write: on stable storage before it is done */
	struct iovec *iov; /* consumed */
	unsigned int iovcnt;
	uint64_t offset, len;		  /* inside the disk */
	const struct block_range *ranges; /* of a discard, in place of iov, offset and len */
	unsigned int range_count;
	/* On a worker's thread, only after block_submit() returned -EINPROGRESS. */
	void (*done)(struct block_req *req, int err);
	STAILQ_ENTRY(block_req) link; /* the backend's */
};

struct block_info {
	uint64_t size;		    /* a multiple of BLOCK_SECTOR; 0: nothing is in it yet */
	uint32_t logical, physical; /* sector sizes, powers of two */
	/* What one discard may be; in BLOCK_SECTORs, and 0 of them: the user allows none. */
	uint32_t discard_sectors, discard_segments, discard_align;
	/* What the user wants of the device in front. */
	uint16_t queues;
	struct iothread_set threads;
	bool read_only;
	bool writeback;	 /* the user allows a volatile write cache */
	char serial[21]; /* made from the path, so that it stays the same */
};

/*
 * Open what "path[,option...]" describes; @name is the device's, for the log. Errors are logged
 * and returned as negative errno: -EINVAL a bad option, -EBUSY the image is in use.
 */
int block_open(struct block **out, const char *name, const char *config);

/*
 * @path is what an empty disk ("nodisk") is to have from now on, or the file it has, which has
 * grown: block_info's size follows. What the guest has been told stays true, so it is never another
 * file (-EEXIST), nor less (-ERANGE), nor read-only where it was not (-EROFS); else the errors of
 * block_open(). No block_submit() meanwhile.
 */
int block_rescan(struct block *b, const char *path);

/* Nothing may be in flight: block_drain() first. */
void block_close(struct block *b);

const struct block_info *block_info(const struct block *b);

/*
 * 0: done already, @done will not be called; -EINPROGRESS: it will be, from another thread;
 * any other error: failed already. Any thread.
 */
int block_submit(struct block *b, struct block_req *req);

/*
 * Cancel what no worker has begun (its done() gets -ECANCELED, on this thread) and wait for the
 * rest. After it nothing is in flight. No block_submit() meanwhile.
 */
void block_drain(struct block *b);

#endif
