// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do units start in the order of their levels, whatever order they were linked in, and does a
 * failing one undo exactly those before it?
 */
// links: hypervisor/guest/unit.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vm.h"
#include "lib/errno.h"
#include "fake_machine.h"

static char seen[128];
static char fail_at; /* the unit whose init fails */

static void note(char hook, char unit)
{
	size_t n = strlen(seen);

	assert_true(n + 3 < sizeof(seen));
	seen[n] = hook;
	seen[n + 1] = unit;
	seen[n + 2] = '\0';
}

#define HOOKS(name)                                                                                \
	static int name##_boot(void)                                                               \
	{                                                                                          \
		note('b', #name[0]);                                                               \
		return fail_at == #name[0] ? -ENODEV : 0;                                          \
	}                                                                                          \
	static int name##_vm_init(struct vm *vm)                                                   \
	{                                                                                          \
		(void)vm;                                                                          \
		note('i', #name[0]);                                                               \
		return fail_at == #name[0] ? -ENOMEM : 0;                                          \
	}                                                                                          \
	static void name##_vm_deinit(struct vm *vm)                                                \
	{                                                                                          \
		(void)vm;                                                                          \
		note('d', #name[0]);                                                               \
	}                                                                                          \
	static int name##_vcpu_init(struct vcpu *vcpu)                                             \
	{                                                                                          \
		(void)vcpu;                                                                        \
		note('I', #name[0]);                                                               \
		return fail_at == #name[0] ? -ENOMEM : 0;                                          \
	}                                                                                          \
	static void name##_vcpu_deinit(struct vcpu *vcpu)                                          \
	{                                                                                          \
		(void)vcpu;                                                                        \
		note('D', #name[0]);                                                               \
	}                                                                                          \
	static void name##_vm_reset(struct vm *vm)                                                 \
	{                                                                                          \
		(void)vm;                                                                          \
		note('r', #name[0]);                                                               \
	}                                                                                          \
	static void name##_vcpu_reset(struct vcpu *vcpu)                                           \
	{                                                                                          \
		(void)vcpu;                                                                        \
		note('R', #name[0]);                                                               \
	}

#define FULL_UNIT(name_, level_)                                                                   \
	UNIT(name_) = {.name = #name_,                                                             \
		       .level = (level_),                                                          \
		       .boot = name_##_boot,                                                       \
		       .vm_init = name_##_vm_init,                                                 \
		       .vm_reset = name_##_vm_reset,                                               \
		       .vm_deinit = name_##_vm_deinit,                                             \
		       .vcpu_init = name_##_vcpu_init,                                             \
		       .vcpu_reset = name_##_vcpu_reset,                                           \
		       .vcpu_deinit = name_##_vcpu_deinit}

HOOKS(zero)
HOOKS(alpha)
HOOKS(mid)
HOOKS(late)

FULL_UNIT(late, UNIT_SERVICE);
struct thing {
	uint64_t word;
};
UNIT(nothing) = {.name = "nothing",
		 .level = UNIT_IO,
		 .vm_state = VM_STATE("things", struct thing, vio),
		 .vcpu_state = VCPU_STATE("vCPUs' things", struct thing, insts)};
FULL_UNIT(zero, UNIT_CORE);
FULL_UNIT(mid, UNIT_INTR);
FULL_UNIT(alpha, UNIT_CPU);

static struct vm vm;
static struct vcpu vcpu;

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	fail_at = 0;
	assert_int_equal(unit_boot(), 0);
	seen[0] = '\0';
	return 0;
}

/* In which order do they come up, and go down? */
static void test_order(void **state)
{
	(void)state;
	assert_int_equal(unit_boot(), 0);
	assert_string_equal(seen, "bzbabmbl");
	seen[0] = '\0';
	assert_int_equal(unit_vm_init(&vm), 0);
	assert_int_equal(unit_vcpu_init(&vcpu), 0);
	assert_string_equal(seen, "iziaimilIzIaImIl");
	seen[0] = '\0';
	unit_vm_reset(&vm);
	unit_vcpu_reset(&vcpu);
	assert_string_equal(seen, "rzrarmrlRzRaRmRl");
	seen[0] = '\0';
	unit_vcpu_deinit(&vcpu);
	unit_vm_deinit(&vm);
	assert_string_equal(seen, "DlDmDaDzdldmdadz");
}

/* What if the first, a middle, or the last fails? */
static void test_unwinding(void **state)
{
	static const struct {
		char fail;
		const char *vm, *vcpu;
	} cases[] = {
		{'z', "iz", "Iz"},
		{'a', "iziadz", "IzIaDz"},
		{'m', "iziaimdadz", "IzIaImDaDz"},
		{'l', "iziaimildmdadz", "IzIaImIlDmDaDz"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		fail_at = cases[i].fail;
		seen[0] = '\0';
		assert_int_equal(unit_vm_init(&vm), -ENOMEM);
		assert_string_equal(seen, cases[i].vm);
		seen[0] = '\0';
		assert_int_equal(unit_vcpu_init(&vcpu), -ENOMEM);
		assert_string_equal(seen, cases[i].vcpu);
	}
}

/* What if one does not start at boot? The boot ends there, and says which. */
static void test_boot_failure(void **state)
{
	(void)state;
	fail_at = 'm';
	assert_int_equal(unit_boot(), -ENODEV);
	assert_string_equal(seen, "bzbabm");
	assert_true(strstr(fake_log_last, "mid") != NULL);
}

/* Is a unit's state there as long as its owner, and gone when the owner is not made after all? */
static void test_state(void **state)
{
	(void)state;
	assert_int_equal(unit_vm_init(&vm), 0);
	assert_int_equal(((struct thing *)(void *)vm.vio)->word, 0);
	assert_int_equal(unit_vcpu_init(&vcpu), 0);
	assert_int_equal(((struct thing *)(void *)vcpu.insts)->word, 0);
	unit_vcpu_deinit(&vcpu);
	assert_null(vcpu.insts);
	unit_vm_deinit(&vm);
	assert_null(vm.vio);
	fail_at = 'l';
	assert_int_equal(unit_vm_init(&vm), -ENOMEM);
	assert_null(vm.vio);
	assert_int_equal(unit_vcpu_init(&vcpu), -ENOMEM);
	assert_null(vcpu.insts);
	fail_at = 0;
	seen[0] = '\0';
	fake_pool_empty = true;
	assert_int_equal(unit_vm_init(&vm), -ENOMEM);
	assert_int_equal(unit_vcpu_init(&vcpu), -ENOMEM);
	fake_pool_empty = false;
	assert_string_equal(seen, "iziadadzIzIaDaDz");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_order, setup),
		cmocka_unit_test_setup(test_state, setup),
		cmocka_unit_test_setup(test_unwinding, setup),
		cmocka_unit_test_setup(test_boot_failure, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
