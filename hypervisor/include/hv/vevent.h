/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VEVENT_H
#define HV_VEVENT_H

#include "lib/types.h"

struct vcpu;

/*
 * Exceptions, NMIs and interrupted deliveries (SDM 3A 6.15, 3C 27.2.4); injecting them is
 * vcpu_inject*() of vcpu.h. Own CPU, VMCS loaded.
 */

/*
 * Called first for the exits that can cut the delivery of an event to the guest: if one was cut, it
 * will be delivered again.
 */
void vevent_idt_vectoring(struct vcpu *vcpu);

/*
 * Before VM entry, for the bits REQ_EXCEPTION, REQ_NMI and REQ_REINJECT of `reqs` (already taken
 * out of vcpu->requests): write the entry event. Runs before vintr->inject, which leaves a valid
 * VMCS_ENTRY_INTR_INFO alone.
 */
void vevent_prepare(struct vcpu *vcpu, uint64_t reqs);

#endif
