// SPDX-License-Identifier: BSD-3-Clause
// links: hypervisor/debug/shell.c hypervisor/debug/shell_line.c hypervisor/debug/shell_cpu.c
// links: hypervisor/debug/shell_mem.c hypervisor/debug/shell_irq.c hypervisor/debug/shell_vm.c
// links: hypervisor/debug/mem_log.c hypervisor/guest/unit.c hypervisor/lib/printf.c
// links: tests/fake/fake_machine.c tests/fake/fake_pool.c tests/fake/fake_string.c
// links: tests/unit/hypervisor/shell_machine.c
/*
 * The shell without a console: what a person types, key by key, and what is on the screen then;
 * each command with words that are right, wrong, too many, too few.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fake_machine.h"
#include "hv/boot.h"
#include "hv/cpu.h"
#include "hv/log.h"
#include "hv/shell.h"
#include "hv/vm.h"
#include "shell_machine.h"

#define UP    "\x1b[A"
#define DOWN  "\x1b[B"
#define RIGHT "\x1b[C"
#define LEFT  "\x1b[D"

static struct shell_line line;
static char screen[2000];
static uint32_t column;

/* A terminal: one line of a screen. */
static void show(const char *s, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		if (s[i] == '\b') {
			assert_true(column > 0);
			column--;
		} else if (s[i] == '\r') {
			column = 0;
		} else if (s[i] != '\n') {
			assert_true(column < sizeof(screen) - 1);
			screen[column++] = s[i];
		}
	}
}

static bool type(const char *keys)
{
	bool ended = false;

	for (; *keys != '\0'; keys++) {
		assert_false(ended);
		ended = shell_line_key(&line, (uint8_t)*keys, show);
	}
	return ended;
}

/* The line is `text`, so is the screen but for blanks behind, and the cursor is at `at`. */
static void is(const char *text, uint32_t at)
{
	size_t n = strlen(text);

	assert_string_equal(line.text, text);
	assert_int_equal(line.len, n);
	assert_int_equal(line.at, at);
	assert_int_equal(column, at);
	assert_memory_equal(screen, text, n);
	assert_int_equal(strspn(&screen[n], " "), strlen(&screen[n]));
}

static void next_line(void)
{
	shell_line_next(&line);
	memset(screen, 0, sizeof(screen));
	column = 0;
}

static int setup_line(void **state)
{
	(void)state;
	memset(&line, 0, sizeof(line));
	next_line();
	return 0;
}

static void test_editing(void **state)
{
	(void)state;
	assert_false(type("vm_lst"));
	is("vm_lst", 6);
	type(LEFT LEFT "i");
	is("vm_list", 5);
	type("\x7f\x7f");
	is("vm_st", 3);
	type("\x01X\x05Y" RIGHT);
	is("Xvm_stY", 7);
	type("\x1b[H\x1b[3~\x1b[F\b");
	is("vm_st", 5);
	type("\x1b[1~\x7f" LEFT "\x1b[4~\x1b[3~" RIGHT);
	is("vm_st", 5);
	/* keys that mean nothing here, a sequence that is cut by another */
	type("\x1b[13~\x1b[24~\x1b[11~");
	is("vm_st", 5);
	type("\x1b[5~\x1b[15~\x1bOP\x1b\x1b[D\x02\x10\x1b\xc3\xa4");
	is("vm_st", 4);
	assert_true(type("\r"));
	assert_string_equal(line.text, "vm_st");
	next_line();
	type("gone\x15");
	is("", 0);
}

/* 100 characters and no more, wherever they are put. */
static void test_full(void **state)
{
	char text[SHELL_LINE + 1];

	(void)state;
	memset(text, 'x', SHELL_LINE);
	text[SHELL_LINE] = '\0';
	type(text);
	type("yz\x01w");
	is(text, 0);
	type(RIGHT "\x7fw");
	text[0] = 'w';
	is(text, 1);
	assert_true(type("\n"));
}

