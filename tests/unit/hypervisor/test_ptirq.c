/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

#define LEVEL  IOAPIC_RTE_LEVEL
#define MASKED IOAPIC_RTE_MASKED
#define LOW    IOAPIC_RTE_LOW_ACTIVE

static int service_setup(void **state)
{
	(void)state;
	machine_start(NULL, 0, SERVICE_VM);
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		apic_put(test_vcpu(0, i), APIC_SVR, 0x1FF);
	return 0;
}

static void rte_put(struct vcpu *c, uint32_t pin, uint64_t rte)
{
	mmio_put(c, IOAPIC_DEFAULT_BASE, 4, IOAPIC_REG_RTE0 + 2 * pin + 1);
	mmio_put(c, IOAPIC_DEFAULT_BASE + IOAPIC_WINDOW, 4, rte >> 32);
	mmio_put(c, IOAPIC_DEFAULT_BASE, 4, IOAPIC_REG_RTE0 + 2 * pin);
	mmio_put(c, IOAPIC_DEFAULT_BASE + IOAPIC_WINDOW, 4, rte);
}

static bool open_pin(uint32_t gsi)
{
	return (phys_rte[gsi] & MASKED) == 0;
}

static uint8_t host_vector(uint32_t gsi)
{
	return IOAPIC_RTE_VECTOR(phys_rte[gsi]);
}

/* The device asserts its line: the pin fires if it is open. */
static void fire(uint32_t gsi)
{
	assert_true(open_pin(gsi));
	phys_interrupt(host_vector(gsi));
}

static void eoi(struct vcpu *c)
{
	apic_put(c, APIC_EOI, 0);
}

/* When is a physical pin programmed, and how? As the guest wrote, but to our vector and CPU. */
static void test_first_unmask(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 10, 0x51 | MASKED);
	assert_int_equal(phys_rte_writes, 0);
	assert_int_equal(host_vectors_used(), 0);
	rte_put(c, 10, 0x51 | (1UL << 56));
	assert_true(open_pin(10));
	assert_int_equal(host_vectors_used(), 1);
	assert_in_range(host_vector(10), VECTOR_DYN_FIRST, VECTOR_DYN_LAST);
	assert_int_equal(phys_rte[10] >> 56, 1);
	assert_int_equal(phys_rte[10] & (LEVEL | LOW | IOAPIC_RTE_LOGICAL), 0);
	assert_int_equal((phys_rte[10] >> IOAPIC_RTE_DM_SHIFT) & 7, APIC_DM_FIXED);
	rte_put(c, 16, 0x61 | LEVEL | LOW);
	assert_int_equal(phys_rte[16] & (LEVEL | LOW), LEVEL | LOW);
	assert_true(host_vector(16) != host_vector(10));
	rte_put(c, 10, 0x51 | MASKED);
	assert_false(open_pin(10));
	assert_int_equal(host_vectors_used(), 2);
}

/* A level pin: masked when it fires, open again after the guest's EOI, as often as it likes. */
static void test_level_cycle(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 16, 0x61 | LEVEL | LOW);
	for (uint32_t n = 0; n < 3; n++) {
		fire(16);
		assert_false(open_pin(16));
		assert_int_equal(vm_enter(c), 0x61);
		assert_int_equal(vm_enter(c), -1);
		assert_false(open_pin(16));
		eoi(c);
		assert_true(open_pin(16));
		assert_int_equal(vm_enter(c), -1); /* the virtual line has fallen */
	}
}

/* An edge pin: passed on as a pulse, never masked; a second edge before the EOI is not lost. */
static void test_edge(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 10, 0x51);
	fire(10);
	assert_true(open_pin(10));
	assert_int_equal(vm_enter(c), 0x51);
	fire(10);
	assert_int_equal(vm_enter(c), -1);
	eoi(c);
	assert_int_equal(vm_enter(c), 0x51);
	eoi(c);
	assert_int_equal(vm_enter(c), -1);
}

