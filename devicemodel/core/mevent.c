// SPDX-License-Identifier: BSD-3-Clause
/*
 * Event loops over epoll. Devices add descriptors and timers from any thread;
 * callbacks run on the loop's thread without a lock held.
 *
 * loop->lock covers the list of events and each event's state. An event that
 * epoll may still report is never freed: mevent_delete() takes it out of epoll,
 * marks it dead and leaves it on the list; the loop frees the dead ones between
 * two calls of epoll_wait(), when no report of them can be left.
 */
#include "mevent.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "log.h"

#define BATCH 16

struct mevent {
	struct mevent_loop *loop;
	struct mevent *next;
	int fd;
	bool timer;
	bool dead;
	bool close_fd;
	mevent_fn fn;
	void *arg;
};

struct mevent_loop {
	pthread_mutex_t lock;
	pthread_cond_t idle; /* running changed */
	int epoll_fd;
	int wake_fd;
	struct mevent *events;
	const struct mevent *running;
	pthread_t thread;
	bool in_run;
	bool stop;
};

struct mevent_loop *mevent_loop_create(void)
{
	struct mevent_loop *loop = calloc(1, sizeof(*loop));
	struct epoll_event ev = {.events = EPOLLIN};

	if (!loop)
		return NULL;
	pthread_mutex_init(&loop->lock, NULL);
	pthread_cond_init(&loop->idle, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
	    epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &ev) < 0) {
		log_err("cannot create an event loop: %s", strerror(errno));
		mevent_loop_destroy(loop);
		return NULL;
	}
	return loop;
}

