// SPDX-License-Identifier: BSD-3-Clause
/*
 * The host's own page tables: all memory 1:1, nothing both writable and executable. Built once at
 * boot on the boot CPU from 1 GB and 2 MB pages, 4 KB only around the image; every CPU loads the
 * same root. Not changed after boot, so there is no lock and no shoot-down. MMIO is mapped like
 * RAM: the firmware's MTRRs make it uncached (SDM 3A table 11-7), except what hostmm_map_uc() names.
 */
#include "asm/cpuregs.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/caps.h"
#include "hv/image.h"
#include "hv/log.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "hv/pgtable.h"

#define CPUID_ADDRESS_SIZES 0x80000008U
#define PTE_P	BIT(0)
#define PTE_W	BIT(1)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A	BIT(5)
#define PTE_D	BIT(6)
#define PTE_PS	BIT(7)
#define PTE_NX	BIT(63)

static void *table_get(void)
{
	return boot_alloc(PAGE_SIZE, PAGE_SIZE);
}

/* Tables that a larger page replaces stay unused: boot memory is never given back. */
static void table_put(void *page)
{
	(void)page;
}

static struct pgtable_format host_format = {
	.present = PTE_P,
	.table = PTE_P | PTE_W,
	.large = PTE_PS,
	.max_level = 1U,
	.page_get = table_get,
	.page_put = table_put,
};

struct pgtable hostmm_tables;
static uint64_t no_exec;

static void map(uint64_t base, uint64_t end, uint64_t attr)
{
	if (pgtable_map(&hostmm_tables, base, base, end - base, PTE_P | PTE_A | PTE_D | attr) != 0) {
		panic("host mapping of 0x%lx-0x%lx failed", base, end);
	}
}

void hostmm_init(void)
{
	uint64_t start = ptr_hpa(hv_start).v, text_end = ptr_hpa(hv_text_end).v;
	uint64_t rodata_end = ptr_hpa(hv_rodata_end).v;
	uint64_t top = ALIGN_UP(MAX(e820_top(&host_e820), GB(4)), PAGE_SIZE_1G);

	no_exec = cap_has(CAP_NX) ? PTE_NX : 0U;
	host_format.max_level = cap_has(CAP_1G_PAGES) ? 2U : 1U;
	if (pgtable_init(&hostmm_tables, &host_format) != 0) {
		panic("no page for the host's page table");
	}
	map(0U, top, PTE_W | no_exec);
	map(start, text_end, 0U);
	map(text_end, rodata_end, no_exec);
	if (pcpu_trampoline().v != 0U) {
		map(pcpu_trampoline().v, pcpu_trampoline().v + PAGE_SIZE, 0U);
	}
}

uint64_t hostmm_limit(void)
{
	uint32_t r[4];

	cpuid_count(CPUID_ADDRESS_SIZES, 0U, r);
	return BIT(r[0] & 0x3FU);
}

void hostmm_map_uc(hpa_t base, size_t size)
{
	uint64_t start = ALIGN_DOWN(base.v, PAGE_SIZE);

	map(start, ALIGN_UP(base.v + size, PAGE_SIZE), PTE_W | PTE_PWT | PTE_PCD | no_exec);
	cpu_invlpg(hpa_ptr(base));
}

uint64_t hostmm_root(void)
{
	return ptr_hpa(hostmm_tables.root).v;
}

void hostmm_enable(void)
{
	uint64_t cr4 = read_cr4();

	if (cap_has(CAP_NX)) {
		msr_write(MSR_EFER, msr_read(MSR_EFER) | EFER_NXE);
	}
	cr4 |= CR4_PGE;
	cr4 |= cap_has(CAP_SMEP) ? CR4_SMEP : 0U;
	cr4 |= cap_has(CAP_SMAP) ? CR4_SMAP : 0U;
	cr4 |= cap_has(CAP_XSAVE) ? CR4_OSXSAVE : 0U;
	cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	write_cr3(hostmm_root());
	write_cr4(cr4);
	write_cr0((read_cr0() | CR0_WP | CR0_NE | CR0_MP) & ~(CR0_CD | CR0_NW | CR0_EM | CR0_TS));
}
