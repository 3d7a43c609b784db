/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

static struct vcpu *start(void)
{
	struct vcpu *c = test_vcpu(0, 0);

	x2apic_on(c);
	return c;
}

static void eoi(struct vcpu *c)
{
	x2_put(c, APIC_EOI, 0);
}

/* In which order do requests arrive, and which wait for an EOI? */
static void test_priorities(void **state)
{
	struct vcpu *c = start();

	(void)state;
	vlapic_post(c, 0x31, false);
	vlapic_post(c, 0x55, false);
	vlapic_post(c, 0x52, false);
	vlapic_post(c, 0xF0, false);
	assert_int_equal(vm_enter(c), 0xF0);
	assert_int_equal(x2_get(c, APIC_PPR), 0xF0);
	eoi(c);
	assert_int_equal(vm_enter(c), 0x55);
	/* 0x52 is of the same class: it waits */
	assert_int_equal(vm_enter(c), -1);
	vlapic_post(c, 0x61, false); /* nested: a higher class interrupts */
	assert_int_equal(vm_enter(c), 0x61);
	assert_int_equal(x2_get(c, APIC_PPR), 0x60);
	assert_int_equal(x2_get(c, APIC_ISR + 0x20), BIT32(0x55 % 32));
	assert_int_equal(x2_get(c, APIC_ISR + 0x30), BIT32(0x61 % 32));
	eoi(c); /* ends 0x61, the highest in service */
	assert_int_equal(x2_get(c, APIC_PPR), 0x50);
	assert_int_equal(vm_enter(c), -1);
	eoi(c);
	assert_int_equal(vm_enter(c), 0x52);
	eoi(c);
	assert_int_equal(vm_enter(c), 0x31);
	eoi(c);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(x2_get(c, APIC_PPR), 0);
	eoi(c); /* nothing in service: nothing happens */
	assert_int_equal(vm_enter(c), -1);
}

/* Does every vector get through IRR and ISR and leave nothing behind? */
static void test_every_vector(void **state)
{
	struct vcpu *c = start();

	(void)state;
	for (uint32_t v = 16; v < 256; v++) {
		uint32_t reg = v / 32 * 16;

		vlapic_post(c, (uint8_t)v, false);
		assert_int_equal(x2_get(c, APIC_IRR + reg), BIT32(v % 32));
		assert_int_equal(vm_enter(c), v);
		assert_int_equal(x2_get(c, APIC_IRR + reg), 0);
		assert_int_equal(x2_get(c, APIC_ISR + reg), BIT32(v % 32));
		eoi(c);
		assert_int_equal(x2_get(c, APIC_ISR + reg), 0);
	}
}

/* What does the TPR hold back, and does lowering it let the interrupt in? */
static void test_tpr(void **state)
{
	struct vcpu *c = start();

	(void)state;
	x2_put(c, APIC_TPR, 0x5F);
	vlapic_post(c, 0x5F, false);
	assert_int_equal(vm_enter(c), -1);
	assert_false(c->vm->vintr->pending(c));
	assert_int_equal(x2_get(c, APIC_PPR), 0x5F);
	x2_put(c, APIC_TPR, 0x4F);
	assert_true(c->vm->vintr->pending(c));
	assert_int_equal(vm_enter(c), 0x5F);
	/* PPR is the TPR where its class is not lower */
	assert_int_equal(x2_get(c, APIC_PPR), 0x50);
	x2_put(c, APIC_TPR, 0x53);
	assert_int_equal(x2_get(c, APIC_PPR), 0x53);
	x2_put(c, APIC_TPR, 0xFF);
	vlapic_post(c, 0xFF, false);
	assert_int_equal(vm_enter(c), -1);
}

