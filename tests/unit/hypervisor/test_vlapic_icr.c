/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

#define VECTOR 0x81

enum { NONE = 0, CPU0 = 1, CPU1 = 2, CPU2 = 4, ALL = 7 };

static void apics_on(bool x2)
{
	for (uint32_t i = 0; i < TEST_VCPUS; i++) {
		struct vcpu *c = test_vcpu(0, i);

		test_cpu(i);
		if (x2) {
			x2apic_on(c);
			x2_put(c, APIC_SVR, 0x1FF);
		} else {
			apic_put(c, APIC_SVR, 0x1FF);
		}
	}
	test_cpu(0);
}

/* Who gets VECTOR now? Ends it there. Nobody of the other VM may. */
static uint32_t who(void)
{
	uint32_t set = 0;

	for (uint32_t i = 0; i < TEST_VCPUS; i++) {
		struct vcpu *c = test_vcpu(0, i);
		int vector = vm_enter(c);

		assert_int_equal(vm_enter(test_vcpu(1, i)), -1);
		if (vector < 0)
			continue;
		assert_int_equal(vector, VECTOR);
		set |= 1U << i;
		assert_int_equal(wrmsr(c, MSR_X2APIC_FIRST + APIC_EOI / 16U, 0) == 0, true);
	}
	test_cpu(0);
	return set;
}

static void xapic_send(uint32_t dest, uint32_t lo)
{
	struct vcpu *c = test_vcpu(0, 0);

	apic_put(c, APIC_ICR_HI, dest << 24);
	apic_put(c, APIC_ICR_LO, lo);
}

static uint32_t xapic_who(uint32_t dest, uint32_t lo)
{
	uint32_t set = 0;

	xapic_send(dest, lo);
	for (uint32_t i = 0; i < TEST_VCPUS; i++) {
		if (vm_enter(test_vcpu(0, i)) == VECTOR) {
			set |= 1U << i;
			apic_put(test_vcpu(0, i), APIC_EOI, 0);
		}
		assert_int_equal(vm_enter(test_vcpu(1, i)), -1);
	}
	test_cpu(0);
	return set;
}

#define X2_SEND(dest, lo) x2_put(test_vcpu(0, 0), APIC_ICR_LO, ((uint64_t)(dest) << 32) | (lo))

/* Whom do fixed interrupts reach by physical destination and shorthand, in x2APIC mode? */
static void test_x2apic_physical(void **state)
{
	(void)state;
	apics_on(true);
	X2_SEND(1, VECTOR);
	assert_int_equal(who(), CPU1);
	X2_SEND(0, VECTOR);
	assert_int_equal(who(), CPU0);
	X2_SEND(0xFFFFFFFF, VECTOR);
	assert_int_equal(who(), ALL);
	X2_SEND(0xFF, VECTOR); /* an id that nobody has, not everybody */
	assert_int_equal(who(), NONE);
	X2_SEND(7, VECTOR);
	assert_int_equal(who(), NONE);
	X2_SEND(2, VECTOR | (1U << 18));
	assert_int_equal(who(), CPU0);
	X2_SEND(2, VECTOR | (2U << 18));
	assert_int_equal(who(), ALL);
	X2_SEND(2, VECTOR | (3U << 18));
	assert_int_equal(who(), CPU1 | CPU2);
	assert_int_equal(x2_get(test_vcpu(0, 0), APIC_ICR_LO), (2UL << 32) | VECTOR | (3U << 18));
	x2_put(test_vcpu(0, 0), APIC_SELF_IPI, VECTOR);
	assert_int_equal(who(), CPU0);
}

/* Whom do logical destinations mean in x2APIC mode? */
static void test_x2apic_logical(void **state)
{
	(void)state;
	test_vcpu(0, 2)->apic_id = 0x21; /* cluster 2, bit 1 */
	apics_on(true);
	X2_SEND(0x3, VECTOR | APIC_ICR_LOGICAL);
	assert_int_equal(who(), CPU0 | CPU1);
	X2_SEND(0x00020003, VECTOR | APIC_ICR_LOGICAL);
	assert_int_equal(who(), CPU2);
	X2_SEND(0x00020001, VECTOR | APIC_ICR_LOGICAL);
	assert_int_equal(who(), NONE);
	X2_SEND(0x00010003, VECTOR | APIC_ICR_LOGICAL);
	assert_int_equal(who(), NONE);
	X2_SEND(0xFFFFFFFF, VECTOR | APIC_ICR_LOGICAL);
	assert_int_equal(who(), ALL);
}

