// SPDX-License-Identifier: BSD-3-Clause
/*
 * Console, PIC and clock of the guests of 32 and 16 bits: built once for each. One CPU; nothing
 * here depends on the mode of the processor or on what is below.
 */
#include <stdarg.h>

#include "legacy.h"

#define RTC	    0x70U
#define RTC_YEAR    0x09U
#define RTC_A	    0x0AU
#define RTC_B	    0x0BU
#define RTC_CENTURY 0x32U
#define A_UPDATING  0x80U
#define B_SET	    0x80U

uint32_t wrong;

static void put(char c)
{
	while ((in8(UART_LSR) & LSR_THRE) == 0U)
		;
	out8(COM1, (uint8_t)c);
}

static void put_number(uint32_t value, uint32_t base, uint32_t width)
{
	char digits[12];
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

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (; *format != '\0'; format++) {
		uint32_t width = 0U;

		if (*format != '%') {
			if (*format == '\n')
				put('\r');
			put(*format);
			continue;
		}
		for (format++; *format >= '0' && *format <= '9'; format++)
			width = width * 10U + (uint32_t)(*format - '0');
		if (*format == 's') {
			for (const char *s = va_arg(args, const char *); *s != '\0'; s++)
				put(*s);
		} else if (*format == 'c') {
			put((char)va_arg(args, int));
		} else {
			put_number(va_arg(args, uint32_t), *format == 'x' ? 16U : 10U, width);
		}
	}
	va_end(args);
}

void print_flush(void)
{
	while ((in8(UART_LSR) & LSR_IDLE) == 0U)
		;
}

void check(const char *what, bool ok)
{
	print("%s: %s\n", what, ok ? "ok" : "WRONG");
	wrong += ok ? 0U : 1U;
}

static void pic_start(uint16_t port, uint8_t vector, uint8_t wiring, uint8_t mask)
{
	out8(port, 0x11U);
	out8(port + 1U, vector);
	out8(port + 1U, wiring);
	out8(port + 1U, 0x01U);
	out8(port + 1U, mask);
}

void pic_init(uint8_t first_vector, uint8_t second_vector)
{
	pic_start(PIC1, first_vector, 0x04U, 0xFBU);
	pic_start(PIC2, second_vector, 0x02U, 0xFFU);
}

static uint8_t cmos(uint8_t reg)
{
	out8(RTC, reg);
	return in8(RTC + 1U);
}

static uint32_t bcd(uint8_t value)
{
	return (value >> 4) * 10U + (value & 0xFU);
}

void rtc_get(struct rtc_time *t)
{
	uint32_t second;

	do {
		while ((cmos(RTC_A) & A_UPDATING) != 0U)
			;
		second = bcd(cmos(0U));
		t->minute = bcd(cmos(2U));
		t->hour = bcd(cmos(4U));
		t->day = bcd(cmos(7U));
		t->month = bcd(cmos(8U));
		t->year = bcd(cmos(RTC_YEAR)) + bcd(cmos(RTC_CENTURY)) * 100U;
		t->second = bcd(cmos(0U));
	} while (t->second != second);
}

static void set_cmos(uint8_t reg, uint32_t value)
{
	out8(RTC, reg);
	out8(RTC + 1U, (uint8_t)value);
}

void rtc_set_year(uint32_t year)
{
	uint8_t b = cmos(RTC_B);

	set_cmos(RTC_B, b | B_SET);
	set_cmos(RTC_YEAR, year % 100U / 10U * 16U + year % 10U);
	set_cmos(RTC_CENTURY, year / 1000U * 16U + year / 100U % 10U);
	set_cmos(RTC_B, b);
}
