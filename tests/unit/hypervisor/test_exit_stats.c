// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does the log say of each vCPU that ends what it counted, nothing where nothing was counted, and
 * all of it where that is more than a line holds? And before a reset, for those that still live?
 */
// links: hypervisor/debug/exit_stats.c hypervisor/guest/unit.c tests/fake/fake_machine.c
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
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"

void (*vm_check)(struct vm *held);

static struct vm slots[CONFIG_MAX_VM_NUM];
static struct vcpu vcpus[2];
static char lines[16][320];
static uint32_t count;
static struct vm *checked;

struct vm *vm_by_id(uint16_t id)
{
	return &slots[id];
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
	slots[1].id = 1U;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_before_reset, setup), /* boots the units for all */
		cmocka_unit_test_setup(test_line, setup),
		cmocka_unit_test_setup(test_nothing, setup),
		cmocka_unit_test_setup(test_too_many_for_a_line, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
