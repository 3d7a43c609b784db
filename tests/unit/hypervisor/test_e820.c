// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the machine's memory map come out sorted, whole-paged and without overlap, whatever the
 * firmware wrote; and does nobody get memory that something lies in?
 */
// links: tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_report.h"
/* Included, not linked: each test begins with an empty raw map, which only the file itself has. */
#include "../../../hypervisor/boot/e820.c"

/* The image: 64 KB that lie at 16 MB of the fake machine. */
__asm__(".bss\n.balign 4096\n.globl hv_start, hv_end\nhv_start: .skip 0x10000\nhv_end:\n.text");
#define IMAGE 0x1000000UL

struct boot_info boot_info;

hpa_t ptr_hpa(const volatile void *p)
{
	(void)p;
	return HPA(IMAGE);
}

static int setup(void **state)
{
	(void)state;
	raw_count = 0;
	raw_left_out = false;
	host_e820.count = 0;
	memset(&boot_info, 0, sizeof(boot_info));
	fake_report_reset();
	return 0;
}

static void expect_map(const struct mem_range *want, uint32_t count)
{
	assert_int_equal(host_e820.count, count);
	for (uint32_t i = 0; i < count; i++) {
		assert_int_equal(host_e820.r[i].base, want[i].base);
		assert_int_equal(host_e820.r[i].size, want[i].size);
		assert_int_equal(host_e820.r[i].type, want[i].type);
	}
}

#define EXPECT_MAP(...)                                                                            \
	do {                                                                                       \
		const struct mem_range want_[] = {__VA_ARGS__};                                    \
		expect_map(want_, ARRAY_SIZE(want_));                                              \
	} while (0)

/* What if the firmware lists its memory unsorted and in touching pieces? */
static void test_sort_and_merge(void **state)
{
	(void)state;
	e820_add_raw(0x100000000, 0x40000000, MEM_RAM);
	e820_add_raw(0x200000, 0x100000, MEM_RAM);
	e820_add_raw(0x100000, 0x100000, MEM_RAM);
	e820_add_raw(0x300000, 0x1000, MEM_NVS);
	e820_add_raw(0, 0x9F000, MEM_RAM);
	assert_int_equal(e820_init(), 0);
	EXPECT_MAP({0, 0x9F000, MEM_RAM, 0}, {0x100000, 0x200000, MEM_RAM, 0},
		   {0x300000, 0x1000, MEM_NVS, 0}, {0x100000000, 0x40000000, MEM_RAM, 0});
	assert_int_equal(e820_top(&host_e820), 0x140000000);
	assert_int_equal(e820_ram_size(&host_e820), 0x9F000 + 0x200000 + 0x40000000);
	assert_int_equal(fake_report_lines, 0);
}

/* What if entries contradict each other? The less usable claim wins, in either order. */
static void test_contradictions(void **state)
{
	static const uint32_t weak_to_strong[] = {MEM_RAM, MEM_ACPI, MEM_NVS, MEM_RESERVED, MEM_BAD};

	for (size_t a = 0; a < 5; a++) {
		for (size_t b = 0; b < 5; b++) {
			(void)setup(state);
			e820_add_raw(0, 0x1000, MEM_RAM);
			e820_add_raw(0x10000, 0x1000, weak_to_strong[a]);
			e820_add_raw(0x10000, 0x1000, weak_to_strong[b]);
			assert_int_equal(e820_init(), 0);
			assert_int_equal(host_e820.count, 2);
			assert_int_equal(host_e820.r[1].type, weak_to_strong[MAX(a, b)]);
		}
	}
}

/* What if a reserved piece lies inside RAM, over its start, or over its end? */
static void test_overlaps(void **state)
{
	(void)state;
	e820_add_raw(0x100000, 0x100000, MEM_RAM);
	e820_add_raw(0xFF000, 0x2000, MEM_RESERVED);
	e820_add_raw(0x140000, 0x1000, MEM_ACPI);
	e820_add_raw(0x1FF000, 0x10000, MEM_RESERVED);
	assert_int_equal(e820_init(), 0);
	EXPECT_MAP({0xFF000, 0x2000, MEM_RESERVED, 0}, {0x101000, 0x3F000, MEM_RAM, 0},
		   {0x140000, 0x1000, MEM_ACPI, 0}, {0x141000, 0xBE000, MEM_RAM, 0},
		   {0x1FF000, 0x10000, MEM_RESERVED, 0});
}

