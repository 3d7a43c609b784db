// SPDX-License-Identifier: BSD-3-Clause
/*
 * Exceptions of the 32-bit kernel, and the modes it can be in: without paging, with paging by tables
 * of 32-bit entries and 4 MB pages, and with PAE. In each one a window of four pages is looked at
 * from both sides, and page faults say what a processor says. Ends without paging. One CPU.
 */
#include "kernel32.h"

#define WINDOW	  0xC0000000U
#define PAGE	  4096U
#define PTE_P	  0x001U
#define PTE_W	  0x002U
#define PTE_A	  0x020U
#define PTE_D	  0x040U
#define PTE_LARGE 0x080U
#define PTE_NX	  (1ULL << 63)
#define CR0_WP	  0x00010000U
#define CR0_PG	  0x80000000U
#define CR4_PSE	  0x10U
#define CR4_PAE	  0x20U
#define EFER	  0xC0000080U
#define EFER_NXE  0x800U
#define PF	  14U
#define PF_P	  1U
#define PF_W	  2U
#define PF_FETCH  16U

volatile uint32_t seen_vector, seen_error, seen_address, resume_at, resume_stack;
struct frame *(*on_interrupt)(struct frame *frame);
struct frame *interrupt(struct frame *frame);
extern const char vector_entries[];

static uint64_t idt[64];
static uint32_t table32[1024] __attribute__((aligned(4096)));
static uint32_t directory32[1024] __attribute__((aligned(4096)));
static uint64_t table64[512] __attribute__((aligned(4096)));
static uint64_t directories64[4][512] __attribute__((aligned(4096)));
static uint64_t pointers64[4] __attribute__((aligned(32)));

struct frame *interrupt(struct frame *frame)
{
	if (frame->vector >= 32U && on_interrupt != NULL)
		return on_interrupt(frame);
	if (frame->vector < 32U && resume_at != 0U) {
		seen_vector = frame->vector + 1U;
		seen_error = frame->error;
		__asm__ volatile("movl %%cr2, %0" : "=r"(seen_address));
		frame->eip = resume_at;
		resume_at = 0U;
		return frame;
	}
	print("vector %u error %x at %x: WRONG\n", frame->vector, frame->error, frame->eip);
	for (;;)
		__asm__ volatile("cli; hlt");
}

void idt_init(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) pointer = {sizeof(idt) - 1U, (uint32_t)idt};

	for (uint32_t i = 0U; i < 64U; i++) {
		uint32_t at = (uint32_t)vector_entries + i * 16U;

		idt[i] = (uint64_t)((at & 0xFFFF0000U) | 0x8E00U) << 32 | 8U << 16 | (at & 0xFFFFU);
	}
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

static uint32_t cr0(void)
{
	uint32_t value;

	__asm__ volatile("movl %%cr0, %0" : "=r"(value));
	return value;
}

static void set_cr0(uint32_t value)
{
	__asm__ volatile("movl %0, %%cr0\n\tjmp 1f\n1:" : : "r"(value) : "memory");
}

static void set_cr3(uint32_t value)
{
	__asm__ volatile("movl %0, %%cr3" : : "r"(value) : "memory");
}

static void change_cr4(uint32_t set, uint32_t clear)
{
	uint32_t value;

	__asm__ volatile("movl %%cr4, %0" : "=r"(value));
	__asm__ volatile("movl %0, %%cr4" : : "r"((value | set) & ~clear) : "memory");
}

