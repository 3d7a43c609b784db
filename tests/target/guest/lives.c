// SPDX-License-Identifier: BSD-3-Clause
/*
 * A small guest that lives several times. Each life asks the device model, writes to memory, sleeps
 * until its timer, and looks whether all of it is as it must be; then it resets the machine, or in
 * its last life powers off. Words on its command line, all optional:
 *   lives=N rounds=N name=X   how many lives, rounds of work in each, what it calls itself
 *   slowest                   tells how long the slowest round took
 *   then=fault|wait|spin|halt at its end: a triple fault, rounds of work for ever, or its processor
 *                             kept busy, or nothing more
 */
#include <stddef.h>

#include "guest.h"

#define CMD_LINE_PTR 0x228U  /* in Linux's zero page */
#define LIFE	     0x9000U /* memory that neither the loader nor the guest's image takes */
#define LIFE_MAGIC   0x4556494cU
#define WORK	     0x1100000U /* 17 MB */
#define WORK_WORDS   4096U

#define POST_CODE    0x80U
#define RTC_INDEX    0x70U
#define RTC_DATA     0x71U
#define RTC_SPARE    0x50U /* battery-backed memory */
#define CONFIG_ADDR  0xcf8U
#define CONFIG_DATA  0xcfcU
#define RESET_PORT   0xcf9U
#define RESET_VALUE  0x0eU
#define PM1_CONTROL  0x404U
#define S5	     0x3400U

#define TIMER_VECTOR 0x40U
#define TIMER_COUNT  0x380U
#define TIMER_TICKS  2000U

struct life {
	uint32_t magic, count;
};

static const char *word(const char *line, const char *name)
{
	for (; *line != '\0'; line++) {
		uint32_t n = 0U;

		while (name[n] != '\0' && line[n] == name[n])
			n++;
		if (name[n] == '\0')
			return line + n;
	}
	return NULL;
}

static uint32_t number(const char *line, const char *name, uint32_t otherwise)
{
	const char *digit = word(line, name);
	uint32_t n = 0U;

	if (digit == NULL)
		return otherwise;
	for (; *digit >= '0' && *digit <= '9'; digit++)
		n = n * 10U + (uint32_t)(*digit - '0');
	return n;
}

static void must(bool right, const char *what, uint32_t life, uint32_t round)
{
	if (right)
		return;
	print("lives: WRONG %s in life %u, round %u\n", what, life, round);
	stop();
}

static void work(uint32_t life, uint32_t round, char name)
{
	volatile uint32_t *memory = (volatile uint32_t *)(uintptr_t)WORK;
	uint32_t seed = (uint32_t)name << 24 | life << 16 | round, before = interrupts;

	for (uint32_t i = 0U; i < WORK_WORDS; i += 32U)
		memory[i] = seed ^ i;
	out8(POST_CODE, (uint8_t)seed);
	out8(RTC_INDEX, RTC_SPARE);
	out8(RTC_DATA, (uint8_t)~seed);
	out32(CONFIG_ADDR, 0x80000000U);
	must(in32(CONFIG_DATA) != UINT32_MAX, "host bridge", life, round);
	wrmsr(X2APIC(TIMER_COUNT), TIMER_TICKS);
	__asm__ volatile("sti; hlt; cli");
	must(interrupts != before, "timer", life, round);
	must(in8(POST_CODE) == (uint8_t)seed, "port", life, round);
	must(in8(RTC_DATA) == (uint8_t)~seed, "clock's memory", life, round);
	for (uint32_t i = 0U; i < WORK_WORDS; i += 32U)
		must(memory[i] == (seed ^ i), "memory", life, round);
}

/* Returns the ticks of the slowest round. */
static uint64_t rounds_of_work(uint32_t life, uint32_t rounds, char name)
{
	uint64_t slowest = 0U;

	for (uint32_t round = 0U; round < rounds; round++) {
		uint64_t start = rdtsc();

		work(life, round, name);
		if (rdtsc() - start > slowest)
			slowest = rdtsc() - start;
	}
	return slowest;
}

static void end(const char *how)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt;

	if (how != NULL && *how == 'f')
		__asm__ volatile("lidt %0; ud2" : : "m"(no_idt));
	while (how != NULL && *how == 's')
		__asm__ volatile("" : : : "memory");
	if (how != NULL && *how == 'h')
		stop();
	out16(PM1_CONTROL, S5);
}

void guest_main(const void *boot_params)
{
	uint32_t at = *(const volatile uint32_t *)((uintptr_t)boot_params + CMD_LINE_PTR);
	struct life *life = (struct life *)(uintptr_t)LIFE;
	const char *line = (const char *)(uintptr_t)at;
	const char *name = word(line, "name="), *then = word(line, "then=");
	uint32_t lives = number(line, "lives=", 1U), rounds = number(line, "rounds=", 20U);
	char called = name != NULL ? *name : '-';
	uint64_t slowest;
	uint32_t wait = then != NULL && *then == 'w' ? UINT32_MAX : 0U;

	idt_init();
	(void)x2apic_init();
	wrmsr(X2APIC(APIC_LVT_TIMER), TIMER_VECTOR);
	if (life->magic != LIFE_MAGIC)
		*life = (struct life){.magic = LIFE_MAGIC};
	life->count++;
	slowest = rounds_of_work(life->count, rounds, called);
	if (life->count < lives) {
		out8(RESET_PORT, RESET_VALUE);
		stop();
	}
	if (word(line, "slowest") != NULL)
		print("lives: %c took %u thousand ticks for a round\n", called,
		      (uint32_t)(slowest / 1000U));
	print("lives: %c had %u, all well\n", called, life->count);
	print_flush();
	(void)rounds_of_work(life->count, wait, called);
	end(then);
	stop();
}