/* What if a type is none that is known? It is not memory for anybody. */
static void test_unknown_types(void **state)
{
	(void)state;
	e820_add_raw(0, 0x1000, MEM_RAM);
	e820_add_raw(0x2000, 0x1000, 0);
	e820_add_raw(0x4000, 0x1000, 6);
	e820_add_raw(0x6000, 0x1000, UINT32_MAX);
	assert_int_equal(e820_init(), 0);
	assert_int_equal(host_e820.count, 4);
	for (uint32_t i = 1; i < 4; i++)
		assert_int_equal(host_e820.r[i].type, MEM_RESERVED);
}

/* What if RAM begins or ends inside a page, or is smaller than one? Only whole pages are used. */
static void test_partial_pages(void **state)
{
	(void)state;
	e820_add_raw(0x123, 0x5000, MEM_RAM);
	e820_add_raw(0x10001, 0x1FFE, MEM_RAM);
	e820_add_raw(0x20800, 0x400, MEM_RAM);
	e820_add_raw(0x30010, 0x10, MEM_RESERVED);
	assert_int_equal(e820_init(), 0);
	EXPECT_MAP({0x1000, 0x4000, MEM_RAM, 0}, {0x30010, 0x10, MEM_RESERVED, 0});
	assert_int_equal(e820_ram_size(&host_e820), 0x4000);
	assert_int_equal(e820_find_top(0x1000, 0x1000, 0x30000), 0x4000);
}

/* What if an entry reaches to the end of the address space, or around it? */
static void test_wrap_around(void **state)
{
	static const struct mem_range odd[] = {
		{0xFFFFFFFFFFFFF000, 0x1000, MEM_RAM, 0},  {0xFFFFFFFFFFFFF000, 0x2000, MEM_RAM, 0},
		{0xFFFFFFFFFFFFF001, 0x2000, MEM_RAM, 0},  {UINT64_MAX, UINT64_MAX, MEM_RAM, 0},
		{UINT64_MAX, 1, MEM_RESERVED, 0},	   {0x8000000000000000, 0x1000, MEM_RAM, 0},
		{0x8000, UINT64_MAX, MEM_RESERVED, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		(void)setup(state);
		e820_add_raw(0x1000, 0x4000, MEM_RAM);
		e820_add_raw(odd[i].base, odd[i].size, odd[i].type);
		assert_int_equal(e820_init(), 0);
		assert_true(host_e820.count >= 1);
		assert_int_equal(host_e820.r[0].base, 0x1000);
		assert_int_equal(host_e820.r[0].size, 0x4000);
		assert_int_equal(e820_ram_size(&host_e820), 0x4000);
		/* what the host's tables can map: the machine boots in spite of it */
		assert_true(e820_top(&host_e820) <= 1UL << 47);
	}
}

/* What if entries are empty? */
static void test_empty_entries(void **state)
{
	(void)state;
	e820_add_raw(0, 0, MEM_RAM);
	e820_add_raw(0x1000, 0x1000, MEM_RAM);
	e820_add_raw(0x1800, 0, MEM_RESERVED);
	assert_int_equal(e820_init(), 0);
	EXPECT_MAP({0x1000, 0x1000, MEM_RAM, 0});
}

/* What if there is nothing to use? */
static void test_no_ram(void **state)
{
	(void)state;
	assert_int_equal(e820_init(), -EINVAL);
	assert_int_equal(e820_top(&host_e820), 0);
	e820_add_raw(0x1000, 0x1000, MEM_RESERVED);
	e820_add_raw(0x8100, 0x200, MEM_RAM);
	assert_int_equal(e820_init(), -EINVAL);
	assert_true(fake_reported("no RAM"));
}

/* What if the map has more entries than there is room for? The rest costs itself, and one line. */
static void test_too_many(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 300; i++)
		e820_add_raw(i * 0x2000, 0x1000, MEM_RAM);
	assert_int_equal(fake_report_lines, 1);
	assert_int_equal(e820_init(), 0);
	assert_int_equal(host_e820.count, 128);
	assert_int_equal(e820_ram_size(&host_e820), 128 * 0x1000);
	/* The hypervisor's own memory must still fit in. */
	assert_int_equal(e820_reserve(0, 0x1000), 0);
	assert_int_equal(e820_reserve(0x2000, 0x1000), 0);
	assert_int_equal(e820_reserve(0x4000, 0x1000), 0);
	assert_int_equal(e820_ram_size(&host_e820), 125 * 0x1000);
}

