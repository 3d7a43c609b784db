/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_VMX_H
#define ASM_VMX_H

/* VMCS field encodings (SDM 3D appendix B), exit reasons (appendix C), control bits (3C 25.6-8). */

/* 16-bit */
#define VMCS_VPID		 0x0000U
#define VMCS_PI_VECTOR		 0x0002U
#define VMCS_GUEST_ES_SEL	 0x0800U /* ES CS SS DS FS GS LDTR TR, 2 apart */
#define VMCS_GUEST_CS_SEL	 0x0802U
#define VMCS_GUEST_SS_SEL	 0x0804U
#define VMCS_GUEST_DS_SEL	 0x0806U
#define VMCS_GUEST_FS_SEL	 0x0808U
#define VMCS_GUEST_GS_SEL	 0x080AU
#define VMCS_GUEST_LDTR_SEL	 0x080CU
#define VMCS_GUEST_TR_SEL	 0x080EU
#define VMCS_GUEST_INTR_STATUS	 0x0810U /* RVI low byte, SVI high byte */
#define VMCS_HOST_ES_SEL	 0x0C00U
#define VMCS_HOST_CS_SEL	 0x0C02U
#define VMCS_HOST_SS_SEL	 0x0C04U
#define VMCS_HOST_DS_SEL	 0x0C06U
#define VMCS_HOST_FS_SEL	 0x0C08U
#define VMCS_HOST_GS_SEL	 0x0C0AU
#define VMCS_HOST_TR_SEL	 0x0C0CU
/* 64-bit */
#define VMCS_IO_BITMAP_A	 0x2000U
#define VMCS_IO_BITMAP_B	 0x2002U
#define VMCS_MSR_BITMAP		 0x2004U
#define VMCS_EXIT_MSR_STORE	 0x2006U
#define VMCS_EXIT_MSR_LOAD	 0x2008U
#define VMCS_ENTRY_MSR_LOAD	 0x200AU
#define VMCS_TSC_OFFSET		 0x2010U
#define VMCS_VIRTUAL_APIC	 0x2012U
#define VMCS_APIC_ACCESS	 0x2014U
#define VMCS_PI_DESC		 0x2016U
#define VMCS_EPTP		 0x201AU
#define VMCS_EOI_EXIT0		 0x201CU /* 4 of them, 2 apart */
#define VMCS_XSS_EXIT_BITMAP	 0x202CU
#define VMCS_TSC_MULTIPLIER	 0x2032U
#define VMCS_GUEST_PHYS_ADDR	 0x2400U
#define VMCS_LINK_POINTER	 0x2800U
#define VMCS_GUEST_DEBUGCTL	 0x2802U
#define VMCS_GUEST_PAT		 0x2804U
#define VMCS_GUEST_EFER		 0x2806U
#define VMCS_GUEST_PDPTE0	 0x280AU /* 4 of them, 2 apart */
#define VMCS_HOST_PAT		 0x2C00U
#define VMCS_HOST_EFER		 0x2C02U
/* 32-bit */
#define VMCS_PIN_CTRL		 0x4000U
#define VMCS_PROC_CTRL		 0x4002U
#define VMCS_EXCEPTION_BITMAP	 0x4004U
#define VMCS_PF_ERROR_MASK	 0x4006U
#define VMCS_PF_ERROR_MATCH	 0x4008U
#define VMCS_CR3_TARGET_COUNT	 0x400AU
#define VMCS_EXIT_CTRL		 0x400CU
#define VMCS_EXIT_MSR_STORE_COUNT 0x400EU
#define VMCS_EXIT_MSR_LOAD_COUNT 0x4010U
#define VMCS_ENTRY_CTRL		 0x4012U
#define VMCS_ENTRY_MSR_LOAD_COUNT 0x4014U
#define VMCS_ENTRY_INTR_INFO	 0x4016U
#define VMCS_ENTRY_ERROR_CODE	 0x4018U
#define VMCS_ENTRY_INSN_LEN	 0x401AU
#define VMCS_TPR_THRESHOLD	 0x401CU
#define VMCS_PROC_CTRL2		 0x401EU
#define VMCS_PLE_GAP		 0x4020U
#define VMCS_PLE_WINDOW		 0x4022U
#define VMCS_INSN_ERROR		 0x4400U
#define VMCS_EXIT_REASON	 0x4402U
#define VMCS_EXIT_INTR_INFO	 0x4404U
#define VMCS_EXIT_ERROR_CODE	 0x4406U
#define VMCS_IDT_VECTORING_INFO	 0x4408U
#define VMCS_IDT_VECTORING_ERROR 0x440AU
#define VMCS_EXIT_INSN_LEN	 0x440CU
#define VMCS_EXIT_INSN_INFO	 0x440EU
#define VMCS_GUEST_ES_LIMIT	 0x4800U /* ES CS SS DS FS GS LDTR TR GDTR IDTR, 2 apart */
#define VMCS_GUEST_GDTR_LIMIT	 0x4810U
#define VMCS_GUEST_IDTR_LIMIT	 0x4812U
#define VMCS_GUEST_ES_AR	 0x4814U /* ES CS SS DS FS GS LDTR TR, 2 apart */
#define VMCS_GUEST_CS_AR	 0x4816U
#define VMCS_GUEST_SS_AR	 0x4818U
#define VMCS_GUEST_INTERRUPTIBILITY 0x4824U
#define VMCS_GUEST_ACTIVITY	 0x4826U
#define VMCS_GUEST_SYSENTER_CS	 0x482AU
#define VMCS_PREEMPTION_TIMER	 0x482EU
#define VMCS_HOST_SYSENTER_CS	 0x4C00U
/* natural width */
#define VMCS_CR0_MASK		 0x6000U
#define VMCS_CR4_MASK		 0x6002U
#define VMCS_CR0_SHADOW		 0x6004U
#define VMCS_CR4_SHADOW		 0x6006U
#define VMCS_EXIT_QUALIFICATION	 0x6400U
#define VMCS_GUEST_LINEAR	 0x640AU
#define VMCS_GUEST_CR0		 0x6800U
#define VMCS_GUEST_CR3		 0x6802U
#define VMCS_GUEST_CR4		 0x6804U
#define VMCS_GUEST_ES_BASE	 0x6806U /* ES CS SS DS FS GS LDTR TR, 2 apart */
#define VMCS_GUEST_CS_BASE	 0x6808U
#define VMCS_GUEST_GDTR_BASE	 0x6816U
#define VMCS_GUEST_IDTR_BASE	 0x6818U
#define VMCS_GUEST_DR7		 0x681AU
#define VMCS_GUEST_RSP		 0x681CU
#define VMCS_GUEST_RIP		 0x681EU
#define VMCS_GUEST_RFLAGS	 0x6820U
#define VMCS_GUEST_PENDING_DEBUG 0x6822U
#define VMCS_GUEST_SYSENTER_ESP	 0x6824U
#define VMCS_GUEST_SYSENTER_EIP	 0x6826U
#define VMCS_HOST_CR0		 0x6C00U
#define VMCS_HOST_CR3		 0x6C02U
#define VMCS_HOST_CR4		 0x6C04U
#define VMCS_HOST_FS_BASE	 0x6C06U
#define VMCS_HOST_GS_BASE	 0x6C08U
#define VMCS_HOST_TR_BASE	 0x6C0AU
#define VMCS_HOST_GDTR_BASE	 0x6C0CU
#define VMCS_HOST_IDTR_BASE	 0x6C0EU
#define VMCS_HOST_SYSENTER_ESP	 0x6C10U
#define VMCS_HOST_SYSENTER_EIP	 0x6C12U
#define VMCS_HOST_RSP		 0x6C14U
#define VMCS_HOST_RIP		 0x6C16U

