// SPDX-License-Identifier: BSD-3-Clause
/*
 * Messages to virtual local APICs: who a destination means (SDM 3A 11.6.2, 11.12.10) and what each
 * delivery mode does there; and the interrupt command register, through which vCPUs send them.
 * Called on any CPU: the sender's exit handler, or for vIOAPIC pins and MSIs whoever drives them.
 * Reads of other vCPUs only what vapic.h allows; takes no lock.
 */
#include "vapic.h"

/* In x2APIC mode: cluster in the upper half, one bit each in the lower. */
static bool logical_match_x2apic(uint32_t ldr, uint32_t dest)
{
	return dest == VINTR_DEST_ALL ||
	       ((dest >> 16) == (ldr >> 16) && (dest & ldr & 0xFFFFU) != 0U);
}

static bool logical_match_xapic(const struct vlapic *v, uint32_t dest)
{
	uint32_t ldr = v->ldr >> 24;

	if (dest == VINTR_DEST_ALL || dest == 0xFFU) {
		return true; /* in either model, whatever the LDR */
	}
	if (dest > 0xFFU) {
		return false;
	}
	if ((v->dfr >> 28) == 0xFU) {
		return (dest & ldr) != 0U;
	}
	if ((v->dfr >> 28) != 0U) { /* only flat and cluster exist */
		return false;
	}
	return (dest & ldr & 0xFU) != 0U && (dest >> 4) == (ldr >> 4);
}

static bool matches(const struct vcpu *vcpu, const struct vintr_msg *msg)
{
	const struct vlapic *v = vcpu->vlapic;

	if (v->mode == VLAPIC_OFF) {
		return false;
	}
	if (!msg->logical) {
		return msg->dest == VINTR_DEST_ALL || msg->dest == vcpu->apic_id;
	}
	if (v->mode == VLAPIC_X2APIC) {
		return logical_match_x2apic(v->ldr, msg->dest);
	}
	return logical_match_xapic(v, msg->dest);
}

bool vlapic_icr_logical(const struct vcpu *vcpu, uint32_t dest)
{
	const struct vintr_msg msg = {.dest = dest, .logical = true};

	return matches(vcpu, &msg);
}

/* One vCPU gets the message. */
static void accept(struct vcpu *vcpu, const struct vintr_msg *msg)
{
	struct vlapic *v = vcpu->vlapic;

	switch (msg->mode) {
	case APIC_DM_FIXED:
	case APIC_DM_LOWEST:
		if (!v->enabled) {
			break;
		}
		if (unlikely(msg->vector < 16U)) {
			vlapic_error(v, APIC_ESR_RECV_ILLEGAL);
		} else {
			vlapic_post(vcpu, msg->vector, msg->level);
		}
		break;
	case APIC_DM_NMI:
		vcpu_inject_nmi(vcpu);
		break;
	case APIC_DM_INIT:
		vcpu_init_signal(vcpu);
		break;
	case APIC_DM_SIPI:
		vcpu_sipi(vcpu, msg->vector);
		break;
	case APIC_DM_EXTINT:
		atomic_set32(&v->extint_msg, 1U);
		vcpu_request(vcpu, REQ_EVENT);
		break;
	default: /* SMI and the reserved mode do nothing */
		break;
	}
}

/*
 * Of several candidates, without `except`, the one whose running work matters least; a racy look
 * at it is enough.
 */
static void deliver_lowest(struct vm *vm, const struct vintr_msg *msg, const struct vcpu *except)
{
	struct vcpu *best = NULL;
	uint32_t best_prio = 0;

	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];
		uint32_t prio;

		if (!vcpu || vcpu == except || !matches(vcpu, msg) || !vcpu->vlapic->enabled) {
			continue;
		}
		prio = vlapic_ppr(vcpu->vlapic) >> 4;
		if (!best || prio < best_prio) {
			best = vcpu;
			best_prio = prio;
		}
	}
	if (best) {
		accept(best, msg);
	}
}

void vlapic_icr_deliver(struct vm *vm, const struct vintr_msg *msg)
{
	if (msg->redirect || msg->mode == APIC_DM_LOWEST) {
		deliver_lowest(vm, msg, NULL);
		return;
	}
	if (!msg->logical && msg->dest != VINTR_DEST_ALL) {
		struct vcpu *vcpu = vcpu_by_apic_id(vm, msg->dest);

		if (vcpu && vcpu->vlapic->mode != VLAPIC_OFF) {
			accept(vcpu, msg);
		}
		return;
	}
	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		if (vm->vcpus[i] && matches(vm->vcpus[i], msg)) {
			accept(vm->vcpus[i], msg);
		}
	}
}

static void deliver_to_others(struct vcpu *self, struct vintr_msg *msg)
{
	struct vm *vm = self->vm;

	if (msg->mode == APIC_DM_LOWEST) {
		msg->dest = VINTR_DEST_ALL;
		msg->logical = false;
		deliver_lowest(vm, msg, self);
		return;
	}
	for (uint16_t i = 0; i < vm->vcpu_count; i++) {
		struct vcpu *vcpu = vm->vcpus[i];

		if (vcpu && vcpu != self && vcpu->vlapic->mode != VLAPIC_OFF) {
			accept(vcpu, msg);
		}
	}
}

/* Self, and "all" with self in it: fixed interrupts only (SDM 3A table 11-3). */
static void send_self(struct vlapic *v, uint8_t mode, uint8_t vector)
{
	if (mode == APIC_DM_FIXED && v->enabled) {
		vlapic_post_self(v, vector);
	}
}

/* What `lo` asks for, with xAPIC destinations already widened. Own CPU of v. */
void vlapic_icr_send(struct vlapic *v, uint32_t lo, uint32_t dest)
{
	struct vcpu *vcpu = v->vcpu;
	uint32_t shorthand = (lo >> APIC_ICR_SH_SHIFT) & 3U;
	struct vintr_msg msg;

	msg.mode = (uint8_t)((lo >> 8) & 7U);
	msg.vector = (uint8_t)lo;
	if (msg.mode <= APIC_DM_LOWEST && unlikely(msg.vector < 16U)) {
		vlapic_error(v, APIC_ESR_SEND_ILLEGAL);
		return;
	}
	if (shorthand == 1U) {
		send_self(v, msg.mode, msg.vector);
		return;
	}
	/* The level de-assert form of INIT synchronised arbitration ids once; now it does nothing.
	 */
	if (msg.mode == APIC_DM_INIT &&
	    (lo & (APIC_ICR_LEVEL | APIC_ICR_ASSERT)) == APIC_ICR_LEVEL) {
		return;
	}
	if (msg.mode == APIC_DM_EXTINT) {
		return; /* not a mode of IPIs */
	}
	msg.dest = dest;
	msg.logical = (lo & APIC_ICR_LOGICAL) != 0U;
	msg.level = false;
	msg.redirect = false;

	if (shorthand == 0U) {
		vlapic_icr_deliver(vcpu->vm, &msg);
	} else if (shorthand == 3U) {
		deliver_to_others(vcpu, &msg);
	} else if (msg.mode == APIC_DM_FIXED) {
		send_self(v, msg.mode, msg.vector);
		deliver_to_others(vcpu, &msg);
	}
}
