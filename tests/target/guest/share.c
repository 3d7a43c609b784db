// SPDX-License-Identifier: BSD-3-Clause
/*
 * A guest that shares its processor: how much of a time that all guests agree on does it get? Says
 * "ready TSC", reads the TSC at which that time begins from COM1, and sleeps until then. The command
 * line says what it does: "spin", "cli" (the same with interrupts off), "storm" (nothing but VM
 * exits), "pause" (spins on PAUSE), "ask" (accesses that acrn-dm serves). Then it says how long it
 * had the processor and how many rounds it did, and powers off. Runs as a User VM.
 */
#include "guest.h"

#define CMD_LINE_PTR 0x228U /* in Linux's zero page */
#define COM1	     0x3f8U
#define LSR_DATA     0x01U
#define POST_CODE    0x80U
#define PM1_CONTROL  0x404U
#define S5	     0x3400U /* sleep type 5, and go */
#define TIMER_VECTOR 0x40U
#define TSC_DEADLINE (1U << 18)
#define WINDOW	     60000000U /* ticks: three seconds in Bochs */
#define AWAY	     4000U     /* a round that takes as long was not all its own */

static uint64_t read_number(void)
{
	uint64_t number = 0U;
	uint8_t c;

	do {
		while ((in8(COM1 + 5U) & LSR_DATA) == 0U)
			;
		c = in8(COM1);
		if (c >= '0' && c <= '9')
			number = number * 10U + (uint64_t)(c - '0');
	} while (c != '\n' && c != '\r');
	return number;
}

/* By its interrupt, so that the processor is free meanwhile. */
static void sleep_until(uint64_t tsc)
{
	(void)x2apic_init();
	wrmsr(X2APIC(APIC_LVT_TIMER), TSC_DEADLINE | TIMER_VECTOR);
	wrmsr(MSR_TSC_DEADLINE, tsc);
	while (rdtsc() < tsc)
		__asm__ volatile("sti; hlt; cli" : : : "memory");
}

static void one_round(char what)
{
	uint32_t regs[4];

	switch (what) {
	case 'a':
		(void)in8(POST_CODE);
		break;
	case 'p':
		__asm__ volatile("pause");
		break;
	case 's':
		cpuid(0U, 0U, regs);
		break;
	default:
		break;
	}
}

void guest_main(const void *boot_params)
{
	uint32_t at = *(const volatile uint32_t *)((uintptr_t)boot_params + CMD_LINE_PTR);
	const char *line = (const char *)(uintptr_t)at;
	char what = (line[0] == 's' && line[1] == 'p') ? ' ' : line[0];
	uint64_t own = 0U, rounds = 0U, start, now, last;

	idt_init();
	print("ready %lu\n", rdtsc());
	start = read_number();
	sleep_until(start);
	if (what != 'c')
		__asm__ volatile("sti");
	for (last = rdtsc(); last < start + WINDOW; last = now) {
		one_round(what);
		now = rdtsc();
		own += (now - last < AWAY) ? now - last : 0U;
		rounds += (now < start + WINDOW) ? 1U : 0U;
	}
	print("had %lu of %u, %lu rounds\n", own / 1000U, WINDOW / 1000U, rounds);
	print_flush();
	out16(PM1_CONTROL, S5);
}
