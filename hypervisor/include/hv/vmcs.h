/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VMCS_H
#define HV_VMCS_H

#include "asm/vmx.h"
#include "asm/vmx_insn.h"
#include "hv/vcpu.h"

/* arch/x86/vmx/: everything that executes a VMX instruction. */

/* This CPU enters VMX operation. -ENODEV: locked off or not there. */
int vmx_enable_pcpu(void);
void vmx_disable_pcpu(void);

/* Make vcpu's VMCS current on this CPU / write it back and forget it. */
void vmcs_load(struct vcpu *vcpu);
void vmcs_clear(struct vcpu *vcpu);

/* Fill the loaded VMCS: controls, host state, and the guest state from vcpu->start. */
void vmcs_init(struct vcpu *vcpu);
void vmcs_guest_reset(struct vcpu *vcpu, const struct vcpu_start *start);

/* Revision number into a fresh VMCS page. */
void vmcs_prepare(struct vcpu *vcpu);

/* Once at boot: the VMX preemption timer guards time slices where the CPU has it. */
void vmcs_ctrl_boot(void);

/* entry.S: enter the guest from the vCPU's thread; exits come in through vmexit_handle(). */
void vmx_enter(struct vcpu *vcpu, bool started) __noreturn __attribute__((visibility("hidden")));

/* entry.S, when VMLAUNCH or VMRESUME itself failed: the VMCS is not what it should be. */
void vmx_entry_failed(struct vcpu *vcpu) __noreturn;

/* Flush guest-tagged translations of this CPU. */
void vmx_invvpid(uint16_t vpid);
void vmx_invept(uint64_t eptp);

/* Set or clear a primary control, writing the VMCS only when it changes. Own CPU. */
static inline void vmcs_proc_ctrl(struct vcpu *vcpu, uint32_t set, uint32_t clear)
{
	uint32_t v = (vcpu->proc_ctrl | set) & ~clear;

	if (v != vcpu->proc_ctrl) {
		vcpu->proc_ctrl = v;
		vmcs_write(VMCS_PROC_CTRL, v);
	}
}

#endif
