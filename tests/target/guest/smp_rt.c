// SPDX-License-Identifier: BSD-3-Clause
/*
 * A VM that owns its local APICs, at work: a 1 kHz timer by TSC deadline on each processor, and
 * loops that do nothing else, first on one processor, then on all. Between "runs" and "ran" nothing
 * here may need the hypervisor, whose counters say whether that is so. "loops=long": 4 billion
 * instructions and some more on each processor, else fewer. A key ends it, so that somebody can look
 * at the counters first.
 */
#include "smp.h"

#define VECTOR_TICK  0x50U
#define TSC_MODE     0x40000U
#define LEAF_TIMING  0x40000010U
#define SHORT	     200000000UL
#define LONG	     4500000000UL
#define COM1_LSR     0x3fdU
#define LSR_DATA     0x01U
#define PER_ROUND    16UL /* instructions: what an emulator does in one go */

static uint64_t period; /* TSC ticks of a millisecond */
static uint64_t rounds;

static struct cpu *self(void)
{
	struct cpu *c;

	__asm__ volatile("movq %%gs:0, %0" : "=r"(c));
	return c;
}

/* Reads no register of the APIC that exits. */
static void tick(uint32_t vector)
{
	struct cpu *c = self();

	c->got[vector]++;
	if (vector == VECTOR_TICK)
		wrmsr(MSR_TSC_DEADLINE, rdtsc() + period);
	wrmsr(X2APIC(APIC_EOI), 0U);
}

static void work(struct cpu *c)
{
	uint64_t n = rounds, sum = 0U;

	(void)c;
	wrmsr(X2APIC(APIC_LVT_TIMER), TSC_MODE | VECTOR_TICK);
	wrmsr(MSR_TSC_DEADLINE, rdtsc() + period);
	__asm__ volatile("1: .rept 14; leaq 1(%1), %1; .endr; decq %0; jnz 1b"
			 : "+r"(n), "+r"(sum) : : "cc");
	wrmsr(X2APIC(APIC_LVT_TIMER), 0x10000U | VECTOR_TICK);
	c->loops++;
}

static void run(uint32_t count)
{
	uint64_t ticks, start;

	print("rt: runs on %u\n", count);
	print_flush();
	start = rdtsc();
	for (uint32_t i = 1U; i < count; i++) {
		cpus[i].task = work;
		icr_send(cpus[i].id, ICR_ASSERT | VECTOR_BARRIER);
	}
	work(&cpus[0]);
	for (uint32_t i = 1U; i < count; i++) {
		while (cpus[i].loops == 0U)
			__asm__ volatile("pause");
	}
	ticks = rdtsc() - start;
	print("rt: ran on %u: %lu instructions, %lu ticks, %lu ms, interrupts", count,
	      rounds * PER_ROUND, ticks, ticks / period);
	for (uint32_t i = 0U; i < count; i++)
		print(" %u", cpus[i].got[VECTOR_TICK]);
	print("\n");
}

void smp_rt(bool is_long)
{
	uint32_t r[4];

	cpuid(LEAF_TIMING, 0U, r);
	period = r[0];
	rounds = (is_long ? LONG : SHORT) / PER_ROUND;
	idt_set_handler(tick);
	run(1U);
	cpus[0].got[VECTOR_TICK] = 0U;
	if (cpu_count > 1U)
		run(cpu_count);
	print("rt: done\n");
	while ((in8(COM1_LSR) & LSR_DATA) == 0U)
		__asm__ volatile("pause");
	power_off();
}
