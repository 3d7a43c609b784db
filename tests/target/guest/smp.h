/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The processors of the SMP guest: they start, halt, count the vectors they get, and run what the
 * first one asks them to. The matrix (smp.c) sends, and compares counts.
 */
#ifndef SMP_H
#define SMP_H

#include "guest.h"

#define MAX_CPUS 16U
#define ORDER	 16U /* the last vectors that came, by `total` */

#define XAPIC	    0xfee00000UL
#define APIC_ID	    0x20U
#define APIC_TPR    0x80U
#define APIC_LDR    0xd0U
#define APIC_DFR    0xe0U
#define APIC_ISR    0x100U
#define APIC_ESR    0x280U
#define APIC_ICR_HI 0x310U
#define APIC_TIMER_COUNT 0x380U

#define ICR_LOWEST   0x100U
#define ICR_SMI	     0x200U
#define ICR_RESERVED 0x300U
#define ICR_NMI	     0x400U
#define ICR_INIT     0x500U
#define ICR_STARTUP  0x600U
#define ICR_LOGICAL  0x800U
#define ICR_ASSERT   0x4000U
#define ICR_LEVEL    0x8000U
#define ICR_SELF     0x40000U
#define ICR_ALL	     0x80000U
#define ICR_OTHERS   0xc0000U

/* Vectors: a call comes through whatever the TPR is, a barrier behind all others. */
#define VECTOR_BARRIER 0x30U
#define VECTOR_CALL    0xf0U
#define VECTOR_STRAY   0xffU /* spurious */

#define PAGE_A 0x8000U /* where processors start */
#define PAGE_B 0x9000U

struct state {
	uint32_t eax, ecx, device, ram;
};

struct cpu {
	struct cpu *self; /* at GS:0 */
	uint32_t index, id;
	volatile uint32_t starts, page;
	volatile uint32_t got[256]; /* by vector; 2: NMIs */
	volatile uint32_t total;    /* all but spurious ones, which Bochs adds: doc/CAVEATS.md */
	volatile uint8_t order[ORDER];
	void (*volatile task)(struct cpu *c); /* run with interrupts on when it is next woken */
	volatile uint32_t tasks;
	volatile uint32_t loops; /* smp_rt.c */
	volatile uint32_t calls;
	void (*volatile fn)(struct cpu *c, uint32_t arg);
	volatile uint32_t arg;
	/* What the APIC had when the processor started. */
	volatile uint32_t svr, tpr, ldr, isr;
	volatile uint64_t base;
	uint64_t seed;
	struct state odd; /* the last result that no instruction has */
};

extern struct cpu cpus[MAX_CPUS];
extern uint32_t cpu_count;

/* Own processor's APIC, in the mode it is in. */
uint32_t apic_read(uint32_t reg);
void apic_write(uint32_t reg, uint32_t value);
bool apic_is_x2(void);
void icr_send(uint32_t dest, uint32_t low);

/* Starts all that can be found. */
void cpus_start(void);
/* Runs `fn` on a processor, its interrupts off; waits for its end unless it does not return. */
bool cpu_call(struct cpu *c, void (*fn)(struct cpu *c, uint32_t arg), uint32_t arg);
void cpu_call_no_return(struct cpu *c, void (*fn)(struct cpu *c, uint32_t arg), uint32_t arg);
/* Own processor. */
void x2apic_enter(struct cpu *c, uint32_t arg);
/* What a processor does when it has started, if not NULL. */
extern void (*volatile cpu_first_task)(struct cpu *c);
/* Waits until `*value` is `wanted`. */
bool wait_for(const volatile uint32_t *value, uint32_t wanted);
/* True once all that was sent before has arrived at all processors of the mask. */
bool cpus_barrier(uint32_t mask);

/* smp_race.c: the word is in the command line; what it asks for, for ever. */
bool smp_asked(const void *boot_params, const char *word);
void smp_race(void);
void smp_fault(void);
/* smp_rt.c: work as a VM does it that owns its local APICs; powers off. */
void smp_rt(bool is_long);
/* smp_rewrite.c: false if something was done that no instruction does. Needs two processors. */
bool smp_rewrite(void);
/* And if an access across the end of a page does not reach both, a device's and memory. */
bool smp_across(void);

#endif
