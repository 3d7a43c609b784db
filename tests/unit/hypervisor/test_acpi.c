// SPDX-License-Identifier: BSD-3-Clause
/*
 * Are the few facts the hypervisor takes from the firmware's tables right, and does a broken table
 * cost no more than what it held?
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

/* Where is the RSDP found: the loader's word, the EBDA, the BIOS area; and where not? */
static void test_rsdp_search(void **state)
{
	static const struct {
		uint64_t at, hint;
		bool ebda, efi, found;
	} cases[] = {
		{HIGH + 0x8000, HIGH + 0x8000, false, false, true},
		{HIGH + 0x8004, HIGH + 0x8004, false, true, true},
		{0xE0000, 0, false, false, true},
		{0xFFFD0, 0, false, false, true},
		{0xF0008, 0, false, false, false}, /* not at 16 bytes */
		{0xDFFF0, 0, false, false, false},
		{0x9FC10, 0, true, false, true},
		{0x9FC10, 0, false, false, false}, /* the BIOS names no EBDA */
		{0xF0000, HIGH + 0x8000, false, false, true}, /* a wrong hint */
		{0xF0000, 0, false, true, false}, /* nothing to search on EFI */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t madt;

		(void)acpi_setup(state);
		madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);
		acpi_rsdp_at(cases[i].at, 0, acpi_rsdt_of(madt, 0, 0), 0);
		acpi_put(0x40E, cases[i].ebda ? 0x9FC0 : 0, 2);
		boot_info.efi_systab = cases[i].efi;
		acpi_init(cases[i].hint);
		assert_int_equal(acpi_facts.cpu_count, cases[i].found ? 3 : 0);
		assert_int_equal(acpi_lines(), cases[i].found ? 0 : 1);
		assert_int_equal(acpi_facts.s5_typ, 0xFF);
	}
}

/*
 * What if the loader gives a copy inside its own information, which is a guest's memory later? The
 * firmware's is taken; where there is none, the copy's page is nobody's.
 */
static void test_rsdp_copy(void **state)
{
	for (int efi = 0; efi < 2; efi++) {
		uint64_t rsdt;

		(void)acpi_setup(state);
		rsdt = acpi_rsdt_of(acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE), 0, 0);
		acpi_rsdp_at(0xF0000, 0, rsdt, 0);
		acpi_rsdp_at(HIGH + 0x8124, 0, rsdt, 0);
		boot_info.efi_systab = (uint64_t)efi;
		boot_info.info_base = HPA(HIGH + 0x8000);
		boot_info.info_size = 0x400;
		acpi_init(HIGH + 0x8124);
		acpi_expect_madt();
		assert_int_equal(acpi_facts.rsdp_hpa, efi ? HIGH + 0x8124 : 0xF0000);
		assert_int_equal(acpi_reserved, efi ? HIGH + 0x8000 : 0);
	}
	(void)acpi_setup(state);
	acpi_rsdp_at(HIGH + 0x8124, 0, acpi_rsdt_of(acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE), 0, 0), 0);
	acpi_init(HIGH + 0x8124); /* the firmware's own, as the loader tells it */
	acpi_expect_madt();
	assert_int_equal(acpi_reserved, 0);
}

/* What if the first thing that looks like an RSDP has a wrong checksum? The search goes on. */
static void test_rsdp_checksum(void **state)
{
	uint64_t madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);

	(void)state;
	acpi_rsdp_at(0xE0000, 0, 0x1234, 0);
	acpi_low[0xE0009]++;
	acpi_run_with(madt, 0, 0);
	acpi_expect_madt();
	assert_int_equal(acpi_facts.rsdp_hpa, RSDP);
}

/* What if there are both: which of RSDT and XSDT is read, and when the XSDT is broken? */
static void test_rsdt_or_xsdt(void **state)
{
	static const uint8_t other[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 77, 1, 0, 0, 0};
	enum { GOOD, NO_XSDT, BAD_SUM, OLD_REVISION, BAD_EXT_SUM, ABOVE_4G, KINDS };

	for (int kind = GOOD; kind < KINDS; kind++) {
		uint64_t old_madt, new_madt, rsdt, xsdt;

		(void)acpi_setup(state);
		old_madt = acpi_table("APIC", other, sizeof(other));
		new_madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);
		rsdt = acpi_rsdt_of(old_madt, 0, 0);
		xsdt = acpi_xsdt_of(0, new_madt);
		if (kind == BAD_SUM)
			acpi_put(xsdt + 36, 1, 1);
		acpi_rsdp_at(RSDP, kind == OLD_REVISION ? 0 : 2, rsdt,
			kind == NO_XSDT ? 0 : (kind == ABOVE_4G ? 0x100000000 : xsdt));
		if (kind == BAD_EXT_SUM)
			acpi_low[RSDP + 33]++;
		acpi_init(0);
		assert_int_equal(acpi_facts.cpu_count, kind == GOOD ? 3 : 1);
		assert_int_equal(acpi_facts.cpu_apic_ids[0], kind == GOOD ? 4 : 77);
	}
}

