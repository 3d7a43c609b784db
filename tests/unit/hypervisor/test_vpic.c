/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

enum { M0 = 0x20, M1 = 0x21, S0 = 0xA0, S1 = 0xA1 };

static struct vcpu *c; /* the boot CPU of VM 0, whose LINT0 is in virtual wire mode */

/* As every BIOS and kernel does it: master at 0x20, slave at 0x28, nothing masked. */
static void init_pics(uint8_t icw4)
{
	c = test_vcpu(0, 0);
	port_put(c, M0, 0x11);
	port_put(c, M1, 0x20);
	port_put(c, M1, 0x04);
	port_put(c, M1, icw4);
	port_put(c, S0, 0x11);
	port_put(c, S1, 0x28);
	port_put(c, S1, 0x02);
	port_put(c, S1, icw4);
	port_put(c, M1, 0);
	port_put(c, S1, 0);
}

static void line(uint32_t n, bool high)
{
	c->vm->vintr->pic_line(c->vm, n, high);
}

static void pulse(uint32_t n)
{
	line(n, true);
	line(n, false);
}

/* Does it arrive, and in the order of the inputs, with nesting until the EOI? */
static void test_fully_nested(void **state)
{
	(void)state;
	init_pics(1);
	pulse(5);
	pulse(3);
	assert_int_equal(vm_enter(c), 0x23);
	assert_int_equal(vm_enter(c), -1); /* 5 is lower than 3, in service */
	pulse(1);
	assert_int_equal(vm_enter(c), 0x21);
	port_put(c, M0, 0x20);
	port_put(c, M0, 0x20);
	assert_int_equal(vm_enter(c), 0x25);
	port_put(c, M0, 0x20);
	assert_int_equal(vm_enter(c), -1);
}

/* Do all 15 inputs get through, the slave's by the cascade, and are both EOIs needed there? */
static void test_every_line(void **state)
{
	(void)state;
	init_pics(1);
	for (uint32_t n = 0; n < 16; n++) {
		if (n == 2)
			continue;
		pulse(n);
		assert_int_equal(vm_enter(c), 0x20 + n);
		if (n >= 8) {
			port_put(c, S0, 0x0B); /* in-service registers of both */
			port_put(c, M0, 0x0B);
			assert_int_equal(port_get(c, S0), 1U << (n - 8));
			assert_int_equal(port_get(c, M0), 4);
			port_put(c, S0, 0x20);
		}
		port_put(c, M0, 0x20);
	}
	pulse(2);
	assert_int_equal(vm_enter(c), -1); /* the cascade is no input */
	pulse(16);
	pulse(0xFFFF);
	assert_int_equal(vm_enter(c), -1);
}

/* Do the mask registers hold, and does a masked edge wait? */
static void test_masks(void **state)
{
	(void)state;
	init_pics(1);
	port_put(c, M1, 0xFE);
	port_put(c, S1, 0xAA);
	assert_int_equal(port_get(c, M1), 0xFE);
	assert_int_equal(port_get(c, S1), 0xAA);
	pulse(4);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(port_get(c, M0), 0x10);
	port_put(c, M1, 0xEF);
	assert_int_equal(vm_enter(c), 0x24);
	assert_int_equal(port_get(c, M0), 0);
	/* the cascade masked: nothing of the slave */
	port_put(c, M0, 0x20);
	port_put(c, S1, 0);
	pulse(10);
	assert_int_equal(vm_enter(c), -1);
	port_put(c, M1, 0);
	assert_int_equal(vm_enter(c), 0x2A);
}

/* What if the request is gone when the processor asks? Pin 7, not in service: both chips. */
static void test_spurious(void **state)
{
	(void)state;
	init_pics(1);
	port_put(c, 0x4D0, 0x08);
	port_put(c, 0x4D1, 0x04);
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED;
	line(3, true);
	assert_int_equal(vm_enter(c), -1);
	line(3, false);
	fake_vmcs[VMCS_GUEST_RFLAGS] |= RFLAGS_IF;
	assert_int_equal(vm_enter(c), -1); /* INTR fell in time */
	/* polled away between INTR and INTA: seen by a second reader only */
	line(3, true);
	port_put(c, M0, 0x0C);
	assert_int_equal(port_get(c, M0), 0x83);
	port_put(c, M0, 0x0B);
	assert_int_equal(port_get(c, M0), 0x08);
	port_put(c, M0, 0x20);
	line(3, false);
	assert_int_equal(vm_enter(c), -1);
}

