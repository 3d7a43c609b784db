// SPDX-License-Identifier: BSD-3-Clause
/*
 * Host interrupt vectors and their handlers. An interrupt that arrives while a guest runs comes
 * here from the external-interrupt exit, one that ends the idle loop's halt from exception.c; both
 * with interrupts off. The table is written before a vector can fire, so dispatch takes no lock;
 * the allocator has one of its own.
 */
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/trace.h"
#include "lib/atomic.h"
#include "lib/errno.h"
#include "lib/kconfig.h"

struct irq_slot {
	irq_handler_t fn;
	void *arg;
};

static struct irq_slot slots[256];
static uint64_t allocated[4];
static uint32_t counts[CONFIG_MAX_PCPU_NUM][256]; /* debug builds */

void irq_register(uint8_t vector, irq_handler_t fn, void *arg)
{
	slots[vector].arg = arg;
	__atomic_store_n(&slots[vector].fn, fn, __ATOMIC_RELEASE);
}

int irq_alloc_vector(void)
{
	for (uint32_t v = VECTOR_DYN_FIRST; v <= VECTOR_DYN_LAST; v++) {
		if (!atomic_set_bit(allocated, v)) {
			return (int)v;
		}
	}
	return -ENOSPC;
}

void irq_free_vector(uint8_t vector)
{
	__atomic_store_n(&slots[vector].fn, NULL, __ATOMIC_RELEASE);
	(void)atomic_clear_bit(allocated, vector);
}

void irq_dispatch(uint8_t vector)
{
	const struct irq_slot *s = &slots[vector];
	irq_handler_t fn = s->fn;

	trace(TRACE_IRQ, vector, 0U);
	if (IS_ENABLED(CONFIG_DEBUG)) {
		counts[this_pcpu()->id][vector]++;
	}
	if (vector != VECTOR_SPURIOUS) {
		lapic_eoi();
	}
	/* What a guest's APIC still held when it was taken away is nobody's any more. */
	if (fn != NULL && this_pcpu()->lapic_owned == 0U) {
		fn(vector, s->arg);
	}
}

uint32_t irq_count(uint16_t cpu, uint8_t vector)
{
	return counts[cpu][vector];
}

static void kick_interrupt(uint8_t vector, void *arg)
{
	(void)vector;
	(void)arg;
	smp_call_serve();
}

void irq_init(void)
{
	irq_register(VECTOR_KICK, kick_interrupt, NULL);
}
