/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Between the parts of the wild guest: wild_modes.S runs code in any mode of the processor,
 * wild_attack.c holds what only a VM has to stand.
 */
#ifndef WILD_H
#define WILD_H

#include <stddef.h>

#include "guest.h"

#define BIT(n) (1UL << (n))
#define MODES  12U

/* RAX RCX RDX RBX RSP RBP RSI RDI, before and after; how the code ended. */
extern volatile uint64_t mode_in[8], mode_out[8];
extern volatile uint64_t mode_vector, mode_error, mode_rip, mode_rflags, mode_cr2;
extern volatile uint64_t mode_kind, mode_flags, mode_cr3, mode_cr4;
extern uint64_t mode_idt64[512], mode_idt32[32];
extern const char entries64[], entries32[];

void mode_init(void);
void mode_run(void);
extern const char nmi_entry[];
/* Copies the code to where each mode can run it, with a UD2 behind it, and runs it. */
void run_code(uint32_t mode, const uint8_t *code, size_t len, uint64_t flags);

#define SS_HERE 0x5353U /* in place of RDX: the selector in SS */

struct op {
	const char *name;
	const char *code;
	size_t len;
	uint32_t modes; /* not to be tried, a bit each */
	uint32_t rax, rcx, rdx;
	uint64_t flags;
	bool value; /* RAX afterwards is compared, too */
};

extern const struct op ops[];
extern const size_t op_count;

/* Where memory at this physical address, above 4 GB, is seen until the next call. */
uint64_t high_window(uint64_t gpa);
/* From now on user code reaches only its own pages, and those of devices. */
void user_owns_devices(void);
/* NMIs come and go. */
void nmi_ignore(void);

void attack(const void *boot_params);

#endif
