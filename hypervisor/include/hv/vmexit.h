/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VMEXIT_H
#define HV_VMEXIT_H

#include "lib/types.h"

struct vcpu;

/*
 * One VM exit reason's handler. It ends by skipping the instruction (vcpu_skip), by injecting an
 * event, or by leaving RIP where it is, in view.
 */
typedef void (*vmexit_fn)(struct vcpu *vcpu);

struct vmexit_entry {
	uint32_t reason;
	vmexit_fn fn;
};

/* At the bottom of the file that implements it; `grep -rn '^VMEXIT('` prints the table. */
#define VMEXIT(reason_, fn_)                                                                       \
	static const struct vmexit_entry vmexit_##reason_ __used __section("hv_vmexits")           \
		__aligned(8) = {.reason = (reason_), .fn = (fn_)}

/* Copies the registrations into the plain table; two for one reason panic. */
void vmexit_init(void);

/* Put fn in front of a handler, at boot only; returns the one it has to call on. */
vmexit_fn vmexit_replace(uint32_t reason, vmexit_fn fn);

/* Debug builds: called before the coming entry, if set; `start` is the host TSC of the exit. */
extern void (*vmexit_account)(struct vcpu *vcpu, uint32_t reason, uint64_t start);

/* entry.S calls it on every exit and enters the guest again when it returns. */
void vmexit_handle(struct vcpu *vcpu);

#endif
