// SPDX-License-Identifier: BSD-3-Clause
/*
 * The physical local APIC of each CPU: x2APIC registers where the CPU has them, else the memory
 * page. Owns the timer (TSC deadline, else a calibrated count-down) and sends IPIs; lends all of it
 * to a guest. Called on the CPU itself with interrupts off; no lock.
 */
#include "asm/apic.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/timer.h"
#include "lib/atomic.h"

static bool x2apic, deadline_mode;
static uint64_t count_per_tick; /* APIC counts per TSC tick, 32.32 fixed point */

static uint32_t reg_read(uint32_t reg)
{
	if (x2apic) {
		return (uint32_t)msr_read(MSR_X2APIC_FIRST + (reg >> 4));
	}
	return mmio_read32((uint8_t *)hpa_ptr(HPA(APIC_DEFAULT_BASE)) + reg);
}

static void reg_write(uint32_t reg, uint32_t v)
{
	if (x2apic) {
		msr_write(MSR_X2APIC_FIRST + (reg >> 4), v);
	} else {
		mmio_write32((uint8_t *)hpa_ptr(HPA(APIC_DEFAULT_BASE)) + reg, v);
	}
}

/* An NMI may come at any point, and its handler sends an IPI: it leaves the destination as it was. */
static void write_icr(uint32_t apic_id, uint32_t lo)
{
	uint32_t hi;

	if (x2apic) {
		msr_write(MSR_X2APIC_FIRST + (APIC_ICR_LO >> 4), ((uint64_t)apic_id << 32) | lo);
		return;
	}
	while ((reg_read(APIC_ICR_LO) & APIC_ICR_BUSY) != 0U) {
		;
	}
	hi = reg_read(APIC_ICR_HI);
	reg_write(APIC_ICR_HI, apic_id << 24);
	reg_write(APIC_ICR_LO, lo);
	reg_write(APIC_ICR_HI, hi);
}

