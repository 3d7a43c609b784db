// SPDX-License-Identifier: BSD-3-Clause
/*
 * VMX operation of a CPU, and the instructions on translations and on whole VMCSs. Called on the
 * CPU concerned with interrupts off: at its start, at a switch of vCPUs, at an EPT change. No lock.
 */
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/caps.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/vm.h"
#include "hv/vmcs.h"
#include "lib/errno.h"

#define INVEPT_SINGLE  1UL
#define INVEPT_ALL     2UL
#define INVVPID_SINGLE 1UL
#define INVVPID_ALL    2UL

/* These three fail by CF or ZF. */
static bool vmxon_fails(uint64_t pa)
{
	bool failed;

	__asm__ volatile("vmxon %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return failed;
}

static bool vmptrld_fails(uint64_t pa)
{
	bool failed;

	__asm__ volatile("vmptrld %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return failed;
}

static bool vmclear_fails(uint64_t pa)
{
	bool failed;

	__asm__ volatile("vmclear %1" : "=@ccbe"(failed) : "m"(pa) : "memory");
	return failed;
}

static void write_revision(hpa_t region)
{
	*(uint32_t *)hpa_ptr(region) = (uint32_t)msr_read(MSR_VMX_BASIC) & 0x7FFFFFFFU;
}

int vmx_enable_pcpu(void)
{
	struct pcpu *p = this_pcpu();
	uint64_t fc = msr_read(MSR_FEATURE_CONTROL);

	if ((fc & FEATURE_CONTROL_LOCK) == 0U) {
		msr_write(MSR_FEATURE_CONTROL,
			  fc | FEATURE_CONTROL_LOCK | FEATURE_CONTROL_VMX_NO_SMX);
	} else if ((fc & FEATURE_CONTROL_VMX_NO_SMX) == 0U) {
		return -ENODEV;
	}
	write_cr0((read_cr0() | msr_read(MSR_VMX_CR0_FIXED0)) & msr_read(MSR_VMX_CR0_FIXED1));
	write_cr4((read_cr4() | CR4_VMXE | msr_read(MSR_VMX_CR4_FIXED0)) &
		  msr_read(MSR_VMX_CR4_FIXED1));
	write_revision(p->vmxon_hpa);
	if (vmxon_fails(p->vmxon_hpa.v)) {
		return -ENODEV;
	}
	vmx_invept(0U);
	return 0;
}

void vmx_disable_pcpu(void)
{
	__asm__ volatile("vmxoff" ::: "cc", "memory");
	write_cr4(read_cr4() & ~CR4_VMXE);
}

void vmcs_prepare(struct vcpu *vcpu)
{
	write_revision(vcpu->vmcs_hpa);
}

void vmcs_load(struct vcpu *vcpu)
{
	if (vmptrld_fails(vcpu->vmcs_hpa.v)) {
		panic("VMPTRLD of vCPU %u of VM %u failed", vcpu->id, vcpu->vm->id);
	}
}

void vmcs_clear(struct vcpu *vcpu)
{
	if (vmclear_fails(vcpu->vmcs_hpa.v)) {
		panic("VMCLEAR of vCPU %u of VM %u failed", vcpu->id, vcpu->vm->id);
	}
	vcpu->started = false;
}

void vmx_invept(uint64_t eptp)
{
	struct {
		uint64_t eptp, reserved;
	} desc = {.eptp = eptp};
	uint64_t cap = msr_read(MSR_VMX_EPT_VPID_CAP);
	uint64_t type = (eptp != 0U && (cap & EPT_CAP_INVEPT_SINGLE) != 0U) ? INVEPT_SINGLE :
									      INVEPT_ALL;

	__asm__ volatile("invept %0, %1" ::"m"(desc), "r"(type) : "cc", "memory");
}

void vmx_invvpid(uint16_t vpid)
{
	struct {
		uint64_t vpid, addr;
	} desc = {.vpid = vpid};
	uint64_t cap;
	uint64_t type;

	if (!cap_has(CAP_VPID)) {
		return; /* every entry and exit flushes */
	}
	cap = msr_read(MSR_VMX_EPT_VPID_CAP);
	type = ((cap & VPID_CAP_INVVPID_SINGLE) != 0U) ? INVVPID_SINGLE : INVVPID_ALL;
	__asm__ volatile("invvpid %0, %1" ::"m"(desc), "r"(type) : "cc", "memory");
}