/* Physical, flat and cluster destinations in xAPIC mode; 0xFF is everybody in each. */
static void test_xapic_destinations(void **state)
{
	(void)state;
	apics_on(false);
	assert_int_equal(xapic_who(2, VECTOR), CPU2);
	assert_int_equal(xapic_who(0xFF, VECTOR), ALL);
	assert_int_equal(xapic_who(9, VECTOR), NONE);
	assert_int_equal(xapic_who(1, VECTOR | (3U << 18)), CPU1 | CPU2);
	/* no LDR: logical reaches nobody, or everybody */
	assert_int_equal(xapic_who(0x7F, VECTOR | APIC_ICR_LOGICAL), NONE);
	assert_int_equal(xapic_who(0xFF, VECTOR | APIC_ICR_LOGICAL), ALL);
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		apic_put(test_vcpu(0, i), APIC_LDR, (1U << i) << 24);
	assert_int_equal(xapic_who(0x05, VECTOR | APIC_ICR_LOGICAL), CPU0 | CPU2);
	assert_int_equal(xapic_who(0xF8, VECTOR | APIC_ICR_LOGICAL), NONE);
	assert_int_equal(xapic_who(0xFF, VECTOR | APIC_ICR_LOGICAL), ALL);
	/* clusters: 1.1, 1.2, 2.1 */
	apic_put(test_vcpu(0, 0), APIC_LDR, 0x11U << 24);
	apic_put(test_vcpu(0, 1), APIC_LDR, 0x12U << 24);
	apic_put(test_vcpu(0, 2), APIC_LDR, 0x21U << 24);
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		apic_put(test_vcpu(0, i), APIC_DFR, 0);
	assert_int_equal(xapic_who(0x13, VECTOR | APIC_ICR_LOGICAL), CPU0 | CPU1);
	assert_int_equal(xapic_who(0x21, VECTOR | APIC_ICR_LOGICAL), CPU2);
	assert_int_equal(xapic_who(0xF1, VECTOR | APIC_ICR_LOGICAL), NONE);
	assert_int_equal(xapic_who(0xFF, VECTOR | APIC_ICR_LOGICAL), ALL);
	assert_int_equal(xapic_who(0x31, VECTOR | APIC_ICR_LOGICAL), NONE);
	/* a model that does not exist matches nobody */
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		apic_put(test_vcpu(0, i), APIC_DFR, 0x50000000);
	assert_int_equal(xapic_who(0x13, VECTOR | APIC_ICR_LOGICAL), NONE);
}

/* Do vCPUs of either mode understand each other? */
static void test_mixed_modes(void **state)
{
	struct vcpu *x2 = test_vcpu(0, 2);

	(void)state;
	apics_on(false);
	test_cpu(2);
	x2apic_on(x2);
	test_cpu(0);
	xapic_send(2, VECTOR);
	assert_int_equal(vm_enter(x2), VECTOR);
	x2_put(x2, APIC_EOI, 0);
	xapic_send(0xFF, VECTOR);
	assert_int_equal(vm_enter(x2), VECTOR);
	x2_put(x2, APIC_EOI, 0);
	test_cpu(2);
	x2_put(x2, APIC_ICR_LO, (1UL << 32) | VECTOR);
	assert_int_equal(vm_enter(test_vcpu(0, 1)), VECTOR);
	/* a 32-bit logical destination cannot mean an 8-bit one */
	apic_put(test_vcpu(0, 1), APIC_EOI, 0);
	apic_put(test_vcpu(0, 1), APIC_LDR, 0x02000000);
	test_cpu(2);
	x2_put(x2, APIC_ICR_LO, (0x102UL << 32) | VECTOR | APIC_ICR_LOGICAL);
	assert_int_equal(vm_enter(test_vcpu(0, 1)), -1);
}

/* Lowest priority: does the vCPU that does the least important work get it, and one only? */
static void test_lowest_priority(void **state)
{
	uint32_t lowest = VECTOR | (APIC_DM_LOWEST << 8) | APIC_ICR_LOGICAL;

	(void)state;
	apics_on(true);
	X2_SEND(0x7, lowest);
	assert_int_equal(who(), CPU0);
	x2_put(test_vcpu(0, 0), APIC_TPR, 0x30);
	x2_put(test_vcpu(0, 1), APIC_TPR, 0x20);
	X2_SEND(0x7, lowest);
	assert_int_equal(who(), CPU2);
	x2_put(test_vcpu(0, 2), APIC_TPR, 0x40);
	X2_SEND(0x7, lowest);
	assert_int_equal(who(), CPU1);
	X2_SEND(0x5, lowest);
	assert_int_equal(who(), CPU0);
	/* "all but self" with lowest priority means one of them, whatever the destination says */
	X2_SEND(1, lowest | (3U << 18));
	assert_int_equal(who(), CPU1);
	x2_put(test_vcpu(0, 1), APIC_TPR, 0x50);
	X2_SEND(1, lowest | (3U << 18));
	assert_int_equal(who(), CPU2);
	/* one that is switched off is no candidate */
	x2_put(test_vcpu(0, 0), APIC_SVR, 0xFF);
	X2_SEND(0x5, lowest);
	assert_int_equal(who(), CPU2);
}

