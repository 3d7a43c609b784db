// SPDX-License-Identifier: BSD-3-Clause
/*
 * Vectors in a virtual local APIC: requested (IRR), in service (ISR), trigger mode (TMR),
 * priorities, end of interrupt (SDM 3A 11.8.3-11.8.5).  A vector from another CPU is posted in
 * memory that CPUs may share and moved to the register page by the vCPU's own pCPU, so that the
 * page needs no lock and no atomic access; with posted interrupts the processor does that move.
 * Level-triggered vectors are posted apart from the others: the processor must not take them
 * before the EOI exit bitmap has them.
 */
#include "asm/vmx_insn.h"
#include "hv/vioapic.h"
#include "vapic.h"

static void words_set(uint32_t *regs, uint32_t base, uint8_t vector)
{
	regs[(base / 4U) + (vector / 32U) * 4U] |= BIT32(vector % 32U);
}

/* Clear a vector's bit; true when its register is 0 now. */
static bool words_clear(uint32_t *regs, uint32_t base, uint8_t vector)
{
	uint32_t *w = &regs[(base / 4U) + (vector / 32U) * 4U];

	*w &= ~BIT32(vector % 32U);
	return *w == 0U;
}

/* Which of the eight registers are not 0: needed only where the processor changes them as well. */
static uint32_t words_scan(const struct vlapic *v, uint32_t base)
{
	uint32_t map = 0;

	for (uint32_t i = 0; i < 8U; i++)
		map |= (vlapic_reg(v, base + i * 16U) != 0U ? 1U : 0U) << i;
	return map;
}

static int words_top(const struct vlapic *v, uint32_t base, uint32_t map)
{
	uint32_t i;

	if (map == 0U)
		return -1;
	i = bit_scan_reverse(map);
	return (int)(i * 32U + bit_scan_reverse(vlapic_reg(v, base + i * 16U)));
}

int vlapic_irr_top(const struct vlapic *v)
{
	return words_top(v, APIC_IRR, apicv.vid ? words_scan(v, APIC_IRR) : v->irr_words);
}

int vlapic_isr_top(const struct vlapic *v)
{
	return words_top(v, APIC_ISR, apicv.vid ? words_scan(v, APIC_ISR) : v->isr_words);
}

void vlapic_irr_set(struct vlapic *v, uint8_t vector, bool level)
{
	uint32_t bit = BIT32(vector % 32U);
	uint32_t *tmr = &v->regs[(APIC_TMR / 4U) + (vector / 32U) * 4U];

	words_set(v->regs, APIC_IRR, vector);
	v->irr_words |= (uint8_t)BIT32(vector / 32U);
	v->rvi = MAX(v->rvi, vector);
	if (unlikely(((*tmr & bit) != 0U) != level)) {
		*tmr ^= bit;
		v->eoi_map[vector / 64U] ^= BIT(vector % 64U);
		v->eoi_dirty = true;
	}
}

/* Set the vectors of a posted word, lowest first. */
static void take(struct vlapic *v, uint64_t bits, uint32_t first, bool level)
{
	while (bits != 0U) {
		uint32_t n = (uint32_t)__builtin_ctzll(bits);

		vlapic_irr_set(v, (uint8_t)(first + n), level);
		bits &= bits - 1U;
	}
}

/* A poster sets its bit before ON: what is not seen here is announced once more. */
void vlapic_irr_sync(struct vlapic *v)
{
	if (atomic_test_bit(&v->pi.ctrl, PI_ON)) {
		(void)atomic_clear_bit(&v->pi.ctrl, PI_ON);
		for (uint32_t i = 0; i < 4U; i++) {
			if (v->pi.pir[i] != 0U)
				take(v, atomic_xchg64(&v->pi.pir[i], 0U), i * 64U, false);
		}
	}
	if (unlikely(atomic_read64(&v->level_posted) != 0U)) {
		atomic_set64(&v->level_posted, 0U);
		for (uint32_t i = 0; i < 4U; i++) {
			if (v->level_req[i] != 0U)
				take(v, atomic_xchg64(&v->level_req[i], 0U), i * 64U, true);
		}
	}
}

void vlapic_post(struct vcpu *vcpu, uint8_t vector, bool level)
{
	struct vlapic *v = vcpu->vlapic;

	if (this_pcpu() == vcpu->pcpu) {
		vlapic_irr_set(v, vector, level);
		vcpu_request(vcpu, REQ_EVENT);
	} else if (level) {
		(void)atomic_set_bit(v->level_req, vector);
		atomic_set64(&v->level_posted, 1U);
		vcpu_request(vcpu, REQ_EVENT);
	} else {
		(void)atomic_set_bit(v->pi.pir, vector);
		if (atomic_set_bit(&v->pi.ctrl, PI_ON))
			return; /* who set it before us tells the vCPU */
		if (apicv.posted)
			apicv_notify(vcpu);
		else
			vcpu_request(vcpu, REQ_EVENT);
	}
}

uint32_t vlapic_ppr(const struct vlapic *v)
{
	uint32_t tpr = vlapic_reg(v, APIC_TPR) & 0xFFU;
	int isr = vlapic_isr_top(v);
	uint32_t isrv = isr < 0 ? 0U : (uint32_t)isr & 0xF0U;

	return (tpr & 0xF0U) >= isrv ? tpr : isrv;
}

int vlapic_deliverable(const struct vlapic *v, int irr)
{
	if (irr < 0 || ((uint32_t)irr >> 4) <= (vlapic_ppr(v) >> 4))
		return -1;
	return irr;
}

void vlapic_irr_to_isr(struct vlapic *v, uint8_t vector)
{
	if (words_clear(v->regs, APIC_IRR, vector))
		v->irr_words &= (uint8_t)~BIT32(vector / 32U);
	words_set(v->regs, APIC_ISR, vector);
	v->isr_words |= (uint8_t)BIT32(vector / 32U);
}

/* The highest interrupt in service has ended: EOI is written, or VMREAD says which (APICv). */
void vlapic_eoi(struct vlapic *v)
{
	int vector = vlapic_isr_top(v);

	if (vector < 0)
		return;
	if (words_clear(v->regs, APIC_ISR, (uint8_t)vector))
		v->isr_words &= (uint8_t)~BIT32((uint32_t)vector / 32U);
	if (apicv.vid)
		apicv_set_svi(vlapic_isr_top(v));
	else if (v->irr_words != 0U)
		vcpu_request_self(v->vcpu, REQ_EVENT);
	if ((vlapic_reg(v, APIC_TMR + ((uint32_t)vector / 32U) * 16U) >> (vector % 32)) & 1U)
		vioapic_eoi(v->vcpu->vm, (uint8_t)vector);
}

void vlapic_irr_reset(struct vlapic *v)
{
	(void)atomic_clear_bit(&v->pi.ctrl, PI_ON);
	atomic_set64(&v->level_posted, 0U);
	for (uint32_t i = 0; i < 4U; i++) {
		atomic_set64(&v->pi.pir[i], 0U);
		atomic_set64(&v->level_req[i], 0U);
		v->eoi_map[i] = 0U;
	}
	v->irr_words = 0U;
	v->isr_words = 0U;
	v->rvi = 0U;
	v->eoi_dirty = true;
}
