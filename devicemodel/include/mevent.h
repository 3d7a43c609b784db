// SPDX-License-Identifier: BSD-3-Clause
/*
 * Event loops over epoll: descriptors and timers. A loop belongs to one thread
 * (the main one: vm->loop; others: iothread.h); events may be added, changed
 * and deleted from any thread. Callbacks run on the loop's thread, one at a
 * time.
 */
#ifndef DM_MEVENT_H
#define DM_MEVENT_H

#include <stdbool.h>
#include <stdint.h>

struct mevent;
struct mevent_loop;

/* Bits of events. MEVENT_HANGUP is always watched. */
#define MEVENT_READ   1U
#define MEVENT_WRITE  2U
#define MEVENT_HANGUP 4U

typedef void (*mevent_fn)(void *arg, unsigned int events);

struct mevent_loop *mevent_loop_create(void);
/* The loop must have stopped; events left in it are deleted. */
void mevent_loop_destroy(struct mevent_loop *loop);
/* Dispatch until mevent_loop_stop(). */
void mevent_loop_run(struct mevent_loop *loop);
/* Any thread; run() returns after the callback that is under way. */
void mevent_loop_stop(struct mevent_loop *loop);

/*
 * Watch fd, level-triggered. events may be 0 (watch later). NULL, with a line
 * in the log, when the system refuses (a plain file cannot be polled).
 */
struct mevent *mevent_add(struct mevent_loop *loop, int fd, unsigned int events, mevent_fn fn,
			  void *arg);
int mevent_set(struct mevent *ev, unsigned int events);
/* Nothing more is heard of a descriptor that hung up, which else is told again and again. */
void mevent_mute(struct mevent *ev);

/* A timer on CLOCK_MONOTONIC, disarmed. */
struct mevent *mevent_add_timer(struct mevent_loop *loop, mevent_fn fn, void *arg);
/* First expiry after first_ns, then each interval_ns; 0, 0 disarms; interval 0 is one-shot. */
int mevent_timer_set(struct mevent *ev, uint64_t first_ns, uint64_t interval_ns);

/*
 * Delete an event. Called from another thread it waits for a callback of the
 * event that is under way; afterwards none runs. fd is closed if close_fd
 * (a timer's always), not before the loop can no longer report it.
 */
void mevent_delete(struct mevent *ev, bool close_fd);

#endif
