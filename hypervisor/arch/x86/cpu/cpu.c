// SPDX-License-Identifier: BSD-3-Clause
/*
 * Descriptor tables of the CPUs. Each pCPU has its own GDT and TSS (for the stacks of #DF, NMI and
 * #MC); all share one IDT. The boot CPU first uses static ones, so that a fault early in boot is a
 * message. Called by boot/main.c and pcpu.c on the CPU concerned; no lock, nothing shared is
 * written after boot.
 */
#include "hv/cpu.h"
#include "asm/insn.h"
#include "asm/msr.h"
#include "hv/mm.h"
#include "hv/pcpu.h"
#include "lib/string.h"

#define IST_STACK 4096U
#define IST_DF	  1U
#define IST_NMI	  2U
#define IST_MC	  3U

struct tss {
	uint32_t reserved0;
	uint64_t rsp[3];
	uint64_t reserved1;
	uint64_t ist[7];
	uint64_t reserved2;
	uint16_t reserved3, iomap;
} __packed;

struct cpu_tables {
	uint64_t gdt[5]; /* null, code, data, TSS (two) */
	struct tss tss;
};

struct idt_gate {
	uint16_t offset0, sel;
	uint8_t ist, type;
	uint16_t offset1;
	uint32_t offset2, reserved;
};

struct table_ptr {
	uint16_t limit;
	uint64_t base;
} __packed;

extern const uint8_t idt_entries[] __attribute__((visibility("hidden"))); /* idt.S, 16 bytes each */

static struct idt_gate idt[256];
static struct cpu_tables boot_tables;
static struct pcpu boot_pcpu;

static struct cpu_tables *tables_of(const struct pcpu *p)
{
	return p->tables;
}

uint64_t cpu_tss_base(const struct pcpu *p)
{
	return (uintptr_t)&tables_of(p)->tss;
}

uint64_t cpu_gdt_base(const struct pcpu *p)
{
	return (uintptr_t)tables_of(p)->gdt;
}

uint64_t cpu_idt_base(void)
{
	return (uintptr_t)idt;
}

static void build_idt(void)
{
	for (uint32_t i = 0U; i < 256U; i++) {
		uint64_t addr = (uintptr_t)idt_entries + (uintptr_t)i * 16U;

		idt[i] = (struct idt_gate){.offset0 = (uint16_t)addr,
					   .sel = SEL_CODE,
					   .type = 0x8EU,
					   .offset1 = (uint16_t)(addr >> 16),
					   .offset2 = (uint32_t)(addr >> 32)};
	}
}

static void load(struct cpu_tables *t, struct pcpu *p)
{
	uint64_t tss = (uintptr_t)&t->tss;
	struct table_ptr gdtr = {.limit = sizeof(t->gdt) - 1U, .base = (uintptr_t)t->gdt};
	struct table_ptr idtr = {.limit = sizeof(idt) - 1U, .base = (uintptr_t)idt};

	t->gdt[1] = 0x00AF9B000000FFFFUL;
	t->gdt[2] = 0x00CF93000000FFFFUL;
	t->gdt[3] = (sizeof(t->tss) - 1U) | ((tss & 0xFFFFFFUL) << 16) | (0x89UL << 40) |
		    ((tss >> 24 & 0xFFUL) << 56);
	t->gdt[4] = tss >> 32;
	t->tss.iomap = sizeof(t->tss);
	p->tables = t;
	p->self = p;
	/* The far return reloads CS; FS and GS are cleared before GS base is set. */
	__asm__ volatile("lgdt %0; lidt %1; ltr %w2\n"
			 "mov %w3, %%ds; mov %w3, %%es; mov %w3, %%ss\n"
			 "mov %w4, %%fs; mov %w4, %%gs\n"
			 "push %5; lea 1f(%%rip), %%rax; push %%rax; lretq\n1:" ::"m"(gdtr),
			 "m"(idtr), "r"(SEL_TSS), "r"(SEL_DATA), "r"(0), "i"(SEL_CODE)
			 : "rax", "memory");
	msr_write(MSR_GS_BASE, (uintptr_t)p);
}

void cpu_init_boot(void)
{
	build_idt();
	load(&boot_tables, &boot_pcpu);
}

void cpu_init_tables(struct pcpu *p)
{
	struct cpu_tables *t = p->tables;

	t->tss.ist[IST_DF - 1U] = (uintptr_t)p->idt_stacks + IST_STACK;
	t->tss.ist[IST_NMI - 1U] = (uintptr_t)p->idt_stacks + 2U * IST_STACK;
	t->tss.ist[IST_MC - 1U] = (uintptr_t)p->idt_stacks + 3U * IST_STACK;
	load(t, p);
	idt[8].ist = IST_DF;
	idt[2].ist = IST_NMI;
	idt[18].ist = IST_MC;
}

void cpu_alloc_tables(struct pcpu *p)
{
	p->tables = boot_alloc(sizeof(struct cpu_tables), 64U);
	p->idt_stacks = boot_alloc(3UL * IST_STACK, 16U);
}

void cpu_halt_forever(void)
{
	for (;;) {
		cpu_halt();
	}
}
