// SPDX-License-Identifier: BSD-3-Clause
/*
 * What do the hypervisor's command line and its modules' tags say to those who ask for one?
 */
// links: hypervisor/boot/multiboot.c @machine tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hv/boot.h"
#include "fake_machine.h"
#include "fake_report.h"

void e820_add_raw(uint64_t base, uint64_t size, uint32_t type)
{
	(void)base;
	(void)size;
	(void)type;
}

static int setup(void **state)
{
	(void)state;
	memset(&boot_info, 0, sizeof(boot_info));
	fake_machine_reset();
	fake_report_reset();
	return 0;
}

static void add_module(const char *tag, const char *args)
{
	struct boot_module *m = &boot_info.modules[boot_info.module_count++];

	strcpy(m->tag, tag);
	m->args = args;
}

/* Which module does a VM get, when tags repeat, are claimed, or are empty? */
static void test_module_find(void **state)
{
	(void)state;
	add_module("A", "one");
	add_module("A", "two");
	add_module("", "");
	assert_string_equal(boot_module_find("A")->args, "one");
	boot_module_find("A")->used = true;
	assert_string_equal(boot_module_find("A")->args, "two");
	boot_module_find("A")->used = true;
	assert_null(boot_module_find("A"));
	assert_null(boot_module_find("AA"));
	assert_null(boot_module_find(""));
}

/* What does an option read as: at the start, the end, twice, as part of a longer name, too long? */
static void test_boot_option(void **state)
{
	char buf[8];

	(void)state;
	strcpy(boot_info.cmdline, " \tacrn hide= uart=a xuart=b uart2=c uart=d\tlast=z");
	assert_true(boot_option("uart", buf, sizeof(buf)));
	assert_string_equal(buf, "a");
	assert_true(boot_option("hide", buf, sizeof(buf)));
	assert_string_equal(buf, "");
	assert_true(boot_option("last", buf, sizeof(buf)));
	assert_string_equal(buf, "z");
	assert_false(boot_option("acrn", buf, sizeof(buf)));
	assert_false(boot_option("art", buf, sizeof(buf)));
	assert_false(boot_option("las", buf, sizeof(buf)));
	strcpy(boot_info.cmdline, "uart=port@0x3F8");
	assert_int_equal(fake_report_lines, 0);
	assert_true(boot_option("uart", buf, sizeof(buf)));
	assert_string_equal(buf, "port@0x");
	assert_true(fake_reported("uart is 10 characters long, cut to 7"));
	strcpy(boot_info.cmdline, "   ");
	assert_false(boot_option("uart", buf, sizeof(buf)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_module_find, setup),
		cmocka_unit_test_setup(test_boot_option, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
