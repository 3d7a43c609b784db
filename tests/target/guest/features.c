// SPDX-License-Identifier: BSD-3-Clause
/*
 * Does everything work that a feature of the CPU has a part in, and fault where CPUID says that
 * it is not there? Timers and interrupts by both kinds of APIC, CR8, control registers, extended
 * state, small and large pages. Prints what CPUID shows, then one line for each thing that is
 * wrong. The same on the bare machine and in a VM.
 */
#include <stddef.h>

#include "guest.h"

#define XAPIC		0xfee00000UL
#define APIC_TPR	0x80U
#define APIC_IRR	0x200U
#define APIC_TIMER_INIT 0x380U
#define APIC_TIMER_DIV	0x3e0U
#define DIVIDE_BY_1	0xbU
#define PERIODIC	(1U << 17)
#define DEADLINE_MODE	(2U << 17)
#define TIMER_VECTOR	0x41U
#define IPI_VECTOR	0x42U
#define TICKS		20000U
#define PATIENCE	1000000U /* loops */

#define AP_CODE	    0x8000UL /* below 1 MB, where nothing is once a loader has gone */
#define AP_ONLINE   0x8ff0UL
#define AP_TAKEN    0x8ff4UL
#define AP_ROUNDS   100U
#define AP_PATIENCE 10000U /* loops, each of which may be a VM exit */
#define ICR_INIT    0x4500U
#define ICR_STARTUP 0x4600U
#define ICR_ASSERT  0x4000U

#define MSR_EFER   0xc0000080U
#define EFER_NXE   (1UL << 11)
#define CR4_PCIDE  (1UL << 17)
#define CR4_XSAVE  (1UL << 18)
#define CR4_SMEP   (1UL << 20)
#define CR4_SMAP   (1UL << 21)
#define LARGE_PAGE 0x83UL
#define ADDRESS	   0x000ffffffffff000UL
#define GB	   (1UL << 30)

#define E820_COUNT 0x1e8U /* offsets in the zero page */
#define E820_TABLE 0x2d0U
#define E820_RAM   1U
#define FREE_FROM  0x2000000UL /* the guest itself lies below */

struct e820_entry {
	uint64_t base;
	uint64_t size;
	uint32_t type;
} __attribute__((packed));

/* An instruction, and whether it went through without an exception. */
#define TRY(insn, ...)                                                                             \
	({                                                                                         \
		last_vector_plus_one = 0U;                                                         \
		__asm__ volatile("8: " insn "\n9:\n.pushsection .fixups, \"a\"\n"                  \
				 ".quad 8b, 9b\n.popsection" __VA_ARGS__);                         \
		last_vector_plus_one == 0U;                                                        \
	})

static uint8_t xsave_area[4096] __attribute__((aligned(64)));
static volatile uint32_t mark;
static uint32_t wrong;

static void check(const char *what, bool good)
{
	if (!good) {
		print("features: %s is wrong\n", what);
		wrong++;
	}
}

static bool has(uint32_t leaf, uint32_t subleaf, uint32_t reg, uint32_t bit)
{
	uint32_t r[4];

	cpuid(leaf, subleaf, r);
	return (r[reg] >> bit & 1U) != 0U;
}

/* Waits, with interrupts on, until there were `count`. */
static bool wait_interrupts(uint32_t count)
{
	__asm__ volatile("sti");
	for (uint32_t i = 0U; i < PATIENCE && interrupts < count; i++)
		__asm__ volatile("pause");
	__asm__ volatile("cli");
	return interrupts == count;
}

/*
 * The page of registers. The handler ends interrupts by the x2APIC, so this one stays in IRR, held
 * back by the TPR and not by IF: Bochs leaves no guest for an interrupt while IF is clear.
 */
static void check_xapic(void)
{
	bool fired = false;
	uint64_t cr8;

	mmio_write32(XAPIC + APIC_SVR, 0x1ffU);
	mmio_write32(XAPIC + APIC_TPR, 0x30U);
	__asm__ volatile("mov %%cr8, %0" : "=r"(cr8));
	check("CR8 after the xAPIC's TPR", cr8 == 3U);
	__asm__ volatile("mov %0, %%cr8" : : "r"(0UL));
	check("the xAPIC's TPR after CR8", mmio_read32(XAPIC + APIC_TPR) == 0U);
	mmio_write32(XAPIC + APIC_TIMER_DIV, DIVIDE_BY_1);
	mmio_write32(XAPIC + APIC_LVT_TIMER, TIMER_VECTOR);
	mmio_write32(XAPIC + APIC_TIMER_INIT, TICKS);
	__asm__ volatile("mov %0, %%cr8; sti" : : "r"(15UL));
	for (uint32_t i = 0U; i < PATIENCE && !fired; i++)
		fired = (mmio_read32(XAPIC + APIC_IRR + TIMER_VECTOR / 32U * 16U) &
			 (1U << TIMER_VECTOR % 32U)) != 0U;
	__asm__ volatile("cli; mov %0, %%cr8" : : "r"(0UL));
	check("the xAPIC's timer", fired);
}