/* Exit reasons */
#define EXIT_EXCEPTION_NMI    0U
#define EXIT_EXTERNAL_INTR    1U
#define EXIT_TRIPLE_FAULT     2U
#define EXIT_INIT	      3U
#define EXIT_SIPI	      4U
#define EXIT_INTR_WINDOW      7U
#define EXIT_NMI_WINDOW	      8U
#define EXIT_TASK_SWITCH      9U
#define EXIT_CPUID	      10U
#define EXIT_GETSEC	      11U
#define EXIT_HLT	      12U
#define EXIT_INVD	      13U
#define EXIT_INVLPG	      14U
#define EXIT_RDPMC	      15U
#define EXIT_RDTSC	      16U
#define EXIT_RSM	      17U
#define EXIT_VMCALL	      18U
#define EXIT_VMCLEAR	      19U
#define EXIT_VMLAUNCH	      20U
#define EXIT_VMPTRLD	      21U
#define EXIT_VMPTRST	      22U
#define EXIT_VMREAD	      23U
#define EXIT_VMRESUME	      24U
#define EXIT_VMWRITE	      25U
#define EXIT_VMXOFF	      26U
#define EXIT_VMXON	      27U
#define EXIT_CR_ACCESS	      28U
#define EXIT_DR_ACCESS	      29U
#define EXIT_IO		      30U
#define EXIT_RDMSR	      31U
#define EXIT_WRMSR	      32U
#define EXIT_ENTRY_GUEST_STATE 33U
#define EXIT_ENTRY_MSR_LOAD   34U
#define EXIT_MWAIT	      36U
#define EXIT_MTF	      37U
#define EXIT_MONITOR	      39U
#define EXIT_PAUSE	      40U
#define EXIT_ENTRY_MCE	      41U
#define EXIT_TPR_THRESHOLD    43U
#define EXIT_APIC_ACCESS      44U
#define EXIT_VIRTUAL_EOI      45U
#define EXIT_GDTR_IDTR	      46U
#define EXIT_LDTR_TR	      47U
#define EXIT_EPT_VIOLATION    48U
#define EXIT_EPT_MISCONFIG    49U
#define EXIT_INVEPT	      50U
#define EXIT_RDTSCP	      51U
#define EXIT_PREEMPTION_TIMER 52U
#define EXIT_INVVPID	      53U
#define EXIT_WBINVD	      54U
#define EXIT_XSETBV	      55U
#define EXIT_APIC_WRITE	      56U
#define EXIT_RDRAND	      57U
#define EXIT_INVPCID	      58U
#define EXIT_VMFUNC	      59U
#define EXIT_ENCLS	      60U
#define EXIT_RDSEED	      61U
#define EXIT_PML_FULL	      62U
#define EXIT_XSAVES	      63U
#define EXIT_XRSTORS	      64U
#define EXIT_UMWAIT	      67U
#define EXIT_TPAUSE	      68U
#define EXIT_REASONS	      70U

