// SPDX-License-Identifier: BSD-3-Clause
/*
 * Creates the VMs that start with the machine, gives each its kernel from the boot modules, and
 * starts them. Called once by main.c on the boot CPU when everything else is up; nothing runs in a
 * guest before the last VM is loaded, so that a module is never overwritten while it is needed.
 * A VM that cannot be loaded costs a line in the boot report, not the boot.
 */
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/load.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"

static struct e820 map;
static struct mem_range busy[BOOT_MAX_MODULES];
static char cmdline[VM_BOOTARGS_LEN];

/*
 * The string behind the kernel's tag replaces the configured arguments; the hypervisor's own
 * command line comes last. Cutting one that is too long would start a kernel on half a word.
 */
static int make_cmdline(const struct vm *vm, const struct boot_module *kernel)
{
	const char *args = (kernel->args[0] != '\0') ? kernel->args : vm->config->os.bootargs;
	int len = snprintf(cmdline, sizeof(cmdline), "%s%s%s", args,
			   (boot_info.cmdline[0] != '\0') ? " " : "", boot_info.cmdline);

	if (len < (int)sizeof(cmdline)) {
		return 0;
	}
	report("%s: the kernel's command line has %d characters, %u are the most", vm->name, len,
	       VM_BOOTARGS_LEN - 1U);
	return -E2BIG;
}

static int load_service_kernel(struct vm *vm)
{
	const struct vm_os_config *os = &vm->config->os;
	struct boot_module *kernel = boot_module_find(os->kernel_tag);
	struct boot_module *ramdisk = boot_module_find(os->ramdisk_tag);
	struct load_args a = {.map = &map, .cmdline = cmdline, .busy = busy, .in_place = true};
	int err;

	if (kernel == NULL) {
		report("%s: no boot module begins with the tag \"%s\": add one to the boot loader's "
		       "configuration",
		       vm->name, os->kernel_tag);
		return -ENOENT;
	}
	err = make_cmdline(vm, kernel);
	if (err != 0) {
		return err;
	}
	kernel->used = true;
	a.kernel = kernel->base;
	a.kernel_size = kernel->size;
	if (ramdisk != NULL) {
		ramdisk->used = true;
		a.ramdisk = ramdisk->base;
		a.ramdisk_size = ramdisk->size;
	}
	ve820_service(&map);
	for (a.busy_count = 0U; a.busy_count < boot_info.module_count; a.busy_count++) {
		const struct boot_module *m = &boot_info.modules[a.busy_count];

		busy[a.busy_count] = (struct mem_range){.base = m->base.v, .size = m->size};
	}
	a.rsdp = acpi_facts.rsdp_hpa;
	return load_bzimage(vm, &a, &vm->vcpus[0]->start);
}

static int create_service_vm(uint16_t id)
{
	const struct vm_config *c = &vm_configs[id];
	struct vm_create_args args = {
		.name = c->name,
		.load_order = c->load_order,
		.severity = c->severity,
		.flags = c->guest_flags,
		.cpu_affinity = c->cpu_affinity & (UINT64_MAX >> (64U - MIN(pcpu_count, 64U))),
		.config = c,
	};
	int err;

	if (c->os.type != KERNEL_BZIMAGE) {
		report("%s: the Service VM's kernel must be a bzImage", c->name);
		return -EINVAL;
	}
	if (args.cpu_affinity == 0U) {
		report("%s: none of its processors (bitmap 0x%lx) is in this machine", c->name,
		       c->cpu_affinity);
		return -EINVAL;
	}
	err = vm_create(id, &args);
	if (err != 0) {
		report("%s: cannot be created, error %d", c->name, err);
		return err;
	}
	err = load_service_kernel(vm_by_id(id));
	if (err != 0) {
		vm_destroy(vm_by_id(id));
	}
	return err;
}

int load_vms(void)
{
	int err = 0;

	for (uint16_t i = 0U; i < vm_config_count; i++) {
		if (vm_configs[i].load_order == SERVICE_VM) {
			err = create_service_vm(i);
		} else if (vm_configs[i].load_order == PRE_LAUNCHED_VM) {
			report("%s: pre-launched VMs cannot be started yet", vm_configs[i].name);
		}
	}
	for (uint16_t i = 0U; i < vm_config_count && err == 0; i++) {
		if (vm_by_id(i)->state == VM_CREATED) {
			err = vm_start(vm_by_id(i));
		}
	}
	return err;
}
