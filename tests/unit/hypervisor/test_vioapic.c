/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

#define BASE	IOAPIC_DEFAULT_BASE
#define LEVEL	IOAPIC_RTE_LEVEL
#define MASKED	IOAPIC_RTE_MASKED
#define LOW	IOAPIC_RTE_LOW_ACTIVE

static uint32_t reg_get(struct vcpu *c, uint32_t reg)
{
	mmio_put(c, BASE + IOAPIC_REGSEL, 4, reg);
	return (uint32_t)mmio_get(c, BASE + IOAPIC_WINDOW, 4);
}

static void reg_put(struct vcpu *c, uint32_t reg, uint32_t val)
{
	mmio_put(c, BASE + IOAPIC_REGSEL, 4, reg);
	mmio_put(c, BASE + IOAPIC_WINDOW, 4, val);
}

static void rte_put(struct vcpu *c, uint32_t pin, uint64_t rte)
{
	reg_put(c, IOAPIC_REG_RTE0 + 2 * pin + 1, (uint32_t)(rte >> 32));
	reg_put(c, IOAPIC_REG_RTE0 + 2 * pin, (uint32_t)rte);
}

static uint64_t rte_get(struct vcpu *c, uint32_t pin)
{
	return reg_get(c, IOAPIC_REG_RTE0 + 2 * pin) |
	       ((uint64_t)reg_get(c, IOAPIC_REG_RTE0 + 2 * pin + 1) << 32);
}

static int gsi(struct vcpu *c, uint32_t n, uint32_t op)
{
	return vintr_set_gsi(c->vm, n, op);
}

/* Do identity, version and entries read and write as in the data sheet? */
static void test_registers(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	assert_int_equal(reg_get(c, IOAPIC_REG_VER), 0x002F0020); /* 48 pins, version 0x20 */
	assert_int_equal(reg_get(c, IOAPIC_REG_ID), 0);
	reg_put(c, IOAPIC_REG_ID, 0xFFFFFFFF);
	assert_int_equal(reg_get(c, IOAPIC_REG_ID), 0x0F000000);
	assert_int_equal(reg_get(c, IOAPIC_REG_ARB), 0x0F000000);
	reg_put(c, IOAPIC_REG_VER, 0xFFFFFFFF);
	assert_int_equal(reg_get(c, IOAPIC_REG_VER), 0x002F0020);
	for (uint32_t pin = 0; pin < 48; pin++) {
		assert_int_equal(rte_get(c, pin), MASKED);
		rte_put(c, pin, UINT64_MAX);
		assert_int_equal(rte_get(c, pin), 0xFF0000000001AFFF);
	}
	assert_int_equal(vioapic_gsi_count(c->vm), 48);
	assert_int_equal(vioapic_rte(c->vm, 48), MASKED);
}

/* What do registers that do not exist, odd offsets, widths and the EOI register read? */
static void test_odd_accesses(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	for (uint32_t reg = 3; reg < IOAPIC_REG_RTE0; reg++)
		assert_int_equal(reg_get(c, reg), 0);
	for (uint32_t reg = IOAPIC_REG_RTE0 + 96; reg < 256; reg++) {
		reg_put(c, reg, 0xFFFFFFFF);
		assert_int_equal(reg_get(c, reg), 0);
	}
	mmio_put(c, BASE + IOAPIC_REGSEL, 1, IOAPIC_REG_VER);
	assert_int_equal(mmio_get(c, BASE + IOAPIC_REGSEL, 1), IOAPIC_REG_VER);
	assert_int_equal(mmio_get(c, BASE + IOAPIC_WINDOW, 8), 0x002F0020);
	assert_int_equal(mmio_get(c, BASE + IOAPIC_WINDOW, 1), 0x20);
	assert_int_equal(mmio_get(c, BASE + IOAPIC_EOIR, 4), 0);
	mmio_put(c, BASE + IOAPIC_REGSEL, 4, IOAPIC_REG_RTE0);
	mmio_put(c, BASE + IOAPIC_WINDOW, 1, 0);
	mmio_put(c, BASE + IOAPIC_WINDOW, 2, 0);
	mmio_put(c, BASE + IOAPIC_WINDOW, 8, 0);
	assert_int_equal(rte_get(c, 0), MASKED);
	for (uint32_t offset = 0; offset < 4096; offset++) {
		static const uint8_t widths[] = {1, 2, 4, 8};

		for (uint32_t i = 0; i < 4; i++) {
			mmio_put(c, BASE + offset, widths[i], UINT64_MAX);
			(void)mmio_get(c, BASE + offset, widths[i]);
		}
	}
	mmio_put(c, BASE + IOAPIC_REGSEL, 4, 0xFFFFFF10); /* the index has 8 bits */
	assert_int_equal(mmio_get(c, BASE + IOAPIC_REGSEL, 4), 0x10);
}

