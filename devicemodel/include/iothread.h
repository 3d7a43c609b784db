// SPDX-License-Identifier: BSD-3-Clause
/* A thread that runs an event loop of its own, for devices that want one. */
#ifndef DM_IOTHREAD_H
#define DM_IOTHREAD_H

struct iothread;
struct mevent_loop;

/* With its loop, but not running yet. The name is not copied. NULL on error, logged. */
struct iothread *iothread_create(const char *name);
/* Callbacks are made from here on. A negative errno, logged. */
int iothread_start(struct iothread *thread);
struct mevent_loop *iothread_loop(struct iothread *thread);
/* Stops and joins the thread if it runs, deletes what is left in its loop. */
void iothread_destroy(struct iothread *thread);

#endif
