// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a VM see the memory it was given, with the rights and type it was given it, in pages the
 * CPU has; and does a flush reach every CPU that ran it, and free what it may?
 */
// links: hypervisor/arch/x86/vmx/ept.c hypervisor/arch/x86/mm/pgtable.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/vmx.h"
#include "hv/caps.h"
#include "hv/ept.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/vmcs.h"
#include "lib/errno.h"
#include "fake_machine.h"

static bool cap_2m, cap_1g;
static struct ept ept;
static uint64_t flushed_cpus, flushed_eptp;
static uint32_t pages_at_flush;

bool cap_has(enum cpu_cap cap)
{
	return (cap == CAP_EPT_2M && cap_2m) || (cap == CAP_EPT_1G && cap_1g);
}

void vmx_invept(uint64_t eptp)
{
	flushed_eptp = eptp;
	pages_at_flush = page_pool.used;
}

void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg)
{
	assert_int_equal(ept.lock.next, ept.lock.owner); /* no lock is held */
	flushed_cpus |= BIT(p->id);
	fn(arg);
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	cap_2m = cap_1g = true;
	flushed_cpus = flushed_eptp = 0;
	memset(&ept, 0, sizeof(ept));
	assert_int_equal(page_pool.used, 0);
	assert_int_equal(ept_init(&ept), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ept_destroy(&ept);
	assert_int_equal(page_pool.used, 0);
	assert_int_equal(ept.eptp, 0);
	return 0;
}

/* What does a lookup tell: address, bytes left in the page, rights, memory type? */
static void test_lookup(void **state)
{
	hpa_t hpa;
	uint64_t left, attr;

	(void)state;
	assert_int_equal(ept_map(&ept, GPA(0x40000000), HPA(0x80000000), PAGE_SIZE_1G, EPT_RWX | EPT_MT_WB), 0);
	assert_false(ept.uncached);
	assert_int_equal(ept_map(&ept, GPA(0xFEE00000), HPA(0x1234000), 0x1000, EPT_READ | EPT_MT_UC), 0);
	assert_true(ept.uncached);
	assert_int_equal(ept_lookup(&ept, GPA(0x40123456), &hpa, &left, &attr), 0);
	assert_int_equal(hpa.v, 0x80123456);
	assert_int_equal(left, PAGE_SIZE_1G - 0x123456);
	assert_int_equal(attr, EPT_RWX | EPT_MT_WB);
	assert_int_equal(ept_lookup(&ept, GPA(0xFEE00FFF), &hpa, &left, &attr), 0);
	assert_int_equal(hpa.v, 0x1234FFF);
	assert_int_equal(left, 1);
	assert_int_equal(attr, EPT_READ | EPT_MT_UC);
	assert_int_equal(ept_lookup(&ept, GPA(0xFEE00000), &hpa, NULL, NULL), 0);
	assert_int_equal(ept_lookup(&ept, GPA(0xFEE01000), &hpa, &left, &attr), -ENOENT);
	assert_int_equal(ept_lookup(&ept, GPA(0x3FFFFFFF), &hpa, &left, &attr), -ENOENT);
	assert_int_equal(ept_lookup(&ept, GPA(1UL << 48), &hpa, &left, &attr), -ENOENT);
	assert_int_equal(ept_lookup(&ept, GPA(UINT64_MAX), &hpa, &left, &attr), -ENOENT);
}

/* What page sizes does the CPU's word allow? 1 GB without 2 MB is not a case to use. */
static void test_page_sizes(void **state)
{
	static const uint64_t want[] = {PAGE_SIZE, PAGE_SIZE, PAGE_SIZE_2M, PAGE_SIZE_1G};

	for (uint32_t i = 0; i < 4; i++) {
		uint64_t left;
		hpa_t hpa;

		(void)teardown(state);
		cap_2m = (i & 2) != 0;
		cap_1g = (i & 1) != 0;
		assert_int_equal(ept_init(&ept), 0);
		assert_int_equal(ept_map(&ept, GPA(0), HPA(0), PAGE_SIZE_1G, EPT_RWX | EPT_MT_WB), 0);
		assert_int_equal(ept_lookup(&ept, GPA(0), &hpa, &left, NULL), 0);
		assert_int_equal(left, want[i]);
	}
}

/* What does the CPU load? The root, a walk of four levels, write-back. */
static void test_eptp(void **state)
{
	(void)state;
	assert_int_equal(ept.eptp & 0xFFF, 0x1E);
	assert_int_equal(ept.eptp & ~0xFFFUL, (uintptr_t)ept.pt.root);
}

/* What if the pool is empty, at the start and in the middle of a map? */
static void test_no_pages(void **state)
{
	struct ept other = {0};
	hpa_t hpa;

	(void)state;
	fake_pool_empty = true;
	assert_int_equal(ept_init(&other), -ENOMEM);
	ept_destroy(&other);
	assert_int_equal(ept_map(&ept, GPA(0x1000), HPA(0), 0x1000, EPT_RWX), -ENOMEM);
	assert_int_equal(ept_lookup(&ept, GPA(0x1000), &hpa, NULL, NULL), -ENOENT);
	fake_pool_empty = false;
	assert_int_equal(ept_map(&ept, GPA(0x1000), HPA(0), 0x1000, EPT_RWX), 0);
	assert_int_equal(ept.lock.next, ept.lock.owner);
}

/* Which CPUs does a flush reach, and when do the pages of removed tables go back? */
static void test_flush(void **state)
{
	uint32_t used;

	(void)state;
	assert_int_equal(ept_map(&ept, GPA(0), HPA(0x1000), PAGE_SIZE_2M, EPT_RWX), 0);
	used = page_pool.used;
	assert_int_equal(ept_unmap(&ept, GPA(0), PAGE_SIZE_1G), 0);
	assert_int_equal(page_pool.used, used);
	ept.cpus = 0xA;
	ept_flush(&ept);
	assert_int_equal(flushed_cpus, 0xA);
	assert_int_equal(flushed_eptp, ept.eptp);
	assert_int_equal(pages_at_flush, used);
	assert_true(page_pool.used < used);
	assert_int_equal(page_pool.used, ept.pt.pages);
	assert_int_equal(ept.lock.next, ept.lock.owner);
	ept.cpus = 0;
	flushed_cpus = 0;
	ept_flush(&ept);
	assert_int_equal(flushed_cpus, 0);
}

/* What if two VMs map the same memory? Each has its own tables. */
static void test_two_vms(void **state)
{
	struct ept other = {0};
	uint64_t attr;
	hpa_t hpa;

	(void)state;
	assert_int_equal(ept_init(&other), 0);
	assert_int_equal(ept_map(&ept, GPA(0x1000), HPA(0x5000), 0x1000, EPT_RWX), 0);
	assert_int_equal(ept_map(&other, GPA(0x1000), HPA(0x5000), 0x1000, EPT_READ), 0);
	assert_true(ept.eptp != other.eptp);
	assert_int_equal(ept_unmap(&ept, GPA(0x1000), 0x1000), 0);
	assert_int_equal(ept_lookup(&ept, GPA(0x1000), &hpa, NULL, NULL), -ENOENT);
	assert_int_equal(ept_lookup(&other, GPA(0x1000), &hpa, NULL, &attr), 0);
	assert_int_equal(attr, EPT_READ);
	ept_destroy(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lookup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_page_sizes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_eptp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush, setup, teardown),
		cmocka_unit_test_setup_teardown(test_two_vms, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