static void wake(struct mevent_loop *loop)
{
	const uint64_t one = 1;

	/* EAGAIN: the counter is full, so the loop is awake already. */
	if (write(loop->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void release(struct mevent *ev)
{
	if (ev->close_fd)
		close(ev->fd);
	free(ev);
}

static void free_dead(struct mevent_loop *loop)
{
	struct mevent **link = &loop->events;

	while (*link) {
		struct mevent *ev = *link;

		if (ev->dead) {
			*link = ev->next;
			release(ev);
		} else {
			link = &ev->next;
		}
	}
}

void mevent_loop_destroy(struct mevent_loop *loop)
{
	if (!loop)
		return;
	while (loop->events) {
		struct mevent *ev = loop->events;

		loop->events = ev->next;
		release(ev);
	}
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	if (loop->wake_fd >= 0)
		close(loop->wake_fd);
	pthread_cond_destroy(&loop->idle);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}

static void dispatch(struct mevent_loop *loop, struct mevent *ev, uint32_t epoll_events)
{
	unsigned int events = 0;
	uint64_t expirations;

	pthread_mutex_lock(&loop->lock);
	if (ev->dead) {
		pthread_mutex_unlock(&loop->lock);
		return;
	}
	loop->running = ev;
	pthread_mutex_unlock(&loop->lock);

	if (epoll_events & EPOLLIN)
		events |= MEVENT_READ;
	if (epoll_events & EPOLLOUT)
		events |= MEVENT_WRITE;
	if (epoll_events & (EPOLLHUP | EPOLLERR | EPOLLRDHUP))
		events |= MEVENT_HANGUP;
	/* A timer that was disarmed after it was reported has nothing to read. */
	if (!ev->timer || read(ev->fd, &expirations, sizeof(expirations)) > 0)
		ev->fn(ev->arg, events);

	pthread_mutex_lock(&loop->lock);
	loop->running = NULL;
	pthread_cond_broadcast(&loop->idle);
	pthread_mutex_unlock(&loop->lock);
}

void mevent_loop_run(struct mevent_loop *loop)
{
	struct epoll_event batch[BATCH];
	bool stop;

	pthread_mutex_lock(&loop->lock);
	loop->thread = pthread_self();
	loop->in_run = true;
	stop = loop->stop;
	pthread_mutex_unlock(&loop->lock);

	while (!stop) {
		int n = epoll_wait(loop->epoll_fd, batch, BATCH, -1);

		for (int i = 0; i < n; i++) {
			uint64_t count;

			if (batch[i].data.ptr)
				dispatch(loop, batch[i].data.ptr, batch[i].events);
			else if (read(loop->wake_fd, &count, sizeof(count)) < 0)
				continue;
		}
		pthread_mutex_lock(&loop->lock);
		free_dead(loop);
		stop = loop->stop;
		pthread_mutex_unlock(&loop->lock);
	}
	pthread_mutex_lock(&loop->lock);
	loop->in_run = false;
	pthread_mutex_unlock(&loop->lock);
}

void mevent_loop_stop(struct mevent_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	loop->stop = true;
	pthread_mutex_unlock(&loop->lock);
	wake(loop);
}

static uint32_t to_epoll(unsigned int events)
{
	return (events & MEVENT_READ ? (uint32_t)EPOLLIN : 0U) |
	       (events & MEVENT_WRITE ? (uint32_t)EPOLLOUT : 0U);
}

static struct mevent *add(struct mevent_loop *loop, int fd, unsigned int events, bool timer,
			  mevent_fn fn, void *arg)
{
	struct mevent *ev = calloc(1, sizeof(*ev));
	struct epoll_event what = {.events = to_epoll(events)};

	if (!ev)
		return NULL;
	ev->loop = loop;
	ev->fd = fd;
	ev->timer = timer;
	ev->fn = fn;
	ev->arg = arg;
	what.data.ptr = ev;

	pthread_mutex_lock(&loop->lock);
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &what) < 0) {
		log_err("cannot watch descriptor %d: %s", fd, strerror(errno));
		free(ev);
		ev = NULL;
	} else {
		ev->next = loop->events;
		loop->events = ev;
	}
	pthread_mutex_unlock(&loop->lock);
	return ev;
}

struct mevent *mevent_add(struct mevent_loop *loop, int fd, unsigned int events, mevent_fn fn,
			  void *arg)
{
	return add(loop, fd, events, false, fn, arg);
}

int mevent_set(struct mevent *ev, unsigned int events)
{
	struct epoll_event what = {.events = to_epoll(events), .data.ptr = ev};

	return epoll_ctl(ev->loop->epoll_fd, EPOLL_CTL_MOD, ev->fd, &what) < 0 ? -errno : 0;
}

void mevent_mute(struct mevent *ev)
{
	epoll_ctl(ev->loop->epoll_fd, EPOLL_CTL_DEL, ev->fd, NULL);
}

struct mevent *mevent_add_timer(struct mevent_loop *loop, mevent_fn fn, void *arg)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct mevent *ev;

	if (fd < 0) {
		log_err("cannot create a timer: %s", strerror(errno));
		return NULL;
	}
	ev = add(loop, fd, MEVENT_READ, true, fn, arg);
	if (!ev)
		close(fd);
	else
		ev->close_fd = true;
	return ev;
}

static struct timespec to_timespec(uint64_t ns)
{
	return (struct timespec) {.tv_sec = (time_t)(ns / 1000000000U),
				  .tv_nsec = (long)(ns % 1000000000U)};
}

int mevent_timer_set(struct mevent *ev, uint64_t first_ns, uint64_t interval_ns)
{
	const struct itimerspec when = {
		.it_value = to_timespec(first_ns),
		.it_interval = to_timespec(interval_ns),
	};

	return timerfd_settime(ev->fd, 0, &when, NULL) < 0 ? -errno : 0;
}

void mevent_delete(struct mevent *ev, bool close_fd)
{
	struct mevent_loop *loop;
	bool own_thread;

	if (!ev)
		return;
	loop = ev->loop;
	pthread_mutex_lock(&loop->lock);
	own_thread = loop->in_run && pthread_equal(loop->thread, pthread_self());
	epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, ev->fd, NULL);
	if (close_fd)
		ev->close_fd = true;
	while (!own_thread && loop->running == ev)
		pthread_cond_wait(&loop->idle, &loop->lock);
	ev->dead = true;
	if (!loop->in_run)
		free_dead(loop);
	pthread_mutex_unlock(&loop->lock);
	wake(loop);
}