/* Pin-based */
#define PIN_EXTINT_EXIT	 (1U << 0)
#define PIN_NMI_EXIT	 (1U << 3)
#define PIN_VIRTUAL_NMI	 (1U << 5)
#define PIN_PREEMPTION_TIMER (1U << 6)
#define PIN_POSTED_INTR	 (1U << 7)
/* Primary processor-based */
#define PROC_INTR_WINDOW (1U << 2)
#define PROC_TSC_OFFSET	 (1U << 3)
#define PROC_HLT_EXIT	 (1U << 7)
#define PROC_INVLPG_EXIT (1U << 9)
#define PROC_MWAIT_EXIT	 (1U << 10)
#define PROC_RDPMC_EXIT	 (1U << 11)
#define PROC_RDTSC_EXIT	 (1U << 12)
#define PROC_CR3_LOAD_EXIT (1U << 15)
#define PROC_CR3_STORE_EXIT (1U << 16)
#define PROC_CR8_LOAD_EXIT (1U << 19)
#define PROC_CR8_STORE_EXIT (1U << 20)
#define PROC_TPR_SHADOW	 (1U << 21)
#define PROC_NMI_WINDOW	 (1U << 22)
#define PROC_DR_EXIT	 (1U << 23)
#define PROC_IO_EXIT	 (1U << 24)
#define PROC_IO_BITMAPS	 (1U << 25)
#define PROC_MSR_BITMAPS (1U << 28)
#define PROC_MONITOR_EXIT (1U << 29)
#define PROC_PAUSE_EXIT	 (1U << 30)
#define PROC_SECONDARY	 (1U << 31)
/* Secondary */
#define PROC2_APIC_ACCESS (1U << 0)
#define PROC2_EPT	 (1U << 1)
#define PROC2_DESC_EXIT	 (1U << 2)
#define PROC2_RDTSCP	 (1U << 3)
#define PROC2_X2APIC	 (1U << 4)
#define PROC2_VPID	 (1U << 5)
#define PROC2_WBINVD_EXIT (1U << 6)
#define PROC2_UNRESTRICTED (1U << 7)
#define PROC2_APIC_REGS	 (1U << 8)
#define PROC2_VINTR_DELIVERY (1U << 9)
#define PROC2_PLE	 (1U << 10)
#define PROC2_INVPCID	 (1U << 12)
#define PROC2_XSAVES	 (1U << 20)
#define PROC2_TSC_SCALING (1U << 25)
/* Exit and entry */
#define VMEXIT_SAVE_DEBUG (1U << 2)
#define VMEXIT_HOST_64	 (1U << 9)
#define VMEXIT_ACK_INTR	 (1U << 15)
#define VMEXIT_SAVE_PAT	 (1U << 18)
#define VMEXIT_LOAD_PAT	 (1U << 19)
#define VMEXIT_SAVE_EFER (1U << 20)
#define VMEXIT_LOAD_EFER (1U << 21)
#define VMEXIT_SAVE_PREEMPTION (1U << 22)
#define VMENTRY_LOAD_DEBUG (1U << 2)
#define VMENTRY_IA32E	 (1U << 9)
#define VMENTRY_LOAD_PAT (1U << 14)
#define VMENTRY_LOAD_EFER (1U << 15)

