/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_CPUREGS_H
#define ASM_CPUREGS_H

/* Control registers, RFLAGS, EFER, XCR0 and exception vectors: SDM 3A 2.3-2.6, 6.3. */

#define CR0_PE (1UL << 0)
#define CR0_MP (1UL << 1)
#define CR0_EM (1UL << 2)
#define CR0_TS (1UL << 3)
#define CR0_ET (1UL << 4)
#define CR0_NE (1UL << 5)
#define CR0_WP (1UL << 16)
#define CR0_AM (1UL << 18)
#define CR0_NW (1UL << 29)
#define CR0_CD (1UL << 30)
#define CR0_PG (1UL << 31)

#define CR4_VME	       (1UL << 0)
#define CR4_PVI	       (1UL << 1)
#define CR4_TSD	       (1UL << 2)
#define CR4_DE	       (1UL << 3)
#define CR4_PSE	       (1UL << 4)
#define CR4_PAE	       (1UL << 5)
#define CR4_MCE	       (1UL << 6)
#define CR4_PGE	       (1UL << 7)
#define CR4_PCE	       (1UL << 8)
#define CR4_OSFXSR     (1UL << 9)
#define CR4_OSXMMEXCPT (1UL << 10)
#define CR4_UMIP       (1UL << 11)
#define CR4_LA57       (1UL << 12)
#define CR4_VMXE       (1UL << 13)
#define CR4_SMXE       (1UL << 14)
#define CR4_FSGSBASE   (1UL << 16)
#define CR4_PCIDE      (1UL << 17)
#define CR4_OSXSAVE    (1UL << 18)
#define CR4_KL	       (1UL << 19)
#define CR4_SMEP       (1UL << 20)
#define CR4_SMAP       (1UL << 21)
#define CR4_PKE	       (1UL << 22)
#define CR4_CET	       (1UL << 23)
#define CR4_PKS	       (1UL << 24)

#define RFLAGS_FIXED (1UL << 1)
#define RFLAGS_CF    (1UL << 0)
#define RFLAGS_PF    (1UL << 2)
#define RFLAGS_AF    (1UL << 4)
#define RFLAGS_ZF    (1UL << 6)
#define RFLAGS_SF    (1UL << 7)
#define RFLAGS_TF    (1UL << 8)
#define RFLAGS_IF    (1UL << 9)
#define RFLAGS_DF    (1UL << 10)
#define RFLAGS_OF    (1UL << 11)
#define RFLAGS_VM    (1UL << 17)
#define RFLAGS_AC    (1UL << 18)

#define EFER_SCE (1UL << 0)
#define EFER_LME (1UL << 8)
#define EFER_LMA (1UL << 10)
#define EFER_NXE (1UL << 11)

#define XCR0_X87 (1UL << 0)
#define XCR0_SSE (1UL << 1)
#define XCR0_AVX (1UL << 2)

#define EXC_DE 0U
#define EXC_DB 1U
#define EXC_NMI 2U
#define EXC_BP 3U
#define EXC_OF 4U
#define EXC_BR 5U
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
#define EXC_XM 19U

/* Page-fault error code, SDM 3A 4.7 */
#define PFEC_P	(1U << 0)
#define PFEC_W	(1U << 1)
#define PFEC_U	(1U << 2)
#define PFEC_RSVD (1U << 3)
#define PFEC_I	(1U << 4)

#endif
