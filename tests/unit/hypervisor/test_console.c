// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/debug/console.c hypervisor/debug/log.c hypervisor/debug/uart.c
// links: hypervisor/guest/unit.c tests/fake/fake_machine.c tests/fake/fake_pool.c
// links: tests/fake/fake_time.c
/*
 * The shared serial line: a UART that takes 16 characters at a time, a guest that sends, the log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "asm/uart16550.h"
#include "fake_machine.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vm_config.h"
#include "hv/vuart.h"
#include "lib/string.h"

#define PORT 0x3F8U

void (*report_before)(void);
const struct vuart_console *vuart_console;

static struct serial_config serial = {.type = SERIAL_PIO, .base = PORT, .irq = 4, .reg_size = 1};
static const char *loglevel;
static char wire[200000], direct[1000];
static uint32_t wired, fifo, forced_room;
static uint8_t ier;
static const char *incoming;
static bool incoming_break;
static struct timer *timer;
static uint64_t due;
static irq_handler_t irq;
static uint64_t rte;
static const char *guest_text;
static char guest_got[64];
static uint32_t guest_room, breaks;

static struct vuart *const guest = (struct vuart *)0x1000, *const other = (struct vuart *)0x2000;
static uint32_t other_taken;

const struct serial_config *report_serial(void)
{
	return &serial;
}

bool boot_option(const char *name, char *buf, size_t size)
{
	if (loglevel == NULL || strcmp(name, "loglevel") != 0)
		return false;
	strncpy(buf, loglevel, size);
	return true;
}

void report_puts(const char *s)
{
	report_before();
	strcat(direct, s);
}

void report(const char *fmt, ...)
{
	(void)fmt;
	strcat(direct, "report");
}

int string_to_u64(const char *str, const char **end, uint64_t *val)
{
	(void)end;
	*val = (uint64_t)(*str - '0');
	return *str >= '0' && *str <= '9' ? 0 : -1;
}

void panic(const char *fmt, ...)
{
	fail_msg("panic: %s", fmt);
	abort();
}

int irq_alloc_vector(void)
{
	return 0x30;
}

void irq_register(uint8_t vector, irq_handler_t fn, void *arg)
{
	assert_int_equal(vector, 0x30);
	assert_null(arg);
	irq = fn;
}

uint32_t acpi_isa_gsi(uint8_t isa)
{
	return isa;
}

int ioapic_write_rte(uint32_t gsi, uint64_t v)
{
	assert_int_equal(gsi, 4);
	rte = v;
	return 0;
}

void timer_init(struct timer *t, void (*fn)(struct timer *t))
{
	t->fn = fn;
	timer = t;
}

void timer_arm(struct timer *t, uint64_t deadline)
{
	assert_ptr_equal(t, timer);
	due = deadline;
}

int vuart_take(struct vuart *u)
{
	if (u == other)
		return other_taken++ < 5 ? 'o' : -1;
	assert_ptr_equal(u, guest);
	return *guest_text != '\0' ? (uint8_t)*guest_text++ : -1;
}

bool vuart_give(struct vuart *u, uint8_t c)
{
	assert_ptr_equal(u, guest);
	if (guest_room == 0)
		return false;
	guest_room--;
	guest_got[strlen(guest_got)] = (char)c;
	return true;
}

void vuart_give_break(struct vuart *u)
{
	assert_ptr_equal(u, guest);
	breaks++;
}

/* The UART: 16 characters, then not ready until tick(); in flush() time passes as it is asked. */
static uint32_t uart(uint16_t port, uint32_t width, bool write, uint32_t val)
{
	assert_int_equal(width, 1);
	switch (port - PORT) {
	case UART_RBR:
		if (write) {
			assert_true(fifo < UART_FIFO_SIZE);
			fifo++;
			wire[wired++] = (char)val;
			return 0;
		}
		if (incoming_break) {
			incoming_break = false;
			return 0;
		}
		return (uint8_t)*incoming++;
	case UART_IER:
		ier = (uint8_t)val;
		return 0;
	case UART_LSR:
		if (forced_room != 0) {
			forced_room--;
			fifo = 0;
		}
		return (fifo == 0 ? LSR_THRE : 0U) | (incoming_break ? LSR_BI | LSR_DR : 0U) |
		       (*incoming != '\0' ? LSR_DR : 0U);
	default:
		return 0;
	}
}

static void tick(void)
{
	fake_tsc = due;
	fifo = 0;
	timer->fn(timer);
}

static int boot(void)
{
	fake_machine_reset();
	fake_pio_hook(PORT, 8, uart);
	return unit_boot();
}

static int group_setup(void **state)
{
	(void)state;
	incoming = guest_text = "";
	return boot();
}

static int setup(void **state)
{
	(void)state;
	fake_cpu = 0;
	incoming = guest_text = "";
	incoming_break = false;
	forced_room = 0;
	memset(guest_got, 0, sizeof(guest_got));
	guest_room = 64;
	breaks = other_taken = 0;
	for (uint32_t i = 0; i < 10000; i++) { /* what a test before left in the queue */
		uint32_t before = wired;

		tick();
		if (wired == before)
			break;
	}
	fifo = wired = 0;
	memset(wire, 0, sizeof(wire));
	memset(direct, 0, sizeof(direct));
	vuart_console->attach(guest);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vuart_console->detach(guest);
	return 0;
}