/* Level-triggered inputs by ELCR: again after the EOI while high; which pins can be level? */
static void test_elcr(void **state)
{
	(void)state;
	init_pics(1);
	port_put(c, 0x4D0, 0xFF);
	port_put(c, 0x4D1, 0xFF);
	assert_int_equal(port_get(c, 0x4D0), 0xF8); /* timer, keyboard, cascade: edge */
	assert_int_equal(port_get(c, 0x4D1), 0xDE); /* RTC, coprocessor: edge */
	line(11, true);
	assert_int_equal(vm_enter(c), 0x2B);
	port_put(c, S0, 0x20);
	port_put(c, M0, 0x20);
	assert_int_equal(vm_enter(c), 0x2B);
	line(11, false);
	port_put(c, S0, 0x20);
	port_put(c, M0, 0x20);
	assert_int_equal(vm_enter(c), -1);
	/* a line that is high becomes level-triggered: it requests at once */
	port_put(c, 0x4D0, 0);
	line(5, true);
	assert_int_equal(vm_enter(c), 0x25);
	port_put(c, M0, 0x20);
	assert_int_equal(vm_enter(c), -1);
	port_put(c, 0x4D0, 0x20);
	assert_int_equal(vm_enter(c), 0x25);
	/* and is edge-triggered again: the request ends with the mode */
	port_put(c, M0, 0x20);
	port_put(c, 0x4D0, 0);
	assert_int_equal(vm_enter(c), -1);
}

/* Specific EOI, priority set, rotation with and without EOI. */
static void test_rotation(void **state)
{
	(void)state;
	init_pics(1);
	port_put(c, M0, 0xC4); /* 4 is lowest: 5 highest */
	pulse(4);
	pulse(5);
	pulse(0);
	assert_int_equal(vm_enter(c), 0x25);
	port_put(c, M0, 0x65); /* specific EOI */
	assert_int_equal(vm_enter(c), 0x20);
	port_put(c, M0, 0xA0); /* rotate on non-specific EOI: 0 becomes lowest */
	assert_int_equal(vm_enter(c), 0x24);
	pulse(0);
	pulse(3);
	assert_int_equal(vm_enter(c), 0x23);
	port_put(c, M0, 0xE3); /* rotate on specific EOI: 3 lowest */
	assert_int_equal(vm_enter(c), -1); /* 4 is in service and the highest now */
	port_put(c, M0, 0x64);
	assert_int_equal(vm_enter(c), 0x20);
	port_put(c, M0, 0x61); /* EOI of something not in service: nothing */
	port_put(c, M0, 0x0B);
	assert_int_equal(port_get(c, M0), 1);
	port_put(c, M0, 0x40); /* no operation */
	assert_int_equal(port_get(c, M0), 1);
	port_put(c, M0, 0x20);
	port_put(c, M0, 0x20); /* nothing in service */
	assert_int_equal(port_get(c, M0), 0);
}

/* Automatic EOI: nothing stays in service; rotating, the served one becomes lowest. */
static void test_auto_eoi(void **state)
{
	(void)state;
	init_pics(3);
	pulse(3);
	pulse(9);
	assert_int_equal(vm_enter(c), 0x29);
	assert_int_equal(vm_enter(c), 0x23);
	port_put(c, M0, 0x0B);
	assert_int_equal(port_get(c, M0), 0);
	port_put(c, M0, 0x80); /* rotate in automatic EOI mode */
	pulse(1);
	assert_int_equal(vm_enter(c), 0x21);
	pulse(1);
	pulse(6);
	assert_int_equal(vm_enter(c), 0x26);
	assert_int_equal(vm_enter(c), 0x21);
	port_put(c, M0, 0x00); /* no longer */
	pulse(0);
	pulse(7);
	assert_int_equal(vm_enter(c), 0x27); /* 1 is still the lowest */
}

