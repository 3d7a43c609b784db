/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_VMX_INSN_H
#define ASM_VMX_INSN_H

/*
 * VMREAD and VMWRITE of the current VMCS. A field that does not exist reads as 0 and its write is
 * lost: which fields exist is settled at boot by the capability table, so that the exit path need
 * not look at the flags. Unit tests replace this file by tests/fake/include/asm/vmx_insn.h.
 */
#include "lib/types.h"

static inline uint64_t vmcs_read(uint32_t field)
{
	uint64_t v;

	__asm__ volatile("vmread %1, %0" : "=r"(v) : "r"((uint64_t)field) : "cc");
	return v;
}

static inline uint32_t vmcs_read32(uint32_t field)
{
	return (uint32_t)vmcs_read(field);
}

static inline void vmcs_write(uint32_t field, uint64_t v)
{
	__asm__ volatile("vmwrite %1, %0" ::"r"((uint64_t)field), "r"(v) : "cc", "memory");
}

#endif
