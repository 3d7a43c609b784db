/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_PCPU_H
#define HV_PCPU_H

#include "lib/types.h"
#include "hv/schedule.h"
#include "hv/timer.h"

struct vcpu;
struct cpu_tables;

#define PCPU_OFF     0U
#define PCPU_ONLINE  1U
#define PCPU_REFUSED 2U /* VMX is locked off on this one */

/* One physical CPU. GS base points here in root mode; only its own CPU writes it unless said. */
struct pcpu {
	struct pcpu *self; /* at 0: this_pcpu() is one load */
	uint16_t id;
	uint32_t apic_id;
	volatile uint32_t online; /* PCPU_*: written by the CPU itself, read by the BSP */
	struct vcpu *loaded;	  /* whose VMCS and register state this CPU holds, or NULL */
	struct runqueue rq;
	struct timer_queue timers;
	struct thread idle;
	/* smp_call: the caller fills its own three words, then sets its bit in the target's map */
	volatile uint64_t calls;
	void (*call_fn)(void *arg);
	void *call_arg;
	volatile uint32_t call_pending;
	/* TSC of the oldest kick this CPU has not noticed yet, 0: none; set by the kicker */
	volatile uint64_t kicked_at;
	volatile uint32_t nmi_kick; /* an NMI is on its way to this CPU that is a kick */
	/*
	 * A guest has this CPU's local APIC: what arrives there is the guest's. Root mode keeps interrupts
	 * off and polls, sets no timer, and is reached as pcpu_kick() says. Own CPU writes.
	 */
	volatile uint32_t lapic_owned;
	void (*idle_work)(void *arg); /* own CPU: for its idle loop to do once */
	void *idle_arg;
	uint8_t *stack_top;
	hpa_t vmxon_hpa;
	uint8_t *idt_stacks;
	struct cpu_tables *tables; /* cpu.c */
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

/* The page below 1 MB through which other CPUs start; 0 when there is none. */
hpa_t pcpu_trampoline(void);

/*
 * Make pCPU leave guest mode soon: an IPI, and an NMI when an earlier one has not been noticed for
 * a while (a guest that keeps interrupts off on a CPU that then holds back the exit). A CPU whose
 * local APIC a guest owns gets an INIT, which is an exit, or stays pending until one can be
 * (SDM 3C 24.8, 26.2); or an NMI, where INIT does not work so. Any CPU.
 */
void pcpu_kick(struct pcpu *p);
extern bool pcpu_kick_owned_by_nmi; /* set at boot */

/*
 * Run fn(arg) on pCPU `p` and wait for its end; at once when `p` is this CPU. Serves calls made to
 * this CPU while waiting. The caller holds no lock.
 */
void smp_call(struct pcpu *p, void (*fn)(void *arg), void *arg);

/*
 * Have fn(arg) run by the idle loop of this CPU, when no thread of it is runnable. One at a time.
 */
void pcpu_when_idle(struct pcpu *p, void (*fn)(void *arg), void *arg);

/* Run what others asked of this CPU by smp_call(). From the kick vector, NMI and idle. */
void smp_call_serve(void);

/*
 * For a lock whose holder may call this CPU, as that of a VM: calls are served while it is waited
 * for.
 */
static inline void spin_lock_serving(spinlock_t *l)
{
	while (!spin_trylock(l)) {
		smp_call_serve();
		cpu_relax();
	}
}

/* In root mode, while it waits: take what others want of this CPU, one round. */
void pcpu_poll(void);

#endif
