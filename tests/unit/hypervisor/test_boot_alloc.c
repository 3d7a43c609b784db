// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is the hypervisor's own memory taken from the map once, large enough for what the machine and
 * the scenario need, never handed out twice, and never a guest's?
 */
// links: hypervisor/arch/x86/mm/pool.c tests/fake/fake_machine.c tests/fake/fake_log.c tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_machine.h"
#include "fake_report.h"
#include "hv/caps.h"
/* Included, not linked: each test begins before the boot, which only the file's own state knows. */
#include "../../../hypervisor/arch/x86/mm/boot_alloc.c"

__asm__(".bss\n.balign 4096\n.globl hv_start, hv_end\nhv_start: .skip 0x11000\nhv_end:\n.text");

struct e820 host_e820;
static uint64_t ram, top, trampoline_page, asked_size, asked_limit;
static void *memory;
static struct {
	uint64_t base, size;
} reserved[8];
static uint32_t reserved_count;
static int reserve_result;

static bool large_pages;

bool cap_has(enum cpu_cap cap)
{
	assert_true(cap == CAP_EPT_2M || cap == CAP_1G_PAGES);
	return large_pages;
}

uint64_t e820_ram_size(const struct e820 *map)
{
	(void)map;
	return ram;
}

uint64_t e820_top(const struct e820 *map)
{
	(void)map;
	return top;
}

uint64_t e820_find_top(uint64_t size, uint64_t align, uint64_t limit)
{
	asked_size = size;
	asked_limit = limit;
	assert_int_equal(align, PAGE_SIZE_2M);
	if (size > ram)
		return UINT64_MAX;
	memory = aligned_alloc(align, size);
	memset(memory, 0xEE, size);
	return (uintptr_t)memory;
}

int e820_reserve(uint64_t base, uint64_t size)
{
	reserved[reserved_count].base = base;
	reserved[reserved_count++].size = size;
	return reserve_result;
}

hpa_t pcpu_trampoline(void)
{
	return HPA(trampoline_page);
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_report_reset();
	pcpu_count = 4;
	sealed = false;
	region_base = region_size = region_next = 0;
	shared_base = shared_size = 0;
	large_pages = true;
	ram = MB(256);
	top = MB(256);
	trampoline_page = 0;
	reserved_count = 0;
	reserve_result = 0;
	memset(&page_pool, 0, sizeof(page_pool));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(memory);
	memory = NULL;
	return 0;
}

/* What is taken from the map: the region and the image, below 4 GB, whole pages? */
static void test_init(void **state)
{
	(void)state;
	assert_int_equal(boot_alloc_init(), 0);
	assert_true(asked_limit <= GB(4));
	assert_int_equal(asked_size % PAGE_SIZE_2M, 0);
	assert_int_equal(reserved_count, 2);
	assert_int_equal(reserved[0].base, (uintptr_t)memory);
	assert_int_equal(reserved[0].size, asked_size);
	assert_int_equal(reserved[1].base, (uintptr_t)hv_start);
	assert_int_equal(reserved[1].size, 0x11000);
	assert_true(page_pool.total >= ram / MB(2));
	assert_int_equal(page_pool.size, PAGE_SIZE);
}

/* What if more RAM and more CPUs are there? The region grows with them. */
static void test_scales(void **state)
{
	uint64_t small;

	(void)state;
	assert_int_equal(boot_alloc_init(), 0);
	small = asked_size;
	(void)teardown(NULL);
	(void)setup(NULL);
	ram = GB(16);
	top = GB(20);
	assert_int_equal(boot_alloc_init(), 0);
	/* one table for each 2 MB that a VM may have in small pages */
	assert_true(asked_size >= small + (GB(16) - MB(256)) / MB(2) * PAGE_SIZE - PAGE_SIZE_2M);
}

/* What if the CPU has no large pages? The Service VM's map and the host's take more tables. */
static void test_small_pages(void **state)
{
	uint64_t small;
	uint32_t pages;

	(void)state;
	top = GB(16);
	assert_int_equal(boot_alloc_init(), 0);
	small = asked_size;
	pages = page_pool.total;
	(void)teardown(NULL);
	(void)setup(NULL);
	top = GB(16);
	large_pages = false;
	assert_int_equal(boot_alloc_init(), 0);
	assert_int_equal(page_pool.total, pages + GB(16) / MB(2));
	assert_true(asked_size >= small + (GB(16) / MB(2) + 16) * PAGE_SIZE - PAGE_SIZE_2M);
}

/* What if there is no room, or the map has none for the reservation? */
static void test_no_room(void **state)
{
	(void)state;
	ram = MB(1);
	assert_int_equal(boot_alloc_init(), -ENOMEM);
	assert_true(fake_reported("free RAM below 4 GB"));
	ram = MB(256);
	reserve_result = -ENOSPC;
	assert_int_equal(boot_alloc_init(), -ENOMEM);
}

