// SPDX-License-Identifier: BSD-3-Clause
/*
 * A kernel for GRUB, multiboot 1: looks at what its loader gave it, at the 32-bit modes of the
 * processor, at interrupts, clock and timer, and runs three tasks. Words of its command line say how
 * it ends: "reset" or "task", a hardware task switch, and else by power-off. It does so only if
 * nothing was wrong, and else stops.
 */
#include "kernel32.h"

#define LOADER_MAGIC 0x2BADB002U
#define MBI_MEMORY   (1U << 0)
#define MBI_CMDLINE  (1U << 2)
#define MBI_MODS     (1U << 3)
#define MBI_MMAP     (1U << 6)
#define MBI_LOADER   (1U << 9)
#define RAM	     1U
#define FLAG_IF	     0x200U
#define CR0_PE	     0x01U
#define CR0_PG	     0x80000000U

struct mb_info {
	uint32_t flags, mem_lower, mem_upper, boot_device, cmdline, mods_count, mods_addr, syms[4];
	uint32_t mmap_length, mmap_addr, drives[2], config_table, loader_name;
};

struct mb_module {
	uint32_t start, end, string, reserved;
};

struct mb_mmap {
	uint32_t size, base, base_high, length, length_high, type;
};

extern uint32_t first_flags;
extern uint8_t kernel_end[];
void kernel_main(uint32_t magic, const struct mb_info *info);

static bool has_word(const char *line, const char *word)
{
	for (; *line != '\0'; line++) {
		uint32_t i = 0U;

		while (word[i] != '\0' && line[i] == word[i])
			i++;
		if (word[i] == '\0')
			return true;
	}
	return false;
}

/* Both ends of each range of RAM below 4 GB, but for what is in use at its start. */
static bool can_write(const struct mb_mmap *m)
{
	volatile uint32_t *last = (volatile uint32_t *)(m->base + m->length - 4U);
	uint32_t old = *last;
	bool ok;

	*last = 0x5AFE5AFEU;
	ok = *last == 0x5AFE5AFEU;
	*last = old;
	return ok;
}

/* Each page of RAM above the kernel, but for the module's, is one of its own. */
static bool is_own_page(const struct mb_info *info, uint32_t at, bool fill)
{
	const struct mb_module *m = (const void *)info->mods_addr;
	volatile uint32_t *word = (volatile uint32_t *)at;

	if (at < (uint32_t)kernel_end ||
	    (info->mods_count != 0U && at + 4096U > m->start && at < m->end))
		return true;
	if (fill)
		*word = at;
	return *word == at;
}

static void check_pages(const struct mb_info *info)
{
	const uint8_t *end = (const uint8_t *)info->mmap_addr + info->mmap_length;
	uint32_t pages = 0U;
	bool own = true;

	for (uint32_t fill = 0U; fill < 2U; fill++) {
		for (const uint8_t *at = (const uint8_t *)info->mmap_addr; at < end;) {
			const struct mb_mmap *m = (const void *)at;

			at += m->size + 4U;
			if (m->type != RAM || m->base < 0x100000U || m->base_high != 0U)
				continue;
			for (uint32_t i = 0U; i < m->length >> 12; i++, pages++)
				own = is_own_page(info, m->base + (i << 12), fill == 0U) && own;
		}
	}
	print("pages %u\n", pages / 2U);
	check("pages", own && pages != 0U);
}

static void check_map(const struct mb_info *info)
{
	const uint8_t *end = (const uint8_t *)info->mmap_addr + info->mmap_length;
	bool has_kernel = false, can = true;

	for (const uint8_t *at = (const uint8_t *)info->mmap_addr; at < end;) {
		const struct mb_mmap *m = (const void *)at;
		uint32_t kernel = (uint32_t)kernel_end;

		print("map %08x%08x %08x%08x %u\n", m->base_high, m->base, m->length_high,
		      m->length, m->type);
		if (m->type == RAM && m->base_high == 0U && m->length_high == 0U) {
			can = can && can_write(m);
			has_kernel = has_kernel || (m->base <= 0x100000U &&
						    kernel - m->base <= m->length);
		}
		at += m->size + 4U;
	}
	check("memory map", has_kernel && can && (info->flags & MBI_MMAP) != 0U);
	print("memory %u %u\n", info->mem_lower, info->mem_upper);
	check("memory sizes", (info->flags & MBI_MEMORY) != 0U && info->mem_lower >= 512U &&
				      info->mem_lower <= 640U && info->mem_upper >= 1024U);
}

/* The module: a line of text and the number of its bytes' sum, as the test wrote them. */
static void check_module(const struct mb_info *info)
{
	const struct mb_module *m = (const void *)info->mods_addr;
	uint32_t sum = 0U;

	if ((info->flags & MBI_MODS) == 0U || info->mods_count == 0U) {
		print("module none\n");
		return;
	}
	for (const uint8_t *at = (const uint8_t *)m->start; at < (const uint8_t *)m->end; at++)
		sum += *at;
	print("module %u of %u bytes, sum %u\n", info->mods_count, m->end - m->start, sum);
	check("module", m->start >= (uint32_t)kernel_end && m->start % 4096U == 0U);
}

static void check_entry(uint32_t magic, const struct mb_info *info)
{
	uint32_t cr0;

	__asm__ volatile("movl %%cr0, %0" : "=r"(cr0));
	check("magic", magic == LOADER_MAGIC);
	check("protected mode without paging", (cr0 & (CR0_PG | CR0_PE)) == CR0_PE);
	check("interrupts off", (first_flags & FLAG_IF) == 0U);
	print("cmdline %s\n", (info->flags & MBI_CMDLINE) != 0U ? (char *)info->cmdline : "");
	print("loader %s\n", (info->flags & MBI_LOADER) != 0U ? (char *)info->loader_name : "");
}

/* It has a time, the time passes, and it can be set; only this machine's own. */
static void check_clock(void)
{
	struct rtc_time t, later;
	uint32_t rounds = 0U;

	rtc_get(&t);
	print("clock %u-%02u-%02u %02u:%02u:%02u\n", t.year, t.month, t.day, t.hour, t.minute,
	      t.second);
	check("clock", t.year >= 2000U && t.month - 1U < 12U && t.day - 1U < 31U && t.hour < 24U &&
			       t.minute < 60U && t.second < 60U);
	do {
		rtc_get(&later);
	} while (later.second == t.second && ++rounds < 10000000U);
	check("clock goes", later.second == (t.second + 1U) % 60U);
	rtc_set_year(2071U);
	rtc_get(&later);
	check("clock set", later.year == 2071U && later.month == t.month);
}

void kernel_main(uint32_t magic, const struct mb_info *info)
{
	const char *line = (const char *)info->cmdline;

	check_entry(magic, info);
	check_map(info);
	check_module(info);
	check_pages(info);
	idt_init();
	check_modes(0x800000U);
	check_interrupts();
	check_clock();
	check_pci();
	check_tasks();
	print("kernel32: %u wrong\n", wrong);
	print_flush();
	if (wrong != 0U)
		return;
	if (has_word(line, "reset"))
		acpi_reset();
	if (has_word(line, "task"))
		jump_to_task();
	acpi_power_off();
}