/* Is an interrupt posted by another CPU seen, kicked for once, and moved to IRR? */
static void test_post_from_other_cpu(void **state)
{
	struct vcpu *c = start();
	uint32_t before;

	(void)state;
	before = vcpu_log(c)->requests;
	test_cpu(1);
	vlapic_post(c, 0x71, false);
	vlapic_post(c, 0x72, false);
	vlapic_post(c, 0x20, false);
	assert_int_equal(vcpu_log(c)->requests - before, 1);
	vlapic_post(c, 0x80, true);
	assert_int_equal(vcpu_log(c)->requests - before, 2);
	test_cpu(0);
	assert_true(c->vm->vintr->pending(c));
	assert_int_equal(x2_get(c, APIC_IRR + 0x30), BIT32(0x71 % 32) | BIT32(0x72 % 32));
	assert_int_equal(x2_get(c, APIC_TMR + 0x40), 1);
	assert_int_equal(vm_enter(c), 0x80);
	eoi(c);
	assert_int_equal(vm_enter(c), 0x72);
	eoi(c);
	assert_int_equal(vm_enter(c), 0x71);
	eoi(c);
	assert_int_equal(vm_enter(c), 0x20);
	/* the next one is announced again */
	test_cpu(1);
	before = vcpu_log(c)->requests;
	vlapic_post(c, 0x71, false);
	assert_int_equal(vcpu_log(c)->requests - before, 1);
}

/* Does the trigger mode follow the vector's last acceptance? */
static void test_trigger_mode(void **state)
{
	struct vcpu *c = start();

	(void)state;
	vlapic_post(c, 0x45, true);
	assert_int_equal(x2_get(c, APIC_TMR + 0x20), BIT32(5));
	assert_int_equal(vm_enter(c), 0x45);
	eoi(c);
	vlapic_post(c, 0x45, false);
	assert_int_equal(x2_get(c, APIC_TMR + 0x20), 0);
}

/* What if the guest has interrupts off, or is in the shadow of STI? The window exit tells. */
static void test_interrupt_window(void **state)
{
	struct vcpu *c = start();

	(void)state;
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED;
	vlapic_post(c, 0x60, false);
	assert_int_equal(vm_enter(c), -1);
	assert_true((fake_vmcs[VMCS_PROC_CTRL] & PROC_INTR_WINDOW) != 0);
	assert_true(c->vm->vintr->pending(c)); /* RFLAGS.IF is the caller's business */
	vm_exit(c, EXIT_INTR_WINDOW, 0);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL] & PROC_INTR_WINDOW, 0);
	fake_vmcs[VMCS_GUEST_RFLAGS] |= RFLAGS_IF;
	fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCK_BY_STI;
	assert_int_equal(vm_enter(c), -1);
	fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCK_BY_MOV_SS;
	vm_exit(c, EXIT_INTR_WINDOW, 0);
	assert_int_equal(vm_enter(c), -1);
	assert_true((fake_vmcs[VMCS_PROC_CTRL] & PROC_INTR_WINDOW) != 0);
	fake_vmcs[VMCS_GUEST_INTERRUPTIBILITY] = BLOCK_BY_NMI;
	vm_exit(c, EXIT_INTR_WINDOW, 0);
	assert_int_equal(vm_enter(c), 0x60);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL] & PROC_INTR_WINDOW, 0);
}

/* What if the entry has an exception to inject already? The interrupt waits, nothing is lost. */
static void test_event_already_there(void **state)
{
	struct vcpu *c = start();
	uint64_t event = INTR_INFO_VALID | (INTR_TYPE_HW_EXC << 8) | EXC_GP;

	(void)state;
	vlapic_post(c, 0x60, false);
	fake_vmcs[VMCS_ENTRY_INTR_INFO] = event;
	c->vm->vintr->inject(c);
	assert_int_equal(fake_vmcs[VMCS_ENTRY_INTR_INFO], event);
	assert_true((fake_vmcs[VMCS_PROC_CTRL] & PROC_INTR_WINDOW) != 0);
	vm_exit(c, EXIT_INTR_WINDOW, 0);
	assert_int_equal(vm_enter(c), 0x60);
}

/* Does an entry with nothing to inject write the VMCS? Costs say it must not. */
static void test_nothing_to_do(void **state)
{
	struct vcpu *c = start();

	(void)state;
	c->vm->vintr->inject(c);
	fake_vmcs_writes = 0;
	c->vm->vintr->inject(c);
	assert_int_equal(fake_vmcs_writes, 0);
	vlapic_post(c, 0x60, false);
	c->vm->vintr->inject(c);
	assert_int_equal(fake_vmcs_writes, 1);
	eoi(c);
	assert_int_equal(fake_vmcs_writes, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_priorities),	      T(test_every_vector),  T(test_tpr),
		T(test_post_from_other_cpu),  T(test_trigger_mode),  T(test_interrupt_window),
		T(test_event_already_there),  T(test_nothing_to_do),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