static void check_x2apic(void)
{
	if (!x2apic_init()) {
		print("features: no x2APIC\n");
		return;
	}
	check("an interrupt that waited", wait_interrupts(1U));
	wrmsr(X2APIC(APIC_SELF_IPI), IPI_VECTOR);
	check("the self-IPI register", wait_interrupts(2U));
	wrmsr(X2APIC(APIC_ICR), 1U << 18 | IPI_VECTOR);
	check("an IPI to itself", wait_interrupts(3U));
	__asm__ volatile("mov %0, %%cr8" : : "r"(15UL));
	wrmsr(X2APIC(APIC_SELF_IPI), IPI_VECTOR);
	__asm__ volatile("sti; nop; nop; cli");
	check("an interrupt that CR8 holds back", interrupts == 3U);
	__asm__ volatile("mov %0, %%cr8" : : "r"(0UL));
	check("an interrupt that CR8 lets through", wait_interrupts(4U));
	wrmsr(X2APIC(APIC_LVT_TIMER), PERIODIC | TIMER_VECTOR);
	wrmsr(X2APIC(APIC_TIMER_INIT), TICKS);
	while (interrupts < 7U)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
	wrmsr(X2APIC(APIC_TIMER_INIT), 0U);
	interrupts = 7U;
	if (has(1U, 0U, 2U, 24U)) {
		uint64_t deadline = rdtsc() + TICKS;

		wrmsr(X2APIC(APIC_LVT_TIMER), DEADLINE_MODE | TIMER_VECTOR);
		wrmsr(MSR_TSC_DEADLINE, deadline);
		while (interrupts == 7U)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
		check("the TSC deadline", rdtsc() >= deadline);
	}
}

/*
 * What the second processor runs, in real mode: it takes vectors 0x42 and 0xff, counts them, and
 * spins in between. 0xff comes from Bochs where posted interrupts are used (doc/CAVEATS.md).
 */
__asm__(".pushsection .rodata\n.code16\n"
	"ap_start: cli\n xorw %ax, %ax\n movw %ax, %ds\n movw %ax, %ss\n movw $0x7000, %sp\n"
	"movw $(ap_interrupt - ap_start), 0x42 * 4\n movw $0x800, 0x42 * 4 + 2\n"
	"movw $(ap_spurious - ap_start), 0xff * 4\n movw $0x800, 0xff * 4 + 2\n"
	"movl $0x1b, %ecx\n rdmsr\n orl $0xc00, %eax\n wrmsr\n"
	"movl $0x80f, %ecx\n movl $0x1ff, %eax\n xorl %edx, %edx\n wrmsr\n"
	"incl 0x8ff0\n sti\n"
	"1: pause\n jmp 1b\n"
	"ap_interrupt: pushal\n incl 0x8ff4\n"
	"movl $0x80b, %ecx\n xorl %eax, %eax\n xorl %edx, %edx\n wrmsr\n popal\n iretw\n"
	"ap_spurious: iretw\n"
	"ap_end:\n.code64\n.popsection\n");
extern const uint8_t ap_start[], ap_end[];

/* False if `*count` does not become `wanted`. */
static bool wait_count(volatile uint32_t *count, uint32_t wanted)
{
	for (uint32_t i = 0U; i < AP_PATIENCE && *count != wanted; i++)
		__asm__ volatile("pause");
	return *count == wanted;
}

/* Interrupts from this processor into another that runs. Needs x2APIC mode here. */
static void check_other_cpu(void)
{
	volatile uint32_t *online = (volatile uint32_t *)AP_ONLINE;
	volatile uint32_t *taken = (volatile uint32_t *)AP_TAKEN;
	volatile uint8_t *code = (volatile uint8_t *)AP_CODE;

	for (uint32_t i = 0U; i < (uint32_t)(ap_end - ap_start); i++)
		code[i] = ap_start[i];
	*online = 0U;
	*taken = 0U;
	wrmsr(X2APIC(APIC_ICR), 1UL << 32 | ICR_INIT);
	wrmsr(X2APIC(APIC_ICR), 1UL << 32 | ICR_STARTUP | AP_CODE >> 12);
	if (!wait_count(online, 1U)) {
		print("features: one processor\n");
		return;
	}
	for (uint32_t n = 1U; n <= AP_ROUNDS; n++) {
		wrmsr(X2APIC(APIC_ICR), 1UL << 32 | ICR_ASSERT | IPI_VECTOR);
		if (!wait_count(taken, n)) {
			check("an IPI to another processor", false);
			return;
		}
	}
	print("features: two processors\n");
}