/* Does an edge fire once, and a line that stays high not again? */
static void test_edge(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 5, 0x45);
	assert_int_equal(gsi(c, 5, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x45);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(gsi(c, 5, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(gsi(c, 5, GSI_SET_LOW), 0);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(gsi(c, 5, GSI_RISING_PULSE), 0);
	assert_int_equal(vm_enter(c), 0x45);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(gsi(c, 5, GSI_FALLING_PULSE), 0);
	assert_int_equal(vm_enter(c), 0x45);
	assert_int_equal(rte_get(c, 5), 0x45); /* no Remote IRR */
	/* an edge on a masked pin is lost */
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(gsi(c, 5, GSI_SET_LOW), 0);
	rte_put(c, 5, 0x45 | MASKED);
	assert_int_equal(gsi(c, 5, GSI_SET_HIGH), 0);
	rte_put(c, 5, 0x45);
	assert_int_equal(vm_enter(c), -1);
}

/* Does a level interrupt come again after its EOI while the line is high, and only then? */
static void test_level(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	assert_int_equal(rte_get(c, 20), 0x61 | LEVEL | IOAPIC_RTE_REMOTE_IRR);
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x61);
	assert_int_equal(vm_enter(c), -1);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(vm_enter(c), 0x61); /* still high */
	assert_int_equal(gsi(c, 20, GSI_SET_LOW), 0);
	assert_true((rte_get(c, 20) & IOAPIC_RTE_REMOTE_IRR) != 0);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(rte_get(c, 20), 0x61 | LEVEL);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x61);
}

/* What if a level pin is masked while it is pending, while in service, and opened when high? */
static void test_level_masking(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 20, 0x61 | LEVEL | MASKED);
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), -1);
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(vm_enter(c), 0x61);
	rte_put(c, 20, 0x61 | LEVEL | MASKED);
	assert_true((rte_get(c, 20) & IOAPIC_RTE_REMOTE_IRR) != 0);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(rte_get(c, 20), 0x61 | LEVEL | MASKED);
	assert_int_equal(vm_enter(c), -1);
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(vm_enter(c), 0x61);
	apic_put(c, APIC_EOI, 0);
	(void)vm_enter(c);
	/* the line fell while masked: nothing is left */
	rte_put(c, 20, 0x61 | LEVEL | MASKED);
	assert_int_equal(gsi(c, 20, GSI_SET_LOW), 0);
	apic_put(c, APIC_EOI, 0);
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(vm_enter(c), -1);
}

/* Does the EOI register end an interrupt, and the switch to edge mode, as kernels use it? */
static void test_other_ends(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x61);
	mmio_put(c, BASE + IOAPIC_EOIR, 4, 0x62);
	assert_true((rte_get(c, 20) & IOAPIC_RTE_REMOTE_IRR) != 0);
	assert_int_equal(gsi(c, 20, GSI_SET_LOW), 0);
	mmio_put(c, BASE + IOAPIC_EOIR, 4, 0x61);
	assert_int_equal(rte_get(c, 20), 0x61 | LEVEL);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x61);
	rte_put(c, 20, 0x61 | MASKED);
	assert_int_equal(rte_get(c, 20), 0x61 | MASKED);
	apic_put(c, APIC_EOI, 0);
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(vm_enter(c), 0x61);
}

