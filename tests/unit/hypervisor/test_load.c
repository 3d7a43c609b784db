// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/boot/load.c @machine tests/fake/fake_report.c
/*
 * The VMs that start with the machine: modules by tag, command lines, the loader for each kind of
 * kernel, and what a missing or bad one costs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "fake_machine.h"
#include "fake_report.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/gmem.h"
#include "hv/load.h"
#include "hv/pcpu.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"

struct boot_info boot_info;
struct acpi_facts acpi_facts;

static const uint8_t tables[] = {'R', 'S', 'D'};
static struct vm_config vm_configs_[] = {
	{.load_order = SERVICE_VM, .name = "Service", .severity = SEVERITY_SERVICE_VM,
	 .cpu_affinity = 0xFF,
	 .os = {.kernel_tag = "Linux_bzImage", .ramdisk_tag = "Ramdisk", .bootargs = "default args"}},
	{.load_order = POST_LAUNCHED_VM, .name = "later", .os = {.bootargs = ""}},
	{.load_order = POST_LAUNCHED_VM, .name = "safety", .severity = SEVERITY_SAFETY_VM,
	 .memory_size = 0x800000, .acpi = tables, .acpi_size = sizeof(tables),
	 .os = {.kernel_tag = "Safe", .ramdisk_tag = "Safe_disk", .bootargs = "safe"}},
};
extern const struct vm_config vm_configs[3] __attribute__((alias("vm_configs_")));
const uint16_t vm_config_count = 3;

static struct vm slots[3];
static struct vcpu vcpus[3];
static struct vm_create_args created[3];
static struct load_args loaded[3];
static char line[3000];
static uint32_t loads[3], starts[3], destroys, taken;
static int create_error, load_error, write_error, take_error;

struct vm *vm_by_id(uint16_t id)
{
	return &slots[id];
}

int vm_create(uint16_t id, const struct vm_create_args *args)
{
	created[id] = *args;
	if (create_error != 0)
		return create_error;
	slots[id].id = id;
	slots[id].load_order = args->load_order;
	slots[id].config = args->config;
	slots[id].state = VM_CREATED;
	slots[id].vcpus[0] = &vcpus[id];
	strcpy(slots[id].name, args->name);
	return 0;
}

int vm_start(struct vm *vm)
{
	starts[vm->id]++;
	return 0;
}

void vm_destroy(struct vm *vm)
{
	vm->state = VM_POWERED_OFF;
	destroys++;
}

static int load(struct vm *vm, const struct load_args *a, struct vcpu_start *start,
		enum vm_kernel_type type)
{
	assert_ptr_equal(start, &vcpus[vm->id].start);
	assert_int_equal(vm->config->os.type, type);
	loads[vm->id]++;
	loaded[vm->id] = *a;
	strcpy(line, a->cmdline);
	return load_error;
}

int load_bzimage(struct vm *vm, const struct load_args *a, struct vcpu_start *start)
{
	return load(vm, a, start, KERNEL_BZIMAGE);
}
LOADER(KERNEL_BZIMAGE, load_bzimage);

int load_elf(struct vm *vm, const struct load_args *a, struct vcpu_start *start)
{
	return load(vm, a, start, KERNEL_ELF);
}
LOADER(KERNEL_ELF, load_elf);

int load_raw(struct vm *vm, const struct load_args *a, struct vcpu_start *start)
{
	return load(vm, a, start, KERNEL_RAWIMAGE);
}
LOADER(KERNEL_RAWIMAGE, load_raw);

int gmem_write(struct vm *vm, gpa_t gpa, const void *buf, size_t len)
{
	assert_ptr_equal(vm, &slots[2]);
	assert_int_equal(gpa.v, VE820_ACPI);
	assert_ptr_equal(buf, tables);
	assert_int_equal(len, sizeof(tables));
	return write_error;
}

static int keep_away(hpa_t base, uint64_t size)
{
	/* before any VM is made: the Service VM must not see them */
	assert_int_equal(slots[0].state, VM_POWERED_OFF);
	assert_int_equal(size, 0x1000);
	assert_true(base.v == 0x400000 || base.v == 0x500000);
	taken++;
	return take_error;
}

void ve820_pre_launched(struct e820 *map, uint64_t size)
{
	assert_int_equal(size, 0x800000);
	map->count = 3;
}

