// SPDX-License-Identifier: BSD-3-Clause
/*
 * How late is a timer's interrupt? A guest that arms the TSC deadline of its local APIC again and
 * again, and reads the TSC in the first instruction of the handler. Runs on a board as in Bochs: as
 * any VM with a serial port, or on the bare machine; needs x2APIC mode and one CPU. Words of its
 * command line: samples=N, period=TICKS, "hlt" (waits in HLT, not in a loop); or, to be measured
 * beside, "rest" (waits for ever), "spin" (does nothing for ever), "load" (what exits most, for
 * ever) and "flush" (WBINVD, for ever). It prints what tests/bench/rt.py reads.
 */
#include "guest.h"

#define CMD_LINE_PTR   0x228U /* in Linux's zero page */
#define TIMER_VECTOR   0x40U
#define IPI_VECTOR     0x41U
#define TSC_DEADLINE   (1U << 18)
#define BINS	       16384U
#define IOAPIC	       0xfec00000U
#define POST_CODE      0x80U
#define PIC_MASTER_MASK 0x21U
#define PIC_SLAVE_MASK	0xa1U
#define TIMING_LEAF    0x40000010U
#define HYPERVISOR_BIT (1U << 31)

/* What the handler reads: 0 while it has not come. */
extern volatile uint64_t stamp;
extern const char latency_entry[];

/* RAX, RCX and RDX are the waiting loop's to lose, so that nothing comes before the RDTSC. */
__asm__(".text\n"
	"latency_entry:\n"
	"	rdtsc\n"
	"	movl	%eax, stamp\n"
	"	movl	%edx, stamp + 4\n"
	"	movl	$0x80b, %ecx\n"
	"	xorl	%eax, %eax\n"
	"	xorl	%edx, %edx\n"
	"	wrmsr\n"
	"	iretq\n"
	".bss\n"
	".balign 8\n"
	"stamp: .quad 0\n"
	".previous\n");

/* Samples by lateness, in bins of so many ticks; twice as many when one does not fit. */
static uint32_t bins[BINS];
static uint32_t width = 1U;

static void count_sample(uint64_t late)
{
	while (late / width >= BINS) {
		for (uint32_t i = 0U; i < BINS; i++)
			bins[i] = (i < BINS / 2U) ? bins[2U * i] + bins[2U * i + 1U] : 0U;
		width *= 2U;
	}
	bins[late / width]++;
}

/* The number behind `word` in the command line, or `otherwise`; 1 behind a word without one. */
static uint64_t option(const char *line, const char *word, uint64_t otherwise)
{
	for (; *line != '\0'; line++) {
		uint64_t n = 0U;
		uint32_t i = 0U;

		while (word[i] != '\0' && line[i] == word[i])
			i++;
		if (word[i] != '\0')
			continue;
		if (i == 0U || word[i - 1U] != '=')
			return 1U;
		for (line += i; *line >= '0' && *line <= '9'; line++)
			n = n * 10U + (uint64_t)(*line - '0');
		return n;
	}
	return otherwise;
}

/* The rate of the TSC if a hypervisor tells it. */
static uint32_t tsc_khz(void)
{
	uint32_t regs[4];

	cpuid(1U, 0U, regs);
	if ((regs[2] & HYPERVISOR_BIT) == 0U)
		return 0U;
	cpuid(TIMING_LEAF & ~0xffU, 0U, regs);
	if (regs[0] < TIMING_LEAF)
		return 0U;
	cpuid(TIMING_LEAF, 0U, regs);
	return regs[0];
}

static uint64_t one_sample(uint64_t deadline, bool halt)
{
	stamp = 0U;
	wrmsr(MSR_TSC_DEADLINE, deadline);
	if (halt)
		__asm__ volatile("1: sti; hlt; cli; cmpq $0, stamp; je 1b"
				 : : : "rax", "rcx", "rdx", "cc", "memory");
	else
		__asm__ volatile("sti; 1: cmpq $0, stamp; je 1b; cli"
				 : : : "rax", "rcx", "rdx", "cc", "memory");
	return stamp - deadline;
}

static void measure_latency(uint32_t samples, uint64_t period, bool halt)
{
	uint64_t deadline = rdtsc() + period, sum = 0U, low = UINT64_MAX, high = 0U;
	uint32_t early = 0U;

	for (uint32_t i = 0U; i < samples; i++) {
		uint64_t late = one_sample(deadline, halt);

		if ((int64_t)late < 0) {
			early++;
			late = 0U;
		}
		sum += late;
		low = (late < low) ? late : low;
		high = (late > high) ? late : high;
		count_sample(late);
		/* A deadline in the past is one that was missed; the next is a whole period off. */
		deadline = (deadline + period > rdtsc()) ? deadline + period : rdtsc() + period;
	}
	for (uint32_t i = 0U; i < BINS; i++) {
		if (bins[i] != 0U)
			print("rt: bin %u %u\n", i * width, bins[i]);
	}
	print("rt: samples %u period %lu width %u khz %u early %u\n", samples, period, width,
	      tsc_khz(), early);
	print("rt: min %lu mean %lu max %lu\n", low, sum / samples, high);
}

/* What exits most: timers, interrupts to itself, ports, device memory, CPUID. */
static void load(void)
{
	uint32_t regs[4];

	wrmsr(X2APIC(APIC_LVT_TIMER), TSC_DEADLINE | TIMER_VECTOR);
	__asm__ volatile("sti");
	print("rt: load runs\n");
	for (;;) {
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + 5000U);
		wrmsr(X2APIC(APIC_ICR), 1U << 18 | IPI_VECTOR);
		cpuid(0U, 0U, regs);
		out8(POST_CODE, 0U);
		(void)mmio_read32(IOAPIC);
	}
}

static void flush(void)
{
	__asm__ volatile("sti"); /* in Bochs only then is it interrupted */
	print("rt: flush runs\n");
	for (;;)
		__asm__ volatile("wbinvd" : : : "memory");
}

void guest_main(const void *boot_params)
{
	uint32_t at = *(const volatile uint32_t *)((uintptr_t)boot_params + CMD_LINE_PTR);
	const char *line = (const char *)(uintptr_t)at;
	uint32_t samples = (uint32_t)option(line, "samples=", 10000U);
	uint64_t period = option(line, "period=", 20000U);
	uint32_t regs[4];

	idt_init();
	out8(PIC_MASTER_MASK, 0xffU); /* a BIOS leaves the PIT running */
	out8(PIC_SLAVE_MASK, 0xffU);
	cpuid(1U, 0U, regs);
	if (!x2apic_init() || (regs[2] & (1U << 24)) == 0U) {
		print("rt: needs x2APIC mode and the TSC deadline timer\n");
		return;
	}
	if (option(line, "load", 0U) != 0U)
		load();
	if (option(line, "flush", 0U) != 0U)
		flush();
	while (option(line, "rest", 0U) != 0U)
		__asm__ volatile("sti; hlt");
	while (option(line, "spin", 0U) != 0U)
		__asm__ volatile("pause");
	idt_set_gate(TIMER_VECTOR, latency_entry);
	wrmsr(X2APIC(APIC_LVT_TIMER), TSC_DEADLINE | TIMER_VECTOR);
	/* The first rounds are the machine's warming up. */
	for (uint32_t i = 0U; i < 100U; i++)
		(void)one_sample(rdtsc() + period, option(line, "hlt", 0U) != 0U);
	measure_latency(samples != 0U ? samples : 1U, period, option(line, "hlt", 0U) != 0U);
	print("rt: done\n");
	print_flush();
}
