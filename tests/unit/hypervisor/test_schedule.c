// SPDX-License-Identifier: BSD-3-Clause
// links: @sched hypervisor/sched/bvt.c
/*
 * The scheduler on fake CPUs, in every order of events.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/insn.h"
#include "sched_machine.h"

/* Does a woken thread run once the idle loop gives the CPU away, and only then? */
static void test_wake_and_run(void **state)
{
	(void)state;
	assert_ptr_equal(current(), &idle[0]);
	schedule();
	assert_ptr_equal(current(), &idle[0]);
	assert_int_equal(switches, 0);

	sched_wake(&t[0]);
	assert_ptr_equal(current(), &idle[0]);
	assert_true(sched_need_resched(&pcpus[0]));
	schedule();
	assert_ptr_equal(current(), &t[0]);
	assert_int_equal(t[0].state, THREAD_RUNNING);
	assert_int_equal(ins, 1);
	assert_true(t[0].on_cpu);
	assert_false(idle[0].on_cpu);
	assert_false(sched_need_resched(&pcpus[0]));

	sched_block();
	assert_ptr_equal(current(), &idle[0]);
	assert_int_equal(t[0].state, THREAD_BLOCKED);
	assert_false(t[0].on_cpu);
}

/* What if the wake comes between the look at the condition and the block? It must not be lost. */
static void test_wake_before_block(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	sched_wake(&t[0]);
	sched_block();
	assert_ptr_equal(current(), &t[0]);
	assert_int_equal(t[0].state, THREAD_RUNNING);
	/* and it counts once */
	sched_block();
	assert_ptr_equal(current(), &idle[0]);
}

/* Is the other CPU kicked when it is idle, and left alone when it is this one? */
static void test_remote_wake_kicks(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	assert_int_equal(kicks, 0);
	sched_wake(&t[3]);
	assert_int_equal(kicks, 1);
	assert_ptr_equal(kicked, &pcpus[1]);

	fake_cpu = 1;
	schedule();
	assert_ptr_equal(current(), &t[3]);
}

/* Does a busy remote CPU hear of a second runnable thread, so that it arms a slice? */
static void test_remote_wake_of_second_thread(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	fake_cpu = 1;
	sched_wake(&t[1]);
	assert_int_equal(kicks, 1);
	assert_ptr_equal(kicked, &pcpus[0]);
	assert_int_equal(preempts, 0);
	assert_int_equal(armed_at, 0); /* another CPU's timer */
	fake_cpu = 0;
	sched_kicked();
	assert_int_equal(armed_at, fake_tsc + 5 * MS);
	fake_cpu = 1;
	/* a third changes nothing for the running one */
	sched_wake(&t[2]);
	assert_int_equal(kicks, 1);
}

/* Two spinning threads: does the slice begin when the second comes, and its end make way? */
static void test_slice(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	assert_int_equal(armed_at, 0);
	sched_wake(&t[1]);
	assert_int_equal(armed_at, fake_tsc + 5 * MS);
	timer_fires();
	assert_int_equal(preempts, 1);
	schedule();
	assert_ptr_equal(current(), &t[1]);
	assert_int_equal(armed_at, fake_tsc + 5 * MS);
	/* alone again: the timer fires once more, and that is all */
	sched_block();
	assert_ptr_equal(current(), &t[0]);
	preempts = 0;
	timer_fires();
	assert_int_equal(armed_at, 0);
	assert_int_equal(preempts, 0);
}

/* One timer serves all: who came to run in the middle of it has a whole slice of its own. */
static void test_slice_after_switch(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		sched_wake(&t[i]);
	schedule();
	fake_tsc += 2 * MS;
	sched_block();
	assert_ptr_equal(current(), &t[1]);
	preempts = 0;
	timer_fires();
	assert_int_equal(preempts, 0);
	assert_int_equal(armed_at, fake_tsc + 2 * MS);
	timer_fires();
	assert_int_equal(preempts, 1);
}

/* Is the guest of a CPU that threads share guarded, and the only thread of its CPU left alone? */
static void test_guard(void **state)
{
	(void)state;
	sched_arm_guard = arm_guard;
	thread_deinit(&t[0]);
	thread_init(&t[0], &pcpus[0], &stacks[0][64], NULL, NULL);
	sched_wake(&t[0]);
	schedule();
	assert_int_equal(guard, 5 * MS);
	guard = 0;
	sched_guard_ended();
	assert_int_equal(guard, 5 * MS);
	assert_int_equal(preempts, 0);
	thread_deinit(&t[1]);
	thread_deinit(&t[2]);
	schedule();
	assert_int_equal(guard, 0);
	guard = 1;
	fake_cpu = 1;
	sched_wake(&t[3]);
	schedule();
	assert_int_equal(guard, 1);
}

/* Is what a thread has run counted, whoever ran between? */
static void test_time(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	run(50 * MS);
	sched_block();
	run(10 * MS);
	sched_block();
	assert_int_equal(t[0].ran, ran[0]);
	assert_int_equal(t[1].ran, ran[1]);
	assert_int_equal(ran[0] + ran[1], 60 * MS);
}

