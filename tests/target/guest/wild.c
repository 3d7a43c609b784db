// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest that means harm. First each instruction that exits, or nearly does, in every mode of the
 * processor: one line each, "op NAME: " and what ended it in each mode, which must be the same on
 * the bare machine. Then, in a VM only, attacks from a fixed seed that nobody can compare: each
 * ends with a line that says that the guest could go on.
 */
#include <stddef.h>

#include "wild.h"

#define LOW	 0x60000UL
#define SNIPPET	 (LOW + 0x1000U)
#define DATA	 0x3000U	 /* from LOW */
#define PAGE_END (LOW + 0x5000U) /* the page here is absent */

#define CR4_PSE BIT(4)
#define CR4_PAE BIT(5)

#define RF BIT(16)
#define TF BIT(8)

uint32_t page_dir[1024] __attribute__((aligned(4096)));
static uint64_t pdpt[4] __attribute__((aligned(4096)));
static uint64_t low_pages[512] __attribute__((aligned(4096)));

static const char *const mode_names[] = {"long0", "long3", "c32-0", "c32-3", "c16-0", "prot0",
					 "page0", "pae0",  "prot3", "p16-0", "v86",   "real"};

static void set_gate64(uint32_t vector, uint64_t to)
{
	uint64_t *g = &mode_idt64[2U * vector];

	g[0] = (to & 0xffffU) | 8UL << 16 | 1UL << 32 | 0x8eUL << 40 | (to >> 16 & 0xffffU) << 48;
	g[1] = to >> 32;
}

static void set_gate32(uint32_t vector, uint64_t to)
{
	mode_idt32[vector] = (to & 0xffffU) | 0x18UL << 16 | 0x8eUL << 40 | (to >> 16) << 48;
}

/* All of the first 4 GB for user code as well; 4 KB pages at LOW, one of them absent. */
static void tables_init(void)
{
	uint64_t cr3, *pml4, *l3, *l2;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	pml4 = (uint64_t *)cr3;
	pml4[0] |= 4U;
	l3 = (uint64_t *)(pml4[0] & ~0xfffUL);
	for (uint32_t i = 0U; i < 4U; i++) {
		l3[i] |= 4U;
		l2 = (uint64_t *)(l3[i] & ~0xfffUL);
		pdpt[i] = (uint64_t)l2 | 1U;
		for (uint32_t n = 0U; n < 512U; n++) {
			l2[n] |= 4U;
		}
	}
	l2 = (uint64_t *)(l3[0] & ~0xfffUL);
	for (uint64_t i = 0U; i < 512U; i++) {
		low_pages[i] = i << 12 | 7U;
	}
	low_pages[PAGE_END >> 12] = 0U;
	l2[0] = (uint64_t)low_pages | 7U;
	for (uint32_t i = 0U; i < 1024U; i++) {
		page_dir[i] = i << 22 | 0x87U;
	}
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
}

void run_code(uint32_t mode, const uint8_t *code, size_t len, uint64_t flags)
{
	uint8_t *at = (uint8_t *)SNIPPET;

	for (size_t i = 0U; i < len; i++) {
		at[i] = code[i];
	}
	at[len] = 0x0f; /* UD2 */
	at[len + 1U] = 0x0b;
	mode_kind = mode;
	mode_flags = flags | 2U;
	mode_cr3 = mode == 6U ? (uint64_t)page_dir : mode == 7U ? (uint64_t)pdpt : 0U;
	mode_cr4 = mode == 6U ? CR4_PSE : mode == 7U ? CR4_PAE : 0U;
	mode_run();
}

void user_owns_devices(void)
{
	uint64_t cr3;

	for (uint64_t i = 0U; i < 512U; i++) {
		if (i < SNIPPET >> 12 || i > PAGE_END >> 12) {
			low_pages[i] &= ~4UL;
		}
	}
	for (uint32_t i = 1U; i < 2048U; i++) {
		if (i < 0xfe000000UL >> 21) {
			((uint64_t *)(pdpt[i / 512U] & ~0xfffUL))[i % 512U] &= ~4UL;
		}
	}
	__asm__ volatile("mov %%cr3, %0; mov %0, %%cr3" : "=r"(cr3) : : "memory");
}

uint64_t high_window(uint64_t gpa)
{
	static uint64_t l2[512] __attribute__((aligned(4096)));
	uint64_t cr3, *l3;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	l3 = (uint64_t *)(*(uint64_t *)cr3 & ~0xfffUL);
	l3[4] = (uint64_t)l2 | 7U;
	l2[0] = (gpa & ~0x1fffffUL) | 0x87U;
	__asm__ volatile("mov %0, %%cr3" : : "r"(cr3) : "memory");
	return BIT(32) | (gpa & 0x1fffffU);
}

void nmi_ignore(void)
{
	struct {
		uint16_t limit;
		uint64_t *base;
	} __attribute__((packed)) idt;

	__asm__ volatile("sidt %0" : "=m"(idt));
	idt.base[4] = ((uint64_t)nmi_entry & 0xffffU) | 8UL << 16 | 0x8eUL << 40 |
		      ((uint64_t)nmi_entry >> 16 & 0xffffU) << 48;
	idt.base[5] = (uint64_t)nmi_entry >> 32;
}