/* What if the guest masks a level pin in its handler, ends it, and opens it later? */
static void test_mask_in_service(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 16, 0x61 | LEVEL);
	fire(16);
	assert_int_equal(vm_enter(c), 0x61);
	rte_put(c, 16, 0x61 | LEVEL | MASKED);
	eoi(c);
	assert_false(open_pin(16));
	rte_put(c, 16, 0x61 | LEVEL);
	assert_true(open_pin(16));
	assert_int_equal(vm_enter(c), -1);
	/* opened before the EOI: it stays closed until then */
	fire(16);
	assert_int_equal(vm_enter(c), 0x61);
	rte_put(c, 16, 0x61 | LEVEL | MASKED);
	rte_put(c, 16, 0x61 | LEVEL);
	assert_false(open_pin(16));
	eoi(c);
	assert_true(open_pin(16));
	/* an interrupt that was on its way when the guest masked arrives when it unmasks */
	rte_put(c, 16, 0x61 | LEVEL | MASKED);
	phys_interrupt(host_vector(16));
	assert_int_equal(vm_enter(c), -1);
	rte_put(c, 16, 0x61 | LEVEL);
	assert_int_equal(vm_enter(c), 0x61);
	eoi(c);
	assert_true(open_pin(16));
}

/* What if the guest ends it by the EOI register, or by making the pin edge-triggered? */
static void test_other_ends(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 16, 0x61 | LEVEL);
	fire(16);
	assert_int_equal(vm_enter(c), 0x61);
	mmio_put(c, IOAPIC_DEFAULT_BASE + IOAPIC_EOIR, 4, 0x61);
	assert_true(open_pin(16));
	eoi(c);
	fire(16);
	assert_int_equal(vm_enter(c), 0x61);
	rte_put(c, 16, 0x61);
	assert_true(open_pin(16));
	assert_int_equal(phys_rte[16] & LEVEL, 0);
	eoi(c);
	fire(16);
	assert_int_equal(vm_enter(c), 0x61);
}

/* Does the physical pin follow the destination, physical or logical, to the vCPU's pCPU? */
static void test_destination(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 10, 0x51 | (2UL << 56));
	assert_int_equal(phys_rte[10] >> 56, 2);
	rte_put(c, 10, 0x51 | (1UL << 56));
	assert_int_equal(phys_rte[10] >> 56, 1);
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		apic_put(test_vcpu(0, i), APIC_LDR, 1U << (24 + i));
	rte_put(c, 10, 0x51 | IOAPIC_RTE_LOGICAL | (6UL << 56));
	assert_int_equal(phys_rte[10] >> 56, 1);
	assert_int_equal(phys_rte[10] & IOAPIC_RTE_LOGICAL, 0);
	rte_put(c, 10, 0x51 | (0xEEUL << 56)); /* nobody: the boot CPU */
	assert_int_equal(phys_rte[10] >> 56, 0);
}

/* Do the console's pin and those of virtual UARTs stay closed? */
static void test_kept_pins(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 4, 0x44);
	rte_put(c, 3, 0x43);
	port_put(c, 0x21, 0x00);
	assert_false(open_pin(4));
	assert_false(open_pin(3));
	assert_int_equal(vintr_set_gsi(c->vm, 3, GSI_RISING_PULSE), 0); /* its vUART */
	assert_int_equal(vm_enter(c), 0x0B);			       /* by the vPIC, base 8 */
	assert_int_equal(vm_enter(c), 0x43);
}

/* By the vPIC: edge lines, the timer's GSI 2, and level ones by ELCR until the PIC's EOI. */
static void test_pic_mode(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	port_put(c, 0x21, 0xFA); /* timer and cascade */
	assert_true(open_pin(2));
	assert_false(open_pin(0));
	assert_int_equal(phys_rte[2] & (LEVEL | LOW), 0);
	fire(2);
	assert_int_equal(vm_enter(c), 0x08);
	port_put(c, 0x20, 0x20);
	fire(2);
	assert_int_equal(vm_enter(c), 0x08);
	port_put(c, 0x20, 0x20);
	/* an edge that comes while the vPIC masks the line waits there, the next one is void */
	port_put(c, 0x21, 0xFB);
	fire(2);
	assert_false(open_pin(2));
	assert_int_equal(vm_enter(c), -1);
	port_put(c, 0x21, 0xFA);
	assert_true(open_pin(2));
	assert_int_equal(vm_enter(c), 0x08);
	port_put(c, 0x20, 0x20);
	/* a PCI line */
	port_put(c, 0x4D1, 0x08);
	port_put(c, 0xA1, 0xF7);
	assert_true(open_pin(11));
	assert_int_equal(phys_rte[11] & (LEVEL | LOW), LEVEL | LOW);
	fire(11);
	assert_false(open_pin(11));
	assert_int_equal(vm_enter(c), 0x73);
	port_put(c, 0xA0, 0x20);
	port_put(c, 0x20, 0x20);
	assert_true(open_pin(11));
	assert_int_equal(vm_enter(c), -1);
	/* masked in the handler, as kernels do, and opened after the EOI */
	fire(11);
	assert_int_equal(vm_enter(c), 0x73);
	port_put(c, 0xA1, 0xFF);
	port_put(c, 0xA0, 0x20);
	port_put(c, 0x20, 0x20);
	assert_false(open_pin(11));
	port_put(c, 0xA1, 0xF7);
	assert_true(open_pin(11));
	assert_int_equal(vm_enter(c), -1);
}

