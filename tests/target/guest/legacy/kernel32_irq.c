// SPDX-License-Identifier: BSD-3-Clause
/*
 * Interrupts of the 32-bit kernel as kernels of a PC use them: the PICs with a line of the UART, the
 * PIT where there is one, and a periodic timer of the local APIC that switches between three tasks.
 * All interrupts are off when it begins and when it ends. One CPU.
 */
#include "kernel32.h"

#define FIRST_VECTOR 0x20U
#define UART_VECTOR  (FIRST_VECTOR + COM1_IRQ)
#define TIMER_VECTOR 0x38U
#define SPURIOUS     0x3FU
#define PIT_CHANNEL0 0x40U
#define PIT_CONTROL  0x43U
#define PIT_PERIODIC 0x34U
#define PIT_COUNT    11932U /* 100 Hz */
#define LAPIC	     0xFEE00000U
#define LAPIC_ID     0x20U
#define LAPIC_EOI    0xB0U
#define LAPIC_SVR    0xF0U
#define LAPIC_LVT    0x320U
#define LAPIC_INIT   0x380U
#define LAPIC_NOW    0x390U
#define LAPIC_DIVIDE 0x3E0U
#define SVR_ENABLE   0x100U
#define LVT_MASKED   0x10000U
#define LVT_PERIODIC 0x20000U
#define BY_16	     3U
#define TICK_TSC     100000U
#define TASKS	     3U
#define TICKS	     60U
#define PATIENCE     400000000U /* of the TSC */

static volatile uint32_t count[64];
static volatile uint8_t isr_seen;

static uint32_t lapic(uint32_t reg)
{
	return *(volatile uint32_t *)(LAPIC + reg);
}

static void set_lapic(uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(LAPIC + reg) = value;
}

static uint8_t pic_get(uint8_t what)
{
	out8(PIC1, what);
	return in8(PIC1);
}

static struct frame *count_it(struct frame *frame)
{
	count[frame->vector]++;
	isr_seen = pic_get(PIC_GET_ISR);
	if (frame->vector == UART_VECTOR)
		(void)in8(UART_IIR);
	out8(PIC1, PIC_EOI);
	return frame;
}

/* With interrupts on until the vector has come so often; false: it never did. */
static bool wait_for(uint32_t vector, uint32_t times)
{
	uint32_t start = tsc();

	while (count[vector] < times && tsc() - start < PATIENCE)
		__asm__ volatile("sti\n\tnop\n\tcli");
	return count[vector] >= times;
}

static void let_in(void)
{
	for (uint32_t i = 0U; i < 1000U; i++)
		__asm__ volatile("sti\n\tnop\n\tcli");
}

/* The transmitter is empty: its interrupt comes each time it is asked for. */
static void check_uart_line(void)
{
	print_flush();
	out8(UART_MCR, MCR_OUT2);
	out8(UART_IER, IER_THRE);
	let_in();
	check("masked line", count[UART_VECTOR] == 0U &&
				     (pic_get(PIC_GET_IRR) & 1U << COM1_IRQ) != 0U);
	out8(PIC1 + 1U, (uint8_t) ~(1U << COM1_IRQ));
	let_in();
	check("line of the UART", count[UART_VECTOR] == 1U);
	check("in service", isr_seen == 1U << COM1_IRQ && pic_get(PIC_GET_ISR) == 0U);
	print_flush();
	out8(UART_IER, 0U);
	out8(UART_IER, IER_THRE);
	check("halted until it comes", wait_for(UART_VECTOR, 2U));
	out8(UART_IER, 0U);
	out8(PIC1 + 1U, 0xFFU);
}

/* One that is not there reads all ones. */
static bool has_pit(void)
{
	out8(PIT_CONTROL, PIT_PERIODIC);
	out8(PIT_CHANNEL0, PIT_COUNT & 0xFFU);
	out8(PIT_CHANNEL0, PIT_COUNT >> 8);
	for (uint32_t i = 0U; i < 1000U; i++) {
		if (in8(PIT_CHANNEL0) != 0xFFU)
			return true;
	}
	return false;
}

