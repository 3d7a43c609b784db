/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VLAPIC_H
#define HV_VLAPIC_H

#include "lib/types.h"

struct vm;
struct vcpu;

/* vapic/: virtual local APICs. Only vapic/ and the build with CONFIG_VAPIC name these. */
extern const struct vintr_ops vlapic_vintr_ops;

/* Post a vector to one vCPU: edge or level. Any CPU. */
void vlapic_post(struct vcpu *vcpu, uint8_t vector, bool level);

/* Register access by xAPIC offset (0-0xFF0) for the MMIO, x2APIC MSR and APIC-write paths. */
int vlapic_read(struct vcpu *vcpu, uint32_t offset, uint64_t *val);  /* -EINVAL: #GP in x2APIC */
int vlapic_write(struct vcpu *vcpu, uint32_t offset, uint64_t val);

/* IA32_APIC_BASE and IA32_TSC_DEADLINE as the guest sees them. -EINVAL: #GP. */
uint64_t vlapic_get_base(struct vcpu *vcpu);
int vlapic_set_base(struct vcpu *vcpu, uint64_t val);
uint64_t vlapic_get_deadline(struct vcpu *vcpu);
void vlapic_set_deadline(struct vcpu *vcpu, uint64_t tsc);

#endif
