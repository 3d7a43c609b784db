// SPDX-License-Identifier: BSD-3-Clause
/*
 * The lines that every build prints: the boot report, refusals, a panic. Writes straight to the
 * 16550 and to the screen, waiting for the UART: used before anything else works and after
 * nothing does. A debug build's log goes through debug/ instead once the console runs. Takes no
 * lock: boot is one CPU, and a panicking CPU must not wait for anybody.
 */
#include "asm/insn.h"
#include "hv/boot.h"
#include "hv/screen.h"
#include "hv/vm_config.h"
#include "hv/vpci.h"
#include "lib/printf.h"
#include "lib/string.h"

#define UART_THR 0U
#define UART_LCR 3U
#define UART_FCR 2U
#define UART_LSR 5U
#define UART_LSR_THRE 0x20U
#define UART_LSR_TEMT 0x40U
#define UART_WAIT     100000U /* a port that never gets ready is given up, not waited for */

#define PCI_COMMAND	   0x04U
#define PCI_COMMAND_DECODE 3U /* ports and memory */
#define PCI_BAR0	   0x10U
#define PCI_BAR_PORTS	   1U
#define PCI_BAR_64BIT	   4U

extern const report_sink_fn __start_hv_report_sinks[] __attribute__((visibility("hidden"), weak));
extern const report_sink_fn __stop_hv_report_sinks[] __attribute__((visibility("hidden"), weak));

void (*report_before)(void);

static struct serial_config serial;

static uint8_t uart_in(uint32_t reg)
{
	if (serial.type == SERIAL_PIO) {
		return pio_read8((uint16_t)(serial.base + reg));
	}
	return *(volatile uint8_t *)hpa_ptr(HPA(serial.base + (uint64_t)reg * serial.reg_size));
}

static void uart_out(uint32_t reg, uint8_t v)
{
	if (serial.type == SERIAL_PIO) {
		pio_write8((uint16_t)(serial.base + reg), v);
	} else {
		*(volatile uint8_t *)hpa_ptr(HPA(serial.base + (uint64_t)reg * serial.reg_size)) = v;
	}
}

static void uart_putc(char c)
{
	uint32_t wait = UART_WAIT;

	if (serial.type == SERIAL_NONE) {
		return;
	}
	while ((uart_in(UART_LSR) & UART_LSR_THRE) == 0U) {
		if (--wait == 0U) {
			serial.type = SERIAL_NONE;
			return;
		}
	}
	uart_out(UART_THR, (uint8_t)c);
}

void report_puts(const char *s)
{
	if (report_before != NULL) {
		report_before();
	}
	for (const report_sink_fn *f = __start_hv_report_sinks; f < __stop_hv_report_sinks; f++) {
		(*f)(s);
	}
	for (; *s != '\0'; s++) {
		if (*s == '\n') {
			uart_putc('\r');
		}
		uart_putc(*s);
		screen_putc(*s);
	}
}

void report(const char *fmt, ...)
{
	char line[256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	report_puts(line);
	report_puts("\n");
}

/* "KIND@ADDRESS", nothing behind it, and no address above `last`. */
static bool parse_uart(const char *opt, const char *kind, uint64_t last, uint64_t *base)
{
	size_t n = strlen(kind);
	const char *end;

	return strncmp(opt, kind, n) == 0 && string_to_u64(&opt[n], &end, base) == 0 &&
	       *end == '\0' && *base != 0U && *base <= last;
}

/* The UART of a PCI function, behind its first BAR: ports, or registers 4 bytes apart below 4 GB. */
static bool pci_uart(bdf_t bdf)
{
	uint32_t bar = pci_cfg_read(bdf, PCI_BAR0, 4U), base;
	bool ports = (bar & PCI_BAR_PORTS) != 0U;

	base = bar & (ports ? 0xFFF8U : 0xFFFFFFF0U);
	if (bar == UINT32_MAX || base == 0U ||
	    ((bar & 7U) == PCI_BAR_64BIT && pci_cfg_read(bdf, PCI_BAR0 + 4U, 4U) != 0U)) {
		return false;
	}
	pci_cfg_write(bdf, PCI_COMMAND, 2U,
		      pci_cfg_read(bdf, PCI_COMMAND, 2U) | PCI_COMMAND_DECODE);
	serial = ports ? (struct serial_config){.type = SERIAL_PIO, .base = base, .reg_size = 1U}
		       : (struct serial_config){.type = SERIAL_MMIO, .base = base, .reg_size = 4U};
	return true;
}

/* `uart=disabled`, port@0x3F8, mmio@0xFE030000, bdf@0xC1; else as the board file says. */
static void choose_uart(void)
{
	char opt[40];
	uint64_t base;

	serial = board_config.console;
	if (!boot_option("uart", opt, sizeof(opt))) {
		return;
	}
	if (strcmp(opt, "disabled") == 0) {
		serial.type = SERIAL_NONE;
	} else if (parse_uart(opt, "port@", 0xFFF8U, &base)) {
		serial = (struct serial_config){.type = SERIAL_PIO, .base = base, .reg_size = 1U};
	} else if (parse_uart(opt, "mmio@", GB(4) - PAGE_SIZE, &base)) {
		serial = (struct serial_config){.type = SERIAL_MMIO, .base = base, .reg_size = 4U};
	} else if (parse_uart(opt, "bdf@", UINT16_MAX, &base)) {
		if (!pci_uart((bdf_t)base)) {
			report("boot: uart=%s: there is no PCI function with a UART below 4 GB", opt);
		}
	} else {
		report("boot: uart=%s is not understood; write uart=disabled, uart=port@0x3F8, "
		       "uart=mmio@0xADDRESS or uart=bdf@0xBDF",
		       opt);
	}
}

const struct serial_config *report_serial(void)
{
	return &serial;
}

/* Set-up empties the transmitter: what was printed on the port before must have left it. */
static void drain(void)
{
	for (uint32_t wait = UART_WAIT; wait != 0U && (uart_in(UART_LSR) & UART_LSR_TEMT) == 0U;) {
		wait--;
	}
}

static void start_uart(void)
{
	if (serial.type == SERIAL_NONE) {
		return;
	}
	drain();
	uart_out(UART_LCR, 0x83U); /* divisor 1: 115200, 8n1 */
	uart_out(0U, 1U);
	uart_out(1U, 0U);
	uart_out(UART_LCR, 0x03U);
	uart_out(UART_FCR, 0x07U);
	if (uart_in(UART_LSR) == 0xFFU) {
		serial.type = SERIAL_NONE;
	}
}

void report_init(void)
{
	const struct boot_screen *s = &boot_info.screen;
	const char *why = screen_init();

	choose_uart();
	start_uart();
	if (why != NULL) {
		report("boot: the loader's screen at 0x%lx, %ux%u, %u bits a pixel, is not used: %s",
		       s->base, s->width, s->height, s->bpp, why);
	}
}
