// SPDX-License-Identifier: BSD-3-Clause
/*
 * APICv: which parts of a virtual local APIC the processor runs by itself (SDM 3C chapter 30), as
 * far as this machine has them: TPR shadow, APIC-access page or x2APIC virtualisation, register
 * virtualisation, virtual-interrupt delivery, posted interrupts.  Sets the VMCS controls for that
 * in the vCPU's reset hook and whenever the guest changes the mode of its APIC; the exits are in
 * apicv_exits.c.  One lock per VM guards who may use the x2APIC MSRs without an exit; it is
 * taken inside of nothing.
 */
#include "asm/msr.h"
#include "asm/vmx_insn.h"
#include "hv/caps.h"
#include "hv/ept.h"
#include "hv/irq.h"
#include "hv/mm.h"
#include "hv/vmcs.h"
#include "hv/vmsr.h"
#include "vapic.h"

struct apicv apicv;

/* The notification came when its vCPU was not in the guest. */
static void posted_in_root(uint8_t vector, void *arg)
{
	struct vcpu *vcpu = this_pcpu()->loaded;

	(void)vector;
	(void)arg;
	if (vcpu && vcpu->vlapic && atomic_test_bit(&vcpu->vlapic->pi.ctrl, PI_ON)) {
		vcpu_request(vcpu, REQ_EVENT);
	}
}

void apicv_boot(void)
{
	apicv.tpr_shadow = cap_has(CAP_TPR_SHADOW);
	apicv.apic_access = cap_has(CAP_APIC_ACCESS);
	apicv.x2apic = cap_has(CAP_X2APIC_VIRT);
	apicv.regs = cap_has(CAP_APIC_REGS);
	apicv.vid = cap_has(CAP_VINTR_DELIVERY);
	apicv.posted = cap_has(CAP_POSTED_INTR);
	if (apicv.posted) {
		irq_register(VECTOR_POSTED, posted_in_root, NULL);
	}
}

/* MSRs of registers that the processor reads from the page, or writes, in x2APIC mode. */
static void x2apic_msrs_open(struct vm *vm, bool open)
{
	static const struct {
		uint16_t first, last;
	} readable[] = {
		{0x802U, 0x803U}, {0x80DU, 0x80DU}, {0x80FU, 0x828U},
		{0x830U, 0x830U}, {0x832U, 0x838U}, {0x83EU, 0x83EU},
	};

	for (uint32_t i = 0; apicv.regs && i < ARRAY_SIZE(readable); i++) {
		for (uint32_t msr = readable[i].first; msr <= readable[i].last; msr++) {
			vmsr_intercept(vm, msr, !open, true);
		}
	}
	vmsr_intercept(vm, MSR_X2APIC_FIRST + APIC_TPR / 16U, !open, !open);
	if (apicv.vid) {
		vmsr_intercept(vm, MSR_X2APIC_FIRST + APIC_PPR / 16U, !open, true);
		vmsr_intercept(vm, MSR_X2APIC_FIRST + APIC_EOI / 16U, true, !open);
		vmsr_intercept(vm, MSR_X2APIC_FIRST + APIC_SELF_IPI / 16U, true, !open);
	}
}

/*
 * An MSR that does not exit is virtual only on a vCPU with x2APIC virtualisation on; on another one
 * the guest would reach the machine's own LAPIC. The bitmap is the VM's: so it opens when the last
 * vCPU that has run otherwise changes to x2APIC mode, and closes before one runs in another mode.
 */
static void count_others(struct vlapic *v)
{
	struct vapic_vm *vv = vapic_vm(v->vcpu->vm);
	bool other = v->mode != VLAPIC_X2APIC;

	if (!apicv.x2apic || other == v->counted) {
		return;
	}
	spin_lock(&vv->lock);
	v->counted = other;
	vv->others = other ? vv->others + 1U : vv->others - 1U;
	if (vv->open != (vv->others == 0U)) {
		vv->open = !vv->open;
		x2apic_msrs_open(v->vcpu->vm, vv->open);
	}
	spin_unlock(&vv->lock);
}

void apicv_vm_reset(struct vm *vm)
{
	struct vapic_vm *vv = vapic_vm(vm);

	spin_lock(&vv->lock);
	if (vv->open) {
		x2apic_msrs_open(vm, false);
	}
	vv->open = false;
	vv->others = 0U;
	spin_unlock(&vv->lock);
}

/* Controls that follow the APIC's mode; own CPU, VMCS loaded. */
void apicv_mode_changed(struct vlapic *v)
{
	uint32_t old = vmcs_read32(VMCS_PROC_CTRL2);
	uint32_t now = old & ~(PROC2_APIC_ACCESS | PROC2_X2APIC | PROC2_APIC_REGS);

	count_others(v);
	if (!apicv.tpr_shadow) {
		return;
	}
	/* What was requested and in service is gone with the registers. */
	if (apicv.vid && v->mode == VLAPIC_OFF) {
		vmcs_write(VMCS_GUEST_INTR_STATUS, 0U);
	}
	if (v->mode == VLAPIC_X2APIC && apicv.x2apic) {
		now |= PROC2_X2APIC | (apicv.regs ? PROC2_APIC_REGS : 0U);
	} else if (v->mode == VLAPIC_XAPIC && v->access_page) {
		now |= PROC2_APIC_ACCESS | (apicv.regs ? PROC2_APIC_REGS : 0U);
	}
	if (now != old) {
		vmcs_write(VMCS_PROC_CTRL2, now);
	}
}

