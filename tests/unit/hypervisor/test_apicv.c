/* SPDX-License-Identifier: BSD-3-Clause */
/* links: @machine @vapic */
#include "vapic_machine.h"

/*
 * What the processor would do by itself, the tests do to the page and the VMCS: the page of a vCPU
 * is where VMCS_VIRTUAL_APIC points.
 */
static const enum cpu_cap basic[] = {CAP_TPR_SHADOW, CAP_APIC_ACCESS, CAP_X2APIC_VIRT};
static const enum cpu_cap full[] = {CAP_TPR_SHADOW,	CAP_APIC_ACCESS,    CAP_X2APIC_VIRT,
				    CAP_APIC_REGS,	CAP_VINTR_DELIVERY, CAP_POSTED_INTR};

static int setup_basic(void **state)
{
	(void)state;
	machine_start(basic, ARRAY_SIZE(basic), POST_LAUNCHED_VM);
	return 0;
}

static int setup_full(void **state)
{
	(void)state;
	machine_start(full, ARRAY_SIZE(full), POST_LAUNCHED_VM);
	return 0;
}

/* The fake machine has one VMCS: give it to this vCPU, as its reset hook fills it. */
static uint32_t *own_vmcs(struct vcpu *c)
{
	test_cpu(c->pcpu->id);
	fake_vmcs[VMCS_PROC_CTRL2] = PROC2_EPT;
	fake_vmcs[VMCS_PIN_CTRL] = PIN_EXTINT_EXIT;
	c->proc_ctrl = PROC_CR8_LOAD_EXIT | PROC_CR8_STORE_EXIT;
	unit_vcpu_reset(c);
	return hpa_ptr(HPA(fake_vmcs[VMCS_VIRTUAL_APIC]));
}

static uint32_t rvi(void)
{
	return (uint32_t)fake_vmcs[VMCS_GUEST_INTR_STATUS] & 0xFFU;
}

static uint32_t svi(void)
{
	return (uint32_t)fake_vmcs[VMCS_GUEST_INTR_STATUS] >> 8;
}

/* The processor delivers the requested interrupt (SDM 3C 30.2.2). */
static int cpu_delivers(uint32_t *page)
{
	uint32_t vector = rvi(), i, next = 0;

	if (vector == 0 || (page[APIC_IRR / 4 + vector / 32 * 4] & BIT32(vector % 32)) == 0)
		return -1;
	page[APIC_IRR / 4 + vector / 32 * 4] &= ~BIT32(vector % 32);
	page[APIC_ISR / 4 + vector / 32 * 4] |= BIT32(vector % 32);
	for (i = 0; i < 256; i++) {
		if ((page[APIC_IRR / 4 + i / 32 * 4] & BIT32(i % 32)) != 0)
			next = i;
	}
	fake_vmcs[VMCS_GUEST_INTR_STATUS] = (vector << 8) | next;
	return (int)vector;
}

/* Which controls go with which mode of the APIC, without the advanced features? */
static void test_basic_controls(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	(void)own_vmcs(c);
	assert_int_equal(c->proc_ctrl, PROC_TPR_SHADOW);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL2], PROC2_EPT | PROC2_APIC_ACCESS);
	assert_int_equal(fake_vmcs[VMCS_PIN_CTRL], PIN_EXTINT_EXIT);
	assert_int_equal(fake_vmcs[VMCS_APIC_ACCESS], ept_apic_page[0]);
	assert_int_equal(fake_vmcs[VMCS_VIRTUAL_APIC] % PAGE_SIZE, 0);
	x2apic_on(c);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL2], PROC2_EPT | PROC2_X2APIC);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, APIC_DEFAULT_BASE), 0);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL2], PROC2_EPT);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, APIC_DEFAULT_BASE | APIC_BASE_ENABLE), 0);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL2], PROC2_EPT | PROC2_APIC_ACCESS);
}

/* And with all of them? */
static void test_full_controls(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint32_t always = PROC2_EPT | PROC2_VINTR_DELIVERY;

	(void)state;
	(void)own_vmcs(c);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL2], always | PROC2_APIC_ACCESS | PROC2_APIC_REGS);
	assert_int_equal(fake_vmcs[VMCS_PIN_CTRL], PIN_EXTINT_EXIT | PIN_POSTED_INTR);
	assert_int_equal(fake_vmcs[VMCS_PI_VECTOR], VECTOR_POSTED);
	assert_int_equal(fake_vmcs[VMCS_PI_DESC] % PAGE_SIZE, 0);
	assert_int_equal(fake_vmcs[VMCS_GUEST_INTR_STATUS], 0);
	x2apic_on(c);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL2], always | PROC2_X2APIC | PROC2_APIC_REGS);
}