void ve820_service(struct e820 *map)
{
	map->count = 1;
}

struct boot_module *boot_module_find(const char *tag)
{
	for (uint32_t i = 0; i < boot_info.module_count && tag[0] != '\0'; i++) {
		if (strcmp(boot_info.modules[i].tag, tag) == 0 && !boot_info.modules[i].used)
			return &boot_info.modules[i];
	}
	return NULL;
}

static void module(const char *tag, const char *args, uint64_t base)
{
	struct boot_module *m = &boot_info.modules[boot_info.module_count++];

	strcpy(m->tag, tag);
	m->args = args;
	m->base = HPA(base);
	m->size = 0x1000;
	m->used = false;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fake_report_reset();
	memset(&boot_info, 0, sizeof(boot_info));
	memset(slots, 0, sizeof(slots));
	memset(loads, 0, sizeof(loads));
	memset(starts, 0, sizeof(starts));
	destroys = taken = 0;
	load_keep = keep_away;
	create_error = load_error = write_error = take_error = 0;
	vm_configs_[0].cpu_affinity = 0xFF;
	vm_configs_[0].os.type = KERNEL_BZIMAGE;
	vm_configs_[2].load_order = POST_LAUNCHED_VM;
	vm_configs_[2].cpu_affinity = 2;
	vm_configs_[2].os.type = KERNEL_BZIMAGE;
	acpi_facts.rsdp_hpa = 0xF1230;
	return 0;
}

/* Kernel, ramdisk and a module of nobody's: who gets what? */
static void test_good(void **state)
{
	(void)state;
	module("other", "", 0x300000);
	module("Linux_bzImage", "", 0x100000);
	module("Ramdisk", "", 0x200000);
	assert_int_equal(load_vms(), 0);
	assert_int_equal(starts[0], 0); /* the hypervisor has something to do first */
	load_start_vms();
	assert_int_equal(starts[0], 1);
	assert_int_equal(starts[1] + starts[2], 0);
	/* only the processors there are */
	assert_int_equal(created[0].cpu_affinity, BIT(FAKE_PCPUS) - 1U);
	assert_int_equal(created[0].severity, SEVERITY_SERVICE_VM);
	assert_ptr_equal(created[0].config, &vm_configs[0]);
	assert_null(created[0].owner);
	assert_int_equal(loaded[0].kernel.v, 0x100000);
	assert_int_equal(loaded[0].ramdisk.v, 0x200000);
	assert_int_equal(loaded[0].ramdisk_size, 0x1000);
	assert_int_equal(loaded[0].rsdp, 0xF1230);
	assert_true(loaded[0].in_place);
	/* no module may be written over while any VM still needs it */
	assert_int_equal(loaded[0].busy_count, 3);
	assert_int_equal(loaded[0].busy[0].base, 0x300000);
	assert_string_equal(line, "default args");
	assert_true(boot_info.modules[1].used && boot_info.modules[2].used);
	assert_false(boot_info.modules[0].used);
	assert_int_equal(fake_report_lines, 0);
}

/* The module's string replaces the configured one; the hypervisor's comes last. */
static void test_cmdline(void **state)
{
	(void)state;
	module("Linux_bzImage", "root=/dev/sda", 0x100000);
	strcpy(boot_info.cmdline, "uart=port@0x3F8");
	assert_int_equal(load_vms(), 0);
	assert_string_equal(line, "root=/dev/sda uart=port@0x3F8");
	assert_int_equal(loaded[0].ramdisk_size, 0);
}

/* Too long together: refused, not cut, and the VM is not left half-made. */
static void test_long_cmdline(void **state)
{
	char args[VM_BOOTARGS_LEN];

	(void)state;
	memset(args, 'x', sizeof(args));
	args[sizeof(args) - 1] = '\0';
	module("Linux_bzImage", args, 0x100000);
	assert_int_equal(load_vms(), 0);
	assert_int_equal(strlen(line), VM_BOOTARGS_LEN - 1);
	boot_info.modules[0].used = false;
	slots[0].state = VM_POWERED_OFF;
	strcpy(boot_info.cmdline, "y");
	assert_int_equal(load_vms(), -ENOENT);
	assert_true(fake_reported("2049 characters, 2047"));
	assert_int_equal(destroys, 1);
	load_start_vms();
	assert_int_equal(starts[0], 0);
}

