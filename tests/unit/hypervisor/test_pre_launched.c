// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/pre_launched/pre_launched.c hypervisor/guest/unit.c @machine tests/fake/fake_report.c
/*
 * The memory of pre-launched VMs: where it is taken from, what a VM sees of it, and what happens
 * if there is not enough.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "asm/vmx.h"
#include "fake_machine.h"
#include "fake_report.h"
#include "hv/boot.h"
#include "hv/load.h"
#include "hv/unit.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"

static struct vm_config vm_configs_[] = {
	{.load_order = PRE_LAUNCHED_VM, .name = "first", .memory_size = MB(64),
	 .memory = {{.size = MB(64)}}},
	{.load_order = SERVICE_VM, .name = "Service"},
	{.load_order = PRE_LAUNCHED_VM, .name = "second", .memory_size = GB(3),
	 .memory = {{.start = GB(8), .size = GB(3)}}},
};
extern const struct vm_config vm_configs[3] __attribute__((alias("vm_configs_")));
const uint16_t vm_config_count = 3;

static uint64_t found, reserved[32][2];
static uint32_t reservations, reserve_room, maps, map_fail_at;
static bool is_free, parts;
static uint64_t not_free;
static struct {
	uint64_t gpa, hpa, size;
} mapped[16];
static struct {
	uint64_t base, size;
} hidden[256]; /* from the Service VM, when it is made */
static uint32_t hides, hide_fail_at;
int (*load_keep)(hpa_t base, uint64_t size);
static struct vm vm;

uint64_t e820_find_top(uint64_t size, uint64_t align, uint64_t limit)
{
	assert_int_equal(size, MB(64));
	assert_int_equal(align, PAGE_SIZE_2M);
	assert_int_equal(limit, UINT64_MAX);
	return found;
}

bool e820_is_free(uint64_t base, uint64_t size)
{
	if (!parts) {
		assert_int_equal(base, GB(8));
		assert_int_equal(size, GB(3));
	}
	return is_free && base != not_free;
}

int e820_reserve(uint64_t base, uint64_t size)
{
	if (reservations == reserve_room)
		return -ENOSPC;
	reserved[reservations][0] = base;
	reserved[reservations++][1] = size;
	return 0;
}

int ept_map(struct ept *ept, gpa_t gpa, hpa_t hpa, uint64_t size, uint64_t attr)
{
	assert_ptr_equal(ept, &vm.ept);
	assert_int_equal(attr, EPT_RWX | EPT_MT_WB);
	assert_true(maps < ARRAY_SIZE(mapped));
	mapped[maps].gpa = gpa.v;
	mapped[maps].hpa = hpa.v;
	mapped[maps].size = size;
	return ++maps == map_fail_at ? -ENOMEM : 0;
}

int ept_unmap(struct ept *ept, gpa_t gpa, uint64_t size)
{
	assert_ptr_equal(ept, &vm.ept);
	assert_int_equal(vm.load_order, SERVICE_VM);
	assert_true(hides < ARRAY_SIZE(hidden));
	hidden[hides].base = gpa.v;
	hidden[hides].size = size;
	return ++hides == hide_fail_at ? -ENOMEM : 0;
}

static int boot(void)
{
	for (uint32_t i = reservations = maps = 0; i < ARRAY_SIZE(mapped); i++)
		mapped[i].size = 0;
	return unit_boot();
}

static int create(uint16_t id)
{
	vm = (struct vm){.id = id, .load_order = vm_configs[id].load_order, .config = &vm_configs[id]};
	maps = hides = 0;
	return unit_vm_init(&vm);
}

/* Is each given its own memory, where the scenario says or at the top, from guest address 0? */
static void test_memory(void **state)
{
	(void)state;
	fake_report_reset();
	found = 0x10000000;
	is_free = true;
	reserve_room = 32;
	assert_int_equal(boot(), 0);
	assert_int_equal(reserved[0][1], GB(3)); /* what has a place comes first */
	assert_int_equal(reserved[1][0], 0x10000000);

	assert_int_equal(create(0), 0);
	assert_int_equal(maps, 2);
	assert_int_equal(mapped[0].gpa, 0);
	assert_int_equal(mapped[0].hpa, 0x10000000);
	assert_int_equal(mapped[0].size, 0xA0000);
	assert_int_equal(mapped[1].gpa, 0xF0000);
	assert_int_equal(mapped[1].hpa, 0x100F0000);
	assert_int_equal(mapped[1].size, MB(64) - 0xF0000);

	/* more than fits below the devices: the rest is above 4 GB */
	assert_int_equal(create(2), 0);
	assert_int_equal(maps, 3);
	assert_int_equal(mapped[1].gpa + mapped[1].size, VE820_LOW_TOP);
	assert_int_equal(mapped[2].gpa, GB(4));
	assert_int_equal(mapped[2].hpa, GB(8) + VE820_LOW_TOP);
	assert_int_equal(mapped[2].size, GB(3) - VE820_LOW_TOP);

	/* the Service VM is somebody else's business, but has none of it */
	assert_int_equal(create(1), 0);
	assert_int_equal(maps, 0);
	assert_int_equal(hides, 2);
	assert_int_equal(hidden[0].base, GB(8));
	assert_int_equal(hidden[0].size, GB(3));
	assert_int_equal(hidden[1].base, 0x10000000);
	assert_int_equal(hidden[1].size, MB(64));
	assert_int_equal(fake_report_lines, 0);

	/* every step that fails is noticed */
	for (map_fail_at = 1; map_fail_at <= 3; map_fail_at++)
		assert_int_equal(create(2), -ENOMEM);
	map_fail_at = 0;
	for (hide_fail_at = 1; hide_fail_at <= 2; hide_fail_at++)
		assert_int_equal(create(1), -ENOMEM);
	hide_fail_at = 0;
}

