/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

#define VECTOR	 0x40
#define US(n)	 ((uint64_t)(n)*1000U) /* TSC ticks: the fake clock is 1 GHz */
#define DIVIDE_1 0xB

static struct vcpu *start(uint32_t lvt)
{
	struct vcpu *c = test_vcpu(0, 0);

	fake_tsc_step = 0;
	x2apic_on(c);
	x2_put(c, APIC_TDCR, DIVIDE_1);
	x2_put(c, APIC_LVT_TIMER, lvt);
	return c;
}

/* The vector arrives now, and is ended. */
static bool fires(struct vcpu *c)
{
	bool yes = vm_enter(c) == VECTOR;

	if (yes)
		x2_put(c, APIC_EOI, 0);
	return yes;
}

/* Does a one-shot fire once, at its time, and does the count go down meanwhile? */
static void test_oneshot(void **state)
{
	struct vcpu *c = start(VECTOR);
	uint64_t t0 = fake_tsc;

	(void)state;
	x2_put(c, APIC_TMICT, 1000000);
	time_to(t0 + 250000);
	assert_int_equal(x2_get(c, APIC_TMCCT), 750000);
	assert_false(fires(c));
	time_to(t0 + 999999);
	assert_int_equal(x2_get(c, APIC_TMCCT), 1);
	assert_false(fires(c));
	time_to(t0 + 1000000);
	assert_true(fires(c));
	assert_int_equal(x2_get(c, APIC_TMCCT), 0);
	assert_int_equal(x2_get(c, APIC_TMICT), 1000000);
	time_to(t0 + 5000000);
	assert_false(fires(c));
}

/* Do all eight dividers divide? */
static void test_divide(void **state)
{
	static const struct {
		uint32_t tdcr, by;
	} dividers[] = {{0x0, 2},  {0x1, 4},  {0x2, 8},	  {0x3, 16},
			{0x8, 32}, {0x9, 64}, {0xA, 128}, {0xB, 1}};
	struct vcpu *c = start(VECTOR);

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(dividers); i++) {
		uint64_t t0 = fake_tsc;

		x2_put(c, APIC_TDCR, dividers[i].tdcr);
		x2_put(c, APIC_TMICT, 10000);
		time_to(t0 + 10000UL * dividers[i].by - 1);
		assert_false(fires(c));
		time_to(t0 + 10000UL * dividers[i].by);
		assert_true(fires(c));
	}
}

/* What if the divider changes while the timer counts? What is left is counted at the new rate. */
static void test_divide_while_counting(void **state)
{
	struct vcpu *c = start(VECTOR);
	uint64_t t0 = fake_tsc;

	(void)state;
	x2_put(c, APIC_TMICT, 1000);
	time_to(t0 + 400);
	x2_put(c, APIC_TDCR, 0x1);
	assert_int_equal(x2_get(c, APIC_TMCCT), 600);
	time_to(t0 + 400 + 600 * 4 - 1);
	assert_false(fires(c));
	time_to(t0 + 400 + 600 * 4);
	assert_true(fires(c));
}

/* Does a periodic timer keep its beat, also when the CPU was away for some periods? */
static void test_periodic(void **state)
{
	struct vcpu *c = start(APIC_TIMER_PERIODIC | VECTOR);
	uint64_t t0 = fake_tsc;

	(void)state;
	x2_put(c, APIC_TMICT, US(1000));
	for (uint32_t n = 1; n <= 5; n++) {
		time_to(t0 + n * US(1000) - 1);
		assert_false(fires(c));
		time_to(t0 + n * US(1000));
		assert_true(fires(c));
	}
	fake_tsc = t0 + US(9300); /* nobody served the timer since 5 ms */
	assert_int_equal(x2_get(c, APIC_TMCCT), US(700));
	time_to(t0 + US(9300));
	assert_true(fires(c));
	assert_int_equal(x2_get(c, APIC_TMCCT), US(700));
	time_to(t0 + US(10000) - 1);
	assert_false(fires(c));
	time_to(t0 + US(10000));
	assert_true(fires(c));
}

