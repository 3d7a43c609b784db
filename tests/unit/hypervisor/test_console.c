// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/debug/console.c hypervisor/debug/log.c hypervisor/debug/uart.c
// links: hypervisor/debug/shell.c hypervisor/debug/shell_line.c hypervisor/debug/mem_log.c
// links: hypervisor/debug/console_ring.c hypervisor/lib/sbuf.c
// links: hypervisor/guest/unit.c hypervisor/lib/printf.c tests/fake/fake_machine.c
// links: tests/fake/fake_pool.c tests/fake/fake_string.c tests/fake/fake_time.c
// links: tests/fake/fake_uart.c
/*
 * The shared serial line: a UART that takes 16 characters at a time, guests that send, the log, and
 * the shell, which is the real one. Last, the same without a UART.
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
#include "fake_uart.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/console.h"
#include "hv/irq.h"
#include "hv/log.h"
#include "hv/pcpu.h"
#include "hv/rings.h"
#include "hv/shell.h"
#include "hv/timer.h"
#include "hv/unit.h"
#include "hv/vm.h"
#include "hv/vm_config.h"
#include "hv/vuart.h"
#include "lib/sbuf.h"
#include "lib/string.h"
#include "config.h"

#define PORT FAKE_UART_PORT

void (*report_before)(void);
const struct board_config board_config = {.name = "test", .scenario = "none"};
struct vm *vms;
const struct vuart_console *vuart_console;

static struct serial_config serial = {.type = SERIAL_PIO, .base = PORT, .irq = 4, .reg_size = 1};
static const char *loglevel;
static char direct[1000];
static struct timer *timer;
static uint64_t due;
static irq_handler_t irq;
static uint64_t rte;
static const char *guest_text, *other_text;
static char guest_got[64];
static uint32_t guest_room, breaks, asked_stopped;
static bool guest_stopped; /* with its vUART's lock */

static struct vuart *const guest = (struct vuart *)0x1000, *const other = (struct vuart *)0x2000;
static bool other_full;
static struct vm slots[CONFIG_MAX_VM_NUM];
static struct vm *const guest_vm = &slots[0], *const other_vm = &slots[3];

struct vm *vm_by_id(uint16_t id)
{
	return id < CONFIG_MAX_VM_NUM ? &slots[id] : NULL;
}

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
	const char **text = (u == guest) ? &guest_text : &other_text;

	assert_true(u == guest || u == other);
	asked_stopped += guest_stopped ? 1U : 0U;
	return **text != '\0' ? (uint8_t)*(*text)++ : -1;
}

