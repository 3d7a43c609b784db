/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

/* Every register of the page: what power-on holds, which bits a write of all-ones leaves. */
static const struct {
	uint32_t offset, reset, ones;
	bool in_x2apic;
} registers[] = {
	{APIC_TPR, 0, 0xFF, true},
	{APIC_LDR, 0, 0xFF000000, false},
	{APIC_DFR, 0xFFFFFFFF, 0xFFFFFFFF, false},
	{APIC_SVR, 0x1FF, 0x1FF, true},
	{APIC_ICR_HI, 0, 0xFF000000, false},
	{APIC_LVT_TIMER, 0x10000, 0x700FF, true},
	{APIC_LVT_THERM, 0x10000, 0x107FF, true},
	{APIC_LVT_PMC, 0x10000, 0x107FF, true},
	{APIC_LVT_LINT0, 0x700, 0x1A7FF, true},
	{APIC_LVT_LINT1, 0x400, 0x1A7FF, true},
	{APIC_LVT_ERROR, 0x10000, 0x100FF, true},
	{APIC_TMICT, 0, 0xFFFFFFFF, true},
	{APIC_TDCR, 0, 0xB, true},
};

/* Does each register read and write as in the manual in xAPIC mode? */
static void test_xapic_registers(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	assert_int_equal(apic_get(c, APIC_ID), 0);
	assert_int_equal(apic_get(test_vcpu(0, 2), APIC_ID), 2U << 24);
	assert_int_equal(apic_get(c, APIC_VERSION), 0x50014);
	for (uint32_t i = 0; i < ARRAY_SIZE(registers); i++) {
		assert_int_equal(apic_get(c, registers[i].offset), registers[i].reset);
		apic_put(c, registers[i].offset, 0xFFFFFFFF);
		assert_int_equal(apic_get(c, registers[i].offset), registers[i].ones);
	}
	apic_put(c, APIC_DFR, 0);
	assert_int_equal(apic_get(c, APIC_DFR), 0x0FFFFFFF);
}

/* What if the guest writes read-only registers? They stay, and the ESR tells in xAPIC mode. */
static void test_xapic_read_only(void **state)
{
	static const uint32_t offsets[] = {APIC_VERSION, APIC_PPR, APIC_ISR, APIC_ISR + 0x70,
					   APIC_TMR, APIC_IRR, APIC_IRR + 0x70, APIC_TMCCT};
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	apic_put(c, APIC_ID, 0xFF000000);
	assert_int_equal(apic_get(c, APIC_ID), 0);
	apic_put(c, APIC_ESR, 0);
	assert_int_equal(apic_get(c, APIC_ESR), 0);
	for (uint32_t i = 0; i < ARRAY_SIZE(offsets); i++) {
		uint32_t before = apic_get(c, offsets[i]);

		apic_put(c, offsets[i], ~before);
		assert_int_equal(apic_get(c, offsets[i]), before);
		apic_put(c, APIC_ESR, 0);
		assert_int_equal(apic_get(c, APIC_ESR), APIC_ESR_REG_ILLEGAL);
		apic_put(c, APIC_ESR, 0);
		assert_int_equal(apic_get(c, APIC_ESR), 0);
	}
}

/* What if addresses without a register are read, or in odd widths? Zeros, and no effect. */
static void test_xapic_odd_accesses(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	apic_put(c, APIC_LVT_ERROR, 0x100AB);
	assert_int_equal(mmio_get(c, APIC_DEFAULT_BASE + APIC_LVT_ERROR, 1), 0xAB);
	assert_int_equal(mmio_get(c, APIC_DEFAULT_BASE + APIC_LVT_ERROR + 2, 1), 1);
	assert_int_equal(mmio_get(c, APIC_DEFAULT_BASE + APIC_LVT_ERROR + 2, 2), 1);
	assert_int_equal(mmio_get(c, APIC_DEFAULT_BASE + APIC_LVT_ERROR, 8), 0x100AB);
	assert_int_equal(mmio_get(c, APIC_DEFAULT_BASE + APIC_LVT_ERROR + 4, 4), 0);
	assert_int_equal(mmio_get(c, APIC_DEFAULT_BASE, 4), 0);
	assert_int_equal(mmio_get(c, APIC_DEFAULT_BASE + 0xFF0, 4), 0);
	mmio_put(c, APIC_DEFAULT_BASE + APIC_LVT_ERROR, 1, 0x55);
	mmio_put(c, APIC_DEFAULT_BASE + APIC_LVT_ERROR, 8, 0x55);
	mmio_put(c, APIC_DEFAULT_BASE + APIC_LVT_ERROR + 1, 4, 0x55);
	assert_int_equal(apic_get(c, APIC_LVT_ERROR), 0x100AB);
}