/* Special mask mode: does a masked interrupt in service let lower ones pass? */
static void test_special_mask(void **state)
{
	(void)state;
	init_pics(1);
	pulse(2 + 1);
	assert_int_equal(vm_enter(c), 0x23);
	pulse(6);
	assert_int_equal(vm_enter(c), -1);
	port_put(c, M1, 0x08);
	assert_int_equal(vm_enter(c), -1);
	port_put(c, M0, 0x68); /* set special mask */
	assert_int_equal(vm_enter(c), 0x26);
	port_put(c, M0, 0x20); /* ends 6, for 3 is masked */
	port_put(c, M0, 0x0B);
	assert_int_equal(port_get(c, M0), 0x08);
	port_put(c, M0, 0x48); /* reset special mask */
	pulse(6);
	assert_int_equal(vm_enter(c), -1);
	port_put(c, M0, 0x63);
	assert_int_equal(vm_enter(c), 0x26);
}

/* Special fully nested mode: does a second, higher request of the slave pass the first? */
static void test_special_nested(void **state)
{
	(void)state;
	init_pics(1);
	pulse(12);
	assert_int_equal(vm_enter(c), 0x2C);
	pulse(8);
	assert_int_equal(vm_enter(c), -1); /* plain nesting: the cascade is in service */
	init_pics(0x11);
	pulse(12);
	assert_int_equal(vm_enter(c), 0x2C);
	pulse(8);
	assert_int_equal(vm_enter(c), 0x28);
	pulse(13);
	assert_int_equal(vm_enter(c), -1);
}

/* Does a poll acknowledge like an INTA, and tell when there is nothing? */
static void test_poll(void **state)
{
	(void)state;
	init_pics(1);
	fake_vmcs[VMCS_GUEST_RFLAGS] = RFLAGS_FIXED;
	port_put(c, M0, 0x0C);
	assert_int_equal(port_get(c, M0), 0);
	pulse(6);
	port_put(c, M0, 0x0C);
	assert_int_equal(port_get(c, M0), 0x86);
	assert_int_equal(port_get(c, M0), 0); /* the next read is the IRR again */
	port_put(c, M0, 0x0B);
	assert_int_equal(port_get(c, M0), 0x40);
	pulse(14);
	port_put(c, S0, 0x0C);
	assert_int_equal(port_get(c, S1), 0x86); /* either port */
}

/* Initialisation: single chip without ICW3, no ICW4, what it resets, what it keeps. */
static void test_initialisation(void **state)
{
	(void)state;
	init_pics(3);
	port_put(c, M0, 0xC2);
	port_put(c, M0, 0x68);
	port_put(c, M1, 0xFF);
	pulse(4);
	port_put(c, M0, 0x10); /* cascade, no ICW4 */
	port_put(c, M1, 0x4F); /* low three bits of the base do not count */
	port_put(c, M1, 0x04);
	assert_int_equal(port_get(c, M1), 0);
	assert_int_equal(vm_enter(c), -1); /* the edge is forgotten */
	pulse(1);
	assert_int_equal(vm_enter(c), 0x49);
	pulse(1);
	assert_int_equal(vm_enter(c), -1); /* not automatic EOI any more */
	port_put(c, M0, 0x13); /* single, ICW4 */
	port_put(c, M1, 0x50);
	port_put(c, M1, 0x03); /* ICW4: automatic EOI */
	port_put(c, M1, 0x00); /* the mask */
	pulse(1);
	assert_int_equal(vm_enter(c), 0x51);
	pulse(1);
	assert_int_equal(vm_enter(c), 0x51);
}

