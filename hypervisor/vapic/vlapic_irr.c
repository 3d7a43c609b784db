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

/* The register that holds the vector's bit. */
static uint32_t *word_of(const struct vlapic *v, uint32_t base, uint32_t vector)
{
	return &v->regs[base / 4U + vector / 32U * 4U];
}

/* Which of the eight registers are not 0: needed only where the processor changes them as well. */
static uint32_t words_scan(const struct vlapic *v, uint32_t base)
{
	uint32_t map = 0;

	for (uint32_t i = 0; i < 8U; i++) {
		map |= (vlapic_reg(v, base + i * 16U) != 0U ? 1U : 0U) << i;
	}
	return map;
}

static int words_top(const struct vlapic *v, uint32_t base, uint32_t map)
{
	uint32_t i;

	if (map == 0U) {
		return -1;
	}
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

/* The vector comes with another trigger mode than last time: its EOI must exit, or need not. */
static void trigger_changed(struct vlapic *v, uint8_t vector)
{
	*word_of(v, APIC_TMR, vector) ^= BIT32(vector % 32U);
	v->eoi_map[vector / 64U] ^= BIT(vector % 64U);
	v->eoi_dirty = true;
}

void vlapic_irr_set(struct vlapic *v, uint8_t vector, bool level)
{
	uint32_t bit = BIT32(vector % 32U);

	*word_of(v, APIC_IRR, vector) |= bit;
	v->irr_words |= (uint8_t)BIT32(vector / 32U);
	v->rvi = MAX(v->rvi, vector);
	if (unlikely(((*word_of(v, APIC_TMR, vector) & bit) != 0U) != level)) {
		trigger_changed(v, vector);
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
void vlapic_irr_take(struct vlapic *v)
{
	if (atomic_test_bit(&v->pi.ctrl, PI_ON)) {
		(void)atomic_clear_bit(&v->pi.ctrl, PI_ON);
		for (uint32_t i = 0; i < 4U; i++) {
			if (v->pi.pir[i] != 0U) {
				take(v, atomic_xchg64(&v->pi.pir[i], 0U), i * 64U, false);
			}
		}
	}
	if (unlikely(atomic_read64(&v->level_posted) != 0U)) {
		atomic_set64(&v->level_posted, 0U);
		for (uint32_t i = 0; i < 4U; i++) {
			if (v->level_req[i] != 0U) {
				take(v, atomic_xchg64(&v->level_req[i], 0U), i * 64U, true);
			}
		}
	}
}

/*
 * From the vCPU's own exit handler. With interrupt delivery by the processor that is all there is
 * to do, unless the EOI exit bitmap has to be written too.
 */
void vlapic_post_self(struct vlapic *v, uint8_t vector)
{
	vlapic_irr_set(v, vector, false);
	if (apicv.vid && !v->eoi_dirty) {
		apicv_write_rvi(v);
	} else {
		vcpu_request_self(v->vcpu, REQ_EVENT);
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
		if (atomic_set_bit(&v->pi.ctrl, PI_ON)) {
			return; /* who set it before us tells the vCPU */
		}
		if (apicv.posted) {
			apicv_notify(vcpu);
		} else {
			vcpu_request(vcpu, REQ_EVENT);
		}
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
	return irr >= 0 && ((uint32_t)irr & 0xF0U) > (vlapic_ppr(v) & 0xF0U) ? irr : -1;
}

void vlapic_irr_to_isr(struct vlapic *v, uint8_t vector)
{
	uint32_t *irr = word_of(v, APIC_IRR, vector);

	*irr &= ~BIT32(vector % 32U);
	if (*irr == 0U) {
		v->irr_words &= (uint8_t)~BIT32(vector / 32U);
	}
	*word_of(v, APIC_ISR, vector) |= BIT32(vector % 32U);
	v->isr_words |= (uint8_t)BIT32(vector / 32U);
}

/* The highest interrupt in service has ended; with APICv, by a write that the CPU did not serve. */
void vlapic_eoi(struct vlapic *v)
{
	int top = vlapic_isr_top(v);
	uint8_t vector = (uint8_t)top;
	uint32_t *isr;

	if (top < 0) {
		return;
	}
	isr = word_of(v, APIC_ISR, vector);
	*isr &= ~BIT32(vector % 32U);
	if (*isr == 0U) {
		v->isr_words &= (uint8_t)~BIT32(vector / 32U);
	}
	if (apicv.vid) {
		apicv_set_svi(vlapic_isr_top(v));
	} else if (v->irr_words != 0U) {
		vcpu_request_self(v->vcpu, REQ_EVENT);
	}
	if (unlikely((*word_of(v, APIC_TMR, vector) & BIT32(vector % 32U)) != 0U)) {
		vioapic_eoi(v->vcpu->vm, vector);
	}
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
