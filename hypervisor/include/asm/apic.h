/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_APIC_H
#define ASM_APIC_H

/* Local APIC register offsets in its page (SDM 3A table 11-1) and IOAPIC registers. */

#define APIC_DEFAULT_BASE 0xFEE00000UL

#define APIC_ID	       0x020U
#define APIC_VERSION   0x030U
#define APIC_TPR       0x080U
#define APIC_APR       0x090U
#define APIC_PPR       0x0A0U
#define APIC_EOI       0x0B0U
#define APIC_RRD       0x0C0U
#define APIC_LDR       0x0D0U
#define APIC_DFR       0x0E0U
#define APIC_SVR       0x0F0U
#define APIC_ISR       0x100U /* eight registers, 16 bytes apart; so TMR and IRR */
#define APIC_TMR       0x180U
#define APIC_IRR       0x200U
#define APIC_ESR       0x280U
#define APIC_LVT_CMCI  0x2F0U
#define APIC_ICR_LO    0x300U
#define APIC_ICR_HI    0x310U
#define APIC_LVT_TIMER 0x320U
#define APIC_LVT_THERM 0x330U
#define APIC_LVT_PMC   0x340U
#define APIC_LVT_LINT0 0x350U
#define APIC_LVT_LINT1 0x360U
#define APIC_LVT_ERROR 0x370U
#define APIC_TMICT     0x380U
#define APIC_TMCCT     0x390U
#define APIC_TDCR      0x3E0U
#define APIC_SELF_IPI  0x3F0U

#define APIC_SVR_ENABLE	     BIT32(8)
#define APIC_LVT_MASKED	     BIT32(16)
#define APIC_LVT_REMOTE_IRR  BIT32(14)
#define APIC_LVT_DM_MASK     0x700U
#define APIC_TIMER_ONESHOT   0x0U
#define APIC_TIMER_PERIODIC  BIT32(17)
#define APIC_TIMER_DEADLINE  0x40000U
#define APIC_TIMER_MODE_MASK 0x60000U

/* Delivery modes, as in bits 10:8 of ICR, LVT, MSI data and RTE */
#define APIC_DM_FIXED	0U
#define APIC_DM_LOWEST	1U
#define APIC_DM_SMI	2U
#define APIC_DM_NMI	4U
#define APIC_DM_INIT	5U
#define APIC_DM_SIPI	6U
#define APIC_DM_EXTINT	7U
#define APIC_DM(mode)	((uint32_t)APIC_DM_##mode << 8) /* in the ICR and an LVT */

#define APIC_ICR_BUSY	    BIT32(12)
#define APIC_ICR_ASSERT	    BIT32(14)
#define APIC_ICR_LEVEL	    BIT32(15)
#define APIC_ICR_LOGICAL    BIT32(11)
#define APIC_ICR_SH_SHIFT   18U /* 0 none, 1 self, 2 all, 3 all but self */

#define APIC_ESR_SEND_ILLEGAL 0x20U
#define APIC_ESR_RECV_ILLEGAL 0x40U
#define APIC_ESR_REG_ILLEGAL  0x80U

#define IOAPIC_DEFAULT_BASE 0xFEC00000UL
#define IOAPIC_REGSEL	    0x00U
#define IOAPIC_WINDOW	    0x10U
#define IOAPIC_EOIR	    0x40U
#define IOAPIC_REG_ID	    0x00U
#define IOAPIC_REG_VER	    0x01U
#define IOAPIC_REG_ARB	    0x02U
#define IOAPIC_REG_RTE0	    0x10U /* low word; high word at the next; two registers a pin */

#define IOAPIC_RTE_VECTOR(r)  ((uint8_t)((r) & 0xFFU))
#define IOAPIC_RTE_DM_SHIFT   8U
#define IOAPIC_RTE_LOGICAL    BIT(11)
#define IOAPIC_RTE_LOW_ACTIVE BIT(13)
#define IOAPIC_RTE_REMOTE_IRR BIT(14)
#define IOAPIC_RTE_LEVEL      BIT(15)
#define IOAPIC_RTE_MASKED     BIT(16)
#define IOAPIC_RTE_DEST_SHIFT 56U

#endif
