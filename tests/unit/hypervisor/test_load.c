// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/boot/load.c @machine tests/fake/fake_report.c
/*
 * The VMs that start with the machine: modules by tag, command lines, and what a missing or bad
 * one costs.
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
#include "hv/load.h"
#include "hv/pcpu.h"
#include "hv/ve820.h"
#include "hv/vm.h"
#include "lib/errno.h"

struct boot_info boot_info;
struct acpi_facts acpi_facts;

static struct vm_config vm_configs_[] = {
	{.load_order = SERVICE_VM, .name = "Service", .severity = SEVERITY_SERVICE_VM,
	 .cpu_affinity = 0xFF,
	 .os = {.kernel_tag = "Linux_bzImage", .ramdisk_tag = "Ramdisk", .bootargs = "default args"}},
	{.load_order = POST_LAUNCHED_VM, .name = "later", .os = {.bootargs = ""}},
};
extern const struct vm_config vm_configs[2] __attribute__((alias("vm_configs_")));
const uint16_t vm_config_count = 2;

static struct vm slots[2];
static struct vcpu vcpu;
static struct vm_create_args created;
static struct load_args loaded;
static char line[3000];
static uint32_t creates, loads, starts, destroys;
static int create_error, load_error;

struct vm *vm_by_id(uint16_t id)
{
	return &slots[id];
}

int vm_create(uint16_t id, const struct vm_create_args *args)
{
	assert_int_equal(id, 0);
	creates++;
	created = *args;
	if (create_error != 0)
		return create_error;
	slots[0].config = args->config;
	slots[0].state = VM_CREATED;
	slots[0].vcpus[0] = &vcpu;
	strcpy(slots[0].name, args->name);
	return 0;
}

int vm_start(struct vm *vm)
{
	assert_ptr_equal(vm, &slots[0]);
	starts++;
	return 0;
}

void vm_destroy(struct vm *vm)
{
	vm->state = VM_POWERED_OFF;
	destroys++;
}

int load_bzimage(struct vm *vm, const struct load_args *a, struct vcpu_start *start)
{
	assert_ptr_equal(vm, &slots[0]);
	assert_ptr_equal(start, &vcpu.start);
	loads++;
	loaded = *a;
	strcpy(line, a->cmdline);
	return load_error;
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
	creates = loads = starts = destroys = 0;
	create_error = load_error = 0;
	vm_configs_[0].cpu_affinity = 0xFF;
	vm_configs_[0].os.type = KERNEL_BZIMAGE;
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
	assert_int_equal(creates, 1);
	assert_int_equal(starts, 1);
	/* only the processors there are */
	assert_int_equal(created.cpu_affinity, BIT(FAKE_PCPUS) - 1U);
	assert_int_equal(created.severity, SEVERITY_SERVICE_VM);
	assert_ptr_equal(created.config, &vm_configs[0]);
	assert_null(created.owner);
	assert_int_equal(loaded.kernel.v, 0x100000);
	assert_int_equal(loaded.ramdisk.v, 0x200000);
	assert_int_equal(loaded.ramdisk_size, 0x1000);
	assert_int_equal(loaded.rsdp, 0xF1230);
	assert_true(loaded.in_place);
	/* no module may be written over while any VM still needs it */
	assert_int_equal(loaded.busy_count, 3);
	assert_int_equal(loaded.busy[0].base, 0x300000);
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
	assert_int_equal(loaded.ramdisk_size, 0);
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
	starts = 0;
	assert_int_equal(load_vms(), -E2BIG);
	assert_true(fake_reported("2049 characters, 2047"));
	assert_int_equal(destroys, 1);
	assert_int_equal(starts, 0);
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
	assert_int_equal(load_vms(), -EINVAL);
	assert_int_equal(fake_report_lines, 0);
	assert_int_equal(destroys, 2);
	create_error = -ENOMEM;
	assert_int_equal(load_vms(), -ENOMEM);
	assert_true(fake_reported("cannot be created"));
	vm_configs_[0].cpu_affinity = BIT(40);
	assert_int_equal(load_vms(), -EINVAL);
	assert_true(fake_reported("none of its processors"));
	vm_configs_[0].os.type = KERNEL_ELF;
	assert_int_equal(load_vms(), -EINVAL);
	assert_true(fake_reported("must be a bzImage"));
	assert_int_equal(starts, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good, setup),
		cmocka_unit_test_setup(test_cmdline, setup),
		cmocka_unit_test_setup(test_long_cmdline, setup),
		cmocka_unit_test_setup(test_refusals, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
