// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/sched/schedule.c hypervisor/sched/bvt.c @machine
/*
 * Fairness of the BVT policy: threads that always want the CPU, threads that sleep, weights.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_machine.h"
#include "hv/pcpu.h"
#include "hv/schedule.h"

void sched_switch_stack(struct thread *from, struct thread *to);
void sched_thread_start(void);

#define MS 1000000UL /* TSC ticks at the fake machine's 1 GHz */

static struct thread idle, t[3];
static uint64_t stacks[3][64];
static uint64_t ran[3]; /* ticks of each thread */
static bool preempted;

void sched_switch_stack(struct thread *from, struct thread *to)
{
	(void)from;
	(void)to;
}

void sched_thread_start(void)
{
}

void pcpu_kick(struct pcpu *p)
{
	(void)p;
}

void smp_call_serve(void)
{
}

void timer_init(struct timer *tm, void (*fn)(struct timer *tm))
{
	tm->fn = fn;
}

void timer_arm(struct timer *tm, uint64_t deadline)
{
	(void)tm;
	(void)deadline;
}

void timer_cancel(struct timer *tm)
{
	(void)tm;
}

static void note_preempt(struct thread *th)
{
	(void)th;
	preempted = true;
}

/* Time goes by while somebody runs. */
static void run(uint64_t ticks)
{
	fake_tsc += ticks;
	for (uint32_t i = 0; i < 3; i++) {
		if (pcpus[0].rq.current == &t[i])
			ran[i] += ticks;
	}
}

static int setup(void **state)
{
	memset(ran, 0, sizeof(ran));
	(void)state;
	fake_machine_reset();
	fake_tsc_step = 0;
	memset(&idle, 0, sizeof(idle));
	memset(t, 0, sizeof(t));
	sched_arm_slice = NULL;
	preempted = false;
	sched_init_pcpu(&pcpus[0], &idle);
	for (uint32_t i = 0; i < 3; i++) {
		t[i].weight = 1;
		t[i].preempt = note_preempt;
		thread_init(&t[i], &pcpus[0], &stacks[i][64], NULL, NULL);
	}
	return 0;
}

/* All threads spin; the slice ends again and again. */
static void spin(uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 5) {
		run(5 * MS);
		sched_slice_end();
		schedule();
	}
}

/* Do equal weights get equal time? */
static void test_equal(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++)
		sched_wake(&t[i]);
	schedule();
	spin(3000);
	for (uint32_t i = 0; i < 3; i++) {
		assert_true(ran[i] >= 990 * MS);
		assert_true(ran[i] <= 1010 * MS);
	}
}

/* Does weight 3 get three times what weight 1 gets? */
static void test_weights(void **state)
{
	(void)state;
	t[0].weight = 3;
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	spin(4000);
	assert_in_range(ran[0] / MS, 2700, 3300);
	assert_in_range(ran[1] / MS, 700, 1300);
}

/* Weights out of 1..128 must neither divide by zero nor stop time. */
static void test_wild_weights(void **state)
{
	(void)state;
	t[0].weight = 0;
	t[1].weight = UINT64_MAX;
	for (uint32_t i = 0; i < 2; i++)
		thread_init(&t[i], &pcpus[0], &stacks[i][64], NULL, NULL);
	sched_wake(&t[0]);
	sched_wake(&t[1]);
	schedule();
	spin(2000);
	assert_true(ran[0] > 0);
	assert_true(ran[1] > ran[0]);
}

/* One that slept long: served at once when it wakes, but not with a year of saved-up time? */
static void test_sleeper(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	spin(10000);
	sched_wake(&t[1]);
	assert_true(preempted);
	schedule();
	assert_ptr_equal(pcpus[0].rq.current, &t[1]);
	ran[1] = ran[0] = 0;
	spin(1000);
	assert_in_range(ran[0] / MS, 450, 550);
	assert_in_range(ran[1] / MS, 450, 550);
}

static void reschedule_if_asked(void)
{
	if (preempted) {
		preempted = false;
		schedule();
	}
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
		reschedule_if_asked();
		run(MS);
		if (pcpus[0].rq.current == &t[1])
			sched_block();
		else
			sched_slice_end();
		reschedule_if_asked();
	}
	assert_in_range(ran[0] / MS, 900, 1100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_equal, setup),
		cmocka_unit_test_setup(test_weights, setup),
		cmocka_unit_test_setup(test_wild_weights, setup),
		cmocka_unit_test_setup(test_sleeper, setup),
		cmocka_unit_test_setup(test_frequent_waker, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
