/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VCR_H
#define HV_VCR_H

#include "lib/types.h"

struct vm;
struct vcpu;
struct vcpu_start;

/*
 * Guest control registers and EFER (SDM 3A 2.5, 3C 24.6.6, 27.3.1.1). All on the vCPU's own pCPU
 * with its VMCS loaded.
 */

/* Write CR0, CR3, CR4, EFER, their masks and shadows, and the IA-32e entry control from *start. */
void vcr_reset(struct vcpu *vcpu, const struct vcpu_start *start);

/* What the guest reads: VMCS value and shadow merged by the mask. */
uint64_t vcr_cr0(void);
uint64_t vcr_cr4(void);
uint64_t vcr_efer(void);

/* The guest is in 64-bit mode: EFER.LMA and CS.L. */
bool vcr_is_64bit(void);

/* MOV to CRn, WRMSR EFER and WRMSR PAT. -EINVAL: #GP(0), nothing changed. */
int vcr_set_cr0(struct vcpu *vcpu, uint64_t val);
int vcr_set_cr4(struct vcpu *vcpu, uint64_t val);
int vcr_set_efer(struct vcpu *vcpu, uint64_t val);
int vcr_set_pat(struct vcpu *vcpu, uint64_t val);

#endif
