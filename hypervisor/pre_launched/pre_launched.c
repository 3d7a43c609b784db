// SPDX-License-Identifier: BSD-3-Clause
/*
 * What makes a VM pre-launched: memory of its own, taken from the machine's map before the Service
 * VM sees that, and no one's permission to do anything to it. The memory is taken at boot; each VM
 * is mapped to its part while it is created, and none of it to the Service VM. Called as a unit and
 * by load.c on the boot CPU, while no guest runs; takes no lock, and afterwards nothing changes.
 */
#include "asm/vmx.h"
#include "hv/boot.h"
#include "hv/load.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/unit.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "config.h"

#define MAX_RANGES (CONFIG_MAX_VM_NUM * 3U) /* RAM, kernel, ramdisk */

static struct mem_range ranges[MAX_RANGES];
static uint32_t range_count;
static uint64_t ram_base[CONFIG_MAX_VM_NUM]; /* HPA by VM id; UINT64_MAX: none */

static int take(hpa_t base, uint64_t size)
{
	uint64_t start = ALIGN_DOWN(base.v, PAGE_SIZE);
	uint64_t end = ALIGN_UP(base.v + size, PAGE_SIZE);
	int err = (range_count == MAX_RANGES) ? -ENOSPC : e820_reserve(start, end - start);

	if (err == 0) {
		ranges[range_count++] = (struct mem_range){.base = start, .size = end - start};
	}
	return err;
}

/* The scenario may name the place; else it is the highest that is free. */
static uint64_t find_ram(const struct vm_config *c)
{
	if (c->memory_start == 0U) {
		return e820_find_top(c->memory_size, PAGE_SIZE_2M, UINT64_MAX);
	}
	return e820_is_free(c->memory_start, c->memory_size) ? c->memory_start : UINT64_MAX;
}

static int pre_launched_boot(void)
{
	load_keep = take;
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		const struct vm_config *c = &vm_configs[i];

		ram_base[i] = UINT64_MAX;
		if (c->load_order != PRE_LAUNCHED_VM) {
			continue;
		}
		ram_base[i] = find_ram(c);
		if (ram_base[i] == UINT64_MAX ||
		    take(HPA(ram_base[i]), c->memory_size) != 0) {
			report("%s: the machine has no %lu MB for it%s", c->name,
			       c->memory_size >> 20,
			       (c->memory_start != 0U) ? " where the scenario says" : "");
			ram_base[i] = UINT64_MAX;
		}
	}
	return 0;
}

static int map(struct vm *vm, uint64_t gpa, uint64_t end, uint64_t hpa)
{
	return (gpa < end) ? ept_map(&vm->ept, GPA(gpa), HPA(hpa), end - gpa, EPT_RWX | EPT_MT_WB) :
			     0;
}

static int hide_all(struct vm *service)
{
	int err = 0;

	for (uint32_t i = 0U; i < range_count && err == 0; i++) {
		err = ept_unmap(&service->ept, GPA(ranges[i].base), ranges[i].size);
	}
	return err;
}

static int pre_launched_vm_init(struct vm *vm)
{
	uint64_t base = ram_base[vm->id], size, low;
	int err;

	if (vm->load_order != PRE_LAUNCHED_VM) {
		return (vm->load_order == SERVICE_VM) ? hide_all(vm) : 0;
	}
	if (base == UINT64_MAX) {
		return -ENOMEM;
	}
	size = vm->config->memory_size;
	low = MIN(size, VE820_LOW_TOP);
	err = map(vm, 0U, VE820_HOLE, base);
	if (err == 0) {
		err = map(vm, VE820_HOLE_END, low, base + VE820_HOLE_END);
	}
	if (err == 0) {
		err = map(vm, GB(4), GB(4) + size - low, base + low);
	}
	return err;
}

UNIT(pre_launched) = {
	.name = "pre_launched",
	.level = UNIT_CORE + 2U, /* the Service VM has been given all there is */
	.boot = pre_launched_boot,
	.vm_init = pre_launched_vm_init,
};
