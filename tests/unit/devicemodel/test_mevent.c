// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do callbacks come for what happened, on the loop's thread, and never after their event has
 * been deleted, whoever deletes it and when?
 */
// links: devicemodel/core/mevent.c devicemodel/core/iothread.c devicemodel/core/log.c
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "iothread.h"
#include "mevent.h"

static struct iothread *thread;
static struct mevent_loop *loop;

struct watcher {
	struct mevent *ev;
	int fd;
	atomic_uint calls, events;
	atomic_bool hold, inside;
	bool drain, suicide;
	pthread_t on;
};

static void fired(void *arg, unsigned int events)
{
	struct watcher *w = arg;
	char byte;

	atomic_store(&w->inside, true);
	w->on = pthread_self();
	atomic_fetch_or(&w->events, events);
	if (w->drain && (events & MEVENT_READ))
		assert_int_equal(read(w->fd, &byte, 1) >= 0, 1);
	while (atomic_load(&w->hold))
		usleep(100);
	atomic_fetch_add(&w->calls, 1U);
	if (w->suicide)
		mevent_delete(w->ev, true);
	atomic_store(&w->inside, false);
}

#define wait_for(condition)                                                                        \
	do {                                                                                       \
		for (int wait_i = 0; wait_i < 1000 && !(condition); wait_i++)                      \
			usleep(1000);                                                              \
		assert_true(condition);                                                            \
	} while (0)

static int setup(void **state)
{
	(void)state;
	thread = iothread_create("loop");
	assert_int_equal(iothread_start(thread), 0);
	loop = iothread_loop(thread);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iothread_destroy(thread);
	return 0;
}

/* Is a readable descriptor reported, on the other thread, with the events watched only? */
static void test_read(void **state)
{
	struct watcher w = {.drain = true};
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	w.fd = fds[0];
	w.ev = mevent_add(loop, fds[0], 0, fired, &w);
	assert_int_equal(write(fds[1], "a", 1), 1);
	usleep(10000);
	assert_int_equal(w.calls, 0);
	assert_int_equal(mevent_set(w.ev, MEVENT_READ), 0);
	wait_for(w.calls == 1);
	assert_int_equal(w.events, MEVENT_READ);
	assert_false(pthread_equal(w.on, pthread_self()));
	w.drain = false;
	close(fds[1]);
	wait_for(w.events & MEVENT_HANGUP);
	mevent_delete(w.ev, true);
}

/* What if a descriptor cannot be watched? */
static void test_refused(void **state)
{
	struct watcher w = {0};
	int file = open("/tmp", O_TMPFILE | O_RDWR, 0600);

	(void)state;
	assert_null(mevent_add(loop, file, MEVENT_READ, fired, &w));
	assert_null(mevent_add(loop, -1, MEVENT_READ, fired, &w));
	close(file);
}

/* Do timers come once, again and again, or no more? */
static void test_timer(void **state)
{
	struct watcher w = {0};
	unsigned int calls;

	(void)state;
	w.ev = mevent_add_timer(loop, fired, &w);
	usleep(5000);
	assert_int_equal(w.calls, 0);
	mevent_timer_set(w.ev, 1000000, 0);
	wait_for(w.calls == 1);
	usleep(5000);
	assert_int_equal(w.calls, 1);
	mevent_timer_set(w.ev, 1000000, 1000000);
	wait_for(w.calls >= 5);
	mevent_timer_set(w.ev, 0, 0);
	usleep(5000);
	calls = w.calls;
	usleep(5000);
	assert_int_equal(w.calls, calls);
	mevent_delete(w.ev, false);
}

/* What if an event deletes itself in its callback? */
static void test_suicide(void **state)
{
	struct watcher w = {.suicide = true};

	(void)state;
	w.ev = mevent_add_timer(loop, fired, &w);
	mevent_timer_set(w.ev, 1000000, 1000000);
	wait_for(w.calls == 1);
	usleep(5000);
	assert_int_equal(w.calls, 1);
}

static void *let_go(void *arg)
{
	struct watcher *w = arg;

	usleep(20000);
	atomic_store(&w->hold, false);
	return NULL;
}

/* What if another thread deletes an event whose callback is under way? */
static void test_delete_waits(void **state)
{
	struct watcher w = {.hold = true};
	pthread_t helper;

	(void)state;
	w.ev = mevent_add_timer(loop, fired, &w);
	mevent_timer_set(w.ev, 1000000, 1000000);
	wait_for(w.inside);
	pthread_create(&helper, NULL, let_go, &w);
	mevent_delete(w.ev, false);
	assert_false(w.inside);
	assert_int_equal(w.calls, 1);
	usleep(5000);
	assert_int_equal(w.calls, 1);
	pthread_join(helper, NULL);
}

/* What if hundreds of events fire, are deleted and made again at once? */
static void test_churn(void **state)
{
	static struct watcher w[64];

	(void)state;
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 64; i++) {
			atomic_store(&w[i].calls, 0);
			w[i].ev = mevent_add_timer(loop, fired, &w[i]);
			mevent_timer_set(w[i].ev, 1, 10000);
		}
		for (int i = 63; i >= 0; i--)
			mevent_delete(w[i].ev, false);
	}
	mevent_delete(NULL, true);
}

/* What if events are left when the loop ends, or it never ran? */
static void test_leftovers(void **state)
{
	struct mevent_loop *own = mevent_loop_create();
	struct watcher w = {0};

	(void)state;
	w.ev = mevent_add_timer(own, fired, &w);
	mevent_delete(w.ev, false);
	assert_non_null(mevent_add_timer(own, fired, &w));
	mevent_loop_stop(own);
	mevent_loop_run(own); /* stopped before it began: returns */
	mevent_loop_destroy(own);
	assert_non_null(mevent_add_timer(loop, fired, &w)); /* freed with the loop */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_suicide, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delete_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_churn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftovers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
