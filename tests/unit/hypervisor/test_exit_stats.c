// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the log say of each vCPU that ends what it counted, nothing where nothing was counted, and
 * all of it where that is more than a line holds? And before a reset, for those that still live?
 */
// links: hypervisor/debug/exit_stats.c hypervisor/guest/unit.c hypervisor/arch/x86/mm/pool.c
// links: tests/fake/fake_machine.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "config.h"
#include "fake_machine.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/shell.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

void (*vm_check)(struct vm *held);
void (*vmexit_account)(struct vcpu *vcpu, uint32_t reason, uint64_t start);

extern const struct shell_cmd __start_hv_shell_cmds[];

static struct vm slots[CONFIG_MAX_VM_NUM];
static struct vcpu vcpus[2];
static char lines[80][320];
static uint32_t count;
static struct vm *checked;

struct vm *vm_by_id(uint16_t id)
{
	return id < CONFIG_MAX_VM_NUM ? &slots[id] : NULL;
}

void log_line(uint32_t level, const char *fmt, ...)
{
	va_list ap;

	assert_true(count < sizeof(lines) / sizeof(lines[0]));
	assert_int_equal(level, LOG_INFO);
	va_start(ap, fmt);
	/* What debug/log.c leaves for the text, with the longest head. */
	assert_true(vsnprintf(lines[count++], sizeof(lines[0]), fmt, ap) < 270);
	va_end(ap);
}

void panic(const char *fmt, ...)
{
	fail_msg("%s", fmt);
	abort();
}

void *boot_alloc(size_t size, size_t align)
{
	static uint8_t memory[1000000];

	assert_true(size <= sizeof(memory) && align <= 64);
	return memset(memory, 0, size);
}

void *boot_alloc_raw(size_t size, size_t align)
{
	return boot_alloc(size, align);
}

/* What the shell shows. */
void shell_print(const char *fmt, ...)
{
	va_list ap;

	assert_true(count < sizeof(lines) / sizeof(lines[0]));
	va_start(ap, fmt);
	assert_true(vsnprintf(lines[count++], sizeof(lines[0]), fmt, ap) < 200);
	va_end(ap);
}

void shell_rows(bool (*row)(uint32_t i))
{
	for (uint32_t i = 0; row(i); i++)
		;
}

bool shell_number(const char *text, uint64_t max, uint64_t *val)
{
	*val = strtoul(text, NULL, 0);
	return *val <= max;
}

static void next(struct vm *held)
{
	checked = held;
}

static int setup(void **state)
{
	(void)state;
	memset(slots, 0, sizeof(slots));
	memset(vcpus, 0, sizeof(vcpus));
	count = 0U;
	for (uint16_t i = 0U; i < CONFIG_MAX_VM_NUM; i++)
		slots[i].id = i;
	slots[1].state = VM_RUNNING;
	slots[1].vcpu_count = 2U;
	for (uint16_t i = 0U; i < 2U; i++) {
		vcpus[i].vm = &slots[1];
		vcpus[i].id = i;
		slots[1].vcpus[i] = &vcpus[i];
	}
	return 0;
}

static void test_line(void **state)
{
	(void)state;
	vcpus[1].exits[0] = 3U;
	vcpus[1].exits[EXIT_CPUID] = 1234U;
	vcpus[1].exits[EXIT_REASONS - 1U] = UINT64_MAX;
	unit_vcpu_deinit(&vcpus[1]);
	assert_int_equal(count, 1U);
	assert_string_equal(lines[0], "VM 1 vCPU 1 exits: 0:3 10:1234 69:18446744073709551615");
}

static void test_nothing(void **state)
{
	(void)state;
	unit_vcpu_deinit(&vcpus[0]);
	assert_int_equal(count, 0U);
}

static void test_too_many_for_a_line(void **state)
{
	char want[16], all[4096] = "";

	(void)state;
	for (uint32_t i = 0U; i < EXIT_REASONS; i++) {
		vcpus[0].exits[i] = UINT64_MAX - i;
	}
	unit_vcpu_deinit(&vcpus[0]);
	assert_true(count > 1U);
	for (uint32_t i = 0U; i < count; i++) {
		assert_memory_equal(lines[i], "VM 1 vCPU 0 exits: ", 19);
		strcat(all, strchr(lines[i], ':') + 1);
	}
	for (uint32_t i = 0U; i < EXIT_REASONS; i++) {
		(void)snprintf(want, sizeof(want), " %u:184467440", i);
		assert_non_null(strstr(all, want));
	}
}

