// SPDX-License-Identifier: BSD-3-Clause
/* The power of the machine that the User VM is. */
#ifndef DM_PM_H
#define DM_PM_H

struct vm;

/*
 * The guest gets the event of its ACPI power button, and does with it what it is set up to do.
 * -EOPNOTSUPP: it has not enabled the event. Any thread.
 */
int pm_press_power_button(struct vm *vm);

/* The guest has switched itself off. I/O request thread. */
void pm_power_off(struct vm *vm);

#endif
