// SPDX-License-Identifier: BSD-3-Clause
/*
 * The lines that every build prints: the boot report, refusals, a panic. Writes straight to the
 * 16550 and to VGA text memory, waiting for the UART: used before anything else works and after
 * nothing does. A debug build's log goes through debug/ instead once the console runs. Takes no
 * lock: boot is one CPU, and a panicking CPU must not wait for anybody.
 */
#include "asm/insn.h"
#include "hv/boot.h"
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

#define VGA_TEXT  0xB8000UL
#define VGA_BLANK 0x0720U
#define CRTC_INDEX 0x3D4U
#define CRTC_DATA  0x3D5U
#define VGA_COLS  80U
#define VGA_ROWS  25U

extern const report_sink_fn __start_hv_report_sinks[] __attribute__((visibility("hidden"), weak));
extern const report_sink_fn __stop_hv_report_sinks[] __attribute__((visibility("hidden"), weak));

void (*report_before)(void);

static struct serial_config serial;
static bool vga_on, vga_foreign = true; /* there is a screen; somebody else wrote on it */
static uint32_t vga_row, vga_col;

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

/* Others' text goes, and what is shown begins at the first cell: Linux scrolls by moving that. */
static void vga_clear(volatile uint16_t *screen)
{
	uint8_t index = pio_read8(CRTC_INDEX);

	for (uint8_t reg = 0x0CU; reg <= 0x0DU; reg++) {
		pio_write8(CRTC_INDEX, reg);
		pio_write8(CRTC_DATA, 0U);
	}
	pio_write8(CRTC_INDEX, index); /* the Service VM finds the adapter as firmware left it */
	for (uint32_t i = 0U; i < VGA_COLS * VGA_ROWS; i++) {
		screen[i] = VGA_BLANK;
	}
	vga_row = 0U;
	vga_col = 0U;
	vga_foreign = false;
}

static void vga_putc(char c)
{
	volatile uint16_t *screen = hpa_ptr(HPA(VGA_TEXT));

	if (vga_foreign) {
		vga_clear(screen);
	}
	if (c == '\n' || vga_col == VGA_COLS) {
		vga_col = 0U;
		vga_row++;
	}
	if (vga_row == VGA_ROWS) {
		for (uint32_t i = 0U; i < VGA_COLS * (VGA_ROWS - 1U); i++) {
			screen[i] = screen[i + VGA_COLS];
		}
		for (uint32_t i = VGA_COLS * (VGA_ROWS - 1U); i < VGA_COLS * VGA_ROWS; i++) {
			screen[i] = VGA_BLANK;
		}
		vga_row--;
	}
	if (c >= ' ') {
		screen[vga_row * VGA_COLS + vga_col++] = (uint16_t)(0x0700U | (uint8_t)c);
	}
}

void report_screen_lost(void)
{
	vga_foreign = true;
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
		if (vga_on) {
			vga_putc(*s);
		}
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

void report_init(void)
{
	choose_uart();
	/* Text mode 3 as the BIOS leaves it; an EFI machine has no text memory there. */
	vga_on = (boot_info.efi_systab == 0U);
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