static void invlpg(uint32_t address)
{
	__asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

static bool faulted(uint32_t vector, uint32_t error, uint32_t address)
{
	return seen_vector == vector + 1U && seen_error == error && seen_address == address;
}

static volatile uint32_t *word(uint32_t address)
{
	return (volatile uint32_t *)address;
}

/* Entries of the window, through the one or the other format. */
static bool is_pae;

static void set_window(uint32_t page, uint64_t entry)
{
	if (is_pae)
		table64[page] = entry;
	else
		table32[page] = (uint32_t)entry;
	invlpg(WINDOW + page * PAGE);
}

static uint32_t window(uint32_t page)
{
	return is_pae ? (uint32_t)table64[page] : table32[page];
}

static void check_window(const char *mode, uint32_t memory)
{
	print("%s\n", mode);
	set_window(0U, memory | PTE_P | PTE_W);
	set_window(1U, (memory + PAGE) | PTE_P);
	set_window(2U, 0U);
	*word(memory) = 0x11111111U;
	*word(memory + PAGE) = 0x22222222U;
	check("page read", *word(WINDOW) == 0x11111111U && *word(WINDOW + PAGE) == 0x22222222U);
	check("accessed, not dirty", (window(0U) & (PTE_A | PTE_D)) == PTE_A);
	*word(WINDOW + 8U) = 0x33333333U;
	check("page written", *word(memory + 8U) == 0x33333333U && (window(0U) & PTE_D) != 0U);
	TRY("movl %0, (%0)", "r"(WINDOW + PAGE + 4U));
	check("read-only", faulted(PF, PF_P | PF_W, WINDOW + PAGE + 4U));
	TRY("movl (%0), %%eax", "r"(WINDOW + 2U * PAGE + 8U));
	check("not present", faulted(PF, 0U, WINDOW + 2U * PAGE + 8U));
	set_window(0U, (memory + PAGE) | PTE_P | PTE_W);
	check("page remapped", *word(WINDOW) == 0x22222222U);
	/* a word across two pages that do not follow each other */
	set_window(0U, (memory + PAGE) | PTE_P | PTE_W);
	set_window(1U, memory | PTE_P | PTE_W);
	*word(WINDOW + PAGE - 2U) = 0xAABBCCDDU;
	check("across pages", *word(memory + 2U * PAGE - 4U) >> 16 == 0xCCDDU &&
				      (*word(memory) & 0xFFFFU) == 0xAABBU);
}

static void check_paging32(uint32_t memory)
{
	for (uint32_t i = 0U; i < 1024U; i++)
		directory32[i] = i << 22 | PTE_LARGE | PTE_W | PTE_P;
	directory32[WINDOW >> 22] = (uint32_t)table32 | PTE_W | PTE_P;
	is_pae = false;
	change_cr4(CR4_PSE, CR4_PAE);
	set_cr3((uint32_t)directory32);
	set_cr0(cr0() | CR0_PG | CR0_WP);
	check_window("with paging", memory);
	set_cr0(cr0() & ~CR0_PG);
}

/* Code that jumps back at once, in a page that may not be executed, and in one that may. */
static void check_nx(uint32_t memory)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(EFER));
	__asm__ volatile("wrmsr" : : "c"(EFER), "a"(low | EFER_NXE), "d"(high));
	*word(memory) = 0x90E1FFU; /* jmp *%ecx */
	set_window(3U, memory | PTE_P | PTE_NX);
	TRY("movl $1f, %%ecx\n\tjmp *%0", "r"(WINDOW + 3U * PAGE));
	check("not executable", faulted(PF, PF_P | PF_FETCH, WINDOW + 3U * PAGE));
	set_window(3U, memory | PTE_P);
	TRY("movl $1f, %%ecx\n\tjmp *%0", "r"(WINDOW + 3U * PAGE));
	check("executable", seen_vector == 0U);
	__asm__ volatile("wrmsr" : : "c"(EFER), "a"(low), "d"(high));
}

static void check_pae(uint32_t memory)
{
	for (uint32_t i = 0U; i < 2048U; i++)
		directories64[i / 512U][i % 512U] = (uint64_t)i << 21 | PTE_LARGE | PTE_W | PTE_P;
	for (uint32_t i = 0U; i < 4U; i++)
		pointers64[i] = (uint32_t)directories64[i] | PTE_P;
	directories64[3][0] = (uint32_t)table64 | PTE_W | PTE_P;
	is_pae = true;
	change_cr4(CR4_PAE, 0U);
	set_cr3((uint32_t)pointers64);
	set_cr0(cr0() | CR0_PG | CR0_WP);
	check_window("with PAE", memory);
	check_nx(memory);
	/* the pointers are read when CR3 is written, and not before */
	pointers64[3] = pointers64[0];
	set_window(0U, memory | PTE_P | PTE_W);
	*word(memory) = 0x44444444U;
	check("pointers kept", *word(WINDOW) == 0x44444444U);
	set_cr3((uint32_t)pointers64);
	check("pointers read", word(WINDOW + 0x100000U)[0] == 0x1BADB002U);
	pointers64[3] = 2U; /* not present */
	set_cr3((uint32_t)pointers64);
	TRY("movl (%0), %%eax", "r"(WINDOW));
	check("no directory", faulted(PF, 0U, WINDOW));
	set_cr0(cr0() & ~CR0_PG);
	change_cr4(0U, CR4_PAE | CR4_PSE);
}

void check_modes(uint32_t free_memory)
{
	TRY("ud2", "r"(0U));
	check("undefined instruction", seen_vector == 7U);
	TRY("movw %w0, %%fs", "r"(0x1238U));
	check("segment beyond the table", seen_vector == 14U && seen_error == 0x1238U);
	check_paging32(free_memory);
	check_pae(free_memory);
	*word(free_memory) = 0x55555555U;
	check("without paging again", *word(free_memory) == 0x55555555U);
}