static void test_before_reset(void **state)
{
	(void)state;
	vm_check = next;
	assert_int_equal(unit_boot(), 0);
	vcpus[0].exits[EXIT_HLT] = 7U;
	vcpus[1].exits[EXIT_IO] = 8U;
	checked = &slots[0];
	vm_check(NULL);
	assert_null(checked);
	assert_int_equal(count, 2U);
	assert_string_equal(lines[0], "VM 1 vCPU 0 exits: 12:7");
	assert_string_equal(lines[1], "VM 1 vCPU 1 exits: 30:8");
	/* A VM was destroyed: the others go on, and the checker is still asked. */
	vm_check(&slots[1]);
	assert_ptr_equal(checked, &slots[1]);
	slots[1].vcpus[0] = NULL;
	slots[1].vcpus[1] = NULL;
	vm_check(NULL);
	assert_int_equal(count, 2U);
}

static const struct shell_cmd *command(const char *name)
{
	const struct shell_cmd *cmd = __start_hv_shell_cmds;

	while (strcmp(cmd->name, name) != 0)
		cmd++;
	return cmd;
}

/* Is an exit timed from its start to the entry, unless the vCPU gave its CPU away meanwhile? */
static void test_cost(void **state)
{
	char *all[] = {"vm_stats"}, *none[] = {"vm_stats", "2"}, *bad[] = {"vm_stats", "99"};

	(void)state;
	assert_int_equal(unit_vcpu_init(&vcpus[1]), 0);
	vcpus[1].exits[EXIT_CPUID] = 3;
	fake_tsc = 1000;
	vmexit_account(&vcpus[1], EXIT_CPUID, 900);
	vmexit_account(&vcpus[1], EXIT_CPUID, 960);
	vcpus[1].thread.run_start = 950;
	vmexit_account(&vcpus[1], EXIT_CPUID, 500); /* was away */
	vmexit_account(&vcpus[1], 0x80000021U, 990);
	assert_int_equal(command("vm_stats")->fn(1, all), 0);
	assert_int_equal(count, 2);
	assert_string_equal(lines[1], "    1    1     10 CPUID                         3          2"
				      "       40       70        100          140");
	assert_int_equal(command("vm_stats")->fn(2, none), 0);
	assert_int_equal(count, 3);
	assert_int_equal(command("vm_stats")->fn(2, bad), -22);
	/* a VM that comes anew begins anew */
	assert_int_equal(unit_vcpu_init(&vcpus[1]), 0);
	count = 0;
	assert_int_equal(command("vm_stats")->fn(1, all), 0);
	assert_non_null(strstr(lines[1], " 3          0        0"));
}

/* What if somebody else holds the VM, the checker for one? A line says so, in place of its rows. */
static void test_busy(void **state)
{
	char *all[] = {"vm_stats"};

	(void)state;
	vcpus[1].exits[EXIT_CPUID] = 3;
	spin_lock(&slots[1].lock);
	assert_int_equal(command("vm_stats")->fn(1, all), 0);
	spin_unlock(&slots[1].lock);
	assert_int_equal(count, 2);
	assert_string_equal(lines[1], "    1 busy, ask again");
}

/* A vCPU with exits of every kind: does its row fit where a row waits for room, 8 KB? */
static void test_longest_row(void **state)
{
	char *all[] = {"vm_stats"};
	size_t size = 0;

	(void)state;
	for (uint32_t i = 0; i < EXIT_REASONS; i++) {
		vcpus[0].exits[i] = UINT32_MAX;
		vmexit_account(&vcpus[0], i, fake_tsc - UINT32_MAX);
	}
	assert_int_equal(command("vm_stats")->fn(1, all), 0);
	assert_int_equal(count, 1 + EXIT_REASONS);
	for (uint32_t i = 1; i < count; i++)
		size += strlen(lines[i]) + 2;
	assert_in_range(size, 4096, 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_before_reset, setup), /* boots the units for all */
		cmocka_unit_test_setup(test_line, setup),
		cmocka_unit_test_setup(test_cost, setup),
		cmocka_unit_test_setup(test_busy, setup),
		cmocka_unit_test_setup(test_longest_row, setup),
		cmocka_unit_test_setup(test_nothing, setup),
		cmocka_unit_test_setup(test_too_many_for_a_line, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
