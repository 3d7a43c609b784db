// SPDX-License-Identifier: BSD-3-Clause
/*
 * The state in which a kernel is entered that wants 32-bit protected mode without paging: flat
 * segments, interrupts off. Shared by the loaders, called at boot before the VM runs; writes the
 * guest's descriptor table and the caller's struct only. Takes no lock.
 */
#include "asm/cpuregs.h"
#include "hv/gmem.h"
#include "hv/load.h"
#include "lib/string.h"

#define BOOT_CS 0x10U
#define BOOT_DS 0x18U

/* Access rights in VMCS format (SDM 3C table 25-2) */
#define AR_CODE32	0xC09BU
#define AR_DATA32	0xC093U
#define AR_TSS_BUSY	0x008BU
#define AR_LDT_UNUSABLE 0x10082U

static const uint64_t boot_gdt[LOAD_GDT_SIZE / 8U] = {0U, 0U, 0x00CF9B000000FFFFU,
						      0x00CF93000000FFFFU};

int load_entry(struct vm *vm, uint64_t rip, uint64_t gdt, struct vcpu_start *start)
{
	(void)memset(start, 0, sizeof(*start));
	start->rip = rip;
	start->rflags = RFLAGS_FIXED;
	start->cr0 = CR0_PE | CR0_ET | CR0_NE;
	start->gdt_base = gdt;
	start->gdt_limit = sizeof(boot_gdt) - 1U;
	for (uint32_t i = 0U; i < 6U; i++) {
		start->seg[i].limit = UINT32_MAX;
		start->seg[i].ar = (i == 1U) ? AR_CODE32 : AR_DATA32;
		start->seg[i].sel = (i == 1U) ? BOOT_CS : BOOT_DS;
	}
	start->seg[6].ar = AR_LDT_UNUSABLE;
	start->seg[7].ar = AR_TSS_BUSY;
	start->seg[7].limit = 0x67U;
	return gmem_write(vm, GPA(gdt), boot_gdt, sizeof(boot_gdt));
}
