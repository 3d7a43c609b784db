/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ASM_CPUID_H
#define ASM_CPUID_H

#include "asm/insn.h"

enum cpuid_register { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };

/* A register of a leaf of this CPU; 0 where there is no such leaf. */
static inline uint32_t cpuid_reg(uint32_t leaf, uint32_t sub, enum cpuid_register reg)
{
	uint32_t r[4];

	cpuid_count(leaf & 0x80000000U, 0U, r);
	if (r[CPUID_EAX] < leaf) {
		return 0U;
	}
	cpuid_count(leaf, sub, r);
	return r[reg];
}

#endif
