// SPDX-License-Identifier: BSD-3-Clause
/*
 * Doorbells of a virtio device that are not the I/O request thread's: the HSM
 * signals an eventfd for each queue, and threads of the device's own do the
 * work. For devices whose kick() allows that (virtio_ops.any_thread), where the
 * HSM does it without stopping the vCPU that rings (rings.h) or the device's
 * user asks for threads. All but what says so: I/O request thread.
 */
#ifndef DM_DOORBELL_H
#define DM_DOORBELL_H

#include <stdbool.h>
#include <stdint.h>

struct doorbells;
struct virtio_dev;

/* Bytes from a queue's doorbell to the next one's. */
#define DOORBELL_STRIDE 4U

/* NULL: the device's doorbells are served by the I/O request thread. */
struct doorbells *doorbells_create(struct virtio_dev *dev);
void doorbells_destroy(struct doorbells *d);

/* The driver is ready, and queues are kicked by the thread from here on; and no more. */
void doorbells_open(struct doorbells *d);
void doorbells_close(struct doorbells *d);

/* The first doorbell is at this port now; 0: they cannot be reached. */
void doorbells_move(struct doorbells *d, uint16_t port);

/* A doorbell came as an ordinary request. False: it is the caller's. */
bool doorbells_ring(struct doorbells *d, unsigned int queue);

/* While it is held no queue is kicked. */
void doorbells_hold(struct doorbells *d);
void doorbells_go_on(struct doorbells *d);

#endif
