// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the timer count as an 8254 does in each mode and access order, and interrupt when its
 * channel 0 is told to?
 */
// links: @stopped
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "dm_machine.h"
#include "fake_clock.h"
#include "fake_hsm.h"
#include "platform.h"

#define GSI	 2
#define TICKS(n) (((n)*1000000000ULL + 1193181) / 1193182)

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	fake_monotonic = 12345678;
	machine_create("");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_destroy();
	return 0;
}

static void program(unsigned int channel, unsigned int control, unsigned int count)
{
	machine_out(0x43, 1, channel << 6 | control);
	machine_out((uint16_t)(0x40 + channel), 1, count & 0xff);
	machine_out((uint16_t)(0x40 + channel), 1, count >> 8);
}

static unsigned int read16(unsigned int channel)
{
	unsigned int low = machine_in((uint16_t)(0x40 + channel), 1);

	return low | machine_in((uint16_t)(0x40 + channel), 1) << 8;
}

static unsigned int latched(unsigned int channel)
{
	machine_out(0x43, 1, channel << 6);
	return read16(channel);
}

/* Does the count go down in modes 0, 2 and 3, and what comes after zero? */
static void test_count(void **state)
{
	(void)state;
	program(0, 0x30, 1000);
	fake_monotonic += TICKS(100);
	assert_int_equal(latched(0), 900);
	fake_monotonic += TICKS(950);
	assert_in_range(latched(0), 0xffcd, 0xffcf); /* mode 0 goes on below zero */
	program(0, 0x34, 1000);
	fake_monotonic += TICKS(2300);
	assert_in_range(latched(0), 699, 701);
	program(0, 0x36, 1000);
	fake_monotonic += TICKS(100);
	assert_in_range(latched(0), 798, 800);
	program(0, 0x3e, 0); /* mode 7 is 3, 0 is 65536 */
	fake_monotonic += TICKS(16384);
	assert_in_range(latched(0), 0x7ffe, 0x8000);
	program(0, 0x35, 0x1234); /* BCD */
	fake_monotonic += TICKS(34);
	assert_in_range(latched(0), 0x1199, 0x1200);
}

/* What if low and high bytes are read apart, alone, or latched in between? */
static void test_access(void **state)
{
	(void)state;
	program(0, 0x34, 0x8000);
	fake_monotonic += TICKS(0x10);
	machine_out(0x43, 1, 0x00);
	fake_monotonic += TICKS(0x1000);
	machine_out(0x43, 1, 0x00); /* a second latch does not replace the first */
	assert_in_range(read16(0), 0x7fef, 0x7ff0);
	assert_in_range(read16(0), 0x6fee, 0x6ff1);
	machine_out(0x43, 1, 0x14);
	machine_out(0x40, 1, 0x80);
	assert_int_equal(machine_in(0x40, 1), 0x80);
	assert_int_equal(machine_in(0x40, 1), 0x80);
	machine_out(0x43, 1, 0x24);
	machine_out(0x40, 1, 0x80);
	assert_int_equal(machine_in(0x40, 1), 0x80);
	assert_int_equal(machine_in(0x43, 1), 0xff);
}

/* Does read-back latch status and count of several channels? */
static void test_read_back(void **state)
{
	(void)state;
	program(0, 0x34, 0x4000);
	machine_out(0x43, 1, 0xb0); /* channel 2, mode 0, no count yet */
	machine_out(0x43, 1, 0xe0 | 2 << 0 | 2 << 2);
	assert_int_equal(machine_in(0x40, 1), 0xb4);
	assert_int_equal(machine_in(0x42, 1), 0x70);
	program(0, 0x34, 0x4000);
	machine_out(0x43, 1, 0xc2);
	assert_int_equal(machine_in(0x40, 1) & 0x3f, 0x34);
	assert_int_equal(read16(0), 0x4000);
}

/* Can a kernel time a loop with channel 2: gate, count, output in port 0x61? */
static void test_speaker(void **state)
{
	(void)state;
	machine_out(0x61, 1, 1);
	program(2, 0x30, 11932); /* 10 ms */
	assert_int_equal(machine_in(0x61, 1) & 0x23, 0x01);
	fake_monotonic += 9990000;
	assert_int_equal(machine_in(0x61, 1) & 0x20, 0);
	fake_monotonic += 20000;
	assert_int_equal(machine_in(0x61, 1) & 0x20, 0x20);
	/* The refresh bit moves with time. */
	fake_monotonic = 15085;
	assert_int_equal(machine_in(0x61, 1) & 0x10, 0x10);
	fake_monotonic = 2 * 15085;
	assert_int_equal(machine_in(0x61, 1) & 0x10, 0);
	machine_out(0x61, 1, 0xff);
	assert_int_equal(machine_in(0x61, 1) & 0xc3, 3);
}

/* Does a gate that is shut hold a periodic channel, and a rising one start it anew? */
static void test_gate(void **state)
{
	(void)state;
	program(2, 0xb4 & 0x3f, 1000);
	fake_monotonic += TICKS(10);
	assert_int_equal(latched(2), 1000);
	machine_out(0x61, 1, 1);
	fake_monotonic += TICKS(10);
	assert_in_range(latched(2), 989, 990);
}

/* Does channel 0 pulse IRQ 0 once in mode 0, again and again in mode 2, and never else? */
static void test_irq(void **state)
{
	unsigned int before;

	(void)state;
	program(0, 0x30, 1193);
	machine_wait(fake_hsm.pulses[GSI] == 1);
	usleep(5000);
	assert_int_equal(fake_hsm.pulses[GSI], 1);
	program(0, 0x34, 1193);
	machine_wait(fake_hsm.pulses[GSI] >= 4);
	machine_out(0x43, 1, 0x34); /* a new mode stops it until it is loaded */
	usleep(2000);
	before = fake_hsm.pulses[GSI];
	usleep(5000);
	assert_int_equal(fake_hsm.pulses[GSI], before);
	program(2, 0x34, 1193);
	usleep(5000);
	assert_int_equal(fake_hsm.pulses[GSI], before);
	program(0, 0x34, 1193);
	platform_reset(&machine);
	before = fake_hsm.pulses[GSI];
	usleep(5000);
	assert_in_range(fake_hsm.pulses[GSI], before, before + 1);
}

/* What if the guest asks for a million interrupts a second? */
static void test_storm(void **state)
{
	(void)state;
	program(0, 0x34, 1);
	usleep(10000);
	assert_in_range(fake_hsm.pulses[GSI], 1, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_count, setup, teardown),
		cmocka_unit_test_setup_teardown(test_access, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_speaker, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_irq, setup, teardown),
		cmocka_unit_test_setup_teardown(test_storm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
