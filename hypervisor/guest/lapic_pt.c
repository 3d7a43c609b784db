// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMs that own the local APICs of their processors. Such a vCPU is in x2APIC mode for life; timer,
 * EOI, TPR and IRR are the processor's own, and neither interrupts nor HLT nor PAUSE exit. Only
 * what names other processors exits: the ID, the LDR and the ICR. What is sent reaches vCPUs of
 * this VM or nobody: each destination is looked up among them, and fixed interrupts go out one by
 * one, to physical IDs; NMI, INIT and start-up are played. Hooks run on the vCPU's own CPU,
 * messages are sent from any; no lock.
 */
#include "asm/apic.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "asm/vmx_insn.h"
#include "config.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/unit.h"
#include "hv/vcpu.h"
#include "hv/vintr.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "hv/vmexit.h"
#include "hv/vmsr.h"
#include "lib/errno.h"

#define X2APIC(reg)   (MSR_X2APIC_FIRST + ((reg) >> 4))
#define X2APIC_END    X2APIC(APIC_SELF_IPI)
#define ICR_MASK      (0xFFU | 0x700U | APIC_ICR_LOGICAL | APIC_ICR_ASSERT | APIC_ICR_LEVEL | 0xC0000U)
#define BASE_OF(vcpu)                                                                              \
	(APIC_DEFAULT_BASE | APIC_BASE_ENABLE | APIC_BASE_X2APIC |                                 \
	 (((vcpu)->id == 0U) ? APIC_BASE_BSP : 0UL))

enum shorthand { SH_NONE, SH_SELF, SH_ALL, SH_OTHERS };

static const struct vintr_ops lapic_pt_ops;
static uint64_t icr[CONFIG_MAX_PCPU_NUM]; /* as the guest of each CPU wrote it; own CPU */

static bool is_ours(const struct vm *vm)
{
	return vm->vintr == &lapic_pt_ops;
}

/* As x2APIC mode derives it from the ID (SDM 3A 11.12.10.2). */
static uint32_t ldr_of(const struct vcpu *vcpu)
{
	return ((vcpu->apic_id & ~0xFU) << 12) | BIT32(vcpu->apic_id & 0xFU);
}

static bool is_meant(const struct vcpu *vcpu, const struct vintr_msg *msg)
{
	if (msg->dest == VINTR_DEST_ALL) {
		return true;
	}
	if (!msg->logical) {
		return msg->dest == vcpu->apic_id;
	}
	return (msg->dest >> 16) == (ldr_of(vcpu) >> 16) &&
	       (msg->dest & ldr_of(vcpu) & 0xFFFFU) != 0U;
}

static bool is_target(const struct vcpu *vcpu, const struct vcpu *sender, enum shorthand sh,
		      const struct vintr_msg *msg)
{
	switch (sh) {
	case SH_NONE:
		return is_meant(vcpu, msg);
	case SH_SELF:
		return vcpu == sender;
	case SH_ALL:
		return true;
	default:
		return vcpu != sender;
	}
}

/* A CPU that its vCPU has not started on takes the hypervisor's interrupts. */
static bool send_fixed(const struct vcpu *vcpu, uint8_t vector)
{
	bool ready = vcpu->state == VCPU_RUNNING && vcpu->pcpu->lapic_owned != 0U;

	if (ready) {
		lapic_send_ipi(vcpu->pcpu->apic_id, vector);
	}
	return ready;
}

/* SMI, ExtINT and the reserved mode do nothing. */
static bool accept(struct vcpu *vcpu, const struct vintr_msg *msg)
{
	switch (msg->mode) {
	case APIC_DM_FIXED:
	case APIC_DM_LOWEST:
		return send_fixed(vcpu, msg->vector);
	case APIC_DM_NMI:
		vcpu_inject_nmi(vcpu);
		break;
	case APIC_DM_INIT:
		vcpu_init_signal(vcpu);
		break;
	case APIC_DM_SIPI:
		vcpu_sipi(vcpu, msg->vector);
		break;
	default:
		break;
	}
	return true;
}

static void send(struct vm *vm, const struct vcpu *sender, enum shorthand sh,
		 const struct vintr_msg *msg)
{
	bool to_one = msg->redirect || msg->mode == APIC_DM_LOWEST;

	for (uint16_t i = 0U; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (vcpu != NULL && is_target(vcpu, sender, sh, msg) && accept(vcpu, msg) &&
		    to_one) {
			break;
		}
	}
}

static void deliver(struct vm *vm, const struct vintr_msg *msg)
{
	send(vm, NULL, SH_NONE, msg);
}

static void post(struct vcpu *vcpu, uint8_t vector)
{
	(void)send_fixed(vcpu, vector);
}

static int icr_write(struct vcpu *vcpu, uint64_t val)
{
	uint32_t lo = (uint32_t)val;
	enum shorthand sh = (enum shorthand)((lo >> APIC_ICR_SH_SHIFT) & 3U);
	const struct vintr_msg msg = {
		.dest = (uint32_t)(val >> 32),
		.logical = (lo & APIC_ICR_LOGICAL) != 0U,
		.mode = (uint8_t)((lo >> 8) & 7U),
		.vector = (uint8_t)lo,
	};

	if ((lo & ~ICR_MASK) != 0U) {
		return -EINVAL;
	}
	icr[vcpu->pcpu->id] = val;
	if (msg.mode <= APIC_DM_LOWEST && msg.vector < 16U) {
		lapic_send_ipi(vcpu->pcpu->apic_id, msg.vector); /* its APIC notes the error */
		return 0;
	}
	/* The level de-assert form of INIT does nothing. */
	if (msg.mode == APIC_DM_INIT && (lo & (APIC_ICR_LEVEL | APIC_ICR_ASSERT)) == APIC_ICR_LEVEL) {
		return 0;
	}
	/* Self, and "all" with self in it: fixed interrupts only (SDM 3A table 11-3). */
	if ((sh == SH_SELF || sh == SH_ALL) && msg.mode != APIC_DM_FIXED) {
		return 0;
	}
	send(vcpu->vm, vcpu, sh, &msg);
	return 0;
}

