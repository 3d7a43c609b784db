// SPDX-License-Identifier: BSD-3-Clause
/*
 * Creates the VMs that start with the machine, gives each its kernel from the boot modules, and
 * starts them. Called once by main.c on the boot CPU when everything else is up; nothing runs in a
 * guest before the last VM is loaded, so that a module is never overwritten while it is needed.
 * A VM that cannot be loaded costs a line in the boot report, not the boot. load_kernel() is also
 * for a pre-launched VM that was reset: then the VM's own state says that nothing of it runs.
 */
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/gmem.h"
#include "hv/load.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "config.h"

extern const struct loader __start_hv_loaders[] __attribute__((visibility("hidden")));
extern const struct loader __stop_hv_loaders[] __attribute__((visibility("hidden")));

int (*load_keep)(hpa_t base, uint64_t size);

/* The modules of each VM, claimed at boot. */
static struct {
	struct boot_module *kernel, *ramdisk;
} modules[CONFIG_MAX_VM_NUM];
static struct e820 map;
static struct mem_range busy[BOOT_MAX_MODULES];
static char cmdline[VM_BOOTARGS_LEN];

/*
 * The string behind the kernel's tag replaces the configured arguments; for the Service VM the
 * hypervisor's own command line comes last. Cutting one that is too long would start a kernel on
 * half a word.
 */
static int make_cmdline(const struct vm *vm, const struct boot_module *kernel)
{
	const char *args = (kernel->args[0] != '\0') ? kernel->args : vm->config->os.bootargs;
	const char *more = (vm->load_order == SERVICE_VM) ? boot_info.cmdline : "";
	int len = snprintf(cmdline, sizeof(cmdline), "%s%s%s", args, (more[0] != '\0') ? " " : "",
			   more);

	if (len < (int)sizeof(cmdline)) {
		return 0;
	}
	report("%s: the kernel's command line has %d characters, %u are the most", vm->name, len,
	       VM_BOOTARGS_LEN - 1U);
	return -E2BIG;
}

/* What the VM sees, and what the kernel must not be put over. */
static void describe_memory(const struct vm *vm, struct load_args *a)
{
	if (vm->load_order == PRE_LAUNCHED_VM) {
		ve820_pre_launched(&map, vm->config->memory_size);
		a->rsdp = VE820_ACPI;
		return;
	}
	ve820_service(&map);
	a->in_place = true;
	for (a->busy_count = 0U; a->busy_count < boot_info.module_count; a->busy_count++) {
		const struct boot_module *m = &boot_info.modules[a->busy_count];

		busy[a->busy_count] = (struct mem_range){.base = m->base.v, .size = m->size};
	}
	a->rsdp = acpi_facts.rsdp_hpa;
}

int load_kernel(struct vm *vm)
{
	const struct boot_module *kernel = modules[vm->id].kernel;
	const struct boot_module *ramdisk = modules[vm->id].ramdisk;
	struct load_args a = {.map = &map, .cmdline = cmdline, .busy = busy};
	struct vcpu_start *start = &vm->vcpus[0]->start;
	int err;

	if (kernel == NULL) {
		report("%s: no boot module begins with the tag \"%s\": add one to the boot loader's "
		       "configuration",
		       vm->name, vm->config->os.kernel_tag);
		return -ENOENT;
	}
	err = make_cmdline(vm, kernel);
	if (err != 0) {
		return err;
	}
	a.kernel = kernel->base;
	a.kernel_size = kernel->size;
	if (ramdisk != NULL) {
		a.ramdisk = ramdisk->base;
		a.ramdisk_size = ramdisk->size;
	}
	describe_memory(vm, &a);
	if (vm->config->acpi != NULL) {
		err = gmem_write(vm, GPA(VE820_ACPI), vm->config->acpi, vm->config->acpi_size);
	}
	if (err != 0) {
		return err;
	}
	for (const struct loader *l = __start_hv_loaders; l < __stop_hv_loaders; l++) {
		if (l->type == vm->config->os.type) {
			return l->load(vm, &a, start);
		}
	}
	report("%s: this image has no loader for its kind of kernel", vm->name);
	return -EINVAL;
}

static struct boot_module *claim(const char *tag)
{
	struct boot_module *m = boot_module_find(tag);

	if (m != NULL) {
		m->used = true;
	}
	return m;
}

static int keep(const struct boot_module *m)
{
	return (m != NULL && load_keep != NULL) ? load_keep(m->base, m->size) : 0;
}

/*
 * A pre-launched VM's modules stay, for its next start after a reset: they are taken out of the map
 * before the Service VM sees that.
 */
static void claim_modules(uint16_t id)
{
	const struct vm_config *c = &vm_configs[id];

	modules[id].kernel = claim(c->os.kernel_tag);
	modules[id].ramdisk = claim(c->os.ramdisk_tag);
	if (c->load_order == PRE_LAUNCHED_VM &&
	    (keep(modules[id].kernel) != 0 || keep(modules[id].ramdisk) != 0)) {
		report("%s: its boot modules cannot be kept: too many ranges", c->name);
		modules[id].kernel = NULL;
	}
}

static int create_vm(uint16_t id)
{
	const struct vm_config *c = &vm_configs[id];
	uint64_t present = UINT64_MAX >> (64U - MIN(pcpu_count, 64U));
	struct vm_create_args args = {
		.name = c->name,
		.load_order = c->load_order,
		.severity = c->severity,
		.flags = c->guest_flags,
		.cpu_affinity = c->cpu_affinity & present,
		.config = c,
	};
	int err;

	if (c->load_order == SERVICE_VM && c->os.type != KERNEL_BZIMAGE) {
		report("%s: the Service VM's kernel must be a bzImage", c->name);
		return -EINVAL;
	}
	/*
	 * A Service VM takes what there is; one with processors of its own was planned with them.
	 */
	if (args.cpu_affinity == 0U ||
	    (c->load_order == PRE_LAUNCHED_VM && args.cpu_affinity != c->cpu_affinity)) {
		report("%s: %s of its processors (bitmap 0x%lx) is in this machine", c->name,
		       (args.cpu_affinity == 0U) ? "none" : "not each", c->cpu_affinity);
		return -EINVAL;
	}
	err = vm_create(id, &args);
	if (err != 0) {
		report("%s: cannot be created, error %d", c->name, err);
		return err;
	}
	err = load_kernel(vm_by_id(id));
	if (err != 0) {
		vm_destroy(vm_by_id(id));
	}
	return err;
}

int load_vms(void)
{
	uint32_t loaded = 0U;

	for (uint16_t i = 0U; i < vm_config_count; i++) {
		if (vm_configs[i].load_order != POST_LAUNCHED_VM) {
			claim_modules(i);
		}
	}
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		if (vm_configs[i].load_order != POST_LAUNCHED_VM && create_vm(i) == 0) {
			loaded++;
		}
	}
	return (loaded != 0U) ? 0 : -ENOENT;
}

void load_start_vms(void)
{
	for (uint16_t i = 0U; i < vm_config_count; i++) {
		if (vm_by_id(i)->state == VM_CREATED) {
			(void)vm_start(vm_by_id(i)); /* which cannot fail in this state */
		}
	}
}
