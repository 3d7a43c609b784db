/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_PCPU_H
#define HV_PCPU_H

#include "lib/types.h"
#include "hv/schedule.h"
#include "hv/timer.h"

struct vcpu;

/* One physical CPU. GS base points here in root mode; only its own CPU writes it unless said. */
struct pcpu {
	struct pcpu *self; /* at 0: this_pcpu() is one load */
	uint16_t id;
	uint32_t apic_id;
	volatile uint32_t online; /* written by the CPU itself, read by the BSP */
	struct vcpu *loaded;	  /* whose VMCS and register state this CPU holds, or NULL */
	struct runqueue rq;
	struct timer_queue timers;
	volatile uint64_t calls; /* smp_call: one bit a calling CPU, set by that CPU */
	uint8_t *stack_top;
	hpa_t vmxon_hpa;
	uint8_t *idt_stacks;
	uint64_t ctx[16]; /* GDT and TSS of this CPU, see cpu.c */
};

extern struct pcpu *pcpus; /* pcpu_count of them, ids 0.. in MADT order, the BSP is 0 */
extern uint16_t pcpu_count;

#ifndef UNIT_TEST
static inline struct pcpu *this_pcpu(void)
{
	struct pcpu *p;

	__asm__("mov %%gs:0, %0" : "=r"(p));
	return p;
}
#else
struct pcpu *this_pcpu(void);
#endif

/* pCPU with this APIC id, or NULL. */
struct pcpu *pcpu_by_apic_id(uint32_t apic_id);

/* Make pCPU leave guest mode soon (an IPI; the second, harder kick is an NMI). Any CPU. */
void pcpu_kick(struct pcpu *p);

/*
 * Run fn(arg) on pCPU `p` and wait for its end; at once when `p` is this CPU. Serves calls made to
 * this CPU while waiting. The caller holds no lock.
 */
void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg);

/* Run what others asked of this CPU by smp_call(). From the kick vector, NMI and idle. */
void smp_call_serve(void);

#endif
