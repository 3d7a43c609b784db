// SPDX-License-Identifier: BSD-3-Clause
// links: @service
/*
 * HC_VM_SET_MEMORY_REGIONS: what is mapped, what is refused, and what is left after a refusal.
 */
#include <string.h>

#include "service_machine.h"

#define ARRAY 0x2000UL
#define RWX   7U
#define WB    ACRN_MEM_TYPE_WB

static uint64_t vmid;

static struct acrn_memory_region *region(uint32_t i)
{
	return (struct acrn_memory_region *)service_ram(ARRAY) + i;
}

static void fill(uint32_t i, uint32_t type, uint64_t gpa, uint64_t service_gpa, uint64_t size)
{
	*region(i) = (struct acrn_memory_region){type, RWX | WB, gpa, service_gpa, size};
}

static int64_t call(uint32_t n)
{
	struct acrn_memory_regions *r = service_ram(0x1000);

	*r = (struct acrn_memory_regions){.vmid = (uint16_t)vmid, .regions_num = n,
					  .regions_gpa = ARRAY};
	return hypercall(service(), HC_SET_MEMORY_REGIONS, 0x1000, 0);
}

static struct vm *user(void)
{
	return user_vm((int64_t)vmid);
}

static int setup(void **state)
{
	(void)service_setup(state);
	vmid = (uint64_t)create_vm("a");
	test_flushes = test_maps = 0;
	return 0;
}

/* Is memory mapped where asked, with the rights and the type asked for? */
static void test_add(void **state)
{
	uint64_t hpa, attr;

	(void)state;
	fill(0, ACRN_MEM_REGION_ADD, 0x100000, 0x200000, 0x3000);
	assert_int_equal(call(1), 0);
	assert_true(mapped(user(), 0x102FFF, &hpa, &attr));
	assert_int_equal(hpa, ptr_hpa(service_ram(0x202FFF)).v);
	assert_int_equal(attr, EPT_RWX | EPT_MT_WB);
	assert_false(mapped(user(), 0x103000, NULL, NULL));
	assert_false(mapped(user(), 0xFFFFF, NULL, NULL));
	/* three pages side by side are one mapping */
	assert_int_equal(test_maps, 1);
	/* the Service VM keeps its own */
	assert_true(mapped(service(), 0x200000, NULL, NULL));

	region(0)->attr = 1 | ACRN_MEM_TYPE_UC;
	region(0)->user_vm_pa = 0x400000;
	assert_int_equal(call(1), 0);
	assert_true(mapped(user(), 0x400000, NULL, &attr));
	assert_int_equal(attr, EPT_READ | EPT_MT_UC);
}

/* Many entries: scattered pages, copied in more than one piece, neighbours joined. */
static void test_many(void **state)
{
	uint64_t hpa;

	(void)state;
	for (uint32_t i = 0; i < 200; i++)
		fill(i, ACRN_MEM_REGION_ADD, i * PAGE_SIZE,
		     0x100000 + (i / 2 * 2 + (i < 100 ? 1 - i % 2 : i % 2)) * PAGE_SIZE, PAGE_SIZE);
	assert_int_equal(call(200), 0);
	for (uint32_t i = 0; i < 200; i++) {
		assert_true(mapped(user(), i * PAGE_SIZE, &hpa, NULL));
		assert_int_equal(hpa, ptr_hpa(service_ram(region(i)->service_vm_pa)).v);
	}
	/* the first hundred were swapped in pairs, the second are in order */
	assert_in_range(test_maps, 101, 102);
}

static void test_del(void **state)
{
	(void)state;
	fill(0, ACRN_MEM_REGION_ADD, 0, 0x100000, 0x4000);
	fill(1, ACRN_MEM_REGION_DEL, 0x1000, 0, 0x2000);
	assert_int_equal(call(2), 0);
	assert_true(mapped(user(), 0, NULL, NULL));
	assert_false(mapped(user(), 0x1000, NULL, NULL));
	assert_false(mapped(user(), 0x2000, NULL, NULL));
	assert_true(mapped(user(), 0x3000, NULL, NULL));
	assert_int_equal(test_flushes, 1);
}

/* What may not be given away: the hypervisor's memory, devices, what lies behind the end? */
static void test_not_ram(void **state)
{
	static const uint64_t bad[] = {TEST_DEVICE, TEST_RAM, 0x300000, BIT(46)};

	(void)state;
	/* a hole in the Service VM's EPT, as where the hypervisor lives */
	ept_unmap(&service()->ept, GPA(0x300000), PAGE_SIZE);
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		fill(0, ACRN_MEM_REGION_ADD, 0x100000, bad[i], PAGE_SIZE);
		assert_int_equal(call(1), -EFAULT);
		assert_false(mapped(user(), 0x100000, NULL, NULL));
	}
	/* the hole amid good memory */
	fill(0, ACRN_MEM_REGION_ADD, 0, 0x2FF000, 0x3000);
	assert_int_equal(call(1), -EFAULT);
	for (uint64_t at = 0; at < 0x3000; at += PAGE_SIZE)
		assert_false(mapped(user(), at, NULL, NULL));
}