/* What if the same pin is used by both controllers? The IOAPIC's entry decides how. */
static void test_pic_to_ioapic(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	port_put(c, 0x4D1, 0x08);
	port_put(c, 0xA1, 0xF7);
	fire(11);
	assert_int_equal(vm_enter(c), 0x73);
	/* the kernel goes over to the IOAPIC without the PIC's EOI */
	port_put(c, 0xA1, 0xFF);
	port_put(c, 0x21, 0xFF);
	rte_put(c, 11, 0x5B | LEVEL | LOW);
	assert_int_equal(vm_enter(c), -1);
	fire(11); /* the device is still asserting */
	assert_int_equal(vm_enter(c), 0x5B);
	assert_false(open_pin(11));
	eoi(c);
	assert_true(open_pin(11));
}

/* Does a reset of the VM close everything, and the destruction give the vectors back? */
static void test_reset(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	rte_put(c, 16, 0x61 | LEVEL);
	rte_put(c, 10, 0x51);
	fire(16);
	unit_vm_reset(c->vm);
	for (uint32_t i = 0; i < TEST_PINS; i++)
		assert_false(open_pin(i));
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		unit_vcpu_reset(test_vcpu(0, i));
	rte_put(c, 16, 0x62 | LEVEL);
	assert_true(open_pin(16));
	fire(16);
	assert_int_equal(vm_enter(c), 0x62);
}

/* Does another VM's IOAPIC or PIC touch the machine's pins? */
static void test_user_vm(void **state)
{
	struct vcpu *u = test_vcpu(1, 0);

	(void)state;
	for (uint32_t pin = 0; pin < 48; pin++)
		rte_put(u, pin, 0x40 + pin);
	port_put(u, 0x21, 0);
	port_put(u, 0xA1, 0);
	assert_int_equal(phys_rte_writes, 0);
	assert_int_equal(host_vectors_used(), 0);
}

#define MSI 0xFEE00000UL

/* Is a device given the host's vector and the pCPU, and the VM the message it wrote? */
static void test_msi(void **state)
{
	struct vcpu *c2 = test_vcpu(0, 2);
	const struct msi_ops *ops = c2->vm->msi_ops;
	uint64_t addr;
	uint32_t data, first;

	(void)state;
	assert_int_equal(ops->remap(c2->vm, 0x18, 0, MSI | (2 << 12), 0x71, &addr, &data), 0);
	assert_int_equal(addr, MSI | (2 << 12));
	assert_in_range(data, VECTOR_DYN_FIRST, VECTOR_DYN_LAST);
	first = data;
	phys_interrupt((uint8_t)data);
	assert_int_equal(vm_enter(c2), 0x71);
	apic_put(c2, APIC_EOI, 0);
	/* written again: the same host vector, the new message */
	assert_int_equal(ops->remap(c2->vm, 0x18, 0, MSI | (1 << 12), 0x72, &addr, &data), 0);
	assert_int_equal(data, first);
	assert_int_equal(addr, MSI | (1 << 12));
	phys_interrupt((uint8_t)data);
	assert_int_equal(vm_enter(test_vcpu(0, 1)), 0x72);
	/* another message of it, another device */
	assert_int_equal(ops->remap(c2->vm, 0x18, 1, MSI, 0x73, &addr, &data), 0);
	assert_int_not_equal(data, first);
	assert_int_equal(ops->remap(c2->vm, 0x20, 0, MSI, 0x74, &addr, &data), 0);
	assert_int_equal(host_vectors_used(), 3);
	ops->release(c2->vm, 0x18);
	assert_int_equal(host_vectors_used(), 1);
	phys_interrupt((uint8_t)data);
	assert_int_equal(vm_enter(test_vcpu(0, 0)), 0x74);
	ops->release(c2->vm, 0x18);
	assert_int_equal(host_vectors_used(), 1);
}