static void check_pit(void)
{
	struct rtc_time from, to;

	if (!has_pit()) {
		print("PIT none\n");
		return;
	}
	(void)in8(PIT_CHANNEL0); /* maybe the second half of a count */
	out8(PIC1 + 1U, 0xFEU);
	check("PIT ticks", wait_for(FIRST_VECTOR, 2U));
	rtc_get(&from);
	do {
		rtc_get(&to);
		let_in();
	} while (to.second == from.second);
	count[FIRST_VECTOR] = 0U;
	from = to;
	do {
		rtc_get(&to);
		let_in();
	} while (to.second == from.second);
	print("PIT %u ticks in a second\n", count[FIRST_VECTOR]);
	check("PIT rate", count[FIRST_VECTOR] - 90U <= 20U);
	out8(PIC1 + 1U, 0xFFU);
}

void check_interrupts(void)
{
	on_interrupt = count_it;
	pic_init(FIRST_VECTOR, FIRST_VECTOR + 8U);
	out8(PIC1 + 1U, 0xFFU);
	if (in8(UART_LSR) != 0xFFU)
		check_uart_line();
	check_pit();
	on_interrupt = NULL;
}

/* The tasks: each works without end on a sum of its own and is interrupted anywhere. */
static struct task {
	struct frame *frame;
	volatile uint32_t rounds, ticks;
	volatile bool damaged;
	uint8_t stack[2048] __attribute__((aligned(16)));
} tasks[TASKS];
static uint32_t running, ticks;
static struct frame *main_frame;

static uint32_t sum_of(uint32_t seed)
{
	uint32_t a = seed, b = 1U;

	for (uint32_t i = 0U; i < 500U; i++) {
		a = a * 1664525U + 1013904223U;
		b = (b ^ a) * 16777619U;
	}
	return b;
}

static void work(struct task *t, uint32_t seed)
{
	uint32_t expected = sum_of(seed);

	for (;;) {
		if (sum_of(seed) != expected)
			t->damaged = true;
		t->rounds++;
	}
}

static struct frame *tick(struct frame *frame)
{
	set_lapic(LAPIC_EOI, 0U);
	if (main_frame == NULL) {
		main_frame = frame;
	} else {
		tasks[running].frame = frame;
		tasks[running].ticks++;
		running = (running + 1U) % TASKS;
	}
	return (++ticks <= TICKS) ? tasks[running].frame : main_frame;
}

static struct frame *first_frame(struct task *t, uint32_t seed)
{
	uint32_t *top = (uint32_t *)(t->stack + sizeof(t->stack) - 16U);
	struct frame *frame = (struct frame *)top - 1;

	top[1] = (uint32_t)t; /* above a return address: the arguments */
	top[2] = seed;
	*frame = (struct frame){.eip = (uint32_t)work, .cs = 8U, .eflags = 0x202U};
	return frame;
}

/* How far the timer counts in the time that a tick shall have. */
static uint32_t calibrate(void)
{
	uint32_t start;

	set_lapic(LAPIC_DIVIDE, BY_16);
	set_lapic(LAPIC_LVT, LVT_MASKED | TIMER_VECTOR);
	set_lapic(LAPIC_INIT, UINT32_MAX);
	start = tsc();
	while (tsc() - start < TICK_TSC)
		;
	return UINT32_MAX - lapic(LAPIC_NOW);
}

void check_tasks(void)
{
	uint32_t period, least = UINT32_MAX, start;
	bool intact = true, fair = true;

	on_interrupt = tick;
	set_lapic(LAPIC_SVR, SVR_ENABLE | SPURIOUS);
	period = calibrate();
	for (uint32_t i = 0U; i < TASKS; i++)
		tasks[i].frame = first_frame(&tasks[i], i + 1U);
	set_lapic(LAPIC_LVT, LVT_PERIODIC | TIMER_VECTOR);
	start = tsc();
	set_lapic(LAPIC_INIT, period);
	while (ticks <= TICKS)
		__asm__ volatile("sti\n\thlt\n\tcli" : : : "memory");
	set_lapic(LAPIC_LVT, LVT_MASKED | TIMER_VECTOR);
	on_interrupt = NULL;
	print("ticks %u of %u in %u\n", ticks, TICK_TSC, tsc() - start);
	for (uint32_t i = 0U; i < TASKS; i++) {
		print("task %u: %u ticks, %u rounds\n", i, tasks[i].ticks, tasks[i].rounds);
		intact = intact && !tasks[i].damaged;
		fair = fair && tasks[i].ticks == TICKS / TASKS;
		least = tasks[i].rounds < least ? tasks[i].rounds : least;
	}
	check("tasks take turns", fair);
	check("tasks work", intact && least > 1U);
}