/* Without APICv: do CR8 accesses exit, and is the APIC's page unmapped so that MMIO exits? */
static void test_no_apicv(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	ept_apic_page[0] = 0xFEE00000; /* a 1:1 map of everything */
	(void)own_vmcs(c);
	assert_int_equal(ept_apic_page[0], 0);
	assert_int_equal(c->proc_ctrl, PROC_CR8_LOAD_EXIT | PROC_CR8_STORE_EXIT);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL2], PROC2_EPT);
}

/*
 * When may x2APIC MSRs go without an exit? A vCPU in xAPIC mode would reach the machine's own LAPIC
 * by them, and the bitmap is the VM's.
 */
static void test_msr_bitmap_safety(void **state)
{
	struct vcpu *c0 = test_vcpu(0, 0), *c1 = test_vcpu(0, 1), *c2 = test_vcpu(0, 2);
	uint32_t tpr = MSR_X2APIC_FIRST + APIC_TPR / 16U;

	(void)state;
	assert_true(msr_exits(0, tpr, true));
	x2apic_on(c0);
	x2apic_on(c1);
	assert_true(msr_exits(0, tpr, true)); /* vCPU 2 has run in xAPIC mode */
	x2apic_on(c2);
	assert_false(msr_exits(0, tpr, true));
	assert_false(msr_exits(0, tpr, false));
	assert_true(msr_exits(1, tpr, true)); /* the other VM */
	assert_int_equal(wrmsr(c1, MSR_APIC_BASE, APIC_DEFAULT_BASE), 0);
	assert_true(msr_exits(0, tpr, true));
	assert_true(msr_exits(0, tpr, false));
	assert_int_equal(wrmsr(c1, MSR_APIC_BASE, APIC_DEFAULT_BASE | APIC_BASE_ENABLE), 0);
	x2apic_on(c1);
	assert_false(msr_exits(0, tpr, true));
	unit_vm_reset(c0->vm); /* back in xAPIC mode */
	assert_true(msr_exits(0, tpr, true));
	/* vCPUs that have not run yet do not count */
	unit_vcpu_reset(c0);
	assert_true(msr_exits(0, tpr, true));
	x2apic_on(c0);
	assert_false(msr_exits(0, tpr, true));
	unit_vcpu_reset(c1);
	assert_true(msr_exits(0, tpr, true));
}

/* Which MSRs open? Only registers the processor serves itself, none that must #GP or be computed. */
static void test_open_msrs(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		x2apic_on(test_vcpu(0, i));
	for (uint32_t n = 0; n < 256; n++) {
		bool read = n == 0x02 || n == 0x03 || n == 0x08 || n == 0x0A || n == 0x0D ||
			    (n >= 0x0F && n <= 0x28) || n == 0x30 || (n >= 0x32 && n <= 0x38) ||
			    n == 0x3E;
		bool write = n == 0x08 || n == 0x0B || n == 0x3F;

		assert_int_equal(msr_exits(0, MSR_X2APIC_FIRST + n, false), !read);
		assert_int_equal(msr_exits(0, MSR_X2APIC_FIRST + n, true), !write);
	}
}

/* Without virtual-interrupt delivery only the TPR opens, and a low TPR must wake what waits. */
static void test_tpr_threshold(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint32_t *page;

	(void)state;
	for (uint32_t i = 0; i < TEST_VCPUS; i++)
		x2apic_on(test_vcpu(0, i));
	for (uint32_t n = 0; n < 256; n++) {
		assert_int_equal(msr_exits(0, MSR_X2APIC_FIRST + n, false), n != 8);
		assert_int_equal(msr_exits(0, MSR_X2APIC_FIRST + n, true), n != 8);
	}
	page = own_vmcs(c);
	x2_put(c, APIC_SVR, 0x1FF);
	page[APIC_TPR / 4] = 0x60; /* the guest's MOV to CR8, without an exit */
	vlapic_post(c, 0x51, false);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(fake_vmcs[VMCS_TPR_THRESHOLD], 5);
	page[APIC_TPR / 4] = 0x40;
	vm_exit(c, EXIT_TPR_THRESHOLD, 0);
	assert_int_equal(vm_enter(c), 0x51);
	assert_int_equal(fake_vmcs[VMCS_TPR_THRESHOLD], 0);
	/* one held back by the ISR, not by the TPR, needs no threshold */
	vlapic_post(c, 0x52, false);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(fake_vmcs[VMCS_TPR_THRESHOLD], 0);
}