/* What if overlaps make more parts than the map holds? What is left out is not used by anybody. */
static void test_too_many_parts(void **state)
{
	(void)state;
	e820_add_raw(0, 0x1000000, MEM_RAM);
	for (uint64_t i = 0; i < 100; i++)
		e820_add_raw(0x1000 + i * 0x2000, 0x1000, MEM_RESERVED);
	assert_int_equal(e820_init(), 0);
	assert_int_equal(host_e820.count, 128);
	assert_true(fake_reported("too many parts"));
	for (uint64_t i = 0; i < 100; i++)
		assert_false(e820_is_ram(&host_e820, 0x1000 + i * 0x2000, 0x1000));
}

/* What is RAM: at the edges, across two pieces, with a size that wraps? */
static void test_is_ram(void **state)
{
	(void)state;
	e820_add_raw(0x1000, 0x4000, MEM_RAM);
	e820_add_raw(0x5000, 0x1000, MEM_RESERVED);
	assert_int_equal(e820_init(), 0);
	assert_true(e820_is_ram(&host_e820, 0x1000, 0x4000));
	assert_true(e820_is_ram(&host_e820, 0x4FFF, 1));
	assert_false(e820_is_ram(&host_e820, 0x4FFF, 2));
	assert_false(e820_is_ram(&host_e820, 0xFFF, 1));
	assert_false(e820_is_ram(&host_e820, 0x5000, 1));
	assert_false(e820_is_ram(&host_e820, 0x1000, UINT64_MAX));
	assert_false(e820_is_ram(&host_e820, UINT64_MAX, 1));
}

/* What does a reservation leave of RAM, when it begins and ends anywhere? */
static void test_reserve(void **state)
{
	(void)state;
	e820_add_raw(0, 0x100000, MEM_RAM);
	assert_int_equal(e820_init(), 0);
	assert_int_equal(e820_reserve(0x8800, 0x1000), 0);
	EXPECT_MAP({0, 0x8000, MEM_RAM, 0}, {0x8800, 0x1000, MEM_RESERVED, 0},
		   {0xA000, 0xF6000, MEM_RAM, 0});
	assert_int_equal(e820_reserve(0x8000, 0x800), 0);
	assert_int_equal(e820_reserve(0x9800, 0x800), 0);
	EXPECT_MAP({0, 0x8000, MEM_RAM, 0}, {0x8000, 0x2000, MEM_RESERVED, 0},
		   {0xA000, 0xF6000, MEM_RAM, 0});
	for (uint32_t i = 0; i < 200 && e820_reserve(0, 0x1000) == 0; i++)
		;
	assert_int_equal(e820_reserve(0, 0x1000), -ENOSPC);
}

static void add_module(uint64_t base, uint64_t size)
{
	struct boot_module *m = &boot_info.modules[boot_info.module_count++];

	m->base = HPA(base);
	m->size = size;
}

/* Where is the highest free place: with limits, alignment, and the loader's things in the way? */
static void test_find_top(void **state)
{
	(void)state;
	e820_add_raw(0, 0x9F000, MEM_RAM);
	e820_add_raw(0x100000, 0x1FF00000, MEM_RAM); /* to 512 MB */
	e820_add_raw(0x100000000, 0x10000000, MEM_RAM);
	assert_int_equal(e820_init(), 0);
	assert_int_equal(e820_find_top(0x200000, 0x200000, UINT64_MAX), 0x10FE00000);
	assert_int_equal(e820_find_top(0x200000, 0x200000, GB(4)), 0x1FE00000);
	assert_int_equal(e820_find_top(0x1000, 0x1000, 0x1FE00800), 0x1FDFF000);
	assert_int_equal(e820_find_top(0x1000, 0x1000, 0xA0000), 0x9E000);
	assert_int_equal(e820_find_top(0x9F000, 0x1000, 0x100000), 0);
	assert_int_equal(e820_find_top(0xA0000, 0x1000, 0x100000), UINT64_MAX);
	assert_int_equal(e820_find_top(GB(1), 0x1000, UINT64_MAX), UINT64_MAX);
	assert_int_equal(e820_find_top(0x1000, 0x1000, 0), UINT64_MAX);

	add_module(0x1FE00000 - 1, 0x10000);
	assert_int_equal(e820_find_top(0x200000, 0x200000, GB(4)), 0x1FA00000);
	add_module(0x1FA00000, 1);
	boot_info.info_base = HPA(0x1F800000);
	boot_info.info_size = 0x100;
	assert_int_equal(e820_find_top(0x200000, 0x200000, GB(4)), 0x1F600000);
	/* the image itself */
	assert_int_equal(e820_find_top(0x1000, 0x1000, IMAGE + 0x10000), IMAGE - 0x1000);
	assert_int_equal(e820_find_top(0x1000, 0x1000, IMAGE + 0x11000), IMAGE + 0x10000);
}

