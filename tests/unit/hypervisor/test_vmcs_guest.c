// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does a vCPU's VMCS hold all of the state it starts with and nothing of a former life, and does an
 * exit come back to this CPU's own stack, tables and code?
 */
// links: hypervisor/arch/x86/vmx/vmcs_guest.c hypervisor/arch/x86/vmx/vmcs_host.c @machine
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/cpuregs.h"
#include "asm/msr.h"
#include "hv/cpu.h"
#include "hv/pcpu.h"
#include "hv/vcr.h"
#include "hv/vmcs.h"
#include "fake_machine.h"
#include "../../../hypervisor/arch/x86/vmx/vmcs_parts.h"

const uint8_t vmx_exit_entry[16];
static uint32_t controls, vcrs;
static struct vcpu vcpu;
static struct vcpu_start start;

void vmcs_init_controls(struct vcpu *v)
{
	assert_ptr_equal(v, &vcpu);
	controls++;
}

void vcr_reset(struct vcpu *v, const struct vcpu_start *s)
{
	assert_ptr_equal(v, &vcpu);
	assert_ptr_equal(s, &start);
	vcrs++;
}

uint64_t cpu_tss_base(const struct pcpu *p)
{
	return 0x1000U + p->id;
}

uint64_t cpu_gdt_base(const struct pcpu *p)
{
	return 0x2000U + p->id;
}

uint64_t cpu_idt_base(void)
{
	return 0x3000U;
}

static int setup(void **state)
{
	(void)state;
	fake_machine_reset();
	memset(&vcpu, 0, sizeof(vcpu));
	memset(&start, 0, sizeof(start));
	controls = vcrs = 0;
	return 0;
}

/* Is each field written, whatever the VMCS held before? */
static void test_guest(void **state)
{
	static const uint32_t cleared[] = {
		VMCS_GUEST_DEBUGCTL,	VMCS_GUEST_SYSENTER_CS, VMCS_GUEST_SYSENTER_ESP,
		VMCS_GUEST_SYSENTER_EIP, VMCS_GUEST_INTERRUPTIBILITY, VMCS_GUEST_ACTIVITY,
		VMCS_GUEST_PENDING_DEBUG, VMCS_ENTRY_INTR_INFO,
	};

	(void)state;
	for (uint32_t f = 0; f < FAKE_VMCS_FIELDS; f++)
		fake_vmcs[f] = 0xDEAD;
	for (uint32_t i = 0; i < 8; i++) {
		start.seg[i].sel = (uint16_t)(0x100 + i);
		start.seg[i].base = 0x200 + i;
		start.seg[i].limit = 0x300 + i;
		start.seg[i].ar = 0x400 + i;
	}
	start.gdt_base = 1;
	start.gdt_limit = 2;
	start.idt_base = 3;
	start.idt_limit = 4;
	start.rip = 5;
	start.gpr[GPR_RSP] = 6;
	vmcs_guest_reset(&vcpu, &start);
	for (uint32_t i = 0; i < 8; i++) {
		assert_int_equal(fake_vmcs[VMCS_GUEST_ES_SEL + 2 * i], 0x100 + i);
		assert_int_equal(fake_vmcs[VMCS_GUEST_ES_BASE + 2 * i], 0x200 + i);
		assert_int_equal(fake_vmcs[VMCS_GUEST_ES_LIMIT + 2 * i], 0x300 + i);
		assert_int_equal(fake_vmcs[VMCS_GUEST_ES_AR + 2 * i], 0x400 + i);
	}
	assert_int_equal(fake_vmcs[VMCS_GUEST_GDTR_BASE], 1);
	assert_int_equal(fake_vmcs[VMCS_GUEST_GDTR_LIMIT], 2);
	assert_int_equal(fake_vmcs[VMCS_GUEST_IDTR_BASE], 3);
	assert_int_equal(fake_vmcs[VMCS_GUEST_IDTR_LIMIT], 4);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RIP], 5);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RSP], 6);
	assert_int_equal(fake_vmcs[VMCS_GUEST_RFLAGS], RFLAGS_FIXED); /* bit 1 cannot be 0 */
	assert_int_equal(fake_vmcs[VMCS_GUEST_DR7], 0x400);
	assert_int_equal(fake_vmcs[VMCS_GUEST_PAT], PAT_POWER_ON);
	for (size_t i = 0; i < ARRAY_SIZE(cleared); i++)
		assert_int_equal(fake_vmcs[cleared[i]], 0);
	assert_int_equal(vcrs, 1);
}

/* Where does an exit on each CPU come to? */
static void test_host(void **state)
{
	for (uint16_t cpu = 0; cpu < 2; cpu++) {
		(void)setup(state);
		fake_cpu = cpu;
		fake_msr_set(MSR_EFER, EFER_LME | EFER_LMA | EFER_NXE);
		fake_cr[0] = 0x80010033;
		fake_cr[3] = 0x5000;
		fake_cr[4] = 0x3426E0;
		vmcs_init(&vcpu);
		assert_int_equal(controls, 1);
		assert_int_equal(fake_vmcs[VMCS_HOST_RIP], (uintptr_t)vmx_exit_entry);
		/* sixteen pushes later the stack pointer is the vCPU */
		assert_int_equal(fake_vmcs[VMCS_HOST_RSP] - 16 * 8, (uintptr_t)&vcpu);
		assert_int_equal(fake_vmcs[VMCS_HOST_CR0], 0x80010033);
		assert_int_equal(fake_vmcs[VMCS_HOST_CR3], 0x5000);
		assert_int_equal(fake_vmcs[VMCS_HOST_CR4], 0x3426E0);
		assert_int_equal(fake_vmcs[VMCS_HOST_EFER], EFER_LME | EFER_LMA | EFER_NXE);
		assert_int_equal(fake_vmcs[VMCS_HOST_GS_BASE], (uintptr_t)this_pcpu());
		assert_int_equal(fake_vmcs[VMCS_HOST_TR_BASE], 0x1000U + cpu);
		assert_int_equal(fake_vmcs[VMCS_HOST_GDTR_BASE], 0x2000U + cpu);
		assert_int_equal(fake_vmcs[VMCS_HOST_IDTR_BASE], 0x3000);
		assert_int_equal(fake_vmcs[VMCS_HOST_CS_SEL], SEL_CODE);
		assert_int_equal(fake_vmcs[VMCS_HOST_TR_SEL], SEL_TSS);
		assert_int_equal(fake_vmcs[VMCS_HOST_PAT], PAT_POWER_ON);
		assert_int_equal(fake_msr_gp, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_guest, setup),
		cmocka_unit_test_setup(test_host, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