/* Does each register read and write as an MSR, and does any reserved bit #GP? */
static void test_x2apic_registers(void **state)
{
	struct vcpu *c = test_vcpu(0, 1);
	uint64_t val;

	(void)state;
	test_cpu(1);
	x2apic_on(c);
	x2_put(c, APIC_SVR, 0x1FF);
	assert_int_equal(x2_get(c, APIC_ID), 1);
	assert_int_equal(x2_get(c, APIC_VERSION), 0x50014);
	assert_int_equal(x2_get(c, APIC_LDR), 2);
	for (uint32_t i = 0; i < ARRAY_SIZE(registers); i++) {
		uint32_t msr = MSR_X2APIC_FIRST + registers[i].offset / 16U;

		if (!registers[i].in_x2apic)
			continue;
		val = registers[i].ones;
		if (registers[i].offset == APIC_LVT_TIMER)
			val = 0x500FF; /* mode 3 does not exist */
		x2_put(c, registers[i].offset, val);
		assert_int_equal(x2_get(c, registers[i].offset), val);
		for (uint32_t bit = 0; bit < 64; bit++) {
			bool status = registers[i].offset >= APIC_LVT_TIMER &&
				      registers[i].offset <= APIC_LVT_ERROR && bit == 12;
			bool irr = (registers[i].offset == APIC_LVT_LINT0 ||
				    registers[i].offset == APIC_LVT_LINT1) && bit == 14;

			if ((registers[i].ones & BIT(bit)) != 0 && bit < 32)
				continue;
			assert_int_equal(wrmsr(c, msr, BIT(bit)), status || irr ? 0 : -EINVAL);
		}
	}
	assert_int_equal(wrmsr(c, MSR_X2APIC_FIRST + APIC_LVT_TIMER / 16U, 0x600FF), -EINVAL);
}

/* Which MSRs of 0x800-0x8FF can be read and written at all? */
static void test_x2apic_access_rights(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	x2apic_on(c);
	for (uint32_t msr = MSR_X2APIC_FIRST; msr <= MSR_X2APIC_LAST; msr++) {
		uint32_t n = msr - MSR_X2APIC_FIRST;
		bool rw = n == 0x08 || n == 0x0F || n == 0x28 || n == 0x30 ||
			  (n >= 0x32 && n <= 0x38) || n == 0x3E;
		bool ro = n == 0x02 || n == 0x03 || n == 0x0A || n == 0x0D ||
			  (n >= 0x10 && n <= 0x27) || n == 0x39;
		bool wo = n == 0x0B || n == 0x3F;
		uint64_t val;

		assert_int_equal(rdmsr(c, msr, &val), rw || ro ? 0 : -EINVAL);
		/* 0x3F with 0 is an illegal vector, which is no #GP */
		assert_int_equal(wrmsr(c, msr, 0), rw || wo ? 0 : -EINVAL);
	}
	assert_int_equal(wrmsr(c, MSR_X2APIC_FIRST + APIC_EOI / 16U, 1), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_X2APIC_FIRST + APIC_ESR / 16U, 1), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_X2APIC_FIRST + APIC_SELF_IPI / 16U, 0x100), -EINVAL);
	for (uint32_t bit = 8; bit < 32; bit++) {
		bool ok = bit <= 11 || bit == 14 || bit == 15 || bit == 18 || bit == 19;

		if (!ok)
			assert_int_equal(wrmsr(c, MSR_X2APIC_FIRST + APIC_ICR_LO / 16U, BIT(bit) | 0x30),
					 -EINVAL);
	}
}

/* Are MSRs #GP in xAPIC mode and the page all-ones in x2APIC mode? */
static void test_only_one_interface(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint64_t val;

	(void)state;
	assert_int_equal(rdmsr(c, MSR_X2APIC_FIRST + APIC_TPR / 16U, &val), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_X2APIC_FIRST + APIC_TPR / 16U, 0), -EINVAL);
	x2apic_on(c);
	assert_int_equal(apic_get(c, APIC_TPR), 0xFFFFFFFF);
	apic_put(c, APIC_TPR, 0x55);
	assert_int_equal(x2_get(c, APIC_TPR), 0);
}

