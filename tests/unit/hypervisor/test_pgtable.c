// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do the page tables say what a plain list of mappings says, after any sequence of changes; and
 * what is mapped when a page for a table is missing in the middle of one?
 */
// links: hypervisor/arch/x86/mm/pgtable.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/mm.h"
#include "hv/pgtable.h"
#include "lib/errno.h"
#include "fake_machine.h"

#define RWX   7UL
#define LARGE (1UL << 7)
#define BITS  (RWX | 0x78UL) /* rights and memory type */

static uint32_t live, budget;

static void *page_get(void)
{
	if (live >= budget)
		return NULL;
	live++;
	return memset(aligned_alloc(4096, 4096), 0, 4096);
}

static void page_put(void *page)
{
	assert_true(live > 0);
	live--;
	free(page);
}

static struct pgtable_format format = {
	.present = RWX,
	.table = RWX,
	.large = LARGE,
	.page_get = page_get,
	.page_put = page_put,
};

static struct pgtable pt;

static void start(uint32_t max_level)
{
	live = 0;
	budget = UINT32_MAX;
	format.max_level = max_level;
	assert_int_equal(pgtable_init(&pt, &format), 0);
	assert_int_equal(pt.pages, 1);
}

static void finish(void)
{
	pgtable_destroy(&pt);
	assert_int_equal(pt.pages, 0);
	assert_int_equal(live, 0);
	pgtable_destroy(&pt); /* twice is once */
}

/* The address a lookup gives; asserts that the whole page it lies in is as large as allowed. */
static uint64_t translate(uint64_t va, uint64_t *attr)
{
	uint64_t size = 0, e = pgtable_lookup(&pt, va, &size);

	if (e == 0)
		return UINT64_MAX;
	assert_true(size == PAGE_SIZE || size == PAGE_SIZE_2M || size == PAGE_SIZE_1G);
	assert_true(size <= PAGE_SIZE << (9 * format.max_level));
	assert_int_equal((e & LARGE) != 0, size != PAGE_SIZE);
	assert_int_equal(e & PGTABLE_ADDR & (size - 1), 0);
	*attr = e & BITS;
	return (e & PGTABLE_ADDR) + (va & (size - 1));
}

static void expect(uint64_t va, uint64_t pa, uint64_t attr)
{
	uint64_t got = 0;

	assert_int_equal(translate(va, &got), pa);
	if (pa != UINT64_MAX)
		assert_int_equal(got, attr);
}

/* The model: edges where something can begin or end, and what holds from each to the next. */
#define EDGES 48U
static uint64_t edge[EDGES];
static uint32_t edges;
static struct {
	uint64_t delta, attr; /* not mapped: no rights in attr */
} model[EDGES];

static void make_edges(void)
{
	static const uint64_t offsets[] = {
		0, 0x1000, 0x1FF000, 0x200000, 0x201000, 0x400000, 0x20000000, 0x3FE00000, 0x3FFFF000,
	};

	edges = 0;
	for (uint64_t g = 0; g < 3; g++) {
		for (size_t i = 0; i < ARRAY_SIZE(offsets); i++)
			edge[edges++] = 0x7F80000000 + g * PAGE_SIZE_1G + offsets[i];
	}
	memset(model, 0, sizeof(model));
}

static void check_model(void)
{
	for (uint32_t i = 0; i + 1 < edges; i++) {
		uint64_t at[] = {edge[i], edge[i + 1] - PAGE_SIZE, (edge[i] + edge[i + 1]) / 2};
		bool mapped = (model[i].attr & RWX) != 0;

		for (size_t k = 0; k < ARRAY_SIZE(at); k++)
			expect(at[k], mapped ? at[k] + model[i].delta : UINT64_MAX, model[i].attr);
	}
	expect(edge[0] - 1, UINT64_MAX, 0);
	expect(edge[edges - 1], UINT64_MAX, 0);
	assert_int_equal(pt.pages, live);
}

static uint32_t seed;