/* The threshold must never be above the TPR's class: VM entry would fail. */
static void test_threshold_valid(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint32_t *page = own_vmcs(c);
	uint64_t r = 12345;

	(void)state;
	apic_put(c, APIC_SVR, 0x1FF);
	for (uint32_t i = 0; i < 20000; i++) {
		r = r * 6364136223846793005UL + 1442695040888963407UL;
		switch ((r >> 60) % 4) {
		case 0:
			page[APIC_TPR / 4] = (uint32_t)(r >> 40) & 0xFF;
			vm_exit(c, EXIT_TPR_THRESHOLD, 0);
			break;
		case 1:
			vlapic_post(c, (uint8_t)(16 + (r >> 40) % 240), (r & BIT(30)) != 0);
			break;
		case 2:
			apic_put(c, APIC_EOI, 0);
			break;
		default:
			apic_put(c, APIC_TPR, (uint32_t)(r >> 40) & 0xFF);
			break;
		}
		(void)vm_enter(c);
		assert_in_range(fake_vmcs[VMCS_TPR_THRESHOLD], 0, page[APIC_TPR / 4] >> 4);
	}
}

/* Is the processor told of the highest request, and never of a lower one instead? */
static void test_rvi(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint32_t *page = own_vmcs(c);

	(void)state;
	apic_put(c, APIC_SVR, 0x1FF);
	vlapic_post(c, 0x51, false);
	assert_int_equal(vm_enter(c), -1); /* nothing is injected */
	assert_int_equal(rvi(), 0x51);
	vlapic_post(c, 0x31, false);
	assert_int_equal(vm_enter(c), -1);
	assert_int_equal(rvi(), 0x51);
	assert_int_equal(cpu_delivers(page), 0x51);
	assert_int_equal(rvi(), 0x31);
	vlapic_post(c, 0x91, false);
	(void)vm_enter(c);
	assert_int_equal(rvi(), 0x91);
	assert_int_equal(svi(), 0x51);
	assert_int_equal(fake_vmcs[VMCS_PROC_CTRL] & PROC_INTR_WINDOW, 0);
	/* HLT sees what the processor would deliver */
	assert_true(c->vm->vintr->pending(c));
	assert_int_equal(cpu_delivers(page), 0x91);
	assert_false(c->vm->vintr->pending(c)); /* 0x31 waits for two EOIs */
	/* an EOI by a decoded access: SVI falls to the next in service */
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(svi(), 0x51);
	apic_put(c, APIC_EOI, 0);
	assert_int_equal(svi(), 0);
}

/* What if the guest switches its APIC off with requests waiting? The processor must forget them. */
static void test_switched_off(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	(void)own_vmcs(c);
	apic_put(c, APIC_SVR, 0x1FF);
	vlapic_post(c, 0x51, false);
	(void)vm_enter(c);
	vlapic_post(c, 0x91, false);
	assert_int_equal(wrmsr(c, MSR_APIC_BASE, APIC_DEFAULT_BASE), 0);
	(void)vm_enter(c);
	assert_int_equal(fake_vmcs[VMCS_GUEST_INTR_STATUS], 0);
	assert_false(c->vm->vintr->pending(c));
}

/* Does the EOI of a level vector exit, that of an edge vector not, and the vIOAPIC hear of it? */
static void test_eoi_bitmap(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint32_t *page = own_vmcs(c);

	(void)state;
	apic_put(c, APIC_SVR, 0x1FF);
	mmio_put(c, IOAPIC_DEFAULT_BASE, 4, IOAPIC_REG_RTE0 + 40);
	mmio_put(c, IOAPIC_DEFAULT_BASE + IOAPIC_WINDOW, 4, 0x81 | IOAPIC_RTE_LEVEL);
	assert_int_equal(vintr_set_gsi(c->vm, 20, GSI_SET_HIGH), 0);
	(void)vm_enter(c);
	assert_int_equal(fake_vmcs[VMCS_EOI_EXIT0 + 4], BIT(1));
	assert_int_equal(cpu_delivers(page), 0x81);
	assert_int_equal(vintr_set_gsi(c->vm, 20, GSI_SET_LOW), 0);
	page[APIC_ISR / 4 + 4 * 4] = 0; /* the processor's EOI */
	fake_vmcs[VMCS_GUEST_INTR_STATUS] = 0;
	vm_exit(c, EXIT_VIRTUAL_EOI, 0x81);
	assert_int_equal(vioapic_rte(c->vm, 20) & IOAPIC_RTE_REMOTE_IRR, 0);
	/* the vector comes as an edge: no exit any more */
	vlapic_post(c, 0x81, false);
	(void)vm_enter(c);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(fake_vmcs[VMCS_EOI_EXIT0 + 2 * i], 0);
	/* from another CPU a level vector never goes through the descriptor */
	test_cpu(1);
	vlapic_post(c, 0x82, true);
	assert_int_equal(test_ipis, 0);
	assert_true((c->requests & REQ_EVENT) != 0);
	assert_int_equal(((uint64_t *)hpa_ptr(HPA(fake_vmcs[VMCS_PI_DESC])))[2], 0);
	(void)vm_enter(c);
	assert_int_equal(fake_vmcs[VMCS_EOI_EXIT0 + 4], BIT(2));
}

