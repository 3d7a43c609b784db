/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VMX_VMCS_PARTS_H
#define VMX_VMCS_PARTS_H

struct vcpu;

/* The parts that vmcs_init() is made of, private to this folder. The VMCS is loaded. */
void vmcs_init_controls(struct vcpu *vcpu);
void vmcs_init_host(struct vcpu *vcpu);

#endif
