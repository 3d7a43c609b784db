// SPDX-License-Identifier: BSD-3-Clause
/* --dry-run: the whole machine is built, but for the hypervisor's part, shown and taken down. */
#ifndef DM_DRY_RUN_H
#define DM_DRY_RUN_H

struct vm;

/*
 * After vm_create(): load the kernel, print the machine on standard output, vm_destroy(). Returns
 * the exit status of the program.
 */
int dry_run(struct vm *vm);

#endif