/* Do two pins of one vector both end with one EOI, and does another vector's EOI touch neither? */
static void test_shared_vector(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 3, 0x61 | LEVEL);
	rte_put(c, 40, 0x61 | LEVEL);
	rte_put(c, 41, 0x71 | LEVEL);
	assert_int_equal(gsi(c, 3, GSI_SET_HIGH), 0);
	assert_int_equal(gsi(c, 40, GSI_SET_HIGH), 0);
	assert_int_equal(gsi(c, 41, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x71);
	assert_int_equal(gsi(c, 41, GSI_SET_LOW), 0);
	apic_put(c, APIC_EOI, 0);
	assert_true((rte_get(c, 3) & rte_get(c, 40) & IOAPIC_RTE_REMOTE_IRR) != 0);
	assert_int_equal(vm_enter(c), 0x61);
	assert_int_equal(gsi(c, 3, GSI_SET_LOW), 0);
	assert_int_equal(gsi(c, 40, GSI_SET_LOW), 0);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal((rte_get(c, 3) | rte_get(c, 40)) & IOAPIC_RTE_REMOTE_IRR, 0);
}

/* Does the polarity bit change when a virtual line is asserted? It must not; it is kept. */
static void test_polarity(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 20, 0x61 | LEVEL | LOW);
	assert_int_equal(vm_enter(c), -1); /* nobody has driven the line */
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x61);
	assert_int_equal(gsi(c, 20, GSI_SET_LOW), 0);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(rte_get(c, 20), 0x61 | LEVEL | LOW);
	rte_put(c, 21, 0x62 | LOW);
	assert_int_equal(gsi(c, 21, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x62);
}

/* Destinations and delivery modes of entries: one vCPU, all, logical, NMI, INIT, ExtINT. */
static void test_destinations(void **state)
{
	struct vcpu *c = test_vcpu(0, 0), *c2 = test_vcpu(0, 2);

	(void)state;
	apic_put(c2, APIC_SVR, 0x1FF);
	rte_put(c, 7, 0x33 | (2UL << 56));
	assert_int_equal(gsi(c, 7, GSI_RISING_PULSE), 0);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(vm_enter(c2), 0x33);
	apic_put(c2, APIC_EOI, 0);
	rte_put(c, 7, 0x33 | (0xFFUL << 56));
	assert_int_equal(gsi(c, 7, GSI_RISING_PULSE), 0);
	assert_int_equal(vm_enter(c), 0x33);
	assert_int_equal(vm_enter(c2), 0x33);
	apic_put(c, APIC_EOI, 0);
	apic_put(c2, APIC_EOI, 0);
	apic_put(c, APIC_LDR, 1U << 24);
	apic_put(c2, APIC_LDR, 4U << 24);
	rte_put(c, 7, 0x33 | IOAPIC_RTE_LOGICAL | (4UL << 56));
	assert_int_equal(gsi(c, 7, GSI_RISING_PULSE), 0);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(vm_enter(c2), 0x33);
	apic_put(c2, APIC_EOI, 0);
	rte_put(c, 7, (APIC_DM_NMI << 8) | (2UL << 56));
	assert_int_equal(gsi(c, 7, GSI_RISING_PULSE), 0);
	assert_int_equal(vcpu_log(c2)->nmis, 1);
	rte_put(c, 7, (APIC_DM_INIT << 8) | (2UL << 56));
	assert_int_equal(gsi(c, 7, GSI_RISING_PULSE), 0);
	assert_int_equal(vcpu_log(c2)->inits, 1);
	/* nobody there: dropped */
	rte_put(c, 7, 0x33 | (9UL << 56));
	assert_int_equal(gsi(c, 7, GSI_RISING_PULSE), 0);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(vm_enter(c2), -1);
}

