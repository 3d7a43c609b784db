// SPDX-License-Identifier: BSD-3-Clause
/*
 * Loads a raw image: bytes that go to one address of a VM and are entered at another, both from the
 * scenario. Called by load.c at boot, before the VM runs. Nothing is written until everything has
 * found its place. Takes no lock.
 */
#include "hv/gmem.h"
#include "hv/load.h"
#include "hv/boot.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"

#define LOW_LIMIT 0x90000U

int load_raw(struct vm *vm, const struct load_args *a, struct vcpu_start *start)
{
	const struct vm_os_config *os = &vm->config->os;
	struct mem_range image = {.base = os->load_addr, .size = a->kernel_size};
	struct ve820_search s = {.map = a->map, .busy = &image, .busy_count = 1U,
				 .size = LOAD_GDT_SIZE, .align = PAGE_SIZE, .from = PAGE_SIZE,
				 .limit = LOW_LIMIT};
	uint64_t gdt = ve820_find_high(&s);

	if (!e820_is_ram(a->map, os->load_addr, a->kernel_size)) {
		report("%s: the kernel, %lu bytes at 0x%lx, is not within the VM's RAM", vm->name,
		       a->kernel_size, os->load_addr);
		return -ENOSPC;
	}
	if (os->entry_addr > UINT32_MAX) {
		report("%s: the kernel's entry 0x%lx is above 4 GB", vm->name, os->entry_addr);
		return -EINVAL;
	}
	if (gdt == UINT64_MAX) {
		report("%s: no free memory below 0x%x for the boot data", vm->name, LOW_LIMIT);
		return -ENOSPC;
	}
	if (load_entry(vm, os->entry_addr, gdt, start) != 0 ||
	    gmem_write(vm, GPA(os->load_addr), hpa_ptr(a->kernel), a->kernel_size) != 0) {
		report("%s: memory its map calls RAM cannot be written", vm->name);
		return -EFAULT;
	}
	return 0;
}
LOADER(KERNEL_RAWIMAGE, load_raw);
