// SPDX-License-Identifier: BSD-3-Clause
/*
 * What the SMP guest does for the command line "smp=race": its processors INIT and start each other
 * at random for ever, and after a while the first one resets the VM, so that whoever pauses, resets
 * or destroys it meets vCPUs in every state of a start. "smp=fault": a triple fault of the last
 * processor while the others work.
 */
#include "smp.h"

#define CMD_LINE_PTR  0x228U /* in the zero page */
#define RESET_CONTROL 0xcf9U
#define RESET	      6U
#define MIN_TICKS     2000000U

static bool has_word(const char *text, const char *word)
{
	for (; *text != '\0'; text++) {
		uint32_t n = 0U;

		while (word[n] != '\0' && text[n] == word[n])
			n++;
		if (word[n] == '\0')
			return true;
	}
	return false;
}

bool smp_asked(const void *boot_params, const char *word)
{
	uint32_t line = *(const uint32_t *)((uint64_t)boot_params + CMD_LINE_PTR);

	return line != 0U && has_word((const char *)(uint64_t)line, word);
}

static uint32_t rnd(struct cpu *c)
{
	if (c->seed == 0U)
		c->seed = rdtsc() | 1U;
	c->seed ^= c->seed << 13;
	c->seed ^= c->seed >> 7;
	c->seed ^= c->seed << 17;
	return (uint32_t)(c->seed >> 32);
}

/* One message to another processor, never to the first. */
static void race_once(struct cpu *c)
{
	uint32_t victim = 1U + rnd(c) % (cpu_count - 1U), page = (rnd(c) & 1U) != 0U ? PAGE_A : PAGE_B;

	if (&cpus[victim] == c)
		return;
	switch (rnd(c) % 4U) {
	case 0:
		icr_send(cpus[victim].id, ICR_INIT | ICR_ASSERT);
		break;
	case 1:
		icr_send(cpus[victim].id, ICR_ASSERT | VECTOR_BARRIER);
		break;
	case 2:
		icr_send(cpus[victim].id, ICR_INIT | ICR_ASSERT);
		icr_send(cpus[victim].id, ICR_STARTUP | ICR_ASSERT | page >> 12);
		break;
	default:
		icr_send(cpus[victim].id, ICR_STARTUP | ICR_ASSERT | page >> 12);
		break;
	}
}

static void race_on(struct cpu *c)
{
	if ((rnd(c) & 1U) != 0U)
		x2apic_enter(c, 0U);
	for (;;) {
		race_once(c);
		if (rnd(c) % 8U == 0U)
			apic_write(APIC_LVT_TIMER, VECTOR_BARRIER);
		if (rnd(c) % 8U == 0U)
			apic_write(APIC_TIMER_COUNT, rnd(c) % 100000U);
		if (rnd(c) % 32U == 0U)
			__asm__ volatile("sti; hlt; cli" : : : "memory");
	}
}

void smp_race(void)
{
	struct cpu *self = &cpus[0];
	uint64_t end = rdtsc() + MIN_TICKS + rnd(self) % MIN_TICKS;

	print("smp: race, %u CPUs\n", cpu_count);
	print_flush();
	cpu_first_task = race_on;
	while (rdtsc() < end)
		race_once(self);
	out8(RESET_CONTROL, RESET);
	for (;;)
		race_once(self);
}

static void triple_fault(struct cpu *c, uint32_t arg)
{
	static const uint64_t none[2];

	(void)c;
	(void)arg;
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

void smp_fault(void)
{
	print("smp: triple fault\n");
	print_flush();
	cpu_call_no_return(&cpus[cpu_count - 1U], triple_fault, 0U);
	for (;;)
		(void)cpus_barrier(1U);
}
