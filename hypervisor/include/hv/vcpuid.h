/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VCPUID_H
#define HV_VCPUID_H

#include "lib/types.h"

struct vcpu;

/* What the guest reads (EAX, EBX, ECX, EDX); also for other hypervisor code. Own CPU. */
void vcpuid_get(struct vcpu *vcpu, uint32_t leaf, uint32_t sub, uint32_t r[4]);

/* Bits the guest may set in CR4, EFER, XCR0 as its CPUID says. */
uint64_t vcpuid_cr4_allowed(struct vcpu *vcpu);
uint64_t vcpuid_xcr0_allowed(struct vcpu *vcpu);

#endif