/* NMI, INIT, SIPI: whom do they reach, with which vector? Also a switched-off APIC takes them. */
static void test_nmi_init_sipi(void **state)
{
	struct vcpu *c1 = test_vcpu(0, 1), *c2 = test_vcpu(0, 2);

	(void)state;
	x2apic_on(test_vcpu(0, 0));
	X2_SEND(1, APIC_DM_NMI << 8);
	assert_int_equal(vcpu_log(c1)->nmis, 1);
	X2_SEND(1, (APIC_DM_INIT << 8) | APIC_ICR_ASSERT | APIC_ICR_LEVEL);
	assert_int_equal(vcpu_log(c1)->inits, 1);
	X2_SEND(1, (APIC_DM_INIT << 8) | APIC_ICR_LEVEL); /* de-assert: nothing */
	assert_int_equal(vcpu_log(c1)->inits, 1);
	X2_SEND(1, (APIC_DM_SIPI << 8) | 0x9A);
	assert_int_equal(vcpu_log(c1)->sipis, 1);
	assert_int_equal(vcpu_log(c1)->sipi_vector, 0x9A);
	assert_int_equal(vcpu_log(c2)->nmis + vcpu_log(c2)->inits + vcpu_log(c2)->sipis, 0);
	X2_SEND(0, (APIC_DM_INIT << 8) | (3U << 18)); /* all but self */
	X2_SEND(0, (APIC_DM_SIPI << 8) | 0x10 | (3U << 18));
	X2_SEND(0, (APIC_DM_NMI << 8) | (3U << 18));
	assert_int_equal(vcpu_log(c1)->inits, 2);
	assert_int_equal(vcpu_log(c2)->inits, 1);
	assert_int_equal(vcpu_log(c2)->sipi_vector, 0x10);
	assert_int_equal(vcpu_log(c2)->nmis, 1);
	assert_int_equal(vcpu_log(test_vcpu(0, 0))->inits, 0);
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		assert_int_equal(vcpu_log(test_vcpu(1, i))->inits, 0);
}

/* What do the modes that IPIs do not have do, and self with another mode than fixed? Nothing. */
static void test_invalid_modes(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	apics_on(true);
	for (uint32_t dest = 0; dest < 3; dest++) {
		X2_SEND(dest, VECTOR | (APIC_DM_SMI << 8));
		X2_SEND(dest, VECTOR | (3U << 8));
		X2_SEND(dest, VECTOR | (APIC_DM_EXTINT << 8));
	}
	for (uint32_t mode = 1; mode < 8; mode++) {
		X2_SEND(0, VECTOR | (mode << 8) | (1U << 18));
		X2_SEND(0, VECTOR | (mode << 8) | (2U << 18));
	}
	assert_int_equal(who(), NONE);
	assert_int_equal(vcpu_log(c)->nmis + vcpu_log(c)->inits + vcpu_log(c)->sipis, 0);
	x2_put(c, APIC_ESR, 0);
	assert_int_equal(x2_get(c, APIC_ESR), 0);
	/* vectors 0-15 are errors of the sender */
	X2_SEND(1, 0x0F);
	assert_int_equal(who(), NONE);
	x2_put(c, APIC_ESR, 0);
	assert_int_equal(x2_get(c, APIC_ESR), APIC_ESR_SEND_ILLEGAL);
}

/* Is a vCPU whose APIC is off out of reach for every message? */
static void test_apic_off(void **state)
{
	struct vcpu *c1 = test_vcpu(0, 1);

	(void)state;
	apics_on(false);
	assert_int_equal(wrmsr(c1, MSR_APIC_BASE, APIC_DEFAULT_BASE), 0);
	xapic_send(1, VECTOR);
	xapic_send(1, APIC_DM_NMI << 8);
	xapic_send(0xFF, (APIC_DM_INIT << 8));
	xapic_send(0, (APIC_DM_NMI << 8) | (3U << 18));
	assert_int_equal(vm_enter(c1), -1);
	assert_int_equal(vcpu_log(c1)->nmis + vcpu_log(c1)->inits, 0);
	assert_int_equal(vcpu_log(test_vcpu(0, 2))->nmis, 1);
}

/* What if the same vector is sent twice before it is taken? It arrives once; after it, again. */
static void test_same_vector_twice(void **state)
{
	struct vcpu *c1 = test_vcpu(0, 1);

	(void)state;
	apics_on(true);
	X2_SEND(1, VECTOR);
	X2_SEND(1, VECTOR);
	assert_int_equal(vm_enter(c1), VECTOR);
	test_cpu(0);
	X2_SEND(1, VECTOR); /* while in service: kept until the EOI */
	assert_int_equal(vm_enter(c1), -1);
	x2_put(c1, APIC_EOI, 0);
	assert_int_equal(vm_enter(c1), VECTOR);
	x2_put(c1, APIC_EOI, 0);
	assert_int_equal(vm_enter(c1), -1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_x2apic_physical), T(test_x2apic_logical),   T(test_xapic_destinations),
		T(test_mixed_modes),	 T(test_lowest_priority),  T(test_nmi_init_sipi),
		T(test_invalid_modes),	 T(test_apic_off),	   T(test_same_vector_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