/* Memory of the hypervisor that the caller is shown is not the caller's to give away. */
static void test_shown(void **state)
{
	(void)state;
	test_hv_page = 0x300000;
	fill(0, ACRN_MEM_REGION_ADD, 0x100000, 0x2FF000, 0x3000);
	assert_int_equal(call(1), -EFAULT);
	assert_false(mapped(user(), 0x100000, NULL, NULL));
	*(uint64_t *)service_ram(0x1000) = 0x300000;
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, vmid, 0x1000), -EFAULT);
	test_hv_page = 0;
	assert_int_equal(hypercall(service(), HC_SET_IOREQ_BUFFER, vmid, 0x1000), 0);
	assert_int_equal(call(1), 0);
}

/* Numbers that cannot be. */
static void test_bad_numbers(void **state)
{
	static const struct acrn_memory_region bad[] = {
		{0, RWX | WB, 0x800, 0x100000, 0x1000},	    {0, RWX | WB, 0, 0x100800, 0x1000},
		{0, RWX | WB, 0, 0x100000, 0x800},	    {0, RWX | WB, 0, 0x100000, 0},
		{1, RWX | WB, 0, 0x100000, 0x1000},	    {3, RWX | WB, 0, 0x100000, 0x1000},
		{0, WB, 0, 0x100000, 0x1000},		    {0, 2 | WB, 0, 0x100000, 0x1000},
		{0, RWX, 0, 0x100000, 0x1000},		    {0, RWX | 0xC0, 0, 0x100000, 0x1000},
		{0, RWX | WB | 0x800, 0, 0x100000, 0x1000}, {0, RWX | WB, ~0xFFFUL, 0x100000, 0x2000},
		{0, RWX | WB, 0, ~0xFFFUL, 0x2000},	    {2, 0, 0, 0, ~0xFFFUL},
		{2, 0, BIT(47), 0, 0x1000},
	};

	(void)state;
	for (uint32_t i = 0; i < ARRAY_SIZE(bad); i++) {
		*region(0) = bad[i];
		assert_int_equal(call(1), -EINVAL);
	}
	assert_int_equal(test_maps, 0);
}

/* A bad entry after good ones: nothing of the call may stay. */
static void test_unwind(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 100; i++)
		fill(i, ACRN_MEM_REGION_ADD, i * PAGE_SIZE, 0x100000 + (99 - i) * PAGE_SIZE,
		     PAGE_SIZE);
	region(99)->attr = 0;
	assert_int_equal(call(100), -EINVAL);
	for (uint32_t i = 0; i < 100; i++)
		assert_false(mapped(user(), i * PAGE_SIZE, NULL, NULL));
	assert_int_equal(test_flushes, 1);

	/* no memory for tables half-way */
	region(99)->attr = RWX | WB;
	test_maps_left = 50;
	assert_int_equal(call(100), -ENOMEM);
	for (uint32_t i = 0; i < 100; i++)
		assert_false(mapped(user(), i * PAGE_SIZE, NULL, NULL));
	test_maps_left = UINT32_MAX;

	/* the array ends where the caller's memory does */
	fill(0, ACRN_MEM_REGION_ADD, 0, 0x100000, PAGE_SIZE);
	memcpy(service_ram(TEST_RAM - sizeof(*region(0))), region(0), sizeof(*region(0)));
	*(struct acrn_memory_regions *)service_ram(0x1000) = (struct acrn_memory_regions){
		.vmid = (uint16_t)vmid, .regions_num = 33,
		.regions_gpa = TEST_RAM - sizeof(*region(0))};
	assert_int_equal(hypercall(service(), HC_SET_MEMORY_REGIONS, 0x1000, 0), -EFAULT);
	assert_false(mapped(user(), 0, NULL, NULL));
}

/* More gaps than can be remembered for the way back: refused, and nothing stays. */
static void test_too_scattered(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 40; i++)
		fill(i, ACRN_MEM_REGION_ADD, i * 2 * PAGE_SIZE, 0x100000, PAGE_SIZE);
	assert_int_equal(call(40), -E2BIG);
	for (uint32_t i = 0; i < 40; i++)
		assert_false(mapped(user(), i * 2 * PAGE_SIZE, NULL, NULL));
}

/* A call that changes nothing, and one for a VM that is not the caller's. */
static void test_edges(void **state)
{
	(void)state;
	assert_int_equal(call(0), 0);
	vmid = 9;
	fill(0, ACRN_MEM_REGION_ADD, 0, 0x100000, PAGE_SIZE);
	assert_int_equal(call(1), -EINVAL);
	vmid = 0;
	assert_int_equal(call(1), -EINVAL);
}

/* While the VM runs, a replaced page must be flushed as well. */
static void test_running(void **state)
{
	(void)state;
	user()->state = VM_RUNNING;
	fill(0, ACRN_MEM_REGION_ADD, 0, 0x100000, PAGE_SIZE);
	assert_int_equal(call(1), 0);
	assert_int_equal(test_flushes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_add, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_del, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_not_ram, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_shown, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_bad_numbers, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_unwind, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_too_scattered, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_edges, setup, service_teardown),
		cmocka_unit_test_setup_teardown(test_running, setup, service_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
