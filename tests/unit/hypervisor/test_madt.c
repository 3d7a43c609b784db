// SPDX-License-Identifier: BSD-3-Clause
/*
 * Is the MADT, the table of processors and IOAPICs, read as far as it has sense?
 */
// links: hypervisor/boot/acpi.c hypervisor/boot/acpi_debug.c tests/unit/hypervisor/acpi_machine.c tests/fake/fake_report.c
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "acpi_machine.h"
#include "fake_report.h"
#include "hv/acpi.h"
#include "hv/boot.h"
#include "hv/caps.h"
#include "hv/irq.h"
#include "lib/kconfig.h"

/* What does a MADT with all entry types say? */
static void test_madt(void **state)
{
	uint64_t madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);

	(void)state;
	acpi_run_with(madt, 0, 0);
	acpi_expect_madt();
	assert_int_equal(acpi_facts.madt_hpa, madt);
	assert_int_equal(acpi_facts.rsdp_hpa, RSDP);
	assert_int_equal(acpi_lines(), 0);
}

/* What if a MADT entry is shorter than its type, than two bytes, or longer than the table? */
static void test_madt_truncated(void **state)
{
	uint8_t body[ACPI_MADT_SIZE];
	uint32_t at = 8;

	while (at < sizeof(body)) {
		for (uint32_t len = 0; len < acpi_madt_body[at + 1]; len++) {
			(void)acpi_setup(state);
			memcpy(body, acpi_madt_body, sizeof(body));
			body[at + 1] = (uint8_t)len;
			acpi_run_with(acpi_table("APIC", body, at + len), 0, 0);
			assert_true(acpi_facts.cpu_count <= 3);
			memcpy(body, acpi_madt_body, sizeof(body));
			(void)acpi_setup(state);
			acpi_run_with(acpi_table("APIC", body, at + len), 0, 0); /* says more than there is */
			assert_int_equal(acpi_lines(), len >= 2 ? 1 : 0);
		}
		at += acpi_madt_body[at + 1];
	}
	(void)acpi_setup(state);
	memcpy(body, acpi_madt_body, sizeof(body));
	body[9] = 0;
	acpi_run_with(acpi_table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.cpu_count, 0);
	assert_true(fake_reported("length 0"));
	(void)acpi_setup(state);
	acpi_run_with(acpi_table("APIC", NULL, 0), 0, 0); /* nothing but a head */
	assert_int_equal(acpi_facts.cpu_count, 0);
}

/* What if there are more processors, IOAPICs and overrides than there is room for? */
static void test_madt_too_many(void **state)
{
	static uint8_t body[8 + 300 * 16 + 20 * 12 + 20 * 10];
	uint8_t *p = body + 8;

	(void)state;
	for (uint32_t i = 0; i < 300; i++, p += 16) {
		p[0] = 9;
		p[1] = 16;
		memcpy(p + 4, &i, 4);
		p[8] = 1;
	}
	for (uint32_t i = 0; i < 20; i++, p += 12) {
		p[0] = 1;
		p[1] = 12;
		p[7] = (uint8_t)(i + 1);
	}
	for (uint32_t i = 0; i < 20; i++, p += 10) {
		p[0] = 2;
		p[1] = 10;
		p[3] = (uint8_t)i;
		p[4] = (uint8_t)(i + 100);
	}
	acpi_run_with(acpi_table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.cpu_count, ACPI_MAX_CPUS);
	assert_int_equal(ioapic_count, CONFIG_MAX_IOAPIC_NUM);
	assert_int_equal(acpi_isa_gsi(15), 115);
	assert_int_equal(acpi_isa_gsi(19), 119);
	assert_int_equal(acpi_isa_gsi(20), 20);
	assert_int_equal(acpi_lines(), 2);
}

/* What if IOAPICs are where none can be: in memory, at the local APIC, in a page with another? */
static void test_madt_ioapic_address(void **state)
{
	static const struct {
		uint32_t base;
		bool good;
	} cases[] = {{0, false},	   {0x1000000, false},	{0xFEE00000, false},
		     {0xFEC00100, false}, {0xFFFFFFFF, false}, {0x1FFF000, false},
		     {0x2000000, true},	   {0xFEC01000, true}};
	uint8_t body[8 + 24] = {[8] = 1, [9] = 12, [20] = 1, [21] = 12, [26] = 0xC0, [27] = 0xFE};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)acpi_setup(state);
		acpi_ram_end = 0x2000000;
		memcpy(&body[12], &cases[i].base, 4);
		acpi_run_with(acpi_table("APIC", body, sizeof(body)), 0, 0);
		assert_int_equal(ioapics[0].base.v, cases[i].good ? cases[i].base : 0xFEC00000);
		assert_true(cases[i].good || acpi_lines() == 1);
	}
	(void)acpi_setup(state);
	memcpy(&body[12], &body[24], 4); /* the same twice */
	acpi_run_with(acpi_table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(ioapic_count, 1);
	assert_int_equal(acpi_lines(), 1);
}

/* What if ids are beyond what an xAPIC can address? */
static void test_madt_large_ids(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 0, 0, 0, 0, 0,
				       9, 16, 0, 0, 0xFF, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0,
				       9, 16, 0, 0, 0xFE, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};

	(void)state;
	acpi_x2apic = false;
	acpi_run_with(acpi_table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.cpu_count, 1);
	assert_int_equal(acpi_facts.cpu_apic_ids[0], 0xFE);
	assert_true(fake_reported("1 processors are not used"));
	(void)acpi_setup(state);
	acpi_run_with(acpi_table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.cpu_count, 2);
}

/* A processor that is usable has an id: 0xFF in an xAPIC entry means all of them. */
static void test_madt_broadcast_id(void **state)
{
	static const uint8_t body[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0xFF, 1, 0, 0, 0,
				       9, 16, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0, 0, 0, 0, 0};

	(void)state;
	acpi_run_with(acpi_table("APIC", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.cpu_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_madt, acpi_setup),
		cmocka_unit_test_setup(test_madt_truncated, acpi_setup),
		cmocka_unit_test_setup(test_madt_too_many, acpi_setup),
		cmocka_unit_test_setup(test_madt_broadcast_id, acpi_setup),
		cmocka_unit_test_setup(test_madt_ioapic_address, acpi_setup),
		cmocka_unit_test_setup(test_madt_large_ids, acpi_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
