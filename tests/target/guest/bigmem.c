// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is all memory there that the memory map promises, below the hole for devices and above 4 GB, each
 * piece once? Writes a word at both ends of every 2 MB, of its own address and a number from the
 * command line ("seed=N"), and then looks at all of them. Two VMs with different seeds show that
 * they share nothing.
 */
#include <stddef.h>

#include "guest.h"

#define E820_COUNT   0x1e8U /* offsets in the zero page */
#define E820_TABLE   0x2d0U
#define CMD_LINE_PTR 0x228U
#define E820_RAM     1U
#define E820_MAX     32U

#define MB	 0x100000ULL
#define GB	 (1024ULL * MB)
#define GBS	 16U
#define STEP	 (2ULL * MB)
#define OURS_END (32ULL * MB) /* this image, its tables and what the loader left */
#define ENTRIES	 512U

struct e820_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

static uint64_t pml4[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pdpt[ENTRIES] __attribute__((aligned(4096)));
static uint64_t pd[GBS * ENTRIES] __attribute__((aligned(4096)));

static void map_all(void)
{
	for (uint32_t i = 0U; i < GBS * ENTRIES; i++)
		pd[i] = i * STEP | 0x83U; /* present, writable, large */
	for (uint32_t i = 0U; i < GBS; i++)
		pdpt[i] = (uint64_t)(uintptr_t)&pd[i * ENTRIES] | 3U;
	pml4[0] = (uint64_t)(uintptr_t)pdpt | 3U;
	__asm__ volatile("mov %0, %%cr3" : : "r"((uint64_t)(uintptr_t)pml4) : "memory");
}

static uint64_t seed_of(const char *line)
{
	static const char name[] = "seed=";
	uint32_t matched = 0U;

	for (; *line != '\0'; line++) {
		matched = (*line == name[matched]) ? matched + 1U : 0U;
		if (name[matched] == '\0')
			return (uint64_t)(uint8_t)line[1] << 56;
	}
	return 0U;
}

/* Writes, or counts what is not as it was written. */
static uint64_t visit(uint64_t from, uint64_t to, uint64_t seed, bool write)
{
	uint64_t wrong = 0U;

	for (uint64_t at = from; at < to; at += STEP) {
		uint64_t last = ((to - at < STEP) ? to : at + STEP) - 8U;
		volatile uint64_t *first_word = (volatile uint64_t *)at;
		volatile uint64_t *last_word = (volatile uint64_t *)last;

		if (write) {
			*first_word = at ^ seed;
			*last_word = last ^ seed;
		} else if (*first_word != (at ^ seed) || *last_word != (last ^ seed)) {
			wrong++;
		}
	}
	return wrong;
}

void guest_main(const void *boot_params)
{
	const uint8_t *params = boot_params;
	const struct e820_entry *in = (const void *)(params + E820_TABLE);
	struct e820_entry map[E820_MAX];
	uint32_t count = params[E820_COUNT];
	uint64_t seed = seed_of((const char *)(uintptr_t)*(const uint32_t *)(params + CMD_LINE_PTR));

	/* What the loader left may be where we write. */
	for (uint32_t i = 0U; i < count && i < E820_MAX; i++)
		map[i] = in[i];
	map_all();
	for (uint32_t pass = 0U; pass < 2U; pass++) {
		for (uint32_t i = 0U; i < count && i < E820_MAX; i++) {
			uint64_t from = map[i].base, to = from + map[i].size, wrong;

			if (map[i].type != E820_RAM || to <= OURS_END || to > GBS * GB)
				continue;
			wrong = visit((from < OURS_END) ? OURS_END : from, to, seed, pass == 0U);
			if (pass != 0U)
				print("bigmem: %lx to %lx: %lu wrong\n", from, to, wrong);
		}
	}
	print("bigmem: done\n");
}
