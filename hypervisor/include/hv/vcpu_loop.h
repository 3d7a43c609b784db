/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VCPU_LOOP_H
#define HV_VCPU_LOOP_H

struct vcpu;

/* A vCPU's thread: from its creation to its first VM entry; `arg` is the vCPU. */
void vcpu_loop_start(void *arg);

/* Do what vcpu->requests asks for, until nothing is left: between an exit and the next entry. */
void vcpu_loop_serve(struct vcpu *vcpu);

#endif
