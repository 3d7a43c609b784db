/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_LOAD_H
#define HV_LOAD_H

#include "hv/mm.h"
#include "hv/vcpu.h"
#include "hv/vm_config.h"

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
 * The VM's kernel, ramdisk and ACPI tables from its boot modules, as the scenario has it; a VM that
 * was created or reset and does not run. Errors as below, and -ENOENT: there is no module for it.
 */
int load_kernel(struct vm *vm);

/*
 * Each puts a kernel into the VM's memory and fills *start for vCPU 0. Every refusal says why in
 * the boot report, and the VM's memory is then as it was: -EINVAL damaged, or of another kind;
 * -E2BIG command line too long; -ENOSPC no room; -EFAULT.
 */

/*
 * A Linux bzImage, boot protocol 2.10 (Linux 2.6.31) or later, entered at its 32-bit entry point.
 */
int load_bzimage(struct vm *vm, const struct load_args *a, struct vcpu_start *start);

/*
 * The same for the kernels of pre-launched VMs (pre_launched/), found by LOADER(). An ELF
 * executable; with a multiboot 1 header it is entered as GRUB would enter it.
 */
int load_elf(struct vm *vm, const struct load_args *a, struct vcpu_start *start);

/* An image at config->os.load_addr, entered at entry_addr; it takes no command line or ramdisk. */
int load_raw(struct vm *vm, const struct load_args *a, struct vcpu_start *start);

struct loader {
	enum vm_kernel_type type;
	int (*load)(struct vm *vm, const struct load_args *a, struct vcpu_start *start);
};
#define LOADER(type_, fn_)                                                                         \
	static const struct loader loader_##fn_ __used __section("hv_loaders") __aligned(8) = {    \
		.type = (type_), .load = (fn_)}

/*
 * Keeps [base, base + size) from the Service VM, for a VM that is loaded again; NULL: there is
 * none.
 */
extern int (*load_keep)(hpa_t base, uint64_t size);

/*
 * For the loaders: 32-bit protected mode with flat segments at `rip`. The descriptor table goes to
 * `gdt` (GPA), which has room for LOAD_GDT_SIZE bytes. -EFAULT.
 */
#define LOAD_GDT_SIZE 32U
int load_entry(struct vm *vm, uint64_t rip, uint64_t gdt, struct vcpu_start *start);

#endif