static uint32_t random_below(uint32_t n)
{
	seed = seed * 1664525U + 1013904223U;
	return (uint32_t)(((uint64_t)seed * n) >> 32);
}

static void random_step(void)
{
	static const uint64_t deltas[] = {0, 0, 0x1000, 0x200000, 0x40000000, 0x140000000};
	static const uint64_t attrs[] = {RWX | 0x30, RWX, 1 | 0x30, 3};
	uint32_t from = random_below(edges - 1);
	uint32_t to = from + 1 + random_below(edges - 1 - from);
	uint64_t va = edge[from], size = edge[to] - va;
	uint64_t delta = deltas[random_below(ARRAY_SIZE(deltas))];
	uint64_t attr = attrs[random_below(ARRAY_SIZE(attrs))];
	uint32_t what = random_below(6);

	if (size > 0x1000000 && (delta & 0x1FFFFF) != 0)
		delta = 0; /* half a million small pages are not more than a thousand */
	if (what < 4)
		assert_int_equal(pgtable_map(&pt, va, va + delta, size, attr), 0);
	else
		assert_int_equal(pgtable_unmap(&pt, va, size), 0);
	for (uint32_t i = from; i < to; i++) {
		if (what < 4) {
			model[i].delta = delta;
			model[i].attr = attr;
		} else {
			model[i].attr = 0;
		}
	}
}

/* What if ranges of any alignment are mapped and cut 10,000 times, for each page size? */
static void test_model(void **state)
{
	(void)state;
	for (uint32_t max_level = 0; max_level <= 2; max_level++) {
		/* small pages only: each step over 3 GB is most of a million entries */
		uint32_t steps = max_level == 0 ? 10 : 10000;

		seed = 12345 + max_level;
		make_edges();
		start(max_level);
		for (uint32_t i = 0; i < steps; i++) {
			random_step();
			check_model();
			if (i % 16 == 0)
				pgtable_give_back(&pt, pgtable_take_freed(&pt));
		}
		finish();
	}
}

/* The same for small pages alone, over a span that they can cover 10,000 times. */
static void test_model_small_pages(void **state)
{
	(void)state;
	seed = 99;
	make_edges();
	edges = 0;
	for (uint64_t p = 0; p < 24; p++)
		edge[edges++] = PAGE_SIZE_1G - 12 * 0x21000 + p * 0x21000;
	start(0);
	for (uint32_t i = 0; i < 10000; i++) {
		random_step();
		check_model();
	}
	finish();
}