/* Does each half of an entry keep the other, and does unmasking a pending level pin fire it? */
static void test_halves(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	reg_put(c, IOAPIC_REG_RTE0 + 9, 0xAB000000);
	reg_put(c, IOAPIC_REG_RTE0 + 8, 0x18077);
	assert_int_equal(rte_get(c, 4), 0xAB00000000018077);
	reg_put(c, IOAPIC_REG_RTE0 + 9, 0x12345678);
	assert_int_equal(rte_get(c, 4), 0x1200000000018077);
}

static uint32_t hook_changes, hook_eois, hook_gsi;

static void note_change(struct vm *vm, uint32_t n, uint64_t old_rte, uint64_t new_rte)
{
	(void)vm;
	assert_true(old_rte != new_rte);
	hook_changes++;
	hook_gsi = n;
}

static void note_eoi(struct vm *vm, uint32_t n)
{
	hook_eois++;
	hook_gsi = n;
	assert_int_equal(vintr_set_gsi(vm, n, GSI_SET_LOW), 0); /* hooks may drive the pin */
}

/* Are the hooks told of every change and end, and of nothing else? */
static void test_hooks(void **state)
{
	static const struct vioapic_hooks hooks = {.rte_changed = note_change, .eoi = note_eoi};
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	hook_changes = hook_eois = 0;
	vioapic_set_hooks(c->vm, &hooks);
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(hook_changes, 1); /* the upper half was 0 before, too */
	assert_int_equal(hook_gsi, 20);
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(hook_changes, 1);
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(c), 0x61);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(hook_eois, 1);
	assert_int_equal(vm_enter(c), -1); /* the hook took the line down first */
	rte_put(test_vcpu(1, 0), 20, 0x61);
	assert_int_equal(hook_changes, 1);
	vioapic_set_hooks(c->vm, NULL);
}

/* Are the pins of two VMs apart, also in service? */
static void test_two_vms(void **state)
{
	struct vcpu *a = test_vcpu(0, 0), *b = test_vcpu(1, 0);

	(void)state;
	rte_put(a, 20, 0x61 | LEVEL);
	rte_put(b, 20, 0x61 | LEVEL);
	assert_int_equal(gsi(a, 20, GSI_SET_HIGH), 0);
	assert_int_equal(rte_get(b, 20), 0x61 | LEVEL);
	assert_int_equal(vm_enter(b), -1);
	assert_int_equal(vm_enter(a), 0x61);
	assert_int_equal(gsi(b, 20, GSI_SET_HIGH), 0);
	assert_int_equal(vm_enter(b), 0x61);
	apic_put(b, APIC_EOI, 0);
	assert_true((rte_get(a, 20) & IOAPIC_RTE_REMOTE_IRR) != 0);
}

/* What remains after a reset of the VM? Nothing. */
static void test_reset(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(gsi(c, 20, GSI_SET_HIGH), 0);
	unit_vm_reset(c->vm);
	assert_int_equal(rte_get(c, 20), MASKED);
	rte_put(c, 20, 0x61 | LEVEL);
	assert_int_equal(vm_enter(c), -1);
}

static int service_setup(void **state)
{
	(void)state;
	machine_start(NULL, 0, SERVICE_VM);
	return 0;
}

/* Does the VM that owns the machine see the machine's IOAPIC: its id, base and pin count? */
static void test_service_vm(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	assert_int_equal(reg_get(c, IOAPIC_REG_ID), 5U << 24);
	assert_int_equal(reg_get(c, IOAPIC_REG_VER), 0x20 | ((TEST_PINS - 1) << 16));
	assert_int_equal(vioapic_gsi_count(c->vm), TEST_PINS);
	assert_int_equal(gsi(c, TEST_PINS, GSI_SET_HIGH), -EINVAL);
	assert_int_equal(vioapic_gsi_count(test_vcpu(1, 0)->vm), 48);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_registers),     T(test_odd_accesses), T(test_edge),
		T(test_level),	       T(test_level_masking), T(test_other_ends),
		T(test_shared_vector), T(test_polarity),     T(test_destinations),
		T(test_halves),	       T(test_hooks),	     T(test_two_vms),
		T(test_reset),
		cmocka_unit_test_setup_teardown(test_service_vm, service_setup, machine_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
