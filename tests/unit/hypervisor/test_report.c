// SPDX-License-Identifier: BSD-3-Clause
/*
 * Do the lines that every build prints reach the port the user named and the screen, and does a
 * port that is not there cost only itself?
 */
// links: tests/fake/fake_log.c tests/fake/fake_string.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* Included, not linked: which port it chose is known to the file itself only. */
#include "../../../hypervisor/boot/report.c"
#include "fake_machine.h"

struct boot_info boot_info;
const struct board_config board_config = {
	.console = {.type = SERIAL_PIO, .base = 0x3F8, .reg_size = 1}};
uint32_t fake_log_lines;
char fake_log_last[256];

static char sent[8192];
static uint16_t sent_port;
static uint32_t port_reads;
static uint8_t line_status, regs[8];
static uint8_t mmio[64];
static uint32_t unsent; /* looks until the last character has left the port */
static bool lost;	/* set up before that */
static char screen[8192];
static const char *screen_bad;
static const char *uart_option;

uint8_t pio_read8(uint16_t port)
{
	port_reads++;
	if ((port & 7) != UART_LSR)
		return 0;
	unsent -= unsent != 0 ? 1 : 0;
	return unsent != 0 ? line_status & 0xBF : line_status;
}

void pio_write8(uint16_t port, uint8_t v)
{
	size_t n = strlen(sent);

	if ((port & 7) == 0 && (regs[UART_LCR] & 0x80) == 0) {
		assert_true(n + 1 < sizeof(sent));
		sent[n] = (char)v;
		sent[n + 1] = '\0';
		sent_port = port;
		unsent = 5;
	}
	lost = lost || ((port & 7) == UART_LCR && unsent != 0);
	regs[port & 7] = v;
}

/* 00:04.0 has ports, 00:18.1 memory, 00:18.2 memory above 4 GB, 00:05.0 a BAR without an address. */
uint32_t pci_cfg_read(bdf_t bdf, uint32_t reg, uint8_t width)
{
	if (reg == 0x04 && width == 2)
		return 0x0104;
	assert_int_equal(width, 4);
	assert_true(reg == 0x10 || reg == 0x14);
	switch (bdf) {
	case 0x20:
		return reg == 0x10 ? 0xC041U : 0;
	case 0xC1:
		return reg == 0x10 ? 0xFE030004U : 0;
	case 0xC2:
		return reg == 0x10 ? 0xFE030004U : 1;
	case 0x28:
		return 0;
	default:
		return UINT32_MAX;
	}
}

void pci_cfg_write(bdf_t bdf, uint32_t reg, uint8_t width, uint32_t val)
{
	assert_true(bdf == 0x20 || bdf == 0xC1);
	assert_int_equal(reg, 0x04);
	assert_int_equal(width, 2);
	assert_int_equal(val, 0x0107);
}

void *hpa_ptr(hpa_t hpa)
{
	assert_in_range(hpa.v, 0xFE030000, 0xFE030000 + sizeof(mmio) - 1);
	return &mmio[hpa.v - 0xFE030000];
}

const char *screen_init(void)
{
	return screen_bad;
}

void screen_putc(char c)
{
	size_t n = strlen(screen);

	assert_true(n + 1 < sizeof(screen));
	screen[n] = c;
}

bool boot_option(const char *name, char *buf, size_t size)
{
	assert_string_equal(name, "uart");
	if (uart_option)
		(void)snprintf(buf, size, "%s", uart_option);
	return uart_option != NULL;
}

static int setup(void **state)
{
	(void)state;
	memset(sent, 0, sizeof(sent));
	memset(regs, 0, sizeof(regs));
	memset(mmio, 0, sizeof(mmio));
	memset(screen, 0, sizeof(screen));
	memset(&boot_info, 0, sizeof(boot_info));
	sent_port = 0;
	unsent = 0;
	lost = false;
	port_reads = 0;
	line_status = 0x60;
	uart_option = NULL;
	report_before = NULL;
	screen_bad = NULL;
	return 0;
}

/* Does a line come out on the board's port and on the screen? */
static void test_line(void **state)
{
	(void)state;
	report_init();
	report("boot: %u of %s", 3, "four");
	assert_string_equal(sent, "boot: 3 of four\r\n");
	assert_int_equal(sent_port, 0x3F8);
	assert_string_equal(screen, "boot: 3 of four\n");
	assert_int_equal(regs[UART_LCR], 3);
	assert_ptr_equal(report_serial(), &serial);
}