static void test_history(void **state)
{
	char text[8];

	(void)state;
	type(UP DOWN);
	is("", 0);
	for (uint32_t i = 0; i < 10; i++) {
		(void)snprintf(text, sizeof(text), "line%u\r", i);
		assert_true(type(text));
		next_line();
	}
	assert_true(type("line9\r")); /* the same once more: not kept twice */
	next_line();
	assert_true(type("\r"));
	next_line();
	type("new");
	type(UP);
	is("line9", 5);
	type(UP UP);
	is("line7", 5);
	for (uint32_t i = 0; i < 10; i++)
		type(UP);
	is("line2", 5); /* eight lines */
	type(DOWN "x\r");
	assert_string_equal(line.text, "line3x");
	next_line();
	type(UP UP);
	is("line9", 5);
	type(DOWN DOWN DOWN);
	is("", 0);
}

static void test_split(void **state)
{
	char text[] = "  a,b  cc\t, d ", many[] = "1 2 3 4 5 6 7 8", more[] = "1 2 3 4 5 6 7 8 9";
	char *argv[SHELL_MAX_ARGS];

	(void)state;
	assert_int_equal(shell_line_split(text, argv), 4);
	assert_string_equal(argv[1], "b");
	assert_string_equal(argv[2], "cc\t");
	assert_string_equal(argv[3], "d");
	assert_int_equal(shell_line_split(many, argv), 8);
	assert_int_equal(shell_line_split(more, argv), -7);
}

static void test_numbers(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(shell_number("10", 10, &v) && v == 10);
	assert_true(shell_number("0x10", 16, &v) && v == 16);
	assert_false(shell_number("11", 10, &v));
	assert_false(shell_number("1b", 100, &v));
	assert_false(shell_number("-1", UINT64_MAX, &v));
	assert_false(shell_number("", 10, &v));
	assert_true(shell_hex("1b", 0xFF, &v) && v == 0x1B);
	assert_true(shell_hex("0XfFffFFFFffffffFF", UINT64_MAX, &v) && v == UINT64_MAX);
	assert_false(shell_hex("10000000000000000", UINT64_MAX, &v));
	assert_false(shell_hex("0x", 1, &v));
	assert_false(shell_hex("0x0x1", 1, &v));
	assert_false(shell_hex("g", 100, &v));
	assert_false(shell_hex("111111111111111111111111111111111111", UINT64_MAX, &v));
}

/* Types a line and returns all that the shell says until it wants another. */
static const char *answer(const char *text)
{
	return shell_machine_type(text);
}

#define ANSWERS(line_, part_) assert_non_null(strstr(answer(line_), part_))

static int setup(void **state)
{
	(void)state;
	shell_machine_reset();
	return 0;
}

static void test_unknown(void **state)
{
	(void)state;
	assert_string_equal(answer(""), "\r\nACRN:\\>");
	ANSWERS("foo bar", "foo: no such command");
	ANSWERS("1 2 3 4 5 6 7 8 9", "too many words");
	ANSWERS("version x", "usage: version");
	ANSWERS("help", "vcpu_dumpreg   <vm id, vcpu id> ");
}

static void test_msr(void **state)
{
	(void)state;
	fake_msr_set(0x10, 0x1234);
	ANSWERS("rdmsr 10", "rdmsr(0x10): 0x1234");
	assert_int_equal(shell_machine_called, 0);
	ANSWERS("rdmsr -p 1 0x10", "rdmsr(0x10): 0x1234");
	assert_int_equal(shell_machine_called, 1);
	ANSWERS("wrmsr -p1 10 ff", "wrmsr(0x10): 0xff");
	assert_int_equal(fake_msr_get(0x10), 0xFF);
	ANSWERS("rdmsr 11", "CPU 0 has no MSR 0x11");
	ANSWERS("wrmsr -p 1 11 0", "CPU 1 does not take 0x0 in MSR 0x11");
	for (uint32_t i = 0; i < 4; i++) {
		static const char *const kept[] = {"wrmsr 1b 0", "wrmsr c0000080 0", "wrmsr 830 0",
						   "wrmsr 6e0 0"};

		fake_msr_writes = 0;
		ANSWERS(kept[i], "the hypervisor itself depends on");
		assert_int_equal(fake_msr_writes, 0);
	}
	for (uint32_t i = 0; i < 9; i++) {
		static const char *const wrong[] = {
			"rdmsr",     "rdmsr -p",      "rdmsr -p 2 10", "rdmsr -p 1",
			"rdmsr 1 2", "wrmsr 10",      "rdmsr -q 1 10", "rdmsr 100000000",
			"wrmsr 10 1 2",
		};

		ANSWERS(wrong[i], "usage: ");
	}
	assert_int_equal(fake_msr_gp, 0);
}

