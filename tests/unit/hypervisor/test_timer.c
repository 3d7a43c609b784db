// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do timers fire once each, in the order of their deadlines, whatever their handlers do meanwhile;
 * and is the local APIC written only when the earliest one changes?
 */
// links: hypervisor/arch/x86/cpu/timer.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/irq.h"
#include "hv/pcpu.h"
#include "hv/timer.h"
#include "fake_machine.h"

static uint64_t apic_deadline;
static uint32_t apic_writes;
static irq_handler_t handler;

void lapic_timer_set(uint64_t deadline)
{
	apic_deadline = deadline;
	apic_writes++;
}

void irq_register(uint8_t vector, irq_handler_t fn, void *arg)
{
	(void)arg;
	assert_int_equal(vector, VECTOR_TIMER);
	handler = fn;
}

#define N 6
static struct timer timers[N];
static char fired[64];

static void fire(struct timer *t)
{
	size_t n = strlen(fired);

	assert_false(timer_armed(t));
	assert_true(n + 1 < sizeof(fired));
	fired[n] = (char)('a' + (t - timers));
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_tsc_step = 0;
	fake_tsc = 1000;
	apic_deadline = 0;
	apic_writes = 0;
	memset(fired, 0, sizeof(fired));
	timer_init_pcpu();
	for (int i = 0; i < N; i++)
		timer_init(&timers[i], fire);
	return 0;
}

static void interrupt_at(uint64_t tsc)
{
	fake_tsc = tsc;
	handler(VECTOR_TIMER, NULL);
}

/* What if timers are armed in any order? They fire by deadline, equal ones as they were armed. */
static void test_order(void **state)
{
	(void)state;
	timer_arm(&timers[0], 5000);
	timer_arm(&timers[1], 2000);
	timer_arm(&timers[2], 9000);
	timer_arm(&timers[3], 2000);
	timer_arm(&timers[4], 3000);
	assert_int_equal(apic_deadline, 2000);
	interrupt_at(1999);
	assert_string_equal(fired, "");
	assert_int_equal(apic_deadline, 2000);
	interrupt_at(2000);
	assert_string_equal(fired, "bd");
	assert_int_equal(apic_deadline, 3000);
	interrupt_at(6000);
	assert_string_equal(fired, "bdea");
	assert_int_equal(apic_deadline, 9000);
	assert_true(timer_armed(&timers[2]));
	interrupt_at(UINT64_MAX);
	assert_string_equal(fired, "bdeac");
	assert_false(timer_armed(&timers[2]));
}

/* How often is the APIC written? Once for each change of the first deadline. */
static void test_apic_writes(void **state)
{
	(void)state;
	timer_arm(&timers[0], 5000);
	assert_int_equal(apic_writes, 1);
	timer_arm(&timers[1], 6000);
	timer_arm(&timers[2], 5000);
	timer_cancel(&timers[1]);
	timer_cancel(&timers[0]);
	assert_int_equal(apic_writes, 1);
	timer_arm(&timers[1], 4000);
	assert_int_equal(apic_writes, 2);
	timer_arm(&timers[1], 7000); /* moved behind the other */
	assert_int_equal(apic_writes, 3);
	assert_int_equal(apic_deadline, 5000);
	timer_cancel(&timers[2]);
	assert_int_equal(apic_deadline, 7000);
	timer_cancel(&timers[1]);
	assert_int_equal(apic_deadline, 0);
	assert_int_equal(apic_writes, 5);
	timer_cancel(&timers[1]);
	assert_int_equal(apic_writes, 5);
	interrupt_at(8000); /* one that was on its way */
	assert_int_equal(apic_writes, 5);
	assert_string_equal(fired, "");
}

/* What if the deadline is over already, or 0? The APIC is armed at once, never disarmed. */
static void test_past(void **state)
{
	(void)state;
	timer_arm(&timers[0], 10);
	assert_int_equal(apic_deadline, 10);
	timer_arm(&timers[1], 0);
	assert_true(apic_deadline != 0 && apic_deadline <= 10);
	interrupt_at(1000);
	assert_string_equal(fired, "ba");
	timer_arm(&timers[0], UINT64_MAX);
	assert_int_equal(apic_deadline, UINT64_MAX);
}