/* Which changes of IA32_APIC_BASE are legal, and what do they keep? */
static void test_apic_base(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint64_t base, on = APIC_DEFAULT_BASE | APIC_BASE_BSP | APIC_BASE_ENABLE;

	(void)state;
	assert_int_equal(rdmsr(c, MSR_APIC_BASE, &base), 0);
	assert_int_equal(base, on);
	assert_int_equal(rdmsr(test_vcpu(0, 1), MSR_APIC_BASE, &base), 0);
	assert_int_equal(base, on & ~APIC_BASE_BSP);
	/* reserved bits, another page, x2APIC without enable */
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, on | 1), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, on | BIT(9)), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, on | BIT(40)), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, on + 0x1000), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, (on & ~APIC_BASE_ENABLE) | APIC_BASE_X2APIC),
			 -EINVAL);
	apic_put(c, APIC_TPR, 0x40);
	x2apic_on(c);
	assert_int_equal(x2_get(c, APIC_TPR), 0x40);
	/* x2APIC to xAPIC: only by way of off, which forgets everything */
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, on), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, APIC_DEFAULT_BASE), 0);
	assert_int_equal(apic_get(c, APIC_TPR), 0xFFFFFFFF);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, on | APIC_BASE_X2APIC), -EINVAL);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, on), 0);
	assert_int_equal(apic_get(c, APIC_TPR), 0);
	assert_int_equal(apic_get(c, APIC_SVR), 0xFF);
	assert_int_equal(apic_get(c, APIC_LVT_LINT0), APIC_LVT_MASKED);
}

/* What if the APIC is switched off by software? LVTs mask, vectors are refused, NMIs pass. */
static void test_software_disable(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	apic_put(c, APIC_LVT_TIMER, 0x40);
	apic_put(c, APIC_SVR, 0xFF);
	assert_int_equal(apic_get(c, APIC_LVT_TIMER), 0x10040);
	apic_put(c, APIC_LVT_TIMER, 0x40);
	assert_int_equal(apic_get(c, APIC_LVT_TIMER), 0x10040);
	assert_int_equal(vintr_msi(c->vm, 0xFEE00000, 0x55), 0);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(vintr_msi(c->vm, 0xFEE00000, APIC_DM_NMI << 8), 0);
	assert_int_equal(vcpu_log(c)->nmis, 1);
	apic_put(c, APIC_SVR, 0x1FF);
	assert_int_equal(vintr_msi(c->vm, 0xFEE00000, 0x55), 0);
	assert_int_equal(vm_enter(c), 0x55);
}

/* What if vectors below 16 are sent, received, or stand in the error LVT itself? */
static void test_errors(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	apic_put(c, APIC_LVT_ERROR, 0xFE);
	apic_put(c, APIC_ICR_LO, 0x0F);
	assert_int_equal(vm_enter(c), 0xFE);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(vintr_msi(c->vm, 0xFEE00000, 0x05), 0);
	assert_int_equal(vm_enter(c), 0xFE);
	apic_put(c, APIC_EOI, 0);
	apic_put(c, APIC_ESR, 0);
	assert_int_equal(apic_get(c, APIC_ESR), APIC_ESR_SEND_ILLEGAL | APIC_ESR_RECV_ILLEGAL);
	apic_put(c, APIC_LVT_ERROR, 0x03);
	apic_put(c, APIC_ICR_LO, 0x0F);
	assert_int_equal(vm_enter(c), -1);
	/* a timer with an illegal vector */
	apic_put(c, APIC_ESR, 0);
	apic_put(c, APIC_LVT_TIMER, 0x08);
	apic_put(c, APIC_TMICT, 100);
	time_to(fake_tsc + 1000);
	apic_put(c, APIC_ESR, 0);
	assert_int_equal(apic_get(c, APIC_ESR), APIC_ESR_RECV_ILLEGAL);
	/* and by SELF IPI */
	x2apic_on(c);
	x2_put(c, APIC_SELF_IPI, 9);
	x2_put(c, APIC_ESR, 0);
	assert_int_equal(x2_get(c, APIC_ESR), APIC_ESR_SEND_ILLEGAL);
}

/* Is an INIT a reset that keeps mode and id, a VM reset one to power-on? */
static void test_resets(void **state)
{
	struct vcpu *c = test_vcpu(0, 1);

	(void)state;
	test_cpu(1);
	x2apic_on(c);
	x2_put(c, APIC_SVR, 0x1FF);
	x2_put(c, APIC_TPR, 0x30);
	x2_put(c, APIC_LVT_TIMER, 0x40);
	x2_put(c, APIC_TMICT, 1000);
	x2_put(c, APIC_SELF_IPI, 0x77);
	unit_vcpu_reset(c);
	assert_int_equal(x2_get(c, APIC_TPR), 0);
	assert_int_equal(x2_get(c, APIC_SVR), 0xFF);
	assert_int_equal(x2_get(c, APIC_IRR + 0x30), 0);
	assert_int_equal(x2_get(c, APIC_TMCCT), 0);
	assert_int_equal(x2_get(c, APIC_ID), 1);
	assert_int_equal(x2_get(c, APIC_LDR), 2);
	x2_put(c, APIC_LVT_TIMER, 0x40);
	x2_put(c, APIC_TMICT, 1000);
	test_cpu(0);
	unit_vm_reset(c->vm); /* on another CPU than the armed timer's */
	assert_int_equal(apic_get(c, APIC_ID), 1U << 24);
	assert_int_equal(apic_get(c, APIC_TMICT), 0);
	assert_int_equal(apic_get(test_vcpu(0, 0), APIC_LVT_LINT0), 0x700);
}

