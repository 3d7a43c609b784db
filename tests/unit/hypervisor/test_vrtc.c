// SPDX-License-Identifier: BSD-3-Clause
/*
 * The CMOS clock of VMs that have no other: what time it tells, in which form, and that a guest
 * sets its own alone.
 */
/* links: @machine @guest hypervisor/pre_launched/vrtc.c */
#include <time.h>

#include "guest_machine.h"

#define START 1709164799UL /* 28 February 2024, 23:59:59: a leap year's */

static uint8_t cmos[128];
static uint8_t cmos_index;

static uint32_t cmos_io(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	assert_int_equal(width, 1);
	if (port == 0x70U)
		cmos_index = (uint8_t)val & 0x7FU;
	else
		assert_false(write); /* the machine's clock is read only */
	return cmos[cmos_index];
}

static struct vm clock_vms[2];
static struct vcpu vcpus[2];

/* The machine says START in BCD; two pre-launched VMs. */
static int setup(void **state)
{
	fake_machine_reset();
	(void)guest_setup(state);
	guest_stop();
	fake_pio_hook(0x70, 2, cmos_io);
	cmos[0] = 0x59;
	cmos[2] = 0x59;
	cmos[4] = 0x23;
	cmos[7] = 0x28;
	cmos[8] = 0x02;
	cmos[9] = 0x24;
	cmos[0x32] = 0x20;
	cmos[0xB] = 2;
	fake_tsc_step = 0;
	assert_int_equal(unit_boot(), 0);
	for (uint16_t i = 0; i < 2U; i++) {
		clock_vms[i] = (struct vm){.id = (uint16_t)(2U + i), .load_order = PRE_LAUNCHED_VM};
		assert_int_equal(unit_vm_init(&clock_vms[i]), 0);
		vcpus[i] = (struct vcpu){.vm = &clock_vms[i]};
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 2U; i++)
		unit_vm_deinit(&clock_vms[i]);
	return 0;
}

static void out(uint32_t vm, uint16_t port, uint8_t val)
{
	struct io_access io = {.kind = IO_PIO, .write = true, .width = 1, .addr = port, .value = val};

	vio_dispatch(&vcpus[vm], &io);
}

static uint8_t in(uint32_t vm, uint16_t port)
{
	struct io_access io = {.kind = IO_PIO, .width = 1, .addr = port};

	vio_dispatch(&vcpus[vm], &io);
	return (uint8_t)io.value;
}

static uint8_t get(uint32_t vm, uint8_t reg)
{
	out(vm, 0x70, reg | 0x80U); /* with NMIs masked, as firmware does */
	return in(vm, 0x71);
}

static void put(uint32_t vm, uint8_t reg, uint8_t val)
{
	out(vm, 0x70, reg);
	out(vm, 0x71, val);
}

static uint32_t bcd(uint8_t v)
{
	return (uint32_t)(v >> 4) * 10U + (v & 15U);
}

/* What the registers say, as the C library counts. */
static uint64_t now(uint32_t vm)
{
	struct tm t = {
		.tm_sec = (int)bcd(get(vm, 0)),
		.tm_min = (int)bcd(get(vm, 2)),
		.tm_hour = (int)bcd(get(vm, 4)),
		.tm_mday = (int)bcd(get(vm, 7)),
		.tm_mon = (int)bcd(get(vm, 8)) - 1,
		.tm_year = (int)(bcd(get(vm, 0x32)) * 100U + bcd(get(vm, 9))) - 1900,
	};

	return (uint64_t)timegm(&t);
}

static void pass(uint64_t seconds)
{
	fake_tsc += seconds * 1000000000UL;
}

/* Does it tell the machine's time, and go on over leap days, years and centuries? */
static void test_goes_on(void **state)
{
	static const uint64_t steps[] = {0, 1, 1, 86398, 86400, 306 * 86400UL, 3600, 365 * 86400UL,
					 1461 * 86400UL, 75 * 365 * 86400UL, 12345678};
	uint64_t want = START;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		time_t t;

		pass(steps[i]);
		want += steps[i];
		t = (time_t)want;
		assert_int_equal(now(0), want);
		assert_int_equal(get(0, 6), gmtime(&t)->tm_wday + 1);
	}
	pass(0);
	assert_int_equal(get(0, 0xA), 0x26); /* never in the middle of an update */
	assert_int_equal(get(0, 0xD), 0x80);
	assert_int_equal(get(0, 0xC), 0);
}