static bool is_16bit(uint32_t mode)
{
	return mode == 4U || mode >= 9U;
}

#define APIC_REG 0xfee00380U /* TMICT: holds what was written */

static void print_result(const struct op *op, uint64_t base)
{
	print(" %u", (uint32_t)mode_vector);
	if (mode_error != 0U) {
		print(".%lx", mode_error);
	}
	print("+%lx", (mode_rip - base) & 0xffffffffU);
	if (mode_vector == 14U) {
		print("@%lx", mode_cr2);
	}
	if ((mode_rflags & RF) != 0U) {
		print("r");
	}
	if ((mode_rflags & TF) != 0U) {
		print("t");
	}
	if (op->value) {
		print("=%lx", mode_out[0] & 0xffffffffU);
	}
}

/* The selectors in SS, by mode. */
static const uint16_t stacks[MODES] = {0x10U, 0x43U, 0x10U, 0x43U, 0x28U,     0x10U,
				       0x10U, 0x10U, 0x43U, 0x28U, LOW >> 4U, LOW >> 4U};

static void run_op(const struct op *op)
{
	print("op %s:", op->name);
	for (uint32_t mode = 0U; mode < MODES; mode++) {
		uint64_t data = is_16bit(mode) ? DATA : LOW + DATA;

		if ((op->modes >> mode & 1U) != 0U) {
			print(" -");
			continue;
		}
		mode_in[0] = op->rax;
		mode_in[1] = op->rcx;
		mode_in[2] = op->rdx == SS_HERE ? stacks[mode] : op->rdx;
		mode_in[3] = APIC_REG;
		mode_in[5] = data;
		mode_in[6] = data;
		mode_in[7] = data;
		run_code(mode, (const uint8_t *)op->code, op->len, op->flags);
		print_result(op, is_16bit(mode) ? 0U : SNIPPET);
	}
	print("\n");
}

/* The same instruction across a page's end, whose other half is absent or is written meanwhile. */
static void run_edges(void)
{
	static const uint8_t load[] = {0x8b, 0x83, 0, 0, 0, 0}; /* mov eax, [rbx + disp32] */
	uint8_t *at = (uint8_t *)(PAGE_END - sizeof(load));

	for (size_t cut = 1U; cut < sizeof(load); cut++) {
		static const struct op none = {.name = "edge"};

		for (size_t i = 0U; i < cut; i++) {
			at[sizeof(load) - cut + i] = load[i];
		}
		print("op edge %u:", (uint32_t)cut);
		mode_in[3] = APIC_REG;
		mode_in[0] = PAGE_END - cut;
		run_code(0U, (const uint8_t *)"\xff\xe0", 2U, 0U); /* jmp rax */
		print_result(&none, PAGE_END - cut);
		print("\n");
	}
}

/* The last instruction of the lower half of the canonical addresses. */
static void run_canonical(void)
{
	static uint64_t tables[3][512] __attribute__((aligned(4096)));
	static const struct op none = {.name = "canonical"};
	uint64_t cr3, *pml4;
	uint8_t *last = (uint8_t *)LOW + 0x4000U;

	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	pml4 = (uint64_t *)cr3;
	tables[2][511] = (LOW + 0x4000U) | 7U;
	tables[1][511] = (uint64_t)tables[2] | 7U;
	tables[0][511] = (uint64_t)tables[1] | 7U;
	pml4[255] = (uint64_t)tables[0] | 7U;
	last[0xffe] = 0x0f; /* CPUID */
	last[0xfff] = 0xa2;
	for (uint32_t mode = 0U; mode < 2U; mode++) {
		mode_in[0] = 0U;
		mode_in[3] = 0x7ffffffffffeUL;
		run_code(mode, (const uint8_t *)"\xff\xe3", 2U, 0U); /* jmp rbx */
		print("op canonical %u:", mode);
		print_result(&none, 0x800000000000UL);
		print("\n");
	}
}

void guest_main(const void *boot_params)
{
	uint32_t r[4];

	out8(0x21U, 0xffU);
	out8(0xa1U, 0xffU);
	idt_init();
	print("wild start\n");
	for (uint32_t i = 0U; i < 256U; i++) {
		set_gate64(i, (uint64_t)entries64 + 16U * i);
	}
	for (uint32_t i = 0U; i < 32U; i++) {
		set_gate32(i, (uint64_t)entries32 + 16U * i);
	}
	tables_init();
	mode_init();
	cpuid(1U, 0U, r);
	if ((r[2] & BIT(26)) != 0U) {
		uint64_t cr4;

		__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | BIT(18))); /* OSXSAVE */
	}
	print("modes:");
	for (uint32_t i = 0U; i < MODES; i++) {
		print(" %s", mode_names[i]);
	}
	print("\n");
	for (size_t i = 0U; i < op_count; i++) {
		run_op(&ops[i]);
	}
	run_edges();
	run_canonical();
	print("ops done\n");
	if ((r[2] >> 31) != 0U) {
		attack(boot_params);
	}
	print("wild done\n");
}