/* Are parts in several places one memory to the guest, wherever they meet? */
static void test_parts(void **state)
{
	struct vm_config old = vm_configs_[2];
	uint64_t hpa = 0;

	(void)state;
	is_free = true;
	reserve_room = 32;
	parts = true;
	vm_configs_[2].memory[0] = (struct vm_memory){.start = GB(20), .size = MB(2046)};
	vm_configs_[2].memory[1] = (struct vm_memory){.start = GB(12), .size = MB(2)};
	vm_configs_[2].memory[2] = (struct vm_memory){.start = GB(9), .size = MB(1024)};
	assert_int_equal(boot(), 0);
	assert_int_equal(create(2), 0);
	/* below and above the hole, and the second part, which ends where low memory does not */
	assert_int_equal(maps, 4);
	assert_int_equal(mapped[1].hpa, GB(20) + 0xF0000);
	assert_int_equal(mapped[1].gpa + mapped[1].size, MB(2046));
	assert_int_equal(mapped[2].gpa, GB(4));
	assert_int_equal(mapped[2].hpa, GB(12));
	assert_int_equal(mapped[2].size, MB(2));
	assert_int_equal(mapped[3].gpa, GB(4) + MB(2));
	assert_int_equal(mapped[3].hpa, GB(9));
	assert_int_equal(mapped[3].size, MB(1024));

	/* 2 MB parts all through low memory: one mapping each, but for the first with its hole */
	for (uint32_t i = 0; i < VM_MEMORY_NUM; i++)
		vm_configs_[2].memory[i] = (struct vm_memory){.start = GB(40 - i), .size = MB(2)};
	vm_configs_[2].memory_size = MB(16);
	assert_int_equal(boot(), 0);
	assert_int_equal(create(2), 0);
	assert_int_equal(maps, VM_MEMORY_NUM + 1);
	for (uint32_t i = 1; i < VM_MEMORY_NUM; i++) {
		assert_int_equal(mapped[i + 1].gpa, MB(2) * i);
		assert_int_equal(mapped[i + 1].hpa, GB(40 - i));
		hpa += mapped[i + 1].size;
	}
	assert_int_equal(hpa, MB(14));

	/* one of them is not free: no VM */
	not_free = GB(38);
	assert_int_equal(boot(), 0);
	assert_true(fake_reported("second: the machine has no 2 MB for it where the scenario says"));
	assert_int_equal(create(2), -ENOMEM);
	not_free = 0;
	parts = false;
	vm_configs_[2] = old;
}

/* What if the machine has not that much, not there, or the list of ranges is full? */
static void test_too_little(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		fake_report_reset();
		found = i == 0 ? UINT64_MAX : 0x10000000;
		is_free = i != 1;
		reserve_room = i == 2 ? 0 : 32;
		assert_int_equal(boot(), 0);
		if (i != 1) {
			assert_true(fake_reported("first: the machine has no 64 MB for it"));
			assert_int_equal(create(0), -ENOMEM);
		} else {
			assert_int_equal(create(0), 0);
		}
		if (i != 0) {
			assert_true(fake_reported("second: the machine has no 3072 MB for it where the "
						  "scenario says"));
			assert_int_equal(create(2), -ENOMEM);
		}
		assert_int_equal(create(1), 0);
	}
}

/* Are modules taken by whole pages, and is there an end to it? */
static void test_take(void **state)
{
	uint32_t n;

	(void)state;
	assert_int_equal(create(1), 0);
	n = hides;
	reserve_room = 32;
	reservations = 0;
	assert_int_equal(load_keep(HPA(0x100800), 0x1000), 0);
	assert_int_equal(create(1), 0);
	assert_int_equal(hides, n + 1);
	assert_int_equal(hidden[n].base, 0x100000);
	assert_int_equal(hidden[n].size, 0x2000);
	for (n = 0; load_keep(HPA(0x200000), 0x1000) == 0; n++) {
		assert_true(n < 1000);
		reservations = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_too_little),
		cmocka_unit_test(test_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
