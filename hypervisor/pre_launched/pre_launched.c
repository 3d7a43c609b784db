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

#define MAX_RANGES (CONFIG_MAX_VM_NUM * (VM_MEMORY_NUM + 2U)) /* RAM, kernel, ramdisk */

static struct mem_range ranges[MAX_RANGES];
static uint32_t range_count;
static uint64_t ram_base[CONFIG_MAX_VM_NUM][VM_MEMORY_NUM]; /* HPAs by VM id */
static bool has_ram[CONFIG_MAX_VM_NUM];

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
static uint64_t find_ram(const struct vm_memory *m)
{
	if (m->start == 0U) {
		return e820_find_top(m->size, PAGE_SIZE_2M, UINT64_MAX);
	}
	return e820_is_free(m->start, m->size) ? m->start : UINT64_MAX;
}

/* Those of its parts that have a place, or the others. */
static bool take_ram(uint16_t id, bool placed)
{
	const struct vm_config *c = &vm_configs[id];

	for (uint32_t i = 0U; i < VM_MEMORY_NUM && c->memory[i].size != 0U; i++) {
		const struct vm_memory *m = &c->memory[i];
		uint64_t base;

		if ((m->start != 0U) != placed) {
			continue;
		}
		base = find_ram(m);
		if (base == UINT64_MAX || take(HPA(base), m->size) != 0) {
			report("%s: the machine has no %lu MB for it%s", c->name, m->size >> 20,
			       (m->start != 0U) ? " where the scenario says" : "");
			return false;
		}
		ram_base[id][i] = base;
	}
	return true;
}

static int pre_launched_boot(void)
{
	load_keep = take;
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		has_ram[i] = vm_configs[i].load_order == PRE_LAUNCHED_VM && take_ram(i, true);
	}
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		has_ram[i] = has_ram[i] && take_ram(i, false); /* what is left for them */
	}
	return 0;
}

/* Guest memory from `gpa` to `end` is the VM's from `offset` on, its parts one behind the other. */
static int map(struct vm *vm, uint64_t gpa, uint64_t end, uint64_t offset)
{
	uint64_t part = 0U; /* the offset at which it begins */
	int err = 0;

	for (uint32_t i = 0U; i < VM_MEMORY_NUM && err == 0 && gpa < end; i++) {
		uint64_t part_end = part + vm->config->memory[i].size;

		if (offset < part_end) {
			uint64_t size = MIN(end - gpa, part_end - offset);

			err = ept_map(&vm->ept, GPA(gpa), HPA(ram_base[vm->id][i] + offset - part),
				      size, EPT_RWX | EPT_MT_WB);
			gpa += size;
			offset += size;
		}
		part = part_end;
	}
	return err;
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
	uint64_t size, low;
	int err;

	if (vm->load_order != PRE_LAUNCHED_VM) {
		return (vm->load_order == SERVICE_VM) ? hide_all(vm) : 0;
	}
	if (!has_ram[vm->id]) {
		return -ENOMEM;
	}
	size = vm->config->memory_size;
	low = MIN(size, VE820_LOW_TOP);
	err = map(vm, 0U, VE820_HOLE, 0U);
	if (err == 0) {
		err = map(vm, VE820_HOLE_END, low, VE820_HOLE_END);
	}
	if (err == 0) {
		err = map(vm, GB(4), GB(4) + size - low, low);
	}
	return err;
}

UNIT(pre_launched) = {
	.name = "pre_launched",
	.level = UNIT_CORE + 2U, /* the Service VM has been given all there is */
	.boot = pre_launched_boot,
	.vm_init = pre_launched_vm_init,
};
