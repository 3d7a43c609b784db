// SPDX-License-Identifier: BSD-3-Clause
/*
 * The guest half of a VMCS at a start: power-on, start-up IPI, or what the device model set. Own
 * CPU, VMCS loaded, no lock. Control registers and EFER are vcr.c's, because their masks and
 * shadows belong to them.
 */
#include "asm/cpuregs.h"
#include "asm/msr.h"
#include "hv/vcr.h"
#include "hv/vmcs.h"
#include "vmcs_parts.h"

void vmcs_init(struct vcpu *vcpu)
{
	vmcs_init_controls(vcpu);
	vmcs_init_host(vcpu);
}

void vmcs_guest_reset(struct vcpu *vcpu, const struct vcpu_start *s)
{
	for (uint32_t i = 0U; i < 8U; i++) {
		vmcs_write(VMCS_GUEST_ES_SEL + 2U * i, s->seg[i].sel);
		vmcs_write(VMCS_GUEST_ES_BASE + 2U * i, s->seg[i].base);
		vmcs_write(VMCS_GUEST_ES_LIMIT + 2U * i, s->seg[i].limit);
		vmcs_write(VMCS_GUEST_ES_AR + 2U * i, s->seg[i].ar);
	}
	vmcs_write(VMCS_GUEST_GDTR_BASE, s->gdt_base);
	vmcs_write(VMCS_GUEST_GDTR_LIMIT, s->gdt_limit);
	vmcs_write(VMCS_GUEST_IDTR_BASE, s->idt_base);
	vmcs_write(VMCS_GUEST_IDTR_LIMIT, s->idt_limit);
	vmcs_write(VMCS_GUEST_RIP, s->rip);
	vmcs_write(VMCS_GUEST_RSP, s->gpr[GPR_RSP]);
	vmcs_write(VMCS_GUEST_RFLAGS, s->rflags | RFLAGS_FIXED);
	vmcs_write(VMCS_GUEST_DR7, 0x400U);
	vmcs_write(VMCS_GUEST_DEBUGCTL, 0U);
	vmcs_write(VMCS_GUEST_PAT, PAT_POWER_ON);
	vmcs_write(VMCS_GUEST_SYSENTER_CS, 0U);
	vmcs_write(VMCS_GUEST_SYSENTER_ESP, 0U);
	vmcs_write(VMCS_GUEST_SYSENTER_EIP, 0U);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, 0U);
	vmcs_write(VMCS_GUEST_ACTIVITY, 0U);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0U);
	vmcs_write(VMCS_ENTRY_INTR_INFO, 0U);
	vcr_reset(vcpu, s);
}