/* Binary and 12-hour forms, at the hours where they differ. */
static void test_forms(void **state)
{
	static const struct {
		uint32_t hour;
		uint8_t bcd12, bin24;
	} hours[] = {{0, 0x12, 0}, {1, 0x01, 1}, {11, 0x11, 11}, {12, 0x92, 12}, {13, 0x81, 13},
		     {23, 0x91, 23}};

	(void)state;
	pass(1); /* midnight */
	for (size_t i = 0; i < ARRAY_SIZE(hours); i++) {
		put(0, 0xB, 2);
		put(0, 4, (uint8_t)(hours[i].hour / 10U * 16U + hours[i].hour % 10U));
		put(0, 0xB, 0);
		assert_int_equal(get(0, 4), hours[i].bcd12);
		put(0, 4, hours[i].bcd12); /* and written in that form */
		put(0, 0xB, 6);
		assert_int_equal(get(0, 4), hours[i].bin24);
	}
	assert_int_equal(get(0, 9), 24);
	assert_int_equal(get(0, 0x32), 20);
}

/* Setting: with SET the clock stands still and starts again from what was written. */
static void test_set(void **state)
{
	(void)state;
	put(0, 0xB, 0x82);
	assert_int_equal(now(0), START);
	pass(100);
	assert_int_equal(now(0), START);
	put(0, 0, 0);
	put(0, 2, 0x30);
	put(0, 4, 0x12);
	put(0, 7, 0x31);
	put(0, 8, 0x12);
	put(0, 9, 0x99);
	put(0, 0x32, 0x19);
	put(0, 0xB, 2);
	pass(1);
	assert_int_equal(now(0), 946643401); /* 31 December 1999, 12:30:01 */
	assert_int_equal(now(1), START + 101U); /* the other VM's is untouched */
	put(0, 2, 0x31); /* without SET: at once */
	assert_int_equal(now(0), 946643461);
}

/* Nonsense is taken as far as it goes: nothing breaks, and a later time can be set. */
static void test_nonsense(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < 256U; v += 5U) {
		for (uint8_t reg = 0; reg < 10U; reg++)
			put(0, reg, (uint8_t)v);
		put(0, 0x32, (uint8_t)v);
		(void)now(0);
	}
	put(0, 0xB, 0x82);
	put(0, 0, 1);
	put(0, 2, 1);
	put(0, 4, 1);
	put(0, 7, 1);
	put(0, 8, 1);
	put(0, 9, 0x30);
	put(0, 0x32, 0x20);
	put(0, 0xB, 2);
	assert_int_equal(now(0), 1893459661);
}

/* The memory behind the clock is the VM's, over a reset as well; odd widths read all-ones. */
static void test_memory(void **state)
{
	struct io_access io = {.kind = IO_PIO, .width = 2, .addr = 0x71};

	(void)state;
	put(0, 0x40, 0x5A);
	put(0, 0xD, 0);
	put(0, 0xC, 0xFF);
	put(0, 0xB, 0x82);
	unit_vm_reset(&clock_vms[0]);
	assert_int_equal(get(0, 0x40), 0x5A);
	assert_int_equal(get(1, 0x40), 0);
	assert_int_equal(get(0, 0xB), 2);
	assert_int_equal(get(0, 0xD), 0x80);
	assert_int_equal(get(0, 0xC), 0);
	assert_int_equal(in(0, 0x70), 0xFF);
	vio_dispatch(&vcpus[0], &io);
	assert_int_equal(io.value, UINT64_MAX);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_goes_on), T(test_forms), T(test_set), T(test_nonsense), T(test_memory),
	};

	return cmocka_run_group_tests_name("vrtc", tests, NULL, NULL);
}