/* Posted interrupts: one notification for many, wake-ups for who sleeps, nothing lost between. */
static void test_posted(void **state)
{
	struct vcpu *c = test_vcpu(0, 2);
	uint32_t *page = own_vmcs(c);
	uint64_t *desc = hpa_ptr(HPA(fake_vmcs[VMCS_PI_DESC]));

	(void)state;
	apic_put(c, APIC_SVR, 0x1FF);
	c->requests = 0;
	test_cpu(0);
	vlapic_post(c, 0x41, false);
	vlapic_post(c, 0xC1, false);
	assert_int_equal(test_ipis, 1);
	assert_int_equal(test_last_ipi, c->pcpu->apic_id);
	assert_int_equal(desc[1], BIT(1));
	assert_int_equal(desc[3], BIT(1));
	assert_int_equal(desc[4] & 1, 1);
	/* a request would hide a later one that must kick */
	assert_int_equal(c->requests, 0);
	/* the IPI found the CPU in root mode */
	test_cpu(2);
	c->pcpu->loaded = c;
	phys_interrupt(VECTOR_POSTED);
	assert_true((c->requests & REQ_EVENT) != 0);
	(void)vm_enter(c);
	assert_int_equal(rvi(), 0xC1);
	assert_int_equal(page[APIC_IRR / 4 + 8], BIT32(1));
	assert_int_equal(desc[4] & 1, 0);
	/* or in another guest: seen when this one is switched in */
	test_cpu(0);
	vlapic_post(c, 0xD1, false);
	assert_int_equal(test_ipis, 2);
	c->pcpu->loaded = test_vcpu(1, 2);
	test_cpu(2);
	phys_interrupt(VECTOR_POSTED);
	assert_int_equal(c->requests, 0);
	c->vm->vintr->switched_in(c);
	assert_true((c->requests & REQ_EVENT) != 0);
	(void)vm_enter(c);
	assert_int_equal(rvi(), 0xD1);
	/* asleep: woken, no IPI */
	test_cpu(0);
	c->thread.state = THREAD_BLOCKED;
	vlapic_post(c, 0xE1, false);
	assert_int_equal(test_ipis, 2);
	assert_true((c->requests & REQ_EVENT) != 0);
	assert_true(vcpu_log(c)->wakes >= 1);
	/* on its own CPU: straight into the page */
	test_cpu(2);
	vlapic_post(c, 0xE2, false);
	assert_int_equal(test_ipis, 2);
	(void)vm_enter(c);
	assert_int_equal(rvi(), 0xE2);
}

/* Trap-like writes: the page has the raw value already; what does each register make of it? */
static void test_apic_write_exit(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint32_t *page = own_vmcs(c);

	(void)state;
	page[APIC_SVR / 4] = 0xFFFFFFFF;
	vm_exit(c, EXIT_APIC_WRITE, APIC_SVR);
	assert_int_equal(page[APIC_SVR / 4], 0x1FF);
	page[APIC_ID / 4] = 0x55000000;
	vm_exit(c, EXIT_APIC_WRITE, APIC_ID);
	assert_int_equal(page[APIC_ID / 4], 0);
	page[APIC_LVT_TIMER / 4] = 0xFFFFFFFF;
	vm_exit(c, EXIT_APIC_WRITE, APIC_LVT_TIMER);
	assert_int_equal(page[APIC_LVT_TIMER / 4], 0x700FF);
	page[APIC_DFR / 4] = 0;
	vm_exit(c, EXIT_APIC_WRITE, APIC_DFR);
	assert_int_equal(page[APIC_DFR / 4], 0x0FFFFFFF);
	page[APIC_LDR / 4] = 0x01FFFFFF;
	vm_exit(c, EXIT_APIC_WRITE, APIC_LDR);
	assert_int_equal(page[APIC_LDR / 4], 0x01000000);
	page[APIC_ESR / 4] = 0x12345678;
	vm_exit(c, EXIT_APIC_WRITE, APIC_ESR);
	assert_int_equal(page[APIC_ESR / 4], 0);
	page[APIC_ICR_HI / 4] = 1U << 24;
	page[APIC_ICR_LO / 4] = APIC_DM_NMI << 8;
	vm_exit(c, EXIT_APIC_WRITE, APIC_ICR_LO);
	assert_int_equal(vcpu_log(test_vcpu(0, 1))->nmis, 1);
	page[APIC_LVT_TIMER / 4] = 0x40;
	vm_exit(c, EXIT_APIC_WRITE, APIC_LVT_TIMER);
	page[APIC_TMICT / 4] = 1000;
	vm_exit(c, EXIT_APIC_WRITE, APIC_TMICT);
	time_to(fake_tsc + 10000);
	(void)vm_enter(c);
	assert_int_equal(rvi(), 0x40);
	/* an illegal SELF IPI is the only one in x2APIC mode */
	x2apic_on(c);
	page[APIC_SELF_IPI / 4] = 5;
	vm_exit(c, EXIT_APIC_WRITE, APIC_SELF_IPI);
	x2_put(c, APIC_ESR, 0);
	assert_int_equal(x2_get(c, APIC_ESR), APIC_ESR_SEND_ILLEGAL);
	for (uint32_t offset = 0; offset < 4096; offset += 16)
		vm_exit(c, EXIT_APIC_WRITE, offset);
}