/* Is a frozen thread never picked, however it is woken, and back when thawed? */
static void test_freeze(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	sched_freeze(&t[0]);
	schedule();
	assert_ptr_equal(current(), &idle[0]);
	sched_thaw(&t[0]);
	schedule();
	assert_ptr_equal(current(), &t[0]);

	sched_freeze(&t[1]);
	sched_wake(&t[1]);
	sched_block();
	assert_ptr_equal(current(), &idle[0]);
	sched_thaw(&t[1]);
	sched_thaw(&t[1]);
	schedule();
	assert_ptr_equal(current(), &t[1]);
	assert_int_equal(pcpus[0].rq.nr_runnable, 0);
}

static void other_cpu_reschedules(void)
{
	if (serves == 3) {
		fake_cpu = 1;
		schedule();
		fake_cpu = 0;
	}
}

/* Freezing what runs elsewhere: kicked, waited for, and smp calls served meanwhile? */
static void test_freeze_running_elsewhere(void **state)
{
	(void)state;
	fake_cpu = 1;
	sched_wake(&t[3]);
	schedule();
	assert_ptr_equal(current(), &t[3]);
	fake_cpu = 0;
	on_serve = other_cpu_reschedules;
	kicks = 0;
	sched_freeze(&t[3]);
	assert_int_equal(serves, 3);
	assert_int_equal(kicks, 1);
	assert_int_equal(preempts, 1);
	assert_false(t[3].on_cpu);
	assert_ptr_equal(pcpus[1].rq.current, &idle[1]);
	/* a second freeze finds nothing to do */
	sched_freeze(&t[3]);
	assert_int_equal(kicks, 1);
}

/* A thread that stops itself, and one of another CPU at once with it: does nobody wait for anybody? */
static void test_stop(void **state)
{
	(void)state;
	fake_cpu = 1;
	sched_wake(&t[3]);
	schedule();
	fake_cpu = 0;
	sched_wake(&t[0]);
	schedule();
	assert_ptr_equal(current(), &t[0]);
	kicks = serves = 0;
	sched_stop(&t[3]);
	assert_int_equal(kicks, 1);
	sched_stop(&t[0]);
	assert_int_equal(kicks, 1);
	fake_cpu = 1;
	sched_stop(&t[0]);
	sched_stop(&t[3]);
	schedule();
	assert_ptr_equal(pcpus[1].rq.current, &idle[1]);
	fake_cpu = 0;
	schedule();
	assert_ptr_equal(current(), &idle[0]);
	sched_wake(&t[0]);
	sched_wake(&t[3]);
	schedule();
	assert_ptr_equal(current(), &idle[0]);
	assert_int_equal(pcpus[0].rq.nr_runnable + pcpus[1].rq.nr_runnable, 0);
	assert_int_equal(serves, 0);
}

/* A frozen thread that spins in root mode (polling) must leave the CPU at its next yield. */
static void test_yield_of_frozen(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	t[0].frozen = true;
	sched_yield_cpu();
	assert_ptr_equal(current(), &idle[0]);
}

/* Does a thread that polls let others go first, and stay when there is none? */
static void test_poll(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	sched_poll();
	assert_ptr_equal(current(), &t[0]);
	sched_wake(&t[1]);
	sched_poll();
	assert_ptr_equal(current(), &t[1]);
}

/* Is a re-made thread bound once, and its binding gone when it is taken down? */
static void test_binding(void **state)
{
	(void)state;
	assert_int_equal(pcpus[0].rq.nr_threads, 3);
	thread_init(&t[0], &pcpus[0], &stacks[0][64], NULL, NULL);
	assert_int_equal(pcpus[0].rq.nr_threads, 3);
	thread_deinit(&t[0]);
	assert_int_equal(pcpus[0].rq.nr_threads, 2);
	thread_init(&t[0], &pcpus[0], &stacks[0][64], NULL, NULL);
	assert_int_equal(pcpus[0].rq.nr_threads, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_wake_and_run, sched_setup),
		cmocka_unit_test_setup(test_wake_before_block, sched_setup),
		cmocka_unit_test_setup(test_remote_wake_kicks, sched_setup),
		cmocka_unit_test_setup(test_remote_wake_of_second_thread, sched_setup),
		cmocka_unit_test_setup(test_slice, sched_setup),
		cmocka_unit_test_setup(test_slice_after_switch, sched_setup),
		cmocka_unit_test_setup(test_guard, sched_setup),
		cmocka_unit_test_setup(test_time, sched_setup),
		cmocka_unit_test_setup(test_freeze, sched_setup),
		cmocka_unit_test_setup(test_freeze_running_elsewhere, sched_setup),
		cmocka_unit_test_setup(test_stop, sched_setup),
		cmocka_unit_test_setup(test_yield_of_frozen, sched_setup),
		cmocka_unit_test_setup(test_poll, sched_setup),
		cmocka_unit_test_setup(test_binding, sched_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
