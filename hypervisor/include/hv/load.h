/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_LOAD_H
#define HV_LOAD_H

#include "hv/mm.h"
#include "hv/vcpu.h"

/* What to load into a VM that has its memory but does not run yet. */
struct load_args {
	const struct e820 *map; /* the VM's memory, by GPA */
	hpa_t kernel;
	uint64_t kernel_size; /* bytes */
	hpa_t ramdisk;
	uint64_t ramdisk_size; /* bytes, 0: none */
	const char *cmdline;
	uint64_t rsdp; /* GPA of the ACPI root pointer, 0: the guest searches */
	/*
	 * GPAs not to be written, whatever the map says. For the Service VM, which sees the machine
	 * 1:1, that is every module of the boot loader's; its ramdisk can then be used in place.
	 */
	const struct mem_range *busy;
	uint32_t busy_count;
	bool in_place;
};

/*
 * A Linux bzImage by the x86 boot protocol, version 2.10 (Linux 2.6.31) or later, entered at its
 * 32-bit entry point; fills *start for vCPU 0. Every refusal says why in the boot report:
 * -EINVAL damaged or too old, -E2BIG command line too long, -ENOSPC no room, -EFAULT.
 */
int load_bzimage(struct vm *vm, const struct load_args *a, struct vcpu_start *start);

#endif
