// SPDX-License-Identifier: BSD-3-Clause
/* A thread that runs an event loop of its own, for devices that want one. */
#ifndef DM_IOTHREAD_H
#define DM_IOTHREAD_H

#include <stdint.h>

#define IOTHREADS_MAX 16U

/* What a device's user asks for: how many threads, and the Service VM's CPUs (0 to 63) of each. */
struct iothread_set {
	unsigned int count;
	uint64_t cpus[IOTHREADS_MAX]; /* 0: any */
};

struct iothread;
struct mevent_loop;

/* With its loop, but not running yet. The name is not copied. NULL on error, logged. */
struct iothread *iothread_create(const char *name);
/* Callbacks are made from here on. A negative errno, logged. */
int iothread_start(struct iothread *thread);
/* It runs on these CPUs from here on; a warning in the log if it cannot, and no harm. */
void iothread_pin(struct iothread *thread, uint64_t cpus);
struct mevent_loop *iothread_loop(struct iothread *thread);
/* Stops and joins the thread if it runs, deletes what is left in its loop. */
void iothread_destroy(struct iothread *thread);

#endif