/* What if a guest asks for a period of a nanosecond? It gets a slower one: others share the CPU. */
static void test_periodic_too_fast(void **state)
{
	struct vcpu *c = start(APIC_TIMER_PERIODIC | VECTOR);
	uint32_t fired = 0;
	uint64_t t0 = fake_tsc;

	(void)state;
	x2_put(c, APIC_TMICT, 1);
	assert_in_range(x2_get(c, APIC_TMCCT), 0, 1);
	for (uint64_t t = t0; t < t0 + US(10000); t += US(10)) {
		time_to(t);
		fired += fires(c) ? 1U : 0U;
	}
	assert_in_range(fired, 10, 50);
}

/* What if the initial count is 0? It stops the timer, in both modes that count. */
static void test_count_zero(void **state)
{
	struct vcpu *c = start(APIC_TIMER_PERIODIC | VECTOR);

	(void)state;
	x2_put(c, APIC_TMICT, 100000);
	x2_put(c, APIC_TMICT, 0);
	assert_int_equal(x2_get(c, APIC_TMCCT), 0);
	time_to(fake_tsc + US(1000));
	assert_false(fires(c));
	x2_put(c, APIC_LVT_TIMER, VECTOR);
	x2_put(c, APIC_TMICT, 0);
	time_to(fake_tsc + US(1000));
	assert_false(fires(c));
}

/* Does a masked timer count on, silently? */
static void test_masked(void **state)
{
	struct vcpu *c = start(APIC_LVT_MASKED | APIC_TIMER_PERIODIC | VECTOR);
	uint64_t t0 = fake_tsc;

	(void)state;
	x2_put(c, APIC_TMICT, US(100));
	time_to(t0 + US(150));
	assert_false(fires(c));
	assert_int_equal(x2_get(c, APIC_TMCCT), US(50));
	x2_put(c, APIC_LVT_TIMER, APIC_TIMER_PERIODIC | VECTOR);
	time_to(t0 + US(200));
	assert_true(fires(c));
}

/* What if the mode changes between one-shot and periodic in the middle of a count? */
static void test_mode_change(void **state)
{
	struct vcpu *c = start(VECTOR);
	uint64_t t0 = fake_tsc;

	(void)state;
	x2_put(c, APIC_TMICT, US(1000));
	time_to(t0 + US(500));
	x2_put(c, APIC_LVT_TIMER, APIC_TIMER_PERIODIC | VECTOR);
	time_to(t0 + US(1000));
	assert_true(fires(c));
	time_to(t0 + US(2000));
	assert_true(fires(c));
	x2_put(c, APIC_LVT_TIMER, VECTOR);
	time_to(t0 + US(3000));
	assert_true(fires(c));
	time_to(t0 + US(5000));
	assert_false(fires(c));
}

/* Does a TSC deadline fire at its TSC and then read 0? */
static void test_deadline(void **state)
{
	struct vcpu *c = start(APIC_TIMER_DEADLINE | VECTOR);
	uint64_t t0 = fake_tsc, val;

	(void)state;
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, t0 + 5000), 0);
	assert_int_equal(rdmsr(c, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, t0 + 5000);
	/* the counter is not in use, and writing it does nothing */
	x2_put(c, APIC_TMICT, 10);
	assert_int_equal(x2_get(c, APIC_TMCCT), 0);
	time_to(t0 + 4999);
	assert_false(fires(c));
	time_to(t0 + 5000);
	assert_true(fires(c));
	assert_int_equal(rdmsr(c, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, 0);
	/* one takes the place of another; 0 disarms */
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, t0 + 6000), 0);
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, t0 + 9000), 0);
	time_to(t0 + 8999);
	assert_false(fires(c));
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, 0), 0);
	time_to(t0 + 20000);
	assert_false(fires(c));
}

/* What if the deadline is past, far away, or the guest's TSC is not the host's? */
static void test_deadline_limits(void **state)
{
	struct vcpu *c = start(APIC_TIMER_DEADLINE | VECTOR);
	uint64_t val;

	(void)state;
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, fake_tsc), 0);
	assert_true(fires(c));
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, 1), 0);
	assert_true(fires(c));
	assert_int_equal(rdmsr(c, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, 0);
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, UINT64_MAX), 0);
	time_to(fake_tsc + US(1000000));
	assert_false(fires(c));
	/* the guest's TSC runs 1 ms ahead: a deadline the host has not seen is past for it */
	c->tsc_offset = US(1000);
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, fake_tsc + US(999)), 0);
	assert_true(fires(c));
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, fake_tsc + US(1500)), 0);
	time_to(fake_tsc + US(499));
	assert_false(fires(c));
	time_to(fake_tsc + US(1));
	assert_true(fires(c));
	/* far behind: the sum would overflow */
	c->tsc_offset = (uint64_t)0 - fake_tsc;
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, UINT64_MAX), 0);
	time_to(fake_tsc + US(1000));
	assert_false(fires(c));
}