/* APIC-access exits: data accesses are decoded; code in the page or a stack there hurts its owner. */
static void test_apic_access_exit(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);

	(void)state;
	vm_exit(c, EXIT_APIC_ACCESS, APIC_TMCCT);
	vm_exit(c, EXIT_APIC_ACCESS, APIC_TMICT | (1 << 12));
	assert_int_equal(test_emulated, 2);
	vm_exit(c, EXIT_APIC_ACCESS, 2 << 12);
	assert_int_equal(vcpu_log(c)->gps, 1);
	vm_exit(c, EXIT_APIC_ACCESS, 3 << 12);
	vm_exit(c, EXIT_APIC_ACCESS, 10 << 12);
	assert_int_equal(test_triple_faults, 2);
	assert_int_equal(test_emulated, 2);
}

/* Does the vPIC's interrupt get in beside virtual-interrupt delivery? */
static void test_extint_with_delivery(void **state)
{
	struct vcpu *c = test_vcpu(0, 0);
	uint32_t *page;

	(void)state;
	unit_vm_reset(c->vm);
	page = own_vmcs(c);
	port_put(c, 0x21, 0xEF);
	vlapic_post(c, 0x51, false);
	c->vm->vintr->pic_line(c->vm, 4, true);
	assert_int_equal(vm_enter(c), 0x0C);
	assert_int_equal(rvi(), 0x51);
	assert_int_equal(cpu_delivers(page), 0x51);
	assert_int_equal(vm_enter(c), -1);
}

/* Do the descriptors and pages of two vCPUs have anything in common? */
static void test_own_pages(void **state)
{
	uint64_t seen[2 * TEST_VMS * TEST_VCPUS];
	uint32_t n = 0;

	(void)state;
	for (uint32_t vm = 0; vm < TEST_VMS; vm++) {
		for (uint32_t i = 0; i < TEST_VCPUS; i++) {
			(void)own_vmcs(test_vcpu(vm, i));
			assert_int_equal(fake_vmcs[VMCS_APIC_ACCESS], ept_apic_page[vm]);
			seen[n++] = fake_vmcs[VMCS_VIRTUAL_APIC];
			seen[n++] = fake_vmcs[VMCS_PI_DESC];
		}
	}
	assert_true(ept_apic_page[0] != ept_apic_page[1]);
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = 0; j < i; j++)
			assert_true(seen[i] != seen[j]);
	}
}

int main(void)
{
#define B(f) cmocka_unit_test_setup_teardown(f, setup_basic, machine_teardown)
#define F(f) cmocka_unit_test_setup_teardown(f, setup_full, machine_teardown)
	const struct CMUnitTest tests[] = {
		B(test_basic_controls),
		F(test_full_controls),
		cmocka_unit_test_setup_teardown(test_no_apicv, machine_setup, machine_teardown),
		B(test_msr_bitmap_safety),
		F(test_msr_bitmap_safety),
		F(test_open_msrs),
		B(test_tpr_threshold),
		B(test_threshold_valid),
		F(test_rvi),
		F(test_switched_off),
		F(test_eoi_bitmap),
		F(test_posted),
		F(test_apic_write_exit),
		F(test_apic_access_exit),
		F(test_extint_with_delivery),
		F(test_own_pages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