/* What if a table's length or checksum is wrong, or its address is no place for a table? */
static void test_bad_tables(void **state)
{
	static const uint32_t lengths[] = {0, 35, 0x100001, 0xFFFFFFFF, 0x80000};
	uint64_t madt;

	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		(void)acpi_setup(state);
		madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);
		acpi_put(madt + 4, lengths[i], 4);
		acpi_run_with(madt, 0, 0);
		assert_int_equal(acpi_facts.cpu_count, 0);
		assert_true(fake_reported("APIC"));
		assert_int_equal(acpi_lines(), 1);
	}
	(void)acpi_setup(state);
	madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);
	acpi_put(madt + 50, 0x55, 1);
	acpi_run_with(madt, 0, 0);
	assert_int_equal(acpi_facts.cpu_count, 0);
	assert_int_equal(acpi_lines(), 1);

	(void)acpi_setup(state);
	acpi_run_with(0xFFFFFFF0, 0xFFFFFFFF, 0); /* heads that cross 4 GB */
	assert_int_equal(acpi_facts.cpu_count, 0);

	(void)acpi_setup(state);
	acpi_next = HIGH + HIGH_SIZE - 36 - ACPI_MADT_SIZE; /* ends with the 4 GB: all right */
	madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);
	acpi_next = HIGH;
	acpi_run_with(madt, 0, 0);
	acpi_expect_madt();
}

/* What if the table of tables is broken too? One line, and a machine without ACPI. */
static void test_bad_root(void **state)
{
	uint64_t rsdt = acpi_rsdt_of(acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE), 0, 0);

	(void)state;
	acpi_put(rsdt + 40, 1, 1);
	acpi_rsdp_at(RSDP, 0, rsdt, 0);
	acpi_init(0);
	assert_int_equal(acpi_facts.cpu_count, 0);
	assert_true(fake_reported("RSDT"));

	(void)acpi_setup(state);
	acpi_rsdp_at(RSDP, 0, 0, 0);
	acpi_init(0);
	assert_int_equal(acpi_lines(), 1);

	(void)acpi_setup(state);
	acpi_rsdp_at(RSDP, 0, acpi_table("RSDT", "abc", 3), 0); /* ends inside its first entry */
	acpi_init(0);
	assert_int_equal(acpi_facts.cpu_count, 0);
}

/* What if tables are missing, listed twice, out of reach, or without number? */
static void test_lists(void **state)
{
	static uint32_t list[300];
	uint64_t madt, fadt;

	(void)state;
	acpi_run_with(0, 0, 0);
	assert_int_equal(fake_report_lines, 2);
	assert_true(fake_reported("acpi: no MADT: "));
	assert_true(fake_reported("acpi: no FADT: "));

	(void)acpi_setup(state);
	madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);
	fadt = acpi_table("FACP", (uint8_t[80]){0}, 80);
	acpi_run_with(madt, fadt, madt);
	acpi_expect_madt(); /* not two IOAPICs */
	assert_int_equal(fake_report_lines, 0);

	(void)acpi_setup(state);
	acpi_rsdp_at(RSDP, 2, 0, acpi_xsdt_of(0x100000000, 0));
	acpi_init(0);
	assert_true(fake_reported("table at 0x100000000 cannot be reached"));
	assert_int_equal(acpi_lines(), 1);

	(void)acpi_setup(state);
	madt = acpi_table("APIC", acpi_madt_body, ACPI_MADT_SIZE);
	acpi_put(madt + 50, 0x55, 1); /* broken: a line each, and an end of it */
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = (uint32_t)madt;
	acpi_rsdp_at(RSDP, 0, acpi_table("RSDT", list, sizeof(list)), 0);
	acpi_init(0);
	assert_true(fake_reported("300 tables are listed"));
	assert_int_equal(fake_report_lines, 1 + 256 + 2);
}