/* A bit of CR4 can be set if CPUID shows its feature, and is #GP if not. */
static void check_cr4(const char *what, uint64_t bit, bool there)
{
	uint64_t cr4;

	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	check(what, TRY("mov %0, %%cr4", : : "r"(cr4 | bit) : "memory") == there);
	if (bit != CR4_XSAVE)
		__asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
}

static void check_control(void)
{
	uint64_t efer = rdmsr(MSR_EFER);

	check_cr4("CR4.SMEP", CR4_SMEP, has(7U, 0U, 1U, 7U));
	check_cr4("CR4.SMAP", CR4_SMAP, has(7U, 0U, 1U, 20U));
	check_cr4("CR4.PCIDE", CR4_PCIDE, has(1U, 0U, 2U, 17U));
	check_cr4("CR4.OSXSAVE", CR4_XSAVE, has(1U, 0U, 2U, 26U));
	check("EFER.NXE",
	      wrmsr_safe(MSR_EFER, efer | EFER_NXE) == has(0x80000001U, 0U, 3U, 20U));
}

static void check_instructions(void)
{
	static const uint64_t invpcid_all[2];
	uint32_t low, high, aux;
	bool xsave = has(1U, 0U, 2U, 26U);

	check("RDTSCP", TRY("rdtscp", : "=a"(low), "=d"(high), "=c"(aux)) ==
				has(0x80000001U, 0U, 3U, 27U));
	check("INVPCID", TRY("invpcid %0, %1", : : "m"(invpcid_all), "r"(2UL) : "memory") ==
				 has(7U, 0U, 1U, 10U));
	check("XSETBV", TRY("xsetbv", : : "a"(3U), "d"(0U), "c"(0U)) == xsave);
	check("XSETBV of nothing", !TRY("xsetbv", : : "a"(0U), "d"(0U), "c"(0U)));
	check("XSAVES", TRY("xsaves %0", : "+m"(xsave_area) : "a"(1U), "d"(0U)) ==
				(xsave && has(0xdU, 1U, 0U, 3U)));
}

/* The first GB once more above the fourth, as one page; where there is no such page, bit 7 faults. */
static void check_large_page(void)
{
	uint64_t cr3, *pdpt;

	if (!has(0x80000001U, 0U, 3U, 26U))
		return;
	__asm__ volatile("mov %%cr3, %0" : "=r"(cr3));
	pdpt = (uint64_t *)(*(uint64_t *)(cr3 & ADDRESS) & ADDRESS);
	pdpt[4] = LARGE_PAGE;
	mark = 0x5aU;
	check("a page of 1 GB", *(volatile uint32_t *)(4UL * GB + (uint64_t)&mark) == 0x5aU);
}

/* Far apart, in whatever pages a hypervisor maps them. */
static void check_memory(const uint8_t *boot_params)
{
	const struct e820_entry *e = (const void *)(boot_params + E820_TABLE);
	for (uint32_t i = 0U; i < boot_params[E820_COUNT]; i++) {
		uint64_t end = e[i].base + e[i].size, step = 0x601000UL;
		uint64_t start = e[i].base > FREE_FROM ? e[i].base : FREE_FROM;

		if (e[i].type != E820_RAM || end <= FREE_FROM || end > 4UL * GB)
			continue;
		for (uint64_t at = start; at + 8U <= end; at += step)
			*(volatile uint64_t *)at = ~at;
		*(volatile uint64_t *)(end - 8U) = end;
		for (uint64_t at = start; at + 8U <= end - 8U; at += step)
			check("memory", *(volatile uint64_t *)at == ~at);
		check("the end of memory", *(volatile uint64_t *)(end - 8U) == end);
	}
}

void guest_main(const void *boot_params)
{
	idt_init();
	out8(0x21U, 0xffU); /* no PIC */
	out8(0xa1U, 0xffU);
	print("features start\n");
	print("shown: rdtscp=%u invpcid=%u xsave=%u xsaves=%u pcid=%u\n",
	      (uint32_t)has(0x80000001U, 0U, 3U, 27U), (uint32_t)has(7U, 0U, 1U, 10U),
	      (uint32_t)has(1U, 0U, 2U, 26U), (uint32_t)has(0xdU, 1U, 0U, 3U),
	      (uint32_t)has(1U, 0U, 2U, 17U));
	check_control();
	check_instructions();
	check_large_page();
	check_memory(boot_params);
	check_xapic();
	check_x2apic();
	check_other_cpu();
	print("features done, %u wrong\n", wrong);
}
