/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HV_INST_H
#define HV_INST_H

#include "lib/types.h"

struct vcpu;

/*
 * The instruction decoder for MMIO exits. inst_emulate() reads the instruction at the guest's RIP
 * once, decodes it, performs its single access to `gpa` through vio_dispatch() and writes the
 * result back to registers, flags or memory. It ends with vcpu_skip(), or with an injected fault
 * (#UD for what it does not know, with one log line).
 */
void inst_emulate(struct vcpu *vcpu, gpa_t gpa, bool write);

#endif