static int read_msr(struct vcpu *vcpu, uint32_t msr, uint64_t *val)
{
	switch (msr) {
	case MSR_APIC_BASE:
		*val = BASE_OF(vcpu);
		return 0;
	case MSR_TSC_DEADLINE:
		*val = msr_read(MSR_TSC_DEADLINE);
		*val += (*val != 0U) ? vcpu->tsc_offset : 0U;
		return 0;
	case X2APIC(APIC_ID):
		*val = vcpu->apic_id;
		return 0;
	case X2APIC(APIC_LDR):
		*val = ldr_of(vcpu);
		return 0;
	case X2APIC(APIC_ICR_LO):
		*val = icr[vcpu->pcpu->id];
		return 0;
	default:
		return -EINVAL;
	}
}

static int write_msr(struct vcpu *vcpu, uint32_t msr, uint64_t val)
{
	switch (msr) {
	case MSR_APIC_BASE:
		if (val != BASE_OF(vcpu)) {
			pr_warn("%s: vCPU %u wants to leave x2APIC mode, which an owner of its local "
				"APIC cannot: #GP",
				vcpu->vm->name, vcpu->id);
			return -EINVAL;
		}
		return 0;
	case MSR_TSC_DEADLINE:
		msr_write(MSR_TSC_DEADLINE, (val != 0U) ? val - vcpu->tsc_offset : 0U);
		return 0;
	case X2APIC(APIC_ICR_LO):
		return icr_write(vcpu, val);
	default:
		return -EINVAL;
	}
}

/* The APIC compares with the processor's TSC: from now on a deadline is translated, at an exit. */
static void tsc_moved(struct vcpu *vcpu)
{
	vmsr_intercept(vcpu->vm, MSR_TSC_DEADLINE, true, true);
}

/* HLT does not exit, so the hypervisor never waits for an interrupt. */
static bool pending(struct vcpu *vcpu)
{
	(void)vcpu;
	return true;
}

static void inject(struct vcpu *vcpu)
{
	(void)vcpu;
}

static const struct vintr_ops lapic_pt_ops = {
	.inject = inject,
	.pending = pending,
	.deliver = deliver,
	.post = post,
	.read_msr = read_msr,
	.write_msr = write_msr,
	.tsc_moved = tsc_moved,
};

static void pass_msrs(struct vm *vm)
{
	for (uint32_t msr = MSR_X2APIC_FIRST; msr <= X2APIC_END; msr++) {
		bool named = msr == X2APIC(APIC_ID) || msr == X2APIC(APIC_LDR) ||
			     msr == X2APIC(APIC_ICR_LO);

		vmsr_intercept(vm, msr, named, named);
	}
	vmsr_intercept(vm, MSR_TSC_DEADLINE, false, false);
}

static int lapic_pt_vm_init(struct vm *vm)
{
	if ((vm->flags & GUEST_FLAG_LAPIC_PASSTHROUGH) == 0U) {
		return 0;
	}
	if (!lapic_is_x2apic()) {
		pr_err("%s: its processors have no x2APIC mode, so it cannot own their local APICs",
		       vm->name);
		return -ENODEV;
	}
	vm->vintr = &lapic_pt_ops;
	pass_msrs(vm);
	return 0;
}

static void lapic_pt_vm_reset(struct vm *vm)
{
	if (is_ours(vm)) {
		pass_msrs(vm); /* its TSCs are the processors' again */
	}
}

static void lapic_pt_vcpu_reset(struct vcpu *vcpu)
{
	if (!is_ours(vcpu->vm)) {
		return;
	}
	lapic_give();
	icr[vcpu->pcpu->id] = 0U;
	vmcs_write(VMCS_PIN_CTRL, vmcs_read32(VMCS_PIN_CTRL) & ~PIN_EXTINT_EXIT);
	vmcs_write(VMCS_EXIT_CTRL, vmcs_read32(VMCS_EXIT_CTRL) & ~VMEXIT_ACK_INTR);
	vmcs_proc_ctrl(vcpu, 0U,
		       PROC_HLT_EXIT | PROC_PAUSE_EXIT | PROC_CR8_LOAD_EXIT | PROC_CR8_STORE_EXIT);
}

static void lapic_pt_vcpu_deinit(struct vcpu *vcpu)
{
	if (is_ours(vcpu->vm) && this_pcpu()->lapic_owned != 0U) {
		lapic_take_back();
		timer_run();
	}
}

/* A kick: the exit itself is what it is for. */
static void init_exit(struct vcpu *vcpu)
{
	(void)vcpu;
	smp_call_serve();
}

UNIT(lapic_pt) = {
	.name = "lapic_pt",
	.level = UNIT_INTR - 1U, /* who has no role yet at UNIT_INTR gets a virtual APIC */
	.vm_init = lapic_pt_vm_init,
	.vm_reset = lapic_pt_vm_reset,
	.vcpu_reset = lapic_pt_vcpu_reset,
	.vcpu_deinit = lapic_pt_vcpu_deinit,
};
VMEXIT(EXIT_INIT, init_exit);
