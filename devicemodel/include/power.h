// SPDX-License-Identifier: BSD-3-Clause
/*
 * The end of a VM's run, or of one of its lives. A device or a signal requests;
 * vm_run() acts at its next turn, after the access that requested is complete.
 */
#ifndef DM_POWER_H
#define DM_POWER_H

struct vm;

enum power_action { POWER_NONE, POWER_OFF, POWER_RESET };

int power_create(struct vm *vm);
void power_destroy(struct vm *vm);

/*
 * Any thread. POWER_OFF wins over POWER_RESET, the first POWER_OFF over later
 * ones. status is what the program will exit with (used by POWER_OFF).
 */
void power_request(struct vm *vm, enum power_action action, int status);

/* The request under way, not consumed; cheap, for the I/O loop. */
enum power_action power_pending(const struct vm *vm);

/* Consume a POWER_RESET; a POWER_OFF stays. */
void power_reset_done(struct vm *vm);
int power_status(const struct vm *vm);

#endif