/* Is the receive interrupt on, and does it come to this CPU? */
static void test_boot(void **state)
{
	(void)state;
	assert_int_equal(ier, IER_RDA | IER_RLS);
	assert_int_equal(rte & 0xFF, 0x30);
	assert_non_null(irq);
}

/* A line of the log: prefix, text, end; 16 characters at once, the rest at the UART's pace. */
static void test_log_line(void **state)
{
	(void)state;
	fake_tsc = us_to_tsc(1234567);
	pr_err("number %d of %s", 42, "this");
	assert_int_equal(wired, 16);
	/* nothing waits: the next FIFO is due in its own time */
	assert_in_range(due - fake_tsc, us_to_tsc(1300), us_to_tsc(1500));
	for (uint32_t i = 0; i < 10; i++)
		tick();
	assert_string_equal(wire, "[1234567us][cpu=0][sev=3]: number 42 of this\r\n");
	assert_true(due - fake_tsc > us_to_tsc(5000));
}

/* What is beyond the level does not come out; an overlong line is cut, not lost. */
static void test_level_and_length(void **state)
{
	char text[1000];

	(void)state;
	pr_dbg("quiet");
	assert_int_equal(wired, 0);
	memset(text, 'x', sizeof(text));
	text[999] = '\0';
	pr_err("%s", text);
	for (uint32_t i = 0; i < 50; i++)
		tick();
	assert_in_range(wired, 300, 330);
	assert_memory_equal(&wire[wired - 3], "x\r\n", 3);
}

/* The guest's text and the log: whole lines of each, and a log line does not wait for ever. */
static void test_shared(void **state)
{
	(void)state;
	guest_text = "0123456789abcdefghi\nprompt# ";
	vuart_console->output(guest); /* 16 characters: amid the guest's line */
	pr_err("L");
	for (uint32_t i = 0; i < 20; i++)
		tick();
	assert_non_null(strstr(wire, "abcdefghi\n["));
	assert_non_null(strstr(wire, "L\r\nprompt# "));
	/* the prompt stays there without an end: the next log line breaks it */
	pr_err("M");
	for (uint32_t i = 0; i < 20; i++)
		tick();
	assert_non_null(strstr(wire, "prompt# \r\n["));
}

/* Input reaches the guest, waits while it has no room, and a BREAK is its as well. */
static void test_input(void **state)
{
	(void)state;
	incoming = "ls\n";
	irq(0x30, NULL);
	assert_string_equal(guest_got, "ls\n");
	guest_room = 1;
	incoming = "abc";
	irq(0x30, NULL);
	assert_string_equal(guest_got, "ls\na");
	guest_room = 64;
	tick();
	assert_string_equal(guest_got, "ls\nabc");
	incoming_break = true;
	tick();
	assert_int_equal(breaks, 1);
}

/* Another VM with a console nobody looks at is not held up. */
static void test_other_guest(void **state)
{
	(void)state;
	vuart_console->attach(other);
	vuart_console->output(other);
	assert_int_equal(other_taken, 6);
	assert_int_equal(wired, 0);
	vuart_console->detach(other);
	guest_text = "x";
	vuart_console->output(guest);
	assert_string_equal(wire, "x");
}

/* Another CPU: it may use an idle UART, but never touches the boot CPU's timer. */
static void test_other_cpu(void **state)
{
	uint64_t before = due;

	(void)state;
	fake_cpu = 1;
	pr_err("from far away");
	assert_int_equal(wired, 16);
	assert_int_equal(due, before);
	fake_cpu = 0;
	for (uint32_t i = 0; i < 10; i++)
		tick();
	assert_non_null(strstr(wire, "[cpu=1]"));
}

/* More than the queue holds while the line is slow: whole lines are lost, and counted. */
static void test_overflow(void **state)
{
	uint32_t lines = 0, lost = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		pr_err("line %u of very many that come much too fast", i);
	for (uint32_t i = 0; i < 3000; i++)
		tick();
	pr_err("after");
	for (uint32_t i = 0; i < 30; i++)
		tick();
	for (const char *p = wire; (p = strstr(p, ": line ")) != NULL; p++)
		lines++;
	assert_in_range(lines, 300, 600);
	for (const char *p = wire; (p = strstr(p, " log lines lost]")) != NULL; p++) {
		const char *start = p;

		while (start[-1] != '[')
			start--;
		lost += (uint32_t)strtoul(start, NULL, 10);
	}
	assert_int_equal(lines + lost, 1000);
	assert_non_null(strstr(wire, "after\r\n"));
}

/* A panic: what is queued comes out first, then the line itself, although no timer runs. */
static void test_fatal(void **state)
{
	(void)state;
	guest_text = "guest ";
	vuart_console->output(guest);
	pr_err("before");
	forced_room = 100000;
	pr_fatal("the end");
	assert_non_null(strstr(wire, "guest \r\n["));
	assert_non_null(strstr(wire, "before\r\n"));
	assert_non_null(strstr(direct, "the end\n"));
}

/* A UART that died must not hold the panic's line back for ever. */
static void test_fatal_dead_uart(void **state)
{
	(void)state;
	pr_err("stuck in a queue");
	pr_fatal("still heard");
	assert_non_null(strstr(direct, "still heard\n"));
	forced_room = 100000;
	report_before();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level_and_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fatal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fatal_dead_uart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