/* Are allocations aligned, zeroed and apart; and what if the region ends? */
static void test_alloc(void **state)
{
	static const uint8_t zeros[300];
	uint8_t *a, *b, *c;

	(void)state;
	assert_int_equal(boot_alloc_init(), 0);
	a = boot_alloc(300, 8);
	b = boot_alloc(1, PAGE_SIZE);
	c = boot_alloc(300, 64);
	assert_memory_equal(a, zeros, 300);
	assert_memory_equal(c, zeros, 300);
	assert_int_equal((uintptr_t)b % PAGE_SIZE, 0);
	assert_true(b >= a + 300 && c >= b + 1);
	assert_true(hv_owns(HPA(a), 300));
	assert_true(c + 300 <= (uint8_t *)memory + asked_size);
	expect_assert_failure(boot_alloc(asked_size, 8));
	assert_true(strstr(fake_log_last, "too small") != NULL);
	expect_assert_failure(boot_alloc_raw(SIZE_MAX - 100, 8));
}

/* What if somebody allocates after the seal? And who gets what was left? */
static void test_seal(void **state)
{
	uint32_t before;
	uint64_t left;
	void *page;

	(void)state;
	assert_int_equal(boot_alloc_init(), 0);
	(void)boot_alloc(5, 1);
	before = page_pool.total;
	left = region_base + region_size - region_next;
	boot_alloc_seal();
	assert_int_equal(page_pool.total - before, left / PAGE_SIZE);
	expect_assert_failure(boot_alloc(1, 1));
	for (uint32_t i = 0; i < page_pool.total; i++) {
		page = pool_get(&page_pool);
		assert_non_null(page);
		assert_true(hv_owns(ptr_hpa(page), PAGE_SIZE));
		assert_true((uint8_t *)page + PAGE_SIZE <= (uint8_t *)memory + asked_size);
	}
	assert_null(pool_get(&page_pool));
}

/* What is the hypervisor's: at the edges, across them, around it, with a size that wraps? */
static void test_owns(void **state)
{
	uint64_t base, image = (uintptr_t)hv_start;

	(void)state;
	assert_int_equal(boot_alloc_init(), 0);
	base = (uintptr_t)memory;
	assert_true(hv_owns(HPA(base), 1));
	assert_true(hv_owns(HPA(base + asked_size - 1), 1));
	assert_false(hv_owns(HPA(base + asked_size), 0x1000));
	assert_false(hv_owns(HPA(base - 0x1000), 0x1000));
	assert_true(hv_owns(HPA(base - 0x1000), 0x1001));
	assert_true(hv_owns(HPA(base - 0x1000), GB(64)));
	assert_true(hv_owns(HPA(0x1000), UINT64_MAX));
	assert_true(hv_owns(HPA(image + 0x10FFF), 1));
	assert_true(hv_owns(HPA(image - 1), 2));
	assert_false(hv_owns(HPA(UINT64_MAX - 0xFFF), 0x1000));
	assert_false(hv_owns(HPA(0x8000), 0x1000));
	trampoline_page = 0x8000;
	assert_true(hv_owns(HPA(0x8FFF), 1));
	assert_false(hv_owns(HPA(0x9000), 0x1000));
}

/* Memory for guests to see: cleared, reserved, the hypervisor's own; or none where none is free. */
static void test_shared(void **state)
{
	uint8_t *shared;
	void *own;
	hpa_t base;

	(void)state;
	assert_int_equal(boot_alloc_init(), 0);
	own = memory;
	assert_int_equal(boot_alloc_shared(MB(512), &base), -ENOMEM);
	reserve_result = -ENOSPC;
	assert_int_equal(boot_alloc_shared(MB(4), &base), -ENOMEM);
	free(memory);
	reserve_result = 0;
	assert_int_equal(boot_alloc_shared(MB(4), &base), 0);
	shared = memory;
	assert_int_equal(base.v, (uintptr_t)shared);
	assert_int_equal(asked_limit, UINT64_MAX); /* above 4 GB as well */
	assert_int_equal(shared[0] | shared[MB(4) - 1U], 0);
	assert_int_equal(reserved[reserved_count - 1U].base, base.v);
	assert_int_equal(reserved[reserved_count - 1U].size, MB(4));
	assert_true(hv_owns(base, 1) && hv_owns(HPA(base.v + MB(4) - 1U), 1));
	free(own);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_init, setup, teardown),
		cmocka_unit_test_setup_teardown(test_scales, setup, teardown),
		cmocka_unit_test_setup_teardown(test_small_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
		cmocka_unit_test_setup_teardown(test_alloc, setup, teardown),
		cmocka_unit_test_setup_teardown(test_seal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_owns, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