/* By which ways does the output reach a vCPU, and which one? */
static void test_wires(void **state)
{
	struct vcpu *c1 = test_vcpu(0, 1);

	(void)state;
	init_pics(1);
	line(4, true);
	assert_true(c->vm->vintr->pending(c));
	assert_false(c1->vm->vintr->pending(c1));
	apic_put(c, APIC_LVT_LINT0, 0x10700); /* masked */
	assert_false(c->vm->vintr->pending(c));
	assert_int_equal(vm_enter(c), -1);
	apic_put(c, APIC_LVT_LINT0, 0x00400); /* NMI mode: not an interrupt */
	assert_int_equal(vm_enter(c), -1);
	apic_put(c, APIC_LVT_LINT0, 0x00700);
	assert_int_equal(vm_enter(c), 0x24);
	port_put(c, M0, 0x20);
	line(4, false);
	/* a boot CPU whose LAPIC is off gets it directly */
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, APIC_DEFAULT_BASE), 0);
	line(4, true);
	assert_int_equal(vm_enter(c), 0x24);
	port_put(c, M0, 0x20);
	line(4, false);
	/* pin 0 of the IOAPIC as ExtINT: to the vCPU its entry names */
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, APIC_DEFAULT_BASE | APIC_BASE_ENABLE), 0);
	mmio_put(c, IOAPIC_DEFAULT_BASE, 4, IOAPIC_REG_RTE0 + 1);
	mmio_put(c, IOAPIC_DEFAULT_BASE + IOAPIC_WINDOW, 4, 1U << 24);
	mmio_put(c, IOAPIC_DEFAULT_BASE, 4, IOAPIC_REG_RTE0);
	mmio_put(c, IOAPIC_DEFAULT_BASE + IOAPIC_WINDOW, 4, APIC_DM_EXTINT << 8);
	line(4, true);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(vm_enter(c1), 0x24);
	assert_int_equal(vm_enter(c1), -1);
}

/* What if both the vPIC and the LAPIC have one? The vPIC first, then a window for the other. */
static void test_with_lapic(void **state)
{
	(void)state;
	init_pics(1);
	pulse(4);
	vlapic_post(c, 0x55, false);
	assert_int_equal(vm_enter(c), 0x24);
	assert_true((fake_vmcs[VMCS_PROC_CTRL] & PROC_INTR_WINDOW) != 0);
	vm_exit(c, EXIT_INTR_WINDOW, 0);
	assert_int_equal(vm_enter(c), 0x55);
	/* the TPR does not hold back ExtINT */
	apic_put(c, APIC_TPR, 0xFF);
	port_put(c, M0, 0x20);
	pulse(4);
	assert_int_equal(vm_enter(c), 0x24);
}

/* Do two VMs' PICs have anything to do with each other? */
static void test_two_vms(void **state)
{
	struct vcpu *other = test_vcpu(1, 0);

	(void)state;
	init_pics(1);
	assert_int_equal(port_get(other, M1), 0xFB);
	pulse(4);
	assert_int_equal(vm_enter(other), -1);
	assert_int_equal(vm_enter(c), 0x24);
	unit_vm_reset(c->vm);
	assert_int_equal(port_get(c, M1), 0xFB);
	assert_int_equal(port_get(c, S1), 0xFF);
	pulse(4);
	assert_int_equal(vm_enter(c), -1);
}

/* Does any order of port writes and lines do harm? */
static void test_storm(void **state)
{
	static const uint16_t ports[] = {M0, M1, S0, S1, 0x4D0, 0x4D1};
	uint64_t r = 0x2545F4914F6CDD1DUL;

	(void)state;
	init_pics(1);
	for (uint32_t i = 0; i < 100000; i++) {
		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		switch (r % 4) {
		case 0:
			port_put(c, ports[(r >> 8) % 6], (uint8_t)(r >> 16));
			break;
		case 1:
			(void)port_get(c, ports[(r >> 8) % 6]);
			break;
		case 2:
			line((uint32_t)(r >> 8) % 17, (r & 128) != 0);
			break;
		default:
			assert_in_range((uint32_t)(vm_enter(c) + 1), 0, 256);
			break;
		}
	}
	/* a proper initialisation brings it back */
	for (uint32_t n = 0; n < 16; n++)
		line(n, false);
	port_put(c, 0x4D0, 0);
	port_put(c, 0x4D1, 0);
	init_pics(1);
	pulse(9);
	assert_int_equal(vm_enter(c), 0x29);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_fully_nested), T(test_every_line),     T(test_masks),	    T(test_spurious),
		T(test_elcr),	      T(test_rotation),	      T(test_auto_eoi),
		T(test_special_mask), T(test_special_nested), T(test_poll),
		T(test_initialisation), T(test_wires),	      T(test_with_lapic),
		T(test_two_vms),      T(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
