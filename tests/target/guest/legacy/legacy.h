/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the guests of 32 and 16 bits have to work with. They are written for a PC with a BIOS and a
 * boot loader, know of no hypervisor, and judge what they see: a line "WHAT: ok" or "WHAT: WRONG" for
 * each thing.
 */
#ifndef LEGACY_H
#define LEGACY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COM1	   0x3F8U
#define COM1_IRQ   4U
#define UART_IER   (COM1 + 1U)
#define UART_IIR   (COM1 + 2U)
#define UART_MCR   (COM1 + 4U)
#define UART_LSR   (COM1 + 5U)
#define IER_RX	   0x01U
#define IER_THRE   0x02U
#define MCR_OUT2   0x08U
#define LSR_READY  0x01U
#define LSR_THRE   0x20U
#define LSR_IDLE   0x40U
#define PIC1	   0x20U
#define PIC2	   0xA0U
#define PIC_EOI	   0x20U
#define PIC_GET_IRR 0x0AU
#define PIC_GET_ISR 0x0BU

/* Things that were wrong so far. */
extern uint32_t wrong;

/* Prints to COM1, waiting for the transmitter: %u %x %s %c, and %0Nx widths. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void print_flush(void);
/* Says what was looked at, and whether it is so. */
void check(const char *what, bool ok);
/* Gives both PICs their vectors; every line is masked, but the second one's. */
void pic_init(uint8_t first_vector, uint8_t second_vector);

/* The CMOS clock, in 24-hour form. */
struct rtc_time {
	uint32_t year, month, day, hour, minute, second;
};
void rtc_get(struct rtc_time *t);
void rtc_set_year(uint32_t year);

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint32_t tsc(void)
{
	uint32_t low;

	__asm__ volatile("rdtsc" : "=a"(low) : : "edx");
	return low;
}

#endif