static void test_host_memory(void **state)
{
	(void)state;
	ANSWERS("dump_host_mem 100000 20", "0x0000000000100000: 00 01 02 03");
	ANSWERS("dump_host_mem 100030 4", "0x0000000000100030: 30 31 32 33 ");
	ANSWERS("dump_host_mem 100030 4", " 0123  ");
	/* across the end of RAM: what is there, then a refusal */
	ANSWERS("dump_host_mem 1ffff0 32", "0x200000 is no memory of this machine");
	ANSWERS("dump_host_mem 1ffff8 16", "0x1ffff8 is no memory of this machine");
	ANSWERS("dump_host_mem 200000 1", "0x200000 is no memory"); /* reserved */
	ANSWERS("dump_host_mem 0 1", "0x0 is no memory");
	ANSWERS("dump_host_mem 100000 0", "\r\nACRN:\\>");
	ANSWERS("dump_host_mem ffffffffffffffff 2", "usage: dump_host_mem <addr, length>");
	ANSWERS("dump_host_mem 100000 4294967296", "usage: ");
	ANSWERS("dump_host_mem 100000", "usage: ");
}

/* Long output waits for room, Ctrl-C ends it, and what comes next is a prompt. */
static void test_long(void **state)
{
	const char *text;

	(void)state;
	(void)shell_machine_start("dump_host_mem 100000 65536");
	for (uint32_t i = 0; i < 1000; i++)
		shell_run(); /* and nobody takes anything */
	text = shell_machine_drain();
	assert_non_null(strstr(text, "0x000000000010fff0: f0 f1"));
	for (uint32_t i = 0; i < 4096; i++) {
		char head[24];

		(void)snprintf(head, sizeof(head), "\n0x%016x:", 0x100000 + 16 * i);
		text = strstr(text, head);
		assert_non_null(text);
	}
	(void)shell_machine_start("dump_host_mem 100000 65536");
	assert_true(shell_give(0x03));
	text = shell_machine_drain();
	assert_null(strstr(text, "0x000000000010fff0"));
	assert_string_equal(&text[strlen(text) - 9], "^C\r\nACRN:\\>" + 2);
	ANSWERS("version", "debug build");
}

static void test_guest_memory(void **state)
{
	(void)state;
	ANSWERS("dump_guest_mem 1 1000 4", "0x0000000000001000: 61 61 61 61 ");
	ANSWERS("dump_guest_mem 1 2000 4", "0x2000 is no memory of VM 1");
	ANSWERS("dump_guest_mem 2 1000 4", "there is no VM 2 at the moment");
	ANSWERS("dump_guest_mem 99 1000 4", "99 is no VM: ids go from 0 to ");
	ANSWERS("dump_guest_mem xyzzyxyzzy 1000 4", "usage: ");
	ANSWERS("dump_guest_mem 1 1000", "usage: ");
	shell_machine_busy(true);
	ANSWERS("dump_guest_mem 1 1000 4", "VM 1 is being changed, try again");
	shell_machine_busy(false);
	ANSWERS("dump_guest_mem 1 1000 4", "61 61 61 61");
}

