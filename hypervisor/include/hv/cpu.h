/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_CPU_H
#define HV_CPU_H

#include "lib/types.h"

struct pcpu;

/* GDT, TSS and IDT of the boot CPU on static memory, so that a fault can be shown. */
void cpu_init_boot(void);

/* Control registers, GDT, TSS with its interrupt stacks, GS base: this CPU, for good. */
void cpu_init_tables(struct pcpu *p);

/* Find the processors (MADT, else just this one), before boot memory is sized. */
void pcpu_discover(void);

/* Allocate pcpus[] and make this CPU pcpus[0]. */
void pcpu_alloc(void);

/* Start the other CPUs one after the other; one that does not come is left out with a line. */
void pcpu_start_all(void);

/* Where a started CPU ends up: VMX on, then its idle thread for ever. */
void pcpu_run(void) __noreturn;

void cpu_halt_forever(void) __noreturn;

/* Host selectors, also of the VMCS host state. */
#define SEL_CODE 0x08U
#define SEL_DATA 0x10U
#define SEL_TSS	 0x18U

void cpu_alloc_tables(struct pcpu *p); /* boot memory; before cpu_init_tables() */
uint64_t cpu_tss_base(const struct pcpu *p);
uint64_t cpu_gdt_base(const struct pcpu *p);
uint64_t cpu_idt_base(void);

/* Frame idt.S builds; the order is that of its pushes. */
struct intr_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* exception.c, from idt.S: an exception in root mode, or an interrupt taken by the idle loop. */
void exception_entry(struct intr_frame *f);

/* Set by an extension that takes faults of root mode: true if all can go on at f->rip. */
extern bool (*exception_expected)(struct intr_frame *f);

/* An NMI was taken as a VM exit: a hard kick, or the machine's own, which the guest gets. */
void nmi_exit(void);

#endif
