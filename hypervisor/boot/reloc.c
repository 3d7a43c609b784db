// SPDX-License-Identifier: BSD-3-Clause
/*
 * Self-relocation: a multiboot 2 loader may place the image anywhere below 4 GB. head.S comes here
 * first; until the relative relocations are applied, no pointer stored in data is valid, so this
 * file uses none. Runs once, on the boot CPU, before anything else; takes no lock.
 */
#include "lib/types.h"
#include "hv/image.h"
#include "config.h"

struct elf64_rela {
	uint64_t offset;
	uint64_t info;
	int64_t addend;
};

#define R_X86_64_RELATIVE 8U

void boot_entry(uint32_t magic, uint32_t info, uint64_t load_addr)
{
	uint64_t delta = load_addr - (uint64_t)CONFIG_HV_RAM_START;
	const struct elf64_rela *r = (const struct elf64_rela *)(const void *)rela_start;
	const struct elf64_rela *end = (const struct elf64_rela *)(const void *)rela_end;

	/*
	 * The image in memory holds addends of the link address in place only in the table, so it
	 * is applied even when the delta is 0.
	 */
	for (; r < end; r++) {
		if ((r->info & 0xFFFFFFFFU) == R_X86_64_RELATIVE) {
			*(uint64_t *)(r->offset + delta) = (uint64_t)r->addend + delta;
		}
	}
	__asm__ volatile("" ::: "memory");
	boot_main(magic, HPA(info));
}