/* Interruption information: entry, exit and IDT-vectoring fields share it (SDM 3C 25.8.3) */
#define INTR_INFO_VALID	     (1U << 31)
#define INTR_INFO_ERROR_CODE (1U << 11)
#define INTR_INFO_VECTOR(i)  ((i) & 0xFFU)
#define INTR_INFO_TYPE(i)    (((i) >> 8) & 7U)
#define INTR_TYPE_EXTERNAL   0U
#define INTR_TYPE_NMI	     2U
#define INTR_TYPE_HW_EXC     3U
#define INTR_TYPE_SW_INTR    4U
#define INTR_TYPE_PRIV_SW_EXC 5U
#define INTR_TYPE_SW_EXC     6U

/* Guest interruptibility */
#define BLOCK_BY_STI	(1U << 0)
#define BLOCK_BY_MOV_SS (1U << 1)
#define BLOCK_BY_SMI	(1U << 2)
#define BLOCK_BY_NMI	(1U << 3)

/* EPT entries (SDM 3C 29.3) and EPTP */
#define EPT_READ     (1UL << 0)
#define EPT_WRITE    (1UL << 1)
#define EPT_EXEC     (1UL << 2)
#define EPT_RWX	     (7UL)
#define EPT_MT_SHIFT 3U
#define EPT_MT_UC    (0UL << 3)
#define EPT_MT_WC    (1UL << 3)
#define EPT_MT_WT    (4UL << 3)
#define EPT_MT_WP    (5UL << 3)
#define EPT_MT_WB    (6UL << 3)
#define EPT_IPAT     (1UL << 6)
#define EPT_LARGE    (1UL << 7)
#define EPTP_WALK4   (3UL << 3)
#define EPTP_WB	     (6UL << 0)

/* MSR_VMX_EPT_VPID_CAP */
#define EPT_CAP_EXEC_ONLY	(1UL << 0)
#define EPT_CAP_WALK4		(1UL << 6)
#define EPT_CAP_WB		(1UL << 14)
#define EPT_CAP_2M		(1UL << 16)
#define EPT_CAP_1G		(1UL << 17)
#define EPT_CAP_INVEPT		(1UL << 20)
#define EPT_CAP_INVEPT_SINGLE	(1UL << 25)
#define EPT_CAP_INVEPT_ALL	(1UL << 26)
#define VPID_CAP_INVVPID	(1UL << 32)
#define VPID_CAP_INVVPID_SINGLE (1UL << 41)
#define VPID_CAP_INVVPID_ALL	(1UL << 42)

/* Exit qualification of an EPT violation (SDM 3C table 28-7) */
#define EPTV_READ     (1UL << 0)
#define EPTV_WRITE    (1UL << 1)
#define EPTV_FETCH    (1UL << 2)
#define EPTV_LINEAR   (1UL << 7)
#define EPTV_FINAL    (1UL << 8)
#define EPTV_NMI_UNBLOCK (1UL << 12)

#endif