void lapic_init_pcpu(void)
{
	uint64_t base = msr_read(MSR_APIC_BASE);

	/*
	 * Firmware may have switched already, and there is no way back but through a reset. The
	 * other CPUs follow the first.
	 */
	if (this_pcpu()->id == 0U) {
		x2apic = cap_has(CAP_X2APIC) || (base & APIC_BASE_X2APIC) != 0U;
	}
	deadline_mode = cap_has(CAP_TSC_DEADLINE);
	if ((base & APIC_BASE_ENABLE) == 0U) {
		msr_write(MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	}
	if (x2apic) {
		msr_write(MSR_APIC_BASE, base | APIC_BASE_ENABLE | APIC_BASE_X2APIC);
	} else if (this_pcpu()->id == 0U) {
		hostmm_map_uc(HPA(APIC_DEFAULT_BASE), PAGE_SIZE);
	}
	reg_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	reg_write(APIC_TPR, 0U);
	reg_write(APIC_LVT_LINT0, APIC_LVT_MASKED);
	reg_write(APIC_LVT_LINT1, APIC_DM(NMI));
	reg_write(APIC_LVT_ERROR, APIC_LVT_MASKED);
	reg_write(APIC_TDCR, 0xBU); /* divide by 1 */
	reg_write(APIC_LVT_TIMER,
		  VECTOR_TIMER | (deadline_mode ? APIC_TIMER_DEADLINE : APIC_TIMER_ONESHOT));
}

bool lapic_is_x2apic(void)
{
	return x2apic;
}

static bool any_bit(uint32_t first)
{
	uint32_t bits = 0U;

	for (uint32_t reg = first; reg < first + 0x80U; reg += 16U) {
		bits |= reg_read(reg);
	}
	return bits != 0U;
}

/*
 * Nothing can fire and nothing waits. An interrupt in IRR goes away only by being taken, and
 * irq_dispatch() drops it here. Others may still send: not for ever.
 */
static void quiesce(void)
{
	uint32_t max_lvt = (reg_read(APIC_VERSION) >> 16) & 0xFFU;

	for (uint32_t lvt = APIC_LVT_TIMER; lvt <= APIC_LVT_ERROR; lvt += 16U) {
		reg_write(lvt, APIC_LVT_MASKED); /* of the timer: disarms a TSC deadline too */
	}
	if (max_lvt >= 6U) {
		reg_write(APIC_LVT_CMCI, APIC_LVT_MASKED);
	}
	reg_write(APIC_TMICT, 0U);
	reg_write(APIC_SVR, APIC_SVR_ENABLE | VECTOR_SPURIOUS);
	reg_write(APIC_TPR, 0U);
	for (uint32_t i = 0U; i < 512U; i++) {
		if (any_bit(APIC_ISR)) {
			lapic_eoi();
		} else if (any_bit(APIC_IRR)) {
			irq_enable();
			cpu_relax();
			irq_disable();
		} else {
			break;
		}
	}
}

void lapic_give(void)
{
	atomic_set32(&this_pcpu()->lapic_owned, 1U);
	quiesce();
	reg_write(APIC_TDCR, 0U);
	reg_write(APIC_ESR, 0U);
	reg_write(APIC_ESR, 0U); /* the first write latched what had happened */
	reg_write(APIC_SVR, VECTOR_SPURIOUS);
}

void lapic_take_back(void)
{
	quiesce();
	atomic_set32(&this_pcpu()->lapic_owned, 0U);
	lapic_init_pcpu();
}

void lapic_eoi(void)
{
	reg_write(APIC_EOI, 0U);
}

void lapic_send_ipi(uint32_t apic_id, uint8_t vector)
{
	write_icr(apic_id, APIC_ICR_ASSERT | vector);
}

void lapic_send_nmi(uint32_t apic_id)
{
	write_icr(apic_id, APIC_ICR_ASSERT | APIC_DM(NMI));
}

void lapic_send_init(uint32_t apic_id)
{
	write_icr(apic_id, APIC_ICR_ASSERT | APIC_ICR_LEVEL | APIC_DM(INIT));
}

void lapic_send_sipi(uint32_t apic_id, uint8_t page)
{
	write_icr(apic_id, APIC_ICR_ASSERT | APIC_DM(SIPI) | page);
}

void lapic_timer_calibrate(void)
{
	uint64_t start, ticks;
	uint32_t counted;

	if (deadline_mode) {
		return;
	}
	reg_write(APIC_LVT_TIMER, APIC_LVT_MASKED);
	reg_write(APIC_TMICT, UINT32_MAX);
	start = rdtsc();
	udelay(1000U);
	counted = UINT32_MAX - reg_read(APIC_TMCCT);
	ticks = rdtsc() - start;
	count_per_tick = ((uint64_t)counted << 32) / ticks;
	if (count_per_tick == 0U) {
		panic("the local APIC's timer does not count");
	}
	reg_write(APIC_TMICT, 0U);
	reg_write(APIC_LVT_TIMER, VECTOR_TIMER | APIC_TIMER_ONESHOT);
}

/* A count that does not fit fires early; timer_run() then arms the rest. */
void lapic_timer_set(uint64_t deadline)
{
	uint64_t now, ticks;

	if (this_pcpu()->lapic_owned != 0U) {
		return;
	}
	if (deadline_mode) {
		msr_write(MSR_TSC_DEADLINE, deadline);
		return;
	}
	if (deadline == 0U) {
		reg_write(APIC_TMICT, 0U);
		return;
	}
	now = rdtsc();
	ticks = (deadline > now) ? MIN(deadline - now, (uint64_t)UINT32_MAX) : 1U;
	reg_write(APIC_TMICT,
		  (uint32_t)MIN(((ticks * count_per_tick) >> 32) + 1U, (uint64_t)UINT32_MAX));
}
