// SPDX-License-Identifier: BSD-3-Clause
/*
 * A process that outlives the device model of an RTVM. Such a VM runs on whatever becomes of its
 * device model; but Linux's HSM driver forgets a VM when the last process that has it open ends,
 * and stumbles over what the hypervisor still knows.
 */
#ifndef DM_KEEPER_H
#define DM_KEEPER_H

struct vm;

/*
 * Main thread, when the hypervisor has made the VM and before there is another thread or memory of
 * the guest. 0 or a negative errno; does nothing for other VMs.
 */
int keeper_create(struct vm *vm);

/* What the process does when we are gone. Returns when the VM has powered itself off. */
void keeper_serve(const struct vm *vm);

/* The VM is no more: ends the process. Without it the process takes over when we end. */
void keeper_destroy(struct vm *vm);

#endif