/* The page whose accesses exit, or are virtual, must be mapped in EPT like memory. */
static bool map_access_page(struct vm *vm)
{
	struct vapic_vm *vv = vapic_vm(vm);
	hpa_t hpa;
	bool mapped;

	if (!apicv.apic_access || !vm->apic_page) {
		/* Every access must be an EPT violation. */
		if (ept_lookup(&vm->ept, GPA(APIC_DEFAULT_BASE), &hpa, NULL, NULL) == 0) {
			(void)ept_unmap(&vm->ept, GPA(APIC_DEFAULT_BASE), PAGE_SIZE);
			ept_flush(&vm->ept);
		}
		return false;
	}
	spin_lock(&vv->lock);
	mapped = ept_lookup(&vm->ept, GPA(APIC_DEFAULT_BASE), &hpa, NULL, NULL) == 0 &&
		 hpa.v == ptr_hpa(vm->apic_page).v;
	if (!mapped) {
		mapped = ept_map(&vm->ept, GPA(APIC_DEFAULT_BASE), ptr_hpa(vm->apic_page),
				 PAGE_SIZE, EPT_READ | EPT_WRITE | EPT_MT_WB) == 0;
	}
	spin_unlock(&vv->lock);
	return mapped;
}

void apicv_setup(struct vlapic *v)
{
	struct vcpu *vcpu = v->vcpu;

	(void)atomic_or64(&v->pi.ctrl, ((uint64_t)vcpu->pcpu->apic_id << PI_NDST_SHIFT) |
					       ((uint64_t)VECTOR_POSTED << PI_NV_SHIFT));
	v->tpr_threshold = 0U;
	v->access_page = map_access_page(vcpu->vm);
	if (!apicv.tpr_shadow) {
		vmcs_proc_ctrl(vcpu, PROC_CR8_LOAD_EXIT | PROC_CR8_STORE_EXIT, 0U);
		return;
	}
	vmcs_proc_ctrl(vcpu, PROC_TPR_SHADOW, PROC_CR8_LOAD_EXIT | PROC_CR8_STORE_EXIT);
	vmcs_write(VMCS_VIRTUAL_APIC, ptr_hpa(v->regs).v);
	vmcs_write(VMCS_TPR_THRESHOLD, 0U);
	if (v->access_page) {
		vmcs_write(VMCS_APIC_ACCESS, ptr_hpa(vcpu->vm->apic_page).v);
	}
	if (apicv.vid) {
		vmcs_write(VMCS_PROC_CTRL2, vmcs_read(VMCS_PROC_CTRL2) | PROC2_VINTR_DELIVERY);
		vmcs_write(VMCS_GUEST_INTR_STATUS, 0U);
		v->eoi_dirty = true;
		apicv_write_vmcs(v);
	}
	if (apicv.posted) {
		vmcs_write(VMCS_PIN_CTRL, vmcs_read(VMCS_PIN_CTRL) | PIN_POSTED_INTR);
		vmcs_write(VMCS_PI_VECTOR, VECTOR_POSTED);
		vmcs_write(VMCS_PI_DESC, ptr_hpa(&v->pi).v);
	}
	apicv_mode_changed(v);
}

/* RVI only rises here: what is below it the processor finds in IRR by itself. */
void apicv_write_rvi(struct vlapic *v)
{
	uint64_t status = vmcs_read(VMCS_GUEST_INTR_STATUS);

	if ((status & 0xFFU) < v->rvi) {
		vmcs_write(VMCS_GUEST_INTR_STATUS, (status & 0xFF00U) | v->rvi);
	}
	v->rvi = 0U;
}

void apicv_write_vmcs(struct vlapic *v)
{
	if (v->rvi != 0U) {
		apicv_write_rvi(v);
	}
	if (unlikely(v->eoi_dirty)) {
		for (uint32_t i = 0; i < 4U; i++) {
			vmcs_write(VMCS_EOI_EXIT0 + 2U * i, v->eoi_map[i]);
		}
		v->eoi_dirty = false;
	}
}

void apicv_set_svi(int vector)
{
	uint64_t svi = vector < 0 ? 0U : (uint64_t)vector;

	vmcs_write(VMCS_GUEST_INTR_STATUS,
		   (vmcs_read(VMCS_GUEST_INTR_STATUS) & 0xFFU) | (svi << 8));
}

/*
 * A running guest takes what is posted without an exit. It may leave the guest before the IPI
 * comes: to sleep, from which the wake here keeps it; to root mode with nobody else on the CPU,
 * where posted_in_root() sees what is posted; or for another vCPU, which eats the IPI, but then
 * what is posted is seen when this one is switched in (apicv_switched_in).
 */
void apicv_notify(struct vcpu *vcpu)
{
	sched_wake(&vcpu->thread);
	if (vcpu->thread.state == THREAD_RUNNING) {
		lapic_send_ipi(vcpu->pcpu->apic_id, VECTOR_POSTED);
	} else {
		vcpu_request(vcpu, REQ_EVENT);
	}
}

void apicv_switched_in(struct vcpu *vcpu)
{
	if (vcpu->vlapic && atomic_test_bit(&vcpu->vlapic->pi.ctrl, PI_ON)) {
		vcpu_request_self(vcpu, REQ_EVENT);
	}
}