bool vuart_is_full(const struct vuart *u)
{
	assert_ptr_equal(u, other);
	return other_full;
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

static void tick(void)
{
	fake_tsc = due;
	fifo = 0;
	timer->fn(timer);
}

static void ticks(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		tick();
}

static int boot(void)
{
	fake_machine_reset();
	fake_pio_hook(PORT, 8, fake_uart);
	return unit_boot();
}

static int group_setup(void **state)
{
	(void)state;
	incoming = guest_text = other_text = "";
	for (uint16_t i = 0; i < CONFIG_MAX_VM_NUM; i++)
		slots[i].id = i;
	return boot();
}

static int setup(void **state)
{
	(void)state;
	fake_cpu = 0;
	incoming = guest_text = other_text = "";
	incoming_break = false;
	forced_room = 0;
	memset(guest_got, 0, sizeof(guest_got));
	guest_room = 64;
	breaks = 0;
	other_full = false;
	for (uint32_t before = UINT32_MAX; before != wired; tick())
		before = wired; /* what a test before left in the queue */
	vuart_console->attach(guest_vm, guest);
	(void)console_show(0);
	guest_text = "\n"; /* behind the shell's prompt */
	tick();
	fifo = wired = 0;
	memset(wire, 0, sizeof(wire));
	memset(direct, 0, sizeof(direct));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vuart_console->detach(guest);
	vuart_console->detach(other);
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
	ticks(10);
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
	ticks(50);
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
	ticks(20);
	assert_non_null(strstr(wire, "abcdefghi\n["));
	assert_non_null(strstr(wire, "L\r\nprompt# "));
	/* the prompt stays there without an end: the next log line breaks it */
	pr_err("M");
	ticks(20);
	assert_non_null(strstr(wire, "prompt# \r\n["));
}

/* What if the log has something to say while a slow guest is amid a line? It waits for the line's end,
 * unless the guest goes on and on while the log piles up. */
static void test_slow_guest(void **state)
{
	(void)state;
	ticks(10);
	guest_text = "half ";
	vuart_console->output(guest);
	pr_err("L");
	fake_tsc += us_to_tsc(5000U);
	guest_text = "a line\n";
	vuart_console->output(guest);
	ticks(20);
	assert_non_null(strstr(wire, "half a line\n["));
	assert_non_null(strstr(wire, "L\r\n"));

	/* a dot from time to time, and never an end of the line */
	for (int i = 0; i < 8000; i++) {
		fake_tsc += us_to_tsc(1000U);
		fifo = 0;
		guest_text = ".";
		vuart_console->output(guest);
		if (i % 20 == 0)
			pr_err("a line of the log, of which more than a few hundred are too many");
	}
	assert_non_null(strstr(wire, ".\r\n["));
	ticks(4000);
	assert_null(strstr(wire, "lines lost"));
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
	/* it may be the first half of the way to the shell: what follows tells, or that nothing does */
	incoming_break = true;
	tick();
	assert_int_equal(breaks, 0);
	incoming = "x";
	tick();
	assert_int_equal(breaks, 1);
	assert_string_equal(guest_got, "ls\nabcx");
	incoming_break = true;
	tick();
	due += us_to_tsc(2100000);
	tick();
	assert_int_equal(breaks, 2);
	incoming = "e";
	tick();
	assert_string_equal(guest_got, "ls\nabcxe");
}

/* Another VM with a console nobody looks at is not held up: it forgets its oldest text. */
static void test_other_guest(void **state)
{
	char text[201];

	(void)state;
	memset(text, 'o', sizeof(text) - 1);
	text[200] = '\0';
	other_text = text;
	vuart_console->attach(other_vm, other);
	vuart_console->output(other);
	assert_int_equal(strlen(other_text), 200);
	other_full = true;
	vuart_console->output(other);
	assert_int_equal(strlen(other_text), 136);
	assert_int_equal(wired, 0);
	/* what is left is shown when somebody looks */
	assert_int_equal(console_show(3), 0);
	ticks(20);
	assert_int_equal(wired, 136);
	assert_int_equal(console_show(2), -2);
	assert_int_equal(console_show(0), 0);
	vuart_console->detach(other);
	assert_int_equal(console_show(3), -2);
	guest_text = "x";
	vuart_console->output(guest);
	assert_memory_equal(&wire[136], "x", 2);
}

/* Both ways to the shell; there, typing is the shell's; and back to the guest. */
static void test_leave_and_return(void **state)
{
	(void)state;
	for (uint32_t way = 0; way < 2; way++) {
		wired = 0;
		memset(wire, 0, sizeof(wire));
		incoming_break = way == 0;
		tick();
		incoming = way == 0 ? "enonsense\r" : "\x80nonsense\r";
		tick();
		guest_text = "not shown now\n";
		ticks(30);
		assert_string_equal(guest_got, "");
		assert_int_equal(breaks, 0);
		assert_non_null(strstr(wire, "Entering ACRN Shell"));
		assert_non_null(strstr(wire, "ACRN:\\>nonsense\r\nnonsense: no such command"));
		assert_null(strstr(wire, "not shown"));
		pr_err("in the shell");
		ticks(20);
		assert_non_null(strstr(wire, "in the shell\r\n"));
		assert_int_equal(console_show(0), 0);
		ticks(10);
		assert_non_null(strstr(wire, "not shown now"));
	}
}

/* A VM that comes back gets the console back, unless the user went away. */
static void test_return_of_vm(void **state)
{
	(void)state;
	vuart_console->detach(guest);
	ticks(20);
	assert_non_null(strstr(wire, "ACRN:\\>"));
	vuart_console->attach(guest_vm, guest);
	incoming = "a";
	tick();
	assert_string_equal(guest_got, "a");
	incoming = "\x80";
	tick();
	vuart_console->detach(guest);
	vuart_console->attach(guest_vm, guest);
	incoming = "b";
	tick();
	assert_string_equal(guest_got, "a");
	incoming = "\b"; /* the shell keeps what is typed for the next time */
	tick();
}

/* What if the VM ends with much unsaid: does all of it come out, and then the shell? */
static void test_last_words(void **state)
{
	(void)state;
	guest_text = "a line longer than the sixteen characters of the FIFO\n";
	vuart_console->output(guest);
	forced_room = 100;
	vuart_console->detach(guest);
	assert_non_null(strstr(wire, "sixteen characters of the FIFO\n"));
	ticks(20);
	assert_non_null(strstr(wire, "Entering ACRN Shell"));
	vuart_console->attach(guest_vm, guest);
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
	ticks(10);
	assert_non_null(strstr(wire, "[cpu=1]"));
}

/* More than the queue holds while the line is slow: whole lines are lost, and counted. */
static void test_overflow(void **state)
{
	uint32_t lines = 0, lost = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		pr_err("line %u of very many that come much too fast", i);
	ticks(3000);
	pr_err("after");
	ticks(30);
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

/* What if it stops a CPU amid a guest's output? The log comes out, and nobody asks that guest. */
static void test_fatal_stopped_guest(void **state)
{
	(void)state;
	guest_text = "guest ";
	vuart_console->output(guest);
	pr_err("before");
	guest_text = "more";
	guest_stopped = true;
	forced_room = 100000;
	pr_fatal("the end");
	guest_stopped = false;
	assert_int_equal(asked_stopped, 0);
	assert_non_null(strstr(wire, "guest \r\n["));
	assert_non_null(strstr(wire, "before\r\n"));
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

/* What the ring, which does not go round here, got since the last call. */
static const char *on_ring(void)
{
	static uint64_t seen;
	uint64_t size, from = seen;
	const struct sbuf_header *h = hpa_ptr(console_ring_memory(&size));

	seen = h->written;
	return (const char *)(h + 1) + from;
}

static void type(const char *keys, uint32_t number)
{
	for (uint32_t i = 0; i < number; i++)
		console_ring_key((uint8_t)keys[i]);
	ticks(10);
}

/* Is all of it there without a serial port: the shell, a VM's console, and the way between? */
static void test_no_uart(void **state)
{
	extern const struct unit __start_hv_units[], __stop_hv_units[];
	char text[3001] = "";

	(void)state;
	vuart_console->detach(guest);
	serial.type = SERIAL_NONE;
	for (const struct unit *u = __start_hv_units; u < __stop_hv_units; u++)
		assert_int_equal(strcmp(u->name, "console") == 0 ? u->boot() : 0, 0);
	ticks(5);
	assert_non_null(strstr(on_ring(), "Entering ACRN Shell -----\r\nACRN:\\>"));
	/* nobody looks at it: a VM's first words are kept until somebody does */
	guest_text = "hello from the VM\n";
	vuart_console->attach(guest_vm, guest);
	ticks(5);
	assert_string_equal(on_ring(), "");
	assert_int_equal(console_show(0), 0);
	ticks(5);
	assert_string_equal(on_ring(), "hello from the VM\n");
	type("to it", 5);
	assert_string_equal(guest_got, "to it");
	type("\0nonsens\x1b[D\x1b[Cee\x7f\r", 18);
	assert_non_null(strstr(on_ring(), "nonsense: no such command"));
	assert_string_equal(guest_got, "to it");
	type("\x1b[A\r", 4);
	assert_non_null(strstr(on_ring(), "nonsense\r\nnonsense: no"));
	/* What if a VM says much? So much in a round, and the next one comes soon. */
	memset(text, 'x', 3000);
	guest_text = text;
	(void)console_show(0);
	tick();
	assert_in_range(strlen(on_ring()), 500, 520);
	assert_in_range(due - fake_tsc, us_to_tsc(1300), us_to_tsc(1500));
	assert_int_equal(wired, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_boot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_log_line, setup, teardown),
		cmocka_unit_test_setup_teardown(test_level_and_length, setup, teardown),
		cmocka_unit_test_setup_teardown(test_shared, setup, teardown),
		cmocka_unit_test_setup_teardown(test_slow_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_input, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leave_and_return, setup, teardown),
		cmocka_unit_test_setup_teardown(test_return_of_vm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_cpu, setup, teardown),
		cmocka_unit_test_setup_teardown(test_overflow, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fatal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fatal_stopped_guest, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fatal_dead_uart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_uart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
