/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_MSR_H
#define ASM_MSR_H

/* Model-specific registers, SDM 4 chapter 2; the names are the manual's less "IA32_". */

#define MSR_TSC		      0x10U
#define MSR_PLATFORM_ID	      0x17U
#define MSR_APIC_BASE	      0x1BU
#define MSR_FEATURE_CONTROL   0x3AU
#define MSR_TSC_ADJUST	      0x3BU
#define MSR_SPEC_CTRL	      0x48U
#define MSR_PRED_CMD	      0x49U
#define MSR_BIOS_UPDT_TRIG    0x79U
#define MSR_BIOS_SIGN_ID      0x8BU
#define MSR_PLATFORM_INFO     0xCEU
#define MSR_UMWAIT_CONTROL    0xE1U
#define MSR_MTRRCAP	      0xFEU
#define MSR_ARCH_CAPABILITIES 0x10AU
#define MSR_FLUSH_CMD	      0x10BU
#define MSR_SYSENTER_CS	      0x174U
#define MSR_SYSENTER_EIP      0x176U
#define MSR_MCG_CAP	      0x179U
#define MSR_MCG_STATUS	      0x17AU
#define MSR_PERF_STATUS	      0x198U
#define MSR_PERF_CTL	      0x199U
#define MSR_THERM_STATUS      0x19CU
#define MSR_MISC_ENABLE	      0x1A0U
#define MSR_DEBUGCTL	      0x1D9U
#define MSR_MTRR_PHYSBASE0    0x200U
#define MSR_MTRR_FIX64K_00000 0x250U
#define MSR_MTRR_FIX16K_80000 0x258U
#define MSR_MTRR_FIX16K_A0000 0x259U
#define MSR_MTRR_FIX4K_C0000  0x268U
#define MSR_MTRR_FIX4K_F8000  0x26FU
#define MSR_PAT		      0x277U
#define MSR_MTRR_DEF_TYPE     0x2FFU
#define MSR_VMX_BASIC	      0x480U
#define MSR_VMX_PINBASED      0x481U
#define MSR_VMX_PROCBASED     0x482U
#define MSR_VMX_EXIT	      0x483U
#define MSR_VMX_ENTRY	      0x484U
#define MSR_VMX_MISC	      0x485U
#define MSR_VMX_CR0_FIXED0    0x486U
#define MSR_VMX_CR0_FIXED1    0x487U
#define MSR_VMX_CR4_FIXED0    0x488U
#define MSR_VMX_CR4_FIXED1    0x489U
#define MSR_VMX_PROCBASED2    0x48BU
#define MSR_VMX_EPT_VPID_CAP  0x48CU
#define MSR_VMX_TRUE_PINBASED 0x48DU
#define MSR_VMX_TRUE_PROCBASED 0x48EU
#define MSR_VMX_TRUE_EXIT     0x48FU
#define MSR_VMX_TRUE_ENTRY    0x490U
#define MSR_TSC_DEADLINE      0x6E0U
#define MSR_X2APIC_FIRST      0x800U /* xAPIC register offset / 16 added to this */
#define MSR_X2APIC_LAST	      0x8FFU
#define MSR_XSS		      0xDA0U
#define MSR_EFER	      0xC0000080U
#define MSR_STAR	      0xC0000081U
#define MSR_LSTAR	      0xC0000082U
#define MSR_CSTAR	      0xC0000083U
#define MSR_FMASK	      0xC0000084U
#define MSR_FS_BASE	      0xC0000100U
#define MSR_GS_BASE	      0xC0000101U
#define MSR_KERNEL_GS_BASE    0xC0000102U
#define MSR_TSC_AUX	      0xC0000103U

#define FEATURE_CONTROL_LOCK	    BIT(0)
#define FEATURE_CONTROL_VMX_NO_SMX  BIT(2)
#define APIC_BASE_BSP		    BIT(8)
#define APIC_BASE_X2APIC	    BIT(10)
#define APIC_BASE_ENABLE	    BIT(11)
#define PAT_POWER_ON		    0x0007040600070406UL

#endif
