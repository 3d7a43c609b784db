// SPDX-License-Identifier: BSD-3-Clause
/*
 * The exits that come from APICv (SDM 3C 30.1-30.4): accesses to the APIC's page that the processor
 * does not serve, writes it has done and the hypervisor must see through, ends of level-triggered
 * interrupts, a TPR that fell.  On the vCPU's own CPU; takes no lock.
 */
#include "asm/vmx_insn.h"
#include "hv/inst.h"
#include "hv/log.h"
#include "hv/vioapic.h"
#include "hv/vmexit.h"
#include "vapic.h"

/* Exit qualification of an APIC access, SDM 3C table 28-6. */
#define ACCESS_OFFSET(q) ((q)&0xFFFU)
#define ACCESS_TYPE(q)	 (((q) >> 12) & 0xFU)
#define ACCESS_READ	 0U
#define ACCESS_WRITE	 1U
#define ACCESS_FETCH	 2U

static void apic_access_exit(struct vcpu *vcpu)
{
	uint64_t qual = vmcs_read(VMCS_EXIT_QUALIFICATION);
	uint32_t type = ACCESS_TYPE(qual);

	if (likely(type == ACCESS_READ || type == ACCESS_WRITE)) {
		inst_emulate(vcpu, GPA(APIC_DEFAULT_BASE + ACCESS_OFFSET(qual)),
			     type == ACCESS_WRITE);
		return;
	}
	pr_warn("VM%u vCPU%u: its APIC page as code, stack or table (access type %u)", vcpu->vm->id,
		vcpu->id, type);
	if (type == ACCESS_FETCH) {
		vcpu_inject_gp(vcpu);
	} else { /* an event could not be delivered, and the fault for that could not either */
		vcpu->vm->on_triple_fault(vcpu);
	}
}

/* Trap-like: the page has the value already and RIP is behind the instruction. */
static void apic_write_exit(struct vcpu *vcpu)
{
	uint32_t offset = (uint32_t)vmcs_read(VMCS_EXIT_QUALIFICATION) & 0xFF0U;

	(void)vlapic_write(vcpu, offset, vlapic_reg(vcpu->vlapic, offset));
}

/* Trap-like: the processor has done the EOI itself, the vIOAPIC has not seen it. */
static void virtual_eoi_exit(struct vcpu *vcpu)
{
	vioapic_eoi(vcpu->vm, (uint8_t)vmcs_read(VMCS_EXIT_QUALIFICATION));
}

/* Trap-like: the guest's TPR fell, a waiting interrupt may go. */
static void tpr_threshold_exit(struct vcpu *vcpu)
{
	vcpu_request_self(vcpu, REQ_EVENT);
}

VMEXIT(EXIT_APIC_ACCESS, apic_access_exit);
VMEXIT(EXIT_APIC_WRITE, apic_write_exit);
VMEXIT(EXIT_VIRTUAL_EOI, virtual_eoi_exit);
VMEXIT(EXIT_TPR_THRESHOLD, tpr_threshold_exit);
