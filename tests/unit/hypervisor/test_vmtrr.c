// SPDX-License-Identifier: BSD-3-Clause
/*
 * Virtual MTRRs: what a kernel finds at the start, what it may write, what it reads back, and
 * that they are the vCPU's own.
 */
/* links: @machine @guest */
#include "guest_machine.h"

#define DEF_TYPE_ON 0xC06UL

static uint64_t value(struct vcpu *c, uint32_t msr)
{
	uint64_t v = 0;

	assert_int_equal(vmsr_read(c, msr, &v), 0);
	return v;
}

/* Does a kernel find MTRRs that are on and write-back, with the VGA window uncached? */
static void test_start(void **state)
{
	struct vcpu *c = test_vcpu(1, 1);

	(void)state;
	assert_int_equal(value(c, MSR_MTRRCAP), 0x500);
	assert_int_equal(value(c, MSR_MTRR_DEF_TYPE), DEF_TYPE_ON);
	assert_int_equal(value(c, MSR_MTRR_FIX64K_00000), 0x0606060606060606UL);
	assert_int_equal(value(c, MSR_MTRR_FIX16K_80000), 0x0606060606060606UL);
	assert_int_equal(value(c, MSR_MTRR_FIX16K_A0000), 0);
	assert_int_equal(value(c, MSR_MTRR_FIX4K_F8000), 0x0606060606060606UL);
	assert_int_equal(vmsr_write(c, MSR_MTRRCAP, 0x500), -EINVAL);
}

/* Are all eleven fixed registers separate, and gone from one's neighbour? */
static void test_fixed(void **state)
{
	static const uint32_t msrs[] = {0x250, 0x258, 0x259, 0x268, 0x269, 0x26A,
					0x26B, 0x26C, 0x26D, 0x26E, 0x26F};
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		assert_int_equal(vmsr_write(c, msrs[i], i % 2U == 0U ? 0x04UL : 0x0500UL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(msrs); i++)
		assert_int_equal(value(c, msrs[i]), i % 2U == 0U ? 0x04UL : 0x0500UL);
	assert_int_equal(value(test_vcpu(1, 1), 0x250), 0x0606060606060606UL);
	assert_int_equal(value(test_vcpu(0, 0), 0x250), 0x0606060606060606UL);
}

/* Types 2, 3 and 7 up do not exist; reserved bits of the default type are #GP. No variable ones. */
static void test_bad_values(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);
	uint64_t v;

	(void)state;
	for (uint64_t type = 0; type < 256U; type++) {
		int want = type == 0U || type == 1U || (type >= 4U && type <= 6U) ? 0 : -EINVAL;

		assert_int_equal(vmsr_write(c, 0x268, type << 56), want);
		assert_int_equal(vmsr_write(c, MSR_MTRR_DEF_TYPE, 0x800 | type), want);
	}
	assert_int_equal(vmsr_write(c, MSR_MTRR_DEF_TYPE, 0x1006), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_MTRR_DEF_TYPE, 0x206), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_MTRR_DEF_TYPE, 1UL << 32 | 6U), -EINVAL);
	assert_int_equal(vmsr_read(c, MSR_MTRR_PHYSBASE0, &v), -EINVAL);
	assert_int_equal(vmsr_write(c, MSR_MTRR_PHYSBASE0, 6), -EINVAL);
	assert_int_equal(vmsr_read(c, 0x251, &v), -EINVAL);
}

/* GUEST_FLAG_HIDE_MTRR: #GP, for that VM alone. */
static void test_hidden(void **state)
{
	uint64_t v;

	(void)state;
	test_vm(1)->flags |= GUEST_FLAG_HIDE_MTRR;
	assert_int_equal(vmsr_read(test_vcpu(1, 0), MSR_MTRRCAP, &v), -EINVAL);
	assert_int_equal(vmsr_read(test_vcpu(1, 0), MSR_MTRR_DEF_TYPE, &v), -EINVAL);
	assert_int_equal(vmsr_write(test_vcpu(1, 0), MSR_MTRR_DEF_TYPE, 6), -EINVAL);
	assert_int_equal(vmsr_read(test_vcpu(1, 0), 0x250, &v), -EINVAL);
	assert_int_equal(vmsr_write(test_vcpu(1, 0), 0x250, 6), -EINVAL);
	assert_int_equal(vmsr_read(test_vcpu(0, 0), MSR_MTRRCAP, &v), 0);
}

/* A reset of the VM puts the start values back; an INIT does not. */
static void test_reset(void **state)
{
	struct vcpu *c = test_vcpu(1, 0);

	(void)state;
	assert_int_equal(vmsr_write(c, MSR_MTRR_DEF_TYPE, 0), 0);
	unit_vcpu_reset(c);
	assert_int_equal(value(c, MSR_MTRR_DEF_TYPE), 0);
	unit_vm_reset(test_vm(1));
	assert_int_equal(value(c, MSR_MTRR_DEF_TYPE), DEF_TYPE_ON);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, guest_setup, guest_teardown)
	const struct CMUnitTest tests[] = {
		T(test_start), T(test_fixed), T(test_bad_values), T(test_hidden), T(test_reset),
	};

	return cmocka_run_group_tests_name("vmtrr", tests, NULL, NULL);
}