static void fire_and_rearm(struct timer *t)
{
	fire(t);
	timer_arm(t, fake_tsc + 500);
}

/* What if a handler arms its own timer again? It fires once a period, not twice. */
static void test_rearm_in_handler(void **state)
{
	(void)state;
	timer_init(&timers[0], fire_and_rearm);
	timer_arm(&timers[0], 2000);
	timer_arm(&timers[1], 2100);
	interrupt_at(2000);
	assert_string_equal(fired, "a");
	assert_int_equal(apic_deadline, 2100);
	interrupt_at(2600);
	assert_string_equal(fired, "aba");
	assert_int_equal(apic_deadline, 3100);
}

static void fire_and_rearm_past(struct timer *t)
{
	fire(t);
	timer_arm(t, 1);
}

/* What if it arms itself for the past? The CPU is given back before it fires again. */
static void test_rearm_in_past(void **state)
{
	(void)state;
	timer_init(&timers[0], fire_and_rearm_past);
	timer_arm(&timers[0], 2000);
	timer_arm(&timers[1], 2000);
	interrupt_at(2000);
	assert_string_equal(fired, "ab");
	assert_int_equal(apic_deadline, 1);
	interrupt_at(2001);
	assert_string_equal(fired, "aba");
}

static void fire_and_cancel_next(struct timer *t)
{
	fire(t);
	timer_cancel(t + 1);
	timer_arm(t + 2, fake_tsc + 100);
}

/* What if a handler cancels, or moves, timers that are due at the same moment? */
static void test_cancel_in_handler(void **state)
{
	(void)state;
	timer_init(&timers[0], fire_and_cancel_next);
	timer_arm(&timers[0], 2000);
	timer_arm(&timers[1], 2000);
	timer_arm(&timers[2], 2000);
	timer_arm(&timers[3], 2000);
	interrupt_at(2000);
	assert_string_equal(fired, "ad");
	assert_false(timer_armed(&timers[1]));
	assert_int_equal(apic_deadline, 2100);
	interrupt_at(2100);
	assert_string_equal(fired, "adc");
}

/* What if two CPUs have timers? Each has its own queue and APIC. */
static void test_two_cpus(void **state)
{
	(void)state;
	timer_arm(&timers[0], 5000);
	fake_cpu = 1;
	timer_init_pcpu();
	timer_arm(&timers[1], 3000);
	assert_int_equal(apic_deadline, 3000);
	interrupt_at(10000);
	assert_string_equal(fired, "b");
	fake_cpu = 0;
	assert_true(timer_armed(&timers[0]));
	interrupt_at(10000);
	assert_string_equal(fired, "ba");
}

/* What if 10,000 pseudo-random changes are made? The first deadline is always the programmed one. */
static void test_random(void **state)
{
	uint64_t want[N] = {0};
	uint32_t seed = 7;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint32_t k, what;
		uint64_t first = 0;

		seed = seed * 1664525U + 1013904223U;
		k = (seed >> 8) % N;
		what = (seed >> 16) % 3;
		if (what < 2) {
			want[k] = fake_tsc + 1 + (seed >> 20);
			timer_arm(&timers[k], want[k]);
		} else {
			want[k] = 0;
			timer_cancel(&timers[k]);
		}
		if (i % 10 == 0) {
			interrupt_at(fake_tsc + 300);
			memset(fired, 0, sizeof(fired));
			for (k = 0; k < N; k++)
				want[k] = want[k] <= fake_tsc ? 0 : want[k];
		}
		for (k = 0; k < N; k++) {
			assert_int_equal(timer_armed(&timers[k]), want[k] != 0);
			if (want[k] && (!first || want[k] < first))
				first = want[k];
		}
		assert_int_equal(this_pcpu()->timers.programmed, first);
		if (first)
			assert_int_equal(apic_deadline, first);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_apic_writes, setup),
		cmocka_unit_test_setup(test_past, setup),
		cmocka_unit_test_setup(test_rearm_in_handler, setup),
		cmocka_unit_test_setup(test_rearm_in_past, setup),
		cmocka_unit_test_setup(test_cancel_in_handler, setup),
		cmocka_unit_test_setup(test_two_cpus, setup),
		cmocka_unit_test_setup(test_random, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
