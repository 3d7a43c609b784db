// SPDX-License-Identifier: BSD-3-Clause
/*
 * Split virtqueues as seen by the device (virtio 1.2, section 2.7).
 *
 * Addresses named _gpa are guest-physical; iovecs and pointers are host-virtual and stay valid
 * for the life of the VM. Lengths are bytes. A guest that breaks the rules of the ring gets its
 * device marked DEVICE_NEEDS_RESET; the functions below then behave as if the ring were empty.
 */
#ifndef DM_QUEUE_H
#define DM_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "chain.h"

struct vm;
struct virtio_dev;
struct ring_avail;
struct ring_used;

struct queue {
	struct virtio_dev *dev;
	struct vm *vm;
	uint16_t index; /* which queue of the device */
	uint16_t max;	/* largest size offered, a power of two */

	/* What the driver programmed; frozen while live. */
	uint16_t size;
	_Atomic uint16_t vector; /* MSI-X vector, or VIRTIO_MSI_NO_VECTOR */
	uint64_t desc_gpa, avail_gpa, used_gpa;

	/* Set by queue_enable(). */
	_Atomic bool live;
	bool event_idx, indirect;
	const void *desc;
	struct ring_avail *avail;
	struct ring_used *used;

	/* The side that takes: one thread at a time, the device sees to it. */
	uint16_t next_avail; /* free-running index of the next entry to take */
	uint16_t seen_avail; /* avail->idx when it was last looked at */

	/* The side that gives back: under this lock. */
	pthread_mutex_t lock;
	_Atomic uint16_t next_used; /* free-running; pop reads it to count what is in flight */
	uint16_t told_used;	    /* next_used when the driver was last considered for a call */
};

void queue_init(struct queue *q, struct virtio_dev *dev, struct vm *vm, uint16_t index,
		uint16_t max);
void queue_fini(struct queue *q);

/*
 * Resolve and check the ring; the driver's indices start at 0 (2.7.6, 2.7.8).
 * -EINVAL: size or alignment; -EFAULT: not in guest memory; -EBUSY: live already.
 */
int queue_enable(struct queue *q, bool event_idx, bool indirect);

/*
 * The end of a ring, in two steps. After queue_stop() pushes are dropped and pops find nothing,
 * but one that is under way in another thread may finish; queue_reset() forgets the ring and
 * goes back to power-on values, when the device has seen to it that nobody takes from it.
 */
void queue_stop(struct queue *q);
void queue_reset(struct queue *q);

/*
 * Is there a request to take? When true, fewer than q->size are in flight, and what their
 * queue_push() published is visible to the caller.
 */
bool queue_ready(struct queue *q);

/*
 * Take the next request; @iov has room for @max entries, at least one.
 * 1: taken, and the caller owes one queue_push(); 0: ring empty; -EIO: ring broken.
 * One thread at a time.
 */
int queue_pop(struct queue *q, struct chain *c, struct iovec *iov, uint16_t max);

/*
 * Around a loop of queue_pop(): ask the driver not to notify, and to notify again.
 * queue_rearm() is true when requests came in between: pop again.
 */
void queue_quiet(struct queue *q);
bool queue_rearm(struct queue *q);

/* The last @n requests were not taken, and none of them is given back. As queue_pop(). */
void queue_untake(struct queue *q, unsigned int n);

/* A request that was served: @len bytes were written to its buffers. */
struct queue_used {
	uint16_t head;
	uint32_t len;
};

/* Give a request back. Any thread. */
void queue_push(struct queue *q, uint16_t head, uint32_t len);
/* Give @n back, of which the driver sees all or none. Any thread. */
void queue_push_all(struct queue *q, const struct queue_used *used, unsigned int n);

/* Interrupt the driver, if it wants to hear of what was pushed since the last call. Any thread. */
void queue_notify(struct queue *q);

/* The guest broke the rules: its device needs a reset; @why goes to the log. Any thread. */
void queue_break(struct queue *q, const char *why);

#endif
