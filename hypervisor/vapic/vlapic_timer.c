// SPDX-License-Identifier: BSD-3-Clause
/*
 * The timer of a virtual local APIC: one-shot, periodic, TSC deadline (SDM 3A 11.5.4).  Its clock
 * is the TSC, undivided, which is also what CPUID leaf 0x15 tells guests.  It rests on the timer
 * queue of the vCPU's pCPU, where all of this runs; the timer fires there also while another vCPU
 * has the CPU.  Never touches the VMCS: a due timer posts its vector.
 */
#include "asm/insn.h"
#include "vapic.h"

/*
 * A faster periodic timer would starve its own guest and whoever shares the CPU: nothing else is
 * done where its handling takes longer than its period.
 */
#define MIN_PERIOD_US 200U

#define timer_vlapic(t) container_of(t, struct vlapic, timer.timer)

static bool is_deadline(const struct vlapic *v)
{
	return v->timer.mode == APIC_TIMER_DEADLINE;
}

/* TSC ticks of `count`; of a whole period, if the timer is periodic. */
static uint64_t ticks_of(const struct vlapic *v, uint32_t count)
{
	uint64_t ticks = (uint64_t)count << v->timer.shift;

	if (v->timer.mode == APIC_TIMER_PERIODIC && ticks != 0U) {
		ticks = MAX(ticks, us_to_tsc(MIN_PERIOD_US));
	}
	return ticks;
}

static void timer_due(struct timer *t)
{
	struct vlapic *v = timer_vlapic(t);

	if (v->timer.mode == APIC_TIMER_PERIODIC) {
		uint64_t now = rdtsc();

		v->timer.due += v->timer.period;
		if (v->timer.due <=
		    now) { /* late by whole periods: they are lost, the beat is kept */
			v->timer.due +=
				((now - v->timer.due) / v->timer.period + 1U) * v->timer.period;
		}
		timer_arm(t, v->timer.due);
	} else {
		v->timer.period = 0U;
		v->timer.deadline = 0U;
	}
	vlapic_lvt_fire(v, APIC_LVT_TIMER);
}

void vlapic_timer_init(struct vlapic *v)
{
	timer_init(&v->timer.timer, timer_due);
}

static void disarm(struct vlapic *v)
{
	if (timer_armed(&v->timer.timer)) {
		timer_cancel(&v->timer.timer);
	}
	v->timer.period = 0U;
	v->timer.deadline = 0U;
}

static void disarm_call(void *arg)
{
	disarm(arg);
}

void vlapic_timer_stop(struct vlapic *v)
{
	if (this_pcpu() == v->vcpu->pcpu) {
		disarm(v);
	} else if (timer_armed(&v->timer.timer)) {
		smp_call(v->vcpu->pcpu, disarm_call, v);
	}
}

/* The countdown goes on between one-shot and periodic; to and from deadline mode disarms. */
void vlapic_timer_set_lvt(struct vlapic *v, uint32_t lvt)
{
	uint32_t mode = lvt & APIC_TIMER_MODE_MASK;

	if (mode == v->timer.mode) {
		return;
	}
	if (mode == APIC_TIMER_DEADLINE || is_deadline(v)) {
		disarm(v);
	}
	v->timer.mode = mode;
	if (v->timer.period != 0U) {
		v->timer.period = ticks_of(v, vlapic_reg(v, APIC_TMICT));
	}
}

void vlapic_timer_set_count(struct vlapic *v, uint32_t count)
{
	if (is_deadline(v)) {
		return;
	}
	if (count == 0U) {
		disarm(v);
		return;
	}
	v->timer.period = ticks_of(v, count);
	v->timer.due = rdtsc() + v->timer.period;
	timer_arm(&v->timer.timer, v->timer.due);
}

/* Bits 3, 1, 0: divide by 2, 4 ... 128, and 7 means by 1. What is left is counted anew. */
void vlapic_timer_set_divide(struct vlapic *v, uint32_t tdcr)
{
	uint32_t left = vlapic_timer_count(v);

	v->timer.shift = ((tdcr & 3U) | ((tdcr & 8U) >> 1)) + 1U;
	v->timer.shift &= 7U;
	if (left != 0U) {
		v->timer.period = ticks_of(v, vlapic_reg(v, APIC_TMICT));
		v->timer.due = rdtsc() + ((uint64_t)left << v->timer.shift);
		timer_arm(&v->timer.timer, v->timer.due);
	}
}

uint32_t vlapic_timer_count(struct vlapic *v)
{
	uint64_t now, left;

	if (v->timer.period == 0U) {
		return 0U;
	}
	now = rdtsc();
	if (v->timer.due > now) {
		left = v->timer.due - now;
	} else if (v->timer.mode == APIC_TIMER_PERIODIC) {
		left = v->timer.period - (now - v->timer.due) % v->timer.period;
	} else {
		return 0U;
	}
	/* rounded up: a counter that still runs does not read 0 */
	left = (left + BIT(v->timer.shift) - 1U) >> v->timer.shift;
	return (uint32_t)MIN(left, (uint64_t)vlapic_reg(v, APIC_TMICT));
}

uint64_t vlapic_get_deadline(struct vcpu *vcpu)
{
	return vcpu->vlapic->timer.deadline;
}

/* Ignored outside of deadline mode; the past is due at once; 0 disarms. */
void vlapic_set_deadline(struct vcpu *vcpu, uint64_t tsc)
{
	struct vlapic *v = vcpu->vlapic;
	uint64_t host, guest;

	if (!is_deadline(v)) {
		return;
	}
	host = rdtsc();
	guest = host + vcpu->tsc_offset;
	if (tsc == 0U) {
		disarm(v);
	} else if (tsc <= guest) {
		disarm(v);
		vlapic_lvt_fire(v, APIC_LVT_TIMER);
	} else {
		uint64_t delta = tsc - guest;

		v->timer.deadline = tsc;
		timer_arm(&v->timer.timer, delta > UINT64_MAX - host ? UINT64_MAX : host + delta);
	}
}

void vlapic_timer_tsc_moved(struct vcpu *vcpu)
{
	uint64_t deadline = vcpu->vlapic->timer.deadline;

	if (deadline != 0U) {
		vlapic_set_deadline(vcpu, deadline);
	}
}
