/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_VMX_INSN_H
#define ASM_VMX_INSN_H

/* VMREAD and VMWRITE of the fake machine's one VMCS, a plain array (tests/fake/fake_machine.c). */
#include "lib/types.h"

uint64_t vmcs_read(uint32_t field);
uint32_t vmcs_read32(uint32_t field);
void vmcs_write(uint32_t field, uint64_t v);

#endif
