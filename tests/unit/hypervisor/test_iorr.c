// SPDX-License-Identifier: BSD-3-Clause
// links: @sched hypervisor/sched/iorr.c
/*
 * The IORR policy: turns of 10 ms, and those that waited for I/O go first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "sched_machine.h"

/* Who runs and who waits: is each turn 10 ms? */
static void test_turns(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		sched_wake(&t[i]);
	schedule();
	for (uint32_t i = 0; i < 30; i++) {
		const struct thread *first = current();

		assert_ptr_equal(first, &t[i % 3]);
		run(10 * MS - 1);
		assert_ptr_equal(current(), first);
		run(1);
		assert_ptr_not_equal(current(), first);
	}
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(ran[i], 100 * MS);
}

/* Does one that waits for I/O before its turn is over run as soon as it is woken? */
static void test_waited(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	run(2 * MS);
	sched_block();
	assert_ptr_equal(current(), &t[1]);
	run(30 * MS);
	preempts = 0;
	sched_wake(&t[0]);
	assert_int_equal(preempts, 1);
	schedule();
	assert_ptr_equal(current(), &t[0]);
}

/* One that wakes for ever anew must not keep the CPU from one that computes. */
static void test_frequent_waker(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	for (uint32_t i = 0; i < 2000; i++) {
		if (t[1].state == THREAD_BLOCKED)
			sched_wake(&t[1]);
		run(MS);
		if (current() == &t[1])
			sched_block();
	}
	assert_in_range(ran[0] / MS, 900, 1100);
}

/* One that was alone for long owes no more than one that comes then. */
static void test_after_long(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	run(10000 * MS);
	sched_wake(&t[1]);
	ran[0] = ran[1] = 0;
	run(1000 * MS);
	assert_in_range(ran[0] / MS, 480, 520);
	assert_in_range(ran[1] / MS, 480, 520);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_turns, sched_setup),
		cmocka_unit_test_setup(test_waited, sched_setup),
		cmocka_unit_test_setup(test_frequent_waker, sched_setup),
		cmocka_unit_test_setup(test_after_long, sched_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
