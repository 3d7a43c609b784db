/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_TIMER_H
#define HV_TIMER_H

#include "lib/list.h"

/*
 * One-shot timers of one pCPU, by TSC. All calls on the pCPU the timer was armed on; the handler
 * runs there in root mode, interrupts off, and may arm its timer again.
 */
struct timer {
	struct list node;
	uint64_t deadline; /* host TSC */
	void (*fn)(struct timer *t);
};

struct timer_queue {
	struct list head; /* sorted, earliest first */
	uint64_t programmed; /* deadline the APIC holds, 0: none */
};

void timer_init(struct timer *t, void (*fn)(struct timer *t));

/* Fire when the host TSC reaches `deadline` (at once if it has). Re-arms an armed timer. */
void timer_arm(struct timer *t, uint64_t deadline);
void timer_cancel(struct timer *t);
bool timer_armed(const struct timer *t);

/* Per-pCPU start, and the timer interrupt's work. */
void timer_init_pcpu(void);
void timer_run(void);

/* TSC frequency, calibrated once at boot. */
uint32_t tsc_khz(void);
void tsc_calibrate(void);

/* This CPU's TSC counts from power-on, like the others': IA32_TSC_ADJUST is 0. Before any timer. */
void tsc_init_pcpu(void);
uint64_t us_to_tsc(uint64_t us);
uint64_t tsc_to_us(uint64_t ticks);
void udelay(uint32_t us);

#endif
