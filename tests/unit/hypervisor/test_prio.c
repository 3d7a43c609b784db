// SPDX-License-Identifier: BSD-3-Clause
// links: @sched hypervisor/sched/prio.c
/*
 * The PRIO policy: who is higher runs, equals share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "hv/vm_config.h"
#include "sched_machine.h"

static int setup(void **state)
{
	(void)sched_setup(state);
	sched_set_rank(&t[0], PRIO_LOW);
	sched_set_rank(&t[1], PRIO_LOW);
	sched_set_rank(&t[2], PRIO_HIGH);
	return 0;
}

/* Does a high one take the CPU at once, and keep it for as long as it wants? */
static void test_high_first(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	sched_wake(&t[2]);
	assert_int_equal(preempts, 1);
	schedule();
	assert_ptr_equal(current(), &t[2]);
	sched_wake(&t[1]);
	ran[2] = 0;
	run(1000 * MS);
	assert_int_equal(ran[2], 1000 * MS);
	sched_yield_cpu();
	assert_ptr_equal(current(), &t[2]);
	sched_block();
	assert_ptr_not_equal(current(), &t[2]);
}

/* Equals take turns, so that one that spins does not keep the other out. */
static void test_equals(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	run(1000 * MS);
	assert_in_range(ran[0] / MS, 490, 510);
	assert_in_range(ran[1] / MS, 490, 510);
	sched_yield_cpu();
	assert_int_equal(t[0].state == THREAD_RUNNING ? t[1].state : t[0].state, THREAD_RUNNABLE);
}

/* What if an equal is woken from another CPU? It waits for its turn, which begins with the kick. */
static void test_equal_from_elsewhere(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	fake_cpu = 1;
	sched_wake(&t[1]);
	assert_int_equal(kicks, 1);
	fake_cpu = 0;
	sched_kicked();
	run(9 * MS);
	assert_ptr_equal(current(), &t[0]);
	run(2 * MS);
	assert_ptr_equal(current(), &t[1]);
}

/* What if the priority of one that waits is raised, and that of one that runs lowered? */
static void test_new_priority(void **state)
{
	(void)state;
	sched_wake(&t[2]);
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	assert_ptr_equal(current(), &t[2]);
	preempts = 0;
	sched_set_rank(&t[1], PRIO_HIGH + 1);
	assert_int_equal(preempts, 1);
	schedule();
	assert_ptr_equal(current(), &t[1]);
	sched_set_rank(&t[1], PRIO_LOW);
	assert_int_equal(preempts, 2);
	schedule();
	assert_ptr_equal(current(), &t[2]);
	sched_set_rank(&t[0], PRIO_LOW); /* no news */
	assert_int_equal(preempts, 2);
	assert_int_equal(pcpus[0].rq.nr_runnable, 2);
}

/* The rank of one that sleeps or is frozen: it must not get into the queue by that. */
static void test_new_priority_of_sleeper(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	sched_set_rank(&t[1], PRIO_HIGH);
	sched_wake(&t[2]);
	sched_stop(&t[2]);
	sched_set_rank(&t[2], PRIO_HIGH);
	assert_int_equal(pcpus[0].rq.nr_runnable, 0);
	sched_wake(&t[1]);
	schedule();
	assert_ptr_equal(current(), &t[1]);
	sched_thaw(&t[2]);
	assert_int_equal(pcpus[0].rq.nr_runnable, 2);
}

/* And that of one on another CPU: is that CPU told? */
static void test_new_priority_elsewhere(void **state)
{
	(void)state;
	thread_deinit(&t[2]);
	thread_init(&t[2], &pcpus[1], &stacks[2][64], NULL, NULL);
	sched_set_rank(&t[2], PRIO_LOW);
	fake_cpu = 1;
	sched_wake(&t[3]);
	sched_wake(&t[2]);
	schedule();
	fake_cpu = 0;
	kicks = 0;
	sched_set_rank(&t[2], PRIO_HIGH);
	assert_int_equal(kicks, 1);
	assert_ptr_equal(kicked, &pcpus[1]);
	fake_cpu = 1;
	schedule();
	assert_ptr_equal(current(), &t[2]);
}

/* By what does a VM share: its priority, and the low one if the scenario does not know it? */
static void test_rank(void **state)
{
	const struct vm_config c = {.bvt_weight = 7, .priority = PRIO_HIGH};

	(void)state;
	assert_int_equal(sched_policy.rank(&c), PRIO_HIGH);
	assert_int_equal(sched_policy.rank(NULL), PRIO_LOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_high_first, setup),
		cmocka_unit_test_setup(test_equals, setup),
		cmocka_unit_test_setup(test_equal_from_elsewhere, setup),
		cmocka_unit_test_setup(test_new_priority, setup),
		cmocka_unit_test_setup(test_new_priority_of_sleeper, setup),
		cmocka_unit_test_setup(test_new_priority_elsewhere, setup),
		cmocka_unit_test_setup(test_rank, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