/* What if a module fills all there is, or ends beyond the address space? */
static void test_find_top_full(void **state)
{
	(void)state;
	e820_add_raw(0, 0x800000, MEM_RAM);
	assert_int_equal(e820_init(), 0);
	add_module(0, 0x800000);
	assert_int_equal(e820_find_top(0x1000, 0x1000, GB(4)), UINT64_MAX);
	boot_info.modules[0].base = HPA(0x1000);
	boot_info.modules[0].size = UINT64_MAX;
	assert_int_equal(e820_find_top(0x1000, 0x1000, GB(4)), 0);
}

#define PAGES 24U
#define WORLD (2U * PAGES) /* half pages */
#define HALF  (PAGE_SIZE / 2U)

/* What a half page is that two entries claim: the later in this row. */
static uint8_t worse(uint8_t a, uint8_t b)
{
	static const uint8_t order[] = {0, MEM_RAM, MEM_ACPI, MEM_NVS, MEM_RESERVED, MEM_BAD};

	for (uint32_t i = ARRAY_SIZE(order); i-- > 0;) {
		if (order[i] == a || order[i] == b)
			return order[i];
	}
	return 0;
}

/* Compares host_e820 with what each half page is, and demands order and no touching twins. */
static void expect_world(const uint8_t *world)
{
	uint8_t seen[WORLD] = {0};
	uint64_t end = 0;

	for (uint32_t i = 0; i < host_e820.count; i++) {
		const struct mem_range *r = &host_e820.r[i];

		assert_true(r->size != 0 && r->base >= end && r->base + r->size > r->base);
		assert_false(i != 0 && r->base == end && r->type == r[-1].type);
		end = r->base + r->size;
		memset(&seen[r->base / HALF], (int)r->type, r->size / HALF);
	}
	for (uint32_t i = 0; i < WORLD; i++) {
		bool half = world[i] == MEM_RAM && world[i ^ 1U] != MEM_RAM;

		assert_int_equal(seen[i], half ? 0 : world[i]);
	}
}

/* What if up to ten entries lie anywhere: over each other, empty, in any order? */
static void test_any_map(void **state)
{
	uint32_t random = 1;

	for (uint32_t round = 0; round < 3000; round++) {
		uint8_t world[WORLD] = {0};

		(void)setup(state);
		for (uint32_t n = round % 11; n > 0; n--) {
			uint32_t at, size, type;

			random = random * 1664525U + 1013904223U;
			at = (random >> 8) % WORLD;
			size = (random >> 16) % (WORLD - at + 1);
			type = (random >> 24) % 8;
			e820_add_raw(at * HALF, size * HALF, type);
			type = type >= MEM_RAM && type <= MEM_BAD ? type : MEM_RESERVED;
			for (uint32_t i = at; i < at + size; i++)
				world[i] = worse(world[i], (uint8_t)type);
		}
		(void)e820_init();
		expect_world(world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_sort_and_merge, setup),
		cmocka_unit_test_setup(test_contradictions, setup),
		cmocka_unit_test_setup(test_overlaps, setup),
		cmocka_unit_test_setup(test_unknown_types, setup),
		cmocka_unit_test_setup(test_partial_pages, setup),
		cmocka_unit_test_setup(test_wrap_around, setup),
		cmocka_unit_test_setup(test_empty_entries, setup),
		cmocka_unit_test_setup(test_no_ram, setup),
		cmocka_unit_test_setup(test_too_many, setup),
		cmocka_unit_test_setup(test_too_many_parts, setup),
		cmocka_unit_test_setup(test_is_ram, setup),
		cmocka_unit_test_setup(test_reserve, setup),
		cmocka_unit_test_setup(test_find_top, setup),
		cmocka_unit_test_setup(test_find_top_full, setup),
		cmocka_unit_test_setup(test_any_map, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
