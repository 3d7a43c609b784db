// SPDX-License-Identifier: BSD-3-Clause
/*
 * Console, exceptions and LAPIC of the test guests. One CPU, no allocation;
 * nothing here depends on whether there is a hypervisor below.
 */
#include <stdarg.h>
#include <stddef.h>

#include "guest.h"

#define COM1	     0x3f8U
#define FCR_ENABLE   0x01U
#define LSR_THRE     0x20U
#define LSR_IDLE     0x40U
#define FIFO_BYTES   16U
#define IDT_ENTRIES  256U
#define FIRST_INT    32U
#define NMI	     2U
#define GATE_PRESENT 0x8e00U
#define CODE_SEGMENT 8U

#define SLEEP_CONTROL	  0x400U /* of a VM that starts with the machine */
#define SLEEP_S5	  0x34U
#define DM_PM1_CONTROL	  0x404U
#define DM_S5		  5U
#define BOCHS_PM1_CONTROL 0xb004U
#define BOCHS_S5	  0U
#define SLEEP		  0x2000U
#define SETTLE_ROUNDS	  20U
#define SETTLE_TICKS	  50000U

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t type;
	uint16_t offset_mid;
	uint32_t offset_high;
	uint32_t reserved;
};

struct idt_pointer {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

struct fixup {
	uint64_t at;
	uint64_t go_on;
};

extern const struct fixup fixups_start[], fixups_end[];
extern const char vector_entries[], interrupt_entry[];
uint64_t rdmsr_raw(uint32_t msr);
void wrmsr_raw(uint32_t msr, uint64_t value);
uint64_t exception(uint64_t vector, uint64_t error, uint64_t rip);

volatile uint32_t last_vector_plus_one;
volatile uint32_t interrupts;
static struct gate idt[IDT_ENTRIES];
static void (*interrupt_handler)(uint32_t vector);

/* An empty transmitter takes a FIFO full: in a VM each look at LSR is a long way. */
static void put(char c)
{
	static uint32_t room;

	if (room == 0U) {
		out8(COM1 + 2U, FCR_ENABLE);
		while ((in8(COM1 + 5U) & LSR_THRE) == 0U)
			;
		room = FIFO_BYTES;
	}
	out8(COM1, (uint8_t)c);
	room--;
}

static void put_number(uint64_t value, uint32_t base, uint32_t width)
{
	char digits[20];
	uint32_t n = 0U;

	do {
		digits[n++] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value != 0U);
	for (; width > n; width--)
		put('0');
	while (n > 0U)
		put(digits[--n]);
}

static void put_string(const char *s)
{
	for (; *s != '\0'; s++)
		put(*s);
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (; *format != '\0'; format++) {
		uint32_t width = 0U;
		bool is_long = false;

		if (*format != '%') {
			if (*format == '\n')
				put('\r');
			put(*format);
			continue;
		}
		for (format++; *format >= '0' && *format <= '9'; format++)
			width = width * 10U + (uint32_t)(*format - '0');
		if (*format == 'l') {
			is_long = true;
			format++;
		}
		if (*format == 's')
			put_string(va_arg(args, const char *));
		else if (*format == 'c')
			put((char)va_arg(args, int));
		else
			put_number(is_long ? va_arg(args, uint64_t) : va_arg(args, uint32_t),
				   *format == 'x' ? 16U : 10U, width);
	}
	va_end(args);
}

void print_flush(void)
{
	while ((in8(COM1 + 5U) & LSR_IDLE) == 0U)
		;
}

void stop(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/*
 * A write where nothing is does nothing. Without a FADT nobody sees that this one switches off, and
 * a console that is shared may still have something to print: each character that is put there lets
 * out some of it, even where no interrupt of the host gets through to a CPU with interrupts off.
 */
void power_off(void)
{
	for (uint32_t i = 0U; i < SETTLE_ROUNDS; i++) {
		uint64_t start = rdtsc();

		print_flush();
		out8(COM1, '\r');
		while (rdtsc() - start < SETTLE_TICKS)
			;
	}
	out16(DM_PM1_CONTROL, SLEEP | DM_S5 << 10);
	out16(BOCHS_PM1_CONTROL, SLEEP | BOCHS_S5 << 10);
	out8(SLEEP_CONTROL, SLEEP_S5); /* last: Bochs's machine takes it for a cry of its BIOS */
	stop();
}

uint64_t exception(uint64_t vector, uint64_t error, uint64_t rip)
{
	if (vector >= FIRST_INT || (vector == NMI && interrupt_handler != NULL)) {
		interrupt_handler((uint32_t)vector);
		return rip;
	}
	for (const struct fixup *f = fixups_start; f < fixups_end; f++) {
		if (f->at == rip) {
			last_vector_plus_one = (uint32_t)vector + 1U;
			return f->go_on;
		}
	}
	print("exception %u error %lx at %lx\n", (uint32_t)vector, error, rip);
	stop();
}

void idt_set_gate(uint32_t vector, const void *entry)
{
	uint64_t handler = (uint64_t)entry;

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)handler,
		.selector = CODE_SEGMENT,
		.type = GATE_PRESENT,
		.offset_mid = (uint16_t)(handler >> 16),
		.offset_high = (uint32_t)(handler >> 32),
	};
}

void idt_init(void)
{
	struct idt_pointer pointer = {sizeof(idt) - 1U, (uint64_t)idt};

	for (uint32_t i = 0U; i < IDT_ENTRIES; i++)
		idt_set_gate(i, i < FIRST_INT ? vector_entries + i * 16U : interrupt_entry);
	__asm__ volatile("lidt %0" : : "m"(pointer));
}

void idt_set_handler(void (*handler)(uint32_t vector))
{
	interrupt_handler = handler;
	for (uint32_t i = FIRST_INT; i < IDT_ENTRIES; i++)
		idt_set_gate(i, vector_entries + i * 16U);
}

bool x2apic_init(void)
{
	uint32_t regs[4];

	cpuid(1U, 0U, regs);
	if ((regs[2] & (1U << 21)) == 0U)
		return false;
	wrmsr(MSR_APIC_BASE, rdmsr(MSR_APIC_BASE) | 0xc00U);
	wrmsr(X2APIC(APIC_SVR), 0x1ffU);
	return true;
}

bool rdmsr_safe(uint32_t msr, uint64_t *value)
{
	last_vector_plus_one = 0U;
	*value = rdmsr_raw(msr);
	return last_vector_plus_one == 0U;
}

bool wrmsr_safe(uint32_t msr, uint64_t value)
{
	last_vector_plus_one = 0U;
	wrmsr_raw(msr, value);
	return last_vector_plus_one == 0U;
}
