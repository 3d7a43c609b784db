// SPDX-License-Identifier: BSD-3-Clause
/*
 * The end: the hypervisor's own invariant is broken. Says which one on serial and screen, in every
 * build, and stops all CPUs: no guest may run on under a hypervisor that no longer knows what it
 * does. Any CPU, any context; takes no lock, because its holder may be the one that broke.
 */
#include "hv/boot.h"
#include "hv/cpu.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "lib/atomic.h"
#include "lib/printf.h"

void (*panic_details)(void);

static volatile uint32_t panicking;

bool panic_in_progress(void)
{
	return panicking != 0U;
}

void panic(const char *fmt, ...)
{
	char text[200];
	va_list ap;

	if (atomic_cmpxchg32(&panicking, 0U, 1U)) {
		va_start(ap, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		report("ACRN: panic on CPU %u: %s", this_pcpu()->id, text);
		for (uint16_t i = 0U; pcpus != NULL && i < pcpu_count; i++) {
			if (&pcpus[i] != this_pcpu() && pcpus[i].online != 0U) {
				lapic_send_nmi(pcpus[i].apic_id);
			}
		}
		if (panic_details != NULL) {
			panic_details();
		}
	}
	cpu_halt_forever();
}
