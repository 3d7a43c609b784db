// SPDX-License-Identifier: BSD-3-Clause
/* Reads, writes and flushes of a disk by the kernel's io_uring, for backend/block.c alone. */
#ifndef DM_BLOCK_URING_H
#define DM_BLOCK_URING_H

#include <stdbool.h>
#include <stdint.h>

struct block_req;
struct block_uring;

/* On the ring's own thread, once for each request taken: bytes that were moved, or negative errno.
 */
typedef void (*block_uring_fn)(void *arg, struct block_req *req, int result);

/* NULL, with a line in the log, if the kernel has none for us. */
struct block_uring *block_uring_create(const char *name, block_uring_fn fn, void *arg);
/* Nothing may be in flight. NULL is fine. */
void block_uring_destroy(struct block_uring *u);

/*
 * Begins it, on fd, whose byte base is the disk's first. False: it is none for the ring, or there
 * are as many in it as it holds. One caller at a time.
 */
bool block_uring_submit(struct block_uring *u, int fd, uint64_t base, struct block_req *req);

#endif
