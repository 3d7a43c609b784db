// SPDX-License-Identifier: BSD-3-Clause
/*
 * The host half of a VMCS: what the CPU loads at every exit. All of it is constant for the life of
 * a vCPU, since a vCPU never leaves its pCPU; the stack pointer is the end of the vCPU's register
 * area, so that entry.S saves the guest's registers by pushing them. Own CPU, VMCS loaded, no lock.
 */
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/cpu.h"
#include "hv/pcpu.h"
#include "hv/vmcs.h"
#include "vmcs_parts.h"

extern const uint8_t vmx_exit_entry[] __attribute__((visibility("hidden"))); /* entry.S */

void vmcs_init_host(struct vcpu *vcpu)
{
	const struct pcpu *p = this_pcpu();

	vmcs_write(VMCS_HOST_CR0, read_cr0());
	vmcs_write(VMCS_HOST_CR3, read_cr3());
	vmcs_write(VMCS_HOST_CR4, read_cr4());
	vmcs_write(VMCS_HOST_EFER, msr_read(MSR_EFER));
	vmcs_write(VMCS_HOST_PAT, PAT_POWER_ON);
	vmcs_write(VMCS_HOST_CS_SEL, SEL_CODE);
	vmcs_write(VMCS_HOST_SS_SEL, SEL_DATA);
	vmcs_write(VMCS_HOST_DS_SEL, SEL_DATA);
	vmcs_write(VMCS_HOST_ES_SEL, SEL_DATA);
	vmcs_write(VMCS_HOST_FS_SEL, 0U);
	vmcs_write(VMCS_HOST_GS_SEL, 0U);
	vmcs_write(VMCS_HOST_TR_SEL, SEL_TSS);
	vmcs_write(VMCS_HOST_FS_BASE, 0U);
	vmcs_write(VMCS_HOST_GS_BASE, (uintptr_t)p);
	vmcs_write(VMCS_HOST_TR_BASE, cpu_tss_base(p));
	vmcs_write(VMCS_HOST_GDTR_BASE, cpu_gdt_base(p));
	vmcs_write(VMCS_HOST_IDTR_BASE, cpu_idt_base());
	vmcs_write(VMCS_HOST_SYSENTER_CS, 0U);
	vmcs_write(VMCS_HOST_SYSENTER_ESP, 0U);
	vmcs_write(VMCS_HOST_SYSENTER_EIP, 0U);
	vmcs_write(VMCS_HOST_RSP, (uintptr_t)&vcpu->gpr[GPR_COUNT]);
	vmcs_write(VMCS_HOST_RIP, (uintptr_t)vmx_exit_entry);
}