/* Which port is used for each form of uart=, and for those that mean nothing? */
static void test_uart_option(void **state)
{
	static const struct {
		const char *option;
		enum serial_type type;
		uint64_t base;
		bool complaint;
	} cases[] = {
		{"port@0x2F8", SERIAL_PIO, 0x2F8, false},
		{"port@760", SERIAL_PIO, 760, false},
		{"port@0xFFF8", SERIAL_PIO, 0xFFF8, false},
		{"mmio@0xFE030000", SERIAL_MMIO, 0xFE030000, false},
		{"disabled", SERIAL_NONE, 0x3F8, false},
		{"bdf@0x20", SERIAL_PIO, 0xC040, false},
		{"bdf@0xC1", SERIAL_MMIO, 0xFE030000, false},
		{"bdf@0xC2", SERIAL_PIO, 0x3F8, true},
		{"bdf@0x28", SERIAL_PIO, 0x3F8, true},
		{"bdf@0xFFFF", SERIAL_PIO, 0x3F8, true},
		{"bdf@0x10020", SERIAL_PIO, 0x3F8, true},
		{"port@0xFFF9", SERIAL_PIO, 0x3F8, true},
		{"port@0x3F8x", SERIAL_PIO, 0x3F8, true},
		{"port@", SERIAL_PIO, 0x3F8, true},
		{"port@COM1", SERIAL_PIO, 0x3F8, true},
		{"mmio@0x100000000", SERIAL_PIO, 0x3F8, true},
		{"mmio@0", SERIAL_PIO, 0x3F8, true},
		{"", SERIAL_PIO, 0x3F8, true},
		{"Disabled", SERIAL_PIO, 0x3F8, true},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)setup(state);
		mmio[UART_LSR * 4] = 0x60;
		uart_option = cases[i].option;
		report_init();
		assert_int_equal(serial.type, cases[i].type);
		assert_int_equal(serial.base, cases[i].base);
		assert_int_equal(strstr(sent, "is not understood") != NULL ||
					 strstr(sent, "there is no PCI function") != NULL,
				 cases[i].complaint);
	}
}

/* What if the port is memory-mapped, four bytes a register? */
static void test_mmio(void **state)
{
	(void)state;
	serial.type = SERIAL_NONE; /* nothing was printed on another port before */
	mmio[UART_LSR * 4] = 0x60;
	uart_option = "mmio@0xFE030000";
	report_init();
	report_puts("x");
	assert_int_equal(mmio[UART_THR], 'x');
	assert_int_equal(mmio[UART_LCR * 4], 3);
	assert_int_equal(port_reads, 0);
}

/* What if there is no UART (all-ones), or it never gets ready? It is left alone for good. */
static void test_dead_port(void **state)
{
	uint32_t reads;

	(void)state;
	line_status = 0xFF;
	report_init();
	assert_int_equal(serial.type, SERIAL_NONE);
	line_status = 0x60;
	report_init();
	line_status = 0;
	report("lost on serial");
	assert_string_equal(sent, "");
	assert_string_equal(screen, "lost on serial\n");
	reads = port_reads;
	report("again");
	assert_int_equal(port_reads, reads);
	assert_string_equal(screen, "lost on serial\nagain\n");
}

/* What if a line is longer than the buffer? It is cut, and still a line. */
static void test_long_line(void **state)
{
	char longline[301], expected[258];

	(void)state;
	report_init();
	memset(longline, 'a', 300);
	longline[300] = '\0';
	report("%s", longline);
	memset(expected, 'a', 255);
	strcpy(&expected[255], "\r\n");
	assert_string_equal(sent, expected);
}

/* What if a word of the command line cannot be used? The line that says so leaves the port whole. */
static void test_set_up_waits(void **state)
{
	(void)state;
	report_init();
	uart_option = "banana";
	report_init();
	assert_non_null(strstr(sent, "uart=banana is not understood"));
	assert_false(lost);
}

/* What if the loader's screen cannot be used? The port says so, and why. */
static void test_bad_screen(void **state)
{
	(void)state;
	boot_info.screen = (struct boot_screen){
		.base = 0x1000, .width = 1024, .height = 768, .bpp = 8};
	screen_bad = "it is round";
	report_init();
	assert_string_equal(sent, "boot: the loader's screen at 0x1000, 1024x768, 8 bits a pixel, "
				  "is not used: it is round\r\n");
}

static uint32_t before_calls;

static void before(void)
{
	before_calls++;
	assert_string_equal(sent, "");
}

/* Does the console get its turn before the line? */
static void test_before(void **state)
{
	(void)state;
	report_init();
	report_before = before;
	report_puts("now");
	assert_int_equal(before_calls, 1);
	assert_string_equal(sent, "now");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_line, setup),
		cmocka_unit_test_setup(test_uart_option, setup),
		cmocka_unit_test_setup(test_mmio, setup),
		cmocka_unit_test_setup(test_dead_port, setup),
		cmocka_unit_test_setup(test_long_line, setup),
		cmocka_unit_test_setup(test_set_up_waits, setup),
		cmocka_unit_test_setup(test_bad_screen, setup),
		cmocka_unit_test_setup(test_before, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
