/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VM_MACHINE_H
#define VM_MACHINE_H

/*
 * What lies under vm.c and vcpu.c: a scheduler and VMX instructions that write down what they are
 * asked for. Threads never run; smp_call() calls at once, as the other CPU.
 */
#include <setjmp.h>

#include "lib/types.h"

struct vcpu;

#define VM_MACHINE_CPUS 4U

void vm_machine_reset(void);

extern jmp_buf vm_switched; /* where schedule() goes: it never returns to a stopped thread */

extern uint32_t vm_kicks[VM_MACHINE_CPUS];
extern uint32_t vm_threads;	/* bound by thread_init(), less those of thread_deinit() */
extern const struct vcpu *vm_switched_out, *vm_switched_in; /* whose registers, last */
extern uint32_t vm_wakes, vm_invvpids, vm_loads, vm_clears, vm_gps;

#endif
