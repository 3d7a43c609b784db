// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is a CPU's place in the MADT found as the hypervisor counts it, and does a broken table end
 * the search rather than the program?
 */
// links: devicemodel/core/cpu_map.c
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cpu_map.h"

static uint8_t madt[256];
static size_t len;

static void begin(void)
{
	memset(madt, 0, sizeof(madt));
	memcpy(madt, "APIC", 4);
	len = 44;
}

static void lapic(uint8_t id, uint32_t flags)
{
	madt[len] = 0;
	madt[len + 1] = 8;
	madt[len + 3] = id;
	memcpy(madt + len + 4, &flags, 4);
	len += 8;
}

static void x2apic(uint32_t id, uint32_t flags)
{
	madt[len] = 9;
	madt[len + 1] = 16;
	memcpy(madt + len + 4, &id, 4);
	memcpy(madt + len + 8, &flags, 4);
	len += 16;
}

/* What if ids have holes, entries are disabled, and other entries lie between? */
static void test_order(void **state)
{
	(void)state;
	begin();
	lapic(0, 1);
	lapic(4, 1);
	lapic(255, 0);
	madt[len] = 1; /* an IOAPIC */
	madt[len + 1] = 12;
	len += 12;
	lapic(2, 1);
	x2apic(300, 1);
	assert_int_equal(cpu_map_search_madt(madt, len, 0), 0);
	assert_int_equal(cpu_map_search_madt(madt, len, 4), 1);
	assert_int_equal(cpu_map_search_madt(madt, len, 2), 2);
	assert_int_equal(cpu_map_search_madt(madt, len, 300), 3);
	assert_int_equal(cpu_map_search_madt(madt, len, 255), -ENOENT);
	assert_int_equal(cpu_map_search_madt(madt, len, 1), -ENOENT);
}

/* What if an entry has no length, or reaches beyond the table? */
static void test_broken(void **state)
{
	(void)state;
	begin();
	lapic(0, 1);
	madt[len + 1] = 0;
	assert_int_equal(cpu_map_search_madt(madt, sizeof(madt), 7), -ENOENT);
	begin();
	lapic(0, 1);
	lapic(7, 1);
	assert_int_equal(cpu_map_search_madt(madt, len - 1, 7), -ENOENT);
	assert_int_equal(cpu_map_search_madt(madt, len - 7, 7), -ENOENT);
	assert_int_equal(cpu_map_search_madt(madt, 0, 0), -ENOENT);
	begin();
	madt[len + 1] = 4; /* a LAPIC entry too short to hold its flags */
	len += 4;
	lapic(7, 1);
	assert_int_equal(cpu_map_search_madt(madt, len, 7), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_broken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
