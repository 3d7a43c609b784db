/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_VEVENT_H
#define HV_VEVENT_H

#include "lib/types.h"

struct vcpu;

/*
 * Exceptions, NMIs and interrupted deliveries (SDM 3A 6.15, 3C 27.2.4); injecting them is
 * vcpu_inject*() of vcpu.h. Own CPU, VMCS loaded.
 */

/* An exit came while `info` (valid VMCS_IDT_VECTORING_INFO) was being delivered: deliver it again. */
void vevent_idt_vectoring(struct vcpu *vcpu, uint32_t info);

/*
 * Before VM entry, when REQ_EXCEPTION, REQ_NMI or REQ_REINJECT is set: write the entry event.
 * Runs before vintr->inject, which leaves a valid VMCS_ENTRY_INTR_INFO alone.
 */
void vevent_prepare(struct vcpu *vcpu);

#endif
