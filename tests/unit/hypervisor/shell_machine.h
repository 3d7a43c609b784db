/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHELL_MACHINE_H
#define SHELL_MACHINE_H

#include "lib/types.h"

/*
 * What the shell's commands ask about, for its unit test and its fuzz target: two CPUs; RAM from
 * 1 MB to 2 MB, in which each byte is the low byte of its address, and a reserved range behind; VM 0
 * without anything, VM 1 with two vCPUs, one page of memory at 0x1000 full of 'a', an IOAPIC.
 */
void shell_machine_boot(void); /* once */
void shell_machine_reset(void);

/* The line and Enter; all that comes out until the shell has no more to say. */
const char *shell_machine_type(const char *line);
/* The same without waiting for the rest, which shell_machine_drain() gives. */
const char *shell_machine_start(const char *line);
const char *shell_machine_drain(void);

void shell_machine_busy(bool busy); /* somebody has VM 1's lock */
void shell_machine_report(const char *text);
void shell_machine_log(const char *line);
const char *shell_machine_last_words(void); /* what a panic prints of the log, ";" behind a line */

extern const void *shell_machine_loaded; /* the vCPU whose VMCS is current */
extern uint32_t shell_machine_called;	 /* calls of other CPUs */
extern uint32_t shell_machine_resets;

#endif
