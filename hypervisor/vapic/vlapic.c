// SPDX-License-Identifier: BSD-3-Clause
/*
 * The virtual local APIC of a vCPU: its register page, the rules of each register in xAPIC mode
 * (MMIO) and x2APIC mode (MSRs), and IA32_APIC_BASE (SDM 3A 11.4-11.12).  Called by the exits of
 * its own vCPU; nobody else writes a register.  A handler never looks at what a register held
 * before: with APIC-register virtualisation the processor has stored the guest's value already, so
 * that what must be remembered is kept in struct vlapic.  Takes no lock.
 */
#include "asm/msr.h"
#include "lib/errno.h"
#include "vapic.h"

#define VERSION	   0x00050014U /* integrated APIC, six LVT entries, as the processors have */
#define LVT_STATUS BIT32(12)   /* delivery status, read-only */
#define BASE_ADDR  APIC_DEFAULT_BASE

/* Who may do what with a register. */
#define XR  BIT32(0) /* read in xAPIC mode */
#define XW  BIT32(1)
#define X2R BIT32(2)
#define X2W BIT32(3)
#define RO  (XR | X2R)
#define RW  (XR | XW | X2R | X2W)

struct reg_rule {
	uint32_t access;
	uint32_t mask; /* bits that exist; others #GP in x2APIC mode, are dropped in xAPIC mode */
	uint32_t ignored; /* bits that a write may carry but does not change */
	void (*write)(struct vlapic *v, uint32_t offset, uint32_t val); /* val: masked */
};

bool vlapic_is_bsp(const struct vlapic *v)
{
	return v->vcpu->id == 0U;
}

void vlapic_error(struct vlapic *v, uint32_t esr_bits)
{
	uint32_t lvt;

	if ((atomic_or64(&v->errors, esr_bits) & esr_bits) == esr_bits) {
		return;
	}
	lvt = vlapic_reg(v, APIC_LVT_ERROR);
	/* An illegal vector in this LVT entry is no second error, or it would never end. */
	if ((lvt & APIC_LVT_MASKED) == 0U && (lvt & 0xFFU) >= 16U && v->enabled) {
		vlapic_post(v->vcpu, (uint8_t)lvt, false);
	}
}

void vlapic_lvt_fire(struct vlapic *v, uint32_t offset)
{
	uint32_t lvt = vlapic_reg(v, offset);

	if ((lvt & APIC_LVT_MASKED) != 0U || v->mode == VLAPIC_OFF) {
		return;
	}
	if (unlikely((lvt & 0xFFU) < 16U)) {
		vlapic_error(v, APIC_ESR_RECV_ILLEGAL);
	} else {
		vlapic_post(v->vcpu, (uint8_t)lvt, false);
	}
}

static void write_plain(struct vlapic *v, uint32_t offset, uint32_t val)
{
	vlapic_set_reg(v, offset, val);
}

static void write_tpr(struct vlapic *v, uint32_t offset, uint32_t val)
{
	vlapic_set_reg(v, offset, val);
	vcpu_request_self(v->vcpu, REQ_EVENT);
}

static void write_eoi(struct vlapic *v, uint32_t offset, uint32_t val)
{
	(void)offset;
	(void)val;
	vlapic_eoi(v);
}

/* Read-only here; only APIC-register virtualisation lets the guest's value get into the page. */
static void write_id(struct vlapic *v, uint32_t offset, uint32_t val)
{
	(void)val;
	vlapic_set_reg(v, offset, v->vcpu->apic_id << 24);
}

static void write_ldr(struct vlapic *v, uint32_t offset, uint32_t val)
{
	vlapic_set_reg(v, offset, val);
	v->ldr = val;
}

static void write_dfr(struct vlapic *v, uint32_t offset, uint32_t val)
{
	vlapic_set_reg(v, offset, val | 0x0FFFFFFFU);
	v->dfr = val | 0x0FFFFFFFU;
}

