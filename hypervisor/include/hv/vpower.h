/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VPOWER_H
#define HV_VPOWER_H

#include "lib/types.h"

struct io_access;
struct vm;

/* Ways to reset: a pulse of the keyboard controller, and the chipset's register. */
#define PORT_KBD_CMD 0x64U
#define KBD_RESET    0xFEU
#define PORT_RESET   0xCF9U
#define RESET_CPU    0x04U

#define PM1_SLP_EN BIT32(13)
#define S5_UNKNOWN 0xFFU /* acpi_facts.s5_typ: the firmware does not tell it */

/*
 * Reset the whole machine from this CPU, in root mode, and never return; `who` is told. `how`: a
 * guest's write of a port that shall do it, tried first, or NULL.
 */
void vpower_reset_machine(const char *who, struct io_access *how);

/* The access to a port, done on the machine's own. */
void vpower_pass(struct io_access *io);

/* A pre-launched VM that is between two lives runs as well: it is gone when it has ended. */
bool vpower_runs(const struct vm *vm);

/* A VM has ended. True: a VM wants the machine's end otherwise than by power-off. NULL: none. */
extern bool (*vpower_wanted)(void);

#endif
