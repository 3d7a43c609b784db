// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/guest/ve820.c
/*
 * Memory maps for guests, and the search for room in one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hv/ve820.h"

struct e820 host_e820;

static const struct e820 map = {
	.count = 5,
	.r = {
		{.base = 0, .size = 0x9F000, .type = MEM_RAM},
		{.base = 0x9F000, .size = 0x61000, .type = MEM_RESERVED},
		{.base = 0x100000, .size = 0x1F00000, .type = MEM_RAM},
		{.base = 0x2000000, .size = 0x10000, .type = MEM_ACPI},
		{.base = GB(4), .size = GB(1), .type = MEM_RAM},
	},
};

static struct ve820_search search(uint64_t size, uint64_t align)
{
	return (struct ve820_search){.map = &map, .size = size, .align = align, .limit = UINT64_MAX};
}

/* Does the Service VM see the machine's map? */
static void test_service_map(void **state)
{
	struct e820 copy;

	(void)state;
	host_e820 = map;
	ve820_service(&copy);
	assert_int_equal(copy.count, map.count);
	assert_memory_equal(copy.r, map.r, map.count * sizeof(map.r[0]));
}

/* What does a pre-launched VM see of its memory: no hole twice, none of it lost? */
static void test_pre_launched(void **state)
{
	struct e820 own;

	(void)state;
	ve820_pre_launched(&own, MB(64));
	assert_int_equal(own.count, 3);
	assert_int_equal(own.r[0].base + own.r[0].size, 0xA0000);
	assert_int_equal(own.r[1].base, 0xF0000);
	assert_int_equal(own.r[1].type, MEM_RESERVED);
	assert_int_equal(own.r[2].base, 0x100000);
	assert_int_equal(own.r[2].base + own.r[2].size, MB(64));
	ve820_pre_launched(&own, GB(3));
	assert_int_equal(own.count, 4);
	assert_int_equal(own.r[2].base + own.r[2].size, VE820_LOW_TOP);
	assert_int_equal(own.r[3].base, GB(4));
	assert_int_equal(own.r[3].size, GB(3) - VE820_LOW_TOP);
}

static void test_low(void **state)
{
	struct ve820_search s = search(MB(2), MB(2));

	(void)state;
	assert_int_equal(ve820_find_low(&s), MB(2));
	s.from = MB(16);
	assert_int_equal(ve820_find_low(&s), MB(16));
	s.from = MB(31);
	assert_int_equal(ve820_find_low(&s), GB(4));
	s.limit = GB(4);
	assert_int_equal(ve820_find_low(&s), UINT64_MAX);
	/* exactly the whole, and a byte too much */
	s = search(0x1F00000, PAGE_SIZE);
	s.limit = GB(4);
	assert_int_equal(ve820_find_low(&s), 0x100000);
	s.size++;
	assert_int_equal(ve820_find_low(&s), UINT64_MAX);
}

static void test_high(void **state)
{
	struct ve820_search s = search(0x3000, PAGE_SIZE);

	(void)state;
	assert_int_equal(ve820_find_high(&s), GB(5) - 0x3000);
	s.limit = 0x90000;
	assert_int_equal(ve820_find_high(&s), 0x8D000);
	s.limit = 0x9F800; /* amid a page */
	assert_int_equal(ve820_find_high(&s), 0x9C000);
	s.from = 0x9D000;
	s.limit = 0xA0000;
	assert_int_equal(ve820_find_high(&s), UINT64_MAX);
}

/* Around what is busy: below it, above it, between two, and nowhere. */
static void test_busy(void **state)
{
	struct mem_range busy[] = {
		{.base = 0x600000, .size = 0x234567},
		{.base = 0x500000, .size = 0x1000},
		{.base = 0x100000, .size = 0}, /* nothing is no obstacle */
	};
	struct ve820_search s = search(MB(4), MB(1));

	(void)state;
	s.busy = busy;
	s.busy_count = 3;
	s.from = MB(1);
	s.limit = GB(4);
	assert_int_equal(ve820_find_low(&s), 0x100000);
	s.from = MB(2);
	assert_int_equal(ve820_find_low(&s), 0x900000);
	s.limit = 0x900000;
	assert_int_equal(ve820_find_high(&s), UINT64_MAX);
	s.size = 0xFF000;
	s.align = PAGE_SIZE;
	assert_int_equal(ve820_find_high(&s), 0x501000);
	busy[2] = (struct mem_range){.base = 0, .size = UINT64_MAX};
	assert_int_equal(ve820_find_low(&s), UINT64_MAX);
	assert_int_equal(ve820_find_high(&s), UINT64_MAX);
}

/* Numbers as a damaged kernel header could ask for. */
static void test_wild(void **state)
{
	struct ve820_search s = search(UINT64_MAX, PAGE_SIZE);

	(void)state;
	assert_int_equal(ve820_find_low(&s), UINT64_MAX);
	assert_int_equal(ve820_find_high(&s), UINT64_MAX);
	s.size = 0;
	assert_int_equal(ve820_find_low(&s), UINT64_MAX);
	s = search(PAGE_SIZE, BIT(31));
	assert_int_equal(ve820_find_low(&s), 0);
	s.from = 1;
	assert_int_equal(ve820_find_low(&s), GB(4));
	s.from = UINT64_MAX;
	assert_int_equal(ve820_find_low(&s), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_service_map), cmocka_unit_test(test_pre_launched),
		cmocka_unit_test(test_low),
		cmocka_unit_test(test_high),	    cmocka_unit_test(test_busy),
		cmocka_unit_test(test_wild),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