/* Where is PCI's memory configuration space; and what if the table holds none, or another segment? */
static void test_mcfg(void **state)
{
	uint8_t body[24] = {0};
	uint64_t base = 0xE0000000;

	(void)state;
	memcpy(body + 8, &base, 8);
	body[18] = 1;
	body[19] = 0xFF;
	acpi_run_with(acpi_table("MCFG", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, base);
	assert_int_equal(acpi_facts.mcfg_start_bus, 1);
	assert_int_equal(acpi_facts.mcfg_end_bus, 0xFF);
	(void)acpi_setup(state);
	acpi_run_with(acpi_table("MCFG", body, 23), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, 0);
	(void)acpi_setup(state);
	body[17] = 1;
	acpi_run_with(acpi_table("MCFG", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, 0);
	(void)acpi_setup(state);
	body[17] = 0;
	body[18] = body[19] = 3; /* one bus */
	acpi_run_with(acpi_table("MCFG", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, base);
	(void)acpi_setup(state);
	body[18] = 2;
	body[19] = 1; /* ends before it begins */
	acpi_run_with(acpi_table("MCFG", body, sizeof(body)), 0, 0);
	assert_int_equal(acpi_facts.mcfg_base, 0);
}

/* What if that space cannot be where the table says? It is not used. */
static void test_mcfg_address(void **state)
{
	static const struct {
		uint64_t base;
		uint8_t first, last;
		bool good;
	} cases[] = {{BIT(39) - MB(2), 0, 1, true}, {BIT(39) - MB(2), 1, 2, false},
		     {BIT(39), 0, 0, false},	    {UINT64_MAX - MB(1) + 1, 1, 2, false},
		     {0xE0001000, 0, 0, false},	    {MB(256) - MB(1), 0, 0, false},
		     {MB(256) - MB(1), 1, 1, true}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t body[24] = {0};

		(void)acpi_setup(state);
		acpi_ram_end = MB(256);
		memcpy(body + 8, &cases[i].base, 8);
		body[18] = cases[i].first;
		body[19] = cases[i].last;
		acpi_run_with(acpi_table("MCFG", body, sizeof(body)), 0, 0);
		assert_int_equal(acpi_facts.mcfg_base, cases[i].good ? cases[i].base : 0);
		assert_int_equal(acpi_lines(), cases[i].good ? 0 : 1);
	}
}

/*
 * Is a table of remapping units found, and does no guest find it by its name: the second of two,
 * and one with a wrong checksum or length, neither? What if it seems to lie in the hypervisor?
 */
static void test_dmar(void **state)
{
	static const uint8_t body[12] = {38, 1};
	uint64_t first, second, broken;
	uint8_t body_sum = 0;
	const uint8_t *t;

	(void)state;
	first = acpi_table("DMAR", body, sizeof(body));
	second = acpi_table("DMAR", body, sizeof(body));
	broken = acpi_table("DMAR", body, sizeof(body));
	acpi_put(broken + 4, 7, 4);
	acpi_run_with(first, second, broken);
	assert_int_equal(acpi_facts.dmar_hpa, first);
	for (uint64_t at = first; at <= broken; at += second - first) {
		t = hpa_ptr(HPA(at));
		assert_memory_equal(t, "XMAR", 4);
	}
	t = hpa_ptr(HPA(first));
	for (size_t i = 0; i < 48; i++)
		body_sum = (uint8_t)(body_sum + t[i]);
	assert_int_equal(body_sum, 0);
	(void)acpi_setup(state);
	broken = acpi_table("DMAR", body, sizeof(body));
	acpi_put(broken + 40, 1, 1);
	acpi_run_with(broken, 0, 0);
	assert_int_equal(acpi_facts.dmar_hpa, 0);
	assert_memory_equal(hpa_ptr(HPA(broken)), "XMAR", 4);
	assert_int_equal(acpi_lines(), 1);
	(void)acpi_setup(state);
	first = acpi_table("DMAR", body, sizeof(body));
	acpi_own = first + 35;
	acpi_run_with(first, 0, 0);
	assert_memory_equal(hpa_ptr(HPA(first)), "DMAR", 4);
}

/* A FADT of revision 2 or later, offsets without the head. */
static uint64_t fadt(uint64_t dsdt, uint32_t len)
{
	uint8_t body[129 - 36] = {0};

	memcpy(body + 4, &dsdt, 4);
	body[46 - 36] = 9;
	body[56 - 36] = 0x00;
	body[57 - 36] = 0x06;
	body[64 - 36] = 0x04;
	body[65 - 36] = 0x06;
	body[76 - 36] = 0x08;
	body[77 - 36] = 0x06;
	body[113 - 36] = 0x04; /* RESET_REG_SUP */
	body[116 - 36] = 1;
	body[120 - 36] = 0xF9;
	body[121 - 36] = 0x0C;
	body[128 - 36] = 0x06;
	return acpi_table("FACP", body, len - 36);
}

/* What does a FADT say, whole and cut at every length? */
static void test_fadt(void **state)
{
	(void)state;
	for (uint32_t len = 36; len <= 129; len++) {
		(void)acpi_setup(state);
		acpi_run_with(fadt(0, len), 0, 0);
		assert_int_equal(acpi_facts.pm1a_cnt, len >= 72 ? 0x604 : 0);
		assert_int_equal(acpi_facts.pm1b_cnt, 0);
		assert_int_equal(acpi_facts.reset_port, len >= 129 ? 0xCF9 : 0);
		assert_int_equal(acpi_facts.reset_value, len >= 129 ? 6 : 0);
	}
	assert_int_equal(acpi_lines(), 0);
}

/* What if the reset register is in memory space, is not supported, or no port has its number? */
static void test_fadt_reset(void **state)
{
	static const struct {
		uint32_t offset;
		uint8_t value;
	} cases[] = {{116, 0}, {113, 0}, {122, 1}};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t t;

		(void)acpi_setup(state);
		t = fadt(0, 129);
		acpi_put(t + cases[i].offset, cases[i].value, 1);
		acpi_checksum(t, 129, 9);
		acpi_run_with(t, 0, 0);
		assert_int_equal(acpi_facts.reset_port, 0);
	}
}

/* Which sleep type does \_S5 give, in every encoding of its package, and in none? */
static void test_s5(void **state)
{
	static const struct {
		uint8_t aml[16];
		uint32_t len;
		uint8_t typ;
	} cases[] = {
		{"\x08_S5_\x12\x06\x04\x00\x00\x00\x00", 12, 0},	/* ZeroOp */
		{"\x08_S5_\x12\x06\x04\x01\x00\x00\x00", 12, 1},	/* OneOp */
		{"\x08_S5_\x12\x08\x04\x0A\x05\x0A\x05\x00\x00", 14, 5},	/* BytePrefix */
		{"\x08_S5_\x12\x40\x09\x04\x0A\x07\x00\x00\x00", 13, 7},	/* two-byte length */
		{"\x08_S5_\x12\x09\x04\x0B\x06\x00\x00\x00\x00", 13, 6},	/* WordPrefix */
		{"\x08_S5_\x12\x0B\x04\x0C\x03\x00\x00\x00\x00\x00", 14, 3},	/* DWordPrefix */
		{"\x08_S5_\x12\x06\x04\xFF\x00\x00\x00\x00", 12, 0xFF},	/* OnesOp: no type */
		{"\x08_S5_\x12\x08\x04\x0A\x08\x0A\x05\x00\x00", 14, 0xFF},	/* not in 3 bits */
		{"\x08_S5_\x12\x06\x04\x5CZZZ", 12, 0xFF},		/* a name */
		{"\x08_S4_\x12\x06\x04\x05\x00\x00\x00\x00", 12, 0xFF},
		{"\x08_S5_\x14\x06\x04\x05\x00\x00\x00\x00", 12, 0xFF},	/* a method */
		{"zzzzzzz\x08_S5_\x12\xC6\x04", 15, 0xFF},		/* cut */
		{"zzzzzzzzz\x08_S5_\x12", 15, 0xFF},
		{"\x08_S5_\x12\xC6\x00\x00\x00\x04", 11, 0xFF}, /* ends where the type would be */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)acpi_setup(state);
		acpi_run_with(fadt(acpi_table("DSDT", cases[i].aml, cases[i].len), 129), 0, 0);
		assert_int_equal(acpi_facts.s5_typ, cases[i].typ);
		assert_int_equal(acpi_facts.pm1a_cnt, 0x604);
	}
}

/* What if the DSDT is broken? The FADT still says what it says. */
static void test_bad_dsdt(void **state)
{
	uint64_t dsdt = acpi_table("DSDT", "\x08_S5_\x12\x06\x04\x05\x00\x00\x00\x00", 12);

	(void)state;
	acpi_put(dsdt + 36, 0x77, 1);
	acpi_run_with(fadt(dsdt, 129), 0, 0);
	assert_int_equal(acpi_facts.pm1a_cnt, 0x604);
	assert_int_equal(acpi_facts.s5_typ, 0xFF);
	assert_true(fake_reported("DSDT"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_rsdp_search, acpi_setup),
		cmocka_unit_test_setup(test_rsdp_copy, acpi_setup),
		cmocka_unit_test_setup(test_rsdp_checksum, acpi_setup),
		cmocka_unit_test_setup(test_rsdt_or_xsdt, acpi_setup),
		cmocka_unit_test_setup(test_bad_tables, acpi_setup),
		cmocka_unit_test_setup(test_bad_root, acpi_setup),
		cmocka_unit_test_setup(test_lists, acpi_setup),
		cmocka_unit_test_setup(test_mcfg, acpi_setup),
		cmocka_unit_test_setup(test_mcfg_address, acpi_setup),
		cmocka_unit_test_setup(test_dmar, acpi_setup),
		cmocka_unit_test_setup(test_fadt, acpi_setup),
		cmocka_unit_test_setup(test_fadt_reset, acpi_setup),
		cmocka_unit_test_setup(test_s5, acpi_setup),
		cmocka_unit_test_setup(test_bad_dsdt, acpi_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
