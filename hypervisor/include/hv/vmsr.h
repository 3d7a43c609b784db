/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VMSR_H
#define HV_VMSR_H

#include "lib/types.h"

struct vm;
struct vcpu;

/*
 * An emulated MSR range; registered at the bottom of the file that implements it. read and write
 * return 0, or -EINVAL for #GP(0). NULL means #GP. `msr` is the number accessed.
 */
struct msr_range {
	uint32_t first, last;
	int (*read)(struct vcpu *vcpu, uint32_t msr, uint64_t *val);
	int (*write)(struct vcpu *vcpu, uint32_t msr, uint64_t val);
};

#define VMSR(name_) static const struct msr_range vmsr_##name_ __used __section("hv_vmsrs") __aligned(8)

/* Change what exits for this VM: used by vapic/ for the x2APIC registers APICv serves itself. */
void vmsr_intercept(struct vm *vm, uint32_t msr, bool read, bool write);

#endif