static void write_svr(struct vlapic *v, uint32_t offset, uint32_t val)
{
	vlapic_set_reg(v, offset, val);
	v->enabled = (val & APIC_SVR_ENABLE) != 0U;
	if (v->enabled) {
		return;
	}
	/* Software-disabled: all LVT entries are masked and stay so (SDM 3A 11.4.7.2). */
	for (uint32_t lvt = APIC_LVT_TIMER; lvt <= APIC_LVT_ERROR; lvt += 16U) {
		vlapic_set_reg(v, lvt, vlapic_reg(v, lvt) | APIC_LVT_MASKED);
	}
}

static void write_esr(struct vlapic *v, uint32_t offset, uint32_t val)
{
	(void)val;
	vlapic_set_reg(v, offset, (uint32_t)atomic_xchg64(&v->errors, 0U));
}

static void write_lvt(struct vlapic *v, uint32_t offset, uint32_t val)
{
	vlapic_set_reg(v, offset, v->enabled ? val : val | APIC_LVT_MASKED);
	if (offset == APIC_LVT_TIMER) {
		vlapic_timer_set_lvt(v, val);
	} else if (offset == APIC_LVT_LINT0) {
		vcpu_request_self(v->vcpu, REQ_EVENT); /* the vPIC may be waiting at this pin */
	}
}

static void write_tmict(struct vlapic *v, uint32_t offset, uint32_t val)
{
	vlapic_set_reg(v, offset, val);
	vlapic_timer_set_count(v, val);
}

static void write_tdcr(struct vlapic *v, uint32_t offset, uint32_t val)
{
	vlapic_set_reg(v, offset, val);
	vlapic_timer_set_divide(v, val);
}

/* xAPIC mode; in x2APIC mode the register is 64 bits wide and has its own path. */
static void write_icr_lo(struct vlapic *v, uint32_t offset, uint32_t val)
{
	uint32_t dest = vlapic_reg(v, APIC_ICR_HI) >> 24;

	vlapic_set_reg(v, offset, val);
	if (dest == 0xFFU && (val & APIC_ICR_LOGICAL) == 0U) {
		dest = VINTR_DEST_ALL;
	}
	vlapic_icr_send(v, val, dest);
}

static void write_self_ipi(struct vlapic *v, uint32_t offset, uint32_t val)
{
	(void)offset;
	if (unlikely(val < 16U)) {
		vlapic_error(v, APIC_ESR_SEND_ILLEGAL);
	} else if (v->enabled) {
		vlapic_post_self(v, (uint8_t)val);
	}
}

#define ICR_MASK (0xFFU | 0x700U | APIC_ICR_LOGICAL | APIC_ICR_ASSERT | APIC_ICR_LEVEL | 0xC0000U)

/* By offset / 16. ISR, TMR and IRR, and what is not here, see rule_of(). */
static const struct reg_rule rules[] = {
	[APIC_ID / 16U] = {RO | XW, 0, 0xFFFFFFFFU, write_id},
	[APIC_VERSION / 16U] = {RO, 0, 0, NULL},
	[APIC_TPR / 16U] = {RW, 0xFFU, 0, write_tpr},
	[APIC_APR / 16U] = {XR, 0, 0, NULL},
	[APIC_PPR / 16U] = {RO, 0, 0, NULL},
	[APIC_EOI / 16U] = {XR | XW | X2W, 0, 0, write_eoi},
	[APIC_RRD / 16U] = {XR, 0, 0, NULL},
	[APIC_LDR / 16U] = {RO | XW, 0xFF000000U, 0, write_ldr},
	[APIC_DFR / 16U] = {XR | XW, 0xF0000000U, 0, write_dfr},
	[APIC_SVR / 16U] = {RW, 0x1FFU, 0, write_svr},
	[APIC_ESR / 16U] = {RW, 0, 0, write_esr},
	[APIC_ICR_LO / 16U] = {RW, ICR_MASK, 0, write_icr_lo},
	[APIC_ICR_HI / 16U] = {XR | XW, 0xFF000000U, 0, write_plain},
	[APIC_LVT_TIMER / 16U] = {RW, 0x700FFU, LVT_STATUS, write_lvt},
	[APIC_LVT_THERM / 16U] = {RW, 0x107FFU, LVT_STATUS, write_lvt},
	[APIC_LVT_PMC / 16U] = {RW, 0x107FFU, LVT_STATUS, write_lvt},
	[APIC_LVT_LINT0 / 16U] = {RW, 0x1A7FFU, LVT_STATUS | APIC_LVT_REMOTE_IRR, write_lvt},
	[APIC_LVT_LINT1 / 16U] = {RW, 0x1A7FFU, LVT_STATUS | APIC_LVT_REMOTE_IRR, write_lvt},
	[APIC_LVT_ERROR / 16U] = {RW, 0x100FFU, LVT_STATUS, write_lvt},
	[APIC_TMICT / 16U] = {RW, 0xFFFFFFFFU, 0, write_tmict},
	[APIC_TMCCT / 16U] = {RO, 0, 0, NULL},
	[APIC_TDCR / 16U] = {RW, 0xBU, 0, write_tdcr},
	[APIC_SELF_IPI / 16U] = {X2W, 0xFFU, 0, write_self_ipi},
};

