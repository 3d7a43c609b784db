// SPDX-License-Identifier: BSD-3-Clause
/*
 * The way of a virtual interrupt into the guest, on the vCPU's CPU before VM entry.  With
 * virtual-interrupt delivery the processor does it and only needs to be told the highest request;
 * without, the highest vector above the processor priority is injected as the entry's event, if the
 * guest can take one now, or else the interrupt window or the TPR threshold makes it exit when it
 * can.  An interrupt of the vPIC (ExtINT) goes by injection in both cases.  Takes no lock itself.
 */
#include "asm/cpuregs.h"
#include "asm/vmx_insn.h"
#include "hv/trace.h"
#include "hv/vmexit.h"
#include "hv/vmcs.h"
#include "vapic.h"

/*
 * The way of the vPIC's output to this vCPU: LINT0 of the boot CPU in virtual wire mode, or past
 * its switched-off LAPIC, or an ExtINT message of the vIOAPIC.
 */
static bool extint_reaches(const struct vlapic *v)
{
	if (v->extint_msg != 0U) {
		return true;
	}
	if (!vlapic_is_bsp(v)) {
		return false;
	}
	return v->mode == VLAPIC_OFF || (vlapic_reg(v, APIC_LVT_LINT0) &
					 (APIC_LVT_MASKED | APIC_LVT_DM_MASK)) == APIC_DM(EXTINT);
}

static inline bool extint_pending(const struct vlapic *v)
{
	return unlikely(v->vcpu->vm->vpic->output) && extint_reaches(v);
}

/* The guest can take an interrupt with the coming entry, and nothing else is to be injected. */
static bool can_inject(void)
{
	return (vmcs_read(VMCS_GUEST_RFLAGS) & RFLAGS_IF) != 0U &&
	       (vmcs_read32(VMCS_GUEST_INTERRUPTIBILITY) & (BLOCK_BY_STI | BLOCK_BY_MOV_SS)) ==
		       0U &&
	       (vmcs_read32(VMCS_ENTRY_INTR_INFO) & INTR_INFO_VALID) == 0U;
}

static void inject_vector(uint8_t vector)
{
	trace(TRACE_INJECT, vector, 0U);
	vmcs_write(VMCS_ENTRY_INTR_INFO, INTR_INFO_VALID | INTR_TYPE(EXTERNAL) | vector);
}

/* Only the TPR keeps `irr` back: have an exit when it falls below that class. */
static void set_tpr_threshold(struct vlapic *v, int irr)
{
	uint32_t tpr = vlapic_reg(v, APIC_TPR) >> 4, threshold = 0;

	if (irr >= 0 && ((uint32_t)irr >> 4) <= tpr) {
		threshold = (uint32_t)irr >> 4;
	}
	if (unlikely(threshold != v->tpr_threshold)) {
		vmcs_write(VMCS_TPR_THRESHOLD, threshold);
		v->tpr_threshold = (uint8_t)threshold;
	}
}

/* Inject the vPIC's interrupt, else `vector` (-1: none); true: something has to wait. */
static bool inject_one(struct vlapic *v, bool extint, int vector)
{
	if (!can_inject()) {
		return true;
	}
	if (unlikely(extint)) {
		atomic_set32(&v->extint_msg, 0U);
		inject_vector(vpic_ack(v->vcpu->vm));
		return vector >= 0 || extint_pending(v);
	}
	vlapic_irr_to_isr(v, (uint8_t)vector);
	inject_vector((uint8_t)vector);
	return false;
}

static __noinline void inject_by_event(struct vlapic *v, bool extint)
{
	bool more = false;
	int vector = -1;

	if (apicv.vid) {
		apicv_write_vmcs(v);
	} else {
		int irr = vlapic_irr_top(v);

		vector = vlapic_deliverable(v, irr);
		if (apicv.tpr_shadow) {
			set_tpr_threshold(v, irr);
		}
	}
	if (extint || vector >= 0) {
		more = inject_one(v, extint, vector);
	}
	vmcs_proc_ctrl(v->vcpu, more ? PROC_INTR_WINDOW : 0U, more ? 0U : PROC_INTR_WINDOW);
}

void vapic_inject(struct vcpu *vcpu)
{
	struct vlapic *v = vcpu->vlapic;
	bool extint = extint_pending(v);

	vlapic_irr_sync(v);
	if (apicv.vid && v->rvi != 0U) {
		trace(TRACE_INJECT, v->rvi, 0U);
	}
	if (likely(apicv.vid && !extint)) {
		apicv_write_vmcs(v);
		vmcs_proc_ctrl(vcpu, 0U, PROC_INTR_WINDOW);
	} else {
		inject_by_event(v, extint);
	}
}

bool vapic_pending(struct vcpu *vcpu)
{
	struct vlapic *v = vcpu->vlapic;

	vlapic_irr_sync(v);
	return vlapic_deliverable(v, vlapic_irr_top(v)) >= 0 || extint_pending(v);
}

static void intr_window_exit(struct vcpu *vcpu)
{
	vmcs_proc_ctrl(vcpu, 0U, PROC_INTR_WINDOW);
	vcpu_request_self(vcpu, REQ_EVENT);
}

VMEXIT(EXIT_INTR_WINDOW, intr_window_exit);
