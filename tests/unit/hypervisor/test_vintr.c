/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

#define MSI 0xFEE00000UL

static void apics_on(uint32_t vm)
{
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		apic_put(test_vcpu(vm, i), APIC_SVR, 0x1FF);
}

static int taken(struct vcpu *c)
{
	int vector = vm_enter(c);

	if (vector >= 0)
		apic_put(c, APIC_EOI, 0);
	test_cpu(0);
	return vector;
}

/* Which vCPUs do the destination, logical and hint bits of an address mean? */
static void test_msi_address(void **state)
{
	struct vm *vm = &test_vms[0];

	(void)state;
	apics_on(0);
	assert_int_equal(vintr_msi(vm, MSI | (1 << 12), 0x50), 0);
	assert_int_equal(taken(test_vcpu(0, 0)), -1);
	assert_int_equal(taken(test_vcpu(0, 1)), 0x50);
	assert_int_equal(vintr_msi(vm, MSI | (0xFF << 12), 0x51), 0);
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		assert_int_equal(taken(test_vcpu(0, i)), 0x51);
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		apic_put(test_vcpu(0, i), APIC_LDR, 1U << (24 + i));
	assert_int_equal(vintr_msi(vm, MSI | (6 << 12) | 4, 0x52), 0);
	assert_int_equal(taken(test_vcpu(0, 0)), -1);
	assert_int_equal(taken(test_vcpu(0, 1)), 0x52);
	assert_int_equal(taken(test_vcpu(0, 2)), 0x52);
	/* with the redirection hint one of them */
	assert_int_equal(vintr_msi(vm, MSI | (6 << 12) | 4 | 8, 0x53), 0);
	assert_int_equal((taken(test_vcpu(0, 1)) == 0x53) + (taken(test_vcpu(0, 2)) == 0x53), 1);
	assert_int_equal(vintr_msi(vm, MSI | (9 << 12), 0x54), 0); /* nobody */
	for (uint32_t i = 0; i < TEST_VCPUS; i++) {
		assert_int_equal(taken(test_vcpu(0, i)), -1);
		assert_int_equal(taken(test_vcpu(1, i)), -1);
	}
}

/* Which addresses are no interrupts at all? */
static void test_not_an_msi(void **state)
{
	struct vm *vm = &test_vms[0];

	(void)state;
	assert_int_equal(vintr_msi(vm, 0, 0x50), -EINVAL);
	assert_int_equal(vintr_msi(vm, 0xFEF00000, 0x50), -EINVAL);
	assert_int_equal(vintr_msi(vm, 0xFED00000, 0x50), -EINVAL);
	assert_int_equal(vintr_msi(vm, MSI | BIT(32), 0x50), -EINVAL);
	assert_int_equal(vintr_msi(vm, UINT64_MAX, UINT32_MAX), -EINVAL);
	assert_int_equal(taken(test_vcpu(0, 0)), -1);
}

/* Modes and triggers in the data: NMI, level assert and de-assert, illegal vectors, the reserved. */
static void test_msi_data(void **state)
{
	struct vm *vm = &test_vms[0];
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	assert_int_equal(vintr_msi(vm, MSI, (APIC_DM_NMI << 8) | 0x50), 0);
	assert_int_equal(vcpu_log(c)->nmis, 1);
	assert_int_equal(vintr_msi(vm, MSI, BIT32(15) | 0x50), 0);
	assert_int_equal(taken(c), -1);
	assert_int_equal(vintr_msi(vm, MSI, BIT32(15) | BIT32(14) | 0x50), 0);
	assert_int_equal(taken(c), 0x50);
	assert_int_equal(vintr_msi(vm, MSI, 0x0F), 0);
	assert_int_equal(taken(c), -1);
	assert_int_equal(vintr_msi(vm, MSI, (3 << 8) | 0x50), 0);
	assert_int_equal(vintr_msi(vm, MSI, (APIC_DM_SMI << 8) | 0x50), 0);
	assert_int_equal(taken(c), -1);
	/* no device starts a processor: the vCPU's VM may not even have been started */
	assert_int_equal(vintr_msi(vm, MSI, (APIC_DM_SIPI << 8) | 0x50), 0);
	assert_int_equal(vcpu_log(c)->sipis, 0);
	assert_int_equal(vintr_msi(vm, MSI, (APIC_DM_LOWEST << 8) | 0x50), 0);
	assert_int_equal(taken(c), 0x50);
}

/* Which lines are there, and which operations? */
static void test_gsi_limits(void **state)
{
	struct vm *vm = &test_vms[0];

	(void)state;
	assert_int_equal(vintr_set_gsi(vm, 47, GSI_SET_HIGH), 0);
	assert_int_equal(vintr_set_gsi(vm, 48, GSI_SET_HIGH), -EINVAL);
	assert_int_equal(vintr_set_gsi(vm, UINT32_MAX, GSI_SET_HIGH), -EINVAL);
	assert_int_equal(vintr_set_gsi(vm, 5, 4), -EINVAL);
	assert_int_equal(vintr_set_gsi(vm, 5, UINT32_MAX), -EINVAL);
	assert_int_equal(taken(test_vcpu(0, 0)), -1);
}

static uint16_t pic_lines(struct vcpu *c)
{
	return (uint16_t)(port_get(c, 0x20) | (port_get(c, 0xA0) << 8));
}

/* Which 8259 line does a GSI below 16 drive? GSI 2 is the timer's line 0; GSI 0 is none. */
static void test_gsi_and_pic(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	port_put(c, 0x21, 0xFF);
	for (uint32_t n = 0; n < 20; n++) {
		uint32_t want = n == 2 ? 1U : n == 0 || n >= 16 ? 0U : 1U << n;

		port_put(c, 0x20, 0x11); /* initialisation forgets edges */
		port_put(c, 0x21, 0x20);
		port_put(c, 0x21, 0x04);
		port_put(c, 0x21, 0x01);
		port_put(c, 0x21, 0xFF);
		port_put(c, 0xA0, 0x11);
		port_put(c, 0xA1, 0x28);
		port_put(c, 0xA1, 0x02);
		port_put(c, 0xA1, 0x01);
		port_put(c, 0xA1, 0xFF);
		assert_int_equal(vintr_set_gsi(c->vm, n, GSI_RISING_PULSE), 0);
		assert_int_equal(pic_lines(c), want);
		assert_int_equal(pic_lines(test_vcpu(1, 0)), 0);
	}
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_msi_address), T(test_not_an_msi),  T(test_msi_data),
		T(test_gsi_limits),  T(test_gsi_and_pic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
