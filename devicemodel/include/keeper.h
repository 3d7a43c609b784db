// SPDX-License-Identifier: BSD-3-Clause
/*
 * A process that makes the VM, and outlives a device model that is killed. Linux's HSM driver
 * cannot make half a VM: it has a "BUG" in the log if the caller is killed meanwhile. And it ends a
 * VM when the last process that has it open ends, whenever that is; but VMs have to end in turn
 * (hsm_destroy_vm()), and an RTVM does not end.
 */
#ifndef DM_KEEPER_H
#define DM_KEEPER_H

struct acrn_vm_creation;
struct vm;

/*
 * Main thread, before there is another thread: hsm_create_vm() by the process, which then waits for
 * our end. 0 or a negative errno.
 */
int keeper_create(struct vm *vm, struct acrn_vm_creation *req);

/* What the process does when we are gone. Returns when the VM has ended. */
void keeper_serve(const struct vm *vm);

/* The VM is no more: ends the process. Without it the process takes over when we end. */
void keeper_destroy(struct vm *vm);

#endif
