// SPDX-License-Identifier: BSD-3-Clause
/*
 * Threads that run an event loop: the main loop's own, and those that devices
 * ask for. Created and destroyed by the thread that starts and ends the VM.
 */
#include "iothread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "log.h"
#include "mevent.h"

struct iothread {
	const char *name;
	pthread_t thread;
	bool started;
	struct mevent_loop *loop;
};

static void *main_of_thread(void *arg)
{
	struct iothread *thread = arg;

	/* Of the name the kernel takes what it has room for. */
	(void)prctl(PR_SET_NAME, thread->name);
	mevent_loop_run(thread->loop);
	return NULL;
}

struct iothread *iothread_create(const char *name)
{
	struct iothread *thread = calloc(1, sizeof(*thread));

	if (!thread)
		return NULL;
	thread->name = name;
	thread->loop = mevent_loop_create();
	if (!thread->loop) {
		free(thread);
		return NULL;
	}
	return thread;
}

/* Signals are for the threads that wait for them (ioreq.c, main.c). */
int iothread_start(struct iothread *thread)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&thread->thread, NULL, main_of_thread, thread);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		log_err("cannot create thread %s: %s", thread->name, strerror(err));
	thread->started = !err;
	return -err;
}

void iothread_pin(struct iothread *thread, uint64_t cpus)
{
	cpu_set_t set;
	int err;

	CPU_ZERO(&set);
	for (unsigned int i = 0; i < 64; i++) {
		if ((cpus >> i & 1) != 0)
			CPU_SET(i, &set);
	}
	err = pthread_setaffinity_np(thread->thread, sizeof(set), &set);
	if (err)
		log_warn("thread %s runs on any CPU, not on those of mask 0x%llx: %s", thread->name,
			 (unsigned long long)cpus, strerror(err));
}

struct mevent_loop *iothread_loop(struct iothread *thread)
{
	return thread->loop;
}

void iothread_destroy(struct iothread *thread)
{
	if (!thread)
		return;
	mevent_loop_stop(thread->loop);
	if (thread->started)
		pthread_join(thread->thread, NULL);
	mevent_loop_destroy(thread->loop);
	free(thread);
}
