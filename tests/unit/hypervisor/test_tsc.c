// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is the TSC's rate measured to a few parts in a hundred thousand, does CPUID help out where there
 * is no PIT, and are times converted without loss?
 */
// links: hypervisor/arch/x86/cpu/tsc.c tests/fake/fake_machine.c tests/fake/fake_log.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/msr.h"
#include "hv/irq.h"
#include "hv/timer.h"
#include "fake_machine.h"

#define PIT_HZ 1193182UL

static uint64_t tsc_hz, pit_start;
static uint32_t pit_count, calibrations;
static bool low_byte, dead;
static uint8_t port_b;

void lapic_timer_calibrate(void)
{
	assert_true(tsc_khz() != 0);
	calibrations++;
}

/* Channel 2 in mode 0: the output rises when the count is over, if the gate is open. */
static uint32_t pit(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	assert_int_equal(width, 1);
	if (port == 0x43 && write) {
		assert_int_equal(val, 0xB0);
		low_byte = true;
	} else if (port == 0x42 && write) {
		pit_count = low_byte ? val : pit_count | (val << 8);
		pit_start = low_byte ? UINT64_MAX : fake_tsc;
		low_byte = false;
	} else if (port == 0x61 && write) {
		assert_int_equal(val & 2, 0); /* silent */
		port_b = (uint8_t)val;
	} else if (port == 0x61) {
		/* an access to this port takes about a microsecond */
		fake_tsc += tsc_hz / 1000000;
		if (dead || pit_start == UINT64_MAX || (port_b & 1) == 0)
			return port_b;
		return port_b | ((fake_tsc - pit_start >= pit_count * tsc_hz / PIT_HZ) ? 0x20 : 0);
	}
	return 0;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_pio_hook(0x42, 2, pit);
	fake_pio_hook(0x61, 1, pit);
	calibrations = 0;
	pit_start = UINT64_MAX;
	port_b = 0x02;
	dead = false;
	tsc_hz = 1000000000;
	return 0;
}

/* How near is the measured rate to the true one, from slow to fast? */
static void test_pit(void **state)
{
	static const uint64_t rates[] = {30000000, 1000000000, 2400000000, 5000000000};

	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		uint64_t khz = rates[i] / 1000, off;

		(void)setup(state);
		tsc_hz = rates[i];
		tsc_calibrate();
		off = tsc_khz() > khz ? tsc_khz() - khz : khz - tsc_khz();
		/* two polls of 10,000 at the most, and one tick of the slowest clock */
		assert_true(off <= khz / 5000 + 1);
		assert_int_equal(calibrations, 1);
	}
}

/* The measurement's arithmetic: it adds nothing to what two polls of a microsecond may be off. */
static void test_rounding(void **state)
{
	(void)state;
	fake_tsc_step = 0;
	tsc_hz = 2000000000;
	tsc_calibrate();
	assert_in_range(tsc_khz(), 2000000 - 40, 2000000 + 440);
}

/* What if there is no PIT? CPUID 0x15 tells, else 0x16. */
static void test_cpuid(void **state)
{
	(void)state;
	dead = true;
	fake_cpuid_set(0, 0, 0x16, 0, 0, 0);
	fake_cpuid_set(0x15, 0, 2, 84, 38400000, 0);
	tsc_calibrate();
	assert_int_equal(tsc_khz(), 1612800);
	(void)setup(state);
	dead = true;
	fake_cpuid_set(0, 0, 0x16, 0, 0, 0);
	fake_cpuid_set(0x15, 0, 2, 84, 0, 0); /* the crystal is not told */
	fake_cpuid_set(0x16, 0, 0xFFFF0960, 0, 0, 0);
	tsc_calibrate();
	assert_int_equal(tsc_khz(), 2400000);
}

/* What if nobody knows? There is no hypervisor without time. */
static void test_nothing(void **state)
{
	(void)state;
	dead = true;
	expect_assert_failure(tsc_calibrate());
	fake_cpuid_set(0, 0, 0x14, 0, 0, 0);
	fake_cpuid_set(0x15, 0, 2, 84, 38400000, 0); /* beyond the highest leaf */
	expect_assert_failure(tsc_calibrate());
	assert_int_equal(tsc_to_us(5), 0);
}

/* Microseconds to ticks and back, up to a century. */
static void test_convert(void **state)
{
	static const uint64_t us[] = {0, 1, 999, 1000000, 86400000000, 3155760000000000};

	(void)state;
	dead = true;
	fake_cpuid_set(0, 0, 0x16, 0, 0, 0);
	fake_cpuid_set(0x15, 0, 1, 1, 2000000000, 0);
	tsc_calibrate();
	for (size_t i = 0; i < ARRAY_SIZE(us); i++) {
		assert_int_equal(us_to_tsc(us[i]), us[i] * 2000);
		assert_int_equal(tsc_to_us(us[i]), us[i] / 2000);
		assert_int_equal(tsc_to_us(us_to_tsc(us[i])), us[i]);
	}
	fake_tsc_step = 100;
	fake_tsc = 5000;
	udelay(10);
	assert_in_range(fake_tsc, 25000, 25300);
}

/* What if a reset or the firmware left the TSC with an offset, or the CPU has no such register? */
static void test_adjust(void **state)
{
	(void)state;
	tsc_init_pcpu();
	fake_cpuid_set(0, 0, 0x16, 0, 0, 0);
	tsc_init_pcpu();
	assert_int_equal(fake_msr_gp, 0);
	fake_cpuid_set(7, 0, 0, 2, 0, 0);
	fake_msr_set(MSR_TSC_ADJUST, (uint64_t)-350198732);
	tsc_init_pcpu();
	assert_int_equal(fake_msr_get(MSR_TSC_ADJUST), 0);
	fake_msr_writes = 0;
	tsc_init_pcpu();
	assert_int_equal(fake_msr_writes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_pit, setup),   cmocka_unit_test_setup(test_rounding, setup),
		cmocka_unit_test_setup(test_cpuid, setup), cmocka_unit_test_setup(test_nothing, setup),
		cmocka_unit_test_setup(test_convert, setup), cmocka_unit_test_setup(test_adjust, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