/* What if memory runs out half-way through a VM or a vCPU? An error, and nothing is kept. */
static void test_no_memory(void **state)
{
	static struct vm vm;
	static struct vcpu vcpu;
	uint32_t used = page_pool.used, total = page_pool.total;

	(void)state;
	vm.id = 2;
	fake_pool_empty = true;
	assert_int_equal(unit_vm_init(&vm), -ENOMEM);
	fake_pool_empty = false;
	assert_null(vm.vioapic);
	assert_null(vm.vpic);
	vcpu.vm = test_vcpu(0, 0)->vm;
	vcpu.pcpu = test_vcpu(0, 0)->pcpu;
	for (uint32_t pages = 0; pages < 2; pages++) {
		page_pool.total = used + pages;
		assert_int_equal(unit_vcpu_init(&vcpu), -ENOMEM);
		assert_null(vcpu.vlapic);
		assert_int_equal(page_pool.used, used);
	}
	page_pool.total = total;
}

/* CR8 and TPR: one register? */
static void test_cr8(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	apic_put(c, APIC_TPR, 0x5A);
	assert_int_equal(c->vm->vintr->cr8(c), 5);
	c->vm->vintr->set_cr8(c, 0xC);
	assert_int_equal(apic_get(c, APIC_TPR), 0xC0);
	assert_int_equal(apic_get(c, APIC_PPR), 0xC0);
	assert_true(fake_vmcs[VMCS_PROC_CTRL] == 0 && c->proc_ctrl != 0);
}

/* Does a storm of writes of any value, width and address keep the APIC sane and the VMs apart? */
static void test_storm(void **state)
{
	struct vcpu *c = test_vcpu(0, 0), *other = test_vcpu(1, 0);
	uint64_t r = 88172645463325252UL;

	(void)state;
	apic_put(other, APIC_TPR, 0x21);
	for (uint32_t i = 0; i < 100000; i++) {
		static const uint8_t widths[] = {1, 2, 4, 8, 4, 4};
		uint64_t val, base;

		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		val = (r >> 40) * 0x10001UL;
		switch (r % 5) {
		case 0:
			mmio_put(c, APIC_DEFAULT_BASE + (r >> 8) % 4096, widths[(r >> 4) % 6], val);
			break;
		case 1:
			apic_put(c, (uint32_t)((r >> 8) % 64) * 16U, (uint32_t)val);
			break;
		case 2:
			(void)wrmsr(c, MSR_X2APIC_FIRST + (uint32_t)(r >> 8) % 256,
				    (r & 32) != 0 ? val & 0xFF : val);
			break;
		case 3:
			(void)mmio_get(c, APIC_DEFAULT_BASE + (r >> 8) % 4096, widths[(r >> 4) % 6]);
			(void)rdmsr(c, MSR_X2APIC_FIRST + (uint32_t)(r >> 8) % 256, &base);
			break;
		default:
			if (i % 1000 == 4)
				(void)wrmsr(c, MSR_APIC_BASE, APIC_DEFAULT_BASE |
							      ((r >> 8) & 0xC00));
			else if (c->vm->vintr->pending(c))
				(void)vm_enter(c);
			break;
		}
		if (i % 64 == 0)
			time_to(fake_tsc + 100000);
		assert_int_equal(rdmsr(c, MSR_APIC_BASE, &base), 0);
		assert_int_equal(base & ~0xC00UL, APIC_DEFAULT_BASE | APIC_BASE_BSP);
	}
	assert_int_equal(apic_get(other, APIC_TPR), 0x21);
	assert_int_equal(vcpu_log(other)->requests, 0);
	assert_int_equal(vcpu_log(other)->inits, 0);
	assert_int_equal(fake_msr_writes, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, machine_setup, machine_teardown)
	const struct CMUnitTest tests[] = {
		T(test_xapic_registers),    T(test_xapic_read_only), T(test_xapic_odd_accesses),
		T(test_x2apic_registers),   T(test_x2apic_access_rights),
		T(test_only_one_interface), T(test_apic_base),	     T(test_software_disable),
		T(test_errors),		    T(test_resets),	     T(test_no_memory),      T(test_cr8),
		T(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
