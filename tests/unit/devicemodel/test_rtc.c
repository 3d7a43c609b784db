// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a guest that reads or sets the clock through CMOS get the time right, in every format,
 * and its interrupts when it asks for them?
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

#define IRQ   8
#define SET   0x80
#define PIE   0x40
#define AIE   0x20
#define UIE   0x10
#define BIN   0x04
#define H24   0x02
#define NS    1000000000ULL
#define START 951827696ULL /* 2000-02-29 12:34:56 UTC, a Tuesday */

static int setup(void **state)
{
	(void)state;
	fake_hsm_reset();
	fake_realtime = START * NS;
	machine_create("");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	machine_destroy();
	return 0;
}

static uint8_t get(uint8_t reg)
{
	machine_out(0x70, 1, reg);
	return (uint8_t)machine_in(0x71, 1);
}

static void set(uint8_t reg, uint8_t value)
{
	machine_out(0x70, 1, reg);
	machine_out(0x71, 1, value);
}

/* What time is it, in BCD, binary, 24 and 12 hours, with and without the NMI bit? */
static void test_read(void **state)
{
	static const struct {
		uint8_t reg, bcd, binary;
	} regs[] = {{0, 0x56, 56}, {2, 0x34, 34}, {4, 0x12, 12}, {6, 3, 3},
		    {7, 0x29, 29}, {8, 2, 2},	  {9, 0, 0},	 {0x32, 0x20, 20}};

	(void)state;
	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		assert_int_equal(get(regs[i].reg), regs[i].bcd);
	assert_int_equal(get(0x80 | 2), 0x34);
	set(0xb, BIN | H24);
	for (size_t i = 0; i < sizeof(regs) / sizeof(regs[0]); i++)
		assert_int_equal(get(regs[i].reg), regs[i].binary);
	set(0xb, 0);
	assert_int_equal(get(4), 0x92); /* 12 PM */
	fake_realtime -= 12 * 3600 * NS;
	assert_int_equal(get(4), 0x12); /* 12 AM */
	fake_realtime += 3600 * NS;
	assert_int_equal(get(4), 0x01);
	fake_realtime += 14 * 3600 * NS;
	assert_int_equal(get(4), 0x83);
	assert_int_equal(get(0xd), 0x80);
	assert_int_equal(machine_in(0x70, 1), 0xff);
}

/* What if the guest sets the time, all at once under SET or register by register? */
static void test_set(void **state)
{
	(void)state;
	set(0xb, SET | H24);
	set(0, 0x59);
	set(2, 0x59);
	set(4, 0x23);
	set(7, 0x31);
	set(8, 0x12);
	set(9, 0x99);
	set(0x32, 0x19);
	fake_realtime += 5 * NS;
	assert_int_equal(get(0), 0x59); /* the clock stands */
	set(0xb, H24);
	assert_int_equal(get(0), 0x59);
	fake_realtime += NS;
	assert_int_equal(get(0), 0);
	assert_int_equal(get(9), 0);
	assert_int_equal(get(0x32), 0x20);
	assert_int_equal(get(6), 7); /* 2000-01-01 was a Saturday */
	set(2, 0x30);
	assert_int_equal(get(2), 0x30);
	assert_int_equal(get(4), 0);
	assert_int_equal(get(8), 1);
}

/* What if it writes nonsense as the time? */
static void test_nonsense(void **state)
{
	(void)state;
	for (unsigned int reg = 0; reg < 10; reg++)
		set((uint8_t)reg, 0xff);
	set(0x32, 0xff);
	set(0xb, SET | H24);
	for (unsigned int reg = 0; reg < 10; reg++)
		set((uint8_t)reg, 0);
	set(0x32, 0xee);
	set(0xb, H24);
	(void)get(0);
	assert_in_range(get(2), 0, 0x59);
	/* Before the year 0: a month and a day before January 1st. */
	set(0xb, SET | H24);
	set(7, 0);
	set(8, 0);
	set(9, 0);
	set(0x32, 0);
	set(0xb, H24);
	assert_int_equal(get(9), 0);
	assert_int_equal(get(8), 1);
	assert_int_equal(get(7), 1);
}

/* Is UIP seen just before the second, and not while the clock stands? */
static void test_uip(void **state)
{
	(void)state;
	assert_int_equal(get(0xa), 0x26);
	fake_realtime += NS - 245000;
	assert_int_equal(get(0xa), 0x26);
	fake_realtime += 2000;
	assert_int_equal(get(0xa), 0xa6);
	set(0xa, 0xff);
	assert_int_equal(get(0xa), 0xff);
	set(0xb, SET | H24);
	assert_int_equal(get(0xa), 0x7f);
}

/* Does CMOS memory keep what is written, over a reset too, and end at 128 bytes? */
static void test_memory(void **state)
{
	(void)state;
	set(0x0e, 0x12);
	set(0x7f, 0x34);
	set(0xc, 0xff);
	set(0xd, 0);
	platform_reset(&machine);
	assert_int_equal(get(0x0e), 0x12);
	assert_int_equal(get(0x7f), 0x34);
	assert_int_equal(get(0xc), 0);
	assert_int_equal(get(0xd), 0x80);
	assert_int_equal(get(0xb), H24);
}

/* Do periodic interrupts come, are they held until C is read, and do they end? */
static void test_periodic(void **state)
{
	(void)state;
	set(0xa, 0x26);
	set(0xb, PIE | H24);
	machine_wait(fake_hsm.line[IRQ]);
	assert_int_equal(get(0xc) & 0xc0, 0xc0);
	assert_false(fake_hsm.line[IRQ] && fake_hsm.rises[IRQ] == 1);
	machine_wait(fake_hsm.rises[IRQ] >= 3 || (get(0xc), false));
	set(0xb, H24);
	usleep(3000);
	(void)get(0xc);
	usleep(5000);
	assert_int_equal(get(0xc) & 0x80, 0);
	assert_false(fake_hsm.line[IRQ]);
}

/* Does the update interrupt come at the second's turn? */
static void test_update(void **state)
{
	(void)state;
	fake_realtime += NS - 5000000;
	set(0xb, UIE | H24);
	machine_wait(fake_hsm.line[IRQ]);
	assert_int_equal(get(0xc), 0x90);
	assert_false(fake_hsm.line[IRQ]);
}

/* Does the alarm come at its time, at any hour if told so, and not at another? */
static void test_alarm(void **state)
{
	(void)state;
	set(1, 0x57);
	set(3, 0x34);
	set(5, 0xff);
	fake_realtime += NS - 5000000;
	set(0xb, AIE | H24);
	usleep(20000);
	assert_false(fake_hsm.line[IRQ]);
	fake_realtime += NS; /* :57 */
	set(0xb, H24);
	fake_realtime = (START + 1) * NS + NS - 5000000;
	set(0xb, AIE | H24);
	machine_wait(fake_hsm.line[IRQ]);
	assert_int_equal(get(0xc) & 0xa0, 0xa0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_read, setup, teardown),
		cmocka_unit_test_setup_teardown(test_set, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nonsense, setup, teardown),
		cmocka_unit_test_setup_teardown(test_uip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_periodic, setup, teardown),
		cmocka_unit_test_setup_teardown(test_update, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alarm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