static const struct reg_rule *rule_of(uint32_t offset)
{
	static const struct reg_rule read_only = {RO, 0, 0, NULL}, none = {0, 0, 0, NULL};

	if (offset >= APIC_ISR && offset < APIC_ESR) {
		return &read_only;
	}
	return offset / 16U < ARRAY_SIZE(rules) ? &rules[offset / 16U] : &none;
}

int vlapic_read(struct vcpu *vcpu, uint32_t offset, uint64_t *val)
{
	struct vlapic *v = vcpu->vlapic;
	bool x2 = v->mode == VLAPIC_X2APIC;

	*val = 0;
	if ((rule_of(offset)->access & (x2 ? X2R : XR)) == 0U) {
		if (!x2) {
			vlapic_error(v, APIC_ESR_REG_ILLEGAL);
		}
		return -EINVAL;
	}
	switch (offset) {
	case APIC_TMCCT:
		*val = vlapic_timer_count(v);
		break;
	case APIC_PPR:
		*val = vlapic_ppr(v);
		break;
	case APIC_ICR_LO:
		*val = vlapic_reg(v, offset);
		if (x2) {
			*val |= (uint64_t)vlapic_reg(v, APIC_ICR_LO + 4U) << 32;
		}
		break;
	default:
		if (offset >= APIC_IRR && offset < APIC_ESR) {
			vlapic_irr_sync(v);
		}
		*val = vlapic_reg(v, offset);
		break;
	}
	return 0;
}

int vlapic_write(struct vcpu *vcpu, uint32_t offset, uint64_t val)
{
	struct vlapic *v = vcpu->vlapic;
	const struct reg_rule *rule = rule_of(offset);

	if (v->mode == VLAPIC_X2APIC) {
		if ((rule->access & X2W) == 0U) {
			return -EINVAL;
		}
		if (offset == APIC_ICR_LO) {
			if (((uint32_t)val & ~ICR_MASK) != 0U) {
				return -EINVAL;
			}
			vlapic_set_reg(v, APIC_ICR_LO, (uint32_t)val);
			vlapic_set_reg(v, APIC_ICR_LO + 4U, (uint32_t)(val >> 32));
			vlapic_icr_send(v, (uint32_t)val, (uint32_t)(val >> 32));
			return 0;
		}
		if ((val & ~(uint64_t)(rule->mask | rule->ignored)) != 0U) {
			return -EINVAL;
		}
		/* a timer mode that does not exist */
		if (offset == APIC_LVT_TIMER &&
		    (val & APIC_TIMER_MODE_MASK) == APIC_TIMER_MODE_MASK) {
			return -EINVAL;
		}
	} else if ((rule->access & XW) == 0U) {
		vlapic_error(v, APIC_ESR_REG_ILLEGAL);
		return -EINVAL;
	}
	rule->write(v, offset, (uint32_t)val & rule->mask);
	return 0;
}

void vlapic_mode_set(struct vlapic *v, enum vlapic_mode mode)
{
	uint32_t id = v->vcpu->apic_id;

	if (mode == VLAPIC_X2APIC) {
		v->ldr = ((id >> 4) << 16) | BIT32(id & 0xFU);
		vlapic_set_reg(v, APIC_ID, id);
		vlapic_set_reg(v, APIC_LDR, v->ldr);
		vlapic_set_reg(v, APIC_ICR_LO + 4U, 0U);
	} else {
		vlapic_set_reg(v, APIC_ID, id << 24);
	}
	v->mode = mode;
}

