/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_CPUREGS_H
#define ASM_CPUREGS_H

/* Control registers, RFLAGS, EFER, XCR0 and exception vectors: SDM 3A 2.3-2.6, 6.3. */

#define CR0_PE BIT(0)
#define CR0_MP BIT(1)
#define CR0_EM BIT(2)
#define CR0_TS BIT(3)
#define CR0_ET BIT(4)
#define CR0_NE BIT(5)
#define CR0_WP BIT(16)
#define CR0_AM BIT(18)
#define CR0_NW BIT(29)
#define CR0_CD BIT(30)
#define CR0_PG BIT(31)

#define CR4_VME	       BIT(0)
#define CR4_PVI	       BIT(1)
#define CR4_TSD	       BIT(2)
#define CR4_DE	       BIT(3)
#define CR4_PSE	       BIT(4)
#define CR4_PAE	       BIT(5)
#define CR4_MCE	       BIT(6)
#define CR4_PGE	       BIT(7)
#define CR4_PCE	       BIT(8)
#define CR4_OSFXSR     BIT(9)
#define CR4_OSXMMEXCPT BIT(10)
#define CR4_UMIP       BIT(11)
#define CR4_LA57       BIT(12)
#define CR4_VMXE       BIT(13)
#define CR4_SMXE       BIT(14)
#define CR4_FSGSBASE   BIT(16)
#define CR4_PCIDE      BIT(17)
#define CR4_OSXSAVE    BIT(18)
#define CR4_KL	       BIT(19)
#define CR4_SMEP       BIT(20)
#define CR4_SMAP       BIT(21)
#define CR4_PKE	       BIT(22)
#define CR4_CET	       BIT(23)
#define CR4_PKS	       BIT(24)

#define RFLAGS_FIXED BIT(1)
#define RFLAGS_CF    BIT(0)
#define RFLAGS_PF    BIT(2)
#define RFLAGS_AF    BIT(4)
#define RFLAGS_ZF    BIT(6)
#define RFLAGS_SF    BIT(7)
#define RFLAGS_TF    BIT(8)
#define RFLAGS_IF    BIT(9)
#define RFLAGS_DF    BIT(10)
#define RFLAGS_OF    BIT(11)
#define RFLAGS_RF    BIT(16)
#define RFLAGS_VM    BIT(17)
#define RFLAGS_AC    BIT(18)

/* In IA32_DEBUGCTL: single-stepping stops after branches only. */
#define DEBUGCTL_BTF BIT(1)

#define EFER_SCE BIT(0)
#define EFER_LME BIT(8)
#define EFER_LMA BIT(10)
#define EFER_NXE BIT(11)

#define XCR0_X87 BIT(0)
#define XCR0_SSE BIT(1)
#define XCR0_AVX BIT(2)

#define EXC_DE 0U
#define EXC_DB 1U
#define EXC_NMI 2U
#define EXC_BP 3U
#define EXC_OF 4U
#define EXC_UD 6U
#define EXC_NM 7U
#define EXC_DF 8U
#define EXC_TS 10U
#define EXC_NP 11U
#define EXC_SS 12U
#define EXC_GP 13U
#define EXC_PF 14U
#define EXC_MF 16U
#define EXC_AC 17U
#define EXC_MC 18U

/* Page-fault error code, SDM 3A 4.7 */
#define PFEC_P	  BIT32(0)
#define PFEC_W	  BIT32(1)
#define PFEC_U	  BIT32(2)
#define PFEC_RSVD BIT32(3)
#define PFEC_I	  BIT32(4)

#endif