/* What is the largest page each alignment of address and size allows? */
static void test_page_sizes(void **state)
{
	static const struct {
		uint64_t va, pa, size;
		uint64_t page[3]; /* by max_level */
	} cases[] = {
		{0, 0, PAGE_SIZE_1G, {PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_1G}},
		{0, PAGE_SIZE_2M, PAGE_SIZE_1G, {PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_2M}},
		{PAGE_SIZE_2M, 0, PAGE_SIZE_1G, {PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_2M}},
		{0, PAGE_SIZE, PAGE_SIZE_1G, {PAGE_SIZE, PAGE_SIZE, PAGE_SIZE}},
		{0, 0, PAGE_SIZE_1G - PAGE_SIZE_2M, {PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_2M}},
		{0, 0, PAGE_SIZE_2M - PAGE_SIZE, {PAGE_SIZE, PAGE_SIZE, PAGE_SIZE}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		for (uint32_t max_level = 0; max_level <= 2; max_level++) {
			uint64_t size = 0;

			start(max_level);
			assert_int_equal(pgtable_map(&pt, cases[i].va, cases[i].pa, cases[i].size, RWX), 0);
			assert_true(pgtable_lookup(&pt, cases[i].va, &size) != 0);
			assert_int_equal(size, cases[i].page[max_level]);
			finish();
		}
	}
}

/* What if one small page in a 1 GB page goes? The rest stays as large as it can. */
static void test_split(void **state)
{
	uint64_t size = 0;

	(void)state;
	start(2);
	assert_int_equal(pgtable_map(&pt, 0, PAGE_SIZE_1G, PAGE_SIZE_1G, RWX | 0x30), 0);
	assert_int_equal(pt.pages, 2);
	assert_int_equal(pgtable_unmap(&pt, 0x200000, 0x1000), 0);
	assert_int_equal(pt.pages, 4);
	expect(0x1FF000, PAGE_SIZE_1G + 0x1FF000, RWX | 0x30);
	expect(0x200000, UINT64_MAX, 0);
	expect(0x201000, PAGE_SIZE_1G + 0x201000, RWX | 0x30);
	(void)pgtable_lookup(&pt, 0x201000, &size);
	assert_int_equal(size, PAGE_SIZE);
	(void)pgtable_lookup(&pt, 0, &size);
	assert_int_equal(size, PAGE_SIZE_2M);
	/* Mapped as a whole again, it is one page and the tables are free. */
	assert_int_equal(pgtable_map(&pt, 0, PAGE_SIZE_1G, PAGE_SIZE_1G, RWX), 0);
	pgtable_give_back(&pt, pgtable_take_freed(&pt));
	assert_int_equal(pt.pages, 2);
	assert_int_equal(live, 2);
	finish();
}

/*
 * A table that is taken out may still be walked by another CPU until translations are flushed: is
 * its page kept back until then, and does a walker find nothing strange in it meanwhile?
 */
static void test_freed_tables_wait(void **state)
{
	uint64_t *table;
	void *freed;

	(void)state;
	start(1);
	assert_int_equal(pgtable_map(&pt, 0, 0x5000, 0x3000, RWX), 0);
	assert_int_equal(pt.pages, 4);
	table = hpa_ptr(HPA(((uint64_t *)hpa_ptr(HPA(((uint64_t *)hpa_ptr(HPA(pt.root[0] &
		PGTABLE_ADDR)))[0] & PGTABLE_ADDR)))[0] & PGTABLE_ADDR));
	assert_int_equal(table[1], 0x6000 | RWX);
	assert_int_equal(pgtable_unmap(&pt, 0, PAGE_SIZE_2M), 0);
	expect(0x1000, UINT64_MAX, 0);
	assert_int_equal(live, 4);
	assert_int_equal(table[0] & RWX, 0);
	assert_int_equal(table[1], 0x6000 | RWX);
	freed = pgtable_take_freed(&pt);
	assert_non_null(freed);
	assert_null(pgtable_take_freed(&pt));
	assert_int_equal(live, 4);
	pgtable_give_back(&pt, freed);
	assert_int_equal(live, 3);
	assert_int_equal(pt.pages, 3);
	finish();
}

/* What if the range is empty, odd, or beyond the tables? */
static void test_bad_ranges(void **state)
{
	static const struct {
		uint64_t va, pa, size;
	} cases[] = {
		{0, 0, 0},
		{0x800, 0, 0x1000},
		{0, 0x800, 0x1000},
		{0, 0, 0x1800},
		{1UL << 48, 0, 0x1000},
		{(1UL << 48) - 0x1000, 0, 0x2000},
		{0, (1UL << 48) - 0x1000, 0x2000},
		{UINT64_MAX - 0xFFF, 0, 0x2000},
		{0, UINT64_MAX - 0xFFF, 0x1000},
		{0x1000, 0, UINT64_MAX - 0xFFF},
	};

	(void)state;
	start(2);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(pgtable_map(&pt, cases[i].va, cases[i].pa, cases[i].size, RWX), -EINVAL);
		if (((cases[i].pa & 0xFFF) | (cases[i].pa >> 47)) == 0) {
			assert_int_equal(pgtable_unmap(&pt, cases[i].va, cases[i].size), -EINVAL);
		}
	}
	assert_int_equal(pt.pages, 1);
	assert_int_equal(pgtable_map(&pt, 0, 0x1000, 0x1000, RWX), 0);
	assert_int_equal(pgtable_lookup(&pt, 1UL << 48, &(uint64_t){0}), 0);
	assert_int_equal(pgtable_lookup(&pt, UINT64_MAX, &(uint64_t){0}), 0);
	assert_int_equal(pgtable_map(&pt, (1UL << 48) - 0x1000, (1UL << 48) - 0x1000, 0x1000, RWX), 0);
	expect((1UL << 48) - 1, (1UL << 48) - 1, RWX);
	finish();
}