/* Registers as after power-on or INIT (SDM 3A 11.4.7.1). The page is not in use by the CPU. */
static void reset_regs(struct vlapic *v, enum vlapic_mode mode)
{
	for (uint32_t i = 0; i < PAGE_SIZE / 4U; i++) {
		v->regs[i] = 0U;
	}
	vlapic_irr_reset(v);
	vlapic_set_reg(v, APIC_VERSION, VERSION);
	vlapic_set_reg(v, APIC_SVR, 0xFFU);
	vlapic_set_reg(v, APIC_DFR, 0xFFFFFFFFU);
	for (uint32_t lvt = APIC_LVT_TIMER; lvt <= APIC_LVT_ERROR; lvt += 16U) {
		vlapic_set_reg(v, lvt, APIC_LVT_MASKED);
	}
	v->enabled = false;
	v->ldr = 0U;
	v->dfr = 0xFFFFFFFFU;
	atomic_set64(&v->errors, 0U);
	atomic_set32(&v->extint_msg, 0U);
	vlapic_timer_set_lvt(v, APIC_LVT_MASKED);
	vlapic_timer_set_divide(v, 0U);
	vlapic_mode_set(v, mode);
}

/*
 * INIT leaves the mode as it is. A VM starts where firmware would have left its boot CPU: LAPIC on,
 * virtual wire mode (MP specification 3.6.2.2), since nobody does that for a kernel loaded
 * directly.
 */
void vlapic_reset(struct vlapic *v)
{
	reset_regs(v, v->power_on ? VLAPIC_XAPIC : v->mode);
	if (v->power_on && vlapic_is_bsp(v)) {
		vlapic_set_reg(v, APIC_SVR, APIC_SVR_ENABLE | 0xFFU);
		v->enabled = true;
		vlapic_set_reg(v, APIC_LVT_LINT0, APIC_DM(EXTINT));
		vlapic_set_reg(v, APIC_LVT_LINT1, APIC_DM(NMI));
	}
}

uint64_t vlapic_get_base(struct vcpu *vcpu)
{
	const struct vlapic *v = vcpu->vlapic;
	uint64_t base = BASE_ADDR | (vlapic_is_bsp(v) ? APIC_BASE_BSP : 0U);

	if (v->mode != VLAPIC_OFF) {
		base |= APIC_BASE_ENABLE;
	}
	if (v->mode == VLAPIC_X2APIC) {
		base |= APIC_BASE_X2APIC;
	}
	return base;
}

/* The legal moves are off <-> xAPIC -> x2APIC -> off (SDM 3A figure 11-27); the page is fixed. */
int vlapic_set_base(struct vcpu *vcpu, uint64_t val)
{
	struct vlapic *v = vcpu->vlapic;
	enum vlapic_mode mode = VLAPIC_OFF;

	if ((val & ~(APIC_BASE_BSP | APIC_BASE_X2APIC | APIC_BASE_ENABLE)) != BASE_ADDR) {
		return -EINVAL;
	}
	if ((val & APIC_BASE_X2APIC) != 0U) {
		mode = VLAPIC_X2APIC;
	} else if ((val & APIC_BASE_ENABLE) != 0U) {
		mode = VLAPIC_XAPIC;
	}
	if (mode == VLAPIC_X2APIC && (val & APIC_BASE_ENABLE) == 0U) {
		return -EINVAL;
	}
	if (mode == v->mode) {
		return 0;
	}
	if ((v->mode == VLAPIC_OFF && mode == VLAPIC_X2APIC) ||
	    (v->mode == VLAPIC_X2APIC && mode == VLAPIC_XAPIC)) {
		return -EINVAL;
	}

	if (mode == VLAPIC_OFF) {
		vlapic_timer_stop(v);
		reset_regs(v, VLAPIC_OFF);
	} else {
		vlapic_mode_set(v, mode);
	}
	apicv_mode_changed(v);
	vcpu_request_self(vcpu, REQ_EVENT);
	return 0;
}