/* What can be missing or wrong: each costs one line that says what to do. */
static void test_refusals(void **state)
{
	(void)state;
	assert_int_equal(load_vms(), -ENOENT);
	assert_true(fake_reported("\"Linux_bzImage\""));
	assert_int_equal(destroys, 1);
	fake_report_reset();
	module("Linux_bzImage", "", 0x100000);
	load_error = -EINVAL; /* the loader has said why */
	assert_int_equal(load_vms(), -ENOENT);
	assert_int_equal(fake_report_lines, 0);
	assert_int_equal(destroys, 2);
	create_error = -ENOMEM;
	assert_int_equal(load_vms(), -ENOENT);
	assert_true(fake_reported("cannot be created"));
	vm_configs_[0].cpu_affinity = BIT(40);
	assert_int_equal(load_vms(), -ENOENT);
	assert_true(fake_reported("none of its processors"));
	vm_configs_[0].os.type = KERNEL_ELF;
	assert_int_equal(load_vms(), -ENOENT);
	assert_true(fake_reported("must be a bzImage"));
	load_start_vms();
	assert_int_equal(starts[0], 0);
}

static void both(void)
{
	vm_configs_[2].load_order = PRE_LAUNCHED_VM;
	module("Linux_bzImage", "", 0x100000);
	module("Safe", "", 0x400000);
	module("Safe_disk", "", 0x500000);
	strcpy(boot_info.cmdline, "loglevel=5");
}

/* A pre-launched VM beside the Service VM: memory, tables, modules and words of its own? */
static void test_pre_launched(void **state)
{
	static const enum vm_kernel_type types[] = {KERNEL_BZIMAGE, KERNEL_ELF, KERNEL_RAWIMAGE};

	for (uint32_t i = 0; i < ARRAY_SIZE(types); i++) {
		(void)setup(state);
		both();
		vm_configs_[2].os.type = types[i];
		assert_int_equal(load_vms(), 0);
		load_start_vms();
		assert_int_equal(starts[0] + starts[2], 2);
		assert_int_equal(taken, 2);
		assert_string_equal(line, "safe");
		assert_int_equal(created[2].load_order, PRE_LAUNCHED_VM);
		assert_int_equal(created[2].cpu_affinity, 2);
		assert_int_equal(loaded[2].kernel.v, 0x400000);
		assert_int_equal(loaded[2].ramdisk.v, 0x500000);
		assert_int_equal(loaded[2].rsdp, VE820_ACPI);
		assert_int_equal(loaded[2].map->count, 3);
		assert_int_equal(loaded[2].busy_count, 0);
		assert_false(loaded[2].in_place);
		/* after a reset, from the same modules */
		assert_int_equal(load_kernel(&slots[2]), 0);
		assert_int_equal(loads[2], 2);
		assert_int_equal(loaded[2].kernel.v, 0x400000);
	}
}

/* What if it cannot be had? It is left out, with a line; the other VM starts. */
static void test_pre_launched_refused(void **state)
{
	for (uint32_t i = 0; i < 4; i++) {
		(void)setup(state);
		both();
		if (i == 0)
			boot_info.modules[1].tag[0] = 'x';
		else if (i == 1)
			vm_configs_[2].cpu_affinity = BIT(0) | BIT(40);
		else if (i == 2)
			write_error = -EFAULT;
		else
			take_error = -ENOSPC;
		assert_int_equal(load_vms(), 0);
		load_start_vms();
		assert_int_equal(starts[0], 1);
		assert_int_equal(starts[2] + loads[2], 0);
		assert_int_equal(slots[2].state, VM_POWERED_OFF);
		if (i == 0)
			assert_true(fake_reported("safety: no boot module begins with the tag \"Safe\""));
		else if (i == 1)
			assert_true(fake_reported("safety: not each of its processors"));
		else if (i == 3)
			assert_true(fake_reported("safety: its boot modules cannot be kept"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good, setup),
		cmocka_unit_test_setup(test_cmdline, setup),
		cmocka_unit_test_setup(test_long_cmdline, setup),
		cmocka_unit_test_setup(test_refusals, setup),
		cmocka_unit_test_setup(test_pre_launched, setup),
		cmocka_unit_test_setup(test_pre_launched_refused, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