/* What if the guest moves its TSC past an armed deadline, or away from it? */
static void test_tsc_moved(void **state)
{
	struct vcpu *c = start(APIC_TIMER_DEADLINE | VECTOR);
	uint64_t t0 = fake_tsc = US(10000);

	(void)state;
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, t0 + US(100)), 0);
	c->tsc_offset = (uint64_t)0 - US(50);
	c->vm->vintr->tsc_moved(c);
	time_to(t0 + US(100));
	assert_false(fires(c));
	time_to(t0 + US(150));
	assert_true(fires(c));
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, t0 + US(300)), 0);
	c->tsc_offset = US(1000);
	c->vm->vintr->tsc_moved(c);
	assert_true(fires(c));
}

/* What if the deadline MSR is written in another mode, or the mode left with one armed? */
static void test_deadline_and_modes(void **state)
{
	struct vcpu *c = start(VECTOR);
	uint64_t val;

	(void)state;
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, fake_tsc + 100), 0);
	assert_int_equal(rdmsr(c, MSR_TSC_DEADLINE, &val), 0);
	assert_int_equal(val, 0);
	time_to(fake_tsc + 1000);
	assert_false(fires(c));
	x2_put(c, APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR);
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, fake_tsc + 100), 0);
	x2_put(c, APIC_LVT_TIMER, VECTOR);
	x2_put(c, APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR);
	time_to(fake_tsc + 1000);
	assert_false(fires(c));
	x2_put(c, APIC_LVT_TIMER, VECTOR);
	x2_put(c, APIC_TMICT, 100);
	x2_put(c, APIC_LVT_TIMER, APIC_TIMER_DEADLINE | VECTOR);
	time_to(fake_tsc + 1000);
	assert_false(fires(c));
}

/* Does a timer fire while another vCPU has the CPU, and does it make its own look? */
static void test_fires_in_the_background(void **state)
{
	struct vcpu *c = start(APIC_TIMER_DEADLINE | VECTOR), *other = test_vcpu(1, 0);

	(void)state;
	assert_int_equal(wrmsr(c, MSR_TSC_DEADLINE, fake_tsc + 100), 0);
	c->pcpu->loaded = other;
	c->requests = 0;
	time_to(fake_tsc + 100);
	assert_true((c->requests & REQ_EVENT) != 0);
	assert_int_equal(vcpu_log(other)->requests, 0);
	assert_true(c->vm->vintr->pending(c));
	assert_true(fires(c));
}

/* Are the timers of two VMs and of two vCPUs apart? */
static void test_timers_apart(void **state)
{
	struct vcpu *a = start(VECTOR), *b = test_vcpu(1, 0), *d = test_vcpu(0, 1);
	uint64_t t0 = fake_tsc;

	(void)state;
	x2apic_on(b);
	x2_put(b, APIC_TDCR, DIVIDE_1);
	x2_put(b, APIC_LVT_TIMER, VECTOR);
	x2_put(a, APIC_TMICT, 1000);
	x2_put(b, APIC_TMICT, 2000);
	time_to(t0 + 1000);
	assert_true(fires(a));
	assert_false(fires(b));
	assert_false(fires(d));
	time_to(t0 + 2000);
	assert_false(fires(a));
	assert_true(fires(b));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_oneshot),
		T(test_divide),
		T(test_divide_while_counting),
		T(test_periodic),
		T(test_periodic_too_fast),
		T(test_count_zero),
		T(test_masked),
		T(test_mode_change),
		T(test_deadline),
		T(test_deadline_limits),
		T(test_tsc_moved),
		T(test_deadline_and_modes),
		T(test_fires_in_the_background),
		T(test_timers_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