/* What if what is not mapped is unmapped? Nothing happens, and no table is made. */
static void test_nothing_there(void **state)
{
	(void)state;
	start(2);
	assert_int_equal(pgtable_unmap(&pt, 0x1000, 5 * PAGE_SIZE_1G), 0);
	assert_int_equal(pt.pages, 1);
	expect(0x1000, UINT64_MAX, 0);
	finish();
}

#define BASE	(3 * PAGE_SIZE_1G)
#define OLD(va) ((va) + 0x40000000)
#define NEW(va) ((va) + 0x80001000)

enum op { MAP, UNMAP, OPS };

static int run(enum op op, uint64_t va, uint64_t size)
{
	if (op == MAP)
		return pgtable_map(&pt, va, NEW(va), size, 1);
	return pgtable_unmap(&pt, va, size);
}

/* After a failure: outside all as before; inside each page as before, or, for MAP, all gone. */
static void check_failed(enum op op, bool before, uint64_t va, uint64_t size, bool *gone)
{
	uint64_t points[] = {BASE, va - 0x1000, va, va + 0x1000, va + size / 2 / 4096 * 4096,
			     va + size - 0x1000, va + size, BASE + 3 * PAGE_SIZE_1G - 0x1000};
	uint64_t attr = 0, was = before ? OLD(va) : UINT64_MAX;

	*gone = op == MAP && translate(va, &attr) == UINT64_MAX;
	if (!*gone)
		expect(va, was, RWX);
	for (size_t i = 0; i < ARRAY_SIZE(points); i++) {
		bool inside = points[i] >= va && points[i] < va + size;

		expect(points[i], !before || (inside && *gone) ? UINT64_MAX : OLD(points[i]), RWX);
	}
}

/* What if the pages for tables run out at any point of a change? */
static void test_exhaustion(void **state)
{
	static const struct {
		uint64_t off, size;
	} ranges[] = {
		{0x1000, 0x1000}, {0x1FF000, 0x2000}, {0x1000, 0x400000}, {0x201000, 0x40000000},
		{0x3FFFF000, 0x40002000}, {0x200000, 0x200000}, {0x1000, 2 * PAGE_SIZE_1G},
	};

	(void)state;
	for (uint32_t v = 0; v < ARRAY_SIZE(ranges) * OPS * 2; v++) {
		uint64_t va = BASE + ranges[v / OPS / 2].off, size = ranges[v / OPS / 2].size;
		enum op op = (enum op)(v / 2 % OPS);
		bool before = v % 2 != 0;
		int ret = -ENOMEM;

		/* at each of the first tables, then at some of a thousand */
		for (uint32_t more = 0; ret != 0; more += more < 12 ? 1 : 97) {
			bool gone;

			assert_true(more < 2000);
			start(2);
			if (before)
				assert_int_equal(pgtable_map(&pt, BASE, OLD(BASE), 3 * PAGE_SIZE_1G, RWX), 0);
			budget = live + more;
			ret = run(op, va, size);
			assert_int_equal(pt.pages, live);
			if (ret != 0) {
				assert_int_equal(ret, -ENOMEM);
				check_failed(op, before, va, size, &gone);
				/* What is left can be taken away without a page. */
				if (gone)
					assert_int_equal(pgtable_unmap(&pt, va, size), 0);
			}
			finish();
		}
	}
	budget = 0;
	assert_int_equal(pgtable_init(&pt, &format), -ENOMEM);
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_model),	  cmocka_unit_test(test_model_small_pages),
		cmocka_unit_test(test_page_sizes), cmocka_unit_test(test_split),
		cmocka_unit_test(test_freed_tables_wait), cmocka_unit_test(test_bad_ranges),
		cmocka_unit_test(test_nothing_there), cmocka_unit_test(test_exhaustion),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