/* What if the guest writes no message, aims at nobody, or has more than there is room for? */
static void test_msi_limits(void **state)
{
	struct vm *vm = test_vcpu(0, 0)->vm;
	const struct msi_ops *ops = vm->msi_ops;
	uint64_t addr = 1;
	uint32_t data = 2, n;
	int ret = 0;

	(void)state;
	assert_int_equal(ops->remap(vm, 8, 0, 0x1000, 0x71, &addr, &data), -EINVAL);
	assert_int_equal(ops->remap(vm, 8, 0, MSI | BIT(33), 0x71, &addr, &data), -EINVAL);
	assert_int_equal(addr + data, 3);
	assert_int_equal(ops->remap(vm, 8, 0, MSI | (0x77 << 12), 0x71, &addr, &data), 0);
	assert_int_equal(addr, MSI);
	for (n = 1; n < 1000 && ret == 0; n++)
		ret = ops->remap(vm, 8, (uint16_t)n, MSI, 0x71, &addr, &data);
	assert_int_equal(ret, -ENOSPC);
	assert_int_equal(host_vectors_used(), VECTOR_DYN_LAST - VECTOR_DYN_FIRST + 1);
	/* a line has none left either, and says so */
	fake_log_lines = 0;
	rte_put(test_vcpu(0, 0), 10, 0x51);
	assert_false(open_pin(10));
	assert_int_equal(fake_log_lines, 1);
	ops->release(vm, 8);
	rte_put(test_vcpu(0, 0), 10, 0x52);
	assert_true(open_pin(10));
}

static int two_owners_setup(void **state)
{
	(void)state;
	machine_start(NULL, 0, PRE_LAUNCHED_VM);
	for (uint32_t vm = 0; vm < 2; vm++)
		apic_put(test_vcpu(vm, 0), APIC_SVR, 0x1FF);
	return 0;
}

/*
 * Who has a line that the scenario gives to a pre-launched VM? It alone, at the pin it was given;
 * the Service VM has the rest, and a reset or the end of one leaves the other's open.
 */
static void test_two_owners(void **state)
{
	struct vcpu *pre = test_vcpu(0, 0), *service = test_vcpu(1, 0);

	(void)state;
	rte_put(service, 16, 0x61 | LEVEL);
	rte_put(service, 10, 0x62);
	rte_put(pre, 16, 0x63 | LEVEL); /* a pin of its own that nothing drives */
	rte_put(pre, 17, 0x63 | LEVEL);
	assert_int_equal(phys_rte_writes, 0);

	rte_put(service, 5, 0x64);
	rte_put(pre, 5, 0x51 | LEVEL | LOW);
	assert_true(open_pin(16) && open_pin(5));
	assert_int_equal(phys_rte[16] & (LEVEL | LOW), LEVEL | LOW);
	assert_int_equal(phys_rte[5] & LEVEL, 0);
	for (uint32_t n = 0; n < 3; n++) {
		fire(16);
		assert_false(open_pin(16));
		assert_int_equal(vm_enter(service), -1);
		assert_int_equal(vm_enter(pre), 0x51);
		eoi(pre);
		assert_true(open_pin(16));
	}
	fire(5);
	assert_int_equal(vm_enter(pre), -1);
	assert_int_equal(vm_enter(service), 0x64);

	unit_vm_reset(service->vm);
	assert_true(open_pin(16) && !open_pin(5));
	rte_put(pre, 10, 0x52);
	rte_put(service, 5, 0x65);
	unit_vm_reset(pre->vm);
	assert_true(!open_pin(16) && !open_pin(10));
	rte_put(pre, 5, 0x53 | LEVEL);
	assert_true(open_pin(16));
	unit_vm_deinit(pre->vm);
	assert_false(open_pin(16));
	rte_put(service, 16, 0x61 | LEVEL);
	assert_false(open_pin(16)); /* not even then */
	assert_int_equal(unit_vm_init(pre->vm), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, service_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_first_unmask), T(test_level_cycle), T(test_edge),
		T(test_mask_in_service), T(test_other_ends), T(test_destination),
		T(test_kept_pins),    T(test_pic_mode),	   T(test_pic_to_ioapic),
		T(test_reset),	      T(test_user_vm),	   T(test_msi),
		T(test_msi_limits),
		cmocka_unit_test_setup_teardown(test_two_owners, two_owners_setup,
						machine_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
