// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/sched/schedule.c hypervisor/sched/bvt.c @machine
/*
 * The scheduler on fake CPUs. The stack switch is faked: after schedule() the test plays whichever
 * thread is current, so that every order of events can be tried.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/insn.h"
#include "fake_machine.h"
#include "hv/pcpu.h"
#include "hv/schedule.h"

void sched_switch_stack(struct thread *from, struct thread *to);
void sched_thread_start(void);

static struct thread idle[2], t[4];
static uint64_t stacks[4][64];
static uint32_t switches, kicks, serves, preempts, ins;
static struct pcpu *kicked;
static uint64_t armed_at;
static uint64_t slice;
static void (*on_serve)(void);

void sched_switch_stack(struct thread *from, struct thread *to)
{
	(void)from;
	(void)to;
	switches++;
}

void sched_thread_start(void)
{
}

void pcpu_kick(struct pcpu *p)
{
	kicks++;
	kicked = p;
}

void smp_call_serve(void)
{
	serves++;
	if (on_serve)
		on_serve();
}

void timer_init(struct timer *tm, void (*fn)(struct timer *tm))
{
	tm->fn = fn;
}

void timer_arm(struct timer *tm, uint64_t deadline)
{
	(void)tm;
	armed_at = deadline;
}

void timer_cancel(struct timer *tm)
{
	(void)tm;
	armed_at = 0;
}

static void arm_slice(uint64_t ticks)
{
	slice = ticks;
}

static void count_preempt(struct thread *th)
{
	(void)th;
	preempts++;
}

static void count_in(struct thread *th)
{
	(void)th;
	ins++;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	memset(idle, 0, sizeof(idle));
	memset(t, 0, sizeof(t));
	switches = kicks = serves = preempts = ins = 0;
	kicked = NULL;
	armed_at = 0;
	slice = 0;
	on_serve = NULL;
	sched_arm_slice = NULL;
	for (uint16_t i = 0; i < 2; i++)
		sched_init_pcpu(&pcpus[i], &idle[i]);
	for (uint32_t i = 0; i < 4; i++) {
		t[i].weight = 1;
		t[i].preempt = count_preempt;
		t[i].switch_in = count_in;
		/* t[3] lives on the other CPU */
		thread_init(&t[i], &pcpus[i / 3], &stacks[i][64], NULL, NULL);
	}
	return 0;
}

static struct thread *current(void)
{
	return pcpus[fake_cpu].rq.current;
}

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
	assert_int_equal(preempts, 1);
	assert_true(sched_need_resched(&pcpus[0]));
	/* a third changes nothing for the running one */
	sched_wake(&t[2]);
	assert_int_equal(kicks, 1);
}

/* Two spinning threads without the preemption timer: does the host's timer end the slice? */
static void test_slice_by_timer(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	assert_int_equal(armed_at, 0);
	sched_wake(&t[1]);
	assert_int_not_equal(armed_at, 0);
	fake_tsc = armed_at + 1;
	pcpus[0].rq.slice_timer.fn(&pcpus[0].rq.slice_timer);
	assert_int_equal(preempts, 1);
	schedule();
	assert_ptr_equal(current(), &t[1]);
	assert_int_not_equal(armed_at, 0);
	/* alone again: no slice */
	sched_block();
	assert_ptr_equal(current(), &t[0]);
	assert_int_equal(armed_at, 0);
}

/* With the preemption timer a CPU that two threads share has a slice even while one sleeps. */
static void test_slice_by_preemption_timer(void **state)
{
	(void)state;
	sched_arm_slice = arm_slice;
	sched_wake(&t[0]);
	schedule();
	assert_int_not_equal(slice, 0);
	slice = 0;
	sched_slice_end();
	assert_int_not_equal(slice, 0);
	assert_int_equal(preempts, 0);
	fake_cpu = 1;
	sched_wake(&t[3]);
	slice = 0;
	schedule();
	/* the only thread of its CPU has none */
	assert_int_equal(slice, 0);
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

/* Does a yield let another go first, whoever is owed time, and return at once when alone? */
static void test_yield(void **state)
{
	(void)state;
	sched_wake(&t[0]);
	schedule();
	sched_yield_cpu();
	assert_ptr_equal(current(), &t[0]);
	t[1].avt = 1L << 40;
	sched_wake(&t[1]);
	sched_yield_cpu();
	assert_ptr_equal(current(), &t[1]);
	sched_yield_cpu();
	assert_ptr_equal(current(), &t[0]);
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
		cmocka_unit_test_setup(test_wake_and_run, setup),
		cmocka_unit_test_setup(test_wake_before_block, setup),
		cmocka_unit_test_setup(test_remote_wake_kicks, setup),
		cmocka_unit_test_setup(test_remote_wake_of_second_thread, setup),
		cmocka_unit_test_setup(test_slice_by_timer, setup),
		cmocka_unit_test_setup(test_slice_by_preemption_timer, setup),
		cmocka_unit_test_setup(test_freeze, setup),
		cmocka_unit_test_setup(test_freeze_running_elsewhere, setup),
		cmocka_unit_test_setup(test_stop, setup),
		cmocka_unit_test_setup(test_yield, setup),
		cmocka_unit_test_setup(test_yield_of_frozen, setup),
		cmocka_unit_test_setup(test_binding, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
