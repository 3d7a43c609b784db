/* SPDX-License-Identifier: BSD-3-Clause */
/* What the parts of the 32-bit kernel have of each other. */
#ifndef KERNEL32_H
#define KERNEL32_H

#include "legacy.h"

/* What an interrupted piece of code goes on with. */
struct frame {
	uint32_t edi, esi, ebp, esp, ebx, edx, ecx, eax, vector, error, eip, cs, eflags;
};

/* The exception that TRY() raised, plus one; 0: none. With its error code and CR2. */
extern volatile uint32_t seen_vector, seen_error, seen_address, resume_at, resume_stack;
/* Who gets vectors 32 to 63; NULL: they are wrong. Returns the frame to go on with. */
extern struct frame *(*on_interrupt)(struct frame *frame);

/*
 * Runs an instruction that may fault; goes on behind it, with the stack as it was: in Bochs with
 * several processors a fault that a VM exit cuts short happens again, and leaves its frame there.
 */
#define TRY(insn, input)                                                                           \
	do {                                                                                       \
		seen_vector = 0U;                                                                  \
		__asm__ volatile("movl $1f, resume_at\n\tmovl %%esp, resume_stack\n\t" insn        \
				 "\n1:\tmovl resume_stack, %%esp"                                  \
				 :                                                                 \
				 : input                                                           \
				 : "memory", "cc", "eax", "ecx");                                  \
		resume_at = 0U;                                                                    \
	} while (0)

void idt_init(void);
void check_modes(uint32_t free_memory); /* 8 pages from there on are its to use */
void check_interrupts(void);
void check_pci(void);
void check_tasks(void);
_Noreturn void acpi_power_off(void);
void acpi_reset(void);
void jump_to_task(void);

#endif