static void test_vms(void **state)
{
	(void)state;
	ANSWERS("vm_list", "    1 guest            Paused   POST_LAUNCHED     2\r\n");
	vm_by_id(1)->state = VM_READY_TO_POWEROFF;
	ANSWERS("vm_list", "    1 guest            Ending   POST_LAUNCHED     2\r\n");
	ANSWERS("vcpu_list", "    1       1       1 SECONDARY");
	shell_machine_busy(true);
	ANSWERS("vcpu_list", "    1 is being changed");
	ANSWERS("vcpu_dumpreg 1 0", "VM 1 is being changed");
	shell_machine_busy(false);
	ANSWERS("vcpu_dumpreg 1 0", "it has not run yet");
	ANSWERS("vcpu_dumpreg 1 1", "RIP=0x0000000000001234 RSP=");
	ANSWERS("vcpu_dumpreg 1 1", "RBX=0x0000000000000055");
	assert_ptr_equal(shell_machine_loaded, NULL); /* what was there before is back */
	ANSWERS("vcpu_dumpreg 1 2", "VM 1 has 2 vCPUs");
	ANSWERS("vcpu_dumpreg 1", "usage: ");
	ANSWERS("vm_console 1", "Entering VM 1 Console");
	assert_null(strstr(shell_machine_drain(), "ACRN"));
	shell_enter();
	assert_non_null(strstr(shell_machine_drain(), "Entering ACRN Shell -----\r\nACRN:"));
	ANSWERS("vm_console 0", "VM 0 has no console vUART");
	ANSWERS("vioapic 1", "   3 0x33   fixed   APIC id 2   level   low      yes    1   0x020000000001e033");
	ANSWERS("vioapic 0", "this VM has no virtual IOAPIC");
	ANSWERS("vioapic", "usage: ");
	/* a lock that a command forgot would be busy now */
	ANSWERS("dump_guest_mem 1 1000 4", "61 61 61 61");
}

static void test_machine(void **state)
{
	(void)state;
	fake_cpuid_set(7, 1, 1, 2, 3, 4);
	ANSWERS("cpuid 7 1", "0x00000001:0x00000002:0x00000003:0x00000004");
	ANSWERS("cpuid", "usage: ");
	ANSWERS("cpuid 1 2 3", "usage: ");
	ANSWERS("int", "0xe0   timer              7          8");
	ANSWERS("int", "0x44   line 2             7          8");
	ANSWERS("dump_ioapic", "   2 0x44   ");
	ANSWERS("reboot soon", "usage: reboot");
	assert_int_equal(shell_machine_resets, 0);
	ANSWERS("reboot", "ACRN");
	assert_int_equal(shell_machine_resets, 1);
}

/* The boot report is kept from its first line on; the ring keeps the newest whole lines. */
static void test_kept(void **state)
{
	char text[64];

	(void)state;
	shell_machine_report("boot: one\nboot: t");
	shell_machine_report("wo\n");
	ANSWERS("boot_report", "\r\nboot: one\r\nboot: two\r\nACRN:\\>");
	for (uint32_t i = 0; i < 5000; i++) {
		(void)snprintf(text, sizeof(text), "line number %u", i);
		shell_machine_log(text);
	}
	ANSWERS("dump_log", "\r\nline number 4999\r\nACRN:\\>");
	assert_null(strstr(answer("dump_log"), "line number 999\r"));
	assert_string_equal(shell_machine_last_words(),
			    " log: line number 4994; log: line number 4995; log: line number 4996;"
			    " log: line number 4997; log: line number 4998; log: line number 4999;");
	assert_non_null(strstr(answer("dump_log"), "dump_log\r\nline number "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_editing, setup_line),
		cmocka_unit_test_setup(test_full, setup_line),
		cmocka_unit_test_setup(test_history, setup_line),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test_setup(test_unknown, setup),
		cmocka_unit_test_setup(test_msr, setup),
		cmocka_unit_test_setup(test_host_memory, setup),
		cmocka_unit_test_setup(test_long, setup),
		cmocka_unit_test_setup(test_guest_memory, setup),
		cmocka_unit_test_setup(test_vms, setup),
		cmocka_unit_test_setup(test_machine, setup),
		cmocka_unit_test_setup(test_kept, setup),
	};

	shell_machine_boot();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
