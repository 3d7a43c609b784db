// SPDX-License-Identifier: BSD-3-Clause
// links: @sched hypervisor/sched/bvt.c
/*
 * Fairness of the BVT policy: threads that always want the CPU, threads that sleep, weights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv/vm_config.h"
#include "sched_machine.h"

/* Do equal weights get equal time? */
static void test_equal(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		sched_wake(&t[i]);
	schedule();
	run(3000 * MS);
	for (uint32_t i = 0; i < 3; i++)
		assert_in_range(ran[i] / MS, 990, 1010);
}

/* Does weight 3 get three times what weight 1 gets? */
static void test_weights(void **state)
{
	(void)state;
	sched_set_rank(&t[0], 3);
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	run(4000 * MS);
	assert_in_range(ran[0] / MS, 2900, 3100);
	assert_in_range(ran[1] / MS, 900, 1100);
}

/* What if a weight changes while threads run and wait? What they ran before counts as it was. */
static void test_new_weight(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	run(1000 * MS);
	sched_set_rank(&t[0], 4);
	sched_set_rank(&t[1], 1);
	ran[0] = ran[1] = 0;
	run(1000 * MS);
	assert_in_range(ran[0] / MS, 780, 820);
	sched_set_rank(&t[0], 1);
	ran[0] = ran[1] = 0;
	run(1000 * MS);
	assert_in_range(ran[0] / MS, 480, 520);
}

/* Weights out of 1..128 must neither divide by zero nor stop time. */
static void test_wild_weights(void **state)
{
	(void)state;
	t[0].rank = 0;
	t[1].rank = UINT32_MAX;
	for (uint32_t i = 0; i < 2; i++)
		thread_init(&t[i], &pcpus[0], &stacks[i][64], NULL, NULL);
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	run(2000 * MS);
	assert_true(ran[0] > 0);
	assert_true(ran[1] > ran[0]);
}

/* One that slept long: served at once when it wakes, but not with a year of saved-up time? */
static void test_sleeper(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	run(10000 * MS);
	sched_wake(&t[1]);
	assert_int_equal(preempts, 1);
	schedule();
	assert_ptr_equal(current(), &t[1]);
	ran[1] = ran[0] = 0;
	run(1000 * MS);
	assert_in_range(ran[0] / MS, 450, 550);
	assert_in_range(ran[1] / MS, 450, 550);
}

/* What if the CPU that wakes has a TSC a little behind? No time has passed then, not a century. */
static void test_slow_waker(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		sched_set_rank(&t[i], 64);
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	run(10 * MS);
	fake_cpu = 1;
	fake_tsc -= 5;
	sched_wake(&t[2]);
	fake_cpu = 0;
	sched_kicked();
	memset(ran, 0, sizeof(ran));
	run(3000 * MS);
	for (uint32_t i = 0; i < 3; i++)
		assert_in_range(ran[i] / MS, 980, 1020);
}

/* The same for one whose VM was paused as it wanted to run. */
static void test_thawed(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	sched_stop(&t[1]);
	run(10000 * MS);
	sched_thaw(&t[1]);
	ran[1] = ran[0] = 0;
	run(1000 * MS);
	assert_in_range(ran[0] / MS, 450, 550);
	assert_in_range(ran[1] / MS, 450, 550);
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

/* A yield lets any other go first, however much time it has had, and costs only that turn. */
static void test_yield(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	sched_yield_cpu();
	assert_ptr_equal(current(), &t[0]);
	t[1].order = 1L << 40;
	sched_wake(&t[1]);
	sched_yield_cpu();
	assert_ptr_equal(current(), &t[1]);
	sched_yield_cpu();
	assert_ptr_equal(current(), &t[0]);
}

/* By what does a VM share: its weight, and 1 if the scenario does not know it? */
static void test_rank(void **state)
{
	const struct vm_config c = {.bvt_weight = 7, .priority = PRIO_HIGH};

	(void)state;
	assert_int_equal(sched_policy.rank(&c), 7);
	assert_int_equal(sched_policy.rank(NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_equal, sched_setup),
		cmocka_unit_test_setup(test_weights, sched_setup),
		cmocka_unit_test_setup(test_new_weight, sched_setup),
		cmocka_unit_test_setup(test_wild_weights, sched_setup),
		cmocka_unit_test_setup(test_sleeper, sched_setup),
		cmocka_unit_test_setup(test_slow_waker, sched_setup),
		cmocka_unit_test_setup(test_thawed, sched_setup),
		cmocka_unit_test_setup(test_frequent_waker, sched_setup),
		cmocka_unit_test_setup(test_yield, sched_setup),
		cmocka_unit_test_setup(test_rank, sched_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
